"""How data gets from one node to another: the paths between them in the current graph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from collector.errors import BadQuery
from collector.graph_view import Seen
from collector.lineage_graph import Granularity, Question, edge_documents, look
from collector.lookup import find_node
from collector.walk import Direction
from lineage.graph import Graph, evidence_rank
from lineage.nodes import NodeKind
from lineage.paths import find_paths

JSON = dict[str, Any]

MAX_DEPTH = 1_000  # steps from one end to the other

_ENDS = {
    Granularity.ALL: (NodeKind.DATASET, NodeKind.JOB),
    Granularity.DATASET: (NodeKind.DATASET,),
    Granularity.JOB: (NodeKind.JOB,),
    Granularity.COLUMN: (NodeKind.FIELD,),
}


@dataclass(frozen=True, slots=True)
class Route:
    """The answer as JSON, its paths as one graph that starts at both ends, and the nodes of the shortest."""

    document: JSON
    graph: Graph
    shortest: tuple[str, ...]


def check_ends(connection: Connection, origin: str, destination: str, granularity: Granularity) -> None:
    """Raise NotFound where one of the two is not known, BadQuery with its parameter where it can be no end."""
    for name, node_id in (("from", origin), ("to", destination)):
        try:
            find_node(connection, node_id, _ENDS[granularity])
        except BadQuery as error:
            raise BadQuery(error.message, {name: [error.message]}) from None


def route(
    connection: Connection, origin: str, destination: str, granularity: Granularity, limit: int, reach: int
) -> Route:
    """The first ``limit`` paths along the data, the shortest first; ``reach`` bounds the nodes that are looked at.

    Costs a walk from the one end, and one from the other where the first did not get so far. Raises NotFound; the ends
    are such as `check_ends` lets pass.
    """
    graph, ends, details = _between(connection, origin, destination, granularity, reach)
    found = find_paths(graph, *ends, limit)
    drawn = graph.subgraph({*ends, *(id_ for path in found.found for id_ in path)})
    edges = {(one["origin"], one["destination"]): one for one in edge_documents(drawn, details, granularity)}
    paths = []
    for path in found.found:
        steps = [edges[step] for step in pairwise(path)]
        worst = max((step["evidence"] for step in steps), key=evidence_rank, default=None)
        paths.append({"length": len(steps), "evidence": worst, "nodes": path, "edges": steps})
    used = {step for path in found.found for step in pairwise(path)}
    document = {
        "from": ends[0],
        "to": ends[1],
        "granularity": granularity.value,
        "found": bool(paths),
        "paths": paths,
        "truncated": found.truncated or graph.missing > 0,
    }
    if not paths and graph.missing:
        document["note"] = f"None was found among the {len(graph.nodes):,} nodes nearest to the ends; there may be one."
    between = Graph(
        drawn.nodes.values(), [edge for edge in drawn.edges if (edge.origin, edge.destination) in used], start=ends
    )
    return Route(document, between, found.found[0] if paths else ())


def _between(
    connection: Connection, origin: str, destination: str, granularity: Granularity, reach: int
) -> tuple[Graph, tuple[str, str], dict[Any, JSON]]:
    """A graph that holds both nodes and what a walk from one of them towards the other met, and the two ids."""

    def walked(node_id: str, way: Direction, depth: int) -> Seen:
        return look(connection, Question(node_id, way, depth, granularity, reach))

    best, other = walked(origin, Direction.DOWNSTREAM, MAX_DEPTH), walked(destination, Direction.UPSTREAM, 0)
    ends = (best.graph.start[0], other.graph.start[0])
    if ends[1] not in best.graph.nodes and best.graph.missing:
        # too much follows from the one end; less may lead to the other
        back = walked(destination, Direction.UPSTREAM, MAX_DEPTH)
        if ends[0] in back.graph.nodes or not back.graph.missing:
            best, other = back, walked(origin, Direction.DOWNSTREAM, 0)
    nodes = {**other.graph.nodes, **best.graph.nodes}
    graph = Graph(nodes.values(), best.graph.edges, start=ends, missing=best.graph.missing)
    return graph, ends, other.details | best.details
