"""Marquez's calls on a graph of 1.5 million edges and 100,000 jobs, beside Marquez's own lineage statement.

Each call over HTTP to `headwater serve`, on SQLite and on PostgreSQL, three times: the first answer, when nothing is
kept yet; the same again; and again with an event stored before each, so that the collector cannot know that nothing
changed. The peer is a statement of the shape that Marquez asks PostgreSQL: it aggregates what every job reads and
writes into arrays, and joins these recursively where they overlap. It gives ids only, ours whole documents.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import psycopg
from sqlalchemy import create_engine, make_url, text

from benchmarks import processes
from benchmarks.events import small_event
from benchmarks.ingest import Settings
from benchmarks.marquez_store import MarquezStore, dataset, write_store
from benchmarks.postgres import postgres_server
from benchmarks.report import Figure, Target, median
from benchmarks.walk_graph import Named

DEPTHS = (1, 5, 20)
SAMPLE = 21  # datasets among which the median one is looked for
LEAST, MOST = 11, 300  # answers to one question
AFTER_EVENTS = 11
PATIENCE_S = 60  # for one of the peer's statements
BUDGET_US = 15.0  # for a node in full JSON
PAGE_MS = 5.0

PEER = """
WITH RECURSIVE job_io AS (
  SELECT job_id,
    COALESCE(array_agg(dataset_id) FILTER (WHERE direction = 0), '{}')
      || COALESCE(array_agg(dataset_id) FILTER (WHERE direction = 1), '{}') AS datasets
  FROM edge GROUP BY job_id
), lineage (job_id, datasets, depth) AS (
  SELECT job_id, datasets, 0 FROM job_io WHERE datasets && ARRAY[%(start)s::bigint]
  UNION
  SELECT other.job_id, other.datasets, lineage.depth + 1
  FROM job_io AS other, lineage
  WHERE other.job_id <> lineage.job_id AND other.datasets && lineage.datasets AND lineage.depth < %(depth)s
)
SELECT job_id, datasets FROM lineage
"""


@dataclass(frozen=True)
class Call:
    """One call; ``nodes`` where its cost is told by the node."""

    title: str
    path: str
    target: Target | None = None
    by_node: bool = False


def measure(settings: Settings) -> Iterator[Figure]:
    """SQLite; then PostgreSQL and the peer."""
    if settings.database_url is not None or settings.subject != "collector":
        settings.progress("marquez: only for the collector on databases of its own; left out")
        return
    store = _written(settings, f"sqlite:///{settings.folder / 'marquez.db'}")
    middle = _median_dataset(settings, store)
    yield from _answers(settings, store, "SQLite", middle)
    with ExitStack() as stack:
        server = make_url(stack.enter_context(postgres_server()))
        admin = create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE marquez"))
        admin.dispose()
        url = server.set(database="marquez").render_as_string(hide_password=False)
        store = _written(settings, url)
        yield from _answers(settings, store, "PostgreSQL", middle)
        yield from _peer(settings, store, middle)


def _written(settings: Settings, url: str) -> MarquezStore:
    settings.progress(f"marquez: writing {settings.edges:,} edges to {make_url(url).get_backend_name()}")
    begin = time.perf_counter()
    store = write_store(url, settings.edges)
    settings.progress(f"marquez: written in {time.perf_counter() - begin:.0f} s")
    return store


# --- over HTTP -------------------------------------------------------------------------------------------------------


def _answers(settings: Settings, store: MarquezStore, engine: str, middle: Named) -> Iterator[Figure]:
    with processes.collector(settings.folder, store.database_url, f"marquez {engine}") as server:
        client = _Client(server.port)
        event = iter(range(1 << 30, 1 << 31))
        for call in _calls(store, middle):
            settings.progress(f"marquez, {engine}: {call.title}")
            first_ms, body = client.timed(call.path)
            size = _size(body)
            times = _repeat(settings.seconds, client, call.path)
            after = []
            for _ in range(AFTER_EVENTS):
                client.store(small_event(next(event)))
                after.append(client.timed(call.path)[0])
            p50, p99 = median(times), sorted(times)[min(len(times) - 1, len(times) * 99 // 100)]
            note = f"p99 {p99:.1f} ms, after an event {median(after):.1f} ms, the first {first_ms:.0f} ms"
            if call.by_node:
                note = f"{size:,} nodes in {p50:.1f} ms, {len(body) / 1e6:.1f} MB; {note}"
                cost, unit = p50 * 1_000 / max(size, 1), "µs/node"
            else:
                cost, unit = p50, "ms"
            target = call.target if not call.by_node or size >= 100 else None
            yield Figure(f"marquez, {engine}", call.title, cost, unit, target=target, note=note)
        client.close()


def _calls(store: MarquezStore, middle: Named) -> Iterator[Call]:
    budget, page = Target(BUDGET_US, at_most=True), Target(PAGE_MS, at_most=True)
    for title, node in (("a median dataset", middle), ("the busiest table", store.hub)):
        for depth in DEPTHS:
            query = urlencode({"nodeId": f"dataset:{node.namespace}:{node.name}", "depth": depth})
            yield Call(f"GET /lineage of {title}, depth {depth}", f"/lineage?{query}", budget, by_node=True)
    lake = quote(dataset(0).namespace, safe="")
    deep = store.jobs // 2
    for offset in (0, deep):
        path = f"/namespaces/{lake}/datasets?limit=100&offset={offset}"
        yield Call(f"100 datasets at offset {offset:,}", path, page)
        yield Call(f"100 jobs at offset {offset:,}", f"/jobs?limit=100&offset={offset}", page)
    yield Call("100 jobs whose last run failed", "/jobs?limit=100&lastRunStates=FAILED", page)
    yield Call("search for one job's name", f"/search?q=job_{deep:07d}", page)
    yield Call("search for a word of most names", "/search?q=table", page)
    yield Call("search for two letters", "/search?q=_1", page)


def _median_dataset(settings: Settings, store: MarquezStore) -> Named:
    """Of some random datasets, the one whose answer at depth 1 is of the middle size."""
    chooser = random.Random(3)
    sizes = []
    with processes.collector(settings.folder, store.database_url, "marquez middle") as server:
        client = _Client(server.port)
        for number in (chooser.randrange(3 * store.jobs) for _ in range(SAMPLE)):
            node = dataset(number)
            query = urlencode({"nodeId": f"dataset:{node.namespace}:{node.name}", "depth": 1})
            sizes.append((_size(client.timed(f"/lineage?{query}")[1]), number))
        client.close()
    return dataset(sorted(sizes)[SAMPLE // 2][1])


def _repeat(seconds: float, client: _Client, path: str) -> list[float]:
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < LEAST or (time.perf_counter() - begin < seconds and len(times) < MOST):
        times.append(client.timed(path)[0])
    return times


def _size(body: bytes) -> int:
    answer: dict[str, Any] = orjson.loads(body)
    return len(next(value for value in answer.values() if isinstance(value, list)))


class _Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def timed(self, path: str) -> tuple[float, bytes]:
        """Milliseconds until the whole answer was read, and the answer."""
        begin = time.perf_counter()
        body = self._send("GET", path)
        return (time.perf_counter() - begin) * 1_000, body

    def store(self, event: bytes) -> None:
        self._send("POST", "/lineage", event)

    def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, f"/api/v1{path}", body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status not in (200, 201):
            raise processes.ServerFailed(f"{method} {path}: {answer.status} {said[:300].decode(errors='replace')}")
        return said

    def close(self) -> None:
        """The next call opens it again."""
        self._connection.close()


# --- the peer --------------------------------------------------------------------------------------------------------


def _peer(settings: Settings, store: MarquezStore, middle: Named) -> Iterator[Figure]:
    """Marquez's statement, and the collector's whole answer, in turns."""
    with (
        processes.collector(settings.folder, store.database_url, "marquez peer") as server,
        psycopg.connect(store.database_url, autocommit=True) as connection,
    ):
        connection.execute(f"SET statement_timeout = '{PATIENCE_S}s'")
        client = _Client(server.port)
        for title, node in (("a median dataset", middle), ("the busiest table", store.hub)):
            for depth in DEPTHS:
                settings.progress(f"marquez, beside its own statement: {title}, depth {depth}")
                query = urlencode({"nodeId": f"dataset:{node.namespace}:{node.name}", "depth": depth})
                client.timed(f"/lineage?{query}")
                ours, theirs = [], []
                jobs = 0
                for _ in range(settings.rounds):
                    ours.append(client.timed(f"/lineage?{query}")[0])
                    begin = time.perf_counter()
                    try:
                        jobs = len(connection.execute(PEER, {"start": node.id, "depth": depth}).fetchall())
                        theirs.append((time.perf_counter() - begin) * 1_000)
                    except psycopg.errors.QueryCanceled:
                        break
                    finally:
                        client.close()  # the server has done so, after a while
                ratio = median(ours) / median(theirs) if theirs else None
                gone = f"Marquez's statement did not end in {PATIENCE_S} s"
                yield Figure(
                    "marquez, beside its statement",
                    f"GET /lineage of {title}, depth {depth}",
                    median(ours),
                    "ms",
                    "its statement, ids only",
                    median(theirs) if theirs else None,
                    ratio,
                    note=f"its statement found {jobs:,} jobs" if theirs else gone,
                )
                if not theirs:
                    break  # deeper is no faster
        client.close()
