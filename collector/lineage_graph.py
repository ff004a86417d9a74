"""The answers about the graph: Marquez's ``GET /lineage``, and upstream, downstream and diagrams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from collector import keys, tables
from collector.documents.datasets import Version, dataset_documents, dataset_names, newest_versions
from collector.documents.jobs import job_documents
from collector.flow import FlowWalk, walk_columns, walk_datasets, walk_jobs
from collector.listing import hidden_among
from collector.lookup import Found, find_node
from collector.walk import Direction, Walk, among, walk
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind, dataset_node, field_node, job_node

JSON = dict[str, Any]


class Granularity(StrEnum):
    """What the nodes of an answer are."""

    ALL = "all"  # datasets and the jobs between them
    DATASET = "dataset"
    JOB = "job"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Question:
    """A graph question: where to start, which way, how far, in which nodes."""

    node_id: str
    direction: Direction
    depth: int
    granularity: Granularity = Granularity.ALL
    limit: int = 10_000


_STARTS = {
    Granularity.ALL: (NodeKind.DATASET, NodeKind.JOB),
    Granularity.DATASET: (NodeKind.DATASET,),
    Granularity.JOB: (NodeKind.JOB,),
    Granularity.COLUMN: (NodeKind.FIELD, NodeKind.DATASET),
}


def marquez_graph(connection: Connection, question: Question, *, by_parent: bool = False) -> list[JSON]:
    """The nodes of Marquez's lineage answer, sorted by id, with edges and full data; 17 statements at any size.

    ``by_parent`` puts the parent job in the place of each job that has one.
    """
    start = find_node(connection, question.node_id, (NodeKind.DATASET, NodeKind.JOB))
    found = _walk(connection, start, question)
    _leave_out_hidden(connection, found)
    if by_parent:
        _roll_up(connection, found)
    datasets = dataset_documents(connection, found.datasets, with_facets=False)
    jobs = job_documents(connection, found.jobs, with_facets=False)
    ids = {("d", i): _dataset_id(doc) for i, doc in datasets.items()} | {
        ("j", i): _job_id(doc) for i, doc in jobs.items()
    }
    in_edges: dict[str, list[JSON]] = defaultdict(list)
    out_edges: dict[str, list[JSON]] = defaultdict(list)
    pairs = [(ids["d", d], ids["j", j]) for d, j in found.inputs] + [
        (ids["j", j], ids["d", d]) for j, d in found.outputs
    ]
    pairs += [(ids["j" if of_jobs else "d", a], ids["j" if of_jobs else "d", b]) for of_jobs, a, b in found.direct]
    for origin, destination in sorted(set(pairs)):
        edge = {"origin": origin, "destination": destination}
        out_edges[origin].append(edge)
        in_edges[destination].append(edge)
    nodes = {ids["d", i]: ("DATASET", datasets[i]) for i in reversed(found.datasets)}
    nodes |= {ids["j", i]: ("JOB", jobs[i]) for i in reversed(found.jobs)}
    return [
        {"id": node_id, "type": kind, "data": data, "inEdges": in_edges[node_id], "outEdges": out_edges[node_id]}
        for node_id, (kind, data) in sorted(nodes.items())
    ]


def _leave_out_hidden(connection: Connection, found: Walk) -> None:
    """Take out what a DELETE hides: two statements."""
    jobs = hidden_among(connection, tables.job, found.jobs)
    datasets = hidden_among(connection, tables.dataset, found.datasets)
    if jobs or datasets:
        for job in jobs:
            del found.jobs[job]
        for dataset in datasets:
            del found.datasets[dataset]
        found.inputs = {(d, j) for d, j in found.inputs if d not in datasets and j not in jobs}
        found.outputs = {(j, d) for j, d in found.outputs if d not in datasets and j not in jobs}
        found.direct = {
            (of_jobs, a, b) for of_jobs, a, b in found.direct if not {a, b} & (jobs if of_jobs else datasets)
        }


def _roll_up(connection: Connection, found: Walk) -> None:
    """Put each job's parent in its place, with the edges of all its children: one statement."""
    j = tables.job.c
    query = select(j.id, j.parent_id).where(among(connection, j.id, found.jobs), j.parent_id.is_not(None))
    parents: dict[int, int] = dict(connection.execute(query).all())
    found.jobs = {parents.get(job, job): distance for job, distance in reversed(found.jobs.items())}
    found.inputs = {(d, parents.get(job, job)) for d, job in found.inputs}
    found.outputs = {(parents.get(job, job), d) for job, d in found.outputs}
    rolled = {
        (of_jobs, parents.get(a, a), parents.get(b, b)) if of_jobs else (of_jobs, a, b)
        for of_jobs, a, b in found.direct
    }
    found.direct = {one for one in rolled if one[1] != one[2]}


