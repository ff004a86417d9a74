"""Overload: three times the top rate, from many connections, for minutes. How long does a producer wait for its answer?

A producer sends its next event when it falls due and the last one was answered, as every stock client does, so a wait
counts from when its request was sent. What was acknowledged must be there afterwards, and the state a rebuild's.

`python -m benchmarks.overload FILE` reads a `benchmarks.load.Plan` as JSON from its standard input, sends, writes the
number of each acknowledged event to FILE (native 64-bit integers) and a `Waits` to its standard output.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import select as select_columns

from benchmarks import processes
from benchmarks.events import SHAPES
from benchmarks.ingest import BATCH, KNOWN_EVENTS, MODES, SINGLE, WARM_SECONDS, Driver, Settings
from benchmarks.load import Connection, Plan, requests_of
from benchmarks.postgres import postgres_server
from benchmarks.processes import Server, ServerFailed, tail
from benchmarks.report import Figure, Target
from collector.digest import table_digests
from collector.keys import content_hash
from collector.rebuild import rebuild
from collector.store.engines import open_engine, reading
from collector.tables import event

TIMES = 3  # the top rate
APART = 1 << 34  # events of each phase: far from those of the others
PRODUCERS = 960  # connections of single events: the server takes 1,024
OUTBOXES = 96  # connections of batches
SAMPLE_SECONDS = 0.5  # between two looks at the server's memory
MOST_GROWTH = 64.0  # MB, what may wait for a commit


@dataclass(frozen=True)
class Waits:
    """How long the answers took, in milliseconds, and what they were."""

    requests: int
    elapsed: float
    p50: float
    p99: float
    p999: float
    longest: float
    statuses: dict[str, int]
    next_event: int

    def share(self, status: str) -> float:
        """The share, from 0 to 1, of the answers that had this status."""
        return self.statuses.get(status, 0) / max(self.requests, 1)


def measure(settings: Settings) -> Iterator[Figure]:
    """On SQLite, or on ``settings.database_url``."""
    with settings.open_subject("overload") as server:
        yield from _measure(settings, server, settings.database_url or f"sqlite:///{server.database}")


def measure_postgres(settings: Settings) -> Iterator[Figure]:
    """On a PostgreSQL server of its own, with its defaults, on this machine."""
    with (
        postgres_server() as database,
        processes.collector(settings.folder, database, "overload on PostgreSQL") as server,
    ):
        yield from _measure(settings, server, database)


def _measure(settings: Settings, server: Server, database: str) -> Iterator[Figure]:
    engine = "SQLite" if database.startswith("sqlite") else "PostgreSQL"
    driver = Driver(server)
    acknowledged: list[Path] = []
    first = 0
    driver.drive(MODES[1], 60, requests=KNOWN_EVENTS // BATCH)
    for mode, connections, share in ((SINGLE, PRODUCERS, 1.0), (MODES[1], OUTBOXES, 0.25)):
        title = f"{engine}, {mode.title}"
        driver.drive(mode, WARM_SECONDS)
        top, _ = driver.drive(mode, settings.seconds)
        first += APART
        plan = Plan(
            server.port,
            settings.minutes * 60 * share,
            events_per_request=mode.events_per_request,
            connections=connections,
            first=first,
            rate=TIMES * top.requests / top.elapsed,
        )
        acknowledged.append(settings.folder / f"acknowledged-{engine}-{mode.events_per_request}")
        settings.progress(f"overload on {title}: {plan.seconds:.0f} s at {plan.rate:,.0f} requests/s")
        waits, base, most = drive(server, plan, acknowledged[-1])
        yield from _figures(title, plan, waits, base, most)
        after, _ = driver.drive(mode, settings.seconds)
        note = f"NOT 2xx: {after.refused}" if after.refused else ""
        ratio = after.events_per_second / top.events_per_second
        yield Figure(
            "overload",
            f"{title}: once it is over",
            after.events_per_second,
            "events/s",
            "before",
            top.events_per_second,
            ratio,
            note=note,
        )
    settings.progress(f"overload on {engine}: is everything there, and what does a rebuild give?")
    yield from _stored(engine, database, acknowledged)


def drive(server: Server, plan: Plan, acknowledged: Path) -> tuple[Waits, int, int]:
    """Producers in a process of their own: the waits, and the bytes that the server held before and at most.

    The numbers of the acknowledged events go to the file ``acknowledged``.
    """
    base = most = server.held_bytes()
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(SAMPLE_SECONDS):
            most = max(most, server.held_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    command = [sys.executable, "-m", "benchmarks.overload", str(acknowledged)]
    try:
        done = subprocess.run(command, input=json.dumps(asdict(plan)), capture_output=True, text=True)
    finally:
        over.set()
        watching.join()
    server.check()
    if done.returncode:
        raise ServerFailed(f"{server.name}: {done.stderr.strip()}\n{tail(server.log)}")
    return Waits(**json.loads(done.stdout)), base, most


def _figures(title: str, plan: Plan, waits: Waits, base: int, most: int) -> Iterator[Figure]:
    made = waits.statuses.get("201", 0) + waits.statuses.get("200", 0)
    others = {status: times for status, times in waits.statuses.items() if status not in ("200", "201", "503")}
    note = f"{plan.connections} connections, {waits.requests:,} answers in {waits.elapsed:,.0f} s"
    if others:
        note += f"; NEITHER 2xx NOR 503: {others}"
    second = Target(1000, at_most=True)
    for name, value, target in (
        ("p50", waits.p50, None), ("p99", waits.p99, None), ("p99.9", waits.p999, second),
        ("longest", waits.longest, Target(2000, at_most=True)),
    ):  # fmt: skip
        yield Figure("overload", f"{title}: {name}", value, "ms", target=target, note=note)
        note = ""
    rate = made * plan.events_per_request / waits.elapsed
    yield Figure("overload", f"{title}: stored", rate, "events/s", "503", 100 * waits.share("503"), note="beside in %")
    yield Figure(
        "overload", f"{title}: memory grew by", (most - base) / 1e6, "MB", "before", base / 1e6, None,
        Target(MOST_GROWTH * 1.048576, at_most=True),
    )  # fmt: skip


def _stored(title: str, database: str, acknowledged: list[Path]) -> Iterator[Figure]:
    """What was acknowledged and is not there; and the derived tables that a rebuild makes different."""
    engine = open_engine(database)
    with reading(engine) as connection:
        found = set(connection.execute(select_columns(event.c.hash).execution_options(yield_per=10_000)).scalars())
        live = table_digests(connection)
    numbers = array("Q")
    for path in acknowledged:
        numbers.frombytes(path.read_bytes())
    make = SHAPES["small"]
    lost = sum(content_hash(make(number)) not in found for number in numbers)
    note = f"of {len(numbers):,}"
    yield Figure("overload", f"{title}: acknowledged and lost", lost, "events", target=Target(0, True), note=note)
    started = time.perf_counter()
    rebuilt = rebuild(engine)
    elapsed = time.perf_counter() - started
    with reading(engine) as connection:
        again = table_digests(connection)
    other = [name for name in live if live[name] != again[name]]
    note = f"{rebuilt.events:,} events at {rebuilt.events / elapsed:,.0f}/s {' '.join(other)}"
    title += ": tables that a rebuild makes otherwise"
    yield Figure("overload", title, len(other), "tables", target=Target(0, True), note=note)
    engine.dispose()


# --- the producers ---------------------------------------------------------------------------------------------------


class Producers:
    """Many connections, each with at most one request in flight."""

    def __init__(self, plan: Plan) -> None:
        assert plan.rate is not None
        self.plan = plan
        self.step = 1 / plan.rate
        self.source = requests_of(plan)
        self.links = {link.fileno(): link for link in (Connection(plan.port) for _ in range(plan.connections))}
        self.numbers: dict[int, int] = {}  # first event of the request in flight, by connection
        self.sent = 0
        self.waits = array("f")
        self.statuses: Counter[str] = Counter()
        self.acknowledged = array("Q")
        self.poll = select.epoll()
        for number in self.links:
            self.poll.register(number, select.EPOLLIN)

    def run(self) -> Waits:
        """Send for as long as the plan says, then wait for the last answers."""
        begin = time.perf_counter()
        due, end = begin, begin + self.plan.seconds
        idle = deque(self.links)
        while True:
            now = time.perf_counter()
            while idle and due <= now < end:
                self._send(idle.popleft(), now)
                due += self.step
            if not idle:
                due = max(due, now - 1)  # producers do not make up for more than a second
            if now >= end and not self.numbers:
                break
            wait = max(due - now, 0.0) if idle and now < end else 0.2
            for number, event_mask in self.poll.poll(wait):
                if event_mask & select.EPOLLOUT:
                    self._send_rest(number)
                if event_mask & ~select.EPOLLOUT and self.links[number].receive():
                    self._note(number, time.perf_counter())
                    idle.append(number)
        return self._waits(time.perf_counter() - begin)

    def _send(self, number: int, now: float) -> None:
        link = self.links[number]
        self.numbers[number] = self.plan.first + self.sent * self.plan.events_per_request
        self.sent += 1
        link.send(next(self.source), now)
        if link.unsent is not None:
            self.poll.modify(number, select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, number: int) -> None:
        self.links[number].send_rest()
        if self.links[number].unsent is None:
            self.poll.modify(number, select.EPOLLIN)

    def _note(self, number: int, now: float) -> None:
        link = self.links[number]
        first = self.numbers.pop(number)
        status = link.answer[9:12].decode("latin-1")
        if status == "200" and b'"failed":0' not in link.answer:
            status = "200 with failures"
        self.statuses[status] += 1
        self.waits.append((now - link.since) * 1000)
        if status in ("200", "201"):
            self.acknowledged.extend(range(first, first + self.plan.events_per_request))

    def _waits(self, elapsed: float) -> Waits:
        ordered = sorted(self.waits)

        def percentile(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

        return Waits(
            requests=len(ordered),
            elapsed=elapsed,
            p50=percentile(0.5),
            p99=percentile(0.99),
            p999=percentile(0.999),
            longest=percentile(1.0),
            statuses=dict(self.statuses),
            next_event=self.plan.first + self.sent * self.plan.events_per_request,
        )


if __name__ == "__main__":
    producers = Producers(Plan(**json.load(sys.stdin)))
    try:
        json.dump(asdict(producers.run()), sys.stdout)
    except ConnectionError as error:
        sys.exit(f"the producers gave up: {error}")
    Path(sys.argv[1]).write_bytes(producers.acknowledged.tobytes())
