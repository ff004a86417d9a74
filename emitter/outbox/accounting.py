"""What the outbox gave up on, and the report of it; the bound on its size and age.

A drop is recorded in the transaction that deletes the events, by their numbers, and told to the collector by an event
of its own as soon as the collector takes events again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from emitter.outbox.body import Body, body_of
from emitter.runs import instant, new_run_id, now
from facets import PRODUCER

if TYPE_CHECKING:
    from emitter.outbox.store import Store

#: How far below its bound a full outbox is emptied, so that not every event finds it full.
_ROOM = 0.95
_CHUNK = 500
_MAX_RANGES = 1_000
#: The job that reports are runs of.
REPORT_NAMESPACE, REPORT_JOB = "headwater", "outbox"


def record_drops(
    db: sqlite3.Connection, destination: int, numbers: Iterable[tuple[bytes, int | None]], reason: str
) -> None:
    """Count events that will not be sent and keep their numbers, (instance, sequence), until they are reported."""
    events = 0
    for instance, sequence in numbers:
        events += 1
        if sequence is None:
            continue
        extended = db.execute(
            "UPDATE dropped SET last = ? WHERE id = (SELECT max(id) FROM dropped WHERE destination = ?) "
            "AND instance = ? AND reason = ? AND reported = 0 AND last = ?",
            (sequence, destination, instance, reason, sequence - 1),
        )
        if not extended.rowcount:
            db.execute(
                "INSERT INTO dropped (destination, instance, first, last, reason) VALUES (?, ?, ?, ?, ?)",
                (destination, instance, sequence, sequence, reason),
            )
    if events:
        db.execute(
            "INSERT INTO drop_count (destination, reason, events) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET events = events + excluded.events",
            (destination, reason, events),
        )


def used_bytes(db: sqlite3.Connection) -> int:
    """What the outbox holds; the file may be larger, by pages that are free again."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def keep_within(store: Store, max_bytes: int) -> int:
    """Drop the oldest events where the outbox holds more than ``max_bytes``; returns how many."""
    with store.using() as db:
        if used_bytes(db) <= max_bytes:
            return 0
    dropped = 0
    while True:
        with store.transaction() as db:
            if used_bytes(db) <= max_bytes * _ROOM:
                return dropped
            chunk = _drop_refused(db) or _drop_oldest(db, "size", None)
        if not chunk:
            return dropped
        dropped += chunk


def drop_older(store: Store, seconds: float) -> int:
    """Drop the events that have waited longer; returns how many."""
    limit = time.time() - seconds
    dropped = 0
    while True:
        with store.transaction() as db:
            db.execute("DELETE FROM refused WHERE refused_at < ?", (limit,))
            chunk = _drop_oldest(db, "age", limit)
        if not chunk:
            return dropped
        dropped += chunk


def _drop_refused(db: sqlite3.Connection) -> int:
    """What the collector refused goes before what it was not yet asked; it is counted as refused already."""
    return db.execute(
        "DELETE FROM refused WHERE id IN (SELECT id FROM refused ORDER BY id LIMIT ?)", (_CHUNK,)
    ).rowcount


def _drop_oldest(db: sqlite3.Connection, reason: str, before: float | None) -> int:
    """Drop a chunk of the destination whose oldest event is the oldest of all. Reports stay: they are few and small."""
    heads = []
    for (destination,) in db.execute("SELECT id FROM destination").fetchall():
        head = db.execute(
            "SELECT added FROM event WHERE destination = ? AND extra IS NULL ORDER BY position LIMIT 1", (destination,)
        ).fetchone()
        if head is not None and (before is None or head[0] < before):
            heads.append((head[0], destination))
    if not heads:
        return 0
    destination = min(heads)[1]
    doomed = db.execute(
        "SELECT position, instance, sequence FROM event WHERE destination = ? AND extra IS NULL "
        "AND (?2 IS NULL OR added < ?2) ORDER BY position LIMIT ?",
        (destination, before, _CHUNK),
    ).fetchall()
    db.executemany(
        "DELETE FROM event WHERE destination = ? AND position = ?", [(destination, row[0]) for row in doomed]
    )
    record_drops(db, destination, [(instance, sequence) for _, instance, sequence in doomed], reason)
    return len(doomed)


def report_drops(store: Store, destination: int) -> bool:
    """Put an event that names the drops not yet reported into the outbox; returns whether there were any.

    Drops of an instance that is over (the file is a copy) cannot be told in the name of the one that goes on.
    """
    with store.using() as db:
        found = db.execute(
            "SELECT d.id, d.first, d.last, d.reason, d.instance = t.instance FROM dropped AS d "
            "JOIN destination AS t ON t.id = d.destination WHERE t.id = ? AND NOT d.reported ORDER BY d.id LIMIT ?",
            (destination, _MAX_RANGES),
        ).fetchall()
    mine = [row for row in found if row[4]]
    if mine:
        ranges = [{"first": first, "last": last, "reason": reason} for _, first, last, reason, _ in mine]
        extra = b',"dropped":' + orjson.dumps(ranges)
        store.add(destination, _report(), extra)
    if found:
        with store.using() as db:
            db.executemany("UPDATE dropped SET reported = 1 WHERE id = ?", [(row[0],) for row in found])
    return bool(mine)


def _report() -> Body:
    """A run event of the job ``headwater/outbox``."""
    return body_of(
        {
            "eventType": "OTHER",
            "eventTime": instant(now()),
            "producer": PRODUCER,
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": new_run_id()},
            "job": {"namespace": REPORT_NAMESPACE, "name": REPORT_JOB},
            "inputs": [],
            "outputs": [],
        }
    )
