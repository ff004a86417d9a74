"""The graph of a column question: columns made from columns, one way or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins
from sqlalchemy import Connection

from collector import keys
from collector.documents.datasets import dataset_names
from collector.facets import Transformation
from collector.flow import both_ways, columns_known, read_transformations, walk_columns
from collector.lookup import Found
from collector.walk import Direction
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind, dataset_node, field_node

JSON = dict[str, Any]
#: What an answer says further: of a node by its id (distance), of an edge by both of its ids (transformations).
Details = dict[Any, JSON]

INDIRECT, IDENTITY = "INDIRECT", "IDENTITY"


def graph_of_columns(
    connection: Connection, start: Found, direction: Direction, depth: int, limit: int
) -> tuple[Graph, Details]:
    """The columns around a column, or around all of a dataset's."""
    field = keys.clean_name(start.node.field, keys.FIELD_BYTES) if start.node.field is not None else None
    starts = (
        [(start.id, field)]
        if field is not None
        else [(start.id, one) for one in columns_known(connection, start.id) or [""]]
    )
    found = both_ways(lambda way, held: walk_columns(connection, starts, way, depth, limit, held), direction)
    names = dataset_names(connection, {dataset for dataset, _ in found.nodes})
    ids: dict[tuple[int, str], str] = {}
    nodes: list[Node] = []
    details: Details = {}
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
    edges = []
    for (a, b), evidence in found.edges.items():
        ways = read_transformations(found.transformations[a, b])
        indirect = bool(ways) and all((way.type or "").upper() == INDIRECT for way in ways)
        edges.append(Edge(ids[a], ids[b], evidence, indirect, _label(ways)))
        if ways:
            details[ids[a], ids[b]] = {"transformations": [to_builtins(way) for way in ways]}
    graph = Graph(nodes, edges, start=[ids[one] for one in starts if one in ids], missing=found.missing)
    return graph, details


def _label(ways: Sequence[Transformation]) -> str | None:
    """What a diagram writes on an edge: how the column is made, where that is more than taken as it is."""
    words = {way.subtype.lower().replace("_", " ") for way in ways if way.subtype and way.subtype.upper() != IDENTITY}
    found = ["masked"] if any(way.masking for way in ways) else []
    return ", ".join(found + sorted(words)) or None
