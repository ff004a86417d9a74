"""Search hits as the search box of Marquez's UI reads them: it breaks on a facet that lacks what it shows of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from collector import keys
from collector.documents.datasets import listed_datasets
from collector.documents.jobs import listed_jobs

JSON = dict[str, Any]

_EVENT_TYPES = {"NEW": "OTHER", "RUNNING": "RUNNING", "COMPLETED": "COMPLETE", "FAILED": "FAIL", "ABORTED": "ABORT"}


def job_hits(connection: Connection, found: Sequence[JSON]) -> list[JSON]:
    """The jobs that a search ``found``, with their newest runs, engines and languages: ten statements at most."""
    ids = [keys.job_id(one["namespace"], one["name"]) for one in found]
    listed = listed_jobs(connection, ids)
    return [_job_hit(one, orjson.loads(listed[job].text)) for one, job in zip(found, ids, strict=True)]


def dataset_hits(connection: Connection, found: Sequence[JSON]) -> list[JSON]:
    """The datasets that a search ``found``, each with its columns: seven statements at most."""
    ids = [keys.dataset_id(one["namespace"], one["name"]) for one in found]
    listed = listed_datasets(connection, ids)
    hits = []
    for one, dataset in zip(found, ids, strict=True):
        columns = orjson.loads(listed[dataset].text)["fields"]
        facets = {"schema": {"fields": [{"name": column["name"], "type": column["type"]} for column in columns]}}
        hits.append({**one, "run_id": None, "eventType": None, "facets": facets if columns else {}})
    return hits


def highlight(name: str, text: str) -> str:
    """The name with what is looked for between ``<em>`` and ``</em>``, as the UI wants it, which splits at these."""
    return re.sub(re.escape(text), lambda match: f"<em>{match[0]}</em>", name, count=1, flags=re.IGNORECASE)


def _job_hit(found: JSON, job: JSON) -> JSON:
    run = job["latestRun"] or {}
    engine, code = (run.get("facets") or {}).get("processing_engine"), job["facets"].get("sourceCode")
    is_named = isinstance(engine, dict) and isinstance(engine.get("name"), str)
    is_written = isinstance(code, dict) and isinstance(code.get("language"), str)
    return {
        **found,
        "type": job["type"],
        "run_id": run.get("id"),
        "eventType": _EVENT_TYPES.get(run.get("state", "")),
        "runFacets": {"processing_engine": engine} if is_named else {},
        "facets": {"sourceCode": code} if is_written else {},
    }
