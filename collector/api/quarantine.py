"""``/quarantine``: what was refused, and why."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from collector import quarantine
from collector.api.answers import json_response
from collector.api.store import reader, store
from collector.errors import NotFound
from collector.store.engines import writing

blueprint = Blueprint("quarantine", __name__, url_prefix="/api/v1/quarantine", description="What was refused, and why")


class PageQuery(Schema):
    """A page of refused events."""

    limit = fields.Integer(load_default=100, validate=validate.Range(0, 1_000))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**63 - 1))


@blueprint.route("")
@blueprint.arguments(PageQuery, location="query")
@blueprint.doc(summary="Refused events, newest first", responses={"200": {"description": "refused and totalCount"}})
def list_refused(query: dict[str, Any]) -> Response:
    """Each with its reason, when it came, and the body as text (bytes that are no UTF-8 shown as U+FFFD)."""
    with reader() as connection:
        found = quarantine.kept(connection, query["limit"], query["offset"])
        total = quarantine.count(connection)
    rows = [
        {
            "id": one.id,
            "receivedAt": one.received_at,
            "reason": one.reason,
            "body": one.body.decode(errors="replace"),
        }
        for one in found
    ]
    return json_response({"refused": rows, "totalCount": total})


@blueprint.route("/replay", methods=["POST"])
@blueprint.doc(summary="Try all of them again", responses={"200": {"description": "how many were stored"}})
def replay_all() -> Response:
    """After an upgrade that reads more: what can be stored now leaves the quarantine."""
    done = quarantine.replay(store().engine)
    return json_response({"stored": done.stored, "refused": len(done.refused)})


@blueprint.route("/<int:refused_id>", methods=["DELETE"])
@blueprint.doc(summary="Forget one", responses={"204": {"description": "gone"}, "404": {"description": "not there"}})
def drop_one(refused_id: int) -> Response:
    """The body and its reason are deleted."""
    with writing(store().engine) as connection:
        if not quarantine.drop(connection, [min(refused_id, 2**63 - 1)]):
            raise NotFound(f"Nothing with the id {refused_id} is in quarantine.")
    return Response(status=204)
