"""What jobs wait for, and what they start."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.graph_schemas import MAX_DEPTH
from collector.api.store import reader, store
from collector.dependency_graph import dependencies
from collector.lookup import find_node
from collector.walk import Direction
from lineage.nodes import NodeKind

blueprint = Blueprint(
    "dependencies", __name__, url_prefix="/api/v1/dependencies", description="What jobs wait for, and what they start"
)


class DependenciesQuery(Schema):
    """Where to start and how far to go."""

    nodeId = fields.String(
        required=True, metadata={"description": "job:{namespace}:{name}", "example": "job:shop:load_orders"}
    )
    depth = fields.Integer(load_default=1, validate=validate.Range(0, MAX_DEPTH), metadata={"description": "steps"})
    direction = fields.String(
        load_default=Direction.BOTH.value,
        validate=validate.OneOf([Direction.UPSTREAM, Direction.DOWNSTREAM, Direction.BOTH]),
        metadata={"description": "upstream: what it waits for; downstream: what it starts"},
    )
    limit = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1),
        metadata={"description": "most jobs in the answer"},
    )


class DependentJobSchema(Schema):
    """A job of the answer."""

    id = fields.String(required=True)
    namespace = fields.String(required=True)
    name = fields.String(required=True)
    distance = fields.Integer(required=True, metadata={"description": "steps from the start"})
    latestRunState = fields.String(required=True, allow_none=True)
    triggerRule = fields.String(
        required=True, allow_none=True, metadata={"description": "ALL_SUCCESS, ONE_SUCCESS, …: for all it waits for"}
    )


class DependencySchema(Schema):
    """That a job comes after another, as its newest run says that tells of it."""

    upstream = fields.String(required=True, metadata={"description": "the job that comes first"})
    downstream = fields.String(required=True)
    dependencyType = fields.String(
        required=True, allow_none=True, metadata={"description": "DIRECT_INVOCATION, IMPLICIT_DEPENDENCY"}
    )
    sequenceTriggerRule = fields.String(
        required=True, allow_none=True, metadata={"description": "FINISH_TO_START, START_TO_START, …"}
    )
    statusTriggerRule = fields.String(
        required=True, allow_none=True, metadata={"description": "EXECUTE_ON_SUCCESS, EXECUTE_EVERY_TIME, …"}
    )
    toldBy = fields.List(fields.String(), required=True, metadata={"description": "which of the two said so"})


class DependenciesSchema(Schema):
    """Jobs nearest first, and what each waits for among them."""

    nodeId = fields.String(required=True)
    direction = fields.String(required=True)
    depth = fields.Integer(required=True)
    jobs = fields.List(fields.Nested(DependentJobSchema), required=True)
    dependencies = fields.List(fields.Nested(DependencySchema), required=True)
    truncated = fields.Boolean(required=True, metadata={"description": "whether jobs were left out"})
    missing = fields.Integer(required=True, metadata={"description": "how many that were seen were left out, at least"})


@blueprint.route("")
@blueprint.arguments(DependenciesQuery, location="query")
@blueprint.alt_response(200, schema=DependenciesSchema, description="jobs, nearest first")
@blueprint.alt_response(404, description="No such job")
@blueprint.doc(summary="What a job waits for, and what it starts")
def get_dependencies(query: dict[str, Any]) -> Response:
    """By the ``jobDependencies`` facets of the jobs' newest runs; of control, not of data."""
    with reader() as connection:
        found = find_node(connection, query["nodeId"], (NodeKind.JOB,))
        way, limit = Direction(query["direction"]), store().most_nodes(query["limit"])
        return json_response(dependencies(connection, found.id, way, query["depth"], limit))
