"""Graph answers on a graph of 1.5 million edges, beside the bare SQL walk of the same file.

The bare walk asks plain sqlite3 for the next level's ids until there are no more, and keeps nothing but the ids. The
collector is measured twice: its walk for ids alone, in this process, and its whole answers over HTTP.
"""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks import processes
from benchmarks.ingest import Settings
from benchmarks.processes import Server
from benchmarks.report import Figure, Target, median
from benchmarks.walk_graph import Graph, Named, dataset, write_graph
from collector.store.engines import open_engine, reading
from collector.tables import INPUT, OUTPUT
from collector.walk import Direction
from collector.walk import walk as walk_ids

DEPTH = 20
LIMIT = 10_000  # nodes in one answer: the collector's default
BUSY_TABLE = -10  # a shared table with a thousand readers: its whole answer fits
SAMPLE = 101  # datasets among which the median one is looked for
REPEATS = 15
SHORT = 0.002  # seconds below which a walk is repeated more often
BUDGET_US = 15.0  # for a node in full JSON
LARGE = 1_000  # nodes from which on the cost of a node is what matters


@dataclass(frozen=True)
class Question:
    """One walk: from where, which way, how far, and which call answers it."""

    title: str
    start: Named
    direction: Direction
    depth: int
    path: str

    @property
    def node_id(self) -> str:
        return f"dataset:{self.start.namespace}:{self.start.name}"


def bare_walk(database: sqlite3.Connection, start: int, direction: Direction, depth: int, limit: int = LIMIT) -> int:
    """Walks level by level for ids only; returns the number of nodes, the start among them."""
    datasets, jobs = {start}, set[int]()
    frontier = {start}
    sides = {Direction.UPSTREAM: (OUTPUT,), Direction.DOWNSTREAM: (INPUT,)}.get(direction, (INPUT, OUTPUT))
    back = {Direction.UPSTREAM: (INPUT,), Direction.DOWNSTREAM: (OUTPUT,)}.get(direction, (INPUT, OUTPUT))
    # Marquez counts the start's own jobs as depth 0
    for _ in range(depth + (direction is Direction.ANY)):
        new_jobs = _next(database, "dataset_id", "job_id", frontier, sides) - jobs
        jobs |= new_jobs
        frontier = _next(database, "job_id", "dataset_id", new_jobs, back) - datasets
        datasets |= frontier
        if not frontier or len(datasets) + len(jobs) >= limit:
            break
    return min(limit, len(datasets) + len(jobs))


def _next(database: sqlite3.Connection, near: str, far: str, ids: set[int], sides: tuple[int, ...]) -> set[int]:
    found: set[int] = set()
    sql = f"SELECT {far} FROM edge WHERE {near} IN (SELECT value FROM json_each(?)) AND direction = ?"
    text = json.dumps(list(ids))
    for side in sides:
        found.update(row[0] for row in database.execute(sql, (text, side)))
    return found


def measure(settings: Settings) -> Iterator[Figure]:
    """Ids beside ids, and whole answers by the node."""
    if settings.database_url is not None or settings.subject != "collector":
        settings.progress("walk: only for the collector on a SQLite file of its own; left out")
        return
    path = settings.folder / "walk.db"
    settings.progress(f"walk: writing {settings.edges:,} edges")
    begin = time.perf_counter()
    graph = write_graph(f"sqlite:///{path}", settings.edges)
    settings.progress(f"walk: written in {time.perf_counter() - begin:.0f} s, {path.stat().st_size / 1e6:.0f} MB")
    with closing(_open(path)) as database, processes.collector(settings.folder, graph.database_url, "walk") as server:
        questions = _questions(database, graph)
        for question in questions:
            settings.progress(f"walk: {question.title}")
            yield from _measured(database, graph, server, question)
        yield _diagram(server, questions[0])


def _questions(database: sqlite3.Connection, graph: Graph) -> list[Question]:
    median_dataset = _median_dataset(database, graph)
    busy = dataset(BUSY_TABLE)
    up, down = "/api/v1/lineage/upstream", "/api/v1/lineage/downstream"
    return [
        Question("upstream of a median dataset", median_dataset, Direction.UPSTREAM, DEPTH, up),
        Question("downstream of a busy table, 1 level", busy, Direction.DOWNSTREAM, 1, down),
        Question("downstream of the busiest table (cut)", graph.hub, Direction.DOWNSTREAM, DEPTH, down),
        Question("Marquez's lineage of a median dataset", median_dataset, Direction.ANY, 1, "/api/v1/lineage"),
        Question("Marquez's lineage of the same, deep (cut)", median_dataset, Direction.ANY, DEPTH, "/api/v1/lineage"),
    ]


