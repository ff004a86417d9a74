"""Assets that are made by SQL: a SELECT over upstream assets, run by DuckDB in this process."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from blake3 import blake3

from emitter.assets import Asset
from emitter.checks import Check
from emitter.errors import EmitterError, InvalidAsset, did_you_mean
from emitter.io import IOManager
from emitter.retry import Retry
from emitter.source import SourceLocation
from emitter.tables import column_names, is_records, is_table, to_arrow

_RETURNS = ("pyarrow", "pandas", "polars", "records")


class SQLAsset(Asset):
    """An asset that a SELECT makes; its code version is that of the SQL."""


def sql_asset(
    name: str,
    query: str,
    *,
    returns: str = "pyarrow",
    threads: int = 1,
    version: str | int = "1",
    namespace: str | None = None,
    deps: Iterable[str | Asset] = (),
    description: str | None = None,
    owners: Iterable[str] = (),
    tags: Iterable[str] = (),
    group: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    checks: Iterable[Check] = (),
    io: IOManager | None = None,
    retries: int | Retry = 0,
    timeout: float | None = None,
    policy: str = "if_changed",
    columns: Mapping[str, str | Iterable[str]] | None = None,
) -> Asset:
    """Declare an asset by SQL: ``sql_asset("revenue", "select sum(amount) as total from orders")``.

    Every table that the query reads is an upstream asset, whatever its IO manager: a pandas, polars or Arrow table or a
    list of dicts. Column lineage follows from the query, and stands in the events with the SQL itself. Comments and
    formatting do not change the code version.

    Args:
        name: the asset's name.
        query: one SELECT, in DuckDB's SQL.
        returns: ``pyarrow``, ``pandas``, ``polars`` or ``records``: what those who need it are given.
        threads: for DuckDB; with more than one, rows come in another order each time unless ORDER BY says which, and
            so with another checksum.
        The rest is as of an `asset`.

    Raises:
        InvalidAsset: the query cannot be read or is no SELECT; the message says where.
        EmitterError: sqlglot or DuckDB is not installed.
    """
    frame = sys._getframe(1)
    location = SourceLocation(frame.f_code.co_filename, frame.f_lineno)
    where = f"asset '{name}' at {location}"
    if returns not in _RETURNS:
        hint = did_you_mean(str(returns), _RETURNS) or f"; give one of {', '.join(_RETURNS)}"
        raise InvalidAsset(f"{where} cannot return {returns!r}{hint}")
    lineage = _sql_lineage()
    parsed = lineage.parse(query, "duckdb", where)
    upstream = lineage.tables_of(parsed, where)
    made = SQLAsset(
        Query(name, query, upstream, returns, threads),
        name=name,
        version=version,
        namespace=namespace,
        deps=deps,
        description=description if description is not None else "",
        owners=owners,
        tags=tags,
        group=group,
        metadata=metadata,
        checks=checks,
        io=io,
        retries=retries,
        timeout=timeout,
        policy=policy,
        columns=columns,
        location=location,
    )
    made.sql, made.dialect = inspect.cleandoc(query), "duckdb"
    text = f"{lineage.code_text(query, 'duckdb')} → {returns}"
    made.__dict__.update(code_version=blake3(text.encode()).hexdigest(16), source=None)
    return made


class Query:
    """The function of such an asset: its arguments are the upstream values in order."""

    def __init__(self, name: str, text: str, upstream: Sequence[str], returns: str, threads: int) -> None:
        self.__name__ = name
        self._text = text
        self._upstream = list(upstream)
        self._returns = returns
        self._threads = threads
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(one, kind) for one in upstream])

    def __call__(self, *values: Any, **named: Any) -> Any:
        tables = dict(zip(self._upstream, values, strict=False)) | named
        try:
            import duckdb
        except ImportError as error:
            raise _not_installed("DuckDB") from error
        with duckdb.connect(":memory:", config={"threads": self._threads}) as connection:
            for name, value in tables.items():
                connection.register(name, _arrow(self.__name__, name, value))
            return _returned(connection.sql(self._text).to_arrow_table(), self._returns)


def _arrow(asset: str, name: str, value: Any) -> Any:
    if is_table(value):
        return to_arrow(value)
    if is_records(value):
        import pyarrow as pa

        return pa.table({column: [row.get(column) for row in value] for column in column_names(value)})
    raise EmitterError(
        f"the SQL of asset '{asset}' reads '{name}', which is a {type(value).__name__}; it must be a table or a list "
        "of dicts"
    )


def _returned(table: Any, returns: str) -> Any:
    if returns == "pandas":
        return table.to_pandas()
    if returns == "polars":
        import polars

        return polars.from_arrow(table)
    return table.to_pylist() if returns == "records" else table


def _sql_lineage() -> Any:
    try:
        from emitter import sql_lineage
    except ImportError as error:
        raise _not_installed("sqlglot") from error
    return sql_lineage


def _not_installed(what: str) -> EmitterError:
    return EmitterError(f"an asset by SQL needs {what}, which is not installed: pip install 'headwater[sql]'")
