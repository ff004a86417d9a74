"""Ingest: the collector beside the raw append and the bare prototype, in alternating rounds of one run.

Both servers run at once on databases of their own and are loaded in turns, so that a machine that gets slower gets
slower for both. A ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load, processes, prototype
from benchmarks.events import SHAPES
from benchmarks.load import Measured, Plan
from benchmarks.processes import Server, ServerFailed, tail
from benchmarks.report import Figure, Target, median

BATCH = 100  # events in a batch
CONNECTIONS = 16  # of producers that send one event a request
BATCH_CONNECTIONS = 4  # of outboxes that send batches
WARM_SECONDS = 0.7
SHARE_OF_TOP = 0.7  # the load under which latency is asked
FIRST_EVENTS = 10_000  # memory is compared with what it was then
SPARK_EVENTS = 2_000  # for bytes on disk
KNOWN_EVENTS = 5_000  # small ones: after these every job and dataset is known, as in life, and costs a third

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How long and where; `subject` raw-append measures the peer against itself, which must come out as 1."""

    folder: Path
    seconds: float
    rounds: int
    events: int
    progress: Progress
    database_url: str | None = None
    subject: str = "collector"
    edges: int = 1_500_000  # of the graph that is walked
    nights: int = 200  # of the history: versions of each dataset
    minutes: float = 1.0  # of overload

    def open_subject(self, name: str = "collector") -> AbstractContextManager[Server]:
        if self.subject == "raw-append":
            folder = self.folder / name
            folder.mkdir()
            return processes.raw_append(folder)
        return processes.collector(self.folder, self.database_url, name)


@dataclass(frozen=True)
class Mode:
    """One way of sending."""

    title: str
    shape: str
    events_per_request: int
    connections: int
    expected: float  # requests a second, for building them beforehand


MODES = (
    Mode("1.6 KB, one a request", "small", 1, CONNECTIONS, 12_000),
    Mode("1.6 KB, batches of 100", "small", BATCH, BATCH_CONNECTIONS, 600),
    Mode("60 KB, one a request", "spark", 1, CONNECTIONS, 3_000),
    Mode("60 KB, batches of 100", "spark", BATCH, BATCH_CONNECTIONS, 25),
)
SINGLE = MODES[0]


class Driver:
    """Sends to one server and never sends it the same event twice."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._next: dict[str, int] = defaultdict(int)

    def drive(
        self, mode: Mode, seconds: float, *, rate: float | None = None, requests: int | None = None
    ) -> tuple[Measured, float]:
        """One round; returns what was measured, and the server's processor time in µs an event."""
        plan = Plan(
            port=self.server.port,
            seconds=seconds,
            shape=mode.shape,
            events_per_request=mode.events_per_request,
            connections=mode.connections,
            first=self._next[mode.shape],
            rate=rate,
            expected_rate=mode.expected,
            requests=requests,
        )
        before = self.server.cpu_seconds()
        try:
            measured = load.run(plan)
        except ServerFailed as error:
            self.server.check()
            raise ServerFailed(f"{self.server.name}: {error}\n{tail(self.server.log)}") from error
        used = self.server.cpu_seconds() - before
        self._next[mode.shape] = measured.next_event
        self.server.check()
        return measured, used * 1e6 / max(measured.events, 1)


@dataclass
class Rates:
    """Rounds of one mode, side by side."""

    subject: list[float]
    peer: list[float]
    bare: list[float]
    cpu: list[float]
    peer_cpu: list[float]
    p50: list[float]
    p99: list[float]
    refused: dict[str, int]

    def ratio(self, others: list[float]) -> float:
        return median(mine / other for mine, other in zip(self.subject, others, strict=True) if other)


def measure(settings: Settings) -> Iterator[Figure]:
    """Every ingest figure of the issue, as each is known."""
    with contextlib.ExitStack() as stack:
        subject = Driver(stack.enter_context(settings.open_subject()))
        peer = Driver(stack.enter_context(processes.raw_append(settings.folder)))
        single = 0.0
        for mode in MODES:
            rates = _alternate(settings, mode, subject, peer)
            yield from _rate_figures(mode, rates, single)
            if mode is SINGLE:
                single = median(rates.subject)
                yield from _latency(settings, subject, peer)
        yield from _routing(settings, stack, peer)
    yield from _memory_and_disk(settings)


def _alternate(settings: Settings, mode: Mode, subject: Driver, peer: Driver) -> Rates:
    rates = Rates([], [], [], [], [], [], [], {})
    for driver in (subject, peer):
        driver.drive(mode, WARM_SECONDS)
    for number in range(settings.rounds):
        settings.progress(f"ingest, {mode.title}: round {number + 1} of {settings.rounds}")
        measured, cpu = peer.drive(mode, settings.seconds)
        rates.peer.append(measured.events_per_second)
        rates.peer_cpu.append(cpu)
        measured, cpu = subject.drive(mode, settings.seconds)
        rates.subject.append(measured.events_per_second)
        rates.cpu.append(cpu)
        rates.p50.append(measured.p50)
        rates.p99.append(measured.p99)
        for reason, times in measured.refused.items():
            rates.refused[reason] = rates.refused.get(reason, 0) + times
        if mode.events_per_request > 1:
            bare = prototype.run(settings.folder, mode.shape, settings.seconds)
            rates.bare.append(bare.events_per_second)
    return rates


