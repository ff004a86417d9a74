"""Versions of jobs as Marquez's JSON: what a job reads, what it writes and where its code lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Text, cast, func, select

from collector import keys, tables
from collector.documents.bodies import Bodies
from collector.documents.jobs import Sides, full_job_document, ids_of_side
from collector.documents.runs import full_run_documents
from collector.facts import JOB_PREFIX
from collector.keys import isoformat
from collector.store.compiled import Among, given, statement
from collector.tables import INPUT, OUTPUT
from collector.versions import JobSides, Name, SourceCodeLocation, job_version_uuid, sides_key

JSON = dict[str, Any]

MOST_RUNS = 100_000  # of a job, the newest: those whose versions are told apart; half a second's work
_LOCATION = f"{JOB_PREFIX}sourceCodeLocation"


class _Located(msgspec.Struct, rename={"location": _LOCATION}):
    """Of a run's packed facets, the one that its version depends on."""

    location: tuple[int, int, int] | None = None


_decode = msgspec.msgpack.Decoder(_Located).decode


@dataclass(slots=True)
class _Alike:
    """Runs that name the same datasets and the same facet: the newest of them, and when the oldest was created."""

    run: int
    created_us: int
    facets: bytes


class _Version(NamedTuple):
    uuid: str
    created_us: int
    inputs: list[Name]
    outputs: list[Name]
    location: str | None
    latest_run: int | None = None


def job_versions(connection: Connection, job_id: int, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of a job's versions, newest first, and how many there are: a fixed number of statements.

    They are those of its newest MOST_RUNS runs, those that JobEvents declared, and the current one.
    """
    job = full_job_document(connection, job_id)
    found = _versions(connection, job_id, job)
    ordered = sorted(found.values(), key=lambda one: (one.created_us, one.uuid), reverse=True)
    return _documents(connection, job, ordered[offset : offset + limit]), len(found)


def job_version(connection: Connection, job_id: int, version: str) -> JSON | None:
    """One version of a job by its UUID; None where there is none."""
    job = full_job_document(connection, job_id)
    found = _versions(connection, job_id, job).get(version.lower())
    return _documents(connection, job, [found])[0] if found is not None else None


def _versions(connection: Connection, job_id: int, job: JSON) -> dict[str, _Version]:
    found: dict[str, _Version] = {}
    for one in (*_of_runs(connection, job_id, job["location"]), *_declared(connection, job_id)):
        known = found.setdefault(one.uuid, one)
        if one.created_us < known.created_us:
            found[one.uuid] = known._replace(created_us=one.created_us)
    if job["currentVersion"] not in found:
        inputs, outputs = ([(one["namespace"], one["name"]) for one in job[side]] for side in ("inputs", "outputs"))
        one = _version(job_id, keys.microseconds(job["updatedAt"]), inputs, outputs, job["location"])
        assert one.uuid == job["currentVersion"]
        found[one.uuid] = one
    return found


# --- of runs ---------------------------------------------------------------------------------------------------------


def _newest(*columns: Any) -> Any:
    r = tables.run.c
    newest = select(*columns).where(r.job_id == given("job"))
    return newest.order_by(r.created_us.desc(), r.run_key.desc()).limit(given("most"))


@statement
def _runs(_: Among) -> Any:
    r = tables.run.c
    return _newest(r.id, r.created_us, r.facets)


@statement
def _sides_of_runs(_: Among) -> Any:
    u, newest = tables.run_dataset, _newest(tables.run.c.id).subquery()
    ids = func.aggregate_strings(cast(u.c.dataset_id, Text), ",")
    sides = (ids.filter(u.c.direction == INPUT), ids.filter(u.c.direction == OUTPUT))
    return select(u.c.run, *sides).select_from(newest).join(u, u.c.run == newest.c.id).group_by(u.c.run)


@statement
def _canonical_names(among: Among) -> Any:
    d, c, n = tables.dataset, tables.dataset.alias("canonical"), tables.namespace
    joined = select(d.c.id, n.c.name, c.c.name).join(c, c.c.id == d.c.canonical_id).join(n, n.c.id == c.c.namespace_id)
    return joined.where(among(d.c.id))


def _of_runs(connection: Connection, job_id: int, location: str | None) -> list[_Version]:
    """The versions of runs that are alike, those of newer runs first: four statements. ``location`` is the job's."""
    sides: dict[int, Sides] = {
        run: (inputs, outputs) for run, inputs, outputs in _sides_of_runs(connection, job=job_id, most=MOST_RUNS)
    }
    alike: dict[tuple[str | None, str | None, int], _Alike] = {}
    for run, created_us, facets in _runs(connection, job=job_id, most=MOST_RUNS):
        said = _decode(facets).location
        key = (*sides.get(run, (None, None)), said[2] if said is not None else 0)
        known = alike.setdefault(key, _Alike(run, created_us, facets))
        known.created_us = min(known.created_us, created_us)
    ids = {key: (ids_of_side(key[0]), ids_of_side(key[1])) for key in alike}
    datasets = {dataset for both in ids.values() for side in both for dataset in side}
    names = {dataset: (namespace, name) for dataset, namespace, name in _canonical_names(connection, datasets)}
    bodies = Bodies(connection, (one.facets for one in alike.values()), fits=lambda name: name == _LOCATION)
    found = []
    for key, one in alike.items():
        told = bodies.get(one.facets, _LOCATION, SourceCodeLocation)
        inputs, outputs = (sorted({names[dataset] for dataset in side}) for side in ids[key])
        found.append(_version(job_id, one.created_us, inputs, outputs, told.url if told else location, one.run))
    return found


# --- of JobEvents ----------------------------------------------------------------------------------------------------


def _declared(connection: Connection, job_id: int) -> list[_Version]:
    v = tables.job_version.c
    found = []
    for key, created_us, text in connection.execute(select(v.key, v.created_us, v.sides).where(v.job_id == job_id)):
        sides = msgspec.json.decode(text, type=JobSides)
        uuid = job_version_uuid(job_id, bytes(key))
        found.append(_Version(uuid, created_us, sides.inputs, sides.outputs, sides.location))
    return found


def _version(
    job_id: int, created_us: int, inputs: list[Name], outputs: list[Name], location: str | None, run: int | None = None
) -> _Version:
    uuid = job_version_uuid(job_id, sides_key(JobSides(inputs, outputs, location)))
    return _Version(uuid, created_us, inputs, outputs, location, run)


def _documents(connection: Connection, job: JSON, versions: list[_Version]) -> list[JSON]:
    runs = full_run_documents(connection, [one.latest_run for one in versions if one.latest_run is not None])
    return [
        {
            "id": {**job["id"], "version": one.uuid},
            "name": job["name"],
            "version": one.uuid,
            "createdAt": isoformat(one.created_us),
            "namespace": job["namespace"],
            "inputs": _named(one.inputs),
            "outputs": _named(one.outputs),
            "location": one.location,
            "latestRun": runs[one.latest_run] if one.latest_run is not None else None,
            "facets": job["facets"],
        }
        for one in versions
    ]


def _named(side: Iterable[Name]) -> list[JSON]:
    return [{"namespace": namespace, "name": name} for namespace, name in sorted(side)]
