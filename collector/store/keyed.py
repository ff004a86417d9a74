"""Statements that ask the same question of many keys at once, by the driver itself, on SQLite and PostgreSQL.

A walk asks several at each level, and SQLAlchemy's share of a small one was nine tenths.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from collector.store.arrays import Array

Row = tuple[Any, ...]
_NAMES = "abcdefgh"
_SIZES = (4, 16, 64, 256, 1_024)  # of tables of keys in SQLite: each is a statement to prepare
_CHUNK = _SIZES[-1]


def ask(connection: Connection, sql: str, keys: Sequence[Row], *parameters: int | None) -> list[Row]:
    """The answer to ``sql``, in which ``{k}`` is a table ``k`` of ``keys``: whole numbers, in columns a, b, c, …

    ``?`` stands for the ``parameters``, which come after ``{k}``; ``{x}`` stands for JOIN, where
    SQLite shall keep the order of the tables. No keys: no answer.
    """
    if not keys:
        return []
    driver = connection.connection.driver_connection
    assert driver is not None
    width = len(keys[0])
    if connection.dialect.name == "sqlite":
        found: list[Row] = []
        for first in range(0, len(keys), _CHUNK):
            chunk = keys[first : first + _CHUNK]
            size = next(size for size in _SIZES if size >= len(chunk))
            values = list(chain.from_iterable(chunk))
            values.extend([None] * (width * (size - len(chunk))))  # joins nothing
            found.extend(driver.execute(_sqlite(sql, width, size), (*values, *parameters)))
        return found
    arrays = [Array("bigint", column) for column in zip(*keys, strict=True)]
    return list(driver.execute(_postgres(sql, width), (*arrays, *parameters)).fetchall())


@lru_cache(maxsize=1_024)
def _sqlite(sql: str, width: int, size: int) -> str:
    columns = ", ".join(f"column{place} AS {name}" for place, name in enumerate(_NAMES[:width], 1))
    row = f"({', '.join('?' * width)})"
    table = f"(SELECT {columns} FROM (VALUES {', '.join([row] * size)})) AS k"
    # CROSS JOIN is SQLite's word for "in this order"
    return sql.format(k=table, x="CROSS JOIN")


@lru_cache(maxsize=1_024)
def _postgres(sql: str, width: int) -> str:
    table = f"unnest({', '.join(['%s::bigint[]'] * width)}) AS k({', '.join(_NAMES[:width])})"
    return sql.replace("%", "%%").replace("?", "%s::bigint").format(k=table, x="JOIN")
