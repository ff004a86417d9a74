"""Walks over nodes of one kind: datasets made from datasets, jobs fed by jobs, columns made from columns.

The best evidence of a dataset's origins counts, for each job that writes it: what it states (``lineage`` facet), else
its column lineage, else all that it reads. Columns that a job tells nothing of are those that its SQL makes. Each level
is a few statements, whatever its width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, select

from collector.derived_columns import DerivedColumns
from collector.facets import Transformation
from collector.store.compiled import Among, Statement, statement
from collector.tables import INPUT, OUTPUT, STATED_DATASET, STATED_JOB, column_edge, edge, job, stated_edge
from collector.walk import Direction, among, direct_flows, has_direct_flows
from lineage.graph import EVIDENCE

#: The transformations in a row of ``column_edge``; a few wordings are those of all edges.
read_transformations = lru_cache(maxsize=4_096)(msgspec.json.Decoder(tuple[Transformation, ...]).decode)


_Flow = tuple[int, int, str]


@dataclass(slots=True)
class FlowWalk:
    """A walk over nodes of one kind: ``nodes`` by distance, ``edges`` (origin, destination) with their evidence."""

    nodes: dict[Any, int]
    edges: dict[tuple[Any, Any], str] = field(default_factory=dict)
    left_out: set[Any] = field(default_factory=set)  # seen, but past the limit
    transformations: dict[tuple[Any, Any], str] = field(default_factory=dict)  # of columns, as in ``column_edge``

    @property
    def missing(self) -> int:
        """Nodes seen and left out."""
        return len(self.left_out)


# Each walk takes in ``limit`` nodes; those that are ``held`` already, by a walk the other way, cost no room.


def walk_datasets(
    connection: Connection, start: Iterable[int], way: Direction, depth: int, limit: int, held: Collection[int] = ()
) -> FlowWalk:
    """Datasets made from datasets, by the best evidence of each job."""
    stated = _has_statements(connection)
    return _walk_flow(lambda frontier: _flows(connection, frontier, way, stated), start, way, depth, limit, held)


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
    derived = DerivedColumns(connection)
    ways = _Ways(way)

    def step(frontier: Collection[tuple[int, str]]) -> Iterable[tuple[Any, Any, str]]:
        wanted: dict[int, set[str]] = defaultdict(set)
        for dataset, column in frontier:
            wanted[dataset].add(column)
        query = select(c.job_id, near_id, near_field, far_id, far_field, c.transformations).where(
            among(connection, near_id, wanted)
        )
        if stated:
            query = query.where(~_is_stated_for(c.job_id, c.destination_id))
        found = [
            ("explicit" if owner < 0 else "column", *row)
            for owner, *row in connection.execute(query.order_by(c.job_id)).all()
        ]
        for one in derived.of_jobs(_jobs_without_columns(connection, wanted, way, stated)):
            pair = ((one.destination, one.column), (one.origin, one.origin_column))
            near, far = pair if way is Direction.UPSTREAM else pair[::-1]
            if near[0] in wanted:
                found.append(("derived", *near, *far, one.transformations))
        for evidence, dataset, column, other, other_column, text in found:
            # what shapes the whole dataset (a filter, a join) shapes each of its columns, and what is made of them
            whole = {""} if way is Direction.DOWNSTREAM else set()
            for mine in wanted[dataset] & ({column} | whole) if column else wanted[dataset]:
                ways.note((dataset, mine), (other, other_column), evidence, text)
                yield (dataset, mine), (other, other_column), evidence

    walked = _walk_flow(step, start, way, depth, limit, held)
    walked.transformations = {pair: ways.of(pair) for pair in walked.edges}
    return walked


class _Ways:
    """How each column is made from another: what the best evidence says of it, each way once."""

    def __init__(self, way: Direction) -> None:
        self._upstream = way is Direction.UPSTREAM
        self._texts: dict[tuple[Any, Any], dict[str, dict[str, None]]] = {}

    def note(self, near: Any, far: Any, evidence: str, text: str) -> None:
        """Take in the transformations of an edge, as JSON."""
        pair = (far, near) if self._upstream else (near, far)
        self._texts.setdefault(pair, {}).setdefault(evidence, {})[text] = None

    def of(self, pair: tuple[Any, Any]) -> str:
        """The transformations of (origin, destination), as JSON."""
        said = self._texts[pair]
        texts = list(said[min(said, key=EVIDENCE.index)])
        if len(texts) == 1:
            return texts[0]
        found: list[Transformation] = []
        for text in texts:
            found.extend(one for one in read_transformations(text) if one not in found)
        found.sort(key=lambda one: one.type == "INDIRECT")  # whoever shows one only shows the first
        return msgspec.json.encode(found).decode()


def columns_known(connection: Connection, dataset: int) -> list[str]:
    """The columns of a dataset that any lineage is known of, ``''`` for the dataset as a whole."""
    c = column_edge.c
    made = select(c.destination_field).where(c.destination_id == dataset)
    used = select(c.origin_field).where(c.origin_id == dataset)
    found = {column for (column,) in connection.execute(made.union(used))}
    derived, stated = DerivedColumns(connection), _has_statements(connection)
    for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        for one in derived.of_jobs(_jobs_without_columns(connection, [dataset], way, stated)):
            both = ((one.destination, one.column), (one.origin, one.origin_column))
            found.update(column for end, column in both if end == dataset)
    return sorted(found)


def columns_derived_of(connection: Connection, job_id: int) -> list[tuple[int, str]]:
    """(output, column) of the columns that a job makes as its SQL tells, where it tells nothing of them itself."""
    written = edge.alias("written")
    query = _outputs_without_columns(written, _has_statements(connection)).where(written.c.job_id == job_id)
    found = DerivedColumns(connection).of_jobs(tuple(row) for row in connection.execute(query))
    return sorted({(one.destination, one.column) for one in found if one.column})


def both_ways(one_way: Callable[[Direction, Collection[Any]], FlowWalk], direction: Direction) -> FlowWalk:
    """``one_way`` in ``direction``; where that is both, downstream has the room that upstream left."""
    if direction in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        return one_way(direction, ())
    up = one_way(Direction.UPSTREAM, ())
    down = one_way(Direction.DOWNSTREAM, up.nodes)
    nodes = up.nodes | {node: min(distance, up.nodes.get(node, distance)) for node, distance in down.nodes.items()}
    left_out = (up.left_out | down.left_out) - nodes.keys()
    return FlowWalk(nodes, up.edges | down.edges, left_out, up.transformations | down.transformations)


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


def _flows(connection: Connection, datasets: Collection[int], way: Direction, stated: bool) -> list[_Flow]:
    """(dataset, what it is made from or what is made from it, evidence)."""
    found: list[_Flow] = []
    if stated:
        found += [(a, b, "explicit") for a, b in _STATED[way](connection, datasets) if a != b]
    by_column, by_job = _UNSTATED[way, stated]
    found += [(a, b, "column") for a, b in by_column(connection, datasets) if a != b]
    found += [
        (a, b, "inferred" if is_guess else "declared") for a, b, is_guess in by_job(connection, datasets) if a != b
    ]
    return found


def _flows_by_statement(way: Direction) -> Statement:
    s = stated_edge.c
    near, far = _ends(way, s.target_id, s.source_id)
    return statement(lambda among: select(near, far).where(among(near), *_of_datasets()).distinct())


def _flows_by_column(way: Direction, stated: bool) -> Statement:
    c = column_edge.c
    near, far = _ends(way, c.destination_id, c.origin_id)
    # negative owners are the columns of statements
    unstated = (~_is_stated_for(c.job_id, c.destination_id),) if stated else ()
    return statement(lambda among: select(near, far).where(among(near), c.job_id >= 0, *unstated).distinct())


def _flows_by_job(way: Direction, stated: bool) -> Statement:
    """All that a job reads, where it tells nothing better."""
    written, read = edge.alias("written"), edge.alias("read")
    near, far = _ends(way, written.c.dataset_id, read.c.dataset_id)
    unstated = (~_is_stated_for(written.c.job_id, written.c.dataset_id),) if stated else ()
    query = (
        select(near, far, _writes_others(written))
        .select_from(written.join(read, read.c.job_id == written.c.job_id))
        .where(written.c.direction == OUTPUT, read.c.direction == INPUT, ~_tells_columns(written), *unstated)
        .distinct()
    )
    return statement(lambda among: query.where(among(near)))


def _ends(way: Direction, made: Any, origin: Any) -> tuple[Any, Any]:
    """The column of the end that a walk comes from, and of the other."""
    return (made, origin) if way is Direction.UPSTREAM else (origin, made)


def _of_datasets() -> tuple[ColumnElement[bool], ...]:
    return (stated_edge.c.target_kind == STATED_DATASET, stated_edge.c.source_kind == STATED_DATASET)


def _writes_others(written: Any) -> ColumnElement[bool]:
    """Whether the job writes more than this dataset: then which input went where is a guess."""
    other = edge.alias("other")
    return exists().where(
        other.c.job_id == written.c.job_id, other.c.direction == OUTPUT, other.c.dataset_id != written.c.dataset_id
    )


def _jobs_without_columns(
    connection: Connection, datasets: Iterable[int], way: Direction, stated: bool
) -> list[tuple[int, int, bytes]]:
    """(job, output, the job's facets) of the jobs that write (or read) ``datasets`` and tell nothing of the columns.

    One statement.
    """
    written, read = edge.alias("written"), edge.alias("read")
    query = _outputs_without_columns(written, stated)
    if way is Direction.UPSTREAM:
        query = query.where(among(connection, written.c.dataset_id, datasets))
    else:
        query = query.join(read, and_(read.c.job_id == written.c.job_id, read.c.direction == INPUT)).where(
            among(connection, read.c.dataset_id, datasets)
        )
    return [tuple(row) for row in connection.execute(query)]


def _outputs_without_columns(written: Any, stated: bool) -> Select[Any]:
    """(job, output, the job's facets) of every job whose columns of that output nothing tells of."""
    query = (
        select(written.c.job_id, written.c.dataset_id, job.c.facets)
        .join(job, job.c.id == written.c.job_id)
        .where(written.c.direction == OUTPUT, ~_tells_columns(written))
    )
    return query.where(~_is_stated_for(written.c.job_id, written.c.dataset_id)) if stated else query


def _tells_columns(written: Any) -> ColumnElement[bool]:
    """Whether the job has column lineage for what it writes."""
    c = column_edge.c
    return exists().where(c.destination_id == written.c.dataset_id, c.job_id == written.c.job_id)


def _has_statements(connection: Connection) -> bool:
    """Whether there is any explicit lineage: most stores hold none."""
    return bool(_any_statement(connection))


@statement
def _any_statement(among: Among) -> Any:
    return select(stated_edge.c.owner_id).limit(1)


def _is_stated_for(job: ColumnElement[int], dataset: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the job states what flows into the dataset."""
    c = stated_edge.c
    return exists().where(c.owner_id == job, c.target_kind == STATED_DATASET, c.target_id == dataset)


_WAYS = (Direction.UPSTREAM, Direction.DOWNSTREAM)
_STATED = {way: _flows_by_statement(way) for way in _WAYS}
_UNSTATED = {
    (way, stated): (_flows_by_column(way, stated), _flows_by_job(way, stated))
    for way in _WAYS
    for stated in (False, True)
}
