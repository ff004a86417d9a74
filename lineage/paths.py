"""How data gets from one node to another: the shortest path, and the others after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

from lineage.graph import Graph


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths along the data, shortest first, then by name; ``truncated`` when there are more of them."""

    found: tuple[tuple[str, ...], ...]
    truncated: bool


def between(graph: Graph, origin: str, destination: str) -> set[str]:
    """Return the nodes on any way from ``origin`` to ``destination``, both included; none where there is no way."""
    after = {origin, *graph.downstream(origin)}
    return after & {destination, *graph.upstream(destination)} if destination in after else set()


def find_paths(graph: Graph, origin: str, destination: str, limit: int) -> Paths:
    """Return the first ``limit`` paths that pass no node twice.

    After Yen (1971) as Lawler (1972) put it: each path found is a fork in the set of those that are left, so no path is
    looked for twice and no dead end entered. The work for one path is its length times the edges at its nodes; in
    graphs with cycles, at the worst, times all edges between the two nodes.

    Raises:
        UnknownNode: the graph does not hold one of the two.
    """
    part = graph.subgraph(between(graph, origin, destination) | {origin, destination})
    found = list(islice(_shortest_first(part, origin, destination), limit + 1))
    return Paths(tuple(found[:limit]), len(found) > limit)


def _shortest_first(graph: Graph, origin: str, destination: str) -> Iterator[tuple[str, ...]]:
    search = _Search(graph, destination)
    first = search.complete((), [origin])
    # Of each path: how long it is, its place among equals, its nodes, and how many of them it shares with the path that
    # it was forked from. No two forks hold the same path.
    waiting: list[tuple[int, tuple[int, ...], tuple[str, ...], int]] = []
    taken: dict[tuple[str, ...], set[str]] = {}  # by start of a path: where the paths that start so go next
    rank = {id_: number for number, id_ in enumerate(graph.nodes)}

    def wait(path: tuple[str, ...] | None, shared: int) -> None:
        if path is not None:
            heappush(waiting, (len(path), tuple(map(rank.__getitem__, path)), path, shared))

    wait(first, 1)
    while waiting:
        _, _, path, shared = heappop(waiting)
        yield path
        for length in range(shared, len(path)):
            start = path[:length]
            gone = taken.setdefault(start, set())
            gone.add(path[length])
            wait(search.complete(start, [id_ for id_ in graph.children(start[-1]) if id_ not in gone]), length)


class _Search:
    """Finds the shortest way to one node."""

    def __init__(self, graph: Graph, destination: str) -> None:
        self._graph = graph
        self._destination = destination
        self._steps = self._steps_without(())

    def complete(self, start: tuple[str, ...], choices: Collection[str]) -> tuple[str, ...] | None:
        """Return the shortest path that begins with ``start`` and then one of ``choices``, by name among equals."""
        passed = set(start)
        path = self._descend(start, passed, choices, self._steps)
        if path is not None and path[-1] != self._destination:
            # the way leads back into the start, as it can in a cycle: look for the ways around it
            path = self._descend(start, passed, choices, self._steps_without(passed))
        return path

    def _descend(
        self, start: tuple[str, ...], passed: set[str], choices: Collection[str], steps: dict[str, int]
    ) -> tuple[str, ...] | None:
        """Go on, always one step nearer, to the destination or to where only what was passed is nearer."""
        able = [id_ for id_ in choices if id_ in steps and id_ not in passed]
        if not able:
            return None
        path = [*start, min(able, key=steps.__getitem__)]
        while path[-1] != self._destination:
            nearer = steps[path[-1]] - 1
            after = next(id_ for id_ in self._graph.children(path[-1]) if steps.get(id_) == nearer)
            if after in passed:
                break
            path.append(after)
        return tuple(path)

    def _steps_without(self, passed: Collection[str]) -> dict[str, int]:
        """Return how many steps each node is away from the destination, without passing some nodes."""
        steps = {self._destination: 0}
        level = [self._destination]
        while level:
            reached: list[str] = []
            for id_ in level:
                for parent in self._graph.parents(id_):
                    if parent not in steps and parent not in passed:
                        steps[parent] = steps[id_] + 1
                        reached.append(parent)
            level = reached
        return steps
