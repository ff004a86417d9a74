"""What a job's SQL says about the columns of the tables that it writes. Pure; needs sqlglot.

Each statement that writes becomes the SELECT of what it writes: INSERT, CREATE … AS, SELECT … INTO, MERGE, UPDATE. A
script may be hostile: what would grow without bound in sqlglot's hands is refused before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import Scope, build_scope

from lineage.errors import UnreadableSQL
from lineage.sql_columns import KINDS, Origin, columns_of, read_statements, tables_read

MAX_LENGTH = 200_000  # characters: generated MERGEs of wide tables have 50,000
MAX_NESTING = 50  # brackets in brackets
MAX_SELECTS = 300
MAX_COLUMNS = 20_000  # that stars make, and what aliases of aliases grow to
_BRACKETS = re.compile(r"[()\[\]{}]")
_WORD = re.compile(r"([\"`\[]?)(\w+)")
_SELECT = re.compile(r"\bselect\b", re.IGNORECASE)


class SQLTable(NamedTuple):
    """A dataset as SQL may name it: its id, its names (symlinks too), its columns as far as they are known."""

    id: int
    names: tuple[str, ...]
    columns: tuple[str, ...]


class SQLEdge(NamedTuple):
    """A column made from a column; column ``''`` is the dataset as a whole."""

    destination: int
    column: str
    origin: int
    origin_column: str
    type: str
    subtype: str


class AmbiguousName(UnreadableSQL):
    """A table's name that fits several of a job's datasets."""


@dataclass(slots=True)
class _Written:
    """What is known of a table that a script has written: the origins of its columns, and of its rows."""

    columns: dict[str, set[Origin]] = field(default_factory=dict)
    whole: set[Origin] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Writing:
    """A statement as a query. No ``target``: a SELECT alone; no ``columns``: the query's own names count."""

    target: exp.Table | None
    query: exp.Query
    columns: Sequence[str] = ()


def edges_of_script(
    sql: str, dialect: str | None, inputs: Collection[SQLTable], outputs: Collection[SQLTable]
) -> list[SQLEdge]:
    """The column edges of a script that reads ``inputs`` and writes ``outputs``, sorted.

    Raises UnreadableSQL: it cannot be parsed, is too large to be followed, or names a table that could be several.
    """
    _check_text(sql)
    spelling = _spelling(sql, dialect)
    # names in events come from many hands, and few of them as an engine would spell them
    dialect = f"{dialect or ''}, normalization_strategy=case_insensitive"
    statements = [normalize_identifiers(one, dialect=dialect) for one in read_statements(sql, dialect)]
    script = _Script(dialect, inputs, outputs, spelling)
    for statement in statements:
        for writing in _writings(statement, script):
            script.add(writing)
    return script.edges()


