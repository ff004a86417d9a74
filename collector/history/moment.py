"""The two clocks of a question: when it happened (event time), and what the collector had by then (commit order)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collector import tables

EVER = (1 << 63) - 1  # later than any time, and more than any id


@dataclass(frozen=True, slots=True)
class Moment:
    """``as_of_us``: what happened by then, microseconds since 1970 UTC; ``known_id``: events up to this id."""

    as_of_us: int = EVER
    known_id: int = EVER

    @property
    def is_now(self) -> bool:
        """Whether nothing is left out."""
        return self.as_of_us == EVER and self.known_id == EVER

    @property
    def is_by_commit(self) -> bool:
        """Whether what arrived later is left out."""
        return self.known_id != EVER


NOW = Moment()


def moment(connection: Connection, as_of_us: int | None, known_at_us: int | None) -> Moment:
    """The moment of a question; None leaves a clock alone."""
    known_id = EVER if known_at_us is None else last_event(connection, known_at_us)
    return Moment(EVER if as_of_us is None else as_of_us, known_id)


def last_event(connection: Connection, received_us: int) -> int:
    """The id of the last event that was committed by ``received_us``, 0 for none.

    Ids are the order of commits, so it halves the range: some twenty look-ups by key among a million events.
    """
    c = tables.event.c
    low, high = 0, connection.execute(select(func.max(c.id))).scalar() or 0
    while low < high:  # the event at or below `low` had arrived; the first above `high` had not
        middle = (low + high + 1) // 2
        row = connection.execute(
            select(c.id, c.received_us).where(c.id >= middle, c.id <= high).order_by(c.id).limit(1)
        ).one()
        if row.received_us <= received_us:
            low = row.id
        else:
            high = middle - 1
    return low
