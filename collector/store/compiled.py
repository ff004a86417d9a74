"""Statements of SQLAlchemy Core that are compiled once and run by the driver itself.

SQLAlchemy's share of a small statement is nine tenths, and of a row a third: it makes the statement, looks for its
compiled form and wraps each row, again at every call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Connection, Text, bindparam, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

Row = tuple[Any, ...]
Among = Callable[[ColumnElement[Any]], ColumnElement[bool]]  # that a column's value is one of the call's ids


class Statement:
    """Made by ``statement``; called with a connection, the ids that ``among`` stands for, and the other parameters."""

    def __init__(self, build: Callable[[Among], ClauseElement]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, dict[str, Any], list[str] | None]] = {}
        self.__doc__ = build.__doc__

    def __call__(self, connection: Connection, ids: Iterable[int] = (), **values: Any) -> list[Row]:
        """The rows as plain tuples of the driver's values. Raises DBAPIError as SQLAlchemy does."""
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(connection)
        sql, constants, order = self._compiled[dialect.name]
        given = {**constants, **values}
        if "ids" in given:
            given["ids"] = json.dumps(list(ids)) if order is not None else list(ids)
        driver = connection.connection.driver_connection
        assert driver is not None
        try:
            found = driver.execute(sql, given if order is None else [given[name] for name in order]).fetchall()
        except dialect.dbapi.Error as error:  # type: ignore[union-attr]
            raise DBAPIError.instance(sql, None, error, dialect.dbapi.Error) from error  # type: ignore[union-attr,arg-type]
        return list(found)

    def _compile(self, connection: Connection) -> tuple[str, dict[str, Any], list[str] | None]:
        among = _among_json if connection.dialect.name == "sqlite" else _among_array
        compiled = self._build(among).compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        names: list[str] | None = getattr(compiled, "positiontup", None)
        return str(compiled), dict(compiled.params), list(names) if names is not None else None


def statement(build: Callable[[Among], ClauseElement]) -> Statement:
    """A statement from the function that makes it; its parameters are ``given``s, and ``among(column)``."""
    return Statement(build)


def given(name: str, kind: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """A parameter that each call names: a whole number unless of another ``kind``."""
    return bindparam(name, required=False, type_=kind or BigInteger())


def _among_json(column: ColumnElement[Any]) -> ColumnElement[bool]:
    each = func.json_each(given("ids", Text())).table_valued("value")
    return column.in_(select(each.c.value))


def _among_array(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column == func.any(given("ids", postgresql.ARRAY(BigInteger)))
