"""Counts for Marquez's dashboard."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import Table

from collector import tables
from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.query import load_query
from collector.api.shapes import EventCounts, ThingCounts
from collector.api.store import reader
from collector.event_counts import event_counts, intervals, thing_counts

blueprint = Blueprint("stats", __name__, url_prefix="/api/v1/stats", description="Counts by hour and by day")


class Zone(fields.String):
    """A time zone by its name in the IANA database."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        name = super()._deserialize(value, attr, data, **kwargs)
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValidationError(f"{name[:80]!r} is no time zone: use a name such as Europe/Berlin.") from None


class PeriodQuery(Schema):
    """How long, and where."""

    period = fields.String(
        required=True, validate=validate.OneOf(["DAY", "WEEK"]), metadata={"description": "24 hours or 7 days"}
    )
    timezone = Zone(load_default=None, metadata={"example": "Europe/Berlin", "description": "UTC by default"})


class EventsPeriodQuery(PeriodQuery):
    """Marquez wants a time zone for a week of events."""

    @validates_schema
    def has_zone(self, data: dict[str, Any], **_: Any) -> None:
        """A day means nothing without one."""
        if data["period"] == "WEEK" and data["timezone"] is None:
            raise ValidationError("Timezone must be specified for period 'WEEK'.", "timezone")


@blueprint.route("/lineage-events")
@blueprint.doc(**documented("Run events by type and time", EventCounts, query=EventsPeriodQuery, many=True))
def get_events() -> Response:
    """By eventTime, zero-filled."""
    query = load_query(EventsPeriodQuery)
    with reader() as connection:
        return json_response(event_counts(connection, intervals(query["period"], query["timezone"] or ZoneInfo("UTC"))))


@blueprint.route("/jobs")
@blueprint.doc(**documented("How many jobs there were", ThingCounts, query=PeriodQuery, many=True))
def get_jobs() -> Response:
    """At the end of each interval, by the time of the first mention."""
    return _counted(tables.job)


@blueprint.route("/datasets")
@blueprint.doc(**documented("How many datasets there were", ThingCounts, query=PeriodQuery, many=True))
def get_datasets() -> Response:
    """At the end of each interval, by the time of the first mention."""
    return _counted(tables.dataset)


@blueprint.route("/sources")
@blueprint.doc(**documented("How many sources there were", ThingCounts, query=PeriodQuery, many=True))
def get_sources() -> Response:
    """At the end of each interval, by the time of the first mention."""
    return _counted(tables.source)


def _counted(table: Table) -> Response:
    query = load_query(PeriodQuery)
    with reader() as connection:
        borders = intervals(query["period"], query["timezone"] or ZoneInfo("UTC"))
        return json_response(thing_counts(connection, table, borders))
