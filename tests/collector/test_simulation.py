"""The ingest core in a world that a number decides: two processes on one database, group commits, clients that send
again, and at each seam something that fails. Whatever happened, the state is that of the plain set of events.

``HEADWATER_SEED=7 pytest tests/collector/test_simulation.py`` runs one world; ``HEADWATER_EXPLORE=1`` thousands of
others than the usual.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

import collector.rebuild
import collector.writer
from collector.decode import Event
from collector.errors import Unavailable
from collector.keys import microseconds
from collector.prune import prune
from collector.rebuild import rebuild
from collector.store.engines import open_engine, upgrade
from collector.tables import REMEMBERED
from collector.writer import Writer, _Request
from tests.collector.histories import bodies
from tests.collector.stores import clear, fill, read, state, stored_events

EXPLORE = bool(os.environ.get("HEADWATER_EXPLORE"))
ONLY = os.environ.get("HEADWATER_SEED")
BLOCKS = 4  # tests, so that several processes share them
SEEDS = int(os.environ.get("HEADWATER_SEEDS", "4000" if EXPLORE else "240"))
FIRST = int(ONLY) if ONLY else int(time.time()) * 1_000 if EXPLORE else 0
BEGIN = microseconds("2026-01-01T00:00:00Z")


class Broken(Exception):
    """A fault that nobody foresaw."""


def made_bodies() -> list[bytes]:
    """Events of a small world, the same in every run."""
    found: list[bytes] = []

    @settings(
        max_examples=800, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(bodies)
    def collect(body: bytes) -> None:
        found.append(body)

    collect()
    return found


class World:
    """One seed's processes, clients and faults, on an empty database."""

    def __init__(self, seed: int, engine: Engine, pool: Sequence[Event]) -> None:
        self.chooser = random.Random(seed)
        self.engine = engine
        self.writers = [Writer(engine), Writer(engine)]
        self.outbox = self.chooser.choices(pool, k=self.chooser.randint(3, 24))  # what clients have yet to deliver
        self.events = {one.hash: one for one in self.outbox}
        self.ever: set[bytes] = set()  # stored at any time
        self.gone: set[bytes] = set()  # pruned, and not sent again
        self.clock_us = BEGIN
        self.fault: str | None = None
        self.is_inside = False

    def run(self) -> None:
        """Things happen until everything is delivered."""
        for _ in range(60):
            if not self.outbox:
                return
            match self.chooser.randrange(20):
                case 0:
                    self.rebuild()
                case 1:
                    self.prune()
                case 2:
                    self.writers[self.chooser.randrange(2)] = Writer(self.engine)  # killed and started again
                case 3:
                    self.outbox.append(self.chooser.choice(list(self.events.values())))  # sent twice
                    self.chooser.shuffle(self.outbox)
                case _:
                    self.commit(self.chooser.randrange(2))
        while self.outbox:
            self.fault = None
            self.commit(0, is_calm=True)

    def commit(self, number: int, is_calm: bool = False) -> None:
        """One process takes some requests; those that get no good answer come again."""
        requests: list[_Request] = []
        for _ in range(self.chooser.randint(1, 5)):
            if self.outbox:
                taken = [self.outbox.pop() for _ in range(min(len(self.outbox), self.chooser.choice([1, 1, 1, 2, 4])))]
                requests.append(_Request(taken, (), sum(len(one.raw) for one in taken)))
        if not is_calm and self.chooser.random() < 0.4:
            self.fault = self.chooser.choice(["statement", "unavailable", "unforeseen", "restart"])
        self.writers[number]._commit(requests)
        if self.fault == "restart":
            self.writers[number] = Writer(self.engine)
        for request in requests:
            assert request.answered.acquire(blocking=False), "a request without an answer"
            try:
                refusals = request.result()
            except Unavailable:
                self.outbox.extend(request.events)
                continue
            self.outbox.extend(one for one in request.events if one.hash in refusals)  # replayed from quarantine
            stored = {one.hash for one in request.events if one.hash not in refusals}
            self.ever |= stored
            self.gone -= stored
            if not is_calm and self.chooser.random() < 0.1:
                self.outbox.extend(request.events)  # the answer got lost
        self.chooser.shuffle(self.outbox)
        self.fault = None

    def rebuild(self) -> None:
        """All derived rows anew, or an error in the middle, after which they are as they were."""
        self.fault = self.chooser.choice([None, "rebuild"])
        with suppress(Broken):
            rebuild(self.engine)
        self.fault = None

    def prune(self) -> None:
        before = stored_events(self.engine)
        limit = BEGIN + self.chooser.randint(0, 10) * 1_000_000
        self.fault = self.chooser.choice([None, None, "rebuild"])
        with suppress(Broken):
            prune(self.engine, limit)
        self.fault = None
        gone = before - stored_events(self.engine)
        assert all(self.events[one].time_us < limit for one in gone)
        self.ever |= before
        self.gone |= gone

    # --- the seams ---------------------------------------------------------------------------------------------------

    def prepare(self, events: Sequence[Event]) -> Any:
        """The other process may commit, or the rows be made anew, between what is prepared and its transaction."""
        prepared = PREPARE(events)
        if not self.is_inside and self.outbox and self.chooser.random() < 0.2:
            self.is_inside = True
            fault, self.fault = self.fault, None
            self.rebuild() if self.chooser.random() < 0.2 else self.commit(self.chooser.randrange(2))
            self.fault = fault
            self.is_inside = False
        return prepared

    def ingest(self, connection: Connection, prepared: Any, memory: Any) -> int:
        """Fails in the middle of a statement, or when all is done but committed."""
        self.clock_us += self.chooser.randint(0, 10_000_000)
        fault, self.fault = self.fault, None
        driver = connection.connection.driver_connection
        assert driver is not None
        ticks = self.chooser.randint(1, 600) if fault == "statement" else 0

        def tick() -> int:
            nonlocal ticks
            ticks -= 1
            return ticks == 0  # SQLite interrupts its statement then

        driver.set_progress_handler(tick, 20)
        try:
            new = INGEST(connection, prepared, memory, self.clock_us)
        finally:
            driver.set_progress_handler(None, 20)
        if fault == "unavailable":
            raise OperationalError("COMMIT", None, Broken("disk I/O error"))
        if fault == "unforeseen":
            raise Broken
        self.fault = fault
        return new

    def apply(self, *arguments: Any) -> None:
        APPLY(*arguments)
        if self.fault == "rebuild":
            raise Broken


