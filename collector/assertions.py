"""What runs and DatasetEvents found of each assertion on a dataset, as rows: the ``dataQualityAssertions`` facet.

The results that a run tells of a dataset are those of the newest such facets that its events gave of it, as read or as
written. A commit makes them from the facet sets before it and after it, so the difference is what changes: nothing is
asked or written where no such facet came. ``assertion`` sums each assertion up, so that its newest result is one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from collector import keys, tables
from collector.facet_bodies import load_bodies
from collector.facets import is_deleted, read
from collector.facts import IO_PREFIX, Entry, FacetSet
from collector.store.rows import Row, Rows, primary_key

MOST = 10_000  # assertions of one facet
DELETED = 0  # the assertion whose results are the times at which the facet was deleted

_FACET = "dataQualityAssertions"
_NAMES = frozenset((_FACET, IO_PREFIX + _FACET))
_SEVERITY_BYTES = 64


class _Assertion(msgspec.Struct):
    assertion: str
    success: bool
    column: str | None = None
    name: str | None = None
    severity: str | None = None


class Assertions(msgspec.Struct):
    """``dataQualityAssertions`` (dataset, as read, as written)."""

    assertions: list[_Assertion]


class Result(NamedTuple):
    """What one facet says of one assertion. Those that failed, and of these the worst, come first in their order."""

    success: bool
    severity: str | None


Named = tuple[str, str, str]  # assertion, name, field
Use = tuple[bytes, int]  # the run's key or the DatasetEvent's hash, and the dataset
Place = tuple[int, int, int, bytes]  # primary key of ``assertion_result``


@dataclass(slots=True)
class Told:
    """The facet entries that a commit changes, by what gave them: those before it, and those after it."""

    before: dict[Use, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    after: dict[Use, list[Entry]] = field(default_factory=lambda: defaultdict(list))


def is_assertive(facets: FacetSet) -> bool:
    """Whether any of these facets tells of assertions."""
    return not _NAMES.isdisjoint(facets)


def assertion_entries(facets: FacetSet) -> Iterator[Entry]:
    """The entries of a facet set that tell of assertions."""
    return (facets[name] for name in _NAMES if name in facets)


def refresh_assertions(rows: Rows, told: Told) -> None:
    """Write the results that are new or changed, and sum their assertions up again."""
    entries = [entry for side in (told.before, told.after) for found in side.values() for entry in found]
    if not entries:
        return
    bodies = {one: _read(body) for one, body in load_bodies(rows, {entry[2] for entry in entries}).items()}
    names: dict[int, Named] = {DELETED: ("", "", "")}
    for found in bodies.values():
        names.update((keys.hashed_id("assertion", *named), named) for named in found or ())
    before, after = _results(told.before, bodies), _results(told.after, bodies)
    gone = {place: result for place, result in before.items() if after.get(place) != result}
    new = {place: result for place, result in after.items() if before.get(place) != result}
    key = primary_key(tables.assertion_result)
    rows.delete(tables.assertion_result, key, [place for place in gone if place not in new])
    rows.put(tables.assertion_result, [(*place, *result) for place, result in new.items()])
    _sum_up(rows, gone, new, names)


def _read(raw: bytes) -> Mapping[Named, Result] | None:
    """The results in a facet body; None where it is deleted."""
    if is_deleted(raw):
        return None
    facet = read(raw, Assertions)
    found: dict[Named, Result] = {}
    for one in (facet.assertions if facet else ())[:MOST]:
        named = (
            keys.clean_name(one.assertion, keys.FIELD_BYTES),
            keys.clean_name(one.name or "", keys.FIELD_BYTES),
            keys.clean_name(one.column or "", keys.FIELD_BYTES),
        )
        severity = keys.clean_name(one.severity, _SEVERITY_BYTES) if one.severity else None
        result = Result(one.success, severity)
        found[named] = min(result, found.get(named, result), key=lambda said: (said.success, said.severity or "~"))
    return found


def _results(
    told: Mapping[Use, Iterable[Entry]], bodies: Mapping[int, Mapping[Named, Result] | None]
) -> dict[Place, Result]:
    """Of several facets that one run gave of a dataset, the newest that speaks of an assertion counts."""
    found: dict[Place, Result] = {}
    for (key, dataset), entries in told.items():
        newest: dict[int, tuple[int, Result]] = {}
        for time_us, _, body in sorted(entries):
            results = bodies[body]
            if results is None:
                newest[DELETED] = time_us, Result(True, None)
            for named, result in (results or {}).items():
                newest[keys.hashed_id("assertion", *named)] = time_us, result
        found.update(((dataset, one, time_us, key), result) for one, (time_us, result) in newest.items())
    return found


# --- each assertion in one row ---------------------------------------------------------------------------------------


class _Sum(msgspec.Struct):
    """Row of ``assertion``."""

    dataset_id: int
    assertion_id: int
    assertion: str
    name: str
    field: str
    success: bool = True
    severity: str | None = None
    time_us: int = 0
    key: bytes = b""
    results: int = 0
    failures: int = 0
    failed_us: int | None = None
    failed_key: bytes | None = None


_When = tuple[int, bytes]


def _sum_up(rows: Rows, gone: Mapping[Place, Result], new: Mapping[Place, Result], names: Mapping[int, Named]) -> None:
    changes: dict[tuple[int, int], tuple[dict[_When, Result], dict[_When, Result]]] = defaultdict(lambda: ({}, {}))
    for side, results in enumerate((gone, new)):
        for (dataset, one, time_us, run), result in results.items():
            changes[dataset, one][side][time_us, run] = result
    stored = {row[:2]: row for row in rows.load(tables.assertion, "dataset_id", {dataset for dataset, _ in changes})}
    replaced: list[tuple[Row, Row]] = []
    added: list[Row] = []
    emptied: list[tuple[int, int]] = []
    for key, (less, more) in changes.items():
        old = stored.get(key)
        made = _Sum(*old) if old is not None else _Sum(*key, *names[key[1]])
        made.key, made.failed_key = bytes(made.key), bytes(made.failed_key) if made.failed_key is not None else None
        made.results += len(more) - len(less)
        made.failures += sum(not result.success for result in more.values())
        made.failures -= sum(not result.success for result in less.values())
        if made.results == 0:
            emptied.append(key)
            continue
        _note_newest(rows, made, less, more)
        _note_failure(rows, made, less, more)
        row = msgspec.structs.astuple(made)
        if old is None:
            added.append(row)
        else:
            replaced.append((old, row))
    rows.delete(tables.assertion, primary_key(tables.assertion), emptied)
    rows.replace(tables.assertion, replaced)
    rows.add(tables.assertion, added)


def _note_newest(rows: Rows, one: _Sum, less: Collection[_When], more: Mapping[_When, Result]) -> None:
    standing = (one.time_us, one.key) if one.key else None
    newest = max(more, default=None)
    if newest is not None and (standing is None or newest >= standing):
        (one.time_us, one.key), (one.success, one.severity) = newest, more[newest]
    elif standing in less:  # and nothing newer came in its place
        [(one.time_us, key, success, one.severity)] = _look_up(rows, one, "")
        one.key, one.success = bytes(key), bool(success)


def _note_failure(rows: Rows, one: _Sum, less: Collection[_When], more: Mapping[_When, Result]) -> None:
    standing = (one.failed_us, one.failed_key) if one.failed_us is not None and one.failed_key is not None else None
    newest = max((when for when, result in more.items() if not result.success), default=None)
    if newest is not None and (standing is None or newest >= standing):
        one.failed_us, one.failed_key = newest
    elif standing is not None and standing in less:
        found = _look_up(rows, one, " AND NOT success")
        one.failed_us, one.failed_key = (found[0][0], bytes(found[0][1])) if found else (None, None)


def _look_up(rows: Rows, one: _Sum, condition: str) -> list[Row]:
    """The newest result by the index, where one that stood was taken back."""
    return rows.fetch(
        "SELECT time_us, key, success, severity FROM assertion_result "
        f"WHERE dataset_id = {one.dataset_id:d} AND assertion_id = {one.assertion_id:d}{condition} "
        "ORDER BY time_us DESC, key DESC LIMIT 1"
    )
