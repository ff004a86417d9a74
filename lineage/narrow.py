"""Only some of the nodes, and edges that stand for the paths between them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import translate
from heapq import heapify, heappop, heappush

from lineage.graph import Edge, Graph, Node, evidence_rank, preference

#: Most edges that `narrow` makes before it lets the busiest of the unwanted nodes stay.
MAX_BRIDGES = 50_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which nodes to keep: those that every condition that is given holds for.

    ``namespaces`` and ``kinds`` are alternatives; ``pattern`` is a glob (``*``, ``?``, ``[a-z]``) on the name, of a
    column on ``column`` and ``dataset.column``; ``ids`` are the nodes that carry a tag, say.
    """

    namespaces: Collection[str] | None = None
    kinds: Collection[str] | None = None
    pattern: str | None = None
    ids: Collection[str] | None = None

    def among(self, graph: Graph) -> set[str]:
        """Return the ids of the graph's nodes that are wanted."""
        glob = re.compile(translate(self.pattern)) if self.pattern is not None else None
        return {
            id_
            for id_, node in graph.nodes.items()
            if (self.namespaces is None or node.namespace in self.namespaces)
            and (self.kinds is None or node.kind in self.kinds)
            and (self.ids is None or id_ in self.ids)
            and (glob is None or any(map(glob.match, _names(node))))
        }


def narrow(graph: Graph, wanted: Collection[str], *, max_bridges: int = MAX_BRIDGES) -> Graph:
    """Return the wanted nodes and the start; an edge also stands for each path through nodes that were taken out.

    Such an edge has the worst evidence on its path, and of several paths the best. A node that joins very many others
    stays after all when ``max_bridges`` edges were made: without it each would need an edge to each.

    Unwanted nodes are taken out one by one, those first that cost the fewest edges, so a long chain costs what it is
    long.
    """
    kept = (set(wanted) & graph.nodes.keys()) | set(graph.start)
    unwanted = [id_ for id_ in graph.nodes if id_ not in kept]
    if not unwanted:
        return graph
    into: dict[str, dict[str, Edge]] = {id_: {} for id_ in graph.nodes}
    out_of: dict[str, dict[str, Edge]] = {id_: {} for id_ in graph.nodes}
    for edge in graph.edges:
        if edge.origin in kept or edge.origin != edge.destination:
            into[edge.destination][edge.origin] = edge
            out_of[edge.origin][edge.destination] = edge
    rank = {id_: number for number, id_ in enumerate(unwanted)}
    waiting = [(len(into[id_]) * len(out_of[id_]), rank[id_]) for id_ in unwanted]
    heapify(waiting)
    made = 0
    while waiting:
        cost, number = heappop(waiting)
        id_ = unwanted[number]
        now = len(into[id_]) * len(out_of[id_])
        if now > cost:  # it was joined to more since
            heappush(waiting, (now, number))
            continue
        if made + now > max_bridges:
            kept.update(unwanted[number] for _, number in waiting)
            kept.add(id_)
            break
        made += now
        _take_out(id_, into, out_of)
    edges = [edge for id_ in kept for edge in into[id_].values()]
    nodes = [node for id_, node in graph.nodes.items() if id_ in kept]
    return Graph(nodes, edges, start=graph.start, missing=graph.missing)


def _take_out(id_: str, into: dict[str, dict[str, Edge]], out_of: dict[str, dict[str, Edge]]) -> None:
    """Join what leads into a node to what it leads to."""
    arriving, leaving = into.pop(id_), out_of.pop(id_)
    for origin in arriving:
        del out_of[origin][id_]
    for destination in leaving:
        del into[destination][id_]
    for origin, first in arriving.items():
        for destination, second in leaving.items():
            if origin == destination:
                continue
            bridge = Edge(origin, destination, worse(first, second), first.indirect or second.indirect)
            other = out_of[origin].get(destination)
            if other is None or preference(bridge) < preference(other):
                out_of[origin][destination] = into[destination][origin] = bridge


def worse(one: Edge, other: Edge) -> str:
    """Return the evidence of a path over both edges."""
    return max(one.evidence, other.evidence, key=evidence_rank)


def _names(node: Node) -> tuple[str, ...]:
    return (node.name,) if node.field is None else (node.field, f"{node.name}.{node.field}")
