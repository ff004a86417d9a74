"""The lineage graph that both halves share: nodes, directed edges, and questions about them.

A graph never changes after it is built, and its order depends on its content alone: the same nodes and edges in any
other order make the same graph, so what is rendered from it can be compared in git.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from lineage.errors import CycleFound, DuplicateNode, InvalidDepth, UnknownNode
from lineage.nodes import NodeKind

#: Evidence of an edge, best first; of two edges between the same nodes the better evidence stays. ``derived``: between
#: columns, from reading the SQL of a job that told nothing of them.
EVIDENCE = ("explicit", "column", "derived", "declared", "inferred")
_EVIDENCE_RANK = {evidence: rank for rank, evidence in enumerate(EVIDENCE)}


@dataclass(frozen=True, slots=True)
class Node:
    """A dataset, job, column or run, or what stands for many of them: a namespace.

    ``id`` is ``str(NodeId)`` in the collector and the asset's node id in the emitter; a FIELD has its dataset's name in
    ``name``. ``status`` (failed, failing, unchanged, stale, added, removed, changed) colours the node in a diagram;
    ``detail`` is a second line of its label.
    """

    id: str
    kind: NodeKind
    namespace: str
    name: str
    field: str | None = None
    status: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow along the data: dataset → job for an input, job → dataset for an output.

    ``evidence`` is one of `EVIDENCE`; only ``inferred`` is a guess. ``indirect``, between columns: the origin decides
    which rows there are, or their order (a filter, a join), and gives no value. ``label`` is what diagrams write on it.
    """

    origin: str
    destination: str
    evidence: str = "declared"
    indirect: bool = False
    label: str | None = None


