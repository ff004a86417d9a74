"""The evidence filter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.evidence import LEVELS, known_by
from lineage.graph import EVIDENCE, Edge, Graph
from tests.lineage.graphs import node

EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(EVIDENCE)), max_size=16)


def graph(*edges: tuple[str, str, str], start: str = "s") -> Graph:
    ids = {id_ for one in edges for id_ in one[:2]} | {start}
    return Graph([node(id_) for id_ in ids], [Edge(*one) for one in edges], start=[start], missing=2)


@pytest.mark.parametrize(
    ("level", "kept"),
    [("explicit", {"s", "e"}), ("column", {"s", "e", "c", "d"}), ("any", {"s", "e", "c", "d", "x", "i"})],
)
def test_level_takes_in_what_is_at_least_as_good(level, kept):
    edges = zip("ecdxi", EVIDENCE, strict=True)
    found = known_by(graph(*((id_, "s", evidence) for id_, evidence in edges)), level)
    assert set(found.nodes) == kept
    assert (found.start, found.missing) == (("s",), 2)


def test_what_only_a_worse_edge_led_to_is_dropped_even_where_it_hangs_on_what_stays():
    # b is upstream of s by way of the guess alone; that a feeds it does not make it so
    made = graph(("a", "s", "explicit"), ("a", "b", "explicit"), ("b", "s", "inferred"))
    assert set(known_by(made, "explicit").nodes) == {"a", "s"}
    assert set(known_by(made, "explicit", either_way=True).nodes) == {"a", "b", "s"}


@given(EDGES, st.sampled_from(sorted(LEVELS)))
def test_every_node_that_stays_is_joined_by_edges_that_stay(edges, level):
    made = Graph([node(str(n)) for n in range(7)], [Edge(str(a), str(b), word) for a, b, word in edges], start=["0"])
    found = known_by(made, level)
    assert all(EVIDENCE.index(edge.evidence) <= EVIDENCE.index(LEVELS[level]) for edge in found.edges)
    if level != "any":
        good = Graph(made.nodes.values(), [e for e in made.edges if e in found.edges or _good(e, level)])
        if any(not _good(edge, level) for edge in made.edges):
            assert set(found.nodes) == {"0", *good.upstream("0"), *good.downstream("0")}


def _good(edge: Edge, level: str) -> bool:
    return EVIDENCE.index(edge.evidence) <= EVIDENCE.index(LEVELS[level])
