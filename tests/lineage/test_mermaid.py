"""Diagrams, as the real Mermaid reads and draws them: the newest, version 10, and an early 11."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from lineage.appearance import EDGE_LABEL_LENGTH, LABEL_LENGTH, STYLES, label_lines, shorten, visible
from lineage.errors import InvalidDiagram
from lineage.graph import Edge, Graph, Node
from lineage.mermaid import escape, readable, to_mermaid
from tests.lineage.graphs import DATASET, FIELD, JOB, MIXED, NAMESPACE, RUN, chain, node, star
from tests.lineage.hostile import FRAGMENTS, labels, tree
from tests.mermaid_parser import Parsed, parse_all

COLUMNS = Graph(
    [node(f"{name}.{field}", FIELD, name=name, field=field) for name in ("orders", "sales") for field in ("a", "b")],
    [
        Edge("orders.a", "sales.a", "column"),
        Edge("orders.b", "sales.a", "column", indirect=True, label="filter"),
        Edge("orders.a", "sales.b", "derived"),
        Edge("orders.b", "sales.b", "explicit", label="masked"),
    ],
    start=["sales.a"],
)


def page(node_: Node) -> str | None:
    """Where a node leads to: percent-encoded, as any link that `to_mermaid` takes."""
    return f"http://localhost:5000/a/b?nodeId={quote(str(node_.id) + node_.name, safe='', errors='replace')}&links=true"


WRONG_LINKS = [
    None, "", "javascript:alert(1)", "data:text/html,x", "http://a/\"b", "http://a/b c", "https://a/%zz", "http://a/b\n",
    "//a/b", "http://a/#x;", "http://a/%%{init}%%", "ftp://a/b", "http://a/'", "http://a/`",
]  # fmt: skip
LINKED = {
    f"linked hostile {part}": (tree(texts, part), {"link": page, "highlight": {"00000", "00001", "00002"}})
    for part, texts in enumerate(labels(400, seed=7)[part * 100 :][:100] for part in range(4))
}

GRAPHS: dict[str, tuple[Graph, dict]] = {
    "empty": (Graph([], []), {}),
    "nothing held, some missing": (Graph([], [], missing=12), {}),
    "one node": (Graph([node("a")], []), {}),
    "mixed": (MIXED, {}),
    "mixed and incomplete": (Graph(MIXED.nodes.values(), MIXED.edges, start=["out"], missing=37), {}),
    "titled": (MIXED, {"title": 'what "orders" touches: #1; direction TB\n%%'}),
    "columns": (COLUMNS, {"highlight": {"orders.b", "sales.b", "no such node"}}),
    "hostile edge labels": (
        Graph(
            [node("s"), *(node(f"{n:03}") for n in range(200))],
            [Edge("s", f"{n:03}", label=text) for n, text in enumerate(labels(200, seed=3))],
        ),
        {},
    ),
    "links nowhere": (
        Graph([node(f"{n:03}") for n in range(len(WRONG_LINKS))], []),
        {"link": lambda node_: WRONG_LINKS[int(node_.id)]},
    ),
    "links cost characters": (star(400), {"link": page}),
    "namespaces": (Graph([node("x", NAMESPACE, "x"), node("y", NAMESPACE, "y")], [Edge("x", "y")]), {}),
    **LINKED,
    "cycle": (Graph([node("a"), node("b")], [Edge("a", "b"), Edge("b", "a")]), {}),
    "unnamed": (Graph([Node("x", DATASET, "", "")], []), {}),
    "every status": (Graph([node(status, status=status) for status in STYLES], []), {}),
    "500 edges": (chain(500, start=["0000"]), {}),
    "501 edges": (chain(501, start=["0000"]), {}),
    "501 edges, 9 missing": (chain(501, start=["0501"], missing=9), {}),
    "600 edges from the middle": (chain(600, start=["0300"]), {}),
    "501 edges without a start": (chain(501), {}),
    "no edges wanted": (chain(3, start=["0000"]), {"max_edges": 0}),
    "star": (star(10_000), {}),
    "long names": (star(499, name="{}" + "x" * 190), {}),
    "long hostile names": (star(400, name="{}" + "😀" * 30), {}),
    "long letters of two units": (star(499, name="{}" + "𝒳" * 60), {}),
    "for GitLab": (star(400), {"max_characters": 2_000}),
    "many without edges": (Graph([node(f"{n:05}") for n in range(5_000)], []), {}),
    **{direction: (MIXED, {"direction": direction}) for direction in ("LR", "RL", "TB", "TD", "BT")},
    **{
        f"hostile {part}": (tree(texts, part), {})
        for part, texts in enumerate(labels(1_600, seed=part)[part * 100 :][:100] for part in range(16))
    },
}


@pytest.fixture(scope="module")
def read() -> Callable[[str], Parsed]:
    texts = {name: to_mermaid(graph, **options) for name, (graph, options) in GRAPHS.items()}
    parsed = dict(zip(texts, parse_all(texts.values()), strict=True))
    return parsed.__getitem__


@pytest.mark.parametrize("name", GRAPHS)
def test_diagram_is_what_was_meant(read, name):
    graph, options = GRAPHS[name]
    parsed = read(name)
    assert parsed.ok, parsed.error
    assert len(parsed.text.encode("utf-16-le")) // 2 <= options.get("max_characters", 50_000)
    assert len(parsed.edges) <= options.get("max_edges", 500)
    # Ids are numbered in the order of what is drawn; after the drawn nodes comes the one for what is missing.
    more = [id_ for id_, label in parsed.labels.items() if "more" in parsed.nodes_by_id[id_]["classes"]]
    drawn = [id_ for id_ in parsed.labels if id_ not in more]
    if not more:
        assert_same(graph, parsed, **options)
        return
    assert len(more) == 1
    left_out = len(graph.nodes) - len(drawn) + graph.missing
    assert parsed.labels[more[0]] == (f"… +{left_out} more" if left_out else "nothing to show")
    nearest = sorted(graph.stable_order(), key=graph.distances().__getitem__)[: len(drawn)]
    assert_same(graph.subgraph(nearest), parsed, more[0], **options)
    # One edge for each drawn node and direction that leads on.
    kept = set(nearest)
    beyond = sum(any(other not in kept for other in graph.children(id_)) for id_ in kept)
    beyond += sum(any(other not in kept for other in graph.parents(id_)) for id_ in kept)
    assert sum(more[0] in edge for edge in parsed.edges) == beyond


def assert_same(graph: Graph, parsed: Parsed, more: str = "", highlight: Iterable[str] = (), **_: object) -> None:
    """Check every node, label, shape, class, arrow and box that Mermaid read against the graph."""
    ids = {f"n{number}": graph.nodes[id_] for number, id_ in enumerate(graph.stable_order())}
    assert set(parsed.labels) - {more} == set(ids)
    assert {id_: parsed.labels[id_] for id_ in ids} == {
        id_: "\n".join(map(readable, label_lines(node))) for id_, node in ids.items()
    }
    shapes = {DATASET: "cylinder", JOB: "square", FIELD: "stadium", RUN: "round", NAMESPACE: "subroutine"}
    assert {id_: parsed.nodes_by_id[id_]["shape"] for id_ in ids} == {id_: shapes[ids[id_].kind] for id_ in ids}
    assert all(parsed.nodes_by_id[id_]["kind"] == "string" for id_ in ids)
    arrows = sorted(
        (ids[arrow["origin"]].id, ids[arrow["destination"]].id, arrow["stroke"], arrow["label"])
        for arrow in parsed.arrows
        if more not in (arrow["origin"], arrow["destination"])
    )
    shining = set(highlight)
    assert arrows == sorted(
        (
            e.origin,
            e.destination,
            "thick"
            if {e.origin, e.destination} <= shining
            else "dotted"
            if e.indirect or e.evidence in ("inferred", "derived")
            else "normal",
            readable(shorten(visible(e.label), EDGE_LABEL_LENGTH)) if e.label else "",
        )
        for e in graph.edges
    )
    assert {node.id for id_, node in ids.items() if "highlight" in parsed.nodes_by_id[id_]["classes"]} == (
        shining & graph.nodes.keys()
    )
    namespaces = {node.namespace for node in ids.values() if node.namespace and node.kind is not NAMESPACE}
    datasets = {(node.namespace, node.name) for node in ids.values() if node.kind is FIELD}
    assert len(parsed.subgraphs) == (len(namespaces) if len(namespaces) > 1 else 0) + len(datasets)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Graph, Parsed]]:
    # Drawing takes long in the DOM shim, so: every fragment once, and a few hundred labels in all.
    made = labels(240, seed=99)
    graphs = [tree(made[start : start + 40], start) for start in range(0, len(made), 40)]
    return list(zip(graphs, parse_all([to_mermaid(graph) for graph in graphs], render=True), strict=True))


def test_drawn_labels_read_as_meant_in_every_version(drawn):
    assert {len(parsed.rendered) for _, parsed in drawn} == {3}, [p.error for _, p in drawn if not p.ok]
    for graph, parsed in drawn:
        meant = {
            f"n{number}": "\n".join(map(readable, label_lines(graph.nodes[id_])))
            for number, id_ in enumerate(graph.stable_order())
        }
        boxes = sorted(box["title"] for box in parsed.subgraphs)
        for version, picture in parsed.rendered.items():
            assert picture["labels"] == meant, version
            assert sorted(picture["subgraphs"]) == boxes, version
            assert picture["edges"] == len(graph.edges), version
            assert picture["title"] == parsed.title, version


def test_class_colours_fill_and_text_so_that_dark_pages_can_be_read(read):
    classes = {c["name"]: dict(s.split(":") for s in c["styles"]) for c in read("every status").classes}
    for name, styles in classes.items():
        assert contrast(styles["fill"], styles["color"]) >= 7, name


def contrast(one: str, other: str) -> float:
    """Return WCAG 2's contrast ratio of two ``#rrggbb``."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_status_wins_over_kind_and_an_unknown_one_is_passed_over(read):
    classes = {parsed["label"]: parsed["classes"] for parsed in read("mixed").nodes}
    assert classes == {
        "raw\nversion 1": ["dataset"],
        "load": ["failed"],
        "out": ["dataset", "start"],
        "id": ["column"],
        "day": ["column"],
        "r": ["run"],
    }


