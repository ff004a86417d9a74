"""Graphs as answers: Mermaid, DOT, SVG, PNG."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from flask import Response, request

from collector.errors import BadQuery, CollectorError
from lineage.dot import to_dot
from lineage.errors import ImagesMissing, InvalidDiagram
from lineage.graph import Graph, Node
from lineage.image import to_png, to_svg
from lineage.mermaid import to_mermaid
from lineage.nodes import NodeKind

FORMATS = ("mermaid", "dot", "svg", "png")

_TYPES = {"mermaid": "text/plain", "dot": "text/vnd.graphviz", "svg": "image/svg+xml", "png": "image/png"}
_GRANULARITY = {NodeKind.DATASET: "all", NodeKind.JOB: "all", NodeKind.FIELD: "column"}


def drawn(
    form: str,
    graph: Graph,
    *,
    layout: str = "LR",
    title: str | None = None,
    highlight: Collection[str] = (),
    links: bool = False,
) -> Response:
    """The graph in one of FORMATS; with ``links``, each node leads to its own picture.

    Raises CollectorError: 406 where pictures cannot be drawn here, 400 where this one cannot.
    """
    link = _picture_of if links else None
    try:
        match form:
            case "dot":
                body: str | bytes = to_dot(graph, direction=layout, title=title, highlight=highlight, link=link)
            case "svg":
                body = to_svg(graph, direction=layout, title=title, highlight=highlight, link=link)
            case "png":
                body = to_png(graph, direction=layout, title=title, highlight=highlight)
            case _:
                body = to_mermaid(graph, direction=layout, title=title, highlight=highlight, link=link)
    except ImagesMissing as error:
        raise CollectorError(f"This collector cannot draw {form.upper()}: {error}.", status=406) from None
    except InvalidDiagram as error:
        raise BadQuery(f"{error}.") from None
    response = Response(body, mimetype=_TYPES[form])
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if form in ("svg", "png"):
        response.headers["Cache-Control"] = "no-cache"  # a page shows the graph as it is, not as it was
    return response


def _picture_of(node: Node) -> str | None:
    granularity = _GRANULARITY.get(node.kind)
    if granularity is None:
        return None
    node_id = quote(node.id, safe="", errors="replace")
    return f"{request.host_url}api/v1/lineage/diagram.svg?nodeId={node_id}&granularity={granularity}&links=true"
