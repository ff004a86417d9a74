"""Every derived row again, from the stored events: what ``headwater rebuild`` does, and the proof that state is a
function of the set of events."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import time_ns

from sqlalchemy import Connection, Engine, delete, func, select

from collector import tables
from collector.decode import Event
from collector.errors import CollectorError
from collector.facts import Facts
from collector.ingest import Memory, apply
from collector.packing import decompress
from collector.records import read_stored
from collector.store.engines import writing
from collector.store.rows import rows_of

log = logging.getLogger("headwater.rebuild")

CHUNK = 500  # events read at once
MERGED = 10_000  # events merged before they meet the tables: more costs memory, less costs statements
MERGED_BYTES = 16 * 1024 * 1024  # or so many bytes of them: a Spark event is forty times a small one

Progress = Callable[[int, int], None]  # events done, events in all


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild read. ``unreadable`` events are kept as they are, and say nothing in the derived rows."""

    events: int
    unreadable: int


def rebuild(engine: Engine, progress: Progress | None = None) -> Rebuilt:
    """Make every derived row anew in one transaction.

    Readers see the old rows until it commits. No event can be stored meanwhile: a running collector answers 503.
    """
    with writing(engine) as connection:
        return rebuild_in(connection, progress)


def rebuild_in(connection: Connection, progress: Progress | None = None) -> Rebuilt:
    """``rebuild`` inside a transaction that is already open."""
    with _no_collections():
        return _rebuild(connection, progress)


def _rebuild(connection: Connection, progress: Progress | None) -> Rebuilt:
    for table in tables.DERIVED:
        connection.execute(delete(table))
    rows = rows_of(connection)
    rows.put(tables.store_fact, [("epoch", time_ns())])  # running writers forget the ids that they remember
    total = connection.execute(select(func.count()).select_from(tables.event)).scalar_one()
    memory = Memory()
    done = unreadable = 0
    for chunk in stored_bodies(connection):
        events: list[tuple[int, Event]] = []
        for event_id, kind, body in chunk:
            try:
                events.append((event_id, read_stored(kind, body)))
            except CollectorError as error:  # accepted by an older version's rules
                unreadable += 1
                log.warning("event cannot be read id=%d reason=%r", event_id, error.message)
        next_body, next_run = rows.fetch(
            "SELECT COALESCE((SELECT MAX(id) FROM facet_body), 0) + 1, COALESCE((SELECT MAX(id) FROM run), 0) + 1"
        )[0]
        apply(rows, Facts(event for _, event in events), memory, events, next_body, next_run)
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    return Rebuilt(done, unreadable)


def stored_bodies(connection: Connection) -> Iterator[list[tuple[int, str, bytes]]]:
    """(id, kind, raw JSON) of every stored event in commit order, about MERGED of them or MERGED_BYTES at a time."""
    last = size = 0
    chunk: list[tuple[int, str, bytes]] = []
    event = tables.event.c
    while True:
        query = select(event.id, event.kind, event.body).where(event.id > last).order_by(event.id).limit(CHUNK)
        found = [(event_id, kind, decompress(body)) for event_id, kind, body in connection.execute(query)]
        chunk += found
        size += sum(len(body) for _, _, body in found)
        if chunk and (not found or len(chunk) >= MERGED or size >= MERGED_BYTES):
            yield chunk
            chunk, size = [], 0
        if not found:
            return
        last = found[-1][0]


@contextmanager
def _no_collections() -> Iterator[None]:
    """Merging makes millions of objects and no cycles among them; looking for some takes a third of a rebuild."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
