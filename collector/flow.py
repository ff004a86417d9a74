"""Walks over nodes of one kind: datasets made from datasets, jobs fed by jobs, columns made from columns.

The best evidence of a dataset's origins counts, for each job that writes it: what it states (``lineage`` facet), else
its column lineage, else all that it reads. Each level is a few statements, whatever its width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, select

from collector.tables import INPUT, OUTPUT, STATED_DATASET, STATED_JOB, column_edge, edge, stated_edge
from collector.walk import Direction, among, direct_flows, has_direct_flows
from lineage.graph import EVIDENCE


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


# Each walk takes in ``limit`` nodes; those that are ``held`` already, by a walk the other way, cost no room.


def walk_datasets(
    connection: Connection, start: Iterable[int], way: Direction, depth: int, limit: int, held: Collection[int] = ()
) -> FlowWalk:
    """Datasets made from datasets, by the best evidence of each job."""
    step = _origins_of if way is Direction.UPSTREAM else _made_from
    return _walk_flow(lambda frontier: step(connection, frontier), start, way, depth, limit, held)


def walk_jobs(
    connection: Connection, start: Iterable[int], way: Direction, depth: int, limit: int, held: Collection[int] = ()
) -> FlowWalk:
    """Jobs that read what jobs wrote."""
    inner, outer = (INPUT, OUTPUT) if way is Direction.UPSTREAM else (OUTPUT, INPUT)
    near, far = edge.alias("near"), edge.alias("far")
    direct = has_direct_flows(connection)

    def step(frontier: Collection[int]) -> Iterable[tuple[int, int, str]]:
        where = and_(among(connection, near.c.job_id, frontier), near.c.direction == inner)
        joined = near.join(far, and_(far.c.dataset_id == near.c.dataset_id, far.c.direction == outer))
        query = select(near.c.job_id, far.c.job_id).select_from(joined).where(where).distinct()
        found = [(a, b, "declared") for a, b in connection.execute(query) if a != b]
        for origin, destination in direct_flows(connection, STATED_JOB, frontier, way) if direct else ():
            pair = (destination, origin) if way is Direction.UPSTREAM else (origin, destination)
            found.append((*pair, "explicit"))
        return found

    return _walk_flow(step, start, way, depth, limit, held)


def walk_columns(
    connection: Connection,
    start: Iterable[tuple[int, str]],
    way: Direction,
    depth: int,
    limit: int,
    held: Collection[tuple[int, str]] = (),
) -> FlowWalk:
    """Columns made from columns: nodes are (dataset id, column); ``''`` stands for the dataset as a whole."""
    c = column_edge.c
    ends = (c.destination_id, c.destination_field, c.origin_id, c.origin_field)
    near_id, near_field, far_id, far_field = ends if way is Direction.UPSTREAM else (*ends[2:], *ends[:2])

    stated = _has_statements(connection)

    def step(frontier: Collection[tuple[int, str]]) -> Iterable[tuple[Any, Any, str]]:
        wanted: dict[int, set[str]] = defaultdict(set)
        for dataset, column in frontier:
            wanted[dataset].add(column)
        query = select(near_id, near_field, far_id, far_field, c.job_id < 0).where(among(connection, near_id, wanted))
        if stated:
            query = query.where(~_is_stated_for(c.job_id, c.destination_id))
        for dataset, column, other, other_column, is_stated in connection.execute(query.distinct()):
            evidence = "explicit" if is_stated else "column"
            # what shapes the whole dataset (a filter, a join) shapes each of its columns, and what is made of them
            whole = {""} if way is Direction.DOWNSTREAM else set()
            for mine in wanted[dataset] & ({column} | whole) if column else wanted[dataset]:
                yield (dataset, mine), (other, other_column), evidence

    return _walk_flow(step, start, way, depth, limit, held)


def _walk_flow(
    step: Any, start: Iterable[Any], way: Direction, depth: int, limit: int, held: Collection[Any]
) -> FlowWalk:
    starts = list(start)
    elsewhere = set(held)
    found = FlowWalk(dict.fromkeys(starts[:limit], 0), left_out=set(starts[limit:]))
    frontier = set(found.nodes)
    for distance in range(1, depth + 1):
        if not frontier:
            break
        triples = list(step(frontier))
        new = {other for _, other, _ in triples} - found.nodes.keys()
        unknown = new - elsewhere
        room = max(0, limit - len(found.nodes.keys() | elsewhere))
        if len(unknown) > room:
            cut = sorted(unknown)[room:]
            new.difference_update(cut)
            found.left_out.update(cut)
        found.nodes.update(dict.fromkeys(new, distance))
        for near, far, evidence in triples:
            if far in found.nodes:
                pair = (far, near) if way is Direction.UPSTREAM else (near, far)
                found.edges[pair] = min(evidence, found.edges.get(pair, evidence), key=EVIDENCE.index)
        frontier = new
    return found


def _origins_of(connection: Connection, datasets: Collection[int]) -> list[tuple[int, int, str]]:
    """(dataset, what it is made from, evidence)."""
    written, read, c, s = edge.alias("written"), edge.alias("read"), column_edge.c, stated_edge.c
    stated = select(s.target_id, s.source_id).where(among(connection, s.target_id, datasets), *_of_datasets())
    by_column = select(c.destination_id, c.origin_id).where(among(connection, c.destination_id, datasets))
    joined = written.join(read, and_(read.c.job_id == written.c.job_id, read.c.direction == INPUT))
    whole_job = (
        select(written.c.dataset_id, read.c.dataset_id, _writes_others(written))
        .select_from(joined)
        .where(among(connection, written.c.dataset_id, datasets), written.c.direction == OUTPUT)
    )
    return _evident(connection, stated, by_column, whole_job, written)


def _made_from(connection: Connection, datasets: Collection[int]) -> list[tuple[int, int, str]]:
    """(dataset, what is made from it, evidence)."""
    read, written, c, s = edge.alias("read"), edge.alias("written"), column_edge.c, stated_edge.c
    stated = select(s.source_id, s.target_id).where(among(connection, s.source_id, datasets), *_of_datasets())
    by_column = select(c.origin_id, c.destination_id).where(among(connection, c.origin_id, datasets))
    joined = read.join(written, and_(written.c.job_id == read.c.job_id, written.c.direction == OUTPUT))
    whole_job = (
        select(read.c.dataset_id, written.c.dataset_id, _writes_others(written))
        .select_from(joined)
        .where(among(connection, read.c.dataset_id, datasets), read.c.direction == INPUT)
    )
    return _evident(connection, stated, by_column, whole_job, written)


def _of_datasets() -> tuple[ColumnElement[bool], ...]:
    return (stated_edge.c.target_kind == STATED_DATASET, stated_edge.c.source_kind == STATED_DATASET)


def _writes_others(written: Any) -> ColumnElement[bool]:
    """Whether the job writes more than this dataset: then which input went where is a guess."""
    other = edge.alias("other")
    return exists().where(
        other.c.job_id == written.c.job_id, other.c.direction == OUTPUT, other.c.dataset_id != written.c.dataset_id
    )


def _evident(
    connection: Connection, stated: Any, by_column: Any, whole_job: Any, written: Any
) -> list[tuple[int, int, str]]:
    """The answers of the three questions, each without the jobs that a better one speaks for."""
    c = column_edge.c
    found: list[tuple[int, int, str]] = []
    unknown = ~exists().where(c.destination_id == written.c.dataset_id, c.job_id == written.c.job_id)
    if _has_statements(connection):
        found += [(a, b, "explicit") for a, b in connection.execute(stated.distinct()) if a != b]
        by_column = by_column.where(~_is_stated_for(c.job_id, c.destination_id))
        unknown = and_(unknown, ~_is_stated_for(written.c.job_id, written.c.dataset_id))
    # negative owners are the columns of statements
    columns = connection.execute(by_column.where(c.job_id >= 0).distinct())
    found += [(a, b, "column") for a, b in columns if a != b]
    for a, b, is_guess in connection.execute(whole_job.where(unknown).distinct()):
        if a != b:
            found.append((a, b, "inferred" if is_guess else "declared"))
    return found


def _has_statements(connection: Connection) -> bool:
    """Whether there is any explicit lineage: most stores hold none."""
    return connection.execute(select(stated_edge.c.owner_id).limit(1)).first() is not None


def _is_stated_for(job: ColumnElement[int], dataset: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the job states what flows into the dataset."""
    c = stated_edge.c
    return exists().where(c.owner_id == job, c.target_kind == STATED_DATASET, c.target_id == dataset)
