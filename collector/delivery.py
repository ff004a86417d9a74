"""Which of its events each producer instance got through to us: the run facet ``headwater_delivery``.

An instance numbers its run events 1, 2, 3, … A row holds a block of numbers as a bitmap in which bits are only ever
set, so that rows merge by OR whatever the order, the duplicates and the split of the events. The numbers that an
instance said it gave up on are a set of ranges that only grows. A number up to the highest that is in neither never
arrived. These rows outlive a prune (``tables.REMEMBERED``): an event that we deleted did arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Connection, case, select

from collector import keys, tables
from collector.facets import FacetsByName, read
from collector.store.rows import Row, Rows

if TYPE_CHECKING:
    from collector.decode import Body, Event

FACET = "headwater_delivery"
BLOCK = 1_024  # numbers in one row
_BYTES = BLOCK // 8
_FULL = (1 << BLOCK) - 1
MAX_NUMBER = 2**53 - 1  # what every JSON parser holds exactly
_MAX_DROPS = 10_000  # ranges of one event
_REASONS = ("size", "age", "refused")
_MAX_REASON = 16

Range = tuple[int, int]  # first, last
Drop = tuple[bytes, int, int, str]  # instance, first, last, reason


class _Dropped(msgspec.Struct):
    first: int
    last: int
    reason: str = ""


class _Delivery(msgspec.Struct):
    instance: str
    sequence: int
    dropped: list[_Dropped] | None = None


class DeliveryFacts(msgspec.Struct):
    """What is known of one block of an instance's numbers: row of ``delivery``, the bitmap as a number."""

    key: bytes
    seen: int
    first_us: int
    last_us: int
    stamp: bytes
    job_id: int

    def merge(self, other: DeliveryFacts) -> None:
        """Take in another word on the same block."""
        self.seen |= other.seen
        self.first_us = min(self.first_us, other.first_us)
        self.last_us = max(self.last_us, other.last_us)
        if other.stamp > self.stamp:
            self.stamp, self.job_id = other.stamp, other.job_id


def delivered(event: Event, job_id: int) -> tuple[DeliveryFacts, list[Drop]] | None:
    """What a run event says of its delivery; None where it carries no usable facet."""
    assert event.envelope.run is not None
    facets = event.envelope.run.facets
    body = facets.get(FACET) if facets else None
    found = read(body.raw, _Delivery) if body is not None else None
    if found is None or not 1 <= found.sequence <= MAX_NUMBER:
        return None
    try:
        instance = UUID(found.instance).bytes
    except ValueError:
        return None
    block, bit = divmod(found.sequence - 1, BLOCK)
    facts = DeliveryFacts(
        key=_key(instance, block),
        seen=1 << bit,
        first_us=event.time_us,
        last_us=event.time_us,
        stamp=keys.stamp(event.time_us, event.hash),
        job_id=job_id,
    )
    drops = [
        (instance, one.first, one.last, one.reason if one.reason in _REASONS else "other")
        for one in (found.dropped or ())[:_MAX_DROPS]
        if 1 <= one.first <= one.last <= MAX_NUMBER
    ]
    return facts, drops


def without_number(facets: FacetsByName) -> dict[str, Body] | None:
    """A run's facets without its event's number: that is the event's, and no two are the same."""
    if not facets:
        return None
    return {name: body for name, body in facets.items() if name != FACET}


def put_deliveries(rows: Rows, blocks: dict[bytes, DeliveryFacts], drops: Iterable[Drop]) -> None:
    """Merge blocks, by key, and drops into the stored rows."""
    new = dict(blocks)
    changed: list[tuple[Row, Row]] = []
    for row in rows.load(tables.delivery, "key", blocks):
        stored = _facts_of(row)
        stored.merge(new.pop(stored.key))
        changed.append((row, _row_of(stored)))
    rows.replace(tables.delivery, [pair for pair in changed if pair[0] != pair[1]])
    rows.add(tables.delivery, [_row_of(facts) for facts in new.values()])
    rows.add(tables.delivery_drop, sorted(set(drops)))


def _facts_of(row: Row) -> DeliveryFacts:
    key, seen, _, *rest = row
    return DeliveryFacts(bytes(key), int.from_bytes(seen, "little"), *rest)


def _row_of(facts: DeliveryFacts) -> Row:
    seen = facts.seen.to_bytes(_BYTES, "little")
    return (facts.key, seen, facts.seen.bit_count(), facts.first_us, facts.last_us, facts.stamp, facts.job_id)