def _rate_figures(mode: Mode, rates: Rates, single: float) -> Iterator[Figure]:
    value = median(rates.subject)
    note = f"p50 {median(rates.p50):.1f} ms, p99 {median(rates.p99):.1f} ms"
    if rates.refused:
        note += f"; NOT 2xx: {rates.refused}"
    target = Target(0.75) if mode.events_per_request == 1 else None
    ratio = rates.ratio(rates.peer)
    yield Figure("ingest", mode.title, value, "events/s", "raw append", median(rates.peer), ratio, target, note)
    if mode.events_per_request > 1:
        ratio = rates.ratio(rates.bare)
        yield Figure(
            "ingest",
            mode.title,
            value,
            "events/s",
            "prototype",
            median(rates.bare),
            ratio,
            Target(0.5),
            "plain sqlite3",
        )
    if mode.shape == "small" and mode.events_per_request > 1:
        yield Figure("ingest", mode.title, value, "events/s", "one a request", single, value / single, Target(4))
    cpu, peer_cpu = median(rates.cpu), median(rates.peer_cpu)
    yield Figure(
        "ingest",
        f"{mode.title}: server's processor",
        cpu,
        "µs/event",
        "raw append",
        peer_cpu,
        cpu / max(peer_cpu, 0.01),
    )


def _latency(settings: Settings, subject: Driver, peer: Driver) -> Iterator[Figure]:
    """Each round asks for the top rate anew: a machine that others use has another one every minute."""
    found = {}
    for driver in (peer, subject):
        p50s, p99s, tops = [], [], []
        for number in range(settings.rounds):
            settings.progress(f"latency, {driver.server.name}: round {number + 1} of {settings.rounds}")
            full, _ = driver.drive(SINGLE, settings.seconds)
            paced, _ = driver.drive(SINGLE, settings.seconds, rate=full.events_per_second * SHARE_OF_TOP)
            # a median above that of the full load is a queue's: beside it any p99 would look good
            p50s.append(min(paced.p50, full.p50))
            p99s.append(paced.p99)
            tops.append(full.events_per_second)
        found[driver] = median(p50s), median(p99s), median(tops)
    p50, p99, top = found[subject]
    peer_p50, peer_p99, _ = found[peer]
    note = f"at {top * SHARE_OF_TOP:,.0f} events/s; raw append at its own: p50 {peer_p50:.2f}, p99 {peer_p99:.2f} ms"
    what = f"p99 beside the median at {SHARE_OF_TOP:.0%} of the top rate"
    yield Figure("latency", what, p99, "ms", "median", p50, p99 / p50, Target(5, at_most=True), note)


def _routing(settings: Settings, stack: contextlib.ExitStack, peer: Driver) -> Iterator[Figure]:
    """What Flask costs the raw append: as much as the collector saves by answering producers in front of it."""
    behind = Driver(stack.enter_context(processes.raw_append(settings.folder, "flask")))
    settings.progress("ingest: the raw append behind Flask")
    behind.drive(SINGLE, WARM_SECONDS)
    pairs = [
        (behind.drive(SINGLE, settings.seconds)[0], peer.drive(SINGLE, settings.seconds)[0])
        for _ in range(settings.rounds)
    ]
    with_flask, without = (median(one.events_per_second for one in side) for side in zip(*pairs, strict=True))
    yield Figure(
        "ingest",
        "the raw append behind Flask, 1.6 KB, one a request",
        with_flask,
        "events/s",
        "without Flask",
        without,
        with_flask / without,
    )


def _memory_and_disk(settings: Settings) -> Iterator[Figure]:
    batches = MODES[1]
    with settings.open_subject("memory") as server:
        driver = Driver(server)
        driver.drive(batches, 600, requests=FIRST_EVENTS // BATCH)
        first = server.held_bytes()
        done = FIRST_EVENTS
        while done < settings.events:
            step = min(100_000, settings.events - done)
            settings.progress(f"memory: {done:,} of {settings.events:,} events")
            driver.drive(batches, 600, requests=max(1, step // BATCH))
            done += step
        last, resident = server.held_bytes(), server.resident_bytes()
    what = f"held after {done:,} events"
    note = f"grew by {(last - first) / 1e6:.1f} MB; with the mapped file {resident / 1e6:.0f} MB resident"
    grown = Target(round(first / 1e6) + 50, at_most=True)
    yield Figure("memory", what, last / 1e6, "MB", f"after {FIRST_EVENTS:,}", first / 1e6, None, grown, note)
    yield _disk(server, "small", done)
    with settings.open_subject("disk") as server:
        settings.progress(f"disk: {SPARK_EVENTS:,} events of 60 KB")
        Driver(server).drive(MODES[3], 600, requests=SPARK_EVENTS // BATCH)
    yield _disk(server, "spark", SPARK_EVENTS)


def _disk(server: Server, shape: str, events: int) -> Figure:
    """Bytes an event in the file that a stopped server left."""
    make = SHAPES[shape]
    raw = sum(len(make(index)) for index in range(0, 1000, 10)) / 100
    stored = server.database_bytes() / events
    title = {"small": "1.6 KB event", "spark": "60 KB event"}[shape]
    ratio = stored / raw
    return Figure("disk", title, stored, "bytes/event", "raw JSON", raw, ratio, Target(1, at_most=True))
