"""A load generator that leaves the processor to the server: one process, raw sockets, prebuilt requests.

`python -m benchmarks.load` reads a `Plan` as JSON from its standard input and writes a `Measured` to its standard
output; `run(plan)` starts that process. Connections are kept alive and each has one request in flight. Without
`rate` a connection sends its next request as soon as the last was answered; with `rate` requests fall due at even
steps and a latency counts from the moment that its request was due, so that a stalled server cannot hide.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from benchmarks.events import SHAPES, batch
from benchmarks.processes import ServerFailed

HEAD_END = b"\r\n\r\n"
IDLE_SECONDS = 0.2
PREBUILT_BYTES = 300_000_000  # enough for some seconds; past it requests are built between answers


@dataclass(frozen=True)
class Plan:
    """What to send: `first` is the index of the first event, so that no two rounds send the same one."""

    port: int
    seconds: float
    shape: str = "small"  # a name of benchmarks.events.SHAPES
    events_per_request: int = 1  # more than one goes to the batch route
    connections: int = 16
    first: int = 0
    rate: float | None = None  # requests a second; None: as many as the server takes
    expected_rate: float = 10_000.0  # requests a second to build before the clock starts
    requests: int | None = None  # stop after so many, whatever the time


@dataclass(frozen=True)
class Measured:
    """What came of it; times in seconds, latencies in milliseconds."""

    requests: int
    events: int  # in requests that were answered 2xx, without those of a batch with failures
    elapsed: float
    p50: float
    p90: float
    p99: float
    longest: float
    refused: dict[str, int] = field(default_factory=dict)  # status or first words of a partial failure -> requests
    load_cpu: float = 0.0  # processor seconds that this generator used
    next_event: int = 0  # first index that was not sent

    @property
    def events_per_second(self) -> float:
        return self.events / self.elapsed


def run(plan: Plan) -> Measured:
    """Runs the plan in a process of its own. Raises ServerFailed when the server hung up or could not be reached."""
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(plan)), capture_output=True, text=True)
    if done.returncode:
        raise ServerFailed(done.stderr.strip())
    return Measured(**json.loads(done.stdout))


class Connection:
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.since = 0.0  # when the request in flight was sent, or fell due
        self.unsent: memoryview | None = None
        self.answer = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, since: float) -> None:
        """Sends what the socket takes; the rest stays in `unsent` until `send_rest`."""
        self.since, self.answer = since, b""
        self.unsent = memoryview(request)
        self.send_rest()

    def send_rest(self) -> None:
        assert self.unsent is not None
        try:
            sent = self.socket.send(self.unsent)
        except BlockingIOError:
            return
        self.unsent = self.unsent[sent:] if sent < len(self.unsent) else None

    def receive(self) -> bool:
        """True when the whole answer is in `answer`; raises ConnectionError when the server hung up."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection in the middle of a round")
        self.answer = self.answer + data if self.answer else data
        end = self.answer.find(HEAD_END)
        if end < 0:
            return False
        head = self.answer[:end].lower()
        place = head.find(b"content-length:")
        if place < 0:
            # Only 204 and 304 may come without; anything else would be chunked, which no route of ours sends.
            return b"transfer-encoding" not in head or self.answer.endswith(b"0\r\n\r\n")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        return len(self.answer) >= end + len(HEAD_END) + length


def requests_of(plan: Plan) -> Iterator[bytes]:
    """Whole HTTP requests, without end."""
    make = SHAPES[plan.shape]
    path = "/api/v1/lineage" if plan.events_per_request == 1 else "/api/v1/lineage/batch"
    index = plan.first
    while True:
        body = make(index) if plan.events_per_request == 1 else batch(make, index, plan.events_per_request)
        index += plan.events_per_request
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nContent-Type: application/json\r\n"
        yield head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


