"""How good datasets are: what assertions on them found, and how much is in them."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.query import Page
from collector.api.shapes import NameShape
from collector.api.store import reader
from collector.graph_nodes import find_shown
from collector.lookup import find_namespace
from collector.measures import measures_of_dataset
from collector.quality import failing_datasets, quality_of, results_of
from collector.tables import INPUT, OUTPUT
from lineage.nodes import NodeKind

blueprint = Blueprint(
    "quality", __name__, url_prefix="/api/v1/quality", description="What assertions on datasets found"
)


class _NodeQuery(Page):
    nodeId = fields.String(
        required=True, metadata={"description": "dataset:{namespace}:{name}", "example": "dataset:shop:orders"}
    )


class FailingQuery(Page):
    """Which datasets."""

    namespace = fields.String(load_default=None, metadata={"description": "only those in this namespace"})


class MeasuresQuery(_NodeQuery):
    """Of what was written, or of what was read."""

    direction = fields.String(
        load_default="written",
        validate=validate.OneOf(["written", "read"]),
        metadata={"description": "what runs wrote to it, or what they read from it"},
    )


class WhenSchema(Schema):
    """When something was found, and in which run."""

    at = fields.String(required=True, metadata={"format": "date-time"})
    runId = fields.String(required=True, allow_none=True, metadata={"description": "null: a DatasetEvent told"})


class ResultSchema(WhenSchema):
    """What was found of an assertion."""

    assertion = fields.String(required=True, metadata={"description": "what sort it is: not_null, unique, …"})
    name = fields.String(required=True, allow_none=True)
    column = fields.String(required=True, allow_none=True)
    success = fields.Boolean(required=True)
    severity = fields.String(required=True, allow_none=True, metadata={"description": "error or warn, as a rule"})


class AssertionSchema(ResultSchema):
    """An assertion with its newest result."""

    lastFailure = fields.Nested(WhenSchema, required=True, allow_none=True)
    results = fields.Integer(required=True, metadata={"description": "how many there are"})
    failures = fields.Integer(required=True, metadata={"description": "how many of them failed"})


class QualitySchema(Schema):
    """The assertions on a dataset."""

    nodeId = fields.String(required=True)
    assertions = fields.List(fields.Nested(AssertionSchema), required=True)
    failing = fields.Integer(required=True, metadata={"description": "how many fail now"})
    totalCount = fields.Integer(required=True)


class MeasureSchema(Schema):
    """How much a run wrote or read."""

    at = fields.String(
        required=True, metadata={"format": "date-time", "description": "when it was written, or first read"}
    )
    runId = fields.String(required=True)
    job = fields.Nested(NameShape, required=True)
    version = fields.String(required=True, allow_none=True, metadata={"description": "UUID of what was written"})
    source = fields.String(
        required=True,
        metadata={"description": "statistics: outputStatistics or inputStatistics; metrics: dataQualityMetrics"},
    )
    rowCount = fields.Integer(required=True, allow_none=True)
    size = fields.Integer(required=True, allow_none=True, metadata={"description": "bytes"})
    fileCount = fields.Integer(required=True, allow_none=True)
    columnMetrics = fields.Dict(
        required=True, allow_none=True, metadata={"description": "by column, as dataQualityMetrics tells"}
    )


class MeasuresSchema(Schema):
    """A page of what was measured of a dataset."""

    nodeId = fields.String(required=True)
    measures = fields.List(fields.Nested(MeasureSchema), required=True)
    totalCount = fields.Integer(required=True)


class ResultsSchema(Schema):
    """A page of the results on a dataset."""

    nodeId = fields.String(required=True)
    results = fields.List(fields.Nested(ResultSchema), required=True)
    totalCount = fields.Integer(required=True)


class FailingDatasetSchema(Schema):
    """A dataset of which an assertion fails now."""

    nodeId = fields.String(required=True)
    namespace = fields.String(required=True)
    name = fields.String(required=True)
    at = fields.String(required=True, metadata={"format": "date-time", "description": "of the newest failure"})
    failing = fields.Integer(required=True, metadata={"description": "how many assertions fail"})
    assertions = fields.List(
        fields.Nested(ResultSchema), required=True, metadata={"description": "those that fail, at most 100"}
    )


class FailingSchema(Schema):
    """A page of the datasets of which an assertion fails now."""

    datasets = fields.List(fields.Nested(FailingDatasetSchema), required=True)
    totalCount = fields.Integer(required=True)


@blueprint.route("")
@blueprint.arguments(_NodeQuery, location="query")
@blueprint.alt_response(200, schema=QualitySchema, description="assertions, those that fail first")
@blueprint.alt_response(404, description="No such dataset")
@blueprint.doc(summary="The newest result of each assertion on a dataset")
def get_quality(query: dict[str, Any]) -> Response:
    """With its newest failure and how many results there are."""
    with reader() as connection:
        dataset, node_id = find_shown(connection, query["nodeId"], (NodeKind.DATASET,))
        assertions = quality_of(connection, dataset)
    return json_response(
        {
            "nodeId": node_id,
            "assertions": assertions[query["offset"] :][: query["limit"]],
            "failing": sum(not one["success"] for one in assertions),
            "totalCount": len(assertions),
        }
    )


@blueprint.route("/results")
@blueprint.arguments(_NodeQuery, location="query")
@blueprint.alt_response(200, schema=ResultsSchema, description="results, newest first")
@blueprint.alt_response(404, description="No such dataset")
@blueprint.doc(summary="What each run found of the assertions on a dataset")
def list_results(query: dict[str, Any]) -> Response:
    """Also of assertions that are no longer."""
    with reader() as connection:
        dataset, node_id = find_shown(connection, query["nodeId"], (NodeKind.DATASET,))
        results, total = results_of(connection, dataset, query["limit"], query["offset"])
    return json_response({"nodeId": node_id, "results": results, "totalCount": total})


@blueprint.route("/measures")
@blueprint.arguments(MeasuresQuery, location="query")
@blueprint.alt_response(200, schema=MeasuresSchema, description="measures, newest first")
@blueprint.alt_response(404, description="No such dataset")
@blueprint.doc(summary="How much each run wrote to a dataset, or read from it")
def list_measures(query: dict[str, Any]) -> Response:
    """Rows, bytes, files and metrics of columns, of the runs that tell any."""
    direction = OUTPUT if query["direction"] == "written" else INPUT
    with reader() as connection:
        dataset, node_id = find_shown(connection, query["nodeId"], (NodeKind.DATASET,))
        measures, total = measures_of_dataset(connection, dataset, direction, query["limit"], query["offset"])
    return json_response({"nodeId": node_id, "measures": measures, "totalCount": total})


@blueprint.route("/failing")
@blueprint.arguments(FailingQuery, location="query")
@blueprint.alt_response(200, schema=FailingSchema, description="datasets, the newest failure first")
@blueprint.alt_response(404, description="No such namespace")
@blueprint.doc(summary="Datasets of which an assertion fails now")
def list_failing(query: dict[str, Any]) -> Response:
    """Those whose newest result of some assertion is a failure."""
    with reader() as connection:
        namespace = query["namespace"]
        namespace_id = find_namespace(connection, namespace) if namespace is not None else None
        found, total = failing_datasets(connection, namespace_id, query["limit"], query["offset"])
    return json_response({"datasets": found, "totalCount": total})
