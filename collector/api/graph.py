"""Graph answers: Marquez's ``GET /lineage``, and upstream, downstream and diagrams beside it."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.store import reader, store
from collector.lineage_graph import Granularity, Question, answer, diagram, marquez_graph
from collector.walk import Direction
from lineage.document import to_document
from lineage.dot import to_dot
from lineage.mermaid import to_mermaid

blueprint = Blueprint("graph", __name__, url_prefix="/api/v1", description="The asset graph: what comes from what")

MAX_DEPTH = 1_000
_DESCRIPTION = "dataset:{namespace}:{name}, job:{namespace}:{name} or datasetField:{namespace}:{dataset}:{field}"


class DepthSchema(Schema):
    """Where to start and how far to go."""

    nodeId = fields.String(required=True, metadata={"description": _DESCRIPTION, "example": "dataset:shop:orders"})
    depth = fields.Integer(
        load_default=20,
        validate=validate.Range(0, MAX_DEPTH),
        metadata={"description": "steps from the node: dataset to dataset, or job to job"},
    )


class LineageQuery(DepthSchema):
    """Marquez's query, and ``direction`` as an extra."""

    direction = fields.Enum(Direction, by_value=True, load_default=Direction.ANY)
    aggregateToParentRun = fields.Boolean(
        load_default=False, metadata={"description": "show parent jobs in the place of their children"}
    )


class WalkQuery(DepthSchema):
    """A question in one direction."""

    granularity = fields.Enum(
        Granularity, by_value=True, load_default=Granularity.ALL, metadata={"description": "what the nodes are"}
    )
    limit = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1),
        metadata={"description": "most nodes in the answer"},
    )


class DiagramQuery(WalkQuery):
    """A diagram."""

    direction = fields.Enum(Direction, by_value=True, load_default=Direction.BOTH)
    layout = fields.String(load_default="LR", validate=validate.OneOf(["LR", "RL", "TB", "BT"]))
    title = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=200))


class AnyDiagramQuery(DiagramQuery):
    """A diagram in a format."""

    format = fields.String(load_default="mermaid", validate=validate.OneOf(["mermaid", "dot", "json"]))


class NodeSchema(Schema):
    """A node of an answer."""

    id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["dataset", "job", "datasetField"]))
    namespace = fields.String(required=True)
    name = fields.String(required=True)
    field = fields.String(metadata={"description": "the column, of a datasetField"})
    distance = fields.Integer(required=True, metadata={"description": "steps from the start"})
    version = fields.String(
        allow_none=True, metadata={"description": "newest version: as its producer named it, else ours"}
    )
    checksum = fields.String(allow_none=True, metadata={"description": "algorithm:value of the newest version"})
    codeVersion = fields.String(allow_none=True)
    runId = fields.String(allow_none=True, metadata={"description": "the run that wrote the newest version"})
    latestRunState = fields.String(allow_none=True, metadata={"description": "of a job"})


class EdgeSchema(Schema):
    """An edge along the data."""

    origin = fields.String(required=True)
    destination = fields.String(required=True)
    evidence = fields.String(
        required=True,
        validate=validate.OneOf(["explicit", "column", "declared", "inferred"]),
        metadata={"description": "how it is known; inferred: a job of several outputs, each taken to read every input"},
    )


class WalkSchema(Schema):
    """Nodes nearest first, and the edges among them."""

    nodeId = fields.String(required=True)
    direction = fields.String(required=True)
    depth = fields.Integer(required=True)
    granularity = fields.String(required=True)
    nodes = fields.List(fields.Nested(NodeSchema), required=True)
    edges = fields.List(fields.Nested(EdgeSchema), required=True)
    truncated = fields.Boolean(required=True, metadata={"description": "whether nodes were left out"})
    missing = fields.Integer(required=True, metadata={"description": "how many that were seen were left out, at least"})


@blueprint.route("/lineage", methods=["GET"])
@blueprint.arguments(LineageQuery, location="query")
@blueprint.doc(summary="The graph around a node, in Marquez's shape", responses={"200": {"description": "nodes by id"}})
def get_lineage(query: dict[str, Any]) -> Response:
    """Jobs at most ``depth`` jobs away, each with its datasets; a job one dataset away is at depth 1."""
    with reader() as connection:
        question = Question(query["nodeId"], query["direction"], query["depth"], limit=store().max_nodes)
        return json_response({"graph": marquez_graph(connection, question, by_parent=query["aggregateToParentRun"])})


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


def _question(direction: Direction, query: dict[str, Any]) -> Question:
    limit = min(query["limit"] or store().max_nodes, store().max_nodes)
    return Question(query["nodeId"], direction, query["depth"], query["granularity"], limit)


def _walked(direction: Direction, query: dict[str, Any]) -> Response:
    with reader() as connection:
        return json_response(answer(connection, _question(direction, query)))


def _drawn(form: str, query: dict[str, Any]) -> Response:
    with reader() as connection:
        graph = diagram(connection, _question(query["direction"], query))
    if form == "json":
        return json_response(to_document(graph))
    if form == "dot":
        text, kind = to_dot(graph, direction=query["layout"], title=query["title"]), "text/vnd.graphviz"
    else:
        text, kind = to_mermaid(graph, direction=query["layout"], title=query["title"]), "text/plain"
    response = Response(text, mimetype=kind)
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
