"""What a SELECT over upstream assets reads, and which of their columns each of its columns is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from emitter.column_lineage import WHOLE, ColumnLineage, ColumnOrigin
from emitter.errors import InvalidAsset
from lineage.errors import UnreadableSQL
from lineage.sql_columns import Origin, columns_of, read_statements, tables_read

#: Kinds of tokens whose case matters.
_CASED = frozenset(
    {"VAR", "IDENTIFIER", "STRING", "RAW_STRING", "NATIONAL_STRING", "UNICODE_STRING", "HEREDOC_STRING", "BYTE_STRING"}
)


def parse(sql: str, dialect: str | None, where: str) -> exp.Query:
    """The SQL as one SELECT. Raises InvalidAsset, with line and column, for what cannot be read or is none."""
    try:
        statements = read_statements(sql, dialect)
    except UnreadableSQL as error:
        raise InvalidAsset(f"the SQL of {where} {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        found = f"{len(statements)} statements" if len(statements) != 1 else statements[0].key.upper()
        raise InvalidAsset(f"the SQL of {where} must be one SELECT, not {found}: its result is the asset")
    return statements[0]


def tables_of(query: exp.Query, where: str) -> list[str]:
    """The names of the tables that a query reads from outside itself, in order of first mention."""
    found: dict[str, None] = {}
    for table in tables_read(query):
        if table.db:
            raise InvalidAsset(
                f"the SQL of {where} reads {table.sql()}; a table is an upstream asset, named without a schema"
            )
        found[table.name] = None
    order = [one.name for one in query.find_all(exp.Table)]
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def code_text(sql: str, dialect: str | None) -> str:
    """A text that stays the same where only comments and formatting change."""
    tokens = sqlglot.tokenize(sql, read=dialect)
    # keywords are the same in either case; names and texts are not
    return " ".join(
        f"{one.token_type.name}:{one.text if one.token_type.name in _CASED else one.text.upper()}" for one in tokens
    )


def lineage_of_sql(sql: str, dialect: str | None, upstream: Mapping[str, Sequence[str]]) -> ColumnLineage:
    """The column lineage of a SELECT; `upstream` has the columns of each table, as far as they are known.

    Empty where sqlglot cannot follow it, for example for a ``*`` of a table whose columns are not known.
    """
    try:
        statements = read_statements(sql, dialect)
    except UnreadableSQL:
        return {}
    found = columns_of(statements[0], dialect, upstream) if len(statements) == 1 else None
    if found is None:
        return {}
    lineage = {name: _of_assets(origins) for name, origins in dict(found.columns).items() if origins}
    if found.whole:
        lineage[WHOLE] = _of_assets(found.whole)
    return lineage


def _of_assets(origins: Iterable[Origin]) -> tuple[ColumnOrigin, ...]:
    return tuple(ColumnOrigin(one.table, one.column, one.type, one.subtype) for one in origins)
