"""Walking the current graph level by level in SQL, on integer edges by index alone.

Each level is one or two statements, whatever its width; about a microsecond a node on SQLite. A walk is bounded by
depth and by ``limit`` nodes, and says what it left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, and_, bindparam, func, select
from sqlalchemy.dialects import postgresql

from collector.tables import INPUT, OUTPUT, STATED_DATASET, STATED_JOB, stated_edge


class Direction(StrEnum):
    """Which way to go from the start."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"  # what it is made from, and what is made from it
    ANY = "any"  # every job that shares a dataset, either way: Marquez's GET /lineage


@dataclass(slots=True)
class Walk:
    """What a walk found. Keys are dataset or job ids, values the distance from the start in steps of one kind."""

    datasets: dict[int, int] = field(default_factory=dict)
    jobs: dict[int, int] = field(default_factory=dict)
    inputs: set[tuple[int, int]] = field(default_factory=set)  # (dataset, job)
    outputs: set[tuple[int, int]] = field(default_factory=set)  # (job, dataset)
    # stated flows with no job between: (whether of jobs, origin, destination)
    direct: set[tuple[bool, int, int]] = field(default_factory=set)
    left_out: set[tuple[bool, int]] = field(default_factory=set)  # (whether it is a job, id): seen, but past the limit

    @property
    def size(self) -> int:
        """Nodes found."""
        return len(self.datasets) + len(self.jobs)

    @property
    def missing(self) -> int:
        """Nodes seen and left out."""
        return len(self.left_out)


def among(connection: Connection, column: ColumnElement[Any], ids: Iterable[Any]) -> ColumnElement[bool]:
    """``column IN ids`` as one statement text for any number of ids, on either engine."""
    values = list(ids)
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, json.dumps(values), type_=Text)).table_valued("value")
        return column.in_(select(each.c.value))
    kind = BigInteger if not values or isinstance(values[0], int) else Text
    return column == func.any(bindparam(None, values, type_=postgresql.ARRAY(kind)))


def edges_of_datasets(connection: Connection, datasets: Iterable[int], direction: int) -> list[tuple[int, int]]:
    """(job, dataset) of every job that reads (INPUT) or writes (OUTPUT) one of ``datasets``."""
    return _edges(connection, "dataset_id", datasets, direction)


def edges_of_jobs(connection: Connection, jobs: Iterable[int], direction: int) -> list[tuple[int, int]]:
    """(job, dataset) of everything that ``jobs`` read (INPUT) or write (OUTPUT)."""
    return _edges(connection, "job_id", jobs, direction)


def _edges(connection: Connection, column: str, ids: Iterable[int], direction: int) -> list[tuple[int, int]]:
    """By the driver itself: a walk asks this at every level, and SQLAlchemy's share of a small one was nine tenths."""
    driver = connection.connection.driver_connection
    assert driver is not None
    where, values = f'"{column}"', list(ids)
    if connection.dialect.name == "sqlite":
        sql = f"SELECT job_id, dataset_id FROM edge WHERE {where} IN (SELECT value FROM json_each(?)) AND direction = ?"
        found = driver.execute(sql, (json.dumps(values), direction)).fetchall()
    else:
        sql = f"SELECT job_id, dataset_id FROM edge WHERE {where} = ANY(%s::bigint[]) AND direction = %s"
        found = driver.execute(sql, (values, direction)).fetchall()
    return list(found)


def walk(
    connection: Connection,
    *,
    datasets: Collection[int] = (),
    jobs: Collection[int] = (),
    direction: Direction,
    depth: int,
    limit: int,
) -> Walk:
    """Walk datasets and jobs from the given ones (of one kind). ``depth`` counts pairs of a dataset and a job."""
    if direction is Direction.ANY:
        return _walk_any(connection, datasets, jobs, depth, limit)
    found = Walk(dict.fromkeys(datasets, 0), dict.fromkeys(jobs, 0))
    direct = has_direct_flows(connection)
    for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        if direction in (way, Direction.BOTH):
            _walk_one_way(connection, found, set(datasets), set(jobs), way, depth, limit, direct)
    return found


def has_direct_flows(connection: Connection) -> bool:
    """Whether anything is stated to flow with no job between: most stores hold none, and need not ask at each level."""
    return (
        connection.execute(select(stated_edge.c.owner_id).where(stated_edge.c.is_direct).limit(1)).first() is not None
    )


def direct_flows(connection: Connection, kind: int, things: Iterable[int], way: Direction) -> list[tuple[int, int]]:
    """(origin, destination) of what is stated to flow to (upstream) or from ``things`` with no job between."""
    c = stated_edge.c
    near, near_kind = (c.target_id, c.target_kind) if way is Direction.UPSTREAM else (c.source_id, c.source_kind)
    where = and_(among(connection, near, things), near_kind == kind, c.source_kind == c.target_kind, c.is_direct)
    return [tuple(row) for row in connection.execute(select(c.source_id, c.target_id).where(where).distinct())]


