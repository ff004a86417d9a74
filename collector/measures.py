"""How much was written to a dataset and read from it: rows, bytes, files, and what was measured of its columns.

By ``outputStatistics`` and ``inputStatistics``, else ``dataQualityMetrics``: a commit leaves the numbers in the rows of
what runs read and wrote (``facts.UseFacts``), so that a question reads no facets but those of the columns it shows.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select

from collector import tables
from collector.documents.bodies import Bodies
from collector.keys import isoformat, run_uuid
from collector.tables import INPUT, MEASURED_READING, METRICS, OUTPUT
from collector.versions import version_uuid
from collector.walk import among

JSON = dict[str, Any]


class _Metrics(msgspec.Struct):
    columnMetrics: dict[str, Any] | None = None


def measures_of_dataset(
    connection: Connection, dataset: int, direction: int, limit: int, offset: int
) -> tuple[list[JSON], int]:
    """A page of what runs measured of a dataset (canonical id) that they wrote (OUTPUT) or read (INPUT), newest first,
    and how many there are: four statements, the first two by index."""
    u, r, j, n = tables.run_dataset, tables.run, tables.job, tables.namespace
    names = connection.execute(select(tables.dataset.c.id).where(tables.dataset.c.canonical_id == dataset)).scalars()
    at = u.c.written_us if direction == OUTPUT else u.c.first_us
    where = and_(among(connection, u.c.dataset_id, list(names)), _is_measured(direction))
    total = connection.execute(select(func.count()).select_from(u).where(where)).scalar_one()
    query = (
        select(u, at.label("at"), r.c.run_key, n.c.name.label("namespace"), j.c.name.label("job"))
        .select_from(u.join(r, r.c.id == u.c.run).join(j, j.c.id == r.c.job_id).join(n, n.c.id == j.c.namespace_id))
        .where(where)
        .order_by(at.desc(), r.c.run_key.desc(), u.c.dataset_id)
    )
    rows = connection.execute(query.limit(limit).offset(offset)).all()
    bodies = Bodies(connection, (row.facets for row in rows), names=["dataQualityMetrics"])
    found = []
    for row in rows:
        metrics = bodies.get(row.facets, "dataQualityMetrics", _Metrics)
        found.append(
            {
                "at": isoformat(row.at),
                "runId": run_uuid(bytes(row.run_key)),
                "job": {"namespace": row.namespace, "name": row.job},
                "version": version_uuid(row.dataset_id, bytes(row.run_key)) if direction == OUTPUT else None,
                "source": "metrics" if row.measured == METRICS else "statistics",
                "rowCount": row.row_count,
                "size": row.size,
                "fileCount": row.file_count,
                "columnMetrics": metrics.columnMetrics if metrics is not None else None,
            }
        )
    return found, total


def _is_measured(direction: int) -> ColumnElement[bool]:
    if direction == INPUT:
        return literal_column(f"({MEASURED_READING})")  # type: ignore[return-value]  # the index's own words
    u = tables.run_dataset.c
    return and_(tables.is_written(tables.run_dataset), u.measured.is_not(None))
