"""Runs by their id, in Marquez's shape."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.jobs import mark_run
from collector.api.query import At, load_query
from collector.api.shapes import FacetsShape, RunShape
from collector.api.store import reader
from collector.documents.runs import full_run_documents, run_facets, run_rows
from collector.keys import run_uuid
from collector.lookup import find_run

blueprint = Blueprint("runs", __name__, url_prefix="/api/v1/jobs/runs", description="Runs by their id")

_EVENTS = {"start": "START", "complete": "COMPLETE", "fail": "FAIL", "abort": "ABORT"}


class FacetsQuery(Schema):
    """Whose facets."""

    type = fields.String(required=True, validate=validate.OneOf(["run", "job"]))


@blueprint.route("/<run_id>")
@blueprint.doc(**documented("A run", RunShape))
def get_run(run_id: str) -> Response:
    """With the versions that it read and wrote."""
    with reader() as connection:
        found = find_run(connection, run_id)
        return json_response(full_run_documents(connection, [found])[found])


@blueprint.route("/<run_id>/facets")
@blueprint.doc(**documented("The facets of a run, or of its job in that run", FacetsShape, query=FacetsQuery))
def get_facets(run_id: str) -> Response:
    """As the run's events gave them."""
    query = load_query(FacetsQuery)
    with reader() as connection:
        found = find_run(connection, run_id)
        facets = run_facets(connection, found, of_job=query["type"] == "job")
        [row] = run_rows(connection, [found])
    return json_response({"runId": run_uuid(row.run_key), "facets": facets})


@blueprint.route("/<run_id>/<any(start, complete, fail, abort):change>", methods=["POST"])
@blueprint.doc(**documented("Start or end a run", RunShape, query=At))
def change_run(run_id: str, change: str) -> Response:
    """``at`` a time, or now. A run that has ended stays ended; of two ways to end, the later counts."""
    return json_response(mark_run(run_id, _EVENTS[change], load_query(At)["at"]))
