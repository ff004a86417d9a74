"""Counts by hour or day for Marquez's dashboard, zero-filled, in the caller's time zone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, case, func, literal, select

from collector import tables

JSON = dict[str, Any]

HOURS, DAYS = 24, 7


def intervals(period: str, zone: ZoneInfo, now: datetime | None = None) -> list[datetime]:
    """The borders of 24 hours (``DAY``) or 7 days (``WEEK``) up to the current one, in ``zone``; the last is an end.

    A day is from midnight to midnight there, 23 or 25 hours where the clock changes.
    """
    local = (now or datetime.now(UTC)).astimezone(zone)
    if period == "DAY":
        # to the hour of the wall clock there, by the instant, so that a change of the clock loses no hour
        last = (
            local - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        ).astimezone(UTC)
        return [(last + timedelta(hours=n)).astimezone(zone) for n in range(1 - HOURS, 2)]
    today = local.date()
    return [
        datetime(day.year, day.month, day.day, tzinfo=zone)
        for day in (today + timedelta(days=n) for n in range(1 - DAYS, 2))
    ]


def event_counts(connection: Connection, borders: list[datetime]) -> list[JSON]:
    """Run events by eventTime and type in each interval: one statement, which reads the events of the whole time."""
    e = tables.event.c
    times = [_us(border) for border in borders]
    bucket = _bucket(e.time_us, times)
    query = (
        select(bucket, e.event_type, func.count())
        .where(e.time_us >= times[0], e.time_us < times[-1], e.event_type.in_(("FAIL", "START", "COMPLETE", "ABORT")))
        .group_by(bucket, e.event_type)
    )
    counts = Counter({(index, kind): count for index, kind, count in connection.execute(query)})
    return [
        _interval(pair) | {kind.lower(): counts[index, kind] for kind in ("FAIL", "START", "COMPLETE", "ABORT")}
        for index, pair in enumerate(pairwise(borders))
    ]


def thing_counts(connection: Connection, table: Table, borders: list[datetime]) -> list[JSON]:
    """How many there were at the end of each interval: one statement, which reads every row of ``table``."""
    times = [_us(border) for border in borders]
    bucket = _bucket(table.c.created_us, times)
    counts: Counter[int] = Counter(dict(connection.execute(select(bucket, func.count()).group_by(bucket)).all()))
    total, found = counts[-1], []
    for index, pair in enumerate(pairwise(borders)):
        total += counts[index]
        found.append(_interval(pair) | {"count": total})
    return found


def _bucket(column: Any, times: list[int]) -> Any:
    """The number of the interval that a time is in; -1 before all, the number of intervals after all."""
    return case(*((column < border, literal(index - 1)) for index, border in enumerate(times)), else_=len(times) - 1)


def _interval(pair: tuple[datetime, datetime]) -> JSON:
    start, end = (border.astimezone(UTC).isoformat().replace("+00:00", "Z") for border in pair)
    return {"startInterval": start, "endInterval": end}


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
