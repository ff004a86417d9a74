"""Versions of datasets as Marquez's JSON."""

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
from collector.documents.reads import NEVER_WRITTEN
from collector.documents.runs import Use, full_run_documents, uses_of_runs
from collector.facets import Lifecycle
from collector.facts import IO_PREFIX, FacetSet
from collector.keys import isoformat
from collector.lookup import names_of
from collector.packing import pack_facets, unpack_facets
from collector.tables import OUTPUT
from collector.versions import version_key, version_uuid
from collector.walk import among

JSON = dict[str, Any]

FOUND_BY_READERS = ("dataQualityAssertions", "dataQualityMetrics")


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
    """A page of a dataset's versions (canonical id), newest first, and how many there are.

    What nobody wrote has one, as it was read: Marquez's UI shows nothing of a dataset without a version.
    """
    names = names_of(connection, dataset)
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
    if not total:
        versions = [_never_written(connection, dataset)][offset : offset + limit]
        return _version_documents(connection, dataset, versions), 1
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
    names = names_of(connection, dataset)
    by_key = {one: version_key(one, wanted) for one in names}
    u, r, v = tables.run_dataset.c, tables.run.c, tables.dataset_version.c
    query = (
        select(r.run_key, u.run, u.dataset_id)
        .join_from(tables.run, tables.run_dataset, u.run == r.id)
        .where(r.run_key.in_(list(by_key.values())), u.direction == OUTPUT, among(connection, u.dataset_id, names))
    )
    for key, run, one in connection.execute(query).all():
        if by_key[one] == bytes(key):
            use = _outputs(connection, [run], dataset)[run]
            at = use.first_us if use.written_us is None else use.written_us
            version = _Version(use.dataset_id, bytes(key), run, at, use.facets)
            return _version_documents(connection, dataset, [version])[0]
    told = select(v.key, v.dataset_id, v.created_us, v.facets).where(
        among(connection, v.dataset_id, names), v.key.in_(list(by_key.values()))
    )
    for key, one, at, facets in connection.execute(told):
        if by_key[one] == bytes(key):
            return _version_documents(connection, dataset, [_Version(one, bytes(key), None, at, facets)])[0]
    if by_key.get(dataset) == NEVER_WRITTEN:
        return _version_documents(connection, dataset, [_never_written(connection, dataset)])[0]
    return None


def _never_written(connection: Connection, dataset: int) -> _Version:
    """The version that runs read before anyone had written the dataset."""
    d = tables.dataset.c
    at, facets = connection.execute(select(d.created_us, d.facets).where(d.id == dataset)).one()
    return _Version(dataset, NEVER_WRITTEN, None, at, facets)


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
    """Each version with the facets that were said then; where its run did not say a schema or so, the dataset's.

    The current one also has what runs that read it since found out about it, as in Marquez.
    """
    current = dataset_documents(connection, [dataset], with_facets=False)[dataset]
    d = tables.dataset.c
    now = unpack_facets(connection.execute(select(d.facets).where(d.id == dataset)).scalar_one())
    newest = current["currentVersion"] or version_uuid(dataset, NEVER_WRITTEN)
    packed = [
        pack_facets(
            (_found_since(version.created_us, now) if version.uuid == newest else {})
            | _completed(unpack_facets(version.facets), now)
        )
        for version in versions
    ]
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


def _found_since(time_us: int, now: FacetSet) -> FacetSet:
    """What runs that read the dataset at ``time_us`` or later found out about it, as facets of the dataset itself."""
    found = {name: now[IO_PREFIX + name] for name in FOUND_BY_READERS if IO_PREFIX + name in now}
    return {name: entry for name, entry in found.items() if entry[0] >= time_us}


def _schema_version(fields: list[JSON]) -> str | None:
    """A UUID that two versions share when their columns have the same names and types."""
    if not fields:
        return None
    text = msgspec.json.encode([[field["name"], field["type"]] for field in fields])
    return str(uuid.UUID(bytes=keys.content_hash(text), version=5))


def _told_facets(connection: Connection, names: Iterable[int]) -> dict[tuple[int, bytes], bytes]:
    v = tables.dataset_version.c
    query = select(v.dataset_id, v.key, v.facets).where(among(connection, v.dataset_id, names))
    return {(dataset, bytes(key)): facets for dataset, key, facets in connection.execute(query)}
