"""The outbox's file: events in, batches out, and what became of each. All SQL of the sender's way is here.

One connection a process, under one lock; it is closed before a fork and opened again on both sides, because SQLite's
state about a file must not cross one. Storing an event is a single statement, so that a signal handler that runs
between two of them, and stores an event of its own, finds nothing half done.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from emitter.errors import OutboxError, OutboxInUse
from emitter.outbox.accounting import record_drops, report_drops
from emitter.outbox.body import Body, number
from emitter.outbox.packing import Packing, Unpacking
from emitter.outbox.schema import Synchronous, connect
from emitter.outbox.verdict import Refusal, Trouble

_ADD = """
INSERT INTO event (destination, position, instance, sequence, run, added, splice, alone, extra, dictionary, body)
SELECT id, position + 1, instance, CASE WHEN :splice IS NULL THEN NULL ELSE sequence + 1 END,
       :run, :added, :splice, :alone, :extra, :dictionary, :body
FROM destination WHERE id = :destination
"""
_TAKE = """
SELECT position, run, instance, sequence, splice, alone, extra, dictionary, body FROM event
WHERE destination = :destination AND run NOT IN (
    SELECT run FROM event WHERE destination = :destination AND retry_at > 0 AND retry_at > :now
)
ORDER BY position LIMIT :limit
"""

#: Bodies unpacked before other threads get a turn.
_YIELD = 16


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that is to be sent: its position, its run, and its JSON with its number in it."""

    position: int
    run: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Condition:
    """How it stands with a destination: failures in a row, and when to try again.

    A failure that took its time (``is_slow``) or came with a Retry-After (``is_asked``) is respected even by a process
    that has just begun; another may be tried at once. No batch call is made before ``batch_at``.
    """

    failures: int
    retry_at: float
    is_slow: bool
    is_asked: bool
    batch_at: float


