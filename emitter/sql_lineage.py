"""What a SELECT reads, and which columns each of its columns is made from, by sqlglot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, SqlglotError, TokenError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from emitter.column_lineage import WHOLE, ColumnLineage, ColumnOrigin
from emitter.errors import InvalidAsset

IDENTITY, TRANSFORMATION, AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"
_RANK = {IDENTITY: 0, TRANSFORMATION: 1, AGGREGATION: 2}
#: Clauses whose columns decide which rows there are and how they are put together.
_CLAUSES = {"where": "FILTER", "having": "FILTER", "qualify": "FILTER", "group": "GROUP_BY", "order": "SORT"}

#: Kinds of tokens whose case matters.
_CASED = frozenset(
    {"VAR", "IDENTIFIER", "STRING", "RAW_STRING", "NATIONAL_STRING", "UNICODE_STRING", "HEREDOC_STRING", "BYTE_STRING"}
)

_Origin = tuple[str, str, str]


def parse(sql: str, dialect: str | None, where: str) -> exp.Query:
    """The SQL as one SELECT. Raises InvalidAsset, with line and column, for what cannot be read or is none."""
    try:
        statements = [one for one in sqlglot.parse(sql, dialect=dialect) if one is not None]
    except (ParseError, TokenError) as error:
        details = getattr(error, "errors", None) or [{}]
        place = f" (line {details[0]['line']}, column {details[0]['col']})" if "line" in details[0] else ""
        told = details[0].get("description") or str(error)
        raise InvalidAsset(f"the SQL of {where} cannot be read{place}: {told}") from error
    except ValueError as error:  # an unknown dialect
        raise InvalidAsset(f"the SQL of {where} cannot be read: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        found = f"{len(statements)} statements" if len(statements) != 1 else statements[0].key.upper()
        raise InvalidAsset(f"the SQL of {where} must be one SELECT, not {found}: its result is the asset")
    return statements[0]


def tables_of(query: exp.Query, where: str) -> list[str]:
    """The names of the tables that a query reads from outside itself, in order of first mention."""
    root = build_scope(query)
    found: dict[str, None] = {}
    for scope in root.traverse() if root else ():
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                if source.db:
                    raise InvalidAsset(
                        f"the SQL of {where} reads {source.sql()}; a table is an upstream asset, named without a schema"
                    )
                if source.name:
                    found[source.name] = None
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
    schema: dict[str, object] = {name: dict.fromkeys(columns, "text") for name, columns in upstream.items() if columns}
    try:
        query: Any = qualify(
            sqlglot.parse_one(sql, dialect=dialect),
            dialect=dialect,
            schema=schema,
            validate_qualify_columns=False,
            identify=False,
        )
        root = build_scope(query)
        if root is None:
            return {}
        walk = _Walk(root, upstream)
        found = {
            name: walk.origins(walk.projection(root, position))
            for position, name in enumerate(query.named_selects)
            if name != "*"
        }
        if "*" in query.named_selects:
            return {}
    except (OptimizeError, SqlglotError, RecursionError):
        return {}
    lineage: ColumnLineage = {name: origins for name, origins in found.items() if origins}
    if whole := walk.indirect():
        lineage[WHOLE] = whole
    return lineage


class _Walk:
    """Follows columns through subqueries, CTEs and set operations down to the tables."""

    def __init__(self, root: Scope, upstream: Mapping[str, Sequence[str]]) -> None:
        self._root = root
        self._scopes = list(root.traverse())
        # SQL's names are not case-sensitive where they are not quoted; a dataset's columns are
        self._columns = {name: {one.lower(): one for one in columns} for name, columns in upstream.items()}
        self._tables = {name.lower(): name for name in upstream}

    def origins(self, found: Iterator[_Origin]) -> tuple[ColumnOrigin, ...]:
        """The origins, each once, with the least direct of its uses."""
        kinds: dict[tuple[str, str], str] = {}
        for table, column, kind in found:
            before = kinds.get((table, column), IDENTITY)
            kinds[table, column] = max(before, kind, key=_RANK.__getitem__)
        return tuple(ColumnOrigin(*pair, "DIRECT", kind) for pair, kind in sorted(kinds.items()))

    def projection(self, scope: Scope, position: int) -> Iterator[_Origin]:
        """What the column at a position of a query is made from."""
        if isinstance(scope.expression, exp.SetOperation):
            for one in _members(scope):
                yield from self.projection(one, position)
            return
        selects = _query(scope).selects
        if position < len(selects):
            yield from self._expression(scope, selects[position])

    def indirect(self) -> tuple[ColumnOrigin, ...]:
        """The columns on which the rows depend: filters, joins, groups, order."""
        found: dict[ColumnOrigin, None] = {}
        for scope in self._scopes:
            clauses = [(scope.expression.args.get(name), kind) for name, kind in _CLAUSES.items()]
            clauses += [(one.args.get("on"), "JOIN") for one in scope.expression.args.get("joins") or []]
            for clause, kind in clauses:
                if clause is not None:
                    for table, column, _ in self._expression(scope, clause, in_clause=True):
                        found[ColumnOrigin(table, column, "INDIRECT", kind)] = None
        return tuple(sorted(found))

    def _expression(self, scope: Scope, expression: exp.Expression, *, in_clause: bool = False) -> Iterator[_Origin]:
        kind = _kind(expression)
        for column in expression.find_all(exp.Column):
            for table, name, inner in self._column(scope, column, in_clause):
                yield table, name, max(kind, inner, key=_RANK.__getitem__)

    def _column(self, scope: Scope, column: exp.Column, in_clause: bool) -> Iterator[_Origin]:
        holders = [scope, *(one for one in self._scopes if one is not scope)]
        source: Any = next((one.sources[column.table] for one in holders if column.table in one.sources), None)
        if not column.table:
            names = [one.lower() for one in _query(scope).named_selects]
            if in_clause and column.name.lower() in names:  # ORDER BY and GROUP BY know the projections' names
                yield from self.projection(scope, names.index(column.name.lower()))
                return
            source = next(iter(scope.sources.values())) if len(scope.sources) == 1 else None
        if isinstance(source, exp.Table):
            table = self._tables.get(source.name.lower())
            if table is not None:
                yield table, self._columns[table].get(column.name.lower(), column.name), IDENTITY
        elif isinstance(source, Scope):
            names = [one.lower() for one in _query(source).named_selects]
            if column.name.lower() in names:
                yield from self.projection(source, names.index(column.name.lower()))


def _query(scope: Scope) -> Any:
    """The query of a scope; sqlglot types it more widely."""
    return scope.expression


def _members(scope: Scope) -> list[Scope]:
    """The queries of a set operation; sqlglot has named them differently over time."""
    members: list[Scope] = getattr(scope, "set_operation_scopes", None) or getattr(scope, "union_scopes", None) or []
    return members


def _kind(expression: exp.Expression) -> str:
    inner = expression.unalias()
    if isinstance(inner, exp.Column):
        return IDENTITY
    return AGGREGATION if inner.find(exp.AggFunc) else TRANSFORMATION
