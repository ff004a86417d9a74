"""Opening the database: SQLite with the settings that durability and speed rest on, or PostgreSQL; and its schema."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, delete, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from collector.errors import StoreError
from collector.store.arrays import enable_arrays
from collector.tables import event as event_table
from collector.tables import store_fact

log = logging.getLogger("headwater.store")

LOCK_SECONDS = 0.6  # how long a commit waits for another process's: the answer is due within one second
READ_SECONDS = 5
_WRITER_LOCK = 0x48_65_61_64  # the advisory lock that makes PostgreSQL's writers take turns
_KEEP_TO_INDEXES = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
# One string: each statement would be a round trip.
_TAKE_TURN = (
    f"{_KEEP_TO_INDEXES}SET LOCAL lock_timeout = '{int(LOCK_SECONDS * 1000)}ms'; "
    f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"
)


def open_engine(database: str) -> Engine:
    """An engine for a database URL: ``sqlite:///file.db`` or ``postgresql://user@host/name``.

    Raises StoreError where the URL is none, names another engine, or a driver is missing.
    """
    try:
        url = make_url(database)
    except ArgumentError:
        raise StoreError(
            f"{database!r} is no database URL: use sqlite:///lineage.db or postgresql://user:password@host/database."
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _open_sqlite(url)
    if backend in ("postgresql", "postgres"):
        return _open_postgresql(url)
    raise StoreError(f"Headwater stores in SQLite or PostgreSQL, not in {backend}: use sqlite:///… or postgresql://….")


def _open_sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise StoreError("The collector's SQLite database is a file: use sqlite:///lineage.db.")
    engine = create_engine(
        url,
        pool_size=8,
        max_overflow=56,
        pool_use_lifo=True,  # the writer finds its own connection again, with its pages in the cache
        connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun by begin_reading and begin_writing
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "mmap_size=268435456", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('headwater_begin', '')}")

    return engine


def _open_postgresql(url: URL) -> Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            url, pool_size=8, max_overflow=56, pool_pre_ping=True, connect_args={"connect_timeout": 2}
        )
    except ModuleNotFoundError:
        raise StoreError("PostgreSQL needs its driver: pip install 'headwater[postgres]'.") from None
    event.listen(engine, "connect", lambda connection, _: enable_arrays(connection))
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write; only one runs at a time in the whole database, so it may read, merge and write.

    It also makes the order of event ids the order of commits. Raises OperationalError where the lock cannot be had in
    LOCK_SECONDS.
    """
    with engine.connect() as connection:
        connection = connection.execution_options(headwater_begin="IMMEDIATE")
        with connection.begin():
            if engine.dialect.name != "sqlite":
                connection.exec_driver_sql(_TAKE_TURN)
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads, all of its statements from one moment; it never waits for the writer."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def keep_to_indexes(connection: Connection) -> None:
    """For the rest of the transaction, let PostgreSQL answer by index and nested loop alone.

    Right for whoever asks by key: else, where tables grew since they were last analyzed, it may read them whole. (A
    writer always does so; SQLite is told by the order of joins.)
    """
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(_KEEP_TO_INDEXES)


def upgrade(engine: Engine) -> None:
    """Bring the schema to this version's; several processes may try at once. Raises StoreError where that cannot be.

    Where a migration asks for it (store_fact ``rebuild``), every derived row is made anew in the same transaction: a
    database is either as it was, or has its new rows filled.
    """
    try:
        if _is_current(engine):
            return
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
        from collector.search_index import prepare_search  # late: it knows the facts, which know the rows

        with writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            prepare_search(connection)
            _rebuild_if_asked(connection)
    except (OperationalError, DatabaseError, sqlite3.Error, OSError) as error:
        raise StoreError(f"The database {engine.url!r} cannot be used: {_plain(error)}") from error


def _rebuild_if_asked(connection: Connection) -> None:
    from collector.rebuild import rebuild_in  # late: it knows the rows

    asked = delete(store_fact).where(store_fact.c.name == "rebuild")
    if not connection.execute(asked).rowcount or connection.execute(select(event_table.c.id).limit(1)).first() is None:
        return
    log.warning("making every derived row anew for a new schema: this can take minutes")
    rebuilt = rebuild_in(connection)
    log.warning("derived rows are made anew events=%d unreadable=%d", rebuilt.events, rebuilt.unreadable)


def _is_current(engine: Engine) -> bool:
    script = ScriptDirectory(str(Path(__file__).parent.parent / "migrations"))
    with reading(engine) as connection:
        heads = set(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    if heads - known:
        raise StoreError(
            f"The database {engine.url!r} was written by a newer Headwater (schema {', '.join(sorted(heads))}): "
            "upgrade Headwater, or use another database."
        )
    return heads == set(script.get_heads())


def _plain(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip()


def database_file(engine: Engine) -> str | None:
    """The path of a SQLite engine's file; None for PostgreSQL."""
    return os.path.abspath(engine.url.database) if engine.dialect.name == "sqlite" and engine.url.database else None
