"""Runs as Marquez's JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, select

from collector import tables
from collector.curation import is_curated
from collector.documents.bodies import Bodies
from collector.documents.reads import Reading, versions_read
from collector.facts import IO_PREFIX, JOB_PREFIX, UseFacts, under_one_name
from collector.keys import isoformat, run_uuid
from collector.packing import pack_facets, unpack_facets
from collector.store.compiled import Among, statement
from collector.tables import INPUT, OUTPUT
from collector.versions import SourceCodeLocation, job_version, version_uuid
from collector.walk import among

JSON = dict[str, Any]

ARGS = "headwater_args"  # run facet: what a legacy client gave as the run's arguments
_LOCATION = "sourceCodeLocation"


class _Args(msgspec.Struct):
    args: dict[str, Any] | None = None


class Use(NamedTuple):
    """That a run read or wrote a dataset, named by the name that stands for it."""

    run: int
    direction: int
    dataset_id: int  # the name that the event gave, the least of several
    canonical_id: int
    namespace: str
    name: str
    version: str | None
    checksum: str | None
    first_us: int
    written_us: int | None  # of an output: when this version was there, None if it never was
    facets: bytes


def run_rows(connection: Connection, runs: Iterable[int]) -> list[Row[Any]]:
    """The rows of ``run`` with these ids: one statement."""
    return list(connection.execute(select(tables.run).where(among(connection, tables.run.c.id, runs))).all())


class ShortRun(NamedTuple):
    """What a run's document shows, without what it read and wrote."""

    id: int
    run_key: bytes
    created_us: int
    updated_us: int
    state: str
    started_us: int | None
    ended_us: int | None
    nominal_start: str | None
    nominal_end: str | None
    facets: bytes


@statement
def _short(among: Among) -> Any:
    return select(*(tables.run.c[name] for name in ShortRun._fields)).where(among(tables.run.c.id))


def short_runs(connection: Connection, runs: Iterable[int]) -> dict[int, ShortRun]:
    """Runs by their ids: one statement."""
    return {row[0]: ShortRun._make(row) for row in _short(connection, runs)}


def run_bodies(connection: Connection, runs: Iterable[ShortRun]) -> Bodies:
    """The facets that ``short_document`` shows: one statement."""
    return Bodies(connection, (run.facets for run in runs), fits=_is_of_run)


def short_document(run: ShortRun, bodies: Bodies | None) -> JSON:
    """A run as Marquez's Run, without what it read and wrote; without ``bodies`` without facets."""
    return _document(run, bodies)


def full_run_documents(connection: Connection, runs: Iterable[int]) -> dict[int, JSON]:
    """Each run with its job's version, and the versions that it read and wrote: nine statements at most."""
    rows = run_rows(connection, runs)
    uses = uses_of_runs(connection, [row.id for row in rows])
    bodies = Bodies(connection, (row.facets for row in rows), fits=_is_of_full_run)
    use_facets = [use.facets for found in uses.values() for use in found]
    use_bodies = Bodies(connection, use_facets, fits=lambda name: name.startswith(IO_PREFIX))
    jobs = _jobs(connection, {row.job_id for row in rows})
    readings = versions_read(
        connection,
        [
            Reading(
                row.id, use.dataset_id, use.canonical_id, use.version, use.checksum, row.started_us or row.created_us
            )
            for row in rows
            for use in uses[row.id]
            if use.direction == INPUT
        ],
    )
    found = {}
    for row in rows:
        document = found[row.id] = _document(row, bodies)
        namespace, name, current_location = jobs[row.job_id]
        location = bodies.get(row.facets, JOB_PREFIX + _LOCATION, SourceCodeLocation)
        version = run_job_version(row.job_id, uses[row.id], location.url if location else current_location)
        document["jobVersion"] = {"namespace": namespace, "name": name, "version": version}
        for use in uses[row.id]:
            version_id: JSON = {"namespace": use.namespace, "name": use.name}
            one: JSON = {"datasetVersionId": version_id, "facets": use_bodies.own(use.facets, of_use=True)}
            if use.direction == OUTPUT:
                version_id["version"] = version_uuid(use.dataset_id, row.run_key)
                document["outputDatasetVersions"].append(one)
            else:
                read = readings[row.id, use.dataset_id]
                version_id["version"] = read.uuid
                one["evidence"] = read.evidence
                document["inputDatasetVersions"].append(one)
    return found


def run_job_version(job_id: int, uses: Iterable[Use], location: str | None) -> str:
    """The UUID of the job version that a run ran."""
    sides: dict[int, set[tuple[str, str]]] = {INPUT: set(), OUTPUT: set()}
    for use in uses:
        sides[use.direction].add((use.namespace, use.name))
    return job_version(job_id, sides[INPUT], sides[OUTPUT], location)


