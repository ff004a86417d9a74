"""Marquez's ``GET /lineage`` with only what is known well enough: its nodes and edges, fewer of them."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection

from collector import keys
from collector.graph_nodes import find_shown
from collector.step_evidence import step_evidence
from lineage.evidence import known_by
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

JSON = dict[str, Any]

_KINDS = {"DATASET": NodeKind.DATASET, "JOB": NodeKind.JOB}


def known_nodes(connection: Connection, graph: list[Any], node_id: str, level: str, *, either_way: bool) -> list[JSON]:
    """The nodes of Marquez's answer about ``node_id`` that edges of a ``level`` (see `lineage.evidence`) still lead to.

    What flows with no job between is stated. Two statements more than the answer, and those that find the start.
    """
    nodes: list[JSON] = orjson.loads(orjson.dumps(graph))  # they may be JSON already
    _, start = find_shown(connection, node_id, tuple(_KINDS.values()))
    held = [Node(one["id"], _KINDS[one["type"]], one["data"]["namespace"], one["data"]["name"]) for one in nodes]
    ids = {
        one.id: (keys.job_id if one.kind is NodeKind.JOB else keys.dataset_id)(one.namespace, one.name) for one in held
    }
    read, written = step_evidence(connection, [ids[one.id] for one in held if one.kind is NodeKind.JOB])
    kinds = {one.id: one.kind for one in held}
    edges = []
    for one in nodes:
        for edge in one["outEdges"]:
            origin, destination = edge["origin"], edge["destination"]
            if kinds[origin] is kinds[destination]:
                evidence = "explicit"
            else:
                steps = written if kinds[origin] is NodeKind.JOB else read
                evidence = steps.get((ids[origin], ids[destination]), "declared")
            edges.append(Edge(origin, destination, evidence))
    kept = known_by(Graph(held, edges, start=[start]), level, either_way=either_way)
    pairs = {(edge.origin, edge.destination) for edge in kept.edges}

    def of(edges: list[JSON]) -> list[JSON]:
        return [edge for edge in edges if (edge["origin"], edge["destination"]) in pairs]

    return [
        one | {"inEdges": of(one["inEdges"]), "outEdges": of(one["outEdges"])}
        for one in nodes
        if one["id"] in kept.nodes
    ]