class Graph:
    """Nodes and edges that never change.

    Args:
        nodes: every node; the same node may come twice.
        edges: every edge; between the same two nodes the best evidence stays.
        start: ids of the nodes that the graph was asked about; far from them is where a diagram is cut.
        missing: how many further nodes are known to exist and were left out.

    Raises:
        DuplicateNode: two different nodes have the same id.
        UnknownNode: an edge or ``start`` names a node that is not among ``nodes``.
    """

    def __init__(
        self, nodes: Iterable[Node], edges: Iterable[Edge], *, start: Iterable[str] = (), missing: int = 0
    ) -> None:
        held: dict[str, Node] = {}
        for node in nodes:
            if held.setdefault(node.id, node) != node:
                raise DuplicateNode(f"two different nodes have the id {node.id!r}: {held[node.id]} and {node}")
        ordered = sorted(held.values(), key=lambda node: (node.name, node.field or "", node.namespace, node.id))
        self._nodes: Mapping[str, Node] = MappingProxyType({node.id: node for node in ordered})
        self._ids = [node.id for node in ordered]
        self._rank = {id_: rank for rank, id_ in enumerate(self._ids)}
        self._start = tuple(dict.fromkeys(start))
        for id_ in self._start:
            self._rank_of(id_)
        self._missing = missing
        self._link(edges)

    def _link(self, edges: Iterable[Edge]) -> None:
        """Deduplicate and order the edges; note each node's parents and children by rank, lowest first."""
        rank = self._rank
        best: dict[tuple[int, int], Edge] = {}
        for edge in edges:
            try:
                ends = rank[edge.origin], rank[edge.destination]
            except KeyError as unknown:
                raise UnknownNode(
                    f"the edge {edge.origin!r} → {edge.destination!r} names {unknown}, which is no node of the graph"
                ) from None
            other = best.get(ends)
            if other is None or preference(edge) < preference(other):
                best[ends] = edge
        self._parents: list[list[int]] = [[] for _ in self._ids]
        self._children: list[list[int]] = [[] for _ in self._ids]
        pairs = sorted(best)
        for origin, destination in pairs:
            self._children[origin].append(destination)
            self._parents[destination].append(origin)
        self._edges = tuple([best[pair] for pair in pairs])

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Every node by id, ordered by name, field, namespace and id."""
        return self._nodes

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge once, in the order of its origin, then of its destination."""
        return self._edges

    @property
    def start(self) -> tuple[str, ...]:
        """The ids of the nodes that the graph was asked about."""
        return self._start

    @property
    def missing(self) -> int:
        """How many nodes are known to have been left out."""
        return self._missing

    def __repr__(self) -> str:
        return f"<Graph of {len(self._nodes)} nodes, {len(self._edges)} edges, {self._missing} missing>"

    def parents(self, node_id: str) -> list[str]:
        """Return the ids that have an edge to a node, by name; UnknownNode if the graph does not hold it."""
        return [self._ids[rank] for rank in self._parents[self._rank_of(node_id)]]

    def children(self, node_id: str) -> list[str]:
        """Return the ids that a node has an edge to, by name; UnknownNode if the graph does not hold it."""
        return [self._ids[rank] for rank in self._children[self._rank_of(node_id)]]

    def upstream(self, node_id: str, depth: int | None = None) -> list[str]:
        """Return the ids of what a node is made from, nearest first, then by name; never the node itself.

        Args:
            depth: the most edges to go; None for no limit.

        Raises:
            UnknownNode: the graph does not hold ``node_id``.
            InvalidDepth: ``depth`` is negative or no whole number.
        """
        return self._reach(node_id, self._parents, depth)

    def downstream(self, node_id: str, depth: int | None = None) -> list[str]:
        """Return the ids of what is made from a node, nearest first; the rest as for `upstream`."""
        return self._reach(node_id, self._children, depth)

    def topological_order(self) -> list[str]:
        """Return every id, each after all that it is made from; of those that could come next, the first by name.

        Raises:
            CycleFound: there is no such order.
        """
        order, forced = self._order()
        if forced:
            raise CycleFound(self._cycle(forced[0]))
        return order

    def stable_order(self) -> list[str]:
        """Return the topological order; in a cyclic graph each cycle is entered at its first node by name."""
        return self._order()[0]

    def find_cycle(self) -> list[str] | None:
        """Return one cycle along the data, its first id repeated at the end, or None."""
        forced = self._order()[1]
        return self._cycle(forced[0]) if forced else None

    def distances(self) -> dict[str, int]:
        """Return each id's distance in edges from the nearest `start`, whichever way the edges point.

        Nodes that are not reached get the largest distance plus 1; without a start, every node gets 0.
        """
        found = dict.fromkeys((self._rank[id_] for id_ in self._start), 0)
        level = list(found)
        distance = 0
        while level:
            distance += 1
            reached: list[int] = []
            for rank in level:
                for neighbours in (self._parents[rank], self._children[rank]):
                    for other in neighbours:
                        if other not in found:
                            found[other] = distance
                            reached.append(other)
            level = reached
        # The last round found nothing, so `distance` is already the largest plus 1 (and 0 without a start).
        return {id_: found.get(rank, distance) for rank, id_ in enumerate(self._ids)}

    def subgraph(self, ids: Collection[str]) -> Graph:
        """Return these nodes and the edges among them; `missing` stays, what is left out here is not added to it.

        Raises:
            UnknownNode: an id that the graph does not hold.
        """
        for id_ in ids:
            self._rank_of(id_)
        kept = set(ids)
        return Graph(
            [node for id_, node in self._nodes.items() if id_ in kept],
            [edge for edge in self._edges if edge.origin in kept and edge.destination in kept],
            start=[id_ for id_ in self._start if id_ in kept],
            missing=self._missing,
        )

    def _rank_of(self, node_id: str) -> int:
        try:
            return self._rank[node_id]
        except KeyError:
            raise UnknownNode(f"the graph does not hold the node {node_id!r}") from None

    def _reach(self, node_id: str, neighbours: list[list[int]], depth: int | None) -> list[str]:
        if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 0):
            raise InvalidDepth(f"the depth is {depth!r}; give a whole number of steps, 0 or more, or None for all")
        level = [self._rank_of(node_id)]
        seen = set(level)
        found: list[str] = []
        steps = 0
        while level and steps != depth:
            steps += 1
            nearest = {other for rank in level for other in neighbours[rank]} - seen
            seen |= nearest
            level = sorted(nearest)
            found += [self._ids[rank] for rank in level]
        return found

    def _order(self) -> tuple[list[str], list[int]]:
        """Return every id in order, and the ranks that had to be placed before all of their parents were."""
        waiting = [len(parents) for parents in self._parents]
        ready = [rank for rank, count in enumerate(waiting) if count == 0]
        heapify(ready)
        order: list[str] = []
        forced: list[int] = []
        placed = bytearray(len(self._ids))
        first = 0
        while len(order) < len(self._ids):
            if not ready:
                while placed[first]:
                    first += 1
                forced.append(first)
                ready.append(first)
            rank = heappop(ready)
            placed[rank] = 1
            order.append(self._ids[rank])
            for child in self._children[rank]:
                waiting[child] -= 1
                if waiting[child] == 0 and not placed[child]:
                    heappush(ready, child)
        return order, forced

    def _cycle(self, stuck: int) -> list[str]:
        """Return a cycle that lies upstream of a node that no order can place (``stuck``, a rank)."""
        # Only nodes that Kahn's algorithm never frees have a parent of their own sort: walk up those until one repeats.
        free = [len(parents) for parents in self._parents]
        ready = [rank for rank, count in enumerate(free) if count == 0]
        while ready:
            for child in self._children[ready.pop()]:
                free[child] -= 1
                if free[child] == 0:
                    ready.append(child)
        path: dict[int, None] = {}
        rank = stuck
        while rank not in path:
            path[rank] = None
            rank = next(parent for parent in self._parents[rank] if free[parent] > 0)
        walked = list(path)
        cycle = walked[walked.index(rank) :][::-1]
        first = cycle.index(min(cycle))
        cycle = cycle[first:] + cycle[:first]
        return [self._ids[rank] for rank in [*cycle, cycle[0]]]


def evidence_rank(evidence: str) -> int:
    """Return where an evidence is among `EVIDENCE`, 0 for the best; any other word comes last."""
    return _EVIDENCE_RANK.get(evidence, len(EVIDENCE))


def preference(edge: Edge) -> tuple[int, str, bool, str]:
    """Return what the edge that stays, of several between the same nodes, has least of."""
    return evidence_rank(edge.evidence), edge.evidence, edge.indirect, edge.label or ""