class _Script:
    """The tables of a script, and what it has written so far."""

    def __init__(
        self,
        dialect: str | None,
        inputs: Collection[SQLTable],
        outputs: Collection[SQLTable],
        spelling: Mapping[str, str],
    ) -> None:
        self._dialect = dialect
        self._inputs, self._outputs = _Names(inputs), _Names(outputs)
        self._only = next(iter(outputs)) if len(outputs) == 1 else None
        self._spelling = spelling
        self._written: dict[int, _Written] = {}  # outputs, by id
        self._by_id = {one.id: one for one in (*inputs, *outputs)}
        self._own: dict[tuple[str, ...], _Written] = {}  # tables of the script's own, by lower-case parts
        self._alone: list[_Writing] = []

    def columns(self, table: exp.Table) -> tuple[str, ...]:
        """The known columns of a table that is written."""
        found = self._outputs.find(_parts(table))
        return found.columns if found else ()

    def add(self, writing: _Writing) -> None:
        """Take in what a statement writes."""
        if writing.target is None:
            self._alone.append(writing)
            return
        output = self._outputs.find(_parts(writing.target))
        if output is not None:
            self._note(self._written.setdefault(output.id, _Written()), writing)
        else:
            key = tuple(part.lower() for part in _parts(writing.target))
            self._note(self._own.setdefault(key, _Written()), writing)

    def edges(self) -> list[SQLEdge]:
        """The edges between the job's datasets."""
        if not self._written and not self._own and len(self._alone) == 1 and self._only is not None:
            # a model's SELECT, as dbt sends it: its result is the job's output
            self._note(self._written.setdefault(self._only.id, _Written()), self._alone[0])
        found: set[SQLEdge] = set()
        reread = {one.id for one in self._inputs.tables}
        for output, written in self._written.items():
            spelt = {one.lower(): one for one in self._by_id[output].columns}
            for column, origins in (*written.columns.items(), ("", written.whole)):
                name = spelt.get(column.lower()) or self._spelling.get(column) or _as_origin(column, origins)
                for one in origins:
                    # a MERGE looks at what it changes, which is no input unless the job says so
                    if int(one.table) != output or output in reread:
                        found.add(SQLEdge(output, name, int(one.table), one.column, one.type, one.subtype))
        return sorted(found)

    def _note(self, into: _Written, writing: _Writing) -> None:
        tables, own = self._name_tables(writing.query)
        _check_size(writing.query, tables)
        found = columns_of(writing.query, self._dialect, tables)
        if found is None:
            return
        names: Sequence[str] = [name for name, _ in found.columns]
        if writing.columns:
            if len(writing.columns) < len(names):
                return  # a schema of another time than the SQL
            names = writing.columns
        for name, (_, origins) in zip(names, found.columns, strict=False):
            columns = into.columns.setdefault(name, set())
            for one in origins:
                columns.update(self._resolved(one, own))
        for one in found.whole:
            into.whole.update(self._resolved(one, own))
        for written in own.values():
            into.whole.update(written.whole)

    def _name_tables(self, query: exp.Query) -> tuple[dict[str, Sequence[str]], dict[str, _Written]]:
        """Put names of ours for the tables that the query reads: their columns by it, and the script's own tables.

        A dataset's name is ``t`` and its id. A table that is none of the job's keeps its name.
        """
        tables: dict[str, Sequence[str]] = {}
        own: dict[str, _Written] = {}
        renamed: set[tuple[str, str]] = set()
        for table in tables_read(query):
            parts = _parts(table)
            written = self._own.get(tuple(part.lower() for part in parts))
            if written is not None:
                name = f"own{len(own)}"
                own[name], tables[name] = written, tuple(written.columns)
            else:
                dataset = self._find(parts)
                if dataset is None:
                    continue
                name = f"t{dataset.id}"
                tables[name] = dataset.columns
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
            if table.db:
                renamed.add((table.db, table.name))
            table.set("this", exp.to_identifier(name))
            table.set("db", None)
            table.set("catalog", None)
        if renamed:
            for column in query.find_all(exp.Column):
                if (column.db, column.table) in renamed:  # main.orders.id: the alias is orders
                    column.set("db", None)
                    column.set("catalog", None)
        return tables, own

    def _find(self, parts: Sequence[str]) -> SQLTable | None:
        """The dataset that is read: an input, or an output that a statement before has written."""
        found = self._inputs.find(parts)
        if found is None:
            found = self._outputs.find(parts)
            found = found if found is not None and found.id in self._written else None
        return found

    def _resolved(self, origin: Origin, own: Mapping[str, _Written]) -> Iterator[Origin]:
        """An origin in a dataset; for one in a table of the script's own, what that column is made from."""
        written = own.get(origin.table)
        if written is None:
            column = origin.column
            dataset = self._by_id[int(origin.table[1:])]
            if column.lower() not in {one.lower() for one in dataset.columns}:
                column = self._spelling.get(column, column)
            yield Origin(str(dataset.id), column, origin.type, origin.subtype)
            return
        for one in written.columns.get(origin.column, ()):
            if origin.subtype in KINDS:
                yield Origin(one.table, one.column, one.type, max(one.subtype, origin.subtype, key=KINDS.index))
            else:
                yield Origin(one.table, one.column, origin.type, origin.subtype)


class _Names:
    """Finding a job's datasets by the names that SQL uses: the last parts of theirs, or theirs the last of it."""

    def __init__(self, tables: Collection[SQLTable]) -> None:
        self.tables = tables
        self._known: dict[str, list[tuple[tuple[str, ...], SQLTable]]] = {}
        for table in tables:
            for name in table.names:
                parts = tuple(part for part in re.split(r"[./]", name) if part)
                if parts:
                    self._known.setdefault(parts[-1].lower(), []).append((parts, table))

    def find(self, parts: Sequence[str]) -> SQLTable | None:
        """The dataset that shares most parts. Raises AmbiguousName where several do."""
        best: dict[int, dict[int, SQLTable]] = {}
        for known, table in self._known.get(parts[-1].lower(), ()):
            shared = min(len(known), len(parts))
            if [one.lower() for one in parts[-shared:]] == [one.lower() for one in known[-shared:]]:
                best.setdefault(shared, {})[table.id] = table
        if not best:
            return None
        found = best[max(best)]
        if len(found) > 1:
            raise AmbiguousName(f"names {'.'.join(parts)}, which fits {len(found)} datasets of the job")
        return next(iter(found.values()))


