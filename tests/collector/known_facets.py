"""A good body of every facet that the specification knows, made from its JSON Schema; and wrong ones made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.collector.events import JSON, facet

_FOLDER = Path(__file__).parent.parent / "openlineage" / "facets"
#: Where a facet stands, by the end of its class's name; the longest that fits counts.
_PLACES = {
    "InputDatasetFacet": "inputFacets",
    "OutputDatasetFacet": "outputFacets",
    "DatasetFacet": "dataset",
    "JobFacet": "job",
    "RunFacet": "run",
}
_OURS: dict[str, JSON] = {
    "headwater_checksum": {"algorithm": "blake3", "value": "00ff", "hashed": "file", "sizeBytes": 1, "rows": 1},
    "headwater_assetVersion": {"assetVersion": "1", "codeVersion": "c", "dataVersion": "d", "previousDataVersion": "p"},
}
WRONG: tuple[Any, ...] = (
    None, True, 5, -1.5e300, 2**64, "", "x", "\x00", [], [None], [[]], [{}], {}, {"": None},
    {"namespace": "", "name": ""},
)  # fmt: skip


def good_facets() -> dict[str, dict[str, JSON]]:
    """Good bodies by place (run, job, dataset, inputFacets, outputFacets) and facet name."""
    found: dict[str, dict[str, JSON]] = {place: {} for place in _PLACES.values()}
    for path in sorted(_FOLDER.glob("*.json")):
        schema = json.loads(path.read_text())
        for key, reference in schema["properties"].items():
            for choice in reference.get("anyOf", [reference]):
                name = choice["$ref"].rpartition("/")[2]
                place = next(place for end, place in _PLACES.items() if name.endswith(end))
                found[place][key] = facet(**_example(schema, schema["$defs"][name]))
    found["dataset"] |= {key: facet(**body) for key, body in _OURS.items()}
    # a DatasetFacet by name, an InputDatasetFacet by its schema
    found["inputFacets"]["dataQualityAssertions"] = found["dataset"]["dataQualityAssertions"]
    return found


def _example(schema: JSON, definition: JSON, depth: int = 0) -> Any:
    """A value that fits ``definition``, with every property that it names."""
    if "$ref" in definition:
        local = definition["$ref"].startswith("#/$defs/") and depth < 12
        return _example(schema, schema["$defs"][definition["$ref"].rpartition("/")[2]], depth + 1) if local else {}
    if "allOf" in definition:
        merged: JSON = {}
        for part in definition["allOf"]:
            merged |= _example(schema, part, depth + 1)
        return merged
    for either in ("oneOf", "anyOf"):
        if either in definition:
            return _example(schema, definition[either][0], depth + 1)
    if "enum" in definition:
        return definition["enum"][0]
    kind = definition.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "array":
            return [_example(schema, definition.get("items", {"type": "string"}), depth + 1)]
        case "object":
            found = {key: _example(schema, one, depth + 1) for key, one in definition.get("properties", {}).items()}
            extra = definition.get("additionalProperties")
            return found | ({"column": _example(schema, extra, depth + 1)} if isinstance(extra, dict) else {})
        case "string":
            return "2026-01-01T00:00:00Z" if definition.get("format") == "date-time" else "x"
        case "boolean":
            return True
        case _:
            return 1


def wrong_bodies(body: Any, level: int = 0) -> Iterator[Any]:
    """``body`` with each value in it, itself first, replaced by wrong ones, and without each of its keys.

    Itself and its own values are replaced by each of WRONG, what lies deeper by a few, others at each place.
    """
    at = sum(map(ord, json.dumps(body))) % len(WRONG)
    yield from WRONG if level < 2 else (WRONG + WRONG)[at : at + 4]
    children = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, child in children:
        if key in ("_producer", "_schemaURL"):
            continue
        if isinstance(body, dict):
            yield {name: value for name, value in body.items() if name != key}
        for one in wrong_bodies(child, level + 1):
            changed = dict(body) if isinstance(body, dict) else list(body)
            changed[key] = one
            yield changed
