"""``asOf`` and ``knownAt``: the two clocks that every question about lineage takes."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from sqlalchemy import Connection

from collector.api.query import Moment as Time
from collector.history.moment import Moment, moment


class MomentQuery(Schema):
    """The two clocks of a question."""

    asOf = Time(
        load_default=None,
        metadata={"description": "only what had happened by then, by event time", "example": "2026-01-01T00:00:00Z"},
    )
    knownAt = Time(
        load_default=None,
        metadata={"description": "only what the collector had by then", "example": "2026-01-01T00:00:00Z"},
    )


def moment_of(connection: Connection, query: dict[str, Any]) -> Moment:
    """The moment that a query with `MomentQuery`'s parameters asks about."""
    return moment(connection, query["asOf"], query["knownAt"])
