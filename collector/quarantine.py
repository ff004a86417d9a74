"""What was refused, kept with the reason: nothing that reached the collector is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from collector.errors import CollectorError
from collector.keys import content_hash, isoformat
from collector.packing import compress, decompress
from collector.store.engines import reading, writing
from collector.tables import quarantine

MAX_KEPT = 100_000  # oldest out, and counted


@dataclass(frozen=True, slots=True)
class Refused:
    """The bytes that were refused, and why."""

    body: bytes
    error: CollectorError


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the quarantine. ``reason`` is the error document that was answered."""

    id: int
    received_at: str
    reason: dict[str, Any]
    body: bytes


def keep(connection: Connection, refused: Sequence[Refused], limit: int = MAX_KEPT) -> None:
    """Keep each of ``refused`` once; beyond ``limit`` rows the oldest go."""
    now = time_ns() // 1_000
    rows = {
        content_hash(one.body): {
            "hash": content_hash(one.body),
            "received_us": now,
            "reason": json.dumps(one.error.document()).replace("\\u0000", "\\u2400"),
            "body": compress(one.body),
        }
        for one in refused
    }
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = insert(quarantine)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["hash"], set_={c: statement.excluded[c] for c in ("received_us", "reason")}
        ),
        list(rows.values()),
    )
    newest = connection.execute(select(func.max(quarantine.c.id))).scalar_one()
    first_kept = connection.execute(
        select(quarantine.c.id).where(quarantine.c.id <= newest).order_by(quarantine.c.id.desc()).offset(limit).limit(1)
    ).scalar()
    if first_kept is not None:
        connection.execute(delete(quarantine).where(quarantine.c.id <= first_kept))


def kept(connection: Connection, limit: int = 100, offset: int = 0) -> list[Kept]:
    """The newest ``limit`` rows after ``offset``."""
    rows = connection.execute(select(quarantine).order_by(quarantine.c.id.desc()).limit(limit).offset(offset))
    return [
        Kept(row.id, isoformat(row.received_us) or "", json.loads(row.reason), decompress(row.body)) for row in rows
    ]


def count(connection: Connection) -> int:
    """How many are kept."""
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def drop(connection: Connection, ids: Sequence[int]) -> int:
    """Forget the rows with these ids; returns how many there were."""
    return connection.execute(delete(quarantine).where(quarantine.c.id.in_(ids))).rowcount


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: how many are now stored, and the error documents of those still refused, by id."""

    stored: int
    refused: dict[int, dict[str, Any]]


def replay(engine: Engine, ids: Sequence[int] | None = None) -> Replayed:
    """Try again to store what is kept, all of it or only ``ids``: after an upgrade that reads more, or a mended clock.

    What is stored leaves the quarantine in the same commit; what is refused again stays, with the new reason.
    """
    from collector.decode import decode
    from collector.ingest import Memory, ingest, prepare

    stored = 0
    refused: dict[int, dict[str, Any]] = {}
    memory = Memory()
    with reading(engine) as connection:
        found = list(connection.execute(select(quarantine.c.id).order_by(quarantine.c.id)).scalars())
    for one in found if ids is None else [one for one in found if one in set(ids)]:
        with writing(engine) as connection:
            body = connection.execute(select(quarantine.c.body).where(quarantine.c.id == one)).scalar()
            if body is None:
                continue
            raw = decompress(body)
            try:
                event = decode(raw)
            except CollectorError as error:
                keep(connection, [Refused(raw, error)])
                refused[one] = error.document()
                continue
            ingest(connection, prepare([event]), memory)
            drop(connection, [one])
            stored += 1
    return Replayed(stored, refused)
