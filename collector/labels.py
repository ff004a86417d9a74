"""Who owns a dataset or job and how it is tagged, as rows: its newest ``ownership`` and ``tags`` facets, and the tags
that were set by hand.

A dataset's rows lie under its canonical id and tell the newest of each facet under any of its names. They are made anew
for the things of a commit whose facets are new, and for those that names tie together; else nothing is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from collector import keys, tables
from collector.curation import is_tag_facet, read_curated
from collector.facet_bodies import load_bodies
from collector.facets import is_deleted, read
from collector.facts import IO_PREFIX, FacetSet, JobFacts, brings_new, merge_facets
from collector.packing import unpack_facets
from collector.registry import Tags, tag_id
from collector.store.rows import Row, Rows, primary_key

MOST = 10_000  # owners, or tags, of one facet

_LABELS = frozenset(("ownership", "tags", f"{IO_PREFIX}ownership", f"{IO_PREFIX}tags"))


class _Owner(msgspec.Struct):
    name: str
    type: str | None = None


class Ownership(msgspec.Struct):
    """``ownership`` (dataset or job)."""

    owners: list[_Owner] | None = None


def owner_id(name: str) -> int:
    """The id of an owner (clean name)."""
    return keys.hashed_id("owner", name)


def is_relabelled(stored: FacetSet, incoming: FacetSet) -> bool:
    """Whether ``incoming`` brings a facet that tells of owners or tags with another body than ``stored``."""
    return brings_new(stored, incoming, _is_label)


def _is_label(name: str) -> bool:
    return name in _LABELS or is_tag_facet(name)


def refresh_labels(rows: Rows, datasets: Collection[int], jobs: Iterable[JobFacts]) -> None:
    """Make the rows of ``jobs`` anew, and of the datasets that have ``datasets`` for names."""
    things = {job.id: (True, job.facets) for job in jobs}
    names: set[int] = set(things)
    if datasets:
        canonical = {one for (one,) in rows.load(tables.dataset, "id", datasets, ("canonical_id",))}
        for dataset, name, packed in rows.load(
            tables.dataset, "canonical_id", canonical, ("canonical_id", "id", "facets")
        ):
            names.add(name)
            merge_facets(things.setdefault(dataset, (False, {}))[1], unpack_facets(packed))
    if not things:
        return
    ids = {entry[2] for _, facets in things.values() for entry in _label_entries(facets)}
    bodies = load_bodies(rows, ids)
    owners = {row for one, (is_job, facets) in things.items() for row in _owner_rows(one, is_job, facets, bodies)}
    tags = {row for one, (is_job, facets) in things.items() for row in _tag_rows(one, is_job, facets, bodies)}
    for table, wanted in ((tables.owner, owners), (tables.tagged, tags)):
        stored = {tuple(row) for row in rows.load(table, "thing_id", names)}
        rows.delete(table, primary_key(table), [row[:3] for row in stored - wanted])
        rows.add(table, sorted(wanted - stored))


def _label_entries(facets: FacetSet) -> Iterator[tuple[int, int, int]]:
    return (entry for name, entry in facets.items() if _is_label(name))


def _newest(facets: FacetSet, name: str, bodies: Mapping[int, bytes]) -> bytes | None:
    """The body of a facet in force: the thing's own, else that of a reading or writing."""
    entry = facets.get(name) or facets.get(IO_PREFIX + name)
    body = bodies[entry[2]] if entry is not None else None
    return None if body is None or is_deleted(body) else body


def _owner_rows(one: int, is_job: bool, facets: FacetSet, bodies: Mapping[int, bytes]) -> Iterator[Row]:
    body = _newest(facets, "ownership", bodies)
    ownership = read(body, Ownership) if body is not None else None
    for owner in ((ownership.owners if ownership else None) or ())[:MOST]:
        name = keys.clean_name(owner.name)
        if name:
            yield one, owner_id(name), keys.clean_name(owner.type or "", keys.FIELD_BYTES), is_job, name


def _tag_rows(one: int, is_job: bool, facets: FacetSet, bodies: Mapping[int, bytes]) -> Iterator[Row]:
    body = _newest(facets, "tags", bodies)
    tags = read(body, Tags) if body is not None else None
    by_field: dict[str, set[str]] = {"": set()}
    for tag in ((tags.tags if tags else None) or ())[:MOST]:
        field = keys.clean_name(tag.field or "", keys.FIELD_BYTES)
        by_field.setdefault(field, set()).add(keys.clean_name(tag.name))
    curated = read_curated((name, bodies[entry[2]]) for name, entry in facets.items() if is_tag_facet(name))
    for field in by_field.keys() | curated.tags.keys():
        for tagged in curated.tagged(field, by_field.get(field, ())):
            name = keys.clean_name(tagged)
            if name:
                # a job has no columns
                yield one, "" if is_job else keys.clean_name(field, keys.FIELD_BYTES), tag_id(name), is_job, name
