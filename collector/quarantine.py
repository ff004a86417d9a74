"""What was refused, kept with the reason: nothing that reached the collector is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from collector.errors import CollectorError
from collector.keys import content_hash, isoformat
from collector.packing import compress, decompress
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
