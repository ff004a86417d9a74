"""How nodes look, whatever the diagram's language: label lines, style classes, and which nodes are boxed together."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

#: Directions of a diagram: top to bottom (twice), bottom to top, left to right, right to left.
DIRECTIONS = ("LR", "RL", "TB", "TD", "BT")

#: A label line longer than this many characters loses its middle: the ends of a path are what tells it from others.
LABEL_LENGTH = 200
EDGE_LABEL_LENGTH = 40

#: The class of the node that stands for what was cut off.
MORE = "more"

#: The status of a dataset, or column, of which an assertion fails.
FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Style:
    """Colours of a class, as ``#rrggbb``. Fill and text come together, so dark and light pages show both alike."""

    fill: str
    stroke: str
    text: str
    dashed: bool = False


STYLES = {
    "dataset": Style("#dbeafe", "#1d4ed8", "#172554"),
    "job": Style("#fef3c7", "#b45309", "#451a03"),
    "column": Style("#ede9fe", "#6d28d9", "#2e1065"),
    "run": Style("#e5e7eb", "#4b5563", "#111827"),
    "namespace": Style("#ccfbf1", "#0f766e", "#042f2e"),
    "failed": Style("#fecaca", "#b91c1c", "#450a0a"),
    FAILING: Style("#fee2e2", "#b91c1c", "#450a0a"),
    "upstream_failed": Style("#fee2e2", "#b91c1c", "#450a0a", dashed=True),
    "skipped": Style("#f3f4f6", "#6b7280", "#1f2937", dashed=True),
    "unchanged": Style("#f3f4f6", "#6b7280", "#1f2937"),
    "stale": Style("#ffedd5", "#c2410c", "#431407"),
    "added": Style("#dcfce7", "#15803d", "#052e16"),
    "removed": Style("#ffe4e6", "#be123c", "#4c0519", dashed=True),
    "changed": Style("#cffafe", "#0e7490", "#083344"),
    MORE: Style("#f9fafb", "#6b7280", "#111827", dashed=True),
}

_KIND_CLASSES = {
    NodeKind.DATASET: "dataset",
    NodeKind.JOB: "job",
    NodeKind.FIELD: "column",
    NodeKind.RUN: "run",
    NodeKind.NAMESPACE: "namespace",
}

#: The border of a node that is highlighted; its fill stays that of its kind or status.
HIGHLIGHT = "#db2777"

#: Arrows and boxes of a picture, and what is written beside them: as legible on white as on black.
LINE = "#7c8594"

#: The address of a node, or None.
Link = Callable[[Node], str | None]

# What any language of diagrams can take between quotes as it is; everything else comes percent-encoded, or not at all.
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(?:/(?:[A-Za-z0-9._~/?=&@:,+-]|%[0-9A-Fa-f]{2})*)?")

# Characters that no page shows, or that turn the text around them: controls, line and paragraph separators, marks of
# writing direction, lone surrogates, and code points that are no characters.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17))
    + "]"
)


def visible(text: str) -> str:
    """Return the text with every invisible control replaced by a sign for it (``␊``), or by U+FFFD."""
    return _INVISIBLE.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def shorten(text: str, length: int = LABEL_LENGTH) -> str:
    """Return the text, or its start and end around ``…`` when it has more than ``length`` characters."""
    if len(text) <= length:
        return text
    tail = length * 2 // 5
    return f"{text[: length - tail - 1]}…{text[len(text) - tail :]}"


def label_lines(node: Node, length: int = LABEL_LENGTH) -> list[str]:
    """Return the lines of a node's label as they should be read: its own name, then its detail if it has one."""
    name = node.name if node.field is None else node.field
    return [shorten(visible(line), length) for line in (name or "(unnamed)", node.detail) if line]


def style_class(node: Node) -> str:
    """Return the key of `STYLES` for a node: its status where that is one, else its kind."""
    return node.status if node.status in STYLES and node.status != MORE else _KIND_CLASSES[node.kind]


def is_dashed(edge: Edge) -> bool:
    """Return whether an edge is drawn broken: a guess, what reading SQL gave, or what only shapes the rows."""
    return edge.indirect or edge.evidence in ("inferred", "derived")


def is_emphasized(edge: Edge, highlight: Collection[str]) -> bool:
    """Return whether an edge is drawn thick: it lies between two nodes that are highlighted."""
    return edge.origin in highlight and edge.destination in highlight


def edge_label(edge: Edge) -> str | None:
    """Return what is written on an edge, as it should be read."""
    return shorten(visible(edge.label), EDGE_LABEL_LENGTH) if edge.label else None


def address(link: Link | None, node: Node) -> str | None:
    """Return a node's address where it has one that is safe to write in any diagram: http or https, encoded."""
    found = link(node) if link is not None else None
    return found if found is not None and _URL.fullmatch(found) else None


def default_title(graph: Graph) -> str:
    """Return what a diagram is called when nobody named it."""
    if len(graph.start) != 1:
        return "Lineage"
    return f"Lineage of {label_lines(graph.nodes[graph.start[0]])[0]}"


@dataclass(slots=True)
class Cluster:
    """A box around nodes, and around further boxes; members are in the order in which they are drawn."""

    title: str
    members: list[str | Cluster] = field(default_factory=list)


def clusters(graph: Graph, order: Iterable[str]) -> list[str | Cluster]:
    """Return the nodes in ``order``, boxed by namespace and, for columns, by dataset within it.

    A single namespace gets no box: it would frame the whole picture and say nothing. Runs have no namespace, so they
    stay outside, as does a node that stands for a namespace.
    """
    boxed = {id_: node.namespace for id_, node in graph.nodes.items() if node.kind is not NodeKind.NAMESPACE}
    several = len(set(boxed.values()) - {""}) > 1
    top: list[str | Cluster] = []
    boxes: dict[tuple[str, ...], list[str | Cluster]] = {}

    def box(key: tuple[str, ...], around: list[str | Cluster]) -> list[str | Cluster]:
        if key not in boxes:
            cluster = Cluster(shorten(visible(key[-1])) or "(unnamed)")
            around.append(cluster)
            boxes[key] = cluster.members
        return boxes[key]

    for id_ in order:
        node = graph.nodes[id_]
        members = box((node.namespace,), top) if several and boxed.get(id_) else top
        if node.kind is NodeKind.FIELD:
            members = box((node.namespace, node.name), members)
        members.append(id_)
    return top