def _as_origin(column: str, origins: Iterable[Origin]) -> str:
    """The column as the one of its origins is spelt that has its name: what a star makes."""
    return next((one.column for one in sorted(origins) if one.column.lower() == column), column)


def _parts(table: exp.Table) -> list[str]:
    return [one.name for one in table.parts if one.name] or [table.name]


# --- statements ------------------------------------------------------------------------------------------------------


def _writings(statement: Any, script: _Script) -> Iterator[_Writing]:
    """What a statement writes, as queries."""
    match statement:
        case exp.Select() if isinstance(into := statement.args.get("into"), exp.Into):
            statement.set("into", None)
            if isinstance(into.this, exp.Table):
                yield _Writing(into.this, statement)
        case exp.Query():
            yield _Writing(None, statement)
        case exp.Insert() | exp.Create() if isinstance(query := _query_of(statement), exp.Query):
            target, columns = _target(statement.this)
            if target is None:
                return
            if isinstance(statement, exp.Insert) and not columns and not statement.args.get("by_name"):
                partition = target.args.get("partition") or statement.args.get("partition")
                columns = _positional(script.columns(target), partition)
            yield _Writing(target, query, columns)
        case exp.Merge():
            yield from _of_merge(statement)
        case exp.Update():
            yield from _of_update(statement)


def _query_of(statement: exp.Insert | exp.Create) -> Any:
    """The query of a statement, with the CTEs that stand before the statement."""
    query = statement.expression
    if isinstance(query, exp.Query):
        _move_with(statement, query)
    return query


def _argument(expression: Any, name: str) -> Any:
    """An argument whose name is a word of Python's; sqlglot has spelt them differently over time."""
    return expression.args.get(f"{name}_") or expression.args.get(name)


def _move_with(statement: Any, query: Any) -> None:
    before, own = _argument(statement, "with"), _argument(query, "with")
    if before is not None:
        if own is not None:
            own.set("expressions", [*before.expressions, *own.expressions])
        else:
            query.set("with_" if "with_" in statement.arg_types else "with", before.copy())


def _target(written: Any) -> tuple[exp.Table | None, list[str]]:
    """The table that is written, and its columns where they are listed."""
    columns: list[str] = []
    if isinstance(written, exp.Schema):
        columns = [one.name for one in written.expressions if isinstance(one, exp.Identifier | exp.ColumnDef)]
        written = written.this
    return (written, columns) if isinstance(written, exp.Table) else (None, [])


def _positional(columns: Sequence[str], partition: Any) -> list[str]:
    """The columns in the order in which an INSERT without a list gives them: Hive's partitions last, or not at all."""
    if not partition:
        return list(columns)
    fixed = {one.this.name.lower() for one in partition.expressions if isinstance(one, exp.EQ)}
    last = [one.name for one in partition.expressions if not isinstance(one, exp.EQ)]
    aside = fixed | {one.lower() for one in last}
    return [one for one in columns if one.lower() not in aside] + last if columns else []


def _of_merge(merge: exp.Merge) -> Iterator[_Writing]:
    target, source, on = merge.this, merge.args["using"], merge.args.get("on")
    if not isinstance(target, exp.Table):
        return
    written = target.copy()
    written.set("alias", None)
    whens = merge.args.get("whens")
    for when in whens.expressions if isinstance(whens, exp.Whens) else whens or ():
        names, values = _of_branch(when.args.get("then"), source)
        if not names:
            continue
        query = exp.select(*values).from_(source.copy()).join(target.copy(), on=on.copy() if on else None)
        condition = when.args.get("condition")
        if condition is not None:
            query = query.where(condition.copy())
        _move_with(merge, query)
        yield _Writing(written, query, [] if names == ["*"] else names)


def _of_branch(then: Any, source: Any) -> tuple[list[str], list[Any]]:
    """The columns that a branch of a MERGE sets, and to what; ``*`` for all of the source's."""
    pairs: list[tuple[str, Any]] = []
    if isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple) and isinstance(then.expression, exp.Tuple):
        pairs = [(a.name, b) for a, b in zip(then.this.expressions, then.expression.expressions, strict=False)]
    elif isinstance(then, exp.Update) and _set(then):
        pairs = _set(then)
    elif isinstance(then, exp.Insert | exp.Update) and then.find(exp.Star) and source.alias_or_name:
        return ["*"], [exp.Column(this=exp.Star(), table=exp.to_identifier(source.alias_or_name, quoted=True))]
    return _projected(pairs)