class Store:
    """The outbox in one file, or with the path None in memory.

    Every method raises OutboxError where the file cannot be used, and OutboxCorrupt where it is none or damaged.
    """

    def __init__(self, path: Path | None, synchronous: Synchronous = "normal") -> None:
        self.path = path
        self.lock = threading.RLock()
        self.aside = threading.Lock()  # held while a second connection is open
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._packing = Packing()
        self._unpacking = Unpacking()
        self.unusable = False  # in a child whose parent could not let go of the file before the fork

    # --- the producer's side -----------------------------------------------------------------------------------------

    def destination(self, url: str) -> int:
        """The id of the destination, made if need be. A copy of an outbox begins an instance of its own."""
        with self.transaction() as db:
            inode = self.path.stat().st_ino if self.path is not None else 0
            found = db.execute("SELECT id, inode FROM destination WHERE url = ?", (url,)).fetchone()
            if found is None:
                made = db.execute(
                    "INSERT INTO destination (url, instance, inode) VALUES (?, ?, ?)", (url, uuid4().bytes, inode)
                )
                return int(made.lastrowid or 0)
            if found[1] != inode:
                db.execute(
                    "UPDATE destination SET instance = ?, inode = ?, sequence = 0 WHERE id = ?",
                    (uuid4().bytes, inode, found[0]),
                )
            return int(found[0])

    def add(self, destination: int, body: Body, extra: bytes | None = None) -> None:
        """Keep an event; durable against the end of this process when this returns."""
        with self.using() as db:
            dictionary, packed = self._packing.pack(db, body.raw)
            values = {
                "destination": destination,
                "run": body.run,
                "added": time.time(),
                "splice": body.splice,
                "alone": body.alone,
                "extra": extra,
                "dictionary": dictionary,
                "body": packed,
            }
            db.execute(_ADD, values)

    def newest(self, destination: int) -> int:
        """The position of the newest event that ever was."""
        return self._one("SELECT position FROM destination WHERE id = ?", destination)

    def count(self, destination: int, after: int = 0) -> int:
        """How many events wait, of those after a position."""
        return self._one("SELECT count(*) FROM event WHERE destination = ? AND position > ?", destination, after)

    def any(self, destination: int, after: int = 0) -> bool:
        """Whether any event waits, of those after a position."""
        sql = "SELECT EXISTS (SELECT 1 FROM event WHERE destination = ? AND position > ?)"
        return bool(self._one(sql, destination, after))

    # --- the sender's side -------------------------------------------------------------------------------------------

    def take(self, destination: int, limit: int, max_bytes: int) -> list[Waiting]:
        """The next events, oldest first: at least one, if any may be sent, and no more than fit.

        Events of a run that has one to be tried later are left out.
        """
        with self.using() as db:
            asked = {"destination": destination, "now": time.time(), "limit": limit}
            rows = db.execute(_TAKE, asked).fetchall()
            self._unpacking.load(db, {row[-2] for row in rows})
        found: list[Waiting] = []
        size = 0
        for position, run, instance, sequence, splice, alone, extra, dictionary, packed in rows:
            raw = self._unpacking.unpack(dictionary, packed)
            body = number(raw, splice, bool(alone), instance, sequence or 0, extra or b"")
            size += len(body) + 1
            if found and size > max_bytes:
                break
            found.append(Waiting(position, run, body))
            if not len(found) % _YIELD:
                time.sleep(0)  # the job's threads want the interpreter too
        return found

    def settle(
        self,
        destination: int,
        delivered: Sequence[int],
        refused: Mapping[int, Refusal],
        again: Mapping[int, tuple[str, Callable[[int], float]]],
        *,
        report: bool = True,
    ) -> None:
        """Record what became of events, by position.

        ``again`` gives a reason, and how many seconds to wait after so many attempts. Where anything was delivered, so
        that the collector is there, drops are reported: with ``report``, and in any case before nothing waits any more.
        """
        if not (delivered or refused or again):
            return
        now = time.time()
        with self.transaction() as db:
            for position, refusal in refused.items():
                _set_aside(db, destination, position, refusal, now)
            for first, last in _ranges([*delivered, *refused]):
                db.execute(
                    "DELETE FROM event WHERE destination = ? AND position BETWEEN ? AND ?", (destination, first, last)
                )
            for position, (_, pause) in again.items():
                key = (destination, position)
                found = db.execute("SELECT attempts FROM event WHERE destination = ? AND position = ?", key).fetchone()
                attempts = (found[0] if found else 0) + 1
                db.execute(
                    "UPDATE event SET attempts = ?, retry_at = ? WHERE destination = ? AND position = ?",
                    (attempts, now + pause(attempts), *key),
                )
            if delivered:
                db.execute(
                    "UPDATE destination SET delivered = delivered + ?, delivered_at = ?, failures = 0, error = NULL, "
                    "retry_at = 0 WHERE id = ?",
                    (len(delivered), now, destination),
                )
                if report or not self.any(destination):
                    report_drops(self, destination)

    def release_held(self, destination: int) -> None:
        """Let the events be tried that were to be tried later."""
        with self.using() as db:
            db.execute("UPDATE event SET retry_at = 0 WHERE destination = ? AND retry_at > 0", (destination,))

    def condition(self, destination: int) -> Condition:
        """How it stands with the destination."""
        with self.using() as db:
            found = db.execute(
                "SELECT failures, retry_at, slow, asked, batch_at FROM destination WHERE id = ?", (destination,)
            ).fetchone()
        return Condition(found[0], found[1], bool(found[2]), bool(found[3]), found[4])

    def note_trouble(self, destination: int, trouble: Trouble, seconds: float) -> None:
        """Remember, for every process, why nothing can be sent, and for how long."""
        with self.using() as db:
            db.execute(
                "UPDATE destination SET failures = failures + 1, error = ?, retry_at = ?, slow = ?, asked = ? "
                "WHERE id = ?",
                (trouble.reason, time.time() + seconds, trouble.slow, trouble.asked is not None, destination),
            )

    def note_no_batch(self, destination: int, seconds: float) -> None:
        """Remember that the collector has no batch call, for so long."""
        with self.using() as db:
            db.execute("UPDATE destination SET batch_at = ? WHERE id = ?", (time.time() + seconds, destination))

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database, over a connection of its own: this waits for the disk."""
        if self.path is None or self.unusable:
            return
        with self.aside:
            connection = connect(self.path, self._synchronous)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                raise OutboxError(f"the outbox {self.path} cannot be used: {error}") from error
            finally:
                connection.close()

    # --- the connection ----------------------------------------------------------------------------------------------

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection, opened if need be; nobody else uses it meanwhile."""
        with self.lock:
            if self.unusable:
                raise OutboxError(f"the outbox {self.path} was in use when this process was forked")
            if self._connection is None:
                self._connection = connect(self.path, self._synchronous)
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise OutboxError(f"the outbox {self.path or 'in memory'} cannot be used: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction that alone may write."""
        with self.using() as db:
            if db.in_transaction:  # a signal's handler, between two statements of its own thread's transaction
                raise OutboxInUse("the outbox is in use")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; the next use opens another. In memory this loses what waits."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self._packing = Packing()

    def reborn(self, usable: bool) -> None:
        """In a forked child: locks of its own, and nothing of the parent's. Not ``usable``: the parent was using it."""
        self.lock = threading.RLock()
        self.aside = threading.Lock()
        if self._connection is not None and self.path is not None:
            _leaked.append(self._connection)  # to close it here would reach into the parent's files
        if self._connection is not None and self.path is None and not usable:
            _leaked.append(self._connection)
        self._connection = None
        self._packing, self._unpacking = Packing(), Unpacking()
        self.unusable = self.unusable or not usable

    def _one(self, sql: str, *values: int) -> int:
        with self.using() as db:
            return int(db.execute(sql, values).fetchone()[0])


_leaked: list[sqlite3.Connection] = []


def _set_aside(db: sqlite3.Connection, destination: int, position: int, refusal: Refusal, now: float) -> None:
    key = (destination, position)
    found = db.execute(
        "SELECT instance, sequence, extra FROM event WHERE destination = ? AND position = ?", key
    ).fetchone()
    if found is None:
        return
    db.execute(
        "INSERT INTO refused (destination, instance, sequence, run, added, splice, alone, dictionary, body, "
        "refused_at, status, reason) "
        "SELECT destination, instance, sequence, run, added, splice, alone, dictionary, body, ?, ?, ? "
        "FROM event WHERE destination = ? AND position = ?",
        (now, refusal.status, refusal.reason, *key),
    )
    instance, sequence, extra = found
    if extra is None:  # a refused report is not reported
        record_drops(db, destination, [(instance, sequence)], "refused")


def _ranges(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """``positions`` as ranges, each (first, last)."""
    first = last = None
    for position in sorted(positions):
        if first is None or last is None or position != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = position
        last = position
    if first is not None and last is not None:
        yield first, last
