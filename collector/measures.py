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
from collector.documents.runs import jobs_of_runs
from collector.facts import IO_PREFIX, UseFacts, under_one_name
from collector.keys import isoformat, run_uuid
from collector.lookup import names_of
from collector.packing import facts_of, pack_facets
from collector.state import remembered
from collector.tables import INPUT, MEASURED_READING, METRICS, OUTPUT
from collector.versions import version_uuid
from collector.walk import among

JSON = dict[str, Any]
_METRICS = "dataQualityMetrics"


class _Metrics(msgspec.Struct):
    columnMetrics: dict[str, Any] | None = None


def measures_of_dataset(
    connection: Connection, dataset: int, direction: int, limit: int, offset: int
) -> tuple[list[JSON], int]:
    """A page of what runs measured of a dataset (canonical id) that they wrote (OUTPUT) or read (INPUT), newest first,
    and how many there are: seven statements at most.

    A page costs the rows up to its end, by index; they are counted once in each state of the store.
    """
    u, r = tables.run_dataset, tables.run.c
    names = names_of(connection, dataset)
    at = u.c.written_us if direction == OUTPUT else u.c.first_us
    where = and_(among(connection, u.c.dataset_id, names), _is_measured(direction))
    listed = select(u.c.run, at.label("at")).where(where)
    if len(names) > 1:  # a run may list it under several
        listed = select(u.c.run, func.min(at).label("at")).where(where).group_by(u.c.run)
    count = select(func.count()).select_from(listed.subquery())
    total = remembered(connection, ("measures", dataset, direction), lambda: connection.execute(count).scalar_one())
    newest = listed.order_by(literal_column("at").desc(), u.c.run.desc())
    runs = [run for run, _ in connection.execute(newest.limit(limit).offset(offset))]
    keys_of = connection.execute(select(r.id, r.run_key).where(among(connection, r.id, runs)))
    run_keys = {run: bytes(key) for run, key in keys_of}
    jobs = jobs_of_runs(connection, runs)
    uses = _uses(connection, runs, names, direction)
    packed = {run: pack_facets(use.facets) for run, (_, use) in uses.items()}
    bodies = Bodies(connection, packed.values(), names=[_METRICS])
    found = []
    for run in runs:
        named, use = uses[run]
        # the numbers' own before another
        name = next((one for one in (IO_PREFIX + _METRICS, _METRICS) if one in use.facets), _METRICS)
        metrics = bodies.get(packed[run], name, _Metrics)
        namespace, job = jobs[run]
        found.append(
            {
                "at": isoformat(use.written_us if direction == OUTPUT else use.first_us),
                "runId": run_uuid(run_keys[run]),
                "job": {"namespace": namespace, "name": job},
                "version": version_uuid(named, run_keys[run]) if direction == OUTPUT else None,
                "source": "metrics" if use.measured == METRICS else "statistics",
                "rowCount": use.row_count,
                "size": use.size,
                "fileCount": use.file_count,
                "columnMetrics": metrics.columnMetrics if metrics is not None else None,
            }
        )
    return found, total


def _uses(connection: Connection, runs: list[int], names: list[int], direction: int) -> dict[int, tuple[int, UseFacts]]:
    """What each run says of the dataset, under whichever names, and the least of these."""
    u = tables.run_dataset.c
    where = and_(among(connection, u.run, runs), u.direction == direction, among(connection, u.dataset_id, names))
    rows = connection.execute(select(tables.run_dataset).where(where))
    return under_one_name((run, named, facts_of(UseFacts, said)) for run, _, named, *said in rows)


def _is_measured(direction: int) -> ColumnElement[bool]:
    if direction == INPUT:
        return literal_column(f"({MEASURED_READING})")  # type: ignore[return-value]  # the index's own words
    u = tables.run_dataset.c
    return and_(tables.is_written(tables.run_dataset), u.measured > 0)
