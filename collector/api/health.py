"""``/health``: whether the process lives, and whether it can serve."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from collector.api.answers import json_response
from collector.api.store import reader, store

blueprint = Blueprint("health", __name__, description="For load balancers and people")


@blueprint.route("/health")
@blueprint.route("/health/ready")
@blueprint.doc(
    summary="Whether the store answers", responses={"200": {"description": "ready"}, "503": {"description": "not"}}
)
def ready() -> Response:
    """200 when a query on the store succeeds, 503 when not."""
    try:
        with reader() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        return json_response({"status": "unavailable", "live": True, "ready": False, "reason": reason}, 503)
    return json_response({"status": "ok", "live": True, "ready": True, "waiting": store().writer.waiting})


@blueprint.route("/health/live")
@blueprint.doc(summary="Whether the process answers", responses={"200": {"description": "live"}})
def live() -> Response:
    """200 as long as the process answers at all."""
    return json_response({"status": "ok", "live": True})
