"""A released schema never changes: events that name it are kept for years, and others validate by it."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import facets
from facets import schemas
from facets.asset_version import HeadwaterAssetVersionDatasetFacet
from facets.checksum import HeadwaterChecksumDatasetFacet
from facets.command import HeadwaterCommandRunFacet
from facets.delivery import HeadwaterDeliveryRunFacet
from facets.materialization import HeadwaterMaterializationRunFacet

#: SHA-256 of each released file. Add a line when a new version is published; never change one.
RELEASED = {
    "1-0-0/HeadwaterArgsRunFacet": "0c3be9745cd1b65e1783ea54761021fd216b0c9780d33823b7095b5d7be459b6",
    "1-0-0/HeadwaterAssetVersionDatasetFacet": "a98cad6c78a33ab202dcd2619d66d6aae4301d57cadd560a8b4731ea3f2b5c38",
    "1-0-0/HeadwaterChecksumDatasetFacet": "ebd735619dc9ad5744d18f8e93fab502ac17dc7023354806324e325328248766",
    "1-0-0/HeadwaterCommandRunFacet": "11b0c6e6b21a3cfca0bba745a94e7a15ef90440185f07ce7fc688bc585946466",
    "1-0-0/HeadwaterCuratedFacet": "ae643e400bc9883be4469d0b4e6381a8f0e071fc8bca9e1528eea3de321b6ad8",
    "1-0-0/HeadwaterDeliveryRunFacet": "0568d8a4f874e22549f856be8789f7103b29e5be335c2c03697964deb6652732",
    "1-0-0/HeadwaterMaterializationRunFacet": "93d34d1c575d9810ab92da0dd07632a7536f54a5b61371c7360ff9e4e3676818",
}


def digest(name: str) -> str:
    return hashlib.sha256(files("facets.schemas").joinpath(f"{name}.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_released_schema_has_not_changed(name):
    assert digest(name) == RELEASED[name], (
        f"facets/schemas/{name}.json was released and must stay as it is: put the change into a new file under a "
        "higher version, point the class's _get_schema at it, and add its digest to RELEASED in this file"
    )


def test_every_schema_is_in_the_list_of_released_ones():
    assert set(schemas.names()) == set(RELEASED), "add the SHA-256 of the new schema to RELEASED in this file"


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_schema_is_valid_and_named_by_its_own_url(name):
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{facets.SCHEMA_BASE_URL}/{name}.json"
    assert list(schema["$defs"]) == [Path(name).name]
    (key,) = schema["properties"]
    assert key.startswith("headwater_")


@pytest.mark.parametrize(
    "facet",
    [
        HeadwaterAssetVersionDatasetFacet,
        HeadwaterChecksumDatasetFacet,
        HeadwaterCommandRunFacet,
        HeadwaterDeliveryRunFacet,
        HeadwaterMaterializationRunFacet,
    ],
)
def test_class_points_at_a_released_schema_that_has_its_fields(facet):
    url, _, pointer = facet._get_schema().partition("#/$defs/")
    schema = schemas.load(url.removeprefix(f"{facets.SCHEMA_BASE_URL}/").removesuffix(".json"))
    properties = schema["$defs"][pointer]["allOf"][1]["properties"]
    fields = {attribute.name for attribute in facet.__attrs_attrs__ if not attribute.name.startswith("_")}
    assert set(properties) == fields
    required = {a.name for a in facet.__attrs_attrs__ if a.name in fields and a.default is not None}
    assert set(schema["$defs"][pointer]["allOf"][1]["required"]) == required
