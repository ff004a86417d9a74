"""Narrowing: some nodes, and edges for the paths through the others."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import EVIDENCE, Edge, Graph
from lineage.narrow import Wanted, narrow
from tests.lineage.graphs import DATASET, FIELD, JOB, chain, node

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from(EVIDENCE)), max_size=24)
NODES = Graph(
    [
        node("o", namespace="s3://lake", name="shop.orders"),
        node("p", namespace="pg", name="shop.people"),
        node("j", JOB, "dbt", name="shop.load"),
        node("c", FIELD, "pg", name="shop.people", field="email"),
    ],
    [],
)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), "ojpc"),
        (Wanted(namespaces={"pg", "dbt"}), "pjc"),
        (Wanted(kinds={DATASET}), "op"),
        (Wanted(kinds={"job", "datasetField"}), "jc"),
        (Wanted(pattern="shop.*"), "opjc"),
        (Wanted(pattern="*ORDERS"), ""),
        (Wanted(pattern="email"), "c"),
        (Wanted(pattern="*.people.email"), "c"),
        (Wanted(pattern="shop.[op]*"), "opc"),
        (Wanted(ids={"o", "j", "unknown"}), "oj"),
        (Wanted(namespaces={"pg"}, kinds={DATASET}, pattern="*", ids={"p", "c"}), "p"),
        (Wanted(namespaces=()), ""),
    ],
)
def test_wanted_are_the_nodes_that_every_condition_holds_for(wanted, ids):
    assert wanted.among(NODES) == set(ids)


def test_glob_that_would_take_long_to_match_does_not():
    began = process_time()
    assert Wanted(pattern="*a" * 60 + "b").among(Graph([node("a" * 5_000)], [])) == set()
    assert process_time() - began < 5


def test_edge_stands_for_the_path_through_what_was_taken_out():
    graph = Graph(
        [node(id_) for id_ in "abcd"],
        [Edge("a", "b", "explicit"), Edge("b", "c", "inferred"), Edge("c", "d", "column", label="masked")],
        start=["d"],
        missing=5,
    )
    found = narrow(graph, {"a", "unknown"})
    assert set(found.nodes) == {"a", "d"}
    assert found.edges == (Edge("a", "d", "inferred"),)
    assert (found.start, found.missing) == (("d",), 5)


def test_best_of_several_paths_counts():
    graph = Graph(
        [node(id_) for id_ in "axyb"],
        [Edge("a", "x"), Edge("x", "b", "inferred"), Edge("a", "y", "column"), Edge("y", "b", "explicit")],
    )
    assert narrow(graph, "ab").edges == (Edge("a", "b", "column"),)


@given(EDGES, st.sets(st.integers(0, 7).map(str)), st.integers(0, 7).map(str))
def test_edges_are_just_the_paths_through_what_was_taken_out(edges, wanted, start):
    graph = Graph([node(str(n)) for n in range(8)], [Edge(str(a), str(b), word) for a, b, word in edges], start=[start])
    found = narrow(graph, wanted)
    kept = wanted | {start}
    assert set(found.nodes) == kept
    expected: dict[tuple[str, str], str] = {}
    for worst in reversed(EVIDENCE):  # joined by edges at least this good; the last that finds a pair is the best
        good = [e for e in graph.edges if EVIDENCE.index(e.evidence) <= EVIDENCE.index(worst)]
        for origin in kept:
            seen, waiting = set(), [origin]
            while waiting:
                at = waiting.pop()
                for edge in good:
                    if edge.origin == at and edge.destination not in seen:
                        seen.add(edge.destination)
                        if edge.destination not in kept:
                            waiting.append(edge.destination)
            expected |= {(origin, end): worst for end in seen & kept if end != origin}
    own = {(e.origin, e.destination): e.evidence for e in graph.edges if e.origin == e.destination and e.origin in kept}
    assert {(e.origin, e.destination): e.evidence for e in found.edges} == expected | own


def test_10_000_nodes_are_narrowed_in_a_moment():
    line = chain(10_000)
    many = [node(f"x{n}") for n in range(3_000)]
    graph = Graph([*line.nodes.values(), *many], [*line.edges, *(Edge(one.id, "0000") for one in many)])
    began = process_time()
    found = narrow(graph, {"10000", *(one.id for one in many)})
    assert len(found.edges) == 3_000
    assert process_time() - began < 5


def test_node_that_joins_too_many_stays():
    ends = [node(f"{side}{n}") for side in "ab" for n in range(1_000)]
    edges = [Edge(one.id, "hub") if one.id[0] == "a" else Edge("hub", one.id) for one in ends]
    graph = Graph(
        [*ends, node("hub"), node("u"), node("v")], [*edges, Edge("a1", "u"), Edge("u", "b1"), Edge("v", "a1")]
    )
    found = narrow(graph, {one.id for one in ends}, max_bridges=50_000)
    assert set(found.nodes) == {"hub", *(one.id for one in ends)}
    assert Edge("a1", "b1") in found.edges
    assert narrow(graph, {one.id for one in ends}, max_bridges=10**9).nodes.keys() == {one.id for one in ends}
