"""Which part of a graph to draw when the whole is too much: the nodes nearest to those that were asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from lineage.graph import Graph


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a graph, and where the rest was cut off.

    ``outward`` are kept nodes with a child that was cut off, ``inward`` kept nodes with a parent that was; each of them
    gets one edge to or from the node that stands for the ``missing`` ones.
    """

    graph: Graph
    outward: tuple[str, ...]
    inward: tuple[str, ...]
    missing: int


def nearest_first(graph: Graph) -> list[str]:
    """Return every id by distance from the start of the graph, then in its stable order."""
    distances = graph.distances()
    return sorted(graph.stable_order(), key=distances.__getitem__)


def cut(graph: Graph, order: Sequence[str], size: int) -> Cut:
    """Return the first ``size`` nodes of ``order``, and where that cuts the graph."""
    if size == len(graph.nodes):
        return Cut(graph, (), (), graph.missing)
    kept = set(order[:size])
    part = graph.subgraph(kept)
    return Cut(
        part,
        tuple(id_ for id_ in part.nodes if not kept.issuperset(graph.children(id_))),
        tuple(id_ for id_ in part.nodes if not kept.issuperset(graph.parents(id_))),
        graph.missing + len(graph.nodes) - size,
    )


def sizes_within(graph: Graph, order: Sequence[str], max_edges: int, max_nodes: int) -> list[int]:
    """Return how many of the first nodes of ``order`` can be kept, ascending, with no more than ``max_edges`` drawn.

    Drawn are the edges among the kept nodes and one edge for each place where a `cut` is made. Costs one pass over the
    edges of the first ``max_nodes`` nodes.
    """
    sizes = [0]
    kept: set[str] = set()
    drawn = 0
    # For each side of each kept node: how many of its edges on that side end at nodes that are not kept.
    open_: dict[tuple[str, bool], int] = {}
    for size, id_ in enumerate(islice(order, max_nodes), start=1):
        kept.add(id_)
        for outward, neighbours in ((True, graph.children(id_)), (False, graph.parents(id_))):
            for other in neighbours:
                if other == id_:
                    drawn += outward  # an edge to itself is on both sides; it is drawn once
                elif other in kept:
                    drawn += 1
                    open_[other, not outward] -= 1
                    drawn -= open_[other, not outward] == 0
                else:
                    open_[id_, outward] = open_.get((id_, outward), 0) + 1
            drawn += open_.get((id_, outward), 0) > 0
        if drawn <= max_edges:
            sizes.append(size)
    return sizes
