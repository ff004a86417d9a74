"""Validates whole events: the envelope and standard facets by OpenLineage's schemas, `headwater_*` facets by ours.

The schemas are files (`tests/openlineage/`, `facets/schemas/`); nothing is ever fetched.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from facets import schemas

FOLDER = Path(__file__).parent / "openlineage"
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"

#: Where facets are: the key that holds them, by what holds it, and the kind of facet that may be there.
DATASET_FACETS = {"facets": "DatasetFacet", "inputFacets": "InputDatasetFacet", "outputFacets": "OutputDatasetFacet"}

FORMATS = FormatChecker(formats=())


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(uuid.UUID(value)) == value.lower()


@FORMATS.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (bool(urlsplit(value).scheme) and not any(map(str.isspace, value)))


def validate_event(event: dict[str, Any]) -> None:
    """Check a RunEvent, JobEvent or DatasetEvent as it goes over the wire, with every facet that has a schema.

    A standard facet is checked by its own schema wherever it stands; a facet of another producer only as a facet
    (`_producer`, `_schemaURL`). A `headwater_` facet must have a schema of ours, and be where its schema says.

    Raises:
        AssertionError: with one line ``field.path: what is wrong`` for each fault.
    """
    definition = "RunEvent" if "run" in event else "DatasetEvent" if "dataset" in event else "JobEvent"
    faults = list(_faults(f"{CORE}#/$defs/{definition}", event, ""))
    for path, kind, key, facet in _facets(event):
        faults += _facet_faults(path, kind, key, facet)
    assert not faults, f"{len(faults)} faults in a {definition}:\n" + "\n".join(dict.fromkeys(faults))


def validate_facet(key: str, facet: dict[str, Any], kind: str) -> None:
    """Check one facet as `validate_event` would; ``kind`` like ``RunFacet`` or ``DatasetFacet``."""
    faults = list(_faults(f"{CORE}#/$defs/{kind}", facet, key)) + _facet_faults(key, kind, key, facet)
    assert not faults, f"{len(faults)} faults in the facet {key}:\n" + "\n".join(dict.fromkeys(faults))


def _facets(event: dict[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Yield each facet's path, the kind that its place asks for, its key and its body."""
    holders: list[tuple[str, Any, dict[str, str]]] = [
        ("run", event.get("run"), {"facets": "RunFacet"}),
        ("job", event.get("job"), {"facets": "JobFacet"}),
        ("dataset", event.get("dataset"), DATASET_FACETS),
    ]
    for side in ("inputs", "outputs"):
        datasets = event.get(side)
        if isinstance(datasets, list):
            holders += [(f"{side}[{at}]", dataset, DATASET_FACETS) for at, dataset in enumerate(datasets)]
    for path, holder, kinds in holders:
        for where, kind in kinds.items():
            facets = holder.get(where) if isinstance(holder, dict) else None
            if isinstance(facets, dict):
                yield from ((f"{path}.{where}.{key}", kind, key, facet) for key, facet in facets.items())


def _facet_faults(path: str, kind: str, key: str, facet: Any) -> list[str]:
    known = _known_facets().get(key, {})
    if key.startswith("headwater_"):
        if kind not in known:
            return [f"{path}: no {kind} of ours has this key; ours are {_ours()}"]
        if isinstance(facet, dict) and facet.get("_schemaURL") not in known[kind]:
            return [f"{path}._schemaURL: {facet.get('_schemaURL')!r} is none of {known[kind]}"]
        return list(_faults(facet["_schemaURL"], facet, path)) if isinstance(facet, dict) else []
    if not known or (isinstance(facet, dict) and facet.get("_deleted") is True):
        return []
    tried = known.get(kind) or [url for urls in known.values() for url in urls]
    faults = [list(_faults(url, facet, path)) for url in tried]
    return min(faults, key=len)


def _ours() -> str:
    return ", ".join(key for key in _known_facets() if key.startswith("headwater_"))


def _faults(url: str, instance: Any, path: str) -> Iterator[str]:
    validator = Draft202012Validator({"$ref": url}, registry=_registry(), format_checker=FORMATS)
    for error in validator.iter_errors(instance):
        for leaf in _leaves(error):
            yield f"{path}{_path(leaf, path)}: {leaf.message[:300]}"


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for inner in error.context or ():
        yield from _leaves(inner)


def _path(error: ValidationError, prefix: str) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return text if prefix else text.removeprefix(".") or "(the event)"


@cache
def _schemas() -> tuple[dict[str, Any], ...]:
    files = [FOLDER / "OpenLineage.json", *sorted((FOLDER / "facets").glob("*.json"))]
    return (*(json.loads(file.read_text("utf-8")) for file in files), *map(schemas.load, schemas.names()))


@cache
def _registry() -> Registry[Any]:
    # Without `retrieve`, a reference that is not in the registry is an error, not a download.
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in _schemas())


@cache
def _known_facets() -> dict[str, dict[str, list[str]]]:
    """Return the URLs of the definitions of each facet: key → kind → URLs."""
    known: dict[str, dict[str, list[str]]] = {}
    for schema in _schemas():
        for key, reference in schema.get("properties", {}).items():
            for name in _alternatives(schema, reference):
                base = schema["$defs"][name]["allOf"][0]["$ref"].rpartition("/")[2]
                known.setdefault(key, {}).setdefault(base, []).append(f"{schema['$id']}#/$defs/{name}")
    return known


def _alternatives(schema: dict[str, Any], reference: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the definitions that a facet's key may hold (`subset` and `lineage` have two)."""
    if "$ref" in reference:
        name = reference["$ref"].rpartition("/")[2]
        if "allOf" in schema["$defs"][name]:
            yield name
            return
        reference = schema["$defs"][name]
    for choice in reference.get("oneOf") or reference["anyOf"]:
        yield from _alternatives(schema, choice)
