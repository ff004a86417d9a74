"""Answers by version and by time: provenance, impact, staleness, reproducibility."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.moments import MomentQuery, moment_of
from collector.api.pictures import FORMATS, drawn
from collector.api.query import Moment as Time
from collector.api.store import reader, store
from collector.history import answers
from collector.history import staleness as stale
from collector.history.difference import difference
from collector.history.moment import moment
from collector.history.past import graph_at
from collector.history.prov import to_prov
from collector.history.reproducibility import reproducibility
from collector.lineage_graph import Granularity, Question
from collector.walk import Direction
from lineage.graph import Graph

JSON = dict[str, Any]

blueprint = Blueprint("history", __name__, url_prefix="/api/v1", description="Lineage by version and by time")

MAX_DEPTH = 1_000
_VERSION = (
    "dataset:{namespace}:{name}, and #version, #checksum, #run or @time after it; without one, the newest version"
)


class VersionQuery(MomentQuery):
    """Which version, and how far to go."""

    nodeId = fields.String(required=True, metadata={"description": _VERSION, "example": "dataset:shop:orders#v7"})
    depth = fields.Integer(
        load_default=20, validate=validate.Range(0, MAX_DEPTH), metadata={"description": "runs from the version"}
    )
    limit = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1),
        metadata={"description": "most versions in the answer"},
    )
    format = fields.String(load_default="json", validate=validate.OneOf(["json", *FORMATS]))


class ProvenanceQuery(VersionQuery):
    """Provenance, also as W3C PROV."""

    format = fields.String(load_default="json", validate=validate.OneOf(["json", "prov", *FORMATS]))


class AffectedQuery(MomentQuery):
    """Two versions."""

    nodeId = fields.String(required=True, metadata={"description": _VERSION})
    by = fields.String(required=True, metadata={"description": _VERSION})


class StalenessQuery(VersionQuery):
    """A dataset, and how far downstream."""

    nodeId = fields.String(required=True, metadata={"description": "dataset:{namespace}:{name}"})


class DifferenceQuery(MomentQuery):
    """Two moments by one clock; the other clock, where it is given, stands still."""

    nodeId = fields.String(required=True, metadata={"description": "a dataset or a job"})
    _from = Time(required=True, data_key="from", attribute="from", metadata={"example": "2026-01-01T00:00:00Z"})
    to = Time(load_default=None, metadata={"description": "now by default"})
    clock = fields.String(
        load_default="happened",
        validate=validate.OneOf(["happened", "known"]),
        metadata={"description": "whether the times are of the events, or of their arrival"},
    )
    direction = fields.Enum(Direction, by_value=True, load_default=Direction.BOTH)
    granularity = fields.Enum(Granularity, by_value=True, load_default=Granularity.ALL)
    depth = fields.Integer(load_default=20, validate=validate.Range(0, MAX_DEPTH))
    limit = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1))
    format = fields.String(load_default="json", validate=validate.OneOf(["json", *FORMATS]))


class ReproducibilityQuery(MomentQuery):
    """What to look at."""

    nodeId = fields.String(load_default=None, metadata={"description": "a job or a dataset; all by default"})
    limit = fields.Integer(
        load_default=1_000,
        validate=validate.Range(1, 10_000),
        metadata={"description": "most runs to look at, the newest first"},
    )


class JobNameSchema(Schema):
    """A job."""

    namespace = fields.String(required=True)
    name = fields.String(required=True)


class VersionSchema(Schema):
    """A version of a dataset; one that nobody wrote has no more than its name."""

    id = fields.String(required=True, metadata={"example": "dataset:shop:orders#0b6f6e9e-…"})
    namespace = fields.String(required=True)
    name = fields.String(required=True)
    uuid = fields.String(allow_none=True)
    version = fields.String(allow_none=True, metadata={"description": "as its producer named it"})
    checksum = fields.String(allow_none=True, metadata={"description": "algorithm:value"})
    codeVersion = fields.String(allow_none=True)
    codeEvidence = fields.String(
        allow_none=True, metadata={"description": "exact: the run said so; inferred: from its job's source facets"}
    )
    createdAt = fields.String(allow_none=True)
    runId = fields.String(allow_none=True)
    job = fields.Nested(JobNameSchema, allow_none=True)
    distance = fields.Integer(required=True, metadata={"description": "runs from the start"})
    supersededAt = fields.String(allow_none=True, metadata={"description": "when the next version came; null: newest"})


class StepSchema(Schema):
    """One version made from another."""

    origin = fields.String(required=True)
    destination = fields.String(required=True)
    runId = fields.String(required=True)
    versionEvidence = fields.String(
        required=True,
        validate=validate.OneOf(["exact", "inferred", "unknown"]),
        metadata={"description": "exact: the run named the version that it read; inferred: the newest at its start"},
    )
    flowEvidence = fields.String(
        required=True,
        validate=validate.OneOf(["explicit", "column", "declared", "inferred"]),
        metadata={"description": "how it is known that this input went into this output"},
    )


class VersionsSchema(Schema):
    """Versions nearest first, and the steps between them."""

    nodeId = fields.String(required=True)
    direction = fields.String(required=True)
    versions = fields.List(fields.Nested(VersionSchema), required=True)
    steps = fields.List(fields.Nested(StepSchema), required=True)
    truncated = fields.Boolean(required=True)
    missing = fields.Integer(required=True)
    note = fields.String(metadata={"description": "how to narrow an answer that was cut"})


class RebuildSchema(JobNameSchema):
    """A job to run again."""

    datasets = fields.List(fields.String(), required=True)


class ImpactSchema(VersionsSchema):
    """What was made from a version."""

    rebuild = fields.List(
        fields.Nested(RebuildSchema),
        required=True,
        metadata={"description": "the jobs whose newest versions are affected, in the order in which to run them"},
    )


class AffectedSchema(Schema):
    """Whether one version went into another."""

    nodeId = fields.String(required=True)
    by = fields.String(required=True)
    affected = fields.Boolean(required=True)
    path = fields.List(fields.String(), required=True, metadata={"description": "a shortest way from by to nodeId"})


class CauseSchema(Schema):
    """An input that has other content since."""

    id = fields.String(required=True)
    readVersion = fields.String(allow_none=True)
    readChecksum = fields.String(allow_none=True)
    newestVersion = fields.String(required=True)
    newestChecksum = fields.String(allow_none=True)
    since = fields.String(required=True)
    versionEvidence = fields.String(required=True)


class StateSchema(Schema):
    """How it stands with a dataset."""

    id = fields.String(required=True)
    namespace = fields.String(required=True)
    name = fields.String(required=True)
    distance = fields.Integer(required=True)
    stale = fields.Boolean(required=True)
    since = fields.String(allow_none=True)
    causes = fields.List(fields.Nested(CauseSchema), required=True)
    because = fields.List(fields.String(), required=True, metadata={"description": "inputs that are stale themselves"})


class StalenessSchema(Schema):
    """A dataset and those downstream of it, nearest first."""

    nodeId = fields.String(required=True)
    stale = fields.Integer(required=True, metadata={"description": "how many are"})
    datasets = fields.List(fields.Nested(StateSchema), required=True)
    edges = fields.List(fields.Dict(), required=True)
    truncated = fields.Boolean(required=True)
    missing = fields.Integer(required=True)


@blueprint.route("/provenance")
@blueprint.arguments(ProvenanceQuery, location="query")
@blueprint.alt_response(200, schema=VersionsSchema, description="versions, nearest first")
@blueprint.doc(summary="What a version was made from")
def get_provenance(query: dict[str, Any]) -> Response:
    """The versions, runs, code versions and checksums that a version came from."""
    with reader() as connection:
        found = answers.provenance(
            connection, query["nodeId"], moment_of(connection, query), query["depth"], _limit(query)
        )
    if query["format"] == "prov":
        return json_response(to_prov(found))
    return _shown(query["format"], found, answers.as_graph)


@blueprint.route("/impact")
@blueprint.arguments(VersionQuery, location="query")
@blueprint.alt_response(200, schema=ImpactSchema, description="versions, nearest first, and what to run again")
@blueprint.doc(summary="What was made from a version")
def get_impact(query: dict[str, Any]) -> Response:
    """Every version that was made from it, directly or not, and the jobs to run again to be rid of it."""
    with reader() as connection:
        found = answers.impact(connection, query["nodeId"], moment_of(connection, query), query["depth"], _limit(query))
    return _shown(query["format"], found, answers.as_graph)


@blueprint.route("/impact/affected")
@blueprint.arguments(AffectedQuery, location="query")
@blueprint.alt_response(200, schema=AffectedSchema, description="yes or no, and the way")
@blueprint.doc(summary="Whether one version went into another")
def get_affected(query: dict[str, Any]) -> Response:
    """Without listing all that either is made of."""
    with reader() as connection:
        limit = 10 * store().max_nodes
        found = answers.affected(connection, query["nodeId"], query["by"], moment_of(connection, query), limit)
    return json_response(found)


@blueprint.route("/staleness")
@blueprint.arguments(StalenessQuery, location="query")
@blueprint.alt_response(200, schema=StalenessSchema, description="datasets, nearest first")
@blueprint.doc(summary="Which datasets are older than what they are made from")
def get_staleness(query: dict[str, Any]) -> Response:
    """The dataset and those downstream of it: which are stale, because of what, and since when."""
    with reader() as connection:
        then = moment_of(connection, query)
        with graph_at(connection, then, query["nodeId"], depth=query["depth"], limit=_limit(query)) as graph:
            found = stale.staleness(connection, graph, query["nodeId"], then, query["depth"], _limit(query))
    return _shown(query["format"], found, stale.as_graph)


@blueprint.route("/lineage/diff")
@blueprint.arguments(DifferenceQuery, location="query")
@blueprint.doc(
    summary="What changed in the graph around a node between two moments",
    responses={"200": {"description": "nodes and edges added, removed and changed"}},
)
def get_difference(query: dict[str, Any]) -> Response:
    """Nodes, edges, versions, schemas and code; ``format=mermaid`` draws it as one graph."""
    with reader() as connection:
        known = query["clock"] == "known"
        before, after = (
            moment(connection, query["asOf"] if known else at, at if known else query["knownAt"])
            for at in (query["from"], query["to"])
        )
        question = Question(query["nodeId"], query["direction"], query["depth"], query["granularity"], _limit(query))
        found, graph = difference(connection, question, before, after)
    return _shown(query["format"], found, lambda _: graph)


@blueprint.route("/reproducibility")
@blueprint.arguments(ReproducibilityQuery, location="query")
@blueprint.doc(
    summary="Runs that should have given the same data, and new versions that are the old data",
    responses={"200": {"description": "unreproducible and noops"}},
)
def get_reproducibility(query: dict[str, Any]) -> Response:
    """Same job, code version and input checksums, other output checksum; and versions with the checksum before."""
    with reader() as connection:
        then = moment_of(connection, query)
        return json_response(reproducibility(connection, query["nodeId"], then, query["limit"]))


def _shown(form: str, found: JSON, graph_of: Callable[[JSON], Graph]) -> Response:
    """The answer as JSON, or drawn."""
    return json_response(found) if form == "json" else drawn(form, graph_of(found))


def _limit(query: dict[str, Any]) -> int:
    return store().most_nodes(query["limit"])
