"""What a query's columns are made from, by sqlglot. Pure.

sqlglot is an extra: import this only where it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from lineage.errors import UnreadableSQL

DIRECT, INDIRECT = "DIRECT", "INDIRECT"
IDENTITY, TRANSFORMATION, AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"
#: How a column is made from another, the least direct last.
KINDS = (IDENTITY, TRANSFORMATION, AGGREGATION)
#: Clauses whose columns decide which rows there are and how they are put together.
_CLAUSES = {"where": "FILTER", "having": "FILTER", "qualify": "FILTER", "group": "GROUP_BY", "order": "SORT"}


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A column of a table and how it is used, in the words of OpenLineage's columnLineage facet.

    `type` is DIRECT with a `subtype` of `KINDS`, or INDIRECT with FILTER, JOIN, GROUP_BY or SORT.
    """

    table: str
    column: str
    type: str
    subtype: str


@dataclass(frozen=True, slots=True)
class QueryColumns:
    """The result columns of a query in their order, each with its origins; `whole`: those on which the rows depend."""

    columns: tuple[tuple[str, tuple[Origin, ...]], ...]
    whole: tuple[Origin, ...]


def read_statements(sql: str, dialect: str | None) -> list[Any]:
    """The statements of a script, as sqlglot's expressions. Raises UnreadableSQL, whose message says where."""
    try:
        return [one for one in sqlglot.parse(sql, dialect=dialect) if one is not None]
    except (ParseError, TokenError) as error:
        details = getattr(error, "errors", None) or [{}]
        place = f" (line {details[0]['line']}, column {details[0]['col']})" if "line" in details[0] else ""
        told = details[0].get("description") or str(error)
        raise UnreadableSQL(f"cannot be read{place}: {told}") from error
    except ValueError as error:  # an unknown dialect
        raise UnreadableSQL(f"cannot be read: {error}") from error


def tables_read(query: exp.Query) -> list[exp.Table]:
    """The tables that a query reads from outside itself, as they stand in it: not the CTEs."""
    root = build_scope(query)
    found: dict[int, exp.Table] = {}
    for scope in root.traverse() if root else ():
        for source in scope.sources.values():
            if isinstance(source, exp.Table) and source.name:
                found[id(source)] = source
    return list(found.values())


def columns_of(query: exp.Query, dialect: str | None, tables: Mapping[str, Sequence[str]]) -> QueryColumns | None:
    """The columns of a query over ``tables``, which has the columns of each by name, as far as they are known.

    None where sqlglot cannot follow it, for example for a ``*`` of a table whose columns are not known. The query is
    changed on the way.
    """
    schema: dict[str, object] = {name: dict.fromkeys(columns, "text") for name, columns in tables.items() if columns}
    try:
        qualified: Any = qualify(query, dialect=dialect, schema=schema, validate_qualify_columns=False, identify=False)
        root = build_scope(qualified)
        if root is None or "*" in qualified.named_selects:
            return None
        walk = _Walk(root, tables)
        columns = [(name, walk.origins(root, position)) for position, name in enumerate(qualified.named_selects)]
        return QueryColumns(tuple(columns), walk.indirect())
    except (SqlglotError, RecursionError):
        return None


_Leaf = tuple[str, str]  # table, column
_Place = tuple[Scope, int]  # a query, and the position of one of its columns
_Step = tuple[_Leaf | _Place, str]  # what a column is made from at first hand, and how