def test_columns_are_boxed_by_dataset_within_their_namespace(read):
    parsed = read("mixed")
    boxes = {box["title"]: [parsed.labels.get(member, member) for member in box["members"]] for box in parsed.subgraphs}
    assert set(boxes) == {"postgres://db:5432", "dbt", "s3://lake", "raw", "out"}
    assert sorted(boxes["raw"]) == ["day", "id"]
    assert boxes["dbt"] == ["load"]


def test_columns_tell_direct_from_indirect_and_what_is_masked(read):
    arrows = {(one["stroke"], one["label"]) for one in read("columns").arrows}
    assert arrows == {("normal", ""), ("dotted", "filter"), ("dotted", ""), ("thick", "masked")}


@pytest.mark.parametrize("name", LINKED)
def test_nodes_lead_where_they_should_whatever_they_are_called(read, name):
    graph, _ = LINKED[name]
    pages = {f"n{number}": page(graph.nodes[id_]) for number, id_ in enumerate(graph.stable_order())}
    links = read(name).links
    assert links.items() <= {id_: unquote(url) for id_, url in pages.items()}.items()
    asked = {id_: parse_qs(urlsplit(url).query) for id_, url in pages.items()}
    assert {id_: parse_qs(urlsplit(url).query) for id_, url in links.items()} == {id_: asked[id_] for id_ in links}
    assert len(links) > 5