def answer(connection: Connection, question: Question) -> JSON:
    """The nodes and edges of a question, nearest first, each dataset with its newest version."""
    graph, details = _graph(connection, question)
    nodes = []
    for node in graph.nodes.values():
        document = {"id": node.id, "kind": node.kind.value, "namespace": node.namespace, "name": node.name}
        if node.field is not None:
            document["field"] = node.field
        nodes.append(document | details[node.id])
    nodes.sort(
        key=lambda node: (node["distance"], node["kind"], node["namespace"], node["name"], node.get("field") or "")
    )
    return {
        "nodeId": graph.start[0],
        "direction": question.direction.value,
        "depth": question.depth,
        "granularity": question.granularity.value,
        "nodes": nodes,
        "edges": [{"origin": e.origin, "destination": e.destination, "evidence": e.evidence} for e in graph.edges],
        "truncated": graph.missing > 0,
        "missing": graph.missing,
    }


def diagram(connection: Connection, question: Question) -> Graph:
    """The graph of a question, for ``lineage.mermaid`` and its siblings."""
    return _graph(connection, question)[0]


# --- the graph of a question -----------------------------------------------------------------------------------------

Details = dict[str, JSON]  # by node id: distance, and a dataset's version


def _graph(connection: Connection, question: Question) -> tuple[Graph, Details]:
    start = find_node(connection, question.node_id, _STARTS[question.granularity])
    match question.granularity:
        case Granularity.ALL:
            return _mixed_graph(connection, start, question)
        case Granularity.COLUMN:
            return _column_graph(connection, start, question)
        case _:
            return _flow_graph(connection, start, question)


def _walk(connection: Connection, start: Found, question: Question) -> Walk:
    is_job = start.node.kind is NodeKind.JOB
    return walk(
        connection,
        datasets=() if is_job else (start.id,),
        jobs=(start.id,) if is_job else (),
        direction=question.direction,
        depth=question.depth,
        limit=question.limit,
    )


def _mixed_graph(connection: Connection, start: Found, question: Question) -> tuple[Graph, Details]:
    found = _walk(connection, start, question)
    ids, nodes, details = _dataset_nodes(connection, found.datasets)
    job_ids, job_nodes, job_details = _job_nodes(connection, found.jobs)
    edges = [Edge(ids[d], job_ids[j]) for d, j in found.inputs] + [Edge(job_ids[j], ids[d]) for j, d in found.outputs]
    for of_jobs, origin, destination in found.direct:
        named = job_ids if of_jobs else ids
        edges.append(Edge(named[origin], named[destination], "explicit"))
    first = (job_ids if start.node.kind is NodeKind.JOB else ids)[start.id]
    return Graph(nodes + job_nodes, edges, start=[first], missing=found.missing), details | job_details


def _flow_graph(connection: Connection, start: Found, question: Question) -> tuple[Graph, Details]:
    """Datasets only, or jobs only."""
    of_jobs = question.granularity is Granularity.JOB
    step = walk_jobs if of_jobs else walk_datasets
    found = _both_ways(
        lambda way, held: step(connection, [start.id], way, question.depth, question.limit, held), question.direction
    )
    ids, nodes, details = (_job_nodes if of_jobs else _dataset_nodes)(connection, found.nodes)
    edges = [Edge(ids[a], ids[b], evidence) for (a, b), evidence in found.edges.items()]
    return Graph(nodes, edges, start=[ids[start.id]], missing=found.missing), details


def _column_graph(connection: Connection, start: Found, question: Question) -> tuple[Graph, Details]:
    field = keys.clean_name(start.node.field, keys.FIELD_BYTES) if start.node.field is not None else None
    starts = [(start.id, field)] if field is not None else _columns_of(connection, start.id)
    found = _both_ways(
        lambda way, held: walk_columns(connection, starts, way, question.depth, question.limit, held),
        question.direction,
    )
    names = dataset_names(connection, {dataset for dataset, _ in found.nodes})
    ids: dict[tuple[int, str], str] = {}
    nodes, details = [], {}
    for (dataset, column), distance in found.nodes.items():
        namespace, name = names[dataset]
        if column:
            node = Node(str(field_node(namespace, name, column)), NodeKind.FIELD, namespace, name, column)
        else:
            node = Node(str(dataset_node(namespace, name)), NodeKind.DATASET, namespace, name)
        ids[dataset, column] = node.id
        if node.id not in details:
            nodes.append(node)
            details[node.id] = {"distance": distance}
    edges = [Edge(ids[a], ids[b], evidence) for (a, b), evidence in found.edges.items()]
    graph = Graph(nodes, edges, start=[ids[one] for one in starts if one in ids], missing=found.missing)
    return graph, details


