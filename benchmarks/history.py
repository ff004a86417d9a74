"""Answers by version and by time on a history of many nights, beside the bare SQL walk of the same file.

Each question is asked of many nodes, as the API asks it, JSON included, HTTP aside: *typical* ones whose answers have
10 to 100 nodes, and *large* ones. The same questions are asked of a history of a tenth as many versions, to which every
answer is as large: what they cost must not grow. The bare walk is one recursive statement in plain sqlite3, which finds
the same versions and keeps nothing but the runs' ids.
"""

from __future__ import annotations

import gc
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from benchmarks import history_store
from benchmarks.history_store import AFRESH, LAYERS, WIDTH, History, node_id, run_number, start_us
from benchmarks.ingest import Settings
from benchmarks.postgres import postgres_server
from benchmarks.report import Figure, Target, median
from collector.history import answers, walks
from collector.history.difference import difference
from collector.history.moment import NOW, Moment
from collector.history.naming import find_version
from collector.history.past import graph_at
from collector.history.reproducibility import reproducibility
from collector.history.staleness import staleness
from collector.history.versions import versions_at
from collector.lineage_graph import Question, answer
from collector.state import forget
from collector.store.engines import open_engine, reading
from collector.walk import Direction

DEPTH = 50  # more than any answer is deep
LIMIT = 10_000
TYPICAL = range(10, 101)  # nodes
SAMPLE, LARGE_SAMPLE = 50, 3  # questions of a kind
TRIES = 40  # nodes for each question that is found
REPEATS = 2
OLD = 2 * AFRESH  # a night long ago
OTHER = 5  # nights between the two moments of a diff

UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM
TYPICAL_MS = Target(10, at_most=True)
NODE_US = Target(20, at_most=True)
GROWTH = Target(1.3, at_most=True)

JSON = dict[str, Any]
Ask = Callable[[Connection], tuple[int, JSON]]  # nodes and the answer


@dataclass(frozen=True)
class Kind:
    """A sort of question: ``make`` asks it of a dataset, as of a night; where typical and large answers start."""

    title: str
    make: Callable[[int, int], Ask]
    typical: range  # layers
    large: range
    is_old: bool = False
    bare: str | None = None  # the statement that walks the same
    way: Direction = UP


