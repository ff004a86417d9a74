"""Mermaid flowcharts that render wherever they are pasted: GitHub, GitLab, a wiki, an editor.

Everything here is plain ``flowchart`` syntax that Mermaid 10 and 11 read alike. Its parser has no general way to quote,
so labels go through `escape`, ids are ``n0``, ``n1``, … and classes come from a fixed list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import count
from urllib.parse import unquote

from lineage.appearance import (
    DIRECTIONS,
    HIGHLIGHT,
    MORE,
    STYLES,
    Cluster,
    Link,
    address,
    clusters,
    default_title,
    edge_label,
    is_dashed,
    is_emphasized,
    label_lines,
    shorten,
    style_class,
    visible,
)
from lineage.budget import Cut, cut, nearest_first, sizes_within
from lineage.errors import InvalidDiagram
from lineage.graph import Edge, Graph
from lineage.nodes import NodeKind

#: What Mermaid renders at most unless a page's owner raised it; a diagram over either limit is not drawn at all.
MAX_CHARACTERS = 50_000
MAX_EDGES = 500

_SHAPES = {
    NodeKind.DATASET: ('[("', '")]'),
    NodeKind.JOB: ('["', '"]'),
    NodeKind.FIELD: ('(["', '"])'),
    NodeKind.RUN: ('("', '")'),
    NodeKind.NAMESPACE: ('[["', '"]]'),
}
#: No line that draws a node is shorter: `  n0["a"]:::job` and its newline.
_SHORTEST_NODE = 16

_UNSAFE = re.compile(
    r"[^\w./\- ]"  # syntax of Mermaid, HTML or Markdown; combining marks too, which costs nothing but length
    r"|ﬂ"  # starts Mermaid's own placeholder for an entity
    r"|(?<![^\W_])_|_(?![^\W_])"  # Markdown emphasis, unless within a word; Mermaid 11.0 to 11.12 reads it in any label
    r"|\A-|\A\d+\.|www\."  # there also: items of lists ("Unsupported markdown: list") and links
    r"|direction\Z",  # see _DIRECTION; the second line of a label may start with TB
    re.IGNORECASE,
)
# Mermaid's lexer takes a whole line that holds `direction TB`, even inside quotes, and drops it without an error.
_DIRECTION = re.compile(r"(direction)( +)(?=TB|BT|RL|LR|TD)", re.IGNORECASE)
_OUTER_SPACE = re.compile(r"\A +| +\Z")
# Mermaid decodes the placeholders of its entities (`ﬂ°`, `¶ß`) in the finished SVG, so no label can hold them as such.
_SYNTAX_OF_URLS = re.compile("%2[356B]", re.IGNORECASE)  # # % & +: encoded they are part of a name
_PLACEHOLDER = re.compile(r"ﬂ(?=°)|¶(?=ß)")


def readable(text: str) -> str:
    """Return a text as a Mermaid label can show it: `visible`, and placeholders split by a zero-width space."""
    return _PLACEHOLDER.sub("\\g<0>\u200b", visible(text))


def escape(text: str) -> str:
    """Return a text as it is written between the quotes of a Mermaid label: one line, to be read as `readable(text)`.

    Letters and digits of any script, ``_ . / -`` and spaces stay, except where they would be read as Markdown or as the
    ``direction`` statement; every other character becomes ``#<decimal>;``.
    """
    safe = _UNSAFE.sub(_entity, readable(text))
    safe = _DIRECTION.sub(lambda found: found[1] + "#32;" * len(found[2]), safe)
    return _OUTER_SPACE.sub(lambda found: "#32;" * len(found[0]), safe)


def to_mermaid(
    graph: Graph,
    *,
    direction: str = "LR",
    max_characters: int = MAX_CHARACTERS,
    max_edges: int = MAX_EDGES,
    title: str | None = None,
    highlight: Collection[str] = (),
    link: Link | None = None,
) -> str:
    """Return the graph as a Mermaid flowchart, ending in a newline.

    Shapes tell the kind (a cylinder is a dataset, a rectangle a job, a stadium a column), colours the kind or the
    status; a solid arrow is known, a dotted one inferred, derived or, between columns, indirect. Each namespace is a
    subgraph when there is more than one: a single one would only add a frame around the picture, and a README is
    narrow. Columns are boxed by dataset.

    A graph that would exceed a limit is cut: the nodes nearest to its start are kept, with all edges among them, and
    one more node says how many are missing, joined to every node where the cut was made. What the graph itself knows
    to be missing is in that number. A graph without nodes is drawn as one node that says so.

    Args:
        direction: LR, RL, TB, TD or BT.
        max_characters: the most UTF-16 units of text (GitLab shows 2,000 at once).
        max_edges: the most edges.
        title: what a screen reader calls the diagram; by default it names the start.
        highlight: ids of nodes to draw with emphasis, and thick arrows between them; others are passed over.
        link: gives the address that a node leads to; left out are addresses other than plain http and https, and those
            of names with letters like ``&`` or ``%``, which Mermaid would decode and so lead elsewhere.

    Raises:
        InvalidDiagram: no such direction, or not even the node that says how much is missing fits the limits.
    """
    if direction not in DIRECTIONS:
        raise InvalidDiagram(f"direction is {direction!r}; it must be one of {', '.join(DIRECTIONS)}")
    if max_edges < 0:
        raise InvalidDiagram(f"max_edges is {max_edges}; it must be 0 or more")
    # TD is TB by another name, which Mermaid 10 and 11 report differently.
    rank = "TB" if direction == "TD" else direction
    heading = f"flowchart {rank}\n  accTitle: {escape(shorten(visible(title or default_title(graph))))}\n"
    shining = frozenset(highlight)
    most = max(max_characters, 0) // _SHORTEST_NODE
    if len(graph.nodes) <= most and len(graph.edges) <= max_edges:
        text = heading + _draw(Cut(graph, (), (), graph.missing), shining, link)
        if _units(text) <= max_characters:
            return text
    order = nearest_first(graph)
    sizes = sizes_within(graph, order, max_edges, most)
    best = heading + _draw(cut(graph, order, 0), shining, link)
    if _units(best) > max_characters:
        raise InvalidDiagram(f"max_characters is {max_characters}; this diagram needs at least {_units(best)}")
    low, high = 0, len(sizes) - 1
    while low < high:
        middle = (low + high + 1) // 2
        text = heading + _draw(cut(graph, order, sizes[middle]), shining, link)
        if _units(text) <= max_characters:
            low, best = middle, text
        else:
            high = middle - 1
    return best


def _draw(part: Cut, highlight: Collection[str], link: Link | None) -> str:
    graph = part.graph
    order = graph.stable_order()
    short = {id_: f"n{number}" for number, id_ in enumerate(order)}
    position = {id_: number for number, id_ in enumerate(order)}
    lines = list(_nodes(graph, clusters(graph, order), short))
    used = {style_class(node) for node in graph.nodes.values()}
    more = f"n{len(order)}"
    if part.missing or not order:
        text = f"… +{part.missing} more" if part.missing else "nothing to show"
        lines.append(f'  {more}{{{{"{escape(text)}"}}}}:::{MORE}')
        used.add(MORE)
    edges = sorted(graph.edges, key=lambda edge: (position[edge.origin], position[edge.destination]))
    lines += [f"  {short[edge.origin]} {_arrow(edge, highlight)} {short[edge.destination]}" for edge in edges]
    lines += [f"  {short[id_]} --> {more}" for id_ in sorted(part.outward, key=position.__getitem__)]
    lines += [f"  {more} --> {short[id_]}" for id_ in sorted(part.inward, key=position.__getitem__)]
    for name, style in STYLES.items():
        if name in used:
            dashes = ",stroke-dasharray:4 3" if style.dashed else ""
            lines.append(f"  classDef {name} fill:{style.fill},stroke:{style.stroke},color:{style.text}{dashes}")
    if 0 < len(graph.start) < len(order):
        lines.append("  classDef start stroke-width:4px")
        lines.append(f"  class {','.join(short[id_] for id_ in graph.start)} start")
    shining = [short[id_] for id_ in order if id_ in highlight]
    if shining:
        lines.append(f"  classDef highlight stroke:{HIGHLIGHT},stroke-width:4px")
        lines.append(f"  class {','.join(shining)} highlight")
    for id_ in order:
        url = address(link, graph.nodes[id_])
        if url is not None and _survives(url):
            lines.append(f'  click {short[id_]} href "{url}"')
    return "\n".join(lines) + "\n"


def _arrow(edge: Edge, highlight: Collection[str]) -> str:
    arrow = "==>" if is_emphasized(edge, highlight) else "-.->" if is_dashed(edge) else "-->"
    label = edge_label(edge)
    return f'{arrow}|"{escape(label)}"|' if label else arrow


def _survives(url: str) -> bool:
    """Return whether an address means the same after Mermaid 11 percent-decoded it and took out what it mistrusts."""
    return _SYNTAX_OF_URLS.search(url) is None and all(
        character.isalnum() or character in "._~/:?=&@,()[]!$*- " for character in unquote(url)
    )


def _nodes(graph: Graph, top: list[str | Cluster], short: dict[str, str]) -> Iterator[str]:
    """Yield the lines of nodes and subgraphs; `clusters` nests at most twice, so recursion is safe here."""
    numbers = count()

    def members(of: list[str | Cluster], indent: str) -> Iterator[str]:
        for member in of:
            if isinstance(member, Cluster):
                yield f'{indent}subgraph s{next(numbers)}["{escape(member.title)}"]'
                yield from members(member.members, indent + "  ")
                yield f"{indent}end"
            else:
                node = graph.nodes[member]
                opening, closing = _SHAPES[node.kind]
                # A real line break: a tag like <br/> makes Mermaid run the label through HTML first, which decodes the
                # entities before Markdown, icons (fa:fa-user) and formulas ($$x$$) are looked for.
                label = "\n".join(escape(line) for line in label_lines(node))
                yield f"{indent}{short[member]}{opening}{label}{closing}:::{style_class(node)}"

    return members(top, "  ")


def _entity(found: re.Match[str]) -> str:
    """Return the match with its last character, the one that would be syntax, as an entity."""
    return f"{found[0][:-1]}#{ord(found[0][-1])};"


def _units(text: str) -> int:
    """Return the length that JavaScript counts: UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)
