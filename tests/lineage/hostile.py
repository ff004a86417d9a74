"""Names that no diagram should be broken by: fragments, and labels made of them by a seeded generator."""

from __future__ import annotations

import random

from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

FRAGMENTS = [
    # Mermaid's own syntax
    '"', "'", "`", "#", "&", ";", ":", ":::", "|", "---", "-->", "-.->", "==>", "[(", ")]", "([", "])", "{{",
    "}}", "(", ")", "{", "}", "[", "]", "%%", "%%{init: {'theme':'dark'}}%%", "%%{wrap}%%", "end", "graph",
    "style a fill:#f00;", "classDef x fill:#f00;", "click", "href", "call", "subgraph", "linkStyle",
    "interpolate", "default", "o1", "x1", "direction TB", "direction  LR", "direction", "TB", "accTitle: x",
    "@{ shape: rect }", "---\ntitle: x\n---",
    # its entities and their placeholders
    "#amp;", "#35;", "#quot;", "ﬂ°°35¶ß", "ﬂ°amp¶ß", "ﬂ", "¶ß",
    # HTML, icons, formulas
    "<br/>", "<img src=x onerror=alert(1)>", "<script>", "&lt;", "&#60;", "javascript:alert(1)", "fa:fa-user",
    "$$x$$",
    # Markdown
    "_a_", "__init__", "*", "**b**", "`md`", '"`md`"', "1. ", "1) ", "- ", "+ ", "> q", "# h", "===", "~~s~~",
    "    code", "www.example.com", "http://a.b/c", "a@b.c", "![x](y)", "| a | b |",
    # characters
    "\\", "\\n", "/", "\n", "\r\n", "\t", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ud800",
    "\ufeff", "\uffff", "é", "e\u0301", "日本", "Ω", "٣", "😀", "👩‍👩‍👧", "𝒳", "\u200d", "\xa0", "\xad", " ", "  ",
    "a", "b", "orders", "_", "-", ".",
]  # fmt: skip


def labels(count: int, seed: int) -> list[str]:
    """Return every fragment alone, then labels of two to six fragments, ``count`` in all."""
    source = random.Random(seed)
    made = ["".join(source.choices(FRAGMENTS, k=source.randint(2, 6))) for _ in range(count)]
    return [*FRAGMENTS, *made][:count]


def tree(texts: list[str], seed: int) -> Graph:
    """Return a tree whose names, details, columns and namespaces are all hostile."""
    kinds = list(NodeKind)
    nodes = []
    for at, text in enumerate(texts):
        other = texts[(at * 7 + seed) % len(texts)]
        kind = kinds[at % 4]
        nodes.append(
            Node(
                f"{at:05}",
                kind,
                "" if kind is NodeKind.RUN else texts[at % 3],
                text if kind is not NodeKind.FIELD else other,
                field=text if kind is NodeKind.FIELD else None,
                detail=other if at % 3 == 0 else None,
            )
        )
    edges = [
        Edge(f"{at // 2:05}", f"{at:05}", "inferred" if at % 5 == 0 else "declared") for at in range(1, len(texts))
    ]
    return Graph(nodes, edges, start=["00000"])
