"""Rebuild: every derived row again from the stored events, beside how fast they were taken in, on both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import processes
from benchmarks.ingest import BATCH, KNOWN_EVENTS, MODES, SINGLE, Driver, Settings
from benchmarks.postgres import postgres_server
from benchmarks.processes import Server
from benchmarks.report import Figure, Target, median
from collector.rebuild import rebuild
from collector.store.engines import open_engine

EVENTS = 50_000
BATCHES = MODES[1]


def measure(settings: Settings) -> Iterator[Figure]:
    """How many times faster than single events over HTTP, and than batches."""
    with processes.collector(settings.folder, name="rebuilt") as server:
        single, batches = _fill(settings, server)
    yield from _figures(settings, "SQLite", f"sqlite:///{server.database}", single, batches)
    with postgres_server() as database:
        with processes.collector(settings.folder, database, "rebuilt on PostgreSQL") as server:
            single, batches = _fill(settings, server)
        yield from _figures(settings, "PostgreSQL", database, single, batches)


def _fill(settings: Settings, server: Server) -> tuple[float, float]:
    """Events a second one a request, and in batches, until EVENTS are stored."""
    driver = Driver(server)
    settings.progress(f"rebuild: {EVENTS:,} events into {server.name}")
    driver.drive(BATCHES, 600, requests=KNOWN_EVENTS // BATCH)
    single, _ = driver.drive(SINGLE, settings.seconds)
    done = KNOWN_EVENTS + single.events
    batches, _ = driver.drive(BATCHES, 600, requests=max(1, (EVENTS - done) // BATCH))
    return single.events_per_second, batches.events_per_second


def _figures(settings: Settings, title: str, database: str, single: float, batches: float) -> Iterator[Figure]:
    engine = open_engine(database)
    rates = []
    for number in range(settings.rounds):
        settings.progress(f"rebuild on {title}: round {number + 1} of {settings.rounds}")
        started = time.perf_counter()
        events = rebuild(engine).events
        rates.append(events / (time.perf_counter() - started))
    engine.dispose()
    rate = median(rates)
    title = f"rebuild, {title}"
    yield Figure("ingest", title, rate, "events/s", "one a request", single, rate / single, Target(5))
    yield Figure("ingest", title, rate, "events/s", "batches of 100", batches, rate / batches)
