"""Jobs as Marquez's JSON."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, select

from collector import tables
from collector.curation import Told
from collector.documents.bodies import Bodies
from collector.documents.datasets import Documentation
from collector.documents.runs import full_run_documents, run_documents
from collector.keys import isoformat
from collector.registry import Tags
from collector.tables import INPUT, OUTPUT
from collector.versions import SourceCodeLocation, job_version
from collector.walk import among

JSON = dict[str, Any]

SHOWN = ("documentation", "sourceCodeLocation", "jobType", "tags")
LATEST_RUNS = 10  # as many as Marquez shows of a job


class JobType(msgspec.Struct):
    """``jobType`` (job)."""

    processingType: str | None = None
    integration: str | None = None
    jobType: str | None = None


def job_documents(connection: Connection, jobs: Iterable[int], *, with_facets: bool = True) -> dict[int, JSON]:
    """Each job as Marquez's Job, with its latest run: six statements, whatever their number."""
    jobs = list(jobs)
    j, n = tables.job, tables.namespace
    parent = j.alias("parent")
    query = (
        select(j, n.c.name.label("namespace"), parent.c.name.label("parent_name"))
        .join(n, n.c.id == j.c.namespace_id)
        .outerjoin(parent, parent.c.id == j.c.parent_id)
        .where(among(connection, j.c.id, jobs))
    )
    rows = connection.execute(query).all()
    bodies = Bodies(connection, (row.facets for row in rows), None if with_facets else SHOWN)
    runs = run_documents(connection, {row.latest_run for row in rows if row.latest_run}, with_facets=with_facets)
    sides = job_sides(connection, jobs)
    found: dict[int, JSON] = {}
    for row in rows:
        inputs, outputs = sides[row.id, INPUT], sides[row.id, OUTPUT]
        location = bodies.get(row.facets, "sourceCodeLocation", SourceCodeLocation)
        documentation = bodies.get(row.facets, "documentation", Documentation)
        tags = bodies.get(row.facets, "tags", Tags)
        curated = bodies.curated(row.facets)
        url = location.url if location else None
        version = {
            "namespace": row.namespace,
            "name": row.name,
            "version": job_version(row.id, map(_name, inputs), map(_name, outputs), url),
        }
        run = runs.get(row.latest_run)
        if run is not None:
            run["jobVersion"] = version
        found[row.id] = {
            "id": {"namespace": row.namespace, "name": row.name},
            "type": (curated.told or Told()).type or _type(bodies.get(row.facets, "jobType", JobType)),
            "name": row.name,
            "simpleName": simple_name(row.name, row.parent_name),
            "parentJobName": row.parent_name,
            "parentJobUuid": str(uuid.UUID(int=row.parent_id)) if row.parent_name else None,
            "createdAt": isoformat(row.created_us),
            "updatedAt": isoformat(row.updated_us),
            "namespace": row.namespace,
            "inputs": inputs,
            "outputs": outputs,
            "location": url,
            "description": curated.described("", documentation.description if documentation else None),
            "latestRun": run,
            "latestRuns": [run] if run else [],
            "facets": bodies.all(row.facets) if with_facets else {},
            "currentVersion": version["version"],
            "labels": [],
            "tags": curated.tagged("", [tag.name for tag in (tags.tags if tags else None) or ()]),
        }
    return found


def listed_job_documents(connection: Connection, jobs: Iterable[int]) -> dict[int, JSON]:
    """Each job with facets, and its latest runs in short (no facets, nothing of what they read): eight statements."""
    documents = job_documents(connection, jobs)
    newest = _newest_runs(connection, documents)
    runs = run_documents(connection, {run for found in newest.values() for run in found}, with_facets=False)
    for job_id, document in documents.items():
        version = {**document["id"], "version": document["currentVersion"]}
        for number, run in enumerate(newest[job_id]):
            if number == 0 and document["latestRun"] is not None:
                continue  # it is there already, with its facets
            runs[run]["jobVersion"] = version
            document["latestRuns"].append(runs[run])
    return documents


def full_job_document(connection: Connection, job_id: int) -> JSON:
    """One job with its latest runs in full: what they read and wrote."""
    document = job_documents(connection, [job_id])[job_id]
    newest = _newest_runs(connection, [job_id])[job_id]
    runs = full_run_documents(connection, newest)
    document["latestRuns"] = [runs[run] for run in newest]
    document["latestRun"] = document["latestRuns"][0] if newest else None
    return document


def _newest_runs(connection: Connection, jobs: Iterable[int]) -> dict[int, list[int]]:
    """The newest runs of each job, newest first: one statement, which reads no more of a job's runs than it gives."""
    j, r, older = tables.job, tables.run, tables.run.alias("older")
    last = (
        select(older.c.created_us)
        .where(older.c.job_id == j.c.id)
        .order_by(older.c.created_us.desc(), older.c.run_key.desc())
        .limit(1)
        .offset(LATEST_RUNS - 1)
        .scalar_subquery()
    )
    query = (
        select(j.c.id, r.c.id)
        .select_from(j)
        .join(r, and_(r.c.job_id == j.c.id, r.c.created_us >= func.coalesce(last, -(2**62))))
        .where(among(connection, j.c.id, jobs))
        .order_by(r.c.created_us.desc(), r.c.run_key.desc())
    )
    found: dict[int, list[int]] = defaultdict(list)
    for job_id, run in connection.execute(query):
        if len(found[job_id]) < LATEST_RUNS:
            found[job_id].append(run)
    return found


def simple_name(name: str, parent: str | None) -> str:
    """The job's name without its parent's prefix: ``dag.task`` of parent ``dag`` is ``task``."""
    return name[len(parent) + 1 :] if parent and name.startswith(f"{parent}.") and len(name) > len(parent) + 1 else name


def job_sides(connection: Connection, jobs: Iterable[int]) -> dict[tuple[int, int], list[JSON]]:
    """What each job reads and writes now, by (job id, direction), in the order of their names: one statement."""
    e, d, n = tables.edge, tables.dataset, tables.namespace
    query = (
        select(e.c.job_id, e.c.direction, n.c.name, d.c.name)
        .join(d, d.c.id == e.c.dataset_id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(among(connection, e.c.job_id, jobs))
    )
    found: dict[tuple[int, int], list[JSON]] = defaultdict(list)
    for job_id, direction, namespace, name in connection.execute(query).all():
        found[job_id, direction].append({"namespace": namespace, "name": name})
    for side in found.values():
        if len(side) > 1:
            side.sort(key=_name)
    return found


def _name(dataset: JSON) -> tuple[str, str]:
    return dataset["namespace"], dataset["name"]


def _type(kind: JobType | None) -> str:
    return "STREAM" if kind and (kind.processingType or "").upper() == "STREAMING" else "BATCH"
