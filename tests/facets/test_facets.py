"""What our facets look like on the wire, checked by our schemas and by OpenLineage's own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from openlineage.client.serde import Serde

import facets
from facets import asset_version, checksum, command, delivery, materialization, schemas
from facets.asset_version import HeadwaterAssetVersionDatasetFacet
from facets.checksum import HASHED, HeadwaterChecksumDatasetFacet
from facets.command import HeadwaterCommandRunFacet
from facets.delivery import DroppedEvents, HeadwaterDeliveryRunFacet
from facets.materialization import STATUSES, HeadwaterMaterializationRunFacet
from tests.openlineage_schema import validate_facet

NOW = "2024-05-01T12:00:00.123456Z"
INSTANCE = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"

FULL = [
    (
        asset_version.KEY,
        "DatasetFacet",
        HeadwaterAssetVersionDatasetFacet(
            assetVersion="2",
            createdAt=NOW,
            updatedAt=NOW,
            codeVersion="5c1f0a9e",
            dataVersion="blake3:af13",
            previousDataVersion="blake3:0e57",
        ),
    ),
    (asset_version.KEY, "DatasetFacet", HeadwaterAssetVersionDatasetFacet("1", NOW, NOW)),
    (checksum.KEY, "DatasetFacet", HeadwaterChecksumDatasetFacet("blake3", "af13", "table", sizeBytes=0, rows=3)),
    (materialization.KEY, "RunFacet", HeadwaterMaterializationRunFacet("unchanged", reason="nothing changed")),
    (delivery.KEY, "RunFacet", HeadwaterDeliveryRunFacet(INSTANCE, 3, [DroppedEvents(1, 2, "size")])),
    (delivery.KEY, "RunFacet", HeadwaterDeliveryRunFacet(INSTANCE, 1)),
    (command.KEY, "RunFacet", HeadwaterCommandRunFacet("load.sh", exitCode=3, seconds=0.5)),
    (command.KEY, "RunFacet", HeadwaterCommandRunFacet("load.sh", signal="SIGKILL", seconds=2)),
    *[(checksum.KEY, "DatasetFacet", HeadwaterChecksumDatasetFacet("blake3", "af13", hashed)) for hashed in HASHED],
    *[(materialization.KEY, "RunFacet", HeadwaterMaterializationRunFacet(status)) for status in STATUSES],
]


@pytest.mark.parametrize(("key", "kind", "facet"), FULL)
def test_serialised_facet_satisfies_our_schema_and_openlineages_base(key, kind, facet):
    validate_facet(key, json.loads(Serde.to_json(facet)), kind)


@pytest.mark.parametrize(("key", "kind", "facet"), FULL[:4])
def test_facet_names_its_producer_and_its_own_schema(key, kind, facet):
    body = Serde.to_dict(facet)
    assert body["_producer"] == facets.PRODUCER
    assert body["_schemaURL"].startswith(f"{facets.SCHEMA_BASE_URL}/1-0-0/{type(facet).__name__}.json#/$defs/")


@pytest.mark.parametrize(("key", "kind", "facet"), FULL[:4])
def test_facet_survives_pickling(key, kind, facet):
    assert pickle.loads(pickle.dumps(facet)) == facet


def test_absent_values_are_left_out_of_the_wire_form():
    assert set(Serde.to_dict(HeadwaterMaterializationRunFacet("skipped"))) == {"_producer", "_schemaURL", "status"}


def test_redaction_leaves_versions_and_checksums_but_may_take_the_reason():
    assert "dataVersion" in FULL[0][2].skip_redact
    assert "value" in FULL[2][2].skip_redact
    assert "reason" not in FULL[3][2].skip_redact


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: HeadwaterChecksumDatasetFacet("blake3", "af", "row"), "hashed"),
        (lambda: HeadwaterChecksumDatasetFacet("blake3", "af", "file", sizeBytes=-1), "sizeBytes"),
        (lambda: HeadwaterChecksumDatasetFacet("blake3", "af", "table", rows=-1), "rows"),
        (lambda: HeadwaterMaterializationRunFacet("done"), "status"),
        (lambda: HeadwaterDeliveryRunFacet("one", 1), "instance"),
        (lambda: HeadwaterDeliveryRunFacet(INSTANCE, 0), "sequence"),
        (lambda: HeadwaterDeliveryRunFacet(INSTANCE, "1"), "sequence"),
        (lambda: DroppedEvents(0, 2, "size"), "first"),
        (lambda: DroppedEvents(1, 2, "lost"), "reason"),
        (lambda: HeadwaterCommandRunFacet("load.sh", seconds=-1), "seconds"),
        (lambda: HeadwaterAssetVersionDatasetFacet("1", "2024-05-01", NOW), "createdAt"),
        (lambda: HeadwaterAssetVersionDatasetFacet("1", NOW, "yesterday"), "updatedAt"),
        (lambda: HeadwaterAssetVersionDatasetFacet("1", NOW, "2024-05-01T12:00:00"), "updatedAt"),
    ],
)
def test_wrong_value_is_refused_with_its_field(wrong, field):
    with pytest.raises(ValueError, match=f"^{field} is "):
        wrong()


def test_producer_is_a_url_with_the_version():
    assert facets.PRODUCER.startswith("https://github.com/headwater-lineage/headwater/tree/v")


@pytest.mark.parametrize("package", ["facets.asset_version", "facets.schemas", "lineage.mermaid", "lineage.document"])
def test_importing_the_shared_packages_loads_neither_flask_nor_a_half(package):
    code = f"import {package}, sys; print({{'flask', 'sqlalchemy', 'collector', 'emitter'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_schema_names_load_with_and_without_a_version():
    assert "1-0-0/HeadwaterChecksumDatasetFacet" in schemas.names()
    assert schemas.load("HeadwaterChecksumDatasetFacet") == schemas.load("1-0-0/HeadwaterChecksumDatasetFacet")


@pytest.mark.parametrize("name", ["", "Nope", "../__init__", "1-0-0/../1-0-0/HeadwaterChecksumDatasetFacet", "9-9-9/X"])
def test_unknown_schema_is_refused_with_those_that_exist(name):
    with pytest.raises(LookupError, match="HeadwaterChecksumDatasetFacet"):
        schemas.load(name)
