"""Jobs as Marquez's JSON."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson
from sqlalchemy import Connection, Text, and_, cast, func, select

from collector import tables
from collector.curation import Told
from collector.documents.bodies import Bodies
from collector.documents.datasets import Documentation, dataset_names
from collector.documents.finished import Finished, finish, still_finished
from collector.documents.runs import ShortRun, full_run_documents, run_bodies, short_document, short_runs
from collector.keys import isoformat
from collector.registry import Tags
from collector.store.compiled import Among, statement
from collector.tables import INPUT, OUTPUT
from collector.versions import SourceCodeLocation, job_version

JSON = dict[str, Any]

SHOWN = ("documentation", "sourceCodeLocation", "jobType", "tags")
_DRAWN = "drawn job"
LATEST_RUNS = 10  # as many as Marquez shows of a job


class JobType(msgspec.Struct):
    """``jobType`` (job)."""

    processingType: str | None = None
    integration: str | None = None
    jobType: str | None = None


@statement
def _rows(among: Among) -> Any:
    j = tables.job.c
    columns = (j.id, j.namespace_id, j.created_us, j.updated_us, j.hidden_us, j.parent_id, j.latest_run, j.facets)
    return select(*columns).where(among(j.id))


@statement
def _names(among: Among) -> Any:
    j, n = tables.job, tables.namespace
    parent = j.alias("parent")
    return (
        select(j.c.id, n.c.name, j.c.name, parent.c.name)
        .join(n, n.c.id == j.c.namespace_id)
        .outerjoin(parent, parent.c.id == j.c.parent_id)
        .where(among(j.c.id))
    )


@statement
def _sides(among: Among) -> Any:
    e = tables.edge.c
    ids = func.aggregate_strings(cast(e.dataset_id, Text), ",")
    sides = (ids.filter(e.direction == INPUT), ids.filter(e.direction == OUTPUT))
    return select(e.job_id, *sides).where(among(e.job_id)).group_by(e.job_id)


Sides = tuple[str | None, str | None]  # ids of what a job reads and of what it writes, with commas between
_NO_SIDES: Sides = (None, None)


def sides_of_jobs(connection: Connection, jobs: Iterable[int]) -> dict[int, Sides]:
    """What each job reads and writes now: one statement, one row a job."""
    return {job: (inputs, outputs) for job, inputs, outputs in _sides(connection, jobs)}


def known_sides_of_jobs(connection: Connection, jobs: Collection[int]) -> dict[int, Sides]:
    """``sides_of_jobs``, from the documents that are kept where nothing was stored since: two statements."""
    found: dict[int, Sides] = {job: shown.rows.sides for job, shown in still_finished(connection, _DRAWN, jobs).items()}
    if len(found) < len(jobs):
        found |= sides_of_jobs(connection, [job for job in jobs if job not in found])
    return found


def ids_of_side(side: str | None) -> list[int]:
    """The dataset ids in one of a job's Sides."""
    return orjson.loads(f"[{side}]") if side else []


class JobRow(NamedTuple):
    """A job."""

    id: int
    namespace_id: int
    created_us: int
    updated_us: int
    hidden_us: int | None
    parent_id: int | None
    latest_run: int | None
    facets: bytes


class JobRows(NamedTuple):
    """All that a job's document is made from, but for names and facet bodies, which never change."""

    row: JobRow
    sides: Sides
    latest_run: ShortRun | None
    older_runs: tuple[ShortRun, ...] = ()  # those that are shown beside it, newest first


def job_rows(
    connection: Connection, jobs: Iterable[int], sides: Mapping[int, Sides] | None = None
) -> dict[int, JobRows]:
    """The rows of each job, with its latest run: two statements, and one where ``sides`` are not known yet."""
    jobs = list(jobs)
    rows = list(map(JobRow._make, _rows(connection, jobs)))
    if sides is None:
        sides = sides_of_jobs(connection, jobs)
    runs = short_runs(connection, [row.latest_run for row in rows if row.latest_run is not None])
    return {row.id: JobRows(row, sides.get(row.id, _NO_SIDES), runs.get(row.latest_run or 0)) for row in rows}


def listed_jobs(connection: Connection, jobs: Collection[int]) -> dict[int, Finished[JobRows]]:
    """Each job as lists show it, with facets and latest runs in short (no facets of the older ones, nothing of what
    they read): ten statements at most."""
    return finish(
        connection,
        "listed job",
        jobs,
        lambda ids: _with_older_runs(connection, job_rows(connection, ids)),
        lambda rows: _documents(connection, rows, True),
    )


def drawn_jobs(
    connection: Connection, jobs: Collection[int], sides: Mapping[int, Sides]
) -> dict[int, Finished[JobRows]]:
    """Each job as graphs show it, without facets: six statements at most."""
    return finish(
        connection,
        _DRAWN,
        jobs,
        lambda ids: job_rows(connection, ids, sides),
        lambda rows: _documents(connection, rows, False),
    )


def _with_older_runs(connection: Connection, found: dict[int, JobRows]) -> dict[int, JobRows]:
    newest = _newest_runs(connection, found)
    runs = short_runs(connection, [run for runs in newest.values() for run in runs])
    return {
        job: one._replace(older_runs=tuple(runs[run] for run in newest[job][one.latest_run is not None :]))
        for job, one in found.items()
    }


def job_documents(connection: Connection, jobs: Iterable[int]) -> dict[int, JSON]:
    """Each job as Marquez's Job, with its latest run: seven statements, whatever their number."""
    return _documents(connection, job_rows(connection, jobs), True)


