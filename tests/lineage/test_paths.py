"""Paths between two nodes: all of them, in order, and without ever trying them all."""

from __future__ import annotations

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import UnknownNode
from lineage.graph import Edge, Graph
from lineage.paths import between, find_paths
from tests.lineage.graphs import node

EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=24)


def graph(*edges: str) -> Graph:
    pairs = [edge.split(">") for edge in edges]
    return Graph([node(id_) for id_ in {id_ for pair in pairs for id_ in pair}], [Edge(*pair) for pair in pairs])


def paths(made: Graph, origin: str, destination: str, limit: int = 100) -> list[str]:
    return ["".join(path) for path in find_paths(made, origin, destination, limit).found]


def test_shortest_comes_first_then_by_name():
    made = graph("a>d", "a>c", "c>d", "a>b", "b>d", "b>c", "d>e")
    assert paths(made, "a", "e") == ["ade", "abde", "acde", "abcde"]


def test_limit_is_kept_and_told():
    made = graph("a>b", "a>c", "b>d", "c>d")
    assert find_paths(made, "a", "d", 1).truncated
    assert not find_paths(made, "a", "d", 2).truncated
    assert paths(made, "a", "d", 1) == ["abd"]


def test_no_way_is_no_path():
    made = graph("a>b", "c>b")
    assert find_paths(made, "a", "c", 10) == find_paths(made, "b", "a", 10)
    assert find_paths(made, "a", "c", 10).found == ()
    assert between(made, "a", "c") == set()


def test_node_is_one_path_to_itself():
    made = graph("a>b", "b>a")
    assert paths(made, "a", "a") == ["a"]


def test_unknown_node_is_named():
    with pytest.raises(UnknownNode, match="zebra"):
        find_paths(graph("a>b"), "a", "zebra", 1)


def test_way_that_leads_back_into_itself_is_gone_around():
    # the shortest way from c leads through b, which a path that came by b must not take
    made = graph("a>b", "b>c", "c>b", "b>z", "c>d", "d>e", "e>z")
    assert paths(made, "a", "z") == ["abz", "abcdez"]


@given(EDGES)
def test_all_simple_paths_are_found_shortest_first(edges):
    made = Graph([node(str(n)) for n in range(7)], [Edge(str(a), str(b)) for a, b in edges])
    expected = []
    waiting = [("0",)]
    while waiting:
        path = waiting.pop()
        if path[-1] == "6":
            expected.append(path)
        else:
            waiting += [(*path, child) for child in made.children(path[-1]) if child not in path]
    expected.sort(key=lambda path: (len(path), path))
    found = find_paths(made, "0", "6", 10_000)
    assert (list(found.found), found.truncated) == (expected, False)
    for limit in (1, 3):
        assert list(find_paths(made, "0", "6", limit).found) == expected[:limit]


def layers(depth: int, width: int, *, back: bool = False) -> Graph:
    """Each node of a layer leads to each of the next (and of the one before): width ** depth paths."""
    names = [[f"{layer:03}.{number}" for number in range(width)] for layer in range(depth)]
    edges = [(a, b) for one, other in pairwise(names) for a in one for b in other]
    edges += [(b, a) for a, b in edges] if back else []
    ends = [("start", a) for a in names[0]] + [(b, "end") for b in names[-1]]
    dead = [(names[0][0], "dead"), ("dead", names[0][1])]
    return Graph(
        [node(id_) for layer in names for id_ in layer] + [node("start"), node("end"), node("dead"), node("far")],
        [Edge(*pair) for pair in edges + ends + dead],
    )


@pytest.mark.parametrize("back", [False, True])
def test_first_of_very_many_paths_take_a_moment(back):
    made = layers(40, 6, back=back)
    began = process_time()
    found = find_paths(made, "start", "end", 100)
    assert (len(found.found), found.truncated) == (100, True)
    assert {len(path) for path in found.found} == {42}
    assert find_paths(made, "start", "far", 100).found == ()
    assert process_time() - began < 5
