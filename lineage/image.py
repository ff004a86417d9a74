"""Pictures: SVG and PNG, laid out and drawn by Graphviz from our DOT.

``pip install 'headwater[images]'`` brings ``graphviz-pure``, one program with its own fonts that needs nothing of the
system; where it is missing, an installed ``dot`` does. It runs as a process of its own (about 5 ms), which cannot take
ours down with it and can be stopped.

Graphviz never sees the nodes' own ids: it names them in comments and titles. Here they are ``n0``, ``n1``, … and the
titles, which browsers show under the pointer, are put in afterwards.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Collection
from html import escape, unescape

from lineage.appearance import Link, default_title, shorten, visible
from lineage.budget import Cut, cut, nearest_first, sizes_within
from lineage.dot import draw
from lineage.errors import ImagesMissing, InvalidDiagram
from lineage.graph import Graph

#: More than this nobody reads in a picture; it is cut as a Mermaid diagram is.
MAX_NODES = 400
MAX_EDGES = 500
LABEL_LENGTH = 60
TIMEOUT = 20  # seconds; the worst graph within the limits takes one

# Graphviz measures in Arial, and a page's reader may have a font that is up to 15 % wider (DejaVu, Verdana): so it
# measures larger letters than are drawn.
_SIZES = ((11, 12.7), (9, 10.4))
_TITLE = re.compile(r"<title>(.*?)</title>\n?| xlink:title=\"[^\"]*\"")


def to_svg(
    graph: Graph,
    *,
    direction: str = "LR",
    title: str | None = None,
    highlight: Collection[str] = (),
    link: Link | None = None,
) -> str:
    """Return the graph as an SVG picture without background, scripts, styles or anything to fetch.

    Looks and arguments are those of `lineage.mermaid.to_mermaid`. A node says its id under the pointer, an edge its
    ends and its evidence.

    Raises:
        ImagesMissing: no Graphviz is installed.
        InvalidDiagram: no such direction, or Graphviz did not manage.
    """
    part = _part(graph)
    names = _names(part)
    text = draw(part, names, "more", direction, title, highlight, link, LABEL_LENGTH)
    for drawn_size, measured_size in _SIZES:
        text = text.replace(f"fontsize={drawn_size}", f"fontsize={measured_size}")
    drawn = _run(text, "svg").decode()
    for drawn_size, measured_size in _SIZES:
        drawn = drawn.replace(f'font-size="{measured_size}0"', f'font-size="{drawn_size}.00"')
    titles = {"lineage": title or default_title(graph)}
    titles |= {names[id_]: id_ for id_ in part.graph.nodes}
    titles |= {
        f"{names[edge.origin]}->{names[edge.destination]}": f"{edge.origin} → {edge.destination} ({edge.evidence})"
        for edge in part.graph.edges
    }
    drawn = drawn.replace('font-family="Helvetica,sans-Serif"', 'font-family="Helvetica,Arial,sans-serif"')
    return _TITLE.sub(lambda found: _titled(titles.get(unescape(found[1] or ""))), drawn)


def to_png(graph: Graph, *, direction: str = "LR", title: str | None = None, highlight: Collection[str] = ()) -> bytes:
    """Return the same as a PNG picture, on white; it cannot lead anywhere."""
    part = _part(graph)
    text = draw(part, _names(part), "more", direction, title, highlight, None, LABEL_LENGTH)
    return _run(text.replace('bgcolor="transparent"', 'bgcolor="white"', 1), "png")


def _part(graph: Graph) -> Cut:
    """Return as much of a graph, nearest to its start, as a picture can show."""
    if len(graph.nodes) <= MAX_NODES and len(graph.edges) <= MAX_EDGES:
        return Cut(graph, (), (), graph.missing)
    order = nearest_first(graph)
    return cut(graph, order, sizes_within(graph, order, MAX_EDGES, MAX_NODES)[-1])


def _names(part: Cut) -> dict[str, str]:
    return {id_: f"n{number}" for number, id_ in enumerate(part.graph.stable_order())}


def _titled(text: str | None) -> str:
    return "" if text is None else f"<title>{escape(shorten(visible(text), 400))}</title>\n"


def _program() -> str:
    """Return the path of a Graphviz: the one beside this Python, else one on the path."""
    for name, folders in (("graphviz-pure", sysconfig.get_path("scripts")), ("graphviz-pure", None), ("dot", None)):
        found = shutil.which(name, path=folders)
        if found:
            return found
    raise ImagesMissing("pictures need Graphviz, which is not here: pip install 'headwater[images]', or take Mermaid")


def _run(text: str, form: str) -> bytes:
    try:
        done = subprocess.run(
            [_program(), f"-T{form}"], input=text.encode(), capture_output=True, timeout=TIMEOUT, check=True
        )
    except subprocess.TimeoutExpired:
        raise InvalidDiagram(f"Graphviz drew for more than {TIMEOUT} seconds: ask for less, or for Mermaid") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[:200]
        raise InvalidDiagram(f"Graphviz could not draw this: {said or f'it ended with {error.returncode}'}") from None
    return done.stdout
