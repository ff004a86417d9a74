"""The JSON Schemas of our own facets, as the wheel ships them."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint

from collector.api.answers import json_response
from collector.errors import NotFound
from facets import schemas

blueprint = Blueprint(
    "schemas", __name__, url_prefix="/api/v1/schemas", description="JSON Schemas of Headwater's facets"
)


@blueprint.route("/")
@blueprint.doc(summary="The schemas there are", responses={"200": {"description": "their paths"}})
def list_schemas() -> Response:
    """Each as the path that serves it."""
    return json_response({"schemas": [f"/api/v1/schemas/{name}.json" for name in schemas.names()]})


@blueprint.route("/<version>/<name>.json")
@blueprint.doc(
    summary="One schema", responses={"200": {"description": "JSON Schema"}, "404": {"description": "no such"}}
)
def get_schema(version: str, name: str) -> Response:
    """The schema as its ``_schemaURL`` names it; it never changes."""
    try:
        return json_response(schemas.load(f"{version}/{name}"))
    except LookupError as error:
        raise NotFound(str(error.args[0])) from None
