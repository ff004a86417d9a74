"""What an outbox holds, for people and for ``headwater outbox``; and its refused events back into it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from emitter.errors import OutboxError
from emitter.outbox.accounting import used_bytes
from emitter.outbox.store import Store

_RETRY = """
INSERT INTO event (destination, position, instance, sequence, run, added, splice, alone, dictionary, body)
SELECT r.destination, (SELECT position FROM destination WHERE id = r.destination) + 1, r.instance, r.sequence, r.run,
       r.added, r.splice, r.alone, r.dictionary, r.body
FROM refused AS r WHERE r.id = ?
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the collector refused for good."""

    id: int
    destination: str
    run: str
    refused_at: datetime
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """How it stands with one collector. Times are aware, in UTC; ``dropped`` counts by reason."""

    url: str
    instance: UUID
    sequence: int
    waiting: int
    oldest: datetime | None
    refused: int
    dropped: dict[str, int]
    delivered: int
    delivered_at: datetime | None
    failures: int
    error: str | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """What an outbox holds: ``bytes`` in use, and each destination's part."""

    path: Path
    bytes: int
    destinations: list[DestinationStatus]

    @property
    def waiting(self) -> int:
        """Events that wait, to all destinations."""
        return sum(one.waiting for one in self.destinations)

    @property
    def refused(self) -> int:
        """Events that collectors refused."""
        return sum(one.refused for one in self.destinations)


def existing(path: Path) -> Store:
    """The store of an outbox that is there. Raises OutboxError where none is, OutboxCorrupt where it is damaged."""
    if not path.exists():
        raise OutboxError(f"there is no outbox {path}; nothing was ever put into it. Name another with --path")
    store = Store(path)
    with store.using():
        return store


def status(store: Store) -> OutboxStatus:
    """What the outbox holds; counting a million events takes about a second."""
    assert store.path is not None
    with store.using() as db:
        found = []
        rows = db.execute(
            "SELECT id, url, instance, sequence, delivered, delivered_at, failures, error, retry_at FROM destination "
            "ORDER BY url"
        ).fetchall()
        for key, url, instance, sequence, delivered, delivered_at, failures, error, retry_at in rows:
            waiting, oldest = db.execute(
                "SELECT count(*), min(added) FROM event WHERE destination = ?", (key,)
            ).fetchone()
            (refused,) = db.execute("SELECT count(*) FROM refused WHERE destination = ?", (key,)).fetchone()
            dropped = dict(
                db.execute(
                    "SELECT reason, events FROM drop_count WHERE destination = ? ORDER BY reason", (key,)
                ).fetchall()
            )
            found.append(
                DestinationStatus(
                    url=url,
                    instance=UUID(bytes=instance),
                    sequence=sequence,
                    waiting=waiting,
                    oldest=_moment(oldest),
                    refused=refused,
                    dropped={reason: events for reason, events in dropped.items() if reason != "refused"},
                    delivered=delivered,
                    delivered_at=_moment(delivered_at),
                    failures=failures,
                    error=error,
                    retry_at=_moment(retry_at) if failures else None,
                )
            )
        return OutboxStatus(store.path, used_bytes(db), found)


def refused(store: Store, limit: int) -> list[Refused]:
    """What collectors refused, newest first."""
    with store.using() as db:
        rows = db.execute(
            "SELECT r.id, d.url, r.run, r.refused_at, r.status, r.reason FROM refused AS r "
            "JOIN destination AS d ON d.id = r.destination ORDER BY r.id DESC LIMIT ?",
            (limit,),
        ).fetchall()
    return [
        Refused(key, url, run, datetime.fromtimestamp(moment, UTC), code, reason)
        for key, url, run, moment, code, reason in rows
    ]


def retry(store: Store, ids: Iterable[int] | None = None) -> int:
    """Put refused events, all or those with ``ids``, back among those that wait; returns how many."""
    with store.transaction() as db:
        held = [row[0] for row in db.execute("SELECT id FROM refused ORDER BY id").fetchall()]
        chosen = held if ids is None else [one for one in dict.fromkeys(ids) if one in set(held)]
        for one in chosen:
            db.execute(_RETRY, (one,))
            db.execute("DELETE FROM refused WHERE id = ?", (one,))
    return len(chosen)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
