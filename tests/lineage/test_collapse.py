"""Collapsing: groups in the place of their members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lineage.collapse import by_namespace, collapse, groups_of
from lineage.graph import Edge, Graph, Node
from tests.lineage.graphs import JOB, NAMESPACE, node

DAG = node("dag", JOB)
SMALL = Graph(
    [node("a"), node("t1", JOB), node("b"), node("t2", JOB), node("c")],
    [Edge("a", "t1"), Edge("t1", "b"), Edge("b", "t2"), Edge("t2", "c"), Edge("a", "t2", "explicit")],
    start=["t2"],
    missing=3,
)
IDS = st.integers(0, 7).map(str)


def pairs(graph: Graph) -> dict[tuple[str, str], str]:
    return {(edge.origin, edge.destination): edge.evidence for edge in graph.edges}


def test_jobs_are_drawn_as_their_parent_with_the_best_evidence_of_their_edges():
    drawn = collapse(SMALL, {"t1": DAG, "t2": DAG})
    assert set(drawn.nodes) == {"a", "b", "c", "dag"}
    assert pairs(drawn) == {
        ("a", "dag"): "explicit",
        ("dag", "b"): "declared",
        ("b", "dag"): "declared",
        ("dag", "c"): "declared",
    }
    assert (drawn.start, drawn.missing) == (("dag",), 3)
    assert drawn.nodes["dag"].detail == "2 jobs"


def test_parents_are_followed_to_the_root():
    drawn = collapse(SMALL, {"t1": node("group", JOB), "group": DAG, "t2": DAG})
    assert set(drawn.nodes) == {"a", "b", "c", "dag"}


def test_parents_between_a_node_and_its_root_are_drawn_as_the_root_too():
    parents = {"t1": node("group", JOB), "group": DAG, "t2": DAG, "other": DAG}
    assert groups_of(SMALL, parents) == {"t1": "dag", "group": "dag", "t2": "dag"}


def test_parent_that_is_in_the_graph_stays_itself():
    dag = node("dag", JOB, detail="nightly", status="failed")
    graph = Graph([*SMALL.nodes.values(), dag], [*SMALL.edges, Edge("dag", "t1"), Edge("dag", "c")])
    drawn = collapse(graph, {"t1": DAG, "t2": DAG})
    assert drawn.nodes["dag"] == dag
    assert ("dag", "dag") not in pairs(drawn)


def test_nodes_whose_parents_go_round_stay():
    around = {"t1": node("t2", JOB), "t2": node("t1", JOB), "a": node("t1", JOB)}
    assert set(collapse(SMALL, around).nodes) == set(SMALL.nodes)


def test_namespaces_are_one_node_each_and_say_what_they_hold():
    graph = Graph(
        [node("a", namespace="x"), node("b", namespace="x"), node("j", JOB, "x"), node("c", namespace="y")],
        [Edge("a", "j"), Edge("j", "b"), Edge("b", "c", "column"), Edge("a", "c", "inferred"), Edge("c", "c")],
        start=["a"],
    )
    drawn = collapse(graph, by_namespace(graph))
    assert [(one.kind, one.name, one.detail) for one in drawn.nodes.values()] == [
        (NAMESPACE, "x", "2 datasets, 1 job"),
        (NAMESPACE, "y", "1 dataset"),
    ]
    assert pairs(drawn) == {("namespace:x", "namespace:y"): "column"}
    assert drawn.start == ("namespace:x",)


@given(
    st.lists(st.tuples(IDS, IDS), max_size=20),
    st.dictionaries(IDS, st.integers(0, 11).map(str), max_size=8),
    st.sets(IDS),
)
def test_every_edge_between_groups_stays_and_none_within(edges, parents, start):
    graph = Graph([node(str(n)) for n in range(8)], [Edge(*pair) for pair in edges], start=sorted(start))

    def root(id_: str) -> str:
        seen = [id_]
        while seen[-1] in parents:
            seen.append(parents[seen[-1]])
            if seen[-1] in seen[:-1]:
                return id_
        return seen[-1]

    drawn = collapse(graph, {id_: node(parent) for id_, parent in parents.items()})
    roots = {id_: root(id_) for id_ in graph.nodes}
    grouped = {one for id_, one in roots.items() if one != id_}
    assert set(drawn.nodes) == set(roots.values())
    assert set(pairs(drawn)) == {
        (roots[a], roots[b])
        for a, b in edges
        if roots[a] != roots[b] or (a == b and a not in grouped and roots[a] == a)
    }
    assert set(drawn.start) == {roots[id_] for id_ in start}
    groups = groups_of(graph, {id_: node(parent) for id_, parent in parents.items()})
    assert {id_: groups.get(id_, id_) for id_ in graph.nodes} == roots


def test_chain_of_10_000_parents_is_followed_once():
    parents = {f"{n}": Node(f"{n + 1}", JOB, "ns", f"{n + 1}") for n in range(10_000)}
    graph = Graph([node(id_, JOB) for id_ in parents], [])
    assert set(collapse(graph, parents).nodes) == {"10000"}
    assert set(groups_of(graph, parents).values()) == {"10000"}
