"""The answers about the graph: upstream, downstream and diagrams."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from collector.column_graph import Details, graph_of_columns
from collector.flow import both_ways, walk_datasets, walk_jobs
from collector.graph_nodes import dataset_nodes, job_nodes
from collector.graph_view import Seen, View, seen
from collector.history.past import left_out
from collector.lookup import Found, find_node
from collector.step_evidence import step_evidence
from collector.walk import Direction, Walk, walk
from lineage.document import edge_document
from lineage.graph import Edge, Graph
from lineage.nodes import NodeKind

JSON = dict[str, Any]


class Granularity(StrEnum):
    """What the nodes of an answer are."""

    ALL = "all"  # datasets and the jobs between them
    DATASET = "dataset"
    JOB = "job"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Question:
    """A graph question: where to start, which way, how far, in which nodes, and how to show them.

    ``limit`` bounds what is shown, ``reach`` what is looked at where a view leaves some of it out.
    """

    node_id: str
    direction: Direction
    depth: int
    granularity: Granularity = Granularity.ALL
    limit: int = 10_000
    reach: int = 10_000
    view: View = field(default_factory=View)


_STARTS = {
    Granularity.ALL: (NodeKind.DATASET, NodeKind.JOB),
    Granularity.DATASET: (NodeKind.DATASET,),
    Granularity.JOB: (NodeKind.JOB,),
    Granularity.COLUMN: (NodeKind.FIELD, NodeKind.DATASET),
}


def answer(connection: Connection, question: Question) -> JSON:
    """The nodes and edges of a question, nearest first, each dataset with its newest version."""
    shown = look(connection, question)
    graph, details = shown.graph, shown.details
    nodes = []
    for node in graph.nodes.values():
        document = {"id": node.id, "kind": node.kind.value, "namespace": node.namespace, "name": node.name}
        if node.field is not None:
            document["field"] = node.field
        if node.detail is not None and node.kind in (NodeKind.JOB, NodeKind.NAMESPACE):
            document["detail"] = node.detail  # what it stands for
        nodes.append(document | details[node.id])
    nodes.sort(
        key=lambda node: (node["distance"], node["kind"], node["namespace"], node["name"], node.get("field") or "")
    )
    found = {
        "nodeId": graph.start[0],
        "direction": question.direction.value,
        "depth": question.depth,
        "granularity": question.granularity.value,
        "nodes": nodes,
        "edges": edge_documents(graph, details, question.granularity),
        "truncated": graph.missing > 0,
        "missing": graph.missing,
    }
    return found if shown.note is None else found | {"note": shown.note}


def edge_documents(graph: Graph, details: Details, granularity: Granularity) -> list[JSON]:
    """The edges; those between columns say whether they give values (or only shape the rows), and how."""
    if granularity is not Granularity.COLUMN:
        return [edge_document(edge) for edge in graph.edges]
    return [
        {
            "origin": edge.origin,
            "destination": edge.destination,
            "evidence": edge.evidence,
            "indirect": edge.indirect,
            "transformations": [],
        }
        | details.get((edge.origin, edge.destination), {})
        for edge in graph.edges
    ]


def diagram(connection: Connection, question: Question) -> Graph:
    """The graph of a question, for ``lineage.mermaid`` and its siblings."""
    return look(connection, question).graph


def look(connection: Connection, question: Question) -> Seen:
    """The graph of a question as it is to be shown. Raises BadQuery, NotFound."""
    graph, details = _graph(connection, question)
    if not graph.missing and (missing := left_out(connection)):
        graph = Graph(graph.nodes.values(), graph.edges, start=graph.start, missing=missing)
    return seen(connection, graph, details, question.view, question.direction, question.limit)


# --- the graph of a question -----------------------------------------------------------------------------------------


def _graph(connection: Connection, question: Question) -> tuple[Graph, Details]:
    start = find_node(connection, question.node_id, _STARTS[question.granularity])
    match question.granularity:
        case Granularity.ALL:
            return _mixed_graph(connection, start, question)
        case Granularity.COLUMN:
            return graph_of_columns(connection, start, question.direction, question.depth, _room(question))
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
        limit=_room(question),
    )


def _room(question: Question) -> int:
    return question.limit if question.view.is_whole else question.reach


def _mixed_graph(connection: Connection, start: Found, question: Question) -> tuple[Graph, Details]:
    found = _walk(connection, start, question)
    ids, nodes, details = dataset_nodes(connection, found.datasets)
    job_ids, jobs, job_details = job_nodes(connection, found.jobs)
    read, written = step_evidence(connection, found.jobs)
    edges = [Edge(ids[d], job_ids[j], read.get((d, j), "declared")) for d, j in found.inputs]
    edges += [Edge(job_ids[j], ids[d], written.get((j, d), "declared")) for j, d in found.outputs]
    for of_jobs, origin, destination in found.direct:
        named = job_ids if of_jobs else ids
        edges.append(Edge(named[origin], named[destination], "explicit"))
    first = (job_ids if start.node.kind is NodeKind.JOB else ids)[start.id]
    return Graph(nodes + jobs, edges, start=[first], missing=found.missing), details | job_details


def _flow_graph(connection: Connection, start: Found, question: Question) -> tuple[Graph, Details]:
    """Datasets only, or jobs only."""
    of_jobs = question.granularity is Granularity.JOB
    step = walk_jobs if of_jobs else walk_datasets
    found = both_ways(
        lambda way, held: step(connection, [start.id], way, question.depth, _room(question), held), question.direction
    )
    ids, nodes, details = (job_nodes if of_jobs else dataset_nodes)(connection, found.nodes)
    edges = [Edge(ids[a], ids[b], evidence) for (a, b), evidence in found.edges.items()]
    return Graph(nodes, edges, start=[ids[start.id]], missing=found.missing), details
