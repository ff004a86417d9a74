"""Filling stores and telling them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Engine, select, text

from collector.decode import Event, decode
from collector.digest import table_digests
from collector.ingest import Memory, ingest, prepare
from collector.records import KINDS, read_stored
from collector.store.engines import reading, writing
from collector.tables import ARRIVED, DERIVED, REMEMBERED, event


def read(body: bytes) -> Event:
    """An event, or one of the records that legacy calls make of namespaces, sources and tags."""
    kind = next((kind for kind in KINDS if body.startswith(f'{{"headwater":"{kind}"'.encode())), None)
    return decode(body) if kind is None else read_stored(kind, body)


def fill(engine: Engine, bodies: Iterable[bytes], memory: Memory | None = None) -> None:
    """Store ``bodies`` in one commit."""
    with writing(engine) as connection:
        ingest(connection, prepare([read(body) for body in bodies]), memory or Memory())


def fill_in_batches(engine: Engine, batches: Iterable[Sequence[bytes]]) -> None:
    """One commit a batch, by one writer."""
    memory = Memory()
    for batch in batches:
        fill(engine, batch, memory)


def state(engine: Engine) -> dict[str, str]:
    """The digest of each derived table."""
    with reading(engine) as connection:
        return table_digests(connection)


def clear(engine: Engine) -> None:
    """An empty store again, faster than a new one."""
    with writing(engine) as connection:
        for table in (*ARRIVED, *DERIVED, *REMEMBERED):
            connection.execute(text(f"DELETE FROM {table.name}"))


def stored_events(engine: Engine) -> set[bytes]:
    """The content hashes of every stored event."""
    with reading(engine) as connection:
        return {bytes(one) for one in connection.execute(select(event.c.hash)).scalars()}
