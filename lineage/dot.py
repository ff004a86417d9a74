"""Graphviz DOT, for graphs that are too big for a page, and as what pictures are made from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import count

from lineage.appearance import (
    DIRECTIONS,
    HIGHLIGHT,
    LABEL_LENGTH,
    LINE,
    MORE,
    STYLES,
    Cluster,
    Link,
    Style,
    address,
    clusters,
    edge_label,
    is_dashed,
    is_emphasized,
    label_lines,
    shorten,
    style_class,
    visible,
)
from lineage.budget import Cut
from lineage.errors import InvalidDiagram
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

_SHAPES = {
    NodeKind.DATASET: "cylinder",
    NodeKind.JOB: "box",
    NodeKind.FIELD: "box",
    NodeKind.RUN: "box",
    NodeKind.NAMESPACE: "folder",
}
_ROUNDED = (NodeKind.FIELD, NodeKind.RUN)
# Grey lines and no background: a page may be light or dark. Without newrank each box is laid out alone, and the data
# flows to and fro between them.
_LOOK = (
    'bgcolor="transparent"; fontname="Helvetica"; fontsize=11; ranksep=0.6; nodesep=0.25; newrank=true;',
    'node [fontname="Helvetica", fontsize=11, margin="0.16,0.06", height=0.4];',
    f'edge [fontname="Helvetica", fontsize=9, color="{LINE}", fontcolor="{LINE}", arrowsize=0.7];',
)


def to_dot(
    graph: Graph,
    *,
    direction: str = "LR",
    title: str | None = None,
    highlight: Collection[str] = (),
    link: Link | None = None,
) -> str:
    """Return the whole graph as a DOT digraph, ending in a newline; nothing is cut, Graphviz has no limits.

    Shapes, colours, clusters, broken and thick edges and addresses are those of the Mermaid diagram; nodes are named by
    their own ids, so that other Graphviz tools can select them. What is known to be missing is one more node.

    Raises:
        InvalidDiagram: ``direction`` is none of LR, RL, TB, TD, BT.
    """
    more = "more"
    while more in graph.nodes:
        more += "…"
    names = {id_: id_ for id_ in graph.nodes}
    return draw(Cut(graph, (), (), graph.missing), names, more, direction, title, highlight, link)


def draw(
    part: Cut,
    names: Mapping[str, str],
    more: str,
    direction: str,
    title: str | None,
    highlight: Collection[str],
    link: Link | None,
    label_length: int = LABEL_LENGTH,
) -> str:
    """Return a part of a graph as DOT, with the nodes named by ``names`` and the one for what is missing ``more``.

    Raises:
        InvalidDiagram: ``direction`` is none of LR, RL, TB, TD, BT.
    """
    if direction not in DIRECTIONS:
        raise InvalidDiagram(f"direction is {direction!r}; it must be one of {', '.join(DIRECTIONS)}")
    graph = part.graph
    lines = ["digraph lineage {", f"  rankdir={'TB' if direction == 'TD' else direction};"]
    if title:
        lines.append(f'  label={_label([shorten(visible(title))])}; labelloc="t"; fontcolor="{LINE}";')
    lines += [f"  {line}" for line in _LOOK]
    order = graph.stable_order()
    shining = frozenset(highlight)
    nodes = {}
    for id_, node in graph.nodes.items():
        label = _label(label_lines(node, label_length))
        nodes[id_] = f"{quote(names[id_])} [label={label}, {_looks(graph, node, shining, link)}];"
    lines += _boxed(clusters(graph, order), nodes)
    if part.missing or not order:
        text = f"… +{part.missing} more" if part.missing else "nothing to show"
        lines.append(f"  {quote(more)} [label={_label([text])}, {_look('hexagon', STYLES[MORE])}];")
    position = {id_: number for number, id_ in enumerate(order)}
    for edge in sorted(graph.edges, key=lambda edge: (position[edge.origin], position[edge.destination])):
        lines.append(f"  {quote(names[edge.origin])} -> {quote(names[edge.destination])}{_edge(edge, shining)};")
    lines += [f"  {quote(names[id_])} -> {quote(more)};" for id_ in sorted(part.outward, key=position.__getitem__)]
    lines += [f"  {quote(more)} -> {quote(names[id_])};" for id_ in sorted(part.inward, key=position.__getitem__)]
    return "\n".join([*lines, "}"]) + "\n"


def quote(text: str) -> str:
    r"""Return a text as a quoted DOT id; different texts give different ids.

    Inside quotes only ``\"`` and ``\\`` are special; what a file cannot hold is written ``\u{hex}``, which no text can
    give otherwise, because its own backslashes are doubled.
    """
    shown = text.replace("\\", "\\\\").replace('"', '\\"')
    if visible(shown) != shown:
        shown = "".join(
            character if visible(character) == character else f"\\u{ord(character):04x}" for character in shown
        )
    return f'"{shown}"'


def _label(lines: list[str]) -> str:
    """Return label lines as a quoted string in which backslash sequences and HTML entities mean nothing."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines]
    return '"' + "\\n".join(escaped) + '"'


def _look(shape: str, style: Style, *, rounded: bool = False, stroke: str | None = None) -> str:
    looks = ["filled", *(["rounded"] if rounded else []), *(["dashed"] if style.dashed else [])]
    return (
        f'shape={shape}, style="{",".join(looks)}", fillcolor="{style.fill}", color="{stroke or style.stroke}", '
        f'fontcolor="{style.text}"'
    )


def _edge(edge: Edge, highlight: Collection[str]) -> str:
    """Return an edge's attributes in brackets, or nothing where it has none of its own."""
    attributes = ['style="dashed"'] if is_dashed(edge) else []
    if is_emphasized(edge, highlight):
        attributes += ["penwidth=3", f'color="{HIGHLIGHT}"']
    label = edge_label(edge)
    if label:
        attributes.append(f"label={_label([label])}")
    return f" [{', '.join(attributes)}]" if attributes else ""


def _boxed(top: list[str | Cluster], nodes: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of nodes and clusters; `clusters` nests at most twice, so recursion is safe here."""
    numbers = count()

    def members(of: list[str | Cluster], indent: str) -> Iterator[str]:
        for member in of:
            if isinstance(member, Cluster):
                yield f"{indent}subgraph cluster_{next(numbers)} {{"
                yield f'{indent}  label={_label([member.title])}; color="{LINE}"; fontcolor="{LINE}"; style="rounded";'
                yield from members(member.members, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{nodes[member]}"

    return members(top, "  ")


def _looks(graph: Graph, node: Node, highlight: Collection[str], link: Link | None) -> str:
    is_asked = node.id in graph.start and len(graph.start) < len(graph.nodes)
    stroke = HIGHLIGHT if node.id in highlight else None
    look = _look(_SHAPES[node.kind], STYLES[style_class(node)], rounded=node.kind in _ROUNDED, stroke=stroke)
    width = ", penwidth=3" if is_asked or stroke else ""
    url = address(link, node)
    return f"{look}{width}" if url is None else f'{look}{width}, URL="{url}", target="_top"'