@dataclass(frozen=True)
class Asked:
    """What a sample of one kind cost."""

    milliseconds: list[float]
    nodes: list[int]
    starts: list[tuple[int, int]]  # dataset, night

    @property
    def p50(self) -> float:
        return median(self.milliseconds)

    @property
    def p99(self) -> float:
        return sorted(self.milliseconds)[-1 - len(self.milliseconds) // 100]

    @property
    def us_of_node(self) -> float:
        return sum(self.milliseconds) * 1_000 / sum(self.nodes)


def measure(settings: Settings) -> Iterator[Figure]:
    """Typical and large answers, what they cost in a shorter history, beside bare SQL, and on PostgreSQL."""
    if settings.database_url is not None or settings.subject != "collector":
        settings.progress("history: only for the collector on databases of its own; left out")
        return
    gc.freeze()  # as the server does
    gc.set_threshold(50_000, 20, 20)
    short = _written(settings, f"sqlite:///{settings.folder / 'short.db'}", settings.nights // 10)
    shorter = {(kind.title, is_large): asked for kind, is_large, asked in _asked(settings, short)}
    whole = _written(settings, f"sqlite:///{settings.folder / 'history.db'}", settings.nights)
    for kind, is_large, asked in _asked(settings, whole):
        yield from _figures(kind, is_large, asked, shorter[kind.title, is_large], short, whole)
        if kind.bare is not None:
            yield _beside_bare(whole, kind, is_large, asked)
    settings.progress("history: PostgreSQL")
    with postgres_server() as server:
        admin = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE history"))
        url = make_url(server).set(database="history").render_as_string(hide_password=False)
        on_postgres = _written(settings, url, settings.nights // 10)
        for kind, is_large, asked in _asked(settings, on_postgres):
            title = f"{kind.title}, {'large' if is_large else 'typical'}, PostgreSQL"
            beside = shorter[kind.title, is_large].p50
            note = _note(asked, is_large)
            yield Figure("history", title, asked.p50, "ms", "SQLite", beside, asked.p50 / beside, note=note)
        admin.dispose()


def _written(settings: Settings, database_url: str, nights: int) -> History:
    begin = time.perf_counter()
    history = history_store.write_history(database_url, nights)
    seconds = time.perf_counter() - begin
    settings.progress(f"history: {history.runs:,} versions and {history.readings:,} readings in {seconds:.0f} s")
    return history


# --- the questions ---------------------------------------------------------------------------------------------------


def kinds(history: History) -> list[Kind]:
    """The questions that are asked of a history."""
    shallow, deep = range(3, 7), range(LAYERS - 2, LAYERS)
    late, early = range(LAYERS - 8, LAYERS - 3), range(1)

    def provenance(number: int, night: int) -> Ask:
        return lambda connection: _counted(
            answers.provenance(connection, node_id(number, night), NOW, DEPTH, LIMIT), "versions"
        )

    def impact(number: int, night: int) -> Ask:
        return lambda connection: _counted(
            answers.impact(connection, node_id(number, night), NOW, DEPTH, LIMIT), "versions"
        )

    def affected(number: int, night: int) -> Ask:
        by = node_id(number % WIDTH, night)  # of the first layer, whether or not it went into it
        return lambda connection: (1, answers.affected(connection, node_id(number, night), by, NOW, 10 * LIMIT))

    def stale(number: int, night: int) -> Ask:
        return lambda connection: _counted(
            staleness(connection, connection, node_id(number), NOW, DEPTH, LIMIT), "datasets"
        )

    def stale_anew(number: int, night: int) -> Ask:
        def ask(connection: Connection) -> tuple[int, JSON]:
            forget(connection.engine)
            return stale(number, night)(connection)

        return ask

    def as_of(number: int, night: int) -> Ask:
        question = Question(node_id(number), UP, DEPTH, limit=LIMIT)
        moment = Moment(as_of_us=_middle(number, night))

        def ask(connection: Connection) -> tuple[int, JSON]:
            with graph_at(connection, moment, node_id(number), direction=UP, depth=DEPTH, limit=LIMIT) as past:
                return _counted(answer(past, question), "nodes")

        return ask

    def diff(number: int, night: int) -> Ask:
        question = Question(node_id(number), UP, DEPTH, limit=LIMIT)
        before, after = (Moment(as_of_us=_middle(number, one)) for one in (night - OTHER, night))

        def ask(connection: Connection) -> tuple[int, JSON]:
            document, graph = difference(connection, question, before, after)
            return len(graph.nodes), document

        return ask

    def reproduced(number: int, night: int) -> Ask:
        limit = min(history.nights // 2, TYPICAL.stop - 1) if number >= WIDTH else 1_000
        return lambda connection: _counted(
            reproducibility(connection, history_store.job_node_id(number), NOW, limit), "runs"
        )

    return [
        Kind("provenance", provenance, shallow, deep, bare=BARE_UPSTREAM),
        Kind("provenance, old", provenance, shallow, deep, is_old=True, bare=BARE_UPSTREAM),
        Kind("impact", impact, late, early, bare=BARE_DOWNSTREAM, way=DOWN),
        Kind("impact, old", impact, late, early, is_old=True, bare=BARE_DOWNSTREAM, way=DOWN),
        Kind("affected", affected, shallow, deep),
        Kind("staleness", stale, late, early),
        Kind("staleness, after an event", stale_anew, late, early),
        Kind("lineage asOf", as_of, shallow, deep),
        Kind("lineage asOf, old", as_of, shallow, deep, is_old=True),
        Kind("diff", diff, shallow, deep),
        Kind("reproducibility", reproduced, shallow, early),
    ]


def _counted(document: JSON, of: str) -> tuple[int, JSON]:
    found = document[of]
    return found if isinstance(found, int) else len(found), document


def _middle(number: int, night: int) -> int:
    """A time in a night at which the dataset's job, and others, are under way."""
    return start_us(number, night) + history_store.RUN_US // 2


# --- asking ----------------------------------------------------------------------------------------------------------


def _asked(settings: Settings, history: History) -> Iterator[tuple[Kind, bool, Asked]]:
    engine = open_engine(history.database_url)
    for kind in kinds(history):
        for is_large in (False, True):
            settings.progress(f"history: {kind.title}, {'large' if is_large else 'typical'}")
            yield kind, is_large, _sample(engine, history, kind, is_large)
    engine.dispose()


def _sample(engine: Engine, history: History, kind: Kind, is_large: bool) -> Asked:
    """A kind's questions of random nodes whose answers have the size, each in its median time."""
    chooser = random.Random(11)
    layers = kind.large if is_large else kind.typical
    wanted = LARGE_SAMPLE if is_large else SAMPLE
    # the same places in the cycles of a short history and of a long one
    night = OLD if kind.is_old else (history.nights - 2) // AFRESH * AFRESH - 2 * AFRESH
    night += 0 if kind.way is DOWN else AFRESH - 1
    asked = Asked([], [], [])
    for _ in range(TRIES * wanted):
        number = chooser.choice(layers) * WIDTH + chooser.randrange(WIDTH)
        ask = kind.make(number, night)
        nodes, _ = _timed(engine, ask)
        if not is_large and nodes not in TYPICAL and kind.title != "affected":
            continue
        asked.milliseconds.append(median(_timed(engine, ask)[1] for _ in range(REPEATS)))
        asked.nodes.append(nodes)
        asked.starts.append((number, night))
        if len(asked.starts) == wanted:
            break
    return asked


def _timed(engine: Engine, ask: Ask) -> tuple[int, float]:
    """Nodes, and milliseconds from the question to its JSON."""
    begin = time.perf_counter()
    with reading(engine) as connection:
        nodes, document = ask(connection)
        orjson.dumps(document)
    return nodes, (time.perf_counter() - begin) * 1_000


def _figures(kind: Kind, is_large: bool, asked: Asked, shorter: Asked, short: History, whole: History) -> list[Figure]:
    title = f"{kind.title}, {'large' if is_large else 'typical'}"
    note = _note(asked, is_large)
    if is_large and kind.title != "affected":
        first = Figure("history", title, asked.us_of_node, "µs/node", target=NODE_US, note=note)
    else:
        first = Figure("history", title, asked.p50, "ms", target=None if is_large else TYPICAL_MS, note=note)
    against, ratio = f"{short.nights:,} versions", asked.p50 / shorter.p50
    return [first, Figure("history", f"{title}, growth", asked.p50, "ms", against, shorter.p50, ratio, GROWTH)]


def _note(asked: Asked, is_large: bool) -> str:
    note = f"{median(asked.nodes):,.0f} nodes in {asked.p50:.1f} ms, p99 {asked.p99:.1f} ms"
    return note if is_large else f"{note}, {asked.us_of_node:.0f} µs a node"


# --- bare SQL --------------------------------------------------------------------------------------------------------

BARE_UPSTREAM = """
WITH RECURSIVE found(run) AS (
    VALUES (?)
    UNION
    SELECT (SELECT w.run FROM run_dataset AS w WHERE w.dataset_id = u.dataset_id AND w.written_us <= r.created_us
            ORDER BY w.written_us DESC LIMIT 1)
    FROM found CROSS JOIN run AS r ON r.id = found.run
    CROSS JOIN run_dataset AS u ON u.run = found.run AND u.direction = 0)
SELECT COUNT(*) FROM found
"""

BARE_DOWNSTREAM = """
WITH RECURSIVE found(run) AS (
    VALUES (?)
    UNION
    SELECT o.run
    FROM found CROSS JOIN run_dataset AS w ON w.run = found.run AND w.direction = 1
    CROSS JOIN job_dataset AS jd ON jd.dataset_id = w.dataset_id AND jd.direction = 0
    CROSS JOIN run AS r ON r.job_id = jd.job_id AND r.created_us >= w.written_us AND r.created_us < COALESCE(
        (SELECT n.written_us FROM run_dataset AS n WHERE n.dataset_id = w.dataset_id AND n.written_us > w.written_us
         ORDER BY n.written_us LIMIT 1), 1 << 62)
    CROSS JOIN run_dataset AS u ON u.run = r.id AND u.direction = 0 AND u.dataset_id = w.dataset_id
    CROSS JOIN run_dataset AS o ON o.run = r.id AND o.direction = 1 AND o.written_us IS NOT NULL)
SELECT COUNT(*) FROM found
"""


def _beside_bare(history: History, kind: Kind, is_large: bool, asked: Asked) -> Figure:
    """The collector's walk alone beside the bare one, from the same versions."""
    assert kind.bare is not None
    step = walks.upstream if kind.way is UP else walks.downstream
    engine = open_engine(history.database_url)
    ours, bare = [], []
    with closing(_open(str(make_url(history.database_url).database))) as database:
        for number, night in asked.starts:
            for _ in range(REPEATS):
                begin = time.perf_counter()
                (count,) = database.execute(kind.bare, (run_number(number, night),)).fetchone()
                bare.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                with reading(engine) as connection:
                    versions = versions_at(connection, NOW)
                    _, start = find_version(versions, node_id(number, night))
                    assert start is not None
                    found = step(versions, start, DEPTH, LIMIT)
                ours.append(time.perf_counter() - begin)
                assert len(found.versions) == count, f"{node_id(number, night)}: {len(found.versions)}, bare {count}"
    engine.dispose()
    title = f"{kind.title}, {'large' if is_large else 'typical'}, walk"
    a, b = median(ours) * 1_000, median(bare) * 1_000
    return Figure("history", title, a, "ms", "bare SQL", b, sum(ours) / sum(bare), note="versions and steps, no JSON")


def _open(path: str) -> sqlite3.Connection:
    """The file as the collector opens it."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.execute("PRAGMA mmap_size=268435456")
    database.execute("PRAGMA cache_size=-16384")
    return database
