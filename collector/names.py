"""Several names, one dataset: which of the names that symlinks and renames tie together stands for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from collector import tables
from collector.store.rows import Rows

Pair = tuple[int, int]


def choose_canonical(members: Iterable[int], pairs: Collection[Pair], names: dict[int, str]) -> int:
    """The one of ``members`` (dataset ids) that stands for all: one that was only ever given *with* other names, not
    *as* one, so the physical table before its symlink and the new name before the old; then the first by name."""
    given_as_alias = {alias for _, alias in pairs}
    return min(members, key=lambda member: (member in given_as_alias, names[member], member))


def refresh_names(rows: Rows, aliases: Collection[Pair]) -> tuple[set[int], set[int]]:
    """Store new aliases and name again what they tie together.

    Returns the jobs whose edges must be made anew, which are gone when it returns, and the datasets that another name
    stands for now.
    """
    if not aliases:
        return set(), set()
    stored = set(rows.load(tables.dataset_alias, "dataset_id", {dataset for dataset, _ in aliases}))
    new = set(aliases) - stored
    if not new:
        return set(), set()
    rows.put(tables.dataset_alias, sorted(new))
    pairs = _component_pairs(rows, {member for pair in new for member in pair})
    datasets = {row[0]: row for row in rows.load(tables.dataset, "id", {member for pair in pairs for member in pair})}
    names = {dataset_id: row[2] for dataset_id, row in datasets.items()}
    changed = []
    for members in components(pairs):
        canonical = choose_canonical(members, pairs, names)
        for member in members:
            row = datasets[member]
            if row[5] != canonical:
                changed.append((*row[:5], canonical, *row[6:]))
    rows.put(tables.dataset, changed)
    was = {row[0] for row in changed} | {datasets[row[0]][5] for row in changed}
    jobs = {job for (job,) in rows.load(tables.edge, "dataset_id", was, ("job_id",))}
    for column in ("origin_id", "destination_id"):
        jobs.update(job for (job,) in rows.load(tables.column_edge, column, was, ("job_id",)) if job >= 0)
    for column in ("target_id", "source_id"):
        jobs.update(owner for (owner,) in rows.load(tables.stated_edge, column, was, ("owner_id",)))
    for table in (tables.edge, tables.column_edge):
        rows.delete(table, ("job_id",), [(job,) for job in jobs])
    return jobs, {row[0] for row in changed}


def components(pairs: Iterable[Pair]) -> list[set[int]]:
    """The sets of ids that ``pairs`` tie together."""
    found: dict[int, set[int]] = {}
    for a, b in pairs:
        mine, other = found.setdefault(a, {a}), found.setdefault(b, {b})
        if mine is not other:
            mine |= other
            for member in other:
                found[member] = mine
    return list({id(members): members for members in found.values()}.values())


def _component_pairs(rows: Rows, frontier: set[int]) -> set[Pair]:
    """Every alias pair that can be reached from ``frontier``."""
    pairs: set[Pair] = set()
    seen: set[int] = set()
    while frontier:
        seen |= frontier
        for column in ("dataset_id", "alias_id"):
            pairs.update(rows.load(tables.dataset_alias, column, frontier))
        frontier = {member for pair in pairs for member in pair} - seen
    return pairs
