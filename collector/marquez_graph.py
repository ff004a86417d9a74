"""Marquez's ``GET /lineage``: the graph around a node, with full data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, or_, select

from collector import tables
from collector.documents.datasets import DatasetRows, drawn_datasets
from collector.documents.finished import Finished
from collector.documents.jobs import Sides, drawn_jobs, ids_of_side, known_sides_of_jobs, sides_of_jobs
from collector.lineage_graph import Question
from collector.listing import Hides
from collector.lookup import find_node
from collector.store.compiled import Among, given, statement
from collector.tables import INPUT, OUTPUT
from collector.walk import Direction, has_direct_flows, walk
from lineage.nodes import NodeKind


@dataclass(slots=True)
class _Found:
    """Ids nearest first, and what lies between them."""

    datasets: Collection[int]
    jobs: Collection[int]
    sides: dict[int, Sides]  # of the jobs
    edges: dict[int, tuple[list[int], list[int]]]  # by job: what it reads and writes, seen or not
    direct: Collection[tuple[bool, int, int]] = ()  # as a Walk's


def marquez_graph(connection: Connection, question: Question, *, by_parent: bool = False) -> list[orjson.Fragment]:
    """The nodes of Marquez's lineage answer, sorted by id, with edges and full data; two statements a step of the walk,
    and 21 more at any size.

    ``by_parent`` puts the parent job in the place of each job that has one.
    """
    start = find_node(connection, question.node_id, (NodeKind.DATASET, NodeKind.JOB))
    is_job = start.node.kind is NodeKind.JOB
    if question.direction is Direction.ANY and not has_direct_flows(connection):
        found = _look_around(connection, start.id, is_job, question.depth, question.limit)
    else:
        found = _walk(connection, start.id, is_job, question)
    hides = Hides(connection)
    datasets = {
        one: shown
        for one, shown in drawn_datasets(connection, found.datasets).items()
        if not _is_dataset_hidden(hides, one, shown.rows)
    }
    jobs = {
        one: shown
        for one, shown in drawn_jobs(connection, found.jobs, found.sides).items()
        if not hides.is_hidden(shown.rows.row.namespace_id, shown.rows.row.hidden_us, [shown.rows.row.updated_us])
    }
    parents: dict[int, int] = {}
    if by_parent:
        parents = {one: parent for one, shown in jobs.items() if (parent := shown.rows.row.parent_id) is not None}
        new = set(parents.values()) - jobs.keys()
        jobs |= drawn_jobs(connection, new, sides_of_jobs(connection, new))
    return _nodes(found, datasets, jobs, parents)


def _is_dataset_hidden(hides: Hides, dataset: int, found: DatasetRows) -> bool:
    own = found.rows[0] if len(found.rows) == 1 else next(row for row in found.rows if row.id == dataset)
    return hides.is_hidden(own.namespace_id, own.hidden_us, [row.updated_us for row in found.rows])


# --- the walk --------------------------------------------------------------------------------------------------------


@statement
def _jobs_of(among: Among) -> Any:
    e = tables.edge.c
    either = or_(e.direction == INPUT, e.direction == OUTPUT)  # so that the index is searched by it
    return select(e.job_id).where(among(e.dataset_id), either).distinct().order_by(e.job_id).limit(given("most"))


def _look_around(connection: Connection, start: int, is_job: bool, depth: int, limit: int) -> _Found:
    """Jobs at most ``depth`` jobs away from the start, each with all of its datasets, and all edges among them.

    At most ``limit`` nodes, of one step those with the lowest ids, so that a cut answer is the same again.
    """
    datasets: dict[int, None] = {} if is_job else {start: None}
    jobs: dict[int, None] = {start: None} if is_job else {}
    sides: dict[int, Sides] = {}
    ends: dict[int, tuple[list[int], list[int]]] = {}
    new_datasets, new_jobs = list(datasets), list(jobs)
    for _ in range(depth + 1):
        if new_datasets:
            room = limit - len(datasets) - len(jobs)
            touching = _jobs_of(connection, new_datasets, most=room + len(jobs))
            new_jobs = [job for (job,) in touching if job not in jobs][:room]
            jobs.update(dict.fromkeys(new_jobs))
        if not new_jobs:
            break
        read = known_sides_of_jobs(connection, new_jobs)
        sides |= read
        ends |= {job: (ids_of_side(inputs), ids_of_side(outputs)) for job, (inputs, outputs) in read.items()}
        room = limit - len(datasets) - len(jobs)
        if room <= 0:
            break
        around = {dataset for job in read for side in ends[job] for dataset in side} - datasets.keys()
        new_datasets = sorted(around)[:room]
        datasets.update(dict.fromkeys(new_datasets))
        new_jobs = []
    return _Found(datasets, jobs, sides, ends)


def _walk(connection: Connection, start: int, is_job: bool, question: Question) -> _Found:
    found = walk(
        connection,
        datasets=() if is_job else (start,),
        jobs=(start,) if is_job else (),
        direction=question.direction,
        depth=question.depth,
        limit=question.limit,
    )
    edges: dict[int, tuple[list[int], list[int]]] = {job: ([], []) for job in found.jobs}
    for dataset, job in found.inputs:
        edges[job][INPUT].append(dataset)
    for job, dataset in found.outputs:
        edges[job][OUTPUT].append(dataset)
    return _Found(found.datasets, found.jobs, sides_of_jobs(connection, found.jobs), edges, found.direct)


# --- the answer ------------------------------------------------------------------------------------------------------


def _nodes(
    found: _Found, datasets: dict[int, Finished[Any]], jobs: dict[int, Finished[Any]], parents: dict[int, int]
) -> list[orjson.Fragment]:
    """The nodes with their edges.

    Two things may have one id (names are not escaped): the one that the walk met first then stands for both, with the
    edges of both.
    """
    dataset_ids = {
        one: f"dataset:{datasets[one].namespace}:{datasets[one].name}" for one in found.datasets if one in datasets
    }
    job_ids = {}
    for job in found.jobs:
        if job in jobs:
            shown = jobs[parents.get(job, job)]
            job_ids[job] = f"job:{shown.namespace}:{shown.name}"
    nodes: dict[str, tuple[bytes, Finished[Any]]] = {}
    for one, node in reversed(dataset_ids.items()):
        nodes[node] = b"DATASET", datasets[one]
    for one, node in reversed(job_ids.items()):
        nodes[node] = b"JOB", jobs[parents.get(one, one)]
    ordered = sorted(nodes)
    place = {node: number for number, node in enumerate(ordered)}
    of_datasets = {one: place[node] for one, node in dataset_ids.items()}
    of_jobs = {one: place[node] for one, node in job_ids.items()}
    # an edge is one number, so that sorting them all orders both the edges out of a node and those into it
    size = len(ordered)
    edges: set[int] = set()
    for job, at in of_jobs.items():
        inputs, outputs = found.edges.get(job, ([], []))
        edges.update([of_datasets[one] * size + at for one in inputs if one in of_datasets])
        at *= size
        edges.update([at + of_datasets[one] for one in outputs if one in of_datasets])
    for is_of_jobs, origin, destination in found.direct:
        places = of_jobs if is_of_jobs else of_datasets
        if origin in places and destination in places and places[origin] != places[destination]:
            edges.add(places[origin] * size + places[destination])
    texts = [orjson.dumps(node) for node in ordered]
    into: list[list[bytes]] = [[] for _ in ordered]
    out_of: list[list[bytes]] = [[] for _ in ordered]
    for edge in sorted(edges):
        start, end = divmod(edge, size)
        text = b'{"origin":%b,"destination":%b}' % (texts[start], texts[end])
        out_of[start].append(text)
        into[end].append(text)
    return [
        orjson.Fragment(
            b'{"id":%b,"type":"%b","data":%b,"inEdges":[%b],"outEdges":[%b]}'
            % (texts[at], nodes[node][0], nodes[node][1].text, b",".join(into[at]), b",".join(out_of[at]))
        )
        for at, node in enumerate(ordered)
    ]
