"""Rows in and out by key, many at a time, on SQLite and PostgreSQL: the only place where the writer meets SQL.

The statements are made once from the tables' own definitions and run on the driver's connection: SQLAlchemy's share of
a commit of sixteen events was half of it. Merging is Python's work (``facts.py``), so three verbs are enough: ``load``,
``put`` (insert or overwrite whole rows) and ``delete``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Integer, LargeBinary, SmallInteger, Table

from collector.store.arrays import Array

Row = tuple[Any, ...]
CHUNK = 512  # keys in one IN list: SQLite allows 32,766 parameters, and longer lists are no faster


def primary_key(table: Table) -> tuple[str, ...]:
    """The names of the table's key columns."""
    return tuple(column.name for column in table.primary_key.columns)


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """``items`` in lists of at most ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Rows(ABC):
    """The rows of one open transaction."""

    def __init__(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        self.cursor = driver.cursor()

    def foresee(self, *loads: tuple[Table, str, Collection[Any]]) -> None:
        """Say which ``load``s of whole rows will come, so that one round trip may bring the answers of all.

        Each is (table, column, keys); what is stored of these keys must not change before its ``load``.
        """
        return  # SQLite has no round trips

    @abstractmethod
    def load(self, table: Table, column: str, keys: Iterable[Any], columns: Sequence[str] | None = None) -> list[Row]:
        """The rows whose ``column`` is among ``keys``: whole ones, as the table has them, or only ``columns``."""

    @abstractmethod
    def put(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert whole rows, overwriting those of the same primary key."""

    @abstractmethod
    def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert whole rows, leaving those whose primary key is there as they are."""

    def replace(self, table: Table, changes: Sequence[tuple[Row, Row]]) -> None:
        """Overwrite stored rows, given as (as it is stored, as it shall be), the same primary key in both.

        Most changes leave every indexed column alone, or all but one; only the indexes of those that change are
        touched, which costs a commit a third of the pages.
        """
        indexed = _indexed(table)
        by_columns: dict[tuple[int, ...], list[Row]] = {}
        for old, new in changes:
            by_columns.setdefault(tuple([at for at in indexed if old[at] != new[at]]), []).append(new)
        for columns, rows in by_columns.items():
            self._update(table, columns, rows)

    @abstractmethod
    def _update(self, table: Table, indexed: tuple[int, ...], rows: Sequence[Row]) -> None:
        """Set the unindexed columns of stored rows, and these indexed ones."""

    @abstractmethod
    def delete(self, table: Table, columns: Sequence[str], keys: Sequence[Row]) -> None:
        """Delete the rows whose ``columns`` equal one of ``keys``."""

    @abstractmethod
    def load_pairs(self, table: Table, columns: tuple[str, str], keys: Collection[Row]) -> list[Row]:
        """The values of ``columns`` of those rows where the two equal one of ``keys``."""

    def pipelined(self) -> AbstractContextManager[object]:
        """Within it, statements that answer nothing may be sent without waiting for the one before."""
        return nullcontext()

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The answer to a statement of the caller's own, in the driver's own parameter style."""
        return self.cursor.execute(sql, parameters).fetchall()