def _projected(pairs: Sequence[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    return [name for name, _ in pairs], [
        exp.alias_(value.copy(), f"c{number}") for number, (_, value) in enumerate(pairs) if value is not None
    ]


def _set(update: exp.Update) -> list[tuple[str, Any]]:
    found = [one for one in update.expressions if isinstance(one, exp.EQ)]
    return [(one.this.name, one.expression) for one in found if isinstance(one.this, exp.Column | exp.Identifier)]


def _of_update(update: exp.Update) -> Iterator[_Writing]:
    target = update.this
    if not isinstance(target, exp.Table) or not _set(update):
        return
    names, values = _projected(_set(update))
    read = target.copy()
    joins = read.args.get("joins") or []
    read.set("joins", None)
    query = exp.select(*values).from_(read)
    given = _argument(update, "from")
    others = [given.this.copy()] if given is not None else []
    for one in others:
        joins = [*joins, *(one.args.get("joins") or [])]
        one.set("joins", None)
        query = query.join(one, join_type="cross")
    for join in joins:
        query.append("joins", join.copy())
    where = update.args.get("where")
    if where is not None:
        query = query.where(where.this.copy())
    _move_with(update, query)
    written = target.copy()
    written.set("alias", None)
    written.set("joins", None)
    yield _Writing(written, query, names)


# --- bounds ----------------------------------------------------------------------------------------------------------


def _check_text(sql: str) -> None:
    if len(sql) > MAX_LENGTH:
        raise UnreadableSQL(f"has {len(sql)} characters; more than {MAX_LENGTH} are not read")
    depth = 0
    for bracket in _BRACKETS.finditer(sql):
        depth += 1 if bracket[0] in "([{" else -1
        if depth > MAX_NESTING:
            raise UnreadableSQL(f"nests more than {MAX_NESTING} brackets")
    if sum(1 for _ in _SELECT.finditer(sql)) > MAX_SELECTS:
        raise UnreadableSQL(f"has more than {MAX_SELECTS} SELECTs")


def _check_size(query: exp.Query, tables: Mapping[str, Sequence[str]]) -> None:
    """Raise UnreadableSQL where stars of stars, or aliases of aliases, would grow past all bounds."""
    root = build_scope(query)
    widths: dict[Scope, int] = {}
    total = 0
    for scope in root.traverse() if root else ():
        widths[scope] = width = _width(scope, widths, tables)
        total += width + _alias_growth(scope)
        if total > MAX_COLUMNS:
            raise UnreadableSQL(f"makes more than {MAX_COLUMNS} columns")


def _width(scope: Scope, widths: Mapping[Scope, int], tables: Mapping[str, Sequence[str]]) -> int:
    """How many columns a query will have once its stars are written out, about."""
    wide: dict[str, int] = {}
    for alias, source in scope.sources.items():
        known = widths.get(source, 1) if isinstance(source, Scope) else len(tables.get(source.name, ()))
        wide[alias] = max(known, 1)
    selects = scope.expression.selects if isinstance(scope.expression, exp.Query) else ()
    total = 0
    for one in selects:
        inner = one.unalias()
        if isinstance(inner, exp.Star):
            total += sum(wide[alias] for alias in scope.selected_sources if alias in wide)
        elif isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star):
            total += wide.get(inner.table, 1)
        else:
            total += 1
    return max(total, 1)


def _alias_growth(scope: Scope) -> int:
    """How much sqlglot's writing out of aliases in later columns, filters and groups adds."""
    if not isinstance(scope.expression, exp.Select):
        return 0
    sizes: dict[str, int] = {}
    total = 0
    clauses = [scope.expression.args.get(name) for name in ("where", "group", "having", "qualify", "order")]
    for one in (*scope.expression.selects, *(clause for clause in clauses if clause is not None)):
        used = sum(sizes.get(column.name, 0) for column in one.find_all(exp.Column) if not column.table) if sizes else 0
        total += used
        if total > MAX_COLUMNS:
            break
        if isinstance(one, exp.Alias):
            sizes[one.alias] = 1 + used
    return total


def _spelling(sql: str, dialect: str | None) -> dict[str, str]:
    """How the engine spells the names in the SQL, by what they are in lower case, where that is not the same."""
    strategy = Dialect.get_or_raise(dialect).normalization_strategy
    found: dict[str, str] = {}
    for quote, word in _WORD.findall(sql):
        spelt = word
        if not quote and strategy is NormalizationStrategy.LOWERCASE:
            spelt = word.lower()
        elif not quote and strategy is NormalizationStrategy.UPPERCASE:
            spelt = word.upper()
        if spelt != word.lower():
            found.setdefault(word.lower(), spelt)
    return found
