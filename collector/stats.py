"""What a store holds and what it costs on disk."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, func, select, text

from collector import tables
from collector.keys import isoformat
from collector.store.engines import database_file, reading


@dataclass(frozen=True, slots=True)
class Stats:
    """Rows by table, sizes in bytes, times as ISO-8601 text (None in an empty store)."""

    rows: dict[str, int]
    first_event: str | None
    last_event: str | None
    raw_bytes: int  # of the events as they were sent
    stored_bytes: int  # of the whole database
    raw_bytes_per_event: float | None
    stored_bytes_per_event: float | None

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def stats(engine: Engine) -> Stats:
    """Count everything: reads each table once."""
    event = tables.event.c
    with reading(engine) as connection:
        rows = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (*tables.ARRIVED, *tables.DERIVED, *tables.REMEMBERED)
        }
        first, last, raw = connection.execute(
            select(func.min(event.time_us), func.max(event.time_us), func.sum(event.raw_size))
        ).one()
        stored = _stored_bytes(engine)
    count = rows["event"]
    return Stats(
        rows=rows,
        first_event=isoformat(first),
        last_event=isoformat(last),
        raw_bytes=int(raw or 0),
        stored_bytes=stored,
        raw_bytes_per_event=round(int(raw) / count, 1) if count else None,
        stored_bytes_per_event=round(stored / count, 1) if count else None,
    )


def _stored_bytes(engine: Engine) -> int:
    path = database_file(engine)
    if path is not None:
        return sum(os.path.getsize(file) for file in (path, f"{path}-wal") if os.path.exists(file))
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
