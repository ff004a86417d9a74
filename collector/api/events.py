"""Raw events, as they came."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import func, literal_column, select

from collector.api.answers import json_response
from collector.api.query import Moment
from collector.api.store import reader
from collector.packing import decompress
from collector.records import KINDS
from collector.tables import NOT_OF_RUNS, event

blueprint = Blueprint("raw-events", __name__, url_prefix="/api/v1/events", description="Raw events, as they came")


class EventsQuery(Schema):
    """A page of events."""

    before = Moment(load_default=None, metadata={"description": "eventTime before this"})
    after = Moment(load_default=None, metadata={"description": "eventTime at or after this"})
    sortDirection = fields.String(load_default="desc", validate=validate.OneOf(["asc", "desc"]))
    kind = fields.String(
        load_default="run",
        validate=validate.OneOf(["run", "job", "dataset", "all"]),
        metadata={"description": "events of runs, of jobs or of datasets; Marquez's UI can show those of runs alone"},
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(0, 10_000))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**63 - 1))


@blueprint.route("/lineage")
@blueprint.arguments(EventsQuery, location="query")
@blueprint.doc(summary="Events by time", responses={"200": {"description": "events and totalCount"}})
def get_events(query: dict[str, Any]) -> Response:
    """The events as they came, newest first by default; those of runs, unless ``kind`` says otherwise."""
    where: list[Any] = []
    if query["before"] is not None:
        where.append(event.c.time_us < query["before"])
    if query["after"] is not None:
        where.append(event.c.time_us >= query["after"])
    ascending = query["sortDirection"] == "asc"
    order = [column.asc() if ascending else column.desc() for column in (event.c.time_us, event.c.id)]
    page = (
        select(event.c.body)
        .where(*where, *_of_kind(query["kind"]))
        .order_by(*order)
        .limit(query["limit"])
        .offset(query["offset"])
    )
    with reader() as connection:
        total = connection.execute(select(_count(query["kind"], where))).scalar_one()
        bodies = [orjson.Fragment(decompress(body)) for (body,) in connection.execute(page)]
    return json_response({"events": bodies, "totalCount": total})


_IS_OF_NO_RUN: Any = literal_column(NOT_OF_RUNS)  # as its index has it


def _of_kind(kind: str) -> list[Any]:
    match kind:
        case "all":
            return [event.c.kind.not_in(KINDS)]
        case "run":  # not "=": SQLite takes that for rare, and sorts every event
            return [event.c.kind.not_in(("job", "dataset", *KINDS))]
        case _:
            return [_IS_OF_NO_RUN, event.c.kind == kind]


def _count(kind: str, where: list[Any]) -> Any:
    """How many there are, by indexes alone: the few that are not of runs have one of their own."""
    every = select(func.count()).select_from(event).where(*where)
    match kind:
        case "all":
            return every.scalar_subquery() - every.where(_IS_OF_NO_RUN, event.c.kind.in_(KINDS)).scalar_subquery()
        case "run":
            return every.scalar_subquery() - every.where(_IS_OF_NO_RUN).scalar_subquery()
        case _:
            return every.where(*_of_kind(kind)).scalar_subquery()