PREPARE, INGEST, APPLY = collector.writer.prepare, collector.writer.ingest, collector.rebuild.apply


def fast_engine(path: Path) -> Engine:
    """A file whose commits do not wait for the disk."""
    engine = open_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    upgrade(engine)
    return engine


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    folder = tmp_path_factory.mktemp("simulation")
    one, other = fast_engine(folder / "one.db"), fast_engine(folder / "other.db")
    yield one, other
    one.dispose()
    other.dispose()


@pytest.fixture(scope="module")
def pool() -> list[Event]:
    return [read(body) for body in made_bodies()]


def simulate(seed: int, engines: tuple[Engine, Engine], pool: list[Event], patch: pytest.MonkeyPatch) -> None:
    """One world, then the same events in a store that nothing ever happened to."""
    one, plain = engines
    clear(one)
    world = World(seed, one, pool)
    patch.setattr(collector.writer, "prepare", world.prepare)
    patch.setattr(collector.writer, "ingest", world.ingest)
    patch.setattr(collector.rebuild, "apply", world.apply)
    world.run()
    patch.undo()
    kept = world.events.keys() - world.gone
    assert stored_events(one) == kept
    remembered = {table.name for table in REMEMBERED}
    found = state(one)
    for hashes, is_remembered in ((kept, False), (world.events.keys(), True)):
        if is_remembered and not world.gone:
            break
        clear(plain)
        fill(plain, [world.events[each].raw for each in hashes])
        expected = state(plain)
        mine = {name for name in expected if (name in remembered) == is_remembered or not world.gone}
        assert {name: found[name] for name in mine} == {name: expected[name] for name in mine}


@pytest.mark.parametrize("block", range(1 if ONLY else BLOCKS))
def test_whatever_fails_the_state_is_that_of_the_set_of_events(
    block: int, engines: tuple[Engine, Engine], pool: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(FIRST + block, FIRST + (1 if ONLY else SEEDS), BLOCKS):
        try:
            simulate(seed, engines, pool, monkeypatch)
        except Exception as error:
            error.add_note(f"Again with: HEADWATER_SEED={seed} pytest {Path(__file__).relative_to(Path.cwd())}")
            raise