def _median_dataset(database: sqlite3.Connection, graph: Graph) -> Named:
    """Of some random datasets, the one whose upstream is of the middle size."""
    chooser = random.Random(3)
    sizes = []
    for number in (chooser.randrange(2 * graph.jobs) for _ in range(SAMPLE)):
        sizes.append((bare_walk(database, dataset(number).id, Direction.UPSTREAM, DEPTH), number))
    return dataset(sorted(sizes)[SAMPLE // 2][1])


def _measured(database: sqlite3.Connection, graph: Graph, server: Server, question: Question) -> Iterator[Figure]:
    start, direction, depth = question.start.id, question.direction, question.depth
    engine = open_engine(graph.database_url)

    def collector_ids() -> int:
        with reading(engine) as connection:
            found = walk_ids(connection, datasets=(start,), direction=direction, depth=depth, limit=LIMIT)
            return found.size

    bare_ms, bare_nodes = _timed(lambda: bare_walk(database, start, direction, depth))
    ids_ms, nodes = _timed(collector_ids)
    engine.dispose()
    note = f"{nodes:,} nodes" if nodes == bare_nodes else f"{nodes:,} nodes, bare {bare_nodes:,}"
    target = Target(2, at_most=True)
    ratio = ids_ms / bare_ms
    yield Figure("walk, ids", question.title, ids_ms, "ms", "bare SQL", bare_ms, ratio, target, note)

    with Client(server.port) as client:
        whole_ms, _ = _timed(lambda: len(client.get(question.path, question)))
        answered = _count(client.get(question.path, question))
    if answered < LARGE:
        note = f"{answered:,} nodes: what one question costs, whatever its size"
        yield Figure("walk, HTTP", question.title, whole_ms, "ms", "bare SQL", bare_ms, note=note)
        return
    note = f"{answered:,} nodes in {whole_ms:.0f} ms; bare SQL {bare_ms:.1f} ms"
    budget = Target(BUDGET_US, at_most=True)
    yield Figure("walk, HTTP", question.title, whole_ms * 1000 / answered, "µs/node", target=budget, note=note)


def _diagram(server: Server, question: Question) -> Figure:
    query = {"direction": question.direction.value, "format": "mermaid"}
    with Client(server.port) as client:
        drawn_ms, size = _timed(lambda: len(client.get("/api/v1/lineage/diagram", question, query)))
        plain_ms, _ = _timed(lambda: len(client.get(question.path, question)))
        idle_ms, _ = _timed(lambda: len(client.get("/health/live", question)))
    note = f"{size:,} bytes of Mermaid; a request that asks nothing takes {idle_ms:.2f} ms"
    return Figure("walk, HTTP", f"diagram, {question.title}", drawn_ms, "ms", "as JSON", plain_ms, note=note)


def _count(body: bytes) -> int:
    answer = json.loads(body)
    return len(answer["graph"] if "graph" in answer else answer["nodes"])


def _timed(action: Callable[[], int]) -> tuple[float, int]:
    """Median milliseconds of some calls after a first one that warms the caches, and what the last returned."""
    action()
    times: list[float] = []
    while len(times) < REPEATS or (len(times) < 10 * REPEATS and median(times) < SHORT):
        begin = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - begin)
    return median(times) * 1000, result


def _open(path: Path) -> sqlite3.Connection:
    """The file as the collector opens it: the same cache and memory map."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.execute("PRAGMA mmap_size=268435456")
    database.execute("PRAGMA cache_size=-65536")
    return database


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self._connection.close()

    def get(self, path: str, question: Question, query: dict[str, str] | None = None) -> bytes:
        values = {"nodeId": question.node_id, "depth": question.depth, **(query or {})}
        self._connection.request("GET", f"{path}?{urlencode(values)}")
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise processes.ServerFailed(f"GET {path}: {answer.status} {body[:300].decode(errors='replace')}")
        return body