def test_names_as_they_mostly_are_have_links():
    names = ["public.orders", "s3://lake/day=1/part-0", "C:x", "日本 Ω", "a@b, c (d)"]
    graph = Graph([node(name) for name in names], [])
    (parsed,) = parse_all([to_mermaid(graph, link=page)])
    assert len(parsed.links) == len(names)


def test_links_that_are_no_plain_address_are_left_out(read):
    assert read("links nowhere").links == {}


def test_single_namespace_gets_no_box(read):
    assert read("one node").subgraphs == []


def test_direction_and_title_arrive(read):
    for direction in ("LR", "RL", "BT"):
        assert read(direction).direction == direction
    assert read("TB").direction == read("TD").direction == "TB"
    assert read("mixed").title == "Lineage of out"
    assert read("titled").title == 'what "orders" touches: #1; direction TB␊%%'


def test_500_edges_are_drawn_and_501_are_cut(read):
    assert (len(read("500 edges").nodes), len(read("500 edges").edges)) == (501, 500)
    cut = read("501 edges")
    # 499 edges among 500 nodes and one to the node for the two that are missing.
    assert (len(cut.nodes), len(cut.edges)) == (501, 500)
    assert cut.labels["n500"] == "… +2 more"
    assert cut.edges[-1] == ("n499", "n500")


