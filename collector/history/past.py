"""The graph as it was at a moment: a small store in memory, made of the events that counted then.

What a job reads and writes rests on its newest runs and its newest declaration. So the jobs that ever touched a dataset
are looked up, those of each one's events that counted are merged by the same functions as ever (``ingest.merge``), and
the walk goes on from what that job read and wrote *then*. Every answer about the graph can be asked of such a store.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from collector import tables
from collector.decode import Event
from collector.errors import NotFound
from collector.facts import DatasetFacts, FacetSet, Facts, JobFacts
from collector.history.moment import EVER, Moment
from collector.history.uses import events_of_runs, events_of_things
from collector.history.versions import Versions, versions_at
from collector.ingest import Memory, merge
from collector.keys import isoformat
from collector.listing import Hides
from collector.lookup import Found, find_node, names_of
from collector.packing import decompress, pack_facets, unpack_facets
from collector.store.keyed import ask
from collector.store.rows import rows_of
from collector.tables import INPUT, OUTPUT, STATED_DATASET, STATED_JOB
from collector.walk import Direction, among, direct_flows, edges_of_datasets, edges_of_jobs
from lineage.nodes import NodeKind

_LEFT_OUT = "left_out"  # in a connection's info
_MOST_FORESEEN = 1_000  # jobs
_MOST_RUNS = 2_000  # that are looked through for a mention
# the sorts of runs: any, then those of which a job keeps its newest (newest.py)
_SORTS = ("", "AND r.has_inputs", "AND r.has_outputs", "AND (r.has_outputs OR r.has_statements)")
_ANY_NODE = (NodeKind.DATASET, NodeKind.FIELD, NodeKind.JOB)


@contextmanager
def graph_at(
    connection: Connection,
    moment: Moment,
    node_id: str,
    *,
    also: Collection[str] = (),
    direction: Direction = Direction.DOWNSTREAM,
    depth: int,
    limit: int,
) -> Iterator[Connection]:
    """A connection to the graph around a node at a moment: now, the store's own.

    The nodes ``also`` are in it whether or not the walk gets to them.
    Costs the newest runs of each job that ever touched a dataset of the graph; at most ``limit`` jobs are looked at.
    Raises BadQuery, NotFound.
    """
    if moment.is_now:
        yield connection
        return
    start, *others = [find_node(connection, one, _ANY_NODE, had=True) for one in (node_id, *also)]
    with _memory() as memory:
        past = _Past(connection, memory, moment, limit)
        past.fill(start, direction, depth)
        past.check(start)
        for other in others:
            past.fill(other, direction, 0)
            past.check(other)
        # what is remembered of another such store (state.py) is not of this one
        rows_of(memory).put(tables.store_fact, [("epoch", next(_epochs))])
        yield memory


def left_out(connection: Connection) -> int:
    """How many jobs of a moment are not in its graph, as they were too many; 0 in the store itself."""
    jobs: int = connection.info.get(_LEFT_OUT, 0)
    return jobs


@contextmanager
def _memory() -> Iterator[Connection]:
    """An empty store in memory."""
    with _engine().connect() as memory:
        memory.info[_LEFT_OUT] = 0
        try:
            yield memory
        finally:
            memory.rollback()  # all that was brought


@cache
def _engine() -> Engine:
    """Stores in memory, each connection one of its own."""
    engine = create_engine(
        "sqlite://",
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=56,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _make_tables)
    return engine


_TABLES = (*tables.DERIVED, tables.event, tables.store_fact)
_epochs = count(1)


def _make_tables(connection: sqlite3.Connection, _: Any) -> None:
    ddl = [str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in _TABLES]
    ddl += [str(CreateIndex(index).compile(dialect=sqlite.dialect())) for table in _TABLES for index in table.indexes]
    connection.executescript(";".join(ddl))


class _Past:
    """Brings what counted from a store into a store in memory."""

    def __init__(self, store: Connection, memory: Connection, moment: Moment, limit: int) -> None:
        self.store = store
        self.memory = memory
        self.moment = moment
        self.limit = limit
        self.versions: Versions = versions_at(store, moment)
        self._rows = rows_of(memory)
        self._hides = Hides(store)
        self._remembered = Memory()
        self._jobs: set[int] = set()
        self._left_out: set[int] = set()  # jobs that there was no room for
        self._datasets: set[int] = set()  # canonical
        self._runs: set[int] = set()
        self._told: set[int] = set()  # things whose JobEvents and DatasetEvents are here
        self._seeded: set[int] = set()
        self._next_body = self._next_run = 1

    def fill(self, start: Found, direction: Direction, depth: int) -> None:
        """Bring what a walk from ``start`` can reach."""
        datasets, jobs = ({start.id}, set()) if start.node.kind is not NodeKind.JOB else (set(), {start.id})
        ways = [direction] if direction is not Direction.BOTH else [Direction.UPSTREAM, Direction.DOWNSTREAM]
        # those the other way too: what a dataset is at all may be known by its writers alone
        near = self._ever(datasets, (INPUT, OUTPUT))
        ahead = [self._foresee(set(datasets), set(jobs), way, depth) for way in ways]
        self._bring(near.union(*(found for found, _ in ahead)), datasets.union(*(seen for _, seen in ahead)))
        for way in ways:
            self._go(set(datasets), set(jobs), way, depth)
        self._bring_versions()

    def check(self, start: Found) -> None:
        """Have the start in memory, if nothing that counts hangs on it too; NotFound where it was not known."""
        table = tables.job if start.node.kind is NodeKind.JOB else tables.dataset
        if self.memory.execute(select(table.c.id).where(table.c.id == start.id)).first() is not None:
            return
        same = tables.dataset.c.canonical_id if table is tables.dataset else table.c.id
        first = self.store.execute(select(func.min(table.c.created_us)).where(same == start.id)).scalar_one()
        if first > self.moment.as_of_us or (self.moment.is_by_commit and not self._was_mentioned(start)):
            raise NotFound(
                f"Nothing was known of '{start.node.name}' at that moment: "
                f"the first event about it is of {isoformat(first)}."
            )
        self._seed(table, {start.id})

    def _was_mentioned(self, start: Found) -> bool:
        """Whether any event that counts names a dataset that no job's newest run does: looks through those runs."""
        names = set(names_of(self.store, start.id))
        jobs = self._ever([start.id], (INPUT, OUTPUT))
        r = tables.run.c
        newest = select(r.id).where(among(self.store, r.job_id, jobs)).order_by(r.id.desc()).limit(_MOST_RUNS)
        runs = list(self.store.execute(newest).scalars())
        events = events_of_runs(self.store, runs, self.moment)
        events += events_of_things(self.store, jobs | names, self.moment)
        return not names.isdisjoint(Facts(events).datasets)

    def _go(self, datasets: set[int], jobs: set[int], way: Direction, depth: int) -> None:
        sides = {Direction.UPSTREAM: (OUTPUT, INPUT), Direction.DOWNSTREAM: (INPUT, OUTPUT)}.get(way)
        near, far = ((sides[0],), (sides[1],)) if sides else ((INPUT, OUTPUT), (INPUT, OUTPUT))
        seen_datasets, seen_jobs = set(datasets), set(jobs)
        ways = (Direction.UPSTREAM, Direction.DOWNSTREAM) if sides is None else (way,)
        for _ in range(depth + 1):
            if not datasets and not jobs:
                return
            self._bring(jobs | self._ever(datasets, near), datasets)
            touching = {job for side in near for job, _ in edges_of_datasets(self.memory, datasets, side)}
            touching |= self._stated_ends(STATED_JOB, jobs, ways)
            jobs |= touching - seen_jobs
            self._bring(jobs, ())
            seen_jobs |= jobs
            around = {dataset for side in far for _, dataset in edges_of_jobs(self.memory, jobs, side)}
            around |= self._stated_ends(STATED_DATASET, datasets, ways) | self._column_ends(datasets, ways)
            self._datasets |= datasets
            datasets = around - seen_datasets
            seen_datasets |= datasets
            jobs = self._stated_ends(STATED_JOB, jobs, ways) - seen_jobs
        self._datasets |= datasets

    def _foresee(self, datasets: set[int], jobs: set[int], way: Direction, depth: int) -> tuple[set[int], set[int]]:
        """The jobs and datasets that the walk will come to, as far as jobs ever read and wrote what they do: to be
        brought at once, not level by level.

        Most jobs read and write the same datasets for ever, and a merge of many runs costs little more than one of few.
        Some of it the walk may never come to, so of more than _MOST_FORESEEN jobs nothing is said.
        """
        near, far = (OUTPUT, INPUT) if way is Direction.UPSTREAM else (INPUT, OUTPUT)
        most = min(_MOST_FORESEEN, self.limit // 2)
        found, seen = set(jobs), set(datasets)
        sql = (
            "SELECT DISTINCT d.canonical_id FROM {k} {x} job_dataset AS jd ON jd.job_id = k.a AND jd.direction = k.b "
            "{x} dataset AS d ON d.id = jd.dataset_id"
        )
        for _ in range(depth + 1):
            jobs |= self._ever(datasets, (near,)) - found
            found |= jobs
            datasets = {one for (one,) in ask(self.store, sql, [(job, far) for job in jobs])} - seen
            seen |= datasets
            jobs = set()
            if not datasets or len(found) >= most:
                break
        return (found, seen) if len(found) < most else (set(), set())

    def _ever(self, datasets: Iterable[int], sides: Collection[int]) -> set[int]:
        """The jobs that ever read or wrote the datasets, under any of their names."""
        sql = (
            "SELECT DISTINCT jd.job_id FROM {k} {x} dataset AS s ON s.canonical_id = k.a "
            "{x} job_dataset AS jd ON jd.dataset_id = s.id AND jd.direction = k.b"
        )
        return {job for (job,) in ask(self.store, sql, [(one, side) for one in datasets for side in sides])}

    def _stated_ends(self, kind: int, things: Collection[int], ways: Iterable[Direction]) -> set[int]:
        if not things or self.memory.exec_driver_sql("SELECT 1 FROM stated_edge LIMIT 1").first() is None:
            return set()
        flows = [pair for way in ways for pair in direct_flows(self.memory, kind, things, way)]
        return {end for pair in flows for end in pair}

    def _column_ends(self, datasets: Collection[int], ways: Iterable[Direction]) -> set[int]:
        """What column lineage ties the datasets to, though no job lists it."""
        found: set[int] = set()
        for way in ways:
            near, far = "destination_id", "origin_id"
            if way is Direction.DOWNSTREAM:
                near, far = far, near
            sql = f"SELECT DISTINCT e.{far} FROM {{k}} {{x}} column_edge AS e ON e.{near} = k.a"
            found.update(end for (end,) in ask(self.memory, sql, [(one,) for one in datasets]))
        return found

    # --- bringing ----------------------------------------------------------------------------------------------------

    def _bring(self, jobs: Collection[int], datasets: Iterable[int]) -> None:
        """Bring jobs as they were, and what DatasetEvents told of the datasets."""
        wanted = sorted(set(jobs) - self._jobs)
        new = set(wanted[: max(0, self.limit - len(self._jobs))])
        self._jobs |= new
        self._left_out.update(wanted[len(new) :])
        self.memory.info[_LEFT_OUT] = len(self._left_out)
        runs = self._newest_runs(new) - self._runs
        self._runs |= runs
        things = self._things(new, datasets) - self._told
        self._told |= things
        events = events_of_runs(self.store, runs, self.moment) + events_of_things(self.store, things, self.moment)
        if not events:
            return
        self._merge(events)

    def _bring_versions(self) -> None:
        """Bring the runs that wrote the newest versions of the datasets, with their jobs."""
        newest = self.versions.newest(self._datasets)
        runs = self.versions.runs({one.run for one in newest.values() if one.run} - self._runs)
        self._runs |= runs.keys()
        if runs:
            self._bring({run.job_id for run in runs.values()}, ())
            self._merge(events_of_runs(self.store, runs, self.moment))

    def _merge(self, events: list[Event]) -> None:
        facts = Facts(events)
        facts.aliases.clear()  # names are as they are known today
        things: tuple[DatasetFacts | JobFacts, ...] = (*facts.datasets.values(), *facts.jobs.values())
        for one in things:
            one.hidden_us = None  # and so is what a DELETE hides
        self._seed(tables.dataset, facts.datasets)
        self._seed(tables.job, facts.jobs)
        self._recall(facts, tables.dataset, facts.datasets)
        self._recall(facts, tables.job, facts.jobs)
        merge(self._rows, facts, self._remembered, (), self._next_body, self._next_run)
        self._next_body += len(facts.bodies)
        self._next_run += len(facts.runs)

    def _recall(self, facts: Facts, table: tables.Table, things: Mapping[int, DatasetFacts | JobFacts]) -> None:
        """Add the facets of today that had been given by then: runs before the newest may have given them."""
        if self.moment.is_by_commit:
            return  # when a facet arrived is not in its row
        then: dict[int, FacetSet] = {}
        sql = f"SELECT t.id, t.facets FROM {{k}} {{x}} {table.name} AS t ON t.id = k.a"
        for one, packed in ask(self.store, sql, [(one,) for one in things]):
            found = {n: entry for n, entry in unpack_facets(packed).items() if entry[0] <= self.moment.as_of_us}
            known = things[one].facets
            then[one] = {n: entry for n, entry in found.items() if n not in known or known[n][:2] < entry[:2]}
        ids = {entry[2] for facets in then.values() for entry in facets.values()}
        sql = "SELECT b.id, b.hash, b.body FROM {k} {x} facet_body AS b ON b.id = k.a"
        bodies = {body: (bytes(digest), raw) for body, digest, raw in ask(self.store, sql, [(one,) for one in ids])}
        for one, facets in then.items():
            for name, (time_us, tie, body) in facets.items():
                digest, raw = bodies[body]
                facts.bodies.setdefault(digest, decompress(raw))
                things[one].facets[name] = (time_us, tie, digest)

    def _things(self, jobs: set[int], datasets: Iterable[int]) -> set[int]:
        sql = "SELECT s.id FROM {k} {x} dataset AS s ON s.canonical_id = k.a"
        return jobs | {one for (one,) in ask(self.store, sql, [(dataset,) for dataset in datasets])}

    def _newest_runs(self, jobs: Collection[int]) -> set[int]:
        """The runs of each job that may have been its newest, of any sort.

        A run that read and wrote stands for every sort, and what no run of a job ever did need not be looked for
        among all of them.
        """
        found: set[int] = set()
        as_of, known = self.moment.as_of_us, self.moment.known_id
        last = "(SELECT MAX(e.event_id) FROM run_event AS e WHERE e.run = r.id)"
        was_over = "r.updated_us <= ?" + (f" AND {last} <= {known:d}" if known != EVER else "")
        # those under way then count too, if they began later; by commit they may have seemed to
        is_later = "r.created_us >= k.b" if known == EVER else "1 = 1"
        under_way = "r.updated_us > ?" + (f" OR {last} > {known:d}" if known != EVER else "")
        sql = "SELECT j.id, j.input_run, j.output_run, j.statement_run FROM {k} {x} job AS j ON j.id = k.a"
        ever = {job: (job, *runs) for job, *runs in ask(self.store, sql, [(job,) for job in jobs])}
        rest = set(ever)  # a dataset may stand in the place of a job: it has no runs
        for place, condition in enumerate(_SORTS):
            wanted = [job for job in rest if ever[job][place] is not None]
            newest = (
                f"(SELECT r.id FROM run AS r WHERE r.job_id = k.a AND r.created_us <= ? AND {was_over} {condition} "
                "ORDER BY r.created_us DESC, r.run_key DESC LIMIT 1)"
            )
            columns = "n.id, n.job_id, n.created_us, n.has_inputs AND n.has_outputs"
            asked = f"SELECT {columns} FROM {{k}} {{x}} run AS n ON n.id = {newest}"
            over = ask(self.store, asked, [(job,) for job in wanted], as_of, as_of)
            found.update(run for run, *_ in over)
            since = {job: created for _, job, created, _ in over}
            sql = (
                f"SELECT r.id FROM {{k}} {{x}} run AS r ON r.job_id = k.a AND {is_later} "
                f"WHERE r.created_us <= ? AND ({under_way}) {condition}"
            )
            pairs = [(job, since.get(job, -EVER)) for job in wanted]
            found.update(run for (run,) in ask(self.store, sql, pairs, as_of, as_of))
            if place == 0:
                rest -= {job for _, job, _, is_every_sort in over if is_every_sort}
        return found

    def _seed(self, table: tables.Table, ids: Collection[int]) -> None:
        """Rows with the names and the first times of today, for the events to be merged into."""
        new = set(ids) - self._seeded
        if not new:
            return
        columns = "t.id, t.namespace_id, t.name, t.created_us, t.updated_us, t.hidden_us"
        sql = f"SELECT {columns}, t.id FROM {{k}} {{x}} job AS t ON t.id = k.a"
        if table is tables.dataset:
            other = "dataset AS other ON other.id = k.a"
            names = "dataset AS t ON t.canonical_id = other.canonical_id"
            sql = f"SELECT DISTINCT {columns}, t.canonical_id FROM {{k}} {{x}} {other} {{x}} {names}"
        found = ask(self.store, sql, [(one,) for one in new])
        self._seeded.update(row[0] for row in found)
        mentions: dict[int, list[int]] = defaultdict(list)
        for _, _, _, _, updated_us, _, canonical in found:
            mentions[canonical].append(updated_us)
        hidden = {
            one
            for one, namespace_id, _, _, _, hidden_us, canonical in found
            if one == canonical and self._hides.is_hidden(namespace_id, hidden_us, mentions[one])
        }
        rows: list[tuple[object, ...]] = []
        aliases: list[tuple[int, int]] = []
        for one, namespace_id, name, at, _, _, canonical in found:
            hidden_us = EVER if canonical in hidden else None
            if table is tables.dataset:
                rows.append((one, namespace_id, name, at, at, canonical, None, hidden_us, _NOTHING))
                if one != canonical:
                    aliases.append((canonical, one))
            else:
                rows.append((one, namespace_id, name, at, at, *[None] * 8, hidden_us, _NOTHING))
        self._rows.put(table, rows)
        self._rows.put(tables.dataset_alias, aliases)
        self._seed_namespaces({row[1] for row in found})

    def _seed_namespaces(self, namespaces: Collection[int]) -> None:
        sql = "SELECT n.id, n.name, n.created_us FROM {k} {x} namespace AS n ON n.id = k.a"
        found = ask(self.store, sql, [(one,) for one in namespaces])
        rows = [(one, name, at, at, None, None, None) for one, name, at in found]
        self._rows.add(tables.namespace, rows)


_NOTHING = pack_facets({})