def uses_of_runs(connection: Connection, runs: Iterable[int]) -> dict[int, list[Use]]:
    """What each run read and wrote, each dataset once, in the order of the names: one statement."""
    u, d, c, n = tables.run_dataset.c, tables.dataset, tables.dataset.alias("canonical"), tables.namespace
    query = (
        select(
            u.run,
            u.direction,
            u.dataset_id,
            d.c.canonical_id,
            n.c.name,
            c.c.name,
            u.version,
            u.checksum,
            u.first_us,
            u.written_us,
            u.facets,
        )
        .select_from(tables.run_dataset)
        .join(d, d.c.id == u.dataset_id)
        .join(c, c.c.id == d.c.canonical_id)
        .join(n, n.c.id == c.c.namespace_id)
        .where(among(connection, u.run, runs))
    )
    found: dict[int, list[Use]] = defaultdict(list)
    for row in connection.execute(query):
        found[row[0]].append(Use._make(row))
    for run, uses in found.items():
        uses.sort(key=lambda use: (use.namespace, use.name, use.dataset_id))
        if len({(use.direction, use.canonical_id) for use in uses}) < len(uses):
            found[run] = _joined(uses)
    return found


def _joined(uses: Collection[Use]) -> list[Use]:
    """The uses with those of one dataset made one: what is said of several of its names is said of the least id."""
    rows = {(use.direction, use.canonical_id): use for use in uses}
    known = under_one_name(
        (
            (use.direction, use.canonical_id),
            use.dataset_id,
            UseFacts.of(use.first_us, use.version, use.checksum, None, use.written_us, unpack_facets(use.facets)),
        )
        for use in uses
    )
    return [
        rows[key]._replace(
            dataset_id=named,
            version=joined.version,
            checksum=joined.checksum,
            first_us=joined.first_us,
            written_us=joined.written_us,
            facets=pack_facets(joined.facets),
        )
        for key, (named, joined) in known.items()
    ]


def jobs_of_runs(connection: Connection, runs: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Namespace and name of each run's job: one statement."""
    r, j, n = tables.run, tables.job, tables.namespace
    query = (
        select(r.c.id, n.c.name, j.c.name)
        .select_from(r)
        .join(j, j.c.id == r.c.job_id)
        .join(n, n.c.id == j.c.namespace_id)
        .where(among(connection, r.c.id, runs))
    )
    return {run: (namespace, name) for run, namespace, name in connection.execute(query)}


def run_facets(connection: Connection, run_id: int, *, of_job: bool) -> dict[str, Any]:
    """The facets that a run's events gave of the run, or of its job."""
    [row] = run_rows(connection, [run_id])
    bodies = Bodies(connection, [row.facets])
    return bodies.of_job(row.facets) if of_job else bodies.all(row.facets)


def _jobs(connection: Connection, jobs: Iterable[int]) -> dict[int, tuple[str, str, str | None]]:
    """Namespace, name and current location of each job: two statements."""
    j, n = tables.job, tables.namespace
    query = select(j.c.id, n.c.name, j.c.name, j.c.facets).join(n, n.c.id == j.c.namespace_id)
    rows = connection.execute(query.where(among(connection, j.c.id, jobs))).all()
    bodies = Bodies(connection, (row[3] for row in rows), fits=lambda name: name == _LOCATION)
    found = {}
    for job_id, namespace, name, packed in rows:
        location = bodies.get(packed, _LOCATION, SourceCodeLocation)
        found[job_id] = (namespace, name, location.url if location else None)
    return found


def _is_of_run(name: str) -> bool:
    return not name.startswith(JOB_PREFIX) and not is_curated(name)


def _is_of_full_run(name: str) -> bool:
    return name == JOB_PREFIX + _LOCATION or _is_of_run(name)


def _document(row: Row[Any] | ShortRun, bodies: Bodies | None) -> JSON:
    started, ended = row.started_us, row.ended_us
    args = bodies.get(row.facets, ARGS, _Args) if bodies is not None else None
    return {
        "id": run_uuid(row.run_key),
        "createdAt": isoformat(row.created_us),
        "updatedAt": isoformat(row.updated_us),
        "nominalStartTime": row.nominal_start,
        "nominalEndTime": row.nominal_end,
        "state": row.state,
        "startedAt": isoformat(row.started_us),
        "endedAt": isoformat(row.ended_us),
        "durationMs": max(0, ended - started) // 1_000 if started is not None and ended is not None else None,
        "args": (args.args if args else None) or {},
        "jobVersion": None,
        "inputDatasetVersions": [],
        "outputDatasetVersions": [],
        "facets": bodies.all(row.facets) if bodies is not None else {},
    }
