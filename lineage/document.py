"""The graph as a JSON document."""

from __future__ import annotations

from typing import Any

from lineage.graph import Edge, Graph, Node


def to_document(graph: Graph) -> dict[str, Any]:
    """Return the graph as plain JSON values, nodes in its stable order.

    ``{"nodes": [{id, kind, namespace, name, field?, status?, detail?}], "edges": [{origin, destination, evidence,
    indirect?, label?}], "start": [id], "truncated": bool, "missing": int}``; what a node or edge has not is left out.
    """
    return {
        "nodes": [_node(graph.nodes[id_]) for id_ in graph.stable_order()],
        "edges": [edge_document(edge) for edge in graph.edges],
        "start": list(graph.start),
        "truncated": graph.missing > 0,
        "missing": graph.missing,
    }


def edge_document(edge: Edge) -> dict[str, Any]:
    """Return an edge as plain JSON values."""
    document: dict[str, Any] = {"origin": edge.origin, "destination": edge.destination, "evidence": edge.evidence}
    if edge.indirect:
        document["indirect"] = True
    return document if edge.label is None else document | {"label": edge.label}


def _node(node: Node) -> dict[str, str]:
    document = {"id": node.id, "kind": node.kind.value, "namespace": node.namespace, "name": node.name}
    optional = {"field": node.field, "status": node.status, "detail": node.detail}
    return document | {key: value for key, value in optional.items() if value is not None}
