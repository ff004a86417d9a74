"""Pictures: what the SVG holds, whatever the nodes are called, and that a PNG is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from lineage import image
from lineage.appearance import label_lines, shorten, visible
from lineage.errors import ImagesMissing, InvalidDiagram
from lineage.graph import Edge, Graph, Node
from lineage.image import LABEL_LENGTH, MAX_EDGES, MAX_NODES, to_png, to_svg
from tests.lineage.graphs import FIELD, MIXED, chain, node, star
from tests.lineage.hostile import labels, tree

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
#: All that a picture is made of: nothing that runs, styles the page around it, or fetches.
ELEMENTS = {"svg", "g", "a", "title", "text", "path", "polygon", "polyline", "ellipse"}

GRAPHS: dict[str, Graph] = {
    "empty": Graph([], []),
    "one node": Graph([node("orders")], [], start=["orders"]),
    "mixed": MIXED,
    "incomplete": Graph(MIXED.nodes.values(), MIXED.edges, start=["out"], missing=37),
    "cycle": Graph([node("a"), node("b")], [Edge("a", "b"), Edge("b", "a"), Edge("a", "a")]),
    **{f"hostile {part}": tree(labels(400, seed=2)[part * 50 :][:50], part) for part in range(8)},
}


def page(node_: Node) -> str:
    return f"https://lineage.example/x?nodeId={quote(node_.name, safe='', errors='replace')}&links=true"


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode())


def words(element: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in element.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", GRAPHS)
def test_picture_shows_every_node_and_edge_and_nothing_that_runs(name):
    graph = GRAPHS[name]
    text = to_svg(graph, title='<script>"x"</script> --> ]]>', link=page, highlight=graph.start)
    picture = read(text)
    assert {one.tag.removeprefix(SVG) for one in picture.iter()} <= ELEMENTS
    for one in picture.iter():
        assert not any(key.lower().startswith("on") or key == "style" for key in one.attrib)
        assert one.get(f"{XLINK}href", "https://lineage.example/x?").startswith("https://lineage.example/x?")
    assert all(re.fullmatch(r"[\w .()&#;:\n-]*", comment) for comment in re.findall(r"<!--(.*?)-->", text, re.DOTALL))
    groups = {kind: picture.findall(f".//{SVG}g[@class='{kind}']") for kind in ("node", "edge")}
    assert len(groups["edge"]) == len(graph.edges)
    shown = {title.text: group for group in groups["node"] if (title := group.find(f"{SVG}title")) is not None}
    assert set(shown) == set(graph.nodes)
    for id_, group in shown.items():
        assert plain(words(group)) == plain(label_lines(graph.nodes[id_], LABEL_LENGTH))
    titles = {one.findtext(f"{SVG}title") for one in groups["edge"]}
    assert titles == {f"{edge.origin} → {edge.destination} ({edge.evidence})" for edge in graph.edges}


def plain(lines: list[str]) -> list[str]:
    """Without what XML or Graphviz takes for a space."""
    return ["".join(line.split()) for line in lines]


def test_node_leads_to_its_page():
    picture = read(to_svg(MIXED, link=page))
    links = [one.get(f"{XLINK}href") for one in picture.iter(f"{SVG}a")]
    assert sorted(links) == sorted(page(one) for one in MIXED.nodes.values())
    assert not list(read(to_svg(MIXED, link=lambda _: "javascript:alert(1)")).iter(f"{SVG}a"))


def test_picture_is_titled_and_cut_like_any_diagram():
    picture = read(to_svg(star(2_000)))
    assert len(picture.findall(f".//{SVG}g[@class='node']")) == MAX_NODES + 1
    assert "… +1601 more" in words(picture)
    picture = read(to_svg(chain(600, start=["0000"]), title="what follows"))
    assert len(picture.findall(f".//{SVG}g[@class='edge']")) <= MAX_EDGES
    assert "what follows" in words(picture)


def test_broken_lines_labels_and_highlight():
    graph = Graph(
        [node(f"{name}.x", FIELD, name=name, field="x") for name in "abc"],
        [Edge("a.x", "b.x", "column", indirect=True, label="filter"), Edge("b.x", "c.x", "column", label="masked")],
    )
    text = to_svg(graph, highlight={"b.x", "c.x"})
    assert {"a", "b", "c", "filter", "masked"} <= set(words(read(text)))
    assert text.count("stroke-dasharray") == 1
    assert text.count('stroke="#db2777"') >= 3


def test_picture_has_no_background_of_its_own_and_a_png_is_white():
    assert 'fill="white"' not in to_svg(MIXED)
    assert to_png(MIXED).startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT", "TD"])
def test_direction(direction):
    assert read(to_svg(chain(2), direction=direction)).tag == f"{SVG}svg"


def test_unknown_direction_is_refused():
    with pytest.raises(InvalidDiagram, match="sideways"):
        to_svg(MIXED, direction="sideways")


def test_picture_depends_on_content_alone():
    assert to_svg(Graph([*MIXED.nodes.values()][::-1], MIXED.edges[::-1], start=["out"])) == to_svg(MIXED)


def test_without_graphviz_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(ImagesMissing, match=r"headwater\[images\]"):
        to_png(MIXED)


def test_installed_dot_does_too(monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(shutil, "which", lambda name, **_: "/bin/dot" if name == "dot" else None)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: asked.append(a) or subprocess.CompletedProcess(a, 0, b"x"))
    assert to_png(MIXED) == b"x"
    assert asked[0][0] == ["/bin/dot", "-Tpng"]


def test_graphviz_that_takes_too_long_or_fails_is_told(monkeypatch):
    def late(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("dot", 20)

    monkeypatch.setattr(subprocess, "run", late)
    with pytest.raises(InvalidDiagram, match="20 seconds"):
        to_svg(MIXED)

    def failed(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "dot", stderr=b"out of memory")

    monkeypatch.setattr(subprocess, "run", failed)
    with pytest.raises(InvalidDiagram, match="out of memory"):
        to_svg(MIXED)


def test_letters_are_drawn_smaller_than_they_were_measured_so_that_wider_fonts_fit():
    picture = read(to_svg(Graph([node("a", detail="v1"), node("b")], [Edge("a", "b", label="masked")]), title="t"))
    sizes = {one.get("font-size") for one in picture.iter(f"{SVG}text")}
    assert sizes == {"11.00", "9.00"}
    assert {one.get("font-family") for one in picture.iter(f"{SVG}text")} == {"Helvetica,Arial,sans-serif"}


def test_long_names_are_cut_in_the_picture_and_whole_under_the_pointer():
    name = "s3://lake/" + "x" * 200
    text = to_svg(Graph([node(name)], []))
    assert shorten(name, LABEL_LENGTH) in words(read(text))
    assert f"<title>{escape(visible(name))}</title>" in text
    assert image.LABEL_LENGTH < 100
