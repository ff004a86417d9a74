"""Marquez's graph answers beside ``GET /lineage``: columns, and runs upstream of a run."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.query import load_query
from collector.api.shapes import MarquezGraph, RunLineageShape
from collector.api.store import reader, store
from collector.column_lineage import column_graph
from collector.lookup import find_run
from collector.run_lineage import upstream_runs

blueprint = Blueprint("more-lineage", __name__, url_prefix="/api/v1", description="Lineage of columns and of runs")

MAX_DEPTH = 1_000


class ColumnLineageQuery(Schema):
    """Where to start and how far to go."""

    nodeId = fields.String(required=True)
    depth = fields.Integer(load_default=20, validate=validate.Range(0, MAX_DEPTH))
    withDownstream = fields.Boolean(load_default=False)


class RunLineageQuery(Schema):
    """Where to start and how far to go."""

    runId = fields.String(required=True)
    depth = fields.Integer(load_default=20, validate=validate.Range(0, MAX_DEPTH))


@blueprint.route("/column-lineage")
@blueprint.doc(**documented("What a column is made from", MarquezGraph, query=ColumnLineageQuery))
def get_column_lineage() -> Response:
    """From a dataset, a datasetField or a job, each also at one version (``#uuid``)."""
    query = load_query(ColumnLineageQuery)
    with reader() as connection:
        graph = column_graph(
            connection,
            query["nodeId"],
            query["depth"],
            with_downstream=query["withDownstream"],
            limit=store().max_nodes,
        )
    return json_response({"graph": graph})


@blueprint.route("/runlineage/upstream")
@blueprint.doc(**documented("The runs that made what a run read", RunLineageShape, query=RunLineageQuery))
def get_run_lineage() -> Response:
    """By exact versions: ``evidence`` says whether a run named the version that it read."""
    query = load_query(RunLineageQuery)
    with reader() as connection:
        found = find_run(connection, query["runId"].removeprefix("run:"))
        return json_response({"runs": upstream_runs(connection, found, query["depth"], store().max_nodes)})