class Round:
    """One plan being carried out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.source = requests_of(plan)
        self.prebuilt = self._prebuild()
        self.sent = 0
        self.latencies: list[float] = []
        self.refused: Counter[str] = Counter()
        self.batch_answers: Counter[bytes] = Counter()

    def _prebuild(self) -> deque[bytes]:
        wanted = self.plan.requests or int((self.plan.rate or self.plan.expected_rate) * self.plan.seconds * 1.2) + 32
        built: deque[bytes] = deque()
        size = 0
        while len(built) < wanted and size < PREBUILT_BYTES:
            built.append(next(self.source))
            size += len(built[-1])
        return built

    def next_request(self) -> bytes:
        self.sent += 1
        return self.prebuilt.popleft() if self.prebuilt else next(self.source)

    def run(self) -> Measured:
        links = [Connection(self.plan.port) for _ in range(self.plan.connections)]
        cpu = time.process_time()
        begin = time.perf_counter()
        if self.plan.rate is None:
            self._closed_loop(links, begin + self.plan.seconds)
        else:
            self._paced(links, begin, self.plan.rate)
        elapsed = time.perf_counter() - begin
        cpu = time.process_time() - cpu
        for link in links:
            link.socket.close()
        return self._measured(elapsed, cpu)

    def _closed_loop(self, links: list[Connection], deadline: float) -> None:
        flying = {link for link in links if not self._is_spent() and self._start(link, time.perf_counter())}
        while flying:
            for link in self._answered(flying, IDLE_SECONDS):
                now = time.perf_counter()
                if now >= deadline or self._is_spent():
                    flying.remove(link)
                else:
                    self._start(link, now)

    def _paced(self, links: list[Connection], begin: float, rate: float) -> None:
        total = self.plan.requests or int(rate * self.plan.seconds)
        idle, flying = list(links), set[Connection]()
        while self.sent < total or flying:
            while idle and self.sent < total and begin + self.sent / rate <= time.perf_counter():
                link = idle.pop()
                self._start(link, begin + self.sent / rate)
                flying.add(link)
            waits = idle and self.sent < total
            wait = max(0.0, begin + self.sent / rate - time.perf_counter()) if waits else IDLE_SECONDS
            for link in self._answered(flying, wait):
                flying.remove(link)
                idle.append(link)

    def _is_spent(self) -> bool:
        return self.plan.requests is not None and self.sent >= self.plan.requests

    def _start(self, link: Connection, since: float) -> bool:
        link.send(self.next_request(), since)
        return True

    def _answered(self, flying: set[Connection], wait: float) -> list[Connection]:
        """Waits for at most `wait` seconds. select, not poll: it alone waits for less than a millisecond."""
        unsent = [link for link in flying if link.unsent is not None]
        readable, writable, _ = select.select(flying, unsent, [], wait)
        for link in writable:
            link.send_rest()
        answered = [link for link in readable if link.receive()]
        now = time.perf_counter()
        for link in answered:
            self.latencies.append(now - link.since)
            self._note(link.answer)
        return answered

    def _note(self, answer: bytes) -> None:
        status = answer[9:12]
        if status[:1] != b"2":
            self.refused[status.decode("latin-1")] += 1
        elif self.plan.events_per_request > 1:
            self.batch_answers[answer.partition(HEAD_END)[2]] += 1

    def _measured(self, elapsed: float, cpu: float) -> Measured:
        for body, times in self.batch_answers.items():
            summary = json.loads(body).get("summary", {}) if body else {}
            if summary.get("failed"):
                self.refused[f"{summary['failed']} of {summary['received']} in a batch failed"] += times
        ordered = sorted(self.latencies)

        def percentile(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0

        size = self.plan.events_per_request
        return Measured(
            requests=len(ordered),
            events=(len(ordered) - sum(self.refused.values())) * size,
            elapsed=elapsed,
            p50=percentile(0.5),
            p90=percentile(0.9),
            p99=percentile(0.99),
            longest=percentile(1.0),
            refused=dict(self.refused),
            load_cpu=cpu,
            next_event=self.plan.first + self.sent * size,
        )


if __name__ == "__main__":
    try:
        json.dump(asdict(Round(Plan(**json.load(sys.stdin))).run()), sys.stdout)
    except ConnectionError as error:
        sys.exit(f"the load generator gave up: {error}")
