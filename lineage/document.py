"""The graph as a JSON document."""

from __future__ import annotations

from typing import Any

from lineage.graph import Graph, Node


def to_document(graph: Graph) -> dict[str, Any]:
    """Return the graph as plain JSON values, nodes in its stable order.

    ``{"nodes": [{id, kind, namespace, name, field?, status?, detail?}], "edges": [{origin, destination, evidence}],
    "start": [id], "truncated": bool, "missing": int}``; what a node does not have is left out.
    """
    return {
        "nodes": [_node(graph.nodes[id_]) for id_ in graph.stable_order()],
        "edges": [
            {"origin": edge.origin, "destination": edge.destination, "evidence": edge.evidence} for edge in graph.edges
        ],
        "start": list(graph.start),
        "truncated": graph.missing > 0,
        "missing": graph.missing,
    }


def _node(node: Node) -> dict[str, str]:
    document = {"id": node.id, "kind": node.kind.value, "namespace": node.namespace, "name": node.name}
    optional = {"field": node.field, "status": node.status, "detail": node.detail}
    return document | {key: value for key, value in optional.items() if value is not None}