def test_what_the_graph_misses_is_added_to_what_is_cut(read):
    assert "… +11 more" in read("501 edges, 9 missing").labels.values()
    assert "… +37 more" in read("mixed and incomplete").labels.values()
    assert read("nothing held, some missing").labels == {"n0": "… +12 more"}


def test_cut_is_made_at_both_far_ends(read):
    cut = read("600 edges from the middle")
    more = f"n{len(cut.nodes) - 1}"
    assert cut.edges[-2:] == [("n498", more), (more, "n0")]
    assert cut.labels["n249"] == "0300"


def test_limit_on_characters_is_used_up_to_less_than_a_node(read):
    for name, limit in (("long names", 50_000), ("long hostile names", 50_000), ("for GitLab", 2_000)):
        graph, options = GRAPHS[name]
        text = read(name).text
        kept = len(read(name).nodes) - 1
        assert kept < len(graph.nodes)
        roomier = to_mermaid(graph, **{**options, "max_characters": limit + len(text) // kept + 40})
        assert roomier.count(":::dataset") > kept


def test_budget_too_small_for_any_diagram_is_refused_with_what_is_needed():
    with pytest.raises(InvalidDiagram, match=r"max_characters is 10; this diagram needs at least \d+"):
        to_mermaid(chain(3), max_characters=10)
    needed = len(to_mermaid(chain(3), max_edges=0, max_characters=1_000))
    assert to_mermaid(chain(3, start=["0000"]), max_characters=needed + 10)


@pytest.mark.parametrize("wrong", [{"direction": "UP"}, {"direction": "LR\n click n0"}, {"max_edges": -1}])
def test_wrong_option_is_refused(wrong):
    with pytest.raises(InvalidDiagram, match=next(iter(wrong))):
        to_mermaid(chain(3), **wrong)


def test_text_depends_on_content_alone():
    nodes, edges = list(MIXED.nodes.values()), list(MIXED.edges)
    assert to_mermaid(Graph(nodes[::-1], edges[::-1], start=["out"])) == to_mermaid(MIXED)


def test_shape_of_the_text():
    graph = Graph(
        [node("orders", detail="v2"), node("load", JOB), node("daily")],
        [Edge("orders", "load"), Edge("load", "daily", "inferred")],
        start=["daily"],
        missing=4,
    )
    assert to_mermaid(graph) == (
        "flowchart LR\n"
        "  accTitle: Lineage of daily\n"
        '  n0[("orders\nv2")]:::dataset\n'
        '  n1["load"]:::job\n'
        '  n2[("daily")]:::dataset\n'
        '  n3{{"#8230; #43;4 more"}}:::more\n'
        "  n0 --> n1\n"
        "  n1 -.-> n2\n"
        "  classDef dataset fill:#dbeafe,stroke:#1d4ed8,color:#172554\n"
        "  classDef job fill:#fef3c7,stroke:#b45309,color:#451a03\n"
        "  classDef more fill:#f9fafb,stroke:#6b7280,color:#111827,stroke-dasharray:4 3\n"
        "  classDef start stroke-width:4px\n"
        "  class n2 start\n"
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("raw_orders", "raw_orders"),
        ("db.public.orders-2/a b", "db.public.orders-2/a b"),
        ("日本 Ωé", "日本 Ωé"),
        ('a"b', "a#34;b"),
        ("#35;", "#35;35#59;"),
        ("direction  TB", "direction#32;#32;TB"),
        ("direction", "directio#110;"),
        ("__init__", "#95;#95;init#95;#95;"),
        ("1. load", "1#46; load"),
        ("- x ", "#45; x#32;"),
        ("www.x", "www#46;x"),
        ("\x00\u2028\ud800", "#9216;#65533;#65533;"),
        ("😀", "#128512;"),
        ("", ""),
    ],
)
def test_escape(text, escaped):
    assert escape(text) == escaped


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_escaped_text_is_one_line_without_syntax(fragment):
    assert not set(escape(fragment)) & set("\n\r\"`<>&%|[](){}:'$*~=+@\\!")


def test_long_label_keeps_both_ends():
    graph = Graph([node("a" * 5_000 + "tail")], [])
    (line,) = label_lines(next(iter(graph.nodes.values())))
    assert len(line) == LABEL_LENGTH
    assert line.startswith("aaa") and line.endswith("tail") and "…" in line
