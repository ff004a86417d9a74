"""Events for tests, as dictionaries: only what the specification requires, and what the test gives."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

JSON = dict[str, Any]
PRODUCER = "https://example.com/tests"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json"


def run_event(
    event_type: str = "COMPLETE",
    time: str = "2026-01-01T00:00:00Z",
    *,
    run: int | str = 1,
    job: str = "load",
    namespace: str = "jobs",
    inputs: tuple[str | JSON, ...] = (),
    outputs: tuple[str | JSON, ...] = (),
    run_facets: JSON | None = None,
    job_facets: JSON | None = None,
) -> JSON:
    """A RunEvent; a dataset given as text is that name in the namespace ``data``, a run given as a number a UUID."""
    return {
        "eventType": event_type,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": f"{SCHEMA}#/$defs/RunEvent",
        "run": {"runId": str(UUID(int=run)) if isinstance(run, int) else run, "facets": run_facets or {}},
        "job": {"namespace": namespace, "name": job, "facets": job_facets or {}},
        "inputs": [dataset(one) for one in inputs],
        "outputs": [dataset(one) for one in outputs],
    }


def job_event(
    time: str = "2026-01-01T00:00:00Z",
    *,
    job: str = "load",
    inputs: tuple[str | JSON, ...] = (),
    outputs: tuple[str | JSON, ...] = (),
    job_facets: JSON | None = None,
) -> JSON:
    """A JobEvent."""
    return {
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": f"{SCHEMA}#/$defs/JobEvent",
        "job": {"namespace": "jobs", "name": job, "facets": job_facets or {}},
        "inputs": [dataset(one) for one in inputs],
        "outputs": [dataset(one) for one in outputs],
    }


def dataset_event(name: str | JSON, time: str = "2026-01-01T00:00:00Z") -> JSON:
    """A DatasetEvent."""
    return {
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": f"{SCHEMA}#/$defs/DatasetEvent",
        "dataset": dataset(name),
    }


def dataset(one: str | JSON, **facets: JSON) -> JSON:
    """A dataset in the namespace ``data``, with ``facets`` by name; a dictionary is taken as it is."""
    if isinstance(one, dict):
        return one
    return {"namespace": "data", "name": one, "facets": {name: facet(**body) for name, body in facets.items()}}


def facet(**body: Any) -> JSON:
    """A facet with what every facet must have."""
    return {"_producer": PRODUCER, "_schemaURL": f"{SCHEMA}#/$defs/DatasetFacet", **body}


def schema(*columns: str) -> JSON:
    """The content of a ``schema`` facet, every column text."""
    return {"fields": [{"name": column, "type": "text"} for column in columns]}


def columns(**origins: list[tuple[str, str]]) -> JSON:
    """The content of a ``columnLineage`` facet: each column's origins as (dataset, column) in ``data``."""
    return {
        "fields": {
            column: {"inputFields": [{"namespace": "data", "name": name, "field": field} for name, field in found]}
            for column, found in origins.items()
        }
    }


def raw(event: JSON) -> bytes:
    """The event as a body."""
    return json.dumps(event).encode()
