"""One digest of the whole derived state, by natural keys: equal wherever the same set of events was stored.

Internal numbers (run.id, facet_body.id) depend on the order of arrival, so each is replaced by what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from blake3 import blake3
from sqlalchemy import Column, Connection, Table, select

from collector import tables
from collector.packing import decompress, unpack_facets

_SIZE = 32
_MODULUS = 1 << (8 * _SIZE)


def digest(connection: Connection) -> str:
    """Hexadecimal digest of every derived row. Reads the whole store: time grows with its size, memory does not."""
    return blake3("".join(f"{name}={value}" for name, value in table_digests(connection).items()).encode()).hexdigest()


def table_digests(connection: Connection) -> dict[str, str]:
    """The digest of each derived table: the sum, order aside, of its rows' hashes. Says where two stores differ."""
    return {table.name: f"{_sum(rows(connection, table)):064x}" for table in (*tables.DERIVED, *tables.REMEMBERED)}


def rows(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """The rows of a derived table, with internal numbers replaced by natural keys."""
    translate = _Translator(connection)
    columns = [(column.name, translate.for_column(table.name, column.name)) for column in table.columns]
    for row in connection.execution_options(yield_per=5_000).execute(select(table)):
        yield tuple(
            value if translate_value is None or value is None else translate_value(value)
            for value, (_, translate_value) in zip(row, columns, strict=True)
            if translate_value is not _skip
        )


def _skip(value: Any) -> Any:
    return value


class _Translator:
    """Natural keys of internal numbers, looked up many neighbours at a time, as rows lie in about the same order."""

    def __init__(self, connection: Connection) -> None:
        run, body, event = tables.run.c, tables.facet_body.c, tables.event.c
        self.run = _Keys(connection, run.id, run.run_key)
        self.body = _Keys(connection, body.id, body.hash)
        self.event = _Keys(connection, event.id, event.hash)

    def for_column(self, table: str, column: str) -> Callable[[Any], Any] | None:
        if column == "id" and table in ("run", "facet_body"):
            return _skip
        if column in ("run", "latest_run", "input_run", "output_run", "statement_run"):
            return self.run
        if column == "facets":
            return self.facets
        if column in ("column_body", "body_id"):
            return self.body
        if column == "event_id":
            return self.event
        return decompress if (table, column) == ("facet_body", "body") else None

    def facets(self, packed: bytes) -> list[Any]:
        return [(name, time_us, tie, self.body(body)) for name, (time_us, tie, body) in unpack_facets(packed).items()]


class _Keys:
    """The key, in hexadecimal, of each row of a table by its number. Remembers as many as fit."""

    NEIGHBOURS = 2_000
    MOST = 1_000_000

    def __init__(self, connection: Connection, number: Column[int], key: Column[bytes]) -> None:
        self._connection = connection
        self._number = number
        self._query = select(number, key).order_by(number).limit(self.NEIGHBOURS)
        self._known: dict[int, str] = {}

    def __call__(self, number: int) -> str:
        if number not in self._known:
            if len(self._known) > self.MOST:
                self._known.clear()
            found = self._connection.execute(self._query.where(self._number >= number))
            self._known.update((one, bytes(key).hex()) for one, key in found)
        return self._known[number]


def _sum(found: Iterator[tuple[Any, ...]]) -> int:
    total = 0
    for row in found:
        total += int.from_bytes(blake3(msgspec.msgpack.encode(row)).digest(_SIZE), "big")
    return total % _MODULUS
