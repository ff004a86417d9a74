"""Walking the current graph level by level in SQL, on integer edges by index alone.

Each level is one or two statements, whatever its width; about a microsecond a node on SQLite. A walk is bounded by
depth and by ``limit`` nodes, and says what it left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, and_, bindparam, exists, func, select
from sqlalchemy.dialects import postgresql

from collector.tables import INPUT, OUTPUT, column_edge, edge
from lineage.graph import EVIDENCE


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
    where = and_(among(connection, edge.c.dataset_id, datasets), edge.c.direction == direction)
    return [tuple(row) for row in connection.execute(select(edge.c.job_id, edge.c.dataset_id).where(where))]


def edges_of_jobs(connection: Connection, jobs: Iterable[int], direction: int) -> list[tuple[int, int]]:
    """(job, dataset) of everything that ``jobs`` read (INPUT) or write (OUTPUT)."""
    where = and_(among(connection, edge.c.job_id, jobs), edge.c.direction == direction)
    return [tuple(row) for row in connection.execute(select(edge.c.job_id, edge.c.dataset_id).where(where))]


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
    for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        if direction in (way, Direction.BOTH):
            _walk_one_way(connection, found, set(datasets), set(jobs), way, depth, limit)
    return found


def _walk_one_way(
    connection: Connection, found: Walk, datasets: set[int], jobs: set[int], way: Direction, depth: int, limit: int
) -> None:
    to_job, to_dataset = (OUTPUT, INPUT) if way is Direction.UPSTREAM else (INPUT, OUTPUT)
    # its own record of what it has seen: a node on both sides of the start belongs to both walks
    seen_datasets, seen_jobs = set(datasets), set(jobs)
    from_jobs = bool(jobs)
    for distance in range(1, depth + 1):
        for step_from_jobs in (from_jobs, not from_jobs):
            if step_from_jobs:
                pairs = edges_of_jobs(connection, jobs, to_dataset)
                datasets = _admit(found, found.datasets, {d for _, d in pairs} - seen_datasets, distance, limit)
                seen_datasets |= datasets
                _note(found, pairs, to_dataset)
            else:
                pairs = edges_of_datasets(connection, datasets, to_job)
                jobs = _admit(found, found.jobs, {j for j, _ in pairs} - seen_jobs, distance, limit)
                seen_jobs |= jobs
                _note(found, pairs, to_job)
        if not (jobs if from_jobs else datasets):
            break


def _walk_any(connection: Connection, datasets: Collection[int], jobs: Collection[int], depth: int, limit: int) -> Walk:
    """Jobs at most ``depth`` jobs away from the start, each with all of its datasets."""
    found = Walk(dict.fromkeys(datasets, 0), dict.fromkeys(jobs, 0))
    frontier_datasets, frontier = set(datasets), set(jobs)
    for distance in range(depth + 1):
        if frontier_datasets:
            touching = {
                job for side in (INPUT, OUTPUT) for job, _ in edges_of_datasets(connection, frontier_datasets, side)
            }
            frontier = _admit(found, found.jobs, touching - found.jobs.keys(), distance, limit)
        if not frontier:
            break
        sides = {side: edges_of_jobs(connection, frontier, side) for side in (INPUT, OUTPUT)}
        around = {dataset for pairs in sides.values() for _, dataset in pairs}
        frontier_datasets = _admit(found, found.datasets, around - found.datasets.keys(), distance, limit)
        for side, pairs in sides.items():
            _note(found, pairs, side)
        frontier = set()
    return found


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


# --- dataset to dataset ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class FlowWalk:
    """A walk over nodes of one kind: ``nodes`` by distance, ``edges`` (origin, destination) with their evidence."""

    nodes: dict[Any, int]
    edges: dict[tuple[Any, Any], str] = field(default_factory=dict)
    left_out: set[Any] = field(default_factory=set)  # seen, but past the limit

    @property
    def missing(self) -> int:
        """Nodes seen and left out."""
        return len(self.left_out)


def walk_datasets(connection: Connection, start: Iterable[int], way: Direction, depth: int, limit: int) -> FlowWalk:
    """Datasets made from datasets: by column lineage where a job gives it for its output, else all its inputs."""
    step = _origins_of if way is Direction.UPSTREAM else _made_from
    return _walk_flow(lambda frontier: step(connection, frontier), start, way, depth, limit)


def walk_jobs(connection: Connection, start: Iterable[int], way: Direction, depth: int, limit: int) -> FlowWalk:
    """Jobs that read what jobs wrote."""
    inner, outer = (INPUT, OUTPUT) if way is Direction.UPSTREAM else (OUTPUT, INPUT)
    near, far = edge.alias("near"), edge.alias("far")

    def step(frontier: Collection[int]) -> Iterable[tuple[int, int, str]]:
        where = and_(among(connection, near.c.job_id, frontier), near.c.direction == inner)
        joined = near.join(far, and_(far.c.dataset_id == near.c.dataset_id, far.c.direction == outer))
        query = select(near.c.job_id, far.c.job_id).select_from(joined).where(where).distinct()
        return [(a, b, "declared") for a, b in connection.execute(query) if a != b]

    return _walk_flow(step, start, way, depth, limit)


def walk_columns(
    connection: Connection, start: Iterable[tuple[int, str]], way: Direction, depth: int, limit: int
) -> FlowWalk:
    """Columns made from columns: nodes are (dataset id, column); ``''`` stands for the dataset as a whole."""
    c = column_edge.c
    ends = (c.destination_id, c.destination_field, c.origin_id, c.origin_field)
    near_id, near_field, far_id, far_field = ends if way is Direction.UPSTREAM else (*ends[2:], *ends[:2])

    def step(frontier: Collection[tuple[int, str]]) -> Iterable[tuple[Any, Any, str]]:
        wanted: dict[int, set[str]] = defaultdict(set)
        for dataset, column in frontier:
            wanted[dataset].add(column)
        query = select(near_id, near_field, far_id, far_field).where(among(connection, near_id, wanted)).distinct()
        for dataset, column, other, other_column in connection.execute(query):
            # what shapes the whole dataset (a filter, a join) shapes each of its columns, and what is made of them
            whole = {""} if way is Direction.DOWNSTREAM else set()
            for mine in wanted[dataset] & ({column} | whole) if column else wanted[dataset]:
                yield (dataset, mine), (other, other_column), "column"

    return _walk_flow(step, start, way, depth, limit)


def _walk_flow(step: Any, start: Iterable[Any], way: Direction, depth: int, limit: int) -> FlowWalk:
    starts = list(start)
    found = FlowWalk(dict.fromkeys(starts[:limit], 0), left_out=set(starts[limit:]))
    frontier = set(found.nodes)
    for distance in range(1, depth + 1):
        if not frontier:
            break
        triples = list(step(frontier))
        new = {other for _, other, _ in triples} - found.nodes.keys()
        room = max(0, limit - len(found.nodes))
        if len(new) > room:
            ordered = sorted(new)
            new = set(ordered[:room])
            found.left_out.update(ordered[room:])
        found.nodes.update(dict.fromkeys(new, distance))
        for near, far, evidence in triples:
            if far in found.nodes:
                pair = (far, near) if way is Direction.UPSTREAM else (near, far)
                found.edges[pair] = min(evidence, found.edges.get(pair, evidence), key=EVIDENCE.index)
        frontier = new
    return found


def _origins_of(connection: Connection, datasets: Collection[int]) -> list[tuple[int, int, str]]:
    """(dataset, what it is made from, evidence)."""
    written, read, c = edge.alias("written"), edge.alias("read"), column_edge.c
    by_column = select(c.destination_id, c.origin_id).where(among(connection, c.destination_id, datasets)).distinct()
    known = exists().where(c.destination_id == written.c.dataset_id, c.job_id == written.c.job_id)
    joined = written.join(read, and_(read.c.job_id == written.c.job_id, read.c.direction == INPUT))
    whole_job = (
        select(written.c.dataset_id, read.c.dataset_id, _writes_others(written))
        .select_from(joined)
        .where(among(connection, written.c.dataset_id, datasets), written.c.direction == OUTPUT, ~known)
        .distinct()
    )
    return _evident(connection, by_column, whole_job)


def _made_from(connection: Connection, datasets: Collection[int]) -> list[tuple[int, int, str]]:
    """(dataset, what is made from it, evidence)."""
    read, written, c = edge.alias("read"), edge.alias("written"), column_edge.c
    by_column = select(c.origin_id, c.destination_id).where(among(connection, c.origin_id, datasets)).distinct()
    known = exists().where(c.destination_id == written.c.dataset_id, c.job_id == written.c.job_id)
    joined = read.join(written, and_(written.c.job_id == read.c.job_id, written.c.direction == OUTPUT))
    whole_job = (
        select(read.c.dataset_id, written.c.dataset_id, _writes_others(written))
        .select_from(joined)
        .where(among(connection, read.c.dataset_id, datasets), read.c.direction == INPUT, ~known)
        .distinct()
    )
    return _evident(connection, by_column, whole_job)


def _writes_others(written: Any) -> ColumnElement[bool]:
    """Whether the job writes more than this dataset: then which input went where is a guess."""
    other = edge.alias("other")
    return exists().where(
        other.c.job_id == written.c.job_id, other.c.direction == OUTPUT, other.c.dataset_id != written.c.dataset_id
    )


def _evident(connection: Connection, by_column: Any, whole_job: Any) -> list[tuple[int, int, str]]:
    found = [(a, b, "column") for a, b in connection.execute(by_column) if a != b]
    for a, b, is_guess in connection.execute(whole_job):
        if a != b:
            found.append((a, b, "inferred" if is_guess else "declared"))
    return found
