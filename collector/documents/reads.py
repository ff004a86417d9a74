"""Which version of a dataset a run read: the one that its facets name, else the newest there was when it started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, and_, case, func, or_, select

from collector import tables
from collector.tables import INPUT, OUTPUT
from collector.versions import version_uuid
from collector.walk import among

NEVER_WRITTEN = b"\0" * 16  # the key of the version of a dataset that nobody wrote before it was read


class Reading(NamedTuple):
    """A dataset that a run read: what its facets name, and when the run started (microseconds since 1970 UTC)."""

    run: int
    dataset_id: int  # the name that the event gave
    canonical_id: int
    version: str | None
    checksum: str | None
    started_us: int


@dataclass(frozen=True, slots=True)
class VersionRead:
    """``evidence``: ``exact`` (the run named it), ``inferred`` (newest at its start) or ``unknown`` (none was there).

    ``run`` and ``run_key`` are those of the run that wrote it, None where none did.
    """

    uuid: str
    evidence: str
    run: int | None = None
    run_key: bytes | None = None


def versions_read(connection: Connection, readings: Sequence[Reading]) -> dict[tuple[int, int], VersionRead]:
    """The version behind each reading, by (run, dataset as named): three statements, whatever their number.

    Each reading costs a step in the index of the dataset's versions by time; one that names a version or a checksum
    looks through the dataset's versions from the newest.
    """
    if not readings:
        return {}
    wanted = {(one.run, one.dataset_id): one for one in readings}
    best = _written(connection, wanted)
    runs = {run for run, _, _ in best.values()}
    r = tables.run.c
    keys = {row[0]: row[1] for row in connection.execute(select(r.id, r.run_key).where(among(connection, r.id, runs)))}
    told = _told(connection, wanted)
    found: dict[tuple[int, int], VersionRead] = {}
    for key, one in wanted.items():
        written, said = best.get(key), told.get(key)
        if written is not None and (written[2] < 0 or said is None or said[0] <= written[2]):
            run, sibling, first_us = written
            evidence = "exact" if first_us < 0 else "inferred"
            found[key] = VersionRead(version_uuid(sibling, keys[run]), evidence, run, keys[run])
        elif said is not None:
            found[key] = VersionRead(version_uuid(said[2], said[1]), "inferred")
        else:
            found[key] = VersionRead(version_uuid(one.canonical_id, NEVER_WRITTEN), "unknown")
    return found


_EXACT = -1


def _written(
    connection: Connection, wanted: dict[tuple[int, int], Reading]
) -> dict[tuple[int, int], tuple[int, int, int]]:
    """(run, dataset, when it wrote) of the version behind each reading; the time is negative where it is exact."""
    u, r, d, s = tables.run_dataset, tables.run, tables.dataset, tables.dataset.alias("sibling")
    o = tables.run_dataset.alias("output")
    outputs = select(o.c.run).where(o.c.dataset_id == s.c.id, tables.is_written(o))
    newest = (o.c.first_us.desc(), o.c.run.desc())
    is_named = or_(
        and_(u.c.version.is_not(None), o.c.version == u.c.version),
        and_(u.c.version.is_(None), o.c.checksum == u.c.checksum),
    )
    named = outputs.where(is_named).order_by(*newest).limit(1).scalar_subquery()
    before = outputs.where(o.c.first_us <= func.coalesce(r.c.started_us, r.c.created_us), o.c.run != u.c.run)
    exact = case((or_(u.c.version.is_not(None), u.c.checksum.is_not(None)), named), else_=None)
    inner = (
        select(
            u.c.run,
            u.c.dataset_id,
            s.c.id.label("sibling_id"),
            exact.label("exact_run"),
            before.order_by(*newest).limit(1).scalar_subquery().label("newest_run"),
        )
        .select_from(u)
        .join(r, r.c.id == u.c.run)
        .join(d, d.c.id == u.c.dataset_id)
        .join(s, s.c.canonical_id == d.c.canonical_id)
        .where(among(connection, u.c.run, {run for run, _ in wanted}), u.c.direction == INPUT)
        .subquery()
    )
    w = tables.run_dataset.alias("written")
    chosen = func.coalesce(inner.c.exact_run, inner.c.newest_run)
    query = select(inner.c.run, inner.c.dataset_id, inner.c.sibling_id, inner.c.exact_run, chosen, w.c.first_us).join(
        w, and_(w.c.run == chosen, w.c.direction == OUTPUT, w.c.dataset_id == inner.c.sibling_id)
    )
    ranked: dict[tuple[int, int], tuple[bool, int, int, int]] = {}
    for run, dataset, sibling, exact_run, writer, first_us in connection.execute(query):
        choice = (exact_run is not None, first_us, writer, sibling)
        ranked[run, dataset] = max(choice, ranked.get((run, dataset), choice))
    return {
        key: (writer, sibling, _EXACT if is_exact else first_us)
        for key, (is_exact, first_us, writer, sibling) in ranked.items()
    }


def _told(
    connection: Connection, wanted: dict[tuple[int, int], Reading]
) -> dict[tuple[int, int], tuple[int, bytes, int]]:
    """(when, key, dataset) of the newest version that a DatasetEvent made before each reading."""
    u, r, d, s = tables.run_dataset, tables.run, tables.dataset, tables.dataset.alias("sibling")
    v, v2 = tables.dataset_version, tables.dataset_version.alias("newer")
    started = func.coalesce(r.c.started_us, r.c.created_us)
    newest = (
        select(func.max(v2.c.created_us)).where(v2.c.dataset_id == s.c.id, v2.c.created_us <= started).scalar_subquery()
    )
    query = (
        select(u.c.run, u.c.dataset_id, v.c.created_us, v.c.key, v.c.dataset_id)
        .select_from(u)
        .join(r, r.c.id == u.c.run)
        .join(d, d.c.id == u.c.dataset_id)
        .join(s, s.c.canonical_id == d.c.canonical_id)
        .join(v, and_(v.c.dataset_id == s.c.id, v.c.created_us == newest))
        .where(among(connection, u.c.run, {run for run, _ in wanted}), u.c.direction == INPUT)
    )
    found: dict[tuple[int, int], tuple[int, bytes, int]] = {}
    for run, dataset, *said in connection.execute(query):
        choice = (said[0], bytes(said[1]), said[2])
        found[run, dataset] = max(choice, found.get((run, dataset), choice))
    return found
