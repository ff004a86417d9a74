"""Raw events, as they came."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import func, select

from collector.api.answers import json_response
from collector.api.store import reader
from collector.errors import BadTime
from collector.keys import microseconds
from collector.packing import decompress
from collector.tables import event

blueprint = Blueprint("raw-events", __name__, url_prefix="/api/v1/events", description="Raw events, as they came")


class Moment(fields.String):
    """An ISO-8601 time, as microseconds since 1970 UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return microseconds(text.replace(" ", "+"))  # an unescaped '+' in a query arrives as a space
        except BadTime as error:
            raise ValidationError(f"{error}.") from None


class EventsQuery(Schema):
    """A page of events."""

    before = Moment(load_default=None, metadata={"description": "eventTime before this"})
    after = Moment(load_default=None, metadata={"description": "eventTime at or after this"})
    sortDirection = fields.String(load_default="desc", validate=validate.OneOf(["asc", "desc"]))
    limit = fields.Integer(load_default=100, validate=validate.Range(0, 10_000))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**63 - 1))


@blueprint.route("/lineage")
@blueprint.arguments(EventsQuery, location="query")
@blueprint.doc(summary="Events by time", responses={"200": {"description": "events and totalCount"}})
def get_events(query: dict[str, Any]) -> Response:
    """The events as they came, newest first by default."""
    where = []
    if query["before"] is not None:
        where.append(event.c.time_us < query["before"])
    if query["after"] is not None:
        where.append(event.c.time_us >= query["after"])
    ascending = query["sortDirection"] == "asc"
    order = [column.asc() if ascending else column.desc() for column in (event.c.time_us, event.c.id)]
    page = select(event.c.body).where(*where).order_by(*order).limit(query["limit"]).offset(query["offset"])
    with reader() as connection:
        total = connection.execute(select(func.count()).select_from(event).where(*where)).scalar_one()
        bodies = [orjson.Fragment(decompress(body)) for (body,) in connection.execute(page)]
    return json_response({"events": bodies, "totalCount": total})
