"""Only what is known well enough: the edges of some evidence or better, and what they still lead to."""

from __future__ import annotations

from collections.abc import Iterable

from lineage.graph import EVIDENCE, Graph, evidence_rank

#: What can be asked for, and the worst evidence that it takes in.
LEVELS = {"explicit": "explicit", "column": "derived", "any": EVIDENCE[-1]}


def known_by(graph: Graph, level: str, *, either_way: bool = False) -> Graph:
    """Return the edges at least as good as a level, and the nodes that they still join to the start.

    Args:
        level: a key of `LEVELS`; ``column`` takes in what was derived from SQL.
        either_way: whether a node may be reached now with and now against the data. Else it must lie up- or downstream
            of the start.
    """
    worst = evidence_rank(LEVELS[level])
    edges = [edge for edge in graph.edges if evidence_rank(edge.evidence) <= worst]
    if len(edges) == len(graph.edges):
        return graph
    part = Graph(graph.nodes.values(), edges, start=graph.start, missing=graph.missing)
    ahead: dict[str, list[str]] = {id_: part.children(id_) for id_ in part.nodes}
    back: dict[str, list[str]] = {id_: part.parents(id_) for id_ in part.nodes}
    if either_way:
        kept = _reached(part.start, [ahead, back])
    else:
        kept = _reached(part.start, [ahead]) | _reached(part.start, [back])
    return part.subgraph(kept)


def _reached(start: Iterable[str], steps: list[dict[str, list[str]]]) -> set[str]:
    """Return the start and all that any number of the steps, in any order, lead to."""
    found = set(start)
    waiting = list(found)
    while waiting:
        id_ = waiting.pop()
        for step in steps:
            new = set(step[id_]) - found
            found |= new
            waiting += new
    return found