def _documents(connection: Connection, found: Mapping[int, JobRows], with_facets: bool) -> dict[int, JSON]:
    if not found:
        return {}
    names = {job: named for job, *named in _names(connection, found)}
    latest = {job: one.latest_run for job, one in found.items() if one.latest_run is not None}
    bodies = Bodies(connection, (one.row.facets for one in found.values()), None if with_facets else SHOWN)
    of_runs = run_bodies(connection, latest.values()) if with_facets else None
    sides = _named_sides(connection, {job: one.sides for job, one in found.items()})
    documents: dict[int, JSON] = {}
    for job, (row, _, _, older) in found.items():
        namespace, name, parent_name = names[job]
        inputs, outputs = sides[job]
        location = bodies.get(row.facets, "sourceCodeLocation", SourceCodeLocation)
        documentation = bodies.get(row.facets, "documentation", Documentation)
        tags = bodies.get(row.facets, "tags", Tags)
        curated = bodies.curated(row.facets)
        url = location.url if location else None
        version_id = {
            "namespace": namespace,
            "name": name,
            "version": job_version(job, _names_of(inputs), _names_of(outputs), url),
        }
        runs = [short_document(latest[job], of_runs)] if job in latest else []
        runs += [short_document(run, None) for run in older]
        for run in runs:
            run["jobVersion"] = version_id
        documents[job] = {
            "id": {"namespace": namespace, "name": name},
            "type": (curated.told or Told()).type or _type(bodies.get(row.facets, "jobType", JobType)),
            "name": name,
            "simpleName": simple_name(name, parent_name),
            "parentJobName": parent_name,
            "parentJobUuid": str(uuid.UUID(int=row.parent_id)) if parent_name and row.parent_id else None,
            "createdAt": isoformat(row.created_us),
            "updatedAt": isoformat(row.updated_us),
            "namespace": namespace,
            "inputs": inputs,
            "outputs": outputs,
            "location": url,
            "description": curated.described("", documentation.description if documentation else None),
            "latestRun": runs[0] if job in latest else None,
            "latestRuns": runs or None,  # Marquez's UI cannot take an empty list
            "facets": bodies.all(row.facets) if with_facets else {},
            "currentVersion": version_id["version"],
            "labels": [],
            "tags": curated.tagged("", [tag.name for tag in (tags.tags if tags else None) or ()]),
        }
    return documents


def full_job_document(connection: Connection, job_id: int) -> JSON:
    """One job with its latest runs in full: what they read and wrote."""
    document = job_documents(connection, [job_id])[job_id]
    newest = _newest_runs(connection, [job_id])[job_id]
    runs = full_run_documents(connection, newest)
    if newest:
        document["latestRuns"] = [runs[run] for run in newest]
        document["latestRun"] = document["latestRuns"][0]
    return document


@statement
def _newest(among: Among) -> Any:
    j, r, older = tables.job, tables.run, tables.run.alias("older")
    last = (
        select(older.c.created_us)
        .where(older.c.job_id == j.c.id)
        .order_by(older.c.created_us.desc(), older.c.run_key.desc())
        .limit(1)
        .offset(LATEST_RUNS - 1)
        .scalar_subquery()
    )
    return (
        select(j.c.id, r.c.id)
        .select_from(j)
        .join(r, and_(r.c.job_id == j.c.id, r.c.created_us >= func.coalesce(last, -(2**62))))
        .where(among(j.c.id))
        .order_by(r.c.created_us.desc(), r.c.run_key.desc())
    )


def _newest_runs(connection: Connection, jobs: Iterable[int]) -> dict[int, list[int]]:
    """The newest runs of each job, newest first: one statement, which reads no more of a job's runs than it gives."""
    found: dict[int, list[int]] = defaultdict(list)
    for job_id, run in _newest(connection, jobs):
        if len(found[job_id]) < LATEST_RUNS:
            found[job_id].append(run)
    return found


def simple_name(name: str, parent: str | None) -> str:
    """The job's name without its parent's prefix: ``dag.task`` of parent ``dag`` is ``task``."""
    return name[len(parent) + 1 :] if parent and name.startswith(f"{parent}.") and len(name) > len(parent) + 1 else name


def job_sides(connection: Connection, job: int) -> tuple[list[JSON], list[JSON]]:
    """What a job reads and writes now, in the order of their names: two statements."""
    return _named_sides(connection, {job: sides_of_jobs(connection, [job]).get(job, _NO_SIDES)})[job]


def _named_sides(connection: Connection, sides: Mapping[int, Sides]) -> dict[int, tuple[list[JSON], list[JSON]]]:
    ids = {job: (ids_of_side(one[0]), ids_of_side(one[1])) for job, one in sides.items()}
    names = dataset_names(connection, {one for both in ids.values() for side in both for one in side})
    # sorted once, not for each job
    place = {one: number for number, one in enumerate(sorted(names, key=names.__getitem__))}
    named = {one: {"namespace": namespace, "name": name} for one, (namespace, name) in names.items()}
    at = place.__getitem__
    return {
        job: ([named[one] for one in sorted(both[0], key=at)], [named[one] for one in sorted(both[1], key=at)])
        for job, both in ids.items()
    }


def _names_of(side: Iterable[JSON]) -> list[tuple[str, str]]:
    return [(one["namespace"], one["name"]) for one in side]


def _type(kind: JobType | None) -> str:
    return "STREAM" if kind and (kind.processingType or "").upper() == "STREAMING" else "BATCH"
