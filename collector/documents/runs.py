"""Runs as Marquez's JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from collector import tables
from collector.documents.bodies import Bodies
from collector.keys import isoformat, run_uuid
from collector.walk import among

JSON = dict[str, Any]


def run_rows(connection: Connection, runs: Iterable[int]) -> list[Row[Any]]:
    """The rows of ``run`` with these ids: one statement."""
    return list(connection.execute(select(tables.run).where(among(connection, tables.run.c.id, runs))))


def run_documents(connection: Connection, runs: Iterable[int], *, with_facets: bool = True) -> dict[int, JSON]:
    """Each run as Marquez's Run, without what it read and wrote: two statements, whatever their number."""
    rows = run_rows(connection, runs)
    bodies = Bodies(connection, (row.facets for row in rows)) if with_facets else None
    return {row.id: _document(row, bodies) for row in rows}


def _document(row: Row[Any], bodies: Bodies | None) -> JSON:
    has_both = row.started_us is not None and row.ended_us is not None
    return {
        "id": run_uuid(row.run_key),
        "createdAt": isoformat(row.created_us),
        "updatedAt": isoformat(row.updated_us),
        "nominalStartTime": row.nominal_start,
        "nominalEndTime": row.nominal_end,
        "state": row.state,
        "startedAt": isoformat(row.started_us),
        "endedAt": isoformat(row.ended_us),
        "durationMs": max(0, row.ended_us - row.started_us) // 1_000 if has_both else None,
        "args": {},
        "jobVersion": None,
        "inputDatasetVersions": [],
        "outputDatasetVersions": [],
        "facets": bodies.all(row.facets) if bodies is not None else {},
    }
