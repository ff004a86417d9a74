"""What graph questions may ask, and what their answers hold."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from collector.api.moments import MomentQuery
from collector.api.pictures import FORMATS
from collector.graph_view import Collapse
from collector.lineage_graph import Granularity
from collector.walk import Direction
from lineage.evidence import LEVELS
from lineage.graph import EVIDENCE
from lineage.nodes import NodeKind

MAX_DEPTH = 1_000
_DESCRIPTION = "dataset:{namespace}:{name}, job:{namespace}:{name} or datasetField:{namespace}:{dataset}:{field}"


def _evidence() -> fields.String:
    return fields.String(
        load_default="any",
        validate=validate.OneOf(list(LEVELS)),
        metadata={"description": "only edges known at least so well, and what they lead to; column: or derived"},
    )


class DepthSchema(MomentQuery):
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
    evidence = _evidence()


KINDS = {"dataset": NodeKind.DATASET, "job": NodeKind.JOB, "column": NodeKind.FIELD}
_MOST = 100  # values of one parameter
_NAME = validate.Length(1, 2_000)


def _several(one: fields.Field[Any], description: str) -> fields.List[Any]:
    return fields.List(
        one, load_default=list, validate=validate.Length(max=_MOST), metadata={"description": description}
    )


class ViewQuery(Schema):
    """How to show a graph."""

    evidence = _evidence()
    collapse = fields.Enum(
        Collapse,
        by_value=True,
        load_default=None,
        allow_none=True,
        metadata={"description": "parent: jobs become the DAG, dbt run or application they belong to"},
    )
    namespace = _several(fields.String(validate=_NAME), "only nodes of this namespace, or one of these")
    kind = _several(fields.String(validate=validate.OneOf(list(KINDS))), "only nodes of this kind, or one of these")
    match = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 500),
        metadata={"description": "only nodes with such a name: *, ? and [a-z] stand for letters"},
    )
    tag = _several(fields.String(validate=_NAME), "only nodes with this tag, or one of these")
    owner = _several(fields.String(validate=_NAME), "only nodes that this owner owns, or one of these")


class WalkQuery(DepthSchema, ViewQuery):
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
    highlight = _several(
        fields.String(validate=_NAME), "ids of nodes to emphasize (or what they are drawn as), with the edges between"
    )
    links = fields.Boolean(load_default=False, metadata={"description": "let each node lead to its own picture"})


class AnyDiagramQuery(DiagramQuery):
    """A diagram in a format."""

    format = fields.String(load_default="mermaid", validate=validate.OneOf([*FORMATS, "json"]))


class PathsQuery(MomentQuery):
    """Two nodes."""

    origin = fields.String(
        data_key="from", required=True, metadata={"description": _DESCRIPTION, "example": "dataset:shop:orders"}
    )
    destination = fields.String(
        data_key="to", required=True, metadata={"description": _DESCRIPTION, "example": "dataset:shop:report"}
    )
    granularity = fields.Enum(Granularity, by_value=True, load_default=Granularity.ALL)
    limit = fields.Integer(
        load_default=10, validate=validate.Range(1, 100), metadata={"description": "most paths in the answer"}
    )
    format = fields.String(load_default="json", validate=validate.OneOf(["json", *FORMATS]))
    layout = fields.String(load_default="LR", validate=validate.OneOf(["LR", "RL", "TB", "BT"]))
    links = fields.Boolean(load_default=False, metadata={"description": "let each node lead to its own picture"})


class NodeSchema(Schema):
    """A node of an answer."""

    id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["dataset", "job", "datasetField", "namespace"]))
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
    detail = fields.String(metadata={"description": "how many nodes it stands for, of one that others became"})


class TransformationSchema(Schema):
    """How a column is made from another, as ``columnLineage`` tells it."""

    type = fields.String(metadata={"description": "DIRECT or INDIRECT"})
    subtype = fields.String(metadata={"description": "IDENTITY, AGGREGATION, JOIN, FILTER, …"})
    description = fields.String()
    masking = fields.Boolean()


class EdgeSchema(Schema):
    """An edge along the data."""

    origin = fields.String(required=True)
    destination = fields.String(required=True)
    evidence = fields.String(
        required=True,
        validate=validate.OneOf(EVIDENCE),
        metadata={
            "description": "how it is known; derived: from reading SQL, between columns only; inferred: a job of "
            "several outputs, each taken to read every input, never between a dataset and a job"
        },
    )
    indirect = fields.Boolean(
        metadata={"description": "between columns: the origin decides which rows there are, and gives no value"}
    )
    transformations = fields.List(
        fields.Nested(TransformationSchema), metadata={"description": "between columns: how the one is made"}
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
    note = fields.String(metadata={"description": "what to know of the answer, where filters match nothing"})


class PathSchema(Schema):
    """One path along the data."""

    length = fields.Integer(required=True, metadata={"description": "edges"})
    evidence = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(EVIDENCE),
        metadata={"description": "of the least known edge"},
    )
    nodes = fields.List(fields.String(), required=True, metadata={"description": "ids, from the one end to the other"})
    edges = fields.List(fields.Nested(EdgeSchema), required=True)


_from_to: dict[str, fields.Field[Any]] = {
    "from": fields.String(required=True),
    "to": fields.String(required=True),
    "granularity": fields.String(required=True),
    "found": fields.Boolean(required=True),
    "paths": fields.List(fields.Nested(PathSchema), required=True, metadata={"description": "shortest first"}),
    "truncated": fields.Boolean(required=True, metadata={"description": "whether there are more, or may be"}),
    "note": fields.String(metadata={"description": "what to know of the answer, where none was found"}),
}
PathsSchema = Schema.from_dict(_from_to, name="PathsSchema")