def _walk_one_way(
    connection: Connection,
    found: Walk,
    datasets: set[int],
    jobs: set[int],
    way: Direction,
    depth: int,
    limit: int,
    direct: bool,
) -> None:
    to_job, to_dataset = (OUTPUT, INPUT) if way is Direction.UPSTREAM else (INPUT, OUTPUT)
    # its own record of what it has seen: a node on both sides of the start belongs to both walks
    seen_datasets, seen_jobs = set(datasets), set(jobs)
    from_jobs = bool(jobs)
    for distance in range(1, depth + 1):
        for step_from_jobs in (from_jobs, not from_jobs):
            if step_from_jobs:
                pairs = edges_of_jobs(connection, jobs, to_dataset)
                flows = direct_flows(connection, STATED_DATASET, datasets, way) if direct else []
                reached = {d for _, d in pairs} | _ends(flows, way)
                datasets = _admit(found, found.datasets, reached - seen_datasets, distance, limit)
                seen_datasets |= datasets
                _note(found, pairs, to_dataset)
                _note_direct(found, found.datasets, flows, of_jobs=False)
            else:
                pairs = edges_of_datasets(connection, datasets, to_job)
                flows = direct_flows(connection, STATED_JOB, jobs, way) if direct else []
                reached = {j for j, _ in pairs} | _ends(flows, way)
                jobs = _admit(found, found.jobs, reached - seen_jobs, distance, limit)
                seen_jobs |= jobs
                _note(found, pairs, to_job)
                _note_direct(found, found.jobs, flows, of_jobs=True)
        if not datasets and not jobs:
            break


def _ends(flows: Iterable[tuple[int, int]], way: Direction) -> set[int]:
    """The far ends of direct flows."""
    return {origin if way is Direction.UPSTREAM else destination for origin, destination in flows}


def _walk_any(connection: Connection, datasets: Collection[int], jobs: Collection[int], depth: int, limit: int) -> Walk:
    """Jobs at most ``depth`` jobs away from the start, each with all of its datasets."""
    found = Walk(dict.fromkeys(datasets, 0), dict.fromkeys(jobs, 0))
    frontier_datasets, frontier = set(datasets), set(jobs)
    direct = has_direct_flows(connection)
    before: set[int] = set()
    for distance in range(depth + 1):
        if frontier_datasets or before:
            touching = {
                job for side in (INPUT, OUTPUT) for job, _ in edges_of_datasets(connection, frontier_datasets, side)
            }
            if direct:
                touching |= _directly_around(connection, found, STATED_JOB, before)
            frontier = _admit(found, found.jobs, touching - found.jobs.keys(), distance, limit)
        if not frontier and not (direct and frontier_datasets):
            break
        sides = {side: edges_of_jobs(connection, frontier, side) for side in (INPUT, OUTPUT)}
        around = {dataset for pairs in sides.values() for _, dataset in pairs}
        if direct:
            around |= _directly_around(connection, found, STATED_DATASET, frontier_datasets)
        frontier_datasets = _admit(found, found.datasets, around - found.datasets.keys(), distance, limit)
        for side, pairs in sides.items():
            _note(found, pairs, side)
        before, frontier = frontier, set()
    if direct:
        for kind, known in ((STATED_DATASET, found.datasets), (STATED_JOB, found.jobs)):
            for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
                _note_direct(found, known, direct_flows(connection, kind, known, way), of_jobs=kind == STATED_JOB)
    return found


def _directly_around(connection: Connection, found: Walk, kind: int, things: Collection[int]) -> set[int]:
    ways = (Direction.UPSTREAM, Direction.DOWNSTREAM)
    return {end for way in ways for pair in direct_flows(connection, kind, things, way) for end in pair}


def _admit(found: Walk, known: dict[int, int], new: set[int], distance: int, limit: int) -> set[int]:
    """Take in ``new`` nodes as far as ``limit`` goes, the lowest ids first so that a cut answer is the same again."""
    room = max(0, limit - found.size)
    unknown = new - known.keys()
    if len(unknown) > room:
        of_jobs = known is found.jobs
        ordered = sorted(unknown)
        unknown = set(ordered[:room])
        found.left_out.update((of_jobs, one) for one in ordered[room:])
    known.update(dict.fromkeys(unknown, distance))
    return unknown | (new & known.keys())


def _note(found: Walk, pairs: Iterable[tuple[int, int]], direction: int) -> None:
    """Remember edges whose both ends were admitted."""
    for job, dataset in pairs:
        if job in found.jobs and dataset in found.datasets:
            if direction == INPUT:
                found.inputs.add((dataset, job))
            else:
                found.outputs.add((job, dataset))


def _note_direct(found: Walk, known: Collection[int], flows: Iterable[tuple[int, int]], *, of_jobs: bool) -> None:
    found.direct.update((of_jobs, a, b) for a, b in flows if a in known and b in known and a != b)
