"""Graphviz DOT, for graphs that are too big for a page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from lineage.appearance import (
    DIRECTIONS,
    MORE,
    STYLES,
    Cluster,
    Style,
    clusters,
    label_lines,
    shorten,
    style_class,
    visible,
)
from lineage.errors import InvalidDiagram
from lineage.graph import Graph
from lineage.nodes import NodeKind

_SHAPES = {NodeKind.DATASET: "cylinder", NodeKind.JOB: "box", NodeKind.FIELD: "ellipse", NodeKind.RUN: "box"}


def to_dot(graph: Graph, *, direction: str = "LR", title: str | None = None) -> str:
    """Return the whole graph as a DOT digraph, ending in a newline; nothing is cut, Graphviz has no limits.

    Shapes, colours and clusters are those of the Mermaid diagram, inferred edges are dashed; nodes are named by their
    own ids, so that other Graphviz tools can select them. What is known to be missing is one more node.

    Raises:
        InvalidDiagram: ``direction`` is none of LR, RL, TB, TD, BT.
    """
    if direction not in DIRECTIONS:
        raise InvalidDiagram(f"direction is {direction!r}; it must be one of {', '.join(DIRECTIONS)}")
    lines = ["digraph lineage {", f"  rankdir={'TB' if direction == 'TD' else direction};"]
    if title:
        lines.append(f'  label={_label([shorten(visible(title))])}; labelloc="t";')
    lines.append('  node [fontname="Helvetica", fontsize=11];')
    order = graph.stable_order()
    lines += _nodes(graph, clusters(graph, order))
    if graph.missing:
        attributes = _look("hexagon", STYLES[MORE])
        more = "more"
        while more in graph.nodes:
            more += "…"
        lines.append(f"  {quote(more)} [label={_label([f'… +{graph.missing} more'])}, {attributes}];")
    position = {id_: number for number, id_ in enumerate(order)}
    for edge in sorted(graph.edges, key=lambda edge: (position[edge.origin], position[edge.destination])):
        dashes = ' [style="dashed"]' if edge.evidence == "inferred" else ""
        lines.append(f"  {quote(edge.origin)} -> {quote(edge.destination)}{dashes};")
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


def _look(shape: str, style: Style, rounded: bool = False) -> str:
    looks = ["filled", *(["rounded"] if rounded else []), *(["dashed"] if style.dashed else [])]
    return (
        f'shape={shape}, style="{",".join(looks)}", fillcolor="{style.fill}", color="{style.stroke}", '
        f'fontcolor="{style.text}"'
    )


def _nodes(graph: Graph, top: list[str | Cluster]) -> Iterator[str]:
    """Yield the lines of nodes and clusters; `clusters` nests at most twice, so recursion is safe here."""
    numbers = count()
    asked = set(graph.start) if len(graph.start) < len(graph.nodes) else set()

    def members(of: list[str | Cluster], indent: str) -> Iterator[str]:
        for member in of:
            if isinstance(member, Cluster):
                yield f"{indent}subgraph cluster_{next(numbers)} {{"
                yield f'{indent}  label={_label([member.title])}; color="#9ca3af"; style="rounded";'
                yield from members(member.members, indent + "  ")
                yield f"{indent}}}"
            else:
                node = graph.nodes[member]
                attributes = _look(_SHAPES[node.kind], STYLES[style_class(node)], rounded=node.kind is NodeKind.RUN)
                width = ", penwidth=3" if member in asked else ""
                yield f"{indent}{quote(member)} [label={_label(label_lines(node))}, {attributes}{width}];"

    return members(top, "  ")
