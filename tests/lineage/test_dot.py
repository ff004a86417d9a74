"""DOT: read back by a small tokenizer of the language's quoted strings, and by Graphviz where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.dot import quote, to_dot
from lineage.errors import InvalidDiagram
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind
from tests.lineage.graphs import MIXED, chain
from tests.lineage.hostile import labels, tree

GRAPHS = [
    Graph([], []),
    MIXED,
    Graph(MIXED.nodes.values(), MIXED.edges, start=["out"], missing=37),
    chain(600),
    *[tree(labels(400, seed=5)[start : start + 100], start) for start in range(0, 400, 100)],
]

# The DOT grammar's tokens, as far as we write them: a quoted string (only \" is special in it), a word, a sign.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z_0-9.]+|->|[{}\[\]=;,]|(?P<space>\s+)', re.DOTALL)


def tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token, f"no token at {text[at : at + 40]!r}"
        at = token.end()
        if token["space"] is None:
            found.append(token[0])
    return found


@pytest.mark.parametrize("graph", GRAPHS)
def test_statements_are_the_graphs_nodes_and_edges(graph):
    found = tokens(to_dot(graph, title='a "title"'))
    assert found.count("{") == found.count("}") and found.count("[") == found.count("]")
    triples = list(zip(found, found[1:], found[2:], strict=False))
    edges = [(one, other) for one, sign, other in triples if sign == "->"]
    nodes = [one for before, one, after in triples if after == "[" and before != "->" and one.startswith('"')]
    assert sorted(nodes) == sorted(
        [*map(quote, graph.nodes), *(['"more"'] if graph.missing or not graph.nodes else [])]
    )
    assert sorted(edges) == sorted((quote(edge.origin), quote(edge.destination)) for edge in graph.edges)


@pytest.mark.parametrize("graph", GRAPHS)
def test_graphviz_reads_it_where_it_is_installed(graph):
    if shutil.which("dot") is None:
        return  # the tokenizer above stands in; Graphviz is no dependency of the tests
    done = subprocess.run(["dot", "-Tplain"], input=to_dot(graph).encode(), capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    assert sum(line.startswith("edge ") for line in lines) == len(graph.edges)


def test_namespaces_and_datasets_are_clusters():
    text = to_dot(MIXED)
    assert [f"cluster_{number}" in text for number in range(6)] == [True] * 5 + [False]
    assert 'label="postgres://db:5432"' in text
    assert "cluster_" not in to_dot(chain(2))


def test_inferred_edges_are_dashed_and_the_missing_are_named():
    text = to_dot(Graph(MIXED.nodes.values(), MIXED.edges, missing=37))
    assert '"load" -> "out" [style="dashed"];' in text
    assert '"raw" -> "load";' in text
    assert '"more" [label="… +37 more"' in text


def test_node_called_more_does_not_clash_with_the_missing():
    text = to_dot(Graph([Node("more", NodeKind.DATASET, "ns", "more")], [], missing=1))
    assert '"more" [label="more"' in text and '"more…" [label="… +1 more"' in text


def test_label_is_plain_text():
    nodes = [Node("x", NodeKind.DATASET, "ns", '\\N "a" &amp; <b>\n', detail="v1")]
    assert r'label="\\N \"a\" &amp;amp; <b>␊\nv1"' in to_dot(Graph(nodes, []))


@pytest.mark.parametrize(("direction", "rank"), [("LR", "LR"), ("TD", "TB"), ("BT", "BT")])
def test_direction(direction, rank):
    assert f"rankdir={rank};" in to_dot(MIXED, direction=direction)


def test_unknown_direction_is_refused():
    with pytest.raises(InvalidDiagram, match="sideways"):
        to_dot(MIXED, direction="sideways")


def test_text_depends_on_content_alone():
    assert to_dot(Graph([*MIXED.nodes.values()][::-1], MIXED.edges[::-1], start=["out"])) == to_dot(MIXED)


@given(st.text(), st.text())
def test_different_ids_stay_different_and_are_one_token_of_utf8(one, other):
    assert (quote(one) == quote(other)) == (one == other)
    assert tokens(quote(one)) == [quote(one)]
    quote(one).encode()


def test_edge_between_odd_ids():
    nodes = [Node(id_, NodeKind.JOB, "ns", id_) for id_ in ("a\\", 'b"', "c\n", "\ud800")]
    text = to_dot(Graph(nodes, [Edge("a\\", 'b"'), Edge("c\n", "\ud800")]))
    assert r'"a\\" -> "b\"";' in text
    assert r'"c\u000a" -> "\ud800";' in text
