"""Retention: old raw events and runs go; the graph, its versions in force and every current facet stay.

What stays is said in events, so that the store remains a function of its events: an old event is kept where something
current rests on it (a job's newest runs, a dataset's newest version, an assertion's newest result, a facet in force,
the first mention of a thing), the others are deleted, and the derived rows are made anew from what is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from collector import tables
from collector.decode import Event, decode
from collector.errors import CollectorError
from collector.facets import aliases_of
from collector.keys import run_key, stamp_time
from collector.packing import decompress, unpack_facets
from collector.rebuild import CHUNK, Progress, rebuild_in
from collector.store.engines import reading, writing
from collector.store.rows import chunks
from collector.walk import among


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many events were (or would be) deleted and kept, and how many runs are gone (None in a dry run)."""

    deleted: int
    kept: int
    runs: int | None


def prune(engine: Engine, before_us: int, *, dry_run: bool = False, progress: Progress | None = None) -> Pruned:
    """Delete what happened before ``before_us`` (microseconds since 1970 UTC) and nothing current rests on."""
    if dry_run:
        with reading(engine) as connection:
            doomed = _doomed(connection, before_us)
            return Pruned(len(doomed), _count(connection, tables.event) - len(doomed), None)
    with writing(engine) as connection:
        doomed = _doomed(connection, before_us)
        runs = _count(connection, tables.run)
        if doomed:
            for chunk in chunks(doomed, 10_000):
                connection.execute(delete(tables.event).where(among(connection, tables.event.c.id, chunk)))
            rebuild_in(connection, progress)
        return Pruned(len(doomed), _count(connection, tables.event), runs - _count(connection, tables.run))


def _count(connection: Connection, table: tables.Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _doomed(connection: Connection, before_us: int) -> list[int]:
    """Ids of the events that may go: all of a run's or none, so that no run is left half told."""
    needed = _current_runs(connection)
    times = _times_in_force(connection, before_us)
    aliases: set[tuple[str, str, str, str]] = set()
    old: list[tuple[int, bytes]] = []
    event = tables.event.c
    last = 0
    while True:
        query = select(event.id, event.body).where(event.id > last, event.time_us < before_us, event.kind == "run")
        page = connection.execute(query.order_by(event.id).limit(CHUNK)).all()
        if not page:
            return [event_id for event_id, run in old if run not in needed]
        for event_id, body in page:
            try:
                found = decode(decompress(body))
            except CollectorError:
                continue  # nobody knows what rests on it
            run = run_key(found.envelope.run.runId) if found.envelope.run else b""
            new_aliases = _aliases(found) - aliases
            if found.time_us in times or new_aliases:
                needed.add(run)
                aliases |= new_aliases
            old.append((event_id, run))
        last = page[-1][0]


def _aliases(event: Event) -> set[tuple[str, str, str, str]]:
    return {
        (dataset.namespace, dataset.name, *alias)
        for dataset in (*(event.envelope.inputs or ()), *(event.envelope.outputs or ()))
        for alias in aliases_of(dataset.facets)
    }


def _current_runs(connection: Connection) -> set[bytes]:
    """Keys of the runs that the current graph, its newest versions, the newest result of each assertion and what jobs
    wait for rest on, and of their parents."""
    job, run, use, dataset = tables.job, tables.run, tables.run_dataset, tables.dataset
    dependency, assertion = tables.job_dependency.c, tables.assertion.c
    newest = (
        select(use.c.run)
        .where(use.c.dataset_id == dataset.c.id, tables.is_written(use))
        .order_by(use.c.written_us.desc(), use.c.run.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids: set[int] = set()
    for column in (job.c.latest_run, job.c.input_run, job.c.output_run, job.c.statement_run):
        ids.update(connection.execute(select(column).where(column.is_not(None))).scalars())
    ids.update(one for one in connection.execute(select(newest)).scalars() if one is not None)
    ids.update(connection.execute(select(dependency.run).where(dependency.direction == tables.TOLD_BY)).scalars())
    keys = {bytes(key) for key in connection.execute(select(assertion.key).distinct()).scalars()}
    for chunk in chunks(ids, CHUNK):
        query = select(run.c.run_key, run.c.parent_key, run.c.root_key).where(among(connection, run.c.id, chunk))
        for row in connection.execute(query):
            keys.update(key for key in row if key is not None)
    return keys


def _times_in_force(connection: Connection, before_us: int) -> set[int]:
    """Times, before the limit, of the events that gave a current facet, or the first or last word on a thing."""
    times: set[int] = set()
    for table in (tables.dataset, tables.job):
        columns = (table.c.created_us, table.c.updated_us, table.c.facets)
        for created_us, updated_us, packed in connection.execute(select(*columns).execution_options(yield_per=CHUNK)):
            times.update((created_us, updated_us))
            times.update(time_us for time_us, _, _ in unpack_facets(packed).values())
    stamps = select(tables.job.c.parent_stamp).where(tables.job.c.parent_stamp.is_not(None))
    times.update(stamp_time(stamp) for stamp in connection.execute(stamps).scalars())
    return _before(times, before_us)


def _before(times: Iterable[int], limit: int) -> set[int]:
    return {time for time in times if time < limit}
