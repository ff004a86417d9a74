"""Versions of datasets and jobs as Marquez's JSON."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, func, literal, select, union_all

from collector import keys, tables
from collector.curation import is_curated
from collector.documents.bodies import Bodies
from collector.documents.datasets import SHOWN, dataset_documents, dataset_names, described
from collector.documents.jobs import full_job_document
from collector.documents.reads import NEVER_WRITTEN
from collector.documents.runs import Use, full_run_documents, run_job_version, run_rows, uses_of_runs
from collector.facets import Lifecycle
from collector.facts import JOB_PREFIX, FacetSet
from collector.keys import isoformat
from collector.packing import pack_facets, unpack_facets
from collector.tables import OUTPUT
from collector.versions import (
    JobSides,
    SourceCodeLocation,
    job_version_uuid,
    sides_key,
    version_key,
    version_uuid,
)
from collector.walk import among

JSON = dict[str, Any]

MOST_RUNS = 1_000  # of a job, the newest: those whose versions are told apart


@dataclass(frozen=True, slots=True)
class _Version:
    dataset_id: int  # the name under which it was written, the least of several
    key: bytes  # of the run, or of the DatasetEvent
    run: int | None
    created_us: int
    facets: bytes

    @property
    def uuid(self) -> str:
        return version_uuid(self.dataset_id, self.key)


def dataset_versions(connection: Connection, dataset: int, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of a dataset's versions (canonical id), newest first, and how many there are."""
    names = _names_of(connection, dataset)
    u, r, v = tables.run_dataset.c, tables.run.c, tables.dataset_version.c
    at = func.min(u.written_us).label("at")  # a run may list it under several names, and writes one version
    written = (
        select(u.run, func.min(u.dataset_id).label("dataset_id"), at, literal(None, tables.Bytes).label("key"))
        .where(among(connection, u.dataset_id, names), tables.is_written(tables.run_dataset))
        .group_by(u.run)
    )
    told = select(literal(None, tables.BigInteger), v.dataset_id, v.created_us, v.key).where(
        among(connection, v.dataset_id, names)
    )
    both = union_all(written, told).subquery()
    total = connection.execute(select(func.count()).select_from(both)).scalar_one()
    c = both.c
    order = (c["at"].desc(), c.run.desc(), c.key.desc())
    page = connection.execute(select(c.run, c.dataset_id, c["at"], c.key).order_by(*order).limit(limit).offset(offset))
    found = page.all()
    runs = {row[0] for row in found if row[0] is not None}
    keys_of = connection.execute(select(r.id, r.run_key).where(among(connection, r.id, runs)))
    run_keys = {run: bytes(key) for run, key in keys_of}
    of_runs = _outputs(connection, runs, dataset)
    events = {bytes(row[3]) for row in found if row[3] is not None}
    of_events = _told_facets(connection, names) if events else {}
    versions = [
        _Version(of_runs[run].dataset_id, run_keys[run], run, at, of_runs[run].facets)
        if run is not None
        else _Version(one, bytes(key), None, at, of_events[one, bytes(key)])
        for run, one, at, key in found
    ]
    return _version_documents(connection, dataset, versions), total


def dataset_version(connection: Connection, dataset: int, text: str) -> JSON | None:
    """One version of a dataset (canonical id) by its UUID; None where there is none."""
    try:
        wanted = uuid.UUID(text).bytes
    except ValueError:
        return None
    names = _names_of(connection, dataset)
    by_key = {one: version_key(one, wanted) for one in names}
    u, r, v = tables.run_dataset.c, tables.run.c, tables.dataset_version.c
    query = (
        select(r.run_key, u.run, u.dataset_id, u.written_us, u.first_us)
        .join_from(tables.run, tables.run_dataset, u.run == r.id)
        .where(r.run_key.in_(list(by_key.values())), u.direction == OUTPUT, among(connection, u.dataset_id, names))
    )
    listed = connection.execute(query).all()
    for key, run, one, *_ in listed:
        if by_key[one] == bytes(key):
            of_run = [row for row in listed if row.run == run]
            at = min((row.written_us for row in of_run if row.written_us is not None), default=None)
            at = min(row.first_us for row in of_run) if at is None else at
            use = _outputs(connection, [run], dataset)[run]
            return _version_documents(connection, dataset, [_Version(use.dataset_id, bytes(key), run, at, use.facets)])[
                0
            ]
    told = select(v.key, v.dataset_id, v.created_us, v.facets).where(
        among(connection, v.dataset_id, names), v.key.in_(list(by_key.values()))
    )
    for key, one, at, facets in connection.execute(told):
        if by_key[one] == bytes(key):
            return _version_documents(connection, dataset, [_Version(one, bytes(key), None, at, facets)])[0]
    if by_key.get(dataset) == NEVER_WRITTEN:
        d = tables.dataset.c
        at, facets = connection.execute(select(d.created_us, d.facets).where(d.id == dataset)).one()
        return _version_documents(connection, dataset, [_Version(dataset, NEVER_WRITTEN, None, at, facets)])[0]
    return None


def _outputs(connection: Connection, runs: Iterable[int], dataset: int) -> dict[int, Use]:
    """What each run that wrote a dataset says of it."""
    uses = uses_of_runs(connection, runs)
    return {
        run: use
        for run, found in uses.items()
        for use in found
        if (use.direction, use.canonical_id) == (OUTPUT, dataset)
    }


