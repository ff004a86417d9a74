"""Who owns what, and what carries a tag."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from collector.api.answers import json_response
from collector.api.query import Page
from collector.api.store import reader
from collector.labelled import members_of_tag, owners, things_of_owner

blueprint = Blueprint("labels", __name__, url_prefix="/api/v1", description="Owners, and what carries a tag")


class OwnerSchema(Schema):
    """An owner, and how much it owns."""

    name = fields.String(required=True)
    datasets = fields.Integer(required=True)
    jobs = fields.Integer(required=True)


class OwnersSchema(Schema):
    """A page of owners."""

    owners = fields.List(fields.Nested(OwnerSchema), required=True)
    totalCount = fields.Integer(required=True)


class _ThingSchema(Schema):
    nodeId = fields.String(required=True)
    kind = fields.String(required=True, metadata={"description": "dataset, job or datasetField"})
    namespace = fields.String(required=True)
    name = fields.String(required=True)


class OwnedSchema(_ThingSchema):
    """What an owner owns."""

    type = fields.String(required=True, allow_none=True, metadata={"description": "of ownership, as it was sent"})


class OwnedThingsSchema(Schema):
    """A page of what an owner owns."""

    name = fields.String(required=True)
    owned = fields.List(fields.Nested(OwnedSchema), required=True)
    totalCount = fields.Integer(required=True)


class MemberSchema(_ThingSchema):
    """What carries a tag."""

    column = fields.String(required=True, allow_none=True)


class MembersSchema(Schema):
    """A page of what carries a tag."""

    name = fields.String(required=True)
    members = fields.List(fields.Nested(MemberSchema), required=True)
    totalCount = fields.Integer(required=True)


@blueprint.route("/owners")
@blueprint.arguments(Page, location="query")
@blueprint.alt_response(200, schema=OwnersSchema, description="owners by name")
@blueprint.doc(summary="Owners by name, with how many datasets and jobs each owns")
def list_owners(query: dict[str, Any]) -> Response:
    """Those that the newest ``ownership`` facet of a dataset or job names."""
    with reader() as connection:
        found, total = owners(connection, query["limit"], query["offset"])
    return json_response({"owners": found, "totalCount": total})


@blueprint.route("/owners/<anything:name>")
@blueprint.arguments(Page, location="query")
@blueprint.alt_response(200, schema=OwnedThingsSchema, description="datasets and jobs by name")
@blueprint.alt_response(404, description="It owns nothing")
@blueprint.doc(summary="What an owner owns")
def get_owner(query: dict[str, Any], name: str) -> Response:
    """Each once for each type of ownership."""
    with reader() as connection:
        found, total = things_of_owner(connection, name, query["limit"], query["offset"])
    return json_response({"name": name, "owned": found, "totalCount": total})


@blueprint.route("/tags/<anything:name>/members")
@blueprint.arguments(Page, location="query")
@blueprint.alt_response(200, schema=MembersSchema, description="datasets, columns and jobs by name")
@blueprint.alt_response(404, description="No such tag")
@blueprint.doc(summary="What carries a tag")
def list_members(query: dict[str, Any], name: str) -> Response:
    """By the newest ``tags`` facet of each, and what was set by hand."""
    with reader() as connection:
        found, total = members_of_tag(connection, name, query["limit"], query["offset"])
    return json_response({"name": name, "members": found, "totalCount": total})