class SqliteRows(Rows):
    """Rows through ``sqlite3``: ``executemany`` is its fast way in, an IN list its fast way out."""

    def load(self, table: Table, column: str, keys: Iterable[Any], columns: Sequence[str] | None = None) -> list[Row]:
        found: list[Row] = []
        for chunk in chunks(keys, CHUNK):
            sql = _select(table, column, tuple(columns or ())) + f" IN ({','.join('?' * _pad(chunk))})"
            found.extend(self.cursor.execute(sql, chunk))
        return found

    def put(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.cursor.executemany(_sqlite_insert(table, overwrite=True), rows)

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.cursor.executemany(_sqlite_insert(table, overwrite=False), rows)

    def _update(self, table: Table, indexed: tuple[int, ...], rows: Sequence[Row]) -> None:
        self.cursor.executemany(_sqlite_update(table, indexed), rows)

    def delete(self, table: Table, columns: Sequence[str], keys: Sequence[Row]) -> None:
        if keys:
            where = " AND ".join(f'"{column}" = ?' for column in columns)
            self.cursor.executemany(f'DELETE FROM "{table.name}" WHERE {where}', keys)

    def load_pairs(self, table: Table, columns: tuple[str, str], keys: Collection[Row]) -> list[Row]:
        found: list[Row] = []
        for chunk in chunks(keys, CHUNK):
            values = ",".join(["(?,?)"] * _pad(chunk))
            sql = _join(table, columns).format(f"(VALUES {values}) AS k", "column1", "column2")
            found.extend(self.cursor.execute(sql, [value for key in chunk for value in key]))
        return found


class PostgresRows(Rows):
    """Rows through psycopg: one statement a table, its rows as one array a column (``unnest``)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        driver = connection.connection.driver_connection
        assert driver is not None
        self.cursor = driver.cursor(binary=True)  # answers, too: bytes come as they are, not as text
        self._foreseen: dict[tuple[str, str], tuple[set[Any], Any]] = {}  # keys, and the cursor of their rows

    def foresee(self, *loads: tuple[Table, str, Collection[Any]]) -> None:
        for table, column, keys in loads:
            if keys:
                cursor = self.cursor.connection.cursor(binary=True)
                self._foreseen[table.name, column] = (set(keys), self._select(cursor, table, column, list(keys), ()))

    def pipelined(self) -> AbstractContextManager[object]:
        pipeline: AbstractContextManager[object] = self.cursor.connection.pipeline()
        return pipeline

    def load(self, table: Table, column: str, keys: Iterable[Any], columns: Sequence[str] | None = None) -> list[Row]:
        found: list[Row] = []
        keys = set(keys)
        if not columns and (table.name, column) in self._foreseen:
            foreseen, cursor = self._foreseen.pop((table.name, column))
            at = table.columns.keys().index(column)
            found = [row for row in cursor.fetchall() if row[at] in keys]
            keys -= foreseen
        if keys:
            found += self._select(self.cursor, table, column, list(keys), columns or ()).fetchall()
        return found

    def _select(self, cursor: Any, table: Table, column: str, keys: list[Any], columns: Sequence[str]) -> Any:
        kind = _postgres_type(table, column)
        sql = _select(table, column, tuple(columns)) + f" = ANY(%s::{kind}[])"
        return cursor.execute(sql, (Array(kind, keys),))

    def put(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.cursor.execute(_postgres_insert(table, overwrite=True), _arrays(table, rows))

    def add(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.cursor.execute(_postgres_insert(table, overwrite=False), _arrays(table, rows))

    def _update(self, table: Table, indexed: tuple[int, ...], rows: Sequence[Row]) -> None:
        self.cursor.execute(_postgres_update(table, indexed), _arrays(table, rows))

    def delete(self, table: Table, columns: Sequence[str], keys: Sequence[Row]) -> None:
        if not keys:
            return
        arrays = ", ".join(f"%s::{_postgres_type(table, column)}[]" for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        sql = f'DELETE FROM "{table.name}" WHERE ({names}) IN (SELECT * FROM unnest({arrays}))'
        self.cursor.execute(sql, _arrays(table, keys, columns))

    def load_pairs(self, table: Table, columns: tuple[str, str], keys: Collection[Row]) -> list[Row]:
        if not keys:
            return []
        arrays = ", ".join(f"%s::{_postgres_type(table, column)}[]" for column in columns)
        sql = _join(table, columns).format(f"unnest({arrays}) AS k(a, b)", "a", "b")
        return self.fetch(sql, _arrays(table, keys, columns))


def rows_of(connection: Connection) -> Rows:
    """The rows of ``connection``'s transaction, in its engine's way."""
    return SqliteRows(connection) if connection.dialect.name == "sqlite" else PostgresRows(connection)


def _arrays(table: Table, rows: Collection[Row], columns: Sequence[str] | None = None) -> list[Array]:
    """The rows as one array a column: of all ``columns`` of the table, or those named."""
    names = columns or table.columns.keys()
    return [
        Array(_postgres_type(table, name), values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    ]


def _pad(chunk: list[Any]) -> int:
    """Repeat the last key up to a power of two: that leaves ten statements to prepare, not five hundred."""
    size = 1 << (len(chunk) - 1).bit_length()
    chunk.extend(chunk[-1:] * (size - len(chunk)))
    return size


@cache
def _join(table: Table, columns: tuple[str, str]) -> str:
    a, b = columns
    # CROSS JOIN: SQLite must start from the keys, whatever it believes about the table's size
    joined = f'{{}} CROSS JOIN "{table.name}" AS t WHERE t."{a}" = k.{{}} AND t."{b}" = k.{{}}'
    return f'SELECT DISTINCT t."{a}", t."{b}" FROM {joined}'


@cache
def _select(table: Table, column: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns or table.columns.keys())
    return f'SELECT {names} FROM "{table.name}" WHERE "{column}"'


def _names(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


def _on_conflict(table: Table, overwrite: bool) -> str:
    key = primary_key(table)
    others = [column.name for column in table.columns if column.name not in key]
    if not overwrite or not others:
        return "ON CONFLICT DO NOTHING"
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


@cache
def _indexed(table: Table) -> tuple[int, ...]:
    """The places of the columns that an index or the primary key holds."""
    names = {column.name for index in table.indexes for column in index.columns}
    return tuple(
        at
        for at, column in enumerate(table.columns)
        if column.name in names or column.unique or column.index or column.primary_key
    )


def _changing(table: Table, indexed: tuple[int, ...]) -> list[tuple[int, str]]:
    """The unindexed columns, and these indexed ones."""
    still = set(_indexed(table)) - set(indexed)
    return [(at, column.name) for at, column in enumerate(table.columns) if at not in still]


@cache
def _sqlite_update(table: Table, indexed: tuple[int, ...]) -> str:
    at = {column.name: place for place, column in enumerate(table.columns, 1)}
    sets = ", ".join(f'"{name}" = ?{place + 1}' for place, name in _changing(table, indexed))
    where = " AND ".join(f'"{name}" = ?{at[name]}' for name in primary_key(table))
    # a whole row is bound, so its last column must be spoken of
    return f'UPDATE "{table.name}" SET {sets} WHERE {where} AND ?{len(at)} IS ?{len(at)}'


@cache
def _postgres_update(table: Table, indexed: tuple[int, ...]) -> str:
    sets = ", ".join(f'"{name}" = v."{name}"' for _, name in _changing(table, indexed))
    where = " AND ".join(f't."{name}" = v."{name}"' for name in primary_key(table))
    arrays = ", ".join(f"%s::{_postgres_type(table, column.name)}[]" for column in table.columns)
    return f'UPDATE "{table.name}" AS t SET {sets} FROM unnest({arrays}) AS v({_names(table)}) WHERE {where}'


@cache
def _sqlite_insert(table: Table, overwrite: bool) -> str:
    marks = ", ".join("?" for _ in table.columns)
    return f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({marks}) {_on_conflict(table, overwrite)}'


@cache
def _postgres_insert(table: Table, overwrite: bool) -> str:
    arrays = ", ".join(f"%s::{_postgres_type(table, column.name)}[]" for column in table.columns)
    return (
        f'INSERT INTO "{table.name}" ({_names(table)}) SELECT * FROM unnest({arrays}) {_on_conflict(table, overwrite)}'
    )


@cache
def _postgres_type(table: Table, column: str) -> str:
    kind = table.columns[column].type
    if isinstance(kind, Boolean):
        return "boolean"
    if isinstance(kind, SmallInteger):
        return "smallint"
    if isinstance(kind, BigInteger | Integer):
        return "bigint"
    return "bytea" if isinstance(kind, LargeBinary) else "text"
