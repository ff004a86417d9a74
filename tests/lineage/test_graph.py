"""The graph's answers, its order, and that neither depth nor size upsets it."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import CycleFound, DuplicateNode, InvalidDepth, UnknownNode
from lineage.graph import EVIDENCE, Edge, Graph, Node
from lineage.nodes import NodeKind


def graph(*edges: str, nodes: str = "", start: str = "", missing: int = 0) -> Graph:
    """Return a graph from edges like ``"a>b"``; single letters are ids."""
    pairs = [tuple(edge.split(">")) for edge in edges]
    ids = sorted({id_ for pair in pairs for id_ in pair} | set(nodes))
    return Graph(
        [Node(id_, NodeKind.DATASET, "ns", id_) for id_ in ids],
        [Edge(*pair) for pair in pairs],
        start=start,
        missing=missing,
    )


DIAMOND = graph("a>b", "a>c", "b>d", "c>d", "d>e")

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


def numbered(edges: list[tuple[int, int]]) -> Graph:
    nodes = [Node(str(number), NodeKind.DATASET, "ns", str(number)) for number in range(8)]
    return Graph(nodes, [Edge(str(one), str(other)) for one, other in edges])


def test_upstream_is_nearest_first_then_by_name():
    assert DIAMOND.upstream("e") == ["d", "b", "c", "a"]
    assert DIAMOND.upstream("a") == []


def test_downstream_is_nearest_first_then_by_name():
    assert DIAMOND.downstream("a") == ["b", "c", "d", "e"]


def test_depth_counts_edges():
    assert DIAMOND.upstream("e", 0) == []
    assert DIAMOND.upstream("e", 1) == ["d"]
    assert DIAMOND.upstream("e", 2) == ["d", "b", "c"]
    assert DIAMOND.upstream("e", 10**30) == ["d", "b", "c", "a"]


@pytest.mark.parametrize("depth", [-1, 1.5, "2", True])
def test_depth_that_is_no_count_is_refused(depth):
    with pytest.raises(InvalidDepth, match="0 or more"):
        DIAMOND.upstream("e", depth)


def test_node_is_not_its_own_upstream_even_in_a_cycle():
    assert graph("a>b", "b>a").upstream("a") == ["b"]
    assert graph("a>a").downstream("a") == []


def test_parents_and_children_are_one_step():
    assert DIAMOND.parents("d") == ["b", "c"]
    assert DIAMOND.children("a") == ["b", "c"]


@pytest.mark.parametrize("ask", [Graph.upstream, Graph.downstream, Graph.parents, Graph.children])
def test_unknown_node_is_named(ask):
    with pytest.raises(UnknownNode, match="'zebra'"):
        ask(DIAMOND, "zebra")


def test_topological_order_takes_the_first_by_name():
    assert graph("b>a", nodes="c").topological_order() == ["b", "a", "c"]
    assert DIAMOND.topological_order() == ["a", "b", "c", "d", "e"]


def test_cycle_is_shown_along_the_data():
    with pytest.raises(CycleFound, match="a → b → c → a") as found:
        graph("a>b", "b>c", "c>a", "c>d", "0>a").topological_order()
    assert found.value.path == ["a", "b", "c", "a"]


def test_cycle_upstream_of_what_is_stuck_is_found():
    assert graph("y>z", "z>y", "y>a").find_cycle() == ["y", "z", "y"]
    assert graph("a>a").find_cycle() == ["a", "a"]
    assert DIAMOND.find_cycle() is None


def test_cycle_error_keeps_its_path_through_pickling_and_stays_short():
    error = pickle.loads(pickle.dumps(CycleFound([str(number) for number in range(10_000)])))
    assert len(error.path) == 10_000
    assert len(str(error)) < 500


def test_stable_order_enters_each_cycle_at_its_first_node():
    assert graph("c>b", "b>c", "b>d", nodes="a").stable_order() == ["a", "b", "c", "d"]


def test_distances_ignore_direction_and_put_the_unreached_last():
    assert graph("a>b", "c>b", "c>d", nodes="z", start="a").distances() == {"a": 0, "b": 1, "c": 2, "d": 3, "z": 4}
    assert graph("a>b").distances() == {"a": 0, "b": 0}
    assert graph("a>b", start="ab").distances() == {"a": 0, "b": 0}


def test_subgraph_keeps_inner_edges_start_and_missing():
    part = graph("a>b", "b>c", start="ac", missing=7).subgraph({"a", "b"})
    assert list(part.nodes) == ["a", "b"]
    assert part.edges == (Edge("a", "b"),)
    assert (part.start, part.missing) == (("a",), 7)
    with pytest.raises(UnknownNode, match="'zebra'"):
        DIAMOND.subgraph(["zebra"])


def test_order_depends_on_content_alone():
    nodes, edges = list(DIAMOND.nodes.values()), list(DIAMOND.edges)
    shuffle = random.Random(3).shuffle
    for _ in range(20):
        shuffle(nodes)
        shuffle(edges)
        again = Graph(nodes, edges + edges[:2])
        assert list(again.nodes) == list(DIAMOND.nodes)
        assert again.edges == DIAMOND.edges


def test_names_come_before_ids_in_the_order():
    nodes = [
        Node("1", NodeKind.DATASET, "ns", "zoo"),
        Node("2", NodeKind.FIELD, "ns", "ant", "b"),
        Node("3", NodeKind.FIELD, "ns", "ant", "a"),
    ]
    assert list(Graph(nodes, []).nodes) == ["3", "2", "1"]


def test_best_evidence_of_an_edge_stays():
    nodes = DIAMOND.nodes.values()
    edges = [Edge("a", "b", evidence) for evidence in ("inferred", "column", "explicit", "declared")]
    for order in (edges, edges[::-1]):
        assert Graph(nodes, order).edges == (Edge("a", "b", EVIDENCE[0]),)


def test_edge_or_start_without_a_node_is_refused():
    with pytest.raises(UnknownNode, match="'a' → 'z' names 'z'"):
        Graph([Node("a", NodeKind.DATASET, "ns", "a")], [Edge("a", "z")])
    with pytest.raises(UnknownNode, match="'z'"):
        Graph([], [], start=["z"])


def test_two_different_nodes_with_one_id_are_refused_but_one_twice_is_fine():
    node = Node("a", NodeKind.DATASET, "ns", "a")
    assert len(Graph([node, node], []).nodes) == 1
    with pytest.raises(DuplicateNode, match="'a'"):
        Graph([node, Node("a", NodeKind.JOB, "ns", "a")], [])


def test_graph_cannot_be_changed():
    with pytest.raises(AttributeError):
        DIAMOND.edges = ()
    with pytest.raises(TypeError):
        DIAMOND.nodes["x"] = None


@given(EDGES)
def test_upstream_is_the_reverse_of_downstream(edges):
    made = numbered(edges)
    for one in made.nodes:
        for other in made.nodes:
            assert (one in made.upstream(other)) == (other in made.downstream(one))


@given(EDGES)
def test_order_exists_just_when_there_is_no_cycle(edges):
    made = numbered(edges)
    pairs = {(edge.origin, edge.destination) for edge in made.edges}
    cycle = made.find_cycle()
    order = made.stable_order()
    assert sorted(order) == sorted(made.nodes)
    if cycle is None:
        assert order == made.topological_order()
        assert all(order.index(one) < order.index(other) for one, other in pairs)
    else:
        assert cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1
        assert set(pairwise(cycle)) <= pairs
        with pytest.raises(CycleFound):
            made.topological_order()


def test_chain_of_100_000_nodes_is_walked_without_recursion():
    ids = [f"{number:06}" for number in range(100_000)]
    nodes = [Node(id_, NodeKind.DATASET, "ns", id_) for id_ in ids]
    edges = [Edge(one, other) for one, other in pairwise(ids)]
    chain = Graph(nodes, edges, start=[ids[0]])
    assert chain.upstream(ids[-1]) == ids[-2::-1]
    assert chain.topological_order() == ids
    assert chain.distances()[ids[-1]] == 99_999
    ring = Graph(nodes, [*edges, Edge(ids[-1], ids[0])])
    assert ring.find_cycle() == [*ids, ids[0]]
