"""Jobs as Marquez's JSON."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from collector import tables
from collector.documents.bodies import Bodies
from collector.documents.datasets import Documentation, Tags
from collector.documents.runs import run_documents
from collector.keys import isoformat
from collector.tables import INPUT, OUTPUT
from collector.walk import among

JSON = dict[str, Any]

SHOWN = ("documentation", "sourceCodeLocation", "jobType", "tags")


class SourceCodeLocation(msgspec.Struct):
    """``sourceCodeLocation`` (job)."""

    url: str | None = None


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
        url = location.url if location else None
        version = {"namespace": row.namespace, "name": row.name, "version": job_version(row.id, inputs, outputs, url)}
        run = runs.get(row.latest_run)
        if run is not None:
            run["jobVersion"] = version
        found[row.id] = {
            "id": {"namespace": row.namespace, "name": row.name},
            "type": _type(bodies.get(row.facets, "jobType", JobType)),
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
            "description": documentation.description if documentation else None,
            "latestRun": run,
            "latestRuns": [run] if run else [],
            "facets": bodies.all(row.facets) if with_facets else {},
            "currentVersion": version["version"],
            "labels": [],
            "tags": sorted(tag.name for tag in (tags.tags if tags else None) or ()),
        }
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
    for job_id, direction, namespace, name in connection.execute(query):
        found[job_id, direction].append({"namespace": namespace, "name": name})
    for side in found.values():
        side.sort(key=lambda dataset: (dataset["namespace"], dataset["name"]))
    return found


def job_version(job_id: int, inputs: list[JSON], outputs: list[JSON], location: str | None) -> str:
    """The UUID of a job's version: a function of what it reads, what it writes and where its code lies."""
    parts = (
        [[one["namespace"], one["name"]] for one in inputs],
        [[one["namespace"], one["name"]] for one in outputs],
        location,
    )
    return str(uuid.uuid5(uuid.UUID(int=job_id), msgspec.json.encode(parts).decode()))


def _type(kind: JobType | None) -> str:
    return "STREAM" if kind and (kind.processingType or "").upper() == "STREAMING" else "BATCH"