class _Walk:
    """Follows columns through subqueries, CTEs and set operations down to the tables."""

    def __init__(self, root: Scope, tables: Mapping[str, Sequence[str]]) -> None:
        self._scopes = list(root.traverse())
        self._anywhere: dict[str, Any] = {}  # sources by alias, for what a subquery takes from around it
        for scope in self._scopes:
            for alias, source in scope.sources.items():
                self._anywhere.setdefault(alias, source)
        # SQL's names are not case-sensitive where they are not quoted; a dataset's columns are
        self._columns = {name: {one.lower(): one for one in columns} for name, columns in tables.items()}
        self._tables = {name.lower(): name for name in tables}
        self._positions: dict[Scope, dict[str, int]] = {}
        self._steps: dict[_Place, list[_Step]] = {}

    def origins(self, scope: Scope, position: int) -> tuple[Origin, ...]:
        """What the column at a position of a query is made from, each origin once."""
        found = self._ends([((scope, position), IDENTITY)])
        return tuple(Origin(*leaf, DIRECT, kind) for leaf, kind in sorted(found.items()))

    def indirect(self) -> tuple[Origin, ...]:
        """The columns on which the rows depend: filters, joins, groups, order."""
        found: set[Origin] = set()
        for scope in self._scopes:
            clauses = [(scope.expression.args.get(name), kind) for name, kind in _CLAUSES.items()]
            clauses += [(one.args.get("on"), "JOIN") for one in scope.expression.args.get("joins") or []]
            for clause, kind in clauses:
                if clause is not None:
                    leaves = self._ends(self._expression(scope, clause, in_clause=True))
                    found.update(Origin(*leaf, INDIRECT, kind) for leaf in leaves)
        return tuple(sorted(found))

    def _ends(self, starts: Iterable[_Step]) -> dict[_Leaf, str]:
        """The columns of tables that ``starts`` lead to, each with the least direct of its uses on any way there.

        What is shared or goes in a circle costs nothing twice: a script may double it with each CTE.
        """
        ends: dict[_Leaf, str] = {}
        seen: dict[_Leaf | _Place, int] = {}
        waiting = list(starts)
        while waiting:
            thing, kind = waiting.pop()
            rank = KINDS.index(kind)
            if seen.get(thing, -1) >= rank:
                continue
            seen[thing] = rank
            if isinstance(thing[0], Scope):
                waiting += [(one, max(kind, inner, key=KINDS.index)) for one, inner in self._step(thing[0], thing[1])]
            else:
                ends[thing] = kind
        return ends

    def _step(self, scope: Scope, position: int) -> list[_Step]:
        known = self._steps.get((scope, position))
        if known is None:
            known = self._steps[scope, position] = self._made_from(scope, position)
        return known

    def _made_from(self, scope: Scope, position: int) -> list[_Step]:
        if isinstance(scope.expression, exp.SetOperation):
            return [((one, position), IDENTITY) for one in _members(scope)]
        selects = _query(scope).selects
        return self._expression(scope, selects[position]) if position < len(selects) else []

    def _expression(self, scope: Scope, expression: exp.Expression, *, in_clause: bool = False) -> list[_Step]:
        kind = _kind(expression)
        found = [self._column(scope, column, in_clause) for column in expression.find_all(exp.Column)]
        return [(one, kind) for one in found if one is not None]

    def _column(self, scope: Scope, column: exp.Column, in_clause: bool) -> _Leaf | _Place | None:
        name = column.name.lower()
        if column.table:
            source = scope.sources.get(column.table) or self._anywhere.get(column.table)
        else:
            if in_clause and name in self._names(scope):  # ORDER BY and GROUP BY know the projections' names
                return scope, self._names(scope)[name]
            source = next(iter(scope.sources.values())) if len(scope.sources) == 1 else None
        if isinstance(source, exp.Table):
            table = self._tables.get(source.name.lower())
            return None if table is None else (table, self._columns[table].get(name, column.name))
        if isinstance(source, Scope) and name in self._names(source):
            return source, self._names(source)[name]
        return None

    def _names(self, scope: Scope) -> dict[str, int]:
        """The first position of each name among a query's columns."""
        known = self._positions.get(scope)
        if known is None:
            known = self._positions[scope] = {}
            for position, name in enumerate(_query(scope).named_selects):
                known.setdefault(name.lower(), position)
        return known


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
