"""Graph answers: Marquez's ``GET /lineage``, and upstream, downstream and diagrams beside it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy import Connection

from collector.api.answers import json_response
from collector.api.graph_schemas import (
    KINDS,
    MAX_DEPTH,
    AnyDiagramQuery,
    DiagramQuery,
    LineageQuery,
    PathsQuery,
    PathsSchema,
    WalkQuery,
    WalkSchema,
)
from collector.api.moments import moment_of
from collector.api.pictures import drawn
from collector.api.store import reader, store
from collector.errors import BadQuery
from collector.graph_nodes import find_shown
from collector.graph_view import View, with_failing
from collector.history.past import graph_at
from collector.lineage_graph import Question, answer, look
from collector.lineage_paths import check_ends, route
from collector.marquez_evidence import known_nodes
from collector.marquez_graph import marquez_graph
from collector.walk import Direction
from lineage.document import to_document
from lineage.graph import Graph

blueprint = Blueprint("graph", __name__, url_prefix="/api/v1", description="The asset graph: what comes from what")


@blueprint.route("/lineage", methods=["GET"], strict_slashes=False)
@blueprint.arguments(LineageQuery, location="query")
@blueprint.doc(summary="The graph around a node, in Marquez's shape", responses={"200": {"description": "nodes by id"}})
def get_lineage(query: dict[str, Any]) -> Response:
    """Jobs at most ``depth`` jobs away, each with its datasets; a job one dataset away is at depth 1."""
    question = Question(query["nodeId"], query["direction"], query["depth"], limit=store().max_nodes)
    with reader() as now, _then(now, question, query) as connection:
        nodes: list[Any] = marquez_graph(connection, question, by_parent=query["aggregateToParentRun"])
        if query["evidence"] != "any":
            if query["aggregateToParentRun"]:
                message = "evidence is known of each job, not of parents: leave out aggregateToParentRun."
                raise BadQuery(message, {"evidence": [message]})
            either_way = query["direction"] is Direction.ANY
            nodes = known_nodes(connection, nodes, query["nodeId"], query["evidence"], either_way=either_way)
        return json_response({"graph": nodes})


@blueprint.route("/lineage/upstream")
@blueprint.arguments(WalkQuery, location="query")
@blueprint.alt_response(200, schema=WalkSchema, description="nodes nearest first")
@blueprint.doc(summary="What a node is made from")
def get_upstream(query: dict[str, Any]) -> Response:
    """Everything that the node was made from, nearest first."""
    return _walked(Direction.UPSTREAM, query)


@blueprint.route("/lineage/downstream")
@blueprint.arguments(WalkQuery, location="query")
@blueprint.alt_response(200, schema=WalkSchema, description="nodes nearest first")
@blueprint.doc(summary="What is made from a node")
def get_downstream(query: dict[str, Any]) -> Response:
    """Everything that is made from the node, nearest first."""
    return _walked(Direction.DOWNSTREAM, query)


@blueprint.route("/lineage/diagram")
@blueprint.arguments(AnyDiagramQuery, location="query")
@blueprint.doc(summary="A diagram of the graph around a node", responses={"200": {"description": "the diagram's text"}})
def get_diagram(query: dict[str, Any]) -> Response:
    """Mermaid by default; cut at its far end where it would be more than Mermaid renders."""
    return _drawn(query["format"], query)


@blueprint.route("/lineage/diagram.mmd")
@blueprint.arguments(DiagramQuery, location="query")
@blueprint.doc(summary="The same in Mermaid, as a plain link", responses={"200": {"description": "Mermaid flowchart"}})
def get_mermaid(query: dict[str, Any]) -> Response:
    """Mermaid text."""
    return _drawn("mermaid", query)


@blueprint.route("/lineage/diagram.dot")
@blueprint.arguments(DiagramQuery, location="query")
@blueprint.doc(summary="The same in Graphviz's DOT, as a plain link", responses={"200": {"description": "DOT digraph"}})
def get_dot(query: dict[str, Any]) -> Response:
    """DOT text."""
    return _drawn("dot", query)


@blueprint.route("/lineage/diagram.svg")
@blueprint.arguments(DiagramQuery, location="query")
@blueprint.doc(summary="The same as an SVG picture, as a plain link", responses={"200": {"description": "SVG"}})
def get_svg(query: dict[str, Any]) -> Response:
    """A picture for any page: ``<img src="…/diagram.svg?nodeId=…">``."""
    return _drawn("svg", query)


@blueprint.route("/lineage/diagram.png")
@blueprint.arguments(DiagramQuery, location="query")
@blueprint.doc(summary="The same as a PNG picture, as a plain link", responses={"200": {"description": "PNG"}})
def get_png(query: dict[str, Any]) -> Response:
    """A picture where SVG is not taken, on white."""
    return _drawn("png", query)


@blueprint.route("/lineage/paths")
@blueprint.arguments(PathsQuery, location="query")
@blueprint.alt_response(200, schema=PathsSchema, description="paths, the shortest first")
@blueprint.doc(summary="How data gets from one node to another")
def get_paths(query: dict[str, Any]) -> Response:
    """The shortest path along the data, and the others after it; none is an answer too."""
    ends, granularity = (query["origin"], query["destination"]), query["granularity"]
    with reader() as now:
        check_ends(now, *ends, granularity)
        then = graph_at(now, moment_of(now, query), ends[0], also=ends[1:], depth=MAX_DEPTH, limit=store().max_nodes)
        with then as connection:
            found = route(connection, *ends, granularity, query["limit"], store().max_nodes)
    if query["format"] == "json":
        return json_response(found.document)
    return drawn(
        query["format"],
        found.graph,
        layout=query["layout"],
        title=f"Paths from {found.document['from']} to {found.document['to']}",
        highlight=found.shortest,
        links=query["links"],
    )


def _question(direction: Direction, query: dict[str, Any]) -> Question:
    view = View(
        query["evidence"],
        query["collapse"],
        tuple(query["namespace"]),
        tuple(KINDS[one] for one in query["kind"]),
        query["match"],
        tuple(query["tag"]),
        tuple(query["owner"]),
    )
    return Question(
        query["nodeId"],
        direction,
        query["depth"],
        query["granularity"],
        limit=store().most_nodes(query["limit"]),
        reach=store().max_nodes,
        view=view,
    )


def _then(connection: Connection, question: Question, query: dict[str, Any]) -> AbstractContextManager[Connection]:
    """A connection to the graph around the question's node, at the query's moment."""
    return graph_at(
        connection,
        moment_of(connection, query),
        question.node_id,
        direction=question.direction,
        depth=question.depth,
        limit=store().max_nodes,
    )


def _walked(direction: Direction, query: dict[str, Any]) -> Response:
    question = _question(direction, query)
    with reader() as connection, _then(connection, question, query) as graph:
        return json_response(answer(graph, question))


def _drawn(form: str, query: dict[str, Any]) -> Response:
    question = _question(query["direction"], query)
    with reader() as connection:
        with _then(connection, question, query) as graph:
            shown = look(graph, question)
            styled = with_failing(graph, shown.graph)
        highlight = {shown.groups.get(one, one) for one in _known(connection, styled, query["highlight"])}
    if form == "json":
        return json_response(to_document(styled) | ({"note": shown.note} if shown.note else {}))
    return drawn(
        form,
        styled,
        layout=query["layout"],
        title=query["title"],
        highlight=highlight,
        links=query["links"],
    )


def _known(connection: Connection, graph: Graph, texts: list[str]) -> set[str]:
    """The nodes to emphasize, by the ids that the graph has for them. Raises BadQuery, NotFound for what is none."""
    found = set()
    for text in texts:
        if text in graph.nodes:
            found.add(text)
            continue
        try:
            found.add(find_shown(connection, text, tuple(KINDS.values()))[1])
        except BadQuery as error:
            raise BadQuery(error.message, {"highlight": [error.message]}) from None
    return found