def _key(instance: bytes, block: int) -> bytes:
    return instance + block.to_bytes(8, "big")


# --- the question ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Instance:
    """A producer instance: what it sent, gave up on, and what never arrived. Numbers are ranges, both ends included.

    ``highest`` is the highest number that is known; what came after it, nobody knows. ``dropped`` leaves out what
    arrived after all.
    """

    instance: UUID
    highest: int = 0
    received: int = 0
    first_us: int | None = None
    last_us: int | None = None
    job_id: int | None = None
    missing: list[Range] = field(default_factory=list)
    dropped: dict[str, list[Range]] = field(default_factory=dict)


def instances(connection: Connection, only: UUID | None = None) -> Iterator[Instance]:
    """Every instance, or one, in the order of their UUIDs. Reads a row for each 1,024 numbers, its bitmap if needed."""
    block, drop = tables.delivery.c, tables.delivery_drop.c
    bitmap = case((block.count < BLOCK, block.seen), else_=None)
    blocks = select(block.key, bitmap, block.count, block.first_us, block.last_us, block.stamp, block.job_id)
    drops = select(drop.instance, drop.first, drop.last, drop.reason)
    if only is not None:
        blocks = blocks.where(block.key.between(only.bytes, only.bytes + b"\xff" * 8))
        drops = drops.where(drop.instance == only.bytes)
    given_up: dict[bytes, list[tuple[int, int, str]]] = {}
    for instance, first, last, reason in connection.execute(drops.order_by(drop.instance, drop.first)):
        given_up.setdefault(bytes(instance), []).append((first, last, reason))
    rows = connection.execute(blocks.order_by(block.key))
    for instance, group in groupby(rows, key=lambda row: bytes(row[0])[:16]):
        yield _instance(instance, list(group), given_up.pop(instance, []))


def _instance(instance: bytes, blocks: Sequence[Row], drops: list[tuple[int, int, str]]) -> Instance:
    made = Instance(UUID(bytes=instance))
    seen: list[Range] = []
    newest = b""
    for key, bitmap, count, first_us, last_us, stamp, job_id in blocks:
        base = int.from_bytes(bytes(key)[16:], "big") * BLOCK
        found = [(base + 1, base + BLOCK)] if bitmap is None else _ranges(int.from_bytes(bitmap, "little"), base)
        seen.extend(found)
        made.received += count
        made.first_us = first_us if made.first_us is None else min(made.first_us, first_us)
        made.last_us = last_us if made.last_us is None else max(made.last_us, last_us)
        if bytes(stamp) > newest:
            newest, made.job_id = bytes(stamp), job_id
    seen = union(seen)
    known = seen
    for reason in sorted({reason for _, _, reason in drops}):
        ranges = union([(first, last) for first, last, why in drops if why == reason])
        made.dropped[reason] = _less(ranges, known)
        known = union([*known, *ranges])
    made.highest = known[-1][1] if known else 0
    made.missing = _less([(1, made.highest)], known) if known else []
    return made


def union(ranges: Iterable[Range]) -> list[Range]:
    """The numbers of all ``ranges`` as ranges that neither touch nor overlap, in order."""
    made: list[Range] = []
    for first, last in sorted(ranges):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return made


def _less(ranges: Sequence[Range], taken: Sequence[Range]) -> list[Range]:
    """The numbers of ``ranges`` that are not in ``taken``; both in order and without overlaps."""
    left: list[Range] = []
    at = 0
    for first, last in ranges:
        while at < len(taken) and taken[at][1] < first:
            at += 1
        here = at
        while here < len(taken) and taken[here][0] <= last:
            if taken[here][0] > first:
                left.append((first, taken[here][0] - 1))
            first = max(first, taken[here][1] + 1)
            here += 1
        if first <= last:
            left.append((first, last))
    return left


def _ranges(bits: int, base: int) -> list[Range]:
    """The numbers of a bitmap's set bits, bit 0 being ``base + 1``."""
    found: list[Range] = []
    at = 0
    while bits:
        skip = (bits & -bits).bit_length() - 1
        bits >>= skip
        run = (~bits & (bits + 1)).bit_length() - 1
        found.append((base + at + skip + 1, base + at + skip + run))
        bits >>= run
        at += skip + run
    return found