def _version_documents(connection: Connection, dataset: int, versions: list[_Version]) -> list[JSON]:
    """Each version with the facets that were said then; where its run did not say a schema or so, the dataset's."""
    current = dataset_documents(connection, [dataset], with_facets=False)[dataset]
    d = tables.dataset.c
    now = unpack_facets(connection.execute(select(d.facets).where(d.id == dataset)).scalar_one())
    packed = [pack_facets(_completed(unpack_facets(version.facets), now)) for version in versions]
    bodies = Bodies(connection, packed)
    runs = full_run_documents(connection, {version.run for version in versions if version.run is not None})
    namespace, name = dataset_names(connection, [dataset])[dataset]
    found = []
    for version, facets in zip(versions, packed, strict=True):
        document = described(bodies, facets, namespace, name)
        lifecycle = bodies.get(facets, "lifecycleStateChange", Lifecycle)
        document |= {
            "id": {"namespace": namespace, "name": name, "version": version.uuid},
            "physicalName": current["physicalName"],
            "createdAt": isoformat(version.created_us),
            "version": version.uuid,
            "lifecycleState": lifecycle.lifecycleStateChange if lifecycle else None,
            "currentSchemaVersion": _schema_version(document["fields"]),
            "createdByRun": runs.get(version.run) if version.run is not None else None,
            "facets": bodies.own(facets, of_use=False),
        }
        found.append(document)
    return found


def _completed(said: FacetSet, now: FacetSet) -> FacetSet:
    """What was said then, with what people say by hand, and what describes the dataset where nothing was said."""
    kept = {name: entry for name, entry in now.items() if is_curated(name)}
    kept |= {name: now[name] for name in SHOWN if name in now and name not in said}
    return said | kept


def _schema_version(fields: list[JSON]) -> str | None:
    """A UUID that two versions share when their columns have the same names and types."""
    if not fields:
        return None
    text = msgspec.json.encode([[field["name"], field["type"]] for field in fields])
    return str(uuid.UUID(bytes=keys.content_hash(text), version=5))


def _names_of(connection: Connection, dataset: int) -> list[int]:
    """The ids of every name of a dataset."""
    d = tables.dataset.c
    return list(connection.execute(select(d.id).where(d.canonical_id == dataset)).scalars())


def _told_facets(connection: Connection, names: Iterable[int]) -> dict[tuple[int, bytes], bytes]:
    v = tables.dataset_version.c
    query = select(v.dataset_id, v.key, v.facets).where(among(connection, v.dataset_id, names))
    return {(dataset, bytes(key)): facets for dataset, key, facets in connection.execute(query)}


# --- jobs ------------------------------------------------------------------------------------------------------------


def job_versions(connection: Connection, job_id: int) -> list[JSON]:
    """The versions of a job, newest first: of its newest MOST_RUNS runs, those that JobEvents declared, the current."""
    job = full_job_document(connection, job_id)
    r = tables.run.c
    newest = select(r.id).where(r.job_id == job_id).order_by(r.created_us.desc(), r.run_key.desc()).limit(MOST_RUNS)
    rows = {row.id: row for row in run_rows(connection, list(connection.execute(newest).scalars()))}
    uses = uses_of_runs(connection, rows)
    location_facet = f"{JOB_PREFIX}sourceCodeLocation"
    bodies = Bodies(connection, (row.facets for row in rows.values()), fits=lambda name: name == location_facet)
    found: dict[str, JSON] = {}
    latest: dict[str, int] = {}
    for run, row in sorted(rows.items(), key=lambda item: (item[1].created_us, item[1].run_key), reverse=True):
        said = bodies.get(row.facets, location_facet, SourceCodeLocation)
        location = said.url if said else job["location"]
        version = run_job_version(job_id, uses[run], location)
        sides: list[set[tuple[str, str]]] = [set(), set()]
        for use in uses[run]:
            sides[use.direction].add((use.namespace, use.name))
        if version not in found:
            found[version] = _job_version(job, version, row.created_us, sides[0], sides[1], location)
            latest[version] = run
        else:
            found[version]["created_us"] = row.created_us
    v = tables.job_version.c
    for key, created_us, text in connection.execute(select(v.key, v.created_us, v.sides).where(v.job_id == job_id)):
        declared = msgspec.json.decode(text, type=JobSides)
        version = job_version_uuid(job_id, bytes(key))
        one = _job_version(job, version, created_us, declared.inputs, declared.outputs, declared.location)
        known = found.setdefault(version, one)
        known["created_us"] = min(known["created_us"], created_us)
    current = job["currentVersion"]
    if current not in found:
        names = [[(one["namespace"], one["name"]) for one in job[side]] for side in ("inputs", "outputs")]
        assert current == job_version_uuid(job_id, sides_key(JobSides(names[0], names[1], job["location"])))
        at = keys.microseconds(job["updatedAt"])
        found[current] = _job_version(job, current, at, names[0], names[1], job["location"])
    runs = full_run_documents(connection, latest.values())
    documents = sorted(found.values(), key=lambda one: (one["created_us"], one["version"]), reverse=True)
    for document in documents:
        document["createdAt"] = isoformat(document.pop("created_us"))
        document["latestRun"] = runs.get(latest.get(document["version"], -1))
    return documents


def _job_version(
    job: JSON,
    version: str,
    created_us: int,
    inputs: Iterable[tuple[str, str]],
    outputs: Iterable[tuple[str, str]],
    location: str | None,
) -> JSON:
    return {
        "id": {**job["id"], "version": version},
        "name": job["name"],
        "version": version,
        "created_us": created_us,
        "namespace": job["namespace"],
        "inputs": [{"namespace": namespace, "name": name} for namespace, name in sorted(inputs)],
        "outputs": [{"namespace": namespace, "name": name} for namespace, name in sorted(outputs)],
        "location": location,
        "latestRun": None,
        "facets": job["facets"],
    }
