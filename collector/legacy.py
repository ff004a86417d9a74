"""Marquez's legacy calls as the events that they become, so that they merge, rebuild and show like everything else.

Pure: from what was asked to OpenLineage events, by hand-made facets where the standard has none (``curation.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from time import time_ns
from typing import Any

import orjson

from collector.curation import HIDDEN, TOLD, description_facet, tag_facet
from collector.decode import Event, decode
from collector.documents.runs import ARGS
from collector.keys import isoformat
from facets import PRODUCER, schema_url

JSON = dict[str, Any]

_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
_FACETS = "https://openlineage.io/spec/facets/"


class Clock:
    """Now, in microseconds since 1970 UTC, never twice the same: two words in a row stay in their order."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def now(self) -> int:
        """A time later than any that was given before."""
        with self._lock:
            self._last = max(time_ns() // 1_000, self._last + 1)
            return self._last


clock = Clock()


def _event(kind: str, time_us: int, **parts: Any) -> Event:
    document = {"eventTime": isoformat(time_us), "producer": PRODUCER, "schemaURL": f"{_SPEC}{kind}", **parts}
    return decode(orjson.dumps(document))


def _facet(url: str, /, **content: Any) -> JSON:
    return {"_producer": PRODUCER, "_schemaURL": url, **content}


def _standard(kind: str, version: str, /, **content: Any) -> JSON:
    return _facet(f"{_FACETS}{version}/{kind}.json", **content)


def _own(kind: str, /, **content: Any) -> JSON:
    return _facet(schema_url(kind, "1-0-0"), **content)


def _curated(**content: Any) -> JSON:
    return _own("HeadwaterCuratedFacet", **content)


# --- datasets --------------------------------------------------------------------------------------------------------


def dataset_facets(body: Mapping[str, Any], namespace_source: str | None) -> JSON:
    """The facets that a dataset PUT says; ``namespace_source`` is the URL of its source, where that is known."""
    facets = {
        "dataSource": _standard(
            "DatasourceDatasetFacet", "1-0-1", name=body["sourceName"], uri=namespace_source or body["sourceName"]
        ),
        TOLD: _curated(type=body["type"], physicalName=body["physicalName"], schemaLocation=body.get("schemaLocation")),
    }
    columns = body.get("fields") or []
    if columns:
        known = [{key: one[key] for key in ("name", "type", "description") if one.get(key)} for one in columns]
        facets["schema"] = _standard("SchemaDatasetFacet", "1-1-1", fields=known)
    if body.get("description"):
        facets[description_facet()] = _curated(description=body["description"])
    facets |= {tag_facet(tag): _curated(set=True) for tag in body.get("tags") or ()}
    for one in columns:
        if one.get("description"):
            facets[description_facet(one["name"])] = _curated(description=one["description"])
        facets |= {tag_facet(tag, one["name"]): _curated(set=True) for tag in one.get("tags") or ()}
    return facets


def dataset_event(namespace: str, name: str, facets: JSON, time_us: int) -> Event:
    """A DatasetEvent with ``facets``."""
    return _event("DatasetEvent", time_us, dataset={"namespace": namespace, "name": name, "facets": facets})


def tagged(tag: str, is_set: bool, field: str = "") -> JSON:
    """The facets that set a tag or take it away."""
    return {tag_facet(tag, field): _curated(set=is_set)}


def hidden() -> JSON:
    """The facets of a DELETE."""
    return {HIDDEN: _curated()}


# --- jobs ------------------------------------------------------------------------------------------------------------


def job_facets(body: Mapping[str, Any]) -> JSON:
    """The facets that a job PUT says."""
    facets = {TOLD: _curated(type=body["type"])}
    if body.get("location"):
        facets["sourceCodeLocation"] = _standard(
            "SourceCodeLocationJobFacet", "1-0-1", type="url", url=body["location"]
        )
    if body.get("description"):
        facets[description_facet()] = _curated(description=body["description"])
    query = (body.get("context") or {}).get("sql") or (body.get("context") or {}).get("SQL")
    if query:
        facets["sql"] = _standard("SQLJobFacet", "1-1-0", query=query)
    return facets


def job_event(
    namespace: str, name: str, facets: JSON, time_us: int, inputs: Iterable[JSON] = (), outputs: Iterable[JSON] = ()
) -> Event:
    """A JobEvent; the datasets as ``{"namespace", "name"}``."""
    job = {"namespace": namespace, "name": name, "facets": facets}
    return _event("JobEvent", time_us, job=job, inputs=list(inputs), outputs=list(outputs))


# --- runs ------------------------------------------------------------------------------------------------------------


def run_facets(body: Mapping[str, Any]) -> JSON:
    """The facets that creating a run says."""
    facets = {}
    if body.get("nominalStartTime"):
        nominal = {key: body[key] for key in ("nominalStartTime", "nominalEndTime") if body.get(key)}
        facets["nominalTime"] = _standard("NominalTimeRunFacet", "1-0-1", **nominal)
    if body.get("args"):
        facets[ARGS] = _own("HeadwaterArgsRunFacet", args=body["args"])
    return facets


def run_event(
    event_type: str,
    run_id: str,
    job: tuple[str, str],
    time_us: int,
    facets: JSON | None = None,
    inputs: Iterable[JSON] = (),
    outputs: Iterable[JSON] = (),
) -> Event:
    """A RunEvent of a job (namespace, name)."""
    return _event(
        "RunEvent",
        time_us,
        eventType=event_type,
        run={"runId": run_id, "facets": facets or {}},
        job={"namespace": job[0], "name": job[1]},
        inputs=list(inputs),
        outputs=list(outputs),
    )
