"""The outbox's tables, and how its file is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

from emitter.errors import OutboxCorrupt, OutboxError

Synchronous = Literal["normal", "full"]

#: "HdOb": how the file says whose it is.
_APPLICATION_ID = 0x48644F62
_SCHEMA_VERSION = 1
_BUSY_SECONDS = 1.0
#: 16 MB of write-ahead log before an emit must copy it into the database; the sender does it sooner.
_CHECKPOINT_PAGES = 4_000
_SCHEMA = """
CREATE TABLE destination (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    instance BLOB NOT NULL,               -- UUID under which events are numbered now
    inode INTEGER NOT NULL,               -- of the file when the instance began: a copy of the file begins another
    position INTEGER NOT NULL DEFAULT 0,  -- of the newest event
    sequence INTEGER NOT NULL DEFAULT 0,  -- number of the newest event
    delivered INTEGER NOT NULL DEFAULT 0,
    delivered_at REAL,
    failures INTEGER NOT NULL DEFAULT 0,  -- in a row
    error TEXT,
    retry_at REAL NOT NULL DEFAULT 0,
    slow INTEGER NOT NULL DEFAULT 0,      -- the last failure took its time
    asked INTEGER NOT NULL DEFAULT 0,     -- the last failure came with a Retry-After
    batch_at REAL NOT NULL DEFAULT 0      -- no batch call before this moment
) STRICT;
CREATE TABLE event (
    destination INTEGER NOT NULL,
    position INTEGER NOT NULL,            -- the order in which events are sent
    instance BLOB NOT NULL,
    sequence INTEGER,                     -- NULL where the event has no run to carry it
    run TEXT NOT NULL,
    added REAL NOT NULL,
    splice INTEGER,
    alone INTEGER NOT NULL,
    extra BLOB,                           -- of a report on dropped events: further members of its facet
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at REAL NOT NULL DEFAULT 0,
    dictionary INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (destination, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_held ON event (destination, run) WHERE retry_at > 0;
CREATE TRIGGER event_number AFTER INSERT ON event BEGIN
    UPDATE destination SET
        position = max(position, new.position),
        sequence = CASE WHEN instance = new.instance THEN max(sequence, ifnull(new.sequence, 0)) ELSE sequence END
    WHERE id = new.destination;
END;
CREATE TABLE refused (
    id INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL,
    instance BLOB NOT NULL,
    sequence INTEGER,
    run TEXT NOT NULL,
    added REAL NOT NULL,
    splice INTEGER,
    alone INTEGER NOT NULL,
    dictionary INTEGER,
    body BLOB NOT NULL,
    refused_at REAL NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE dropped (
    id INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL,
    instance BLOB NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE drop_count (
    destination INTEGER NOT NULL,
    reason TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (destination, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""


def connect(path: Path | None, synchronous: Synchronous = "normal") -> sqlite3.Connection:
    """A connection to the outbox in the file, made with its directory and readable by its owner only; None: in memory.

    Raises OutboxCorrupt where the file is damaged, or another program's, and OutboxError where it cannot be used.
    """
    try:
        if path is not None:
            _make_private(path)
        connection = sqlite3.connect(
            ":memory:" if path is None else path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise OutboxError(f"the outbox {path} cannot be opened: {error}") from error
    try:
        _prepare(connection, path, synchronous)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise OutboxError(f"the outbox {path} cannot be used: {error}") from error
        raise OutboxCorrupt(
            f"the outbox {path} is damaged: {error}. Nothing was changed in it; move the file away to start over"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of the database
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: Path | None, synchronous: Synchronous) -> None:
    # read first: a file that is another program's must not be touched
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION_ID and tables:
        raise OutboxCorrupt(f"{path} is no outbox, but another program's database; name another file")
    if version > _SCHEMA_VERSION:
        raise OutboxCorrupt(f"the outbox {path} is a newer Headwater's; upgrade, or name another file")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'full' else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA secure_delete = OFF")
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        # another process may have been quicker
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            for statement in _statements():
                connection.execute(statement)
        connection.execute("COMMIT")


def _statements() -> list[str]:
    """The schema's statements, one by one: executescript would commit the transaction that they are in."""
    found: list[str] = []
    pending = ""
    for line in _SCHEMA.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found