def _columns_of(connection: Connection, dataset: int) -> list[tuple[int, str]]:
    """The dataset's columns that lineage is known of, or the dataset as a whole."""
    c = tables.column_edge.c
    made = select(c.destination_field).where(c.destination_id == dataset)
    used = select(c.origin_field).where(c.origin_id == dataset)
    columns = {column for (column,) in connection.execute(made.union(used))}
    return [(dataset, column) for column in sorted(columns)] or [(dataset, "")]


def _both_ways(one_way: Callable[[Direction, Collection[Any]], FlowWalk], direction: Direction) -> FlowWalk:
    """``one_way`` in ``direction``; where that is both, downstream has the room that upstream left."""
    if direction in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        return one_way(direction, ())
    up = one_way(Direction.UPSTREAM, ())
    down = one_way(Direction.DOWNSTREAM, up.nodes)
    nodes = up.nodes | {node: min(distance, up.nodes.get(node, distance)) for node, distance in down.nodes.items()}
    return FlowWalk(nodes, up.edges | down.edges, (up.left_out | down.left_out) - nodes.keys())


# Names are not escaped in Marquez's node ids, so two things may have one id: "a:b" in "x", and "b" in "x:a". The one
# that the walk met first then stands for both, with the edges of both.


def _dataset_nodes(connection: Connection, found: dict[int, int]) -> tuple[dict[int, str], list[Node], Details]:
    names = dataset_names(connection, found)
    versions = newest_versions(connection, found)
    ids: dict[int, str] = {}
    nodes: list[Node] = []
    details: Details = {}
    for dataset, distance in found.items():
        ids[dataset] = node_id = str(dataset_node(*names[dataset]))
        if node_id not in details:
            version = versions.get(dataset)
            nodes.append(Node(node_id, NodeKind.DATASET, *names[dataset], detail=_version_label(version)))
            details[node_id] = {"distance": distance} | _version(version)
    return ids, nodes, details


def _job_nodes(connection: Connection, found: dict[int, int]) -> tuple[dict[int, str], list[Node], Details]:
    j, n, run = tables.job, tables.namespace, tables.run
    query = (
        select(j.c.id, n.c.name, j.c.name, run.c.state)
        .join(n, n.c.id == j.c.namespace_id)
        .outerjoin(run, run.c.id == j.c.latest_run)
        .where(among(connection, j.c.id, found))
    )
    ids: dict[int, str] = {}
    nodes: list[Node] = []
    details: Details = {}
    rows = {job: (namespace, name, state) for job, namespace, name, state in connection.execute(query)}
    for job, distance in found.items():
        namespace, name, state = rows[job]
        ids[job] = node_id = str(job_node(namespace, name))
        if node_id in details:
            continue
        status = "failed" if state in ("FAILED", "ABORTED") else None
        nodes.append(Node(node_id, NodeKind.JOB, namespace, name, status=status))
        details[node_id] = {"distance": distance, "latestRunState": state}
    return ids, nodes, details


def _version(version: Version | None) -> JSON:
    if version is None:
        return {"version": None, "checksum": None, "codeVersion": None, "runId": None}
    return {
        "version": version.version or version.uuid,
        "checksum": version.checksum,
        "codeVersion": version.code_version,
        "runId": version.run_id,
    }


def _version_label(version: Version | None) -> str | None:
    """A second line for diagrams: the start of the checksum, else a short version that somebody named."""
    if version is None:
        return None
    if version.checksum:
        algorithm, _, value = version.checksum.partition(":")
        return f"{algorithm} {value[:8]}"
    return version.version if version.version and len(version.version) <= 24 else None


def _dataset_id(document: JSON) -> str:
    return str(dataset_node(document["namespace"], document["name"]))


def _job_id(document: JSON) -> str:
    return str(job_node(document["namespace"], document["name"]))
