"""``GET /search``: datasets and jobs by a part of their name, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from collector import keys, tables
from collector.keys import isoformat
from collector.listing import hidden_jobs, is_dataset_listed, is_job_visible, unlisted_datasets
from collector.search_index import TRIGRAMS
from collector.state import remembered
from collector.store.engines import keep_to_indexes
from collector.walk import among
from lineage.nodes import dataset_node, job_node

JSON = dict[str, Any]

_SEPARATORS = "._/-: "  # a word begins after one of these
_LONG = 9  # characters of a phrase of whose trigrams not all are looked up
GLANCE = 2_000  # names that are read before an index is asked
FEW = 1_000  # hits that are ranked and sorted rather than read in the order of names


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for. ``kind`` is ``dataset`` or ``job``, None both; times are microseconds since 1970 UTC."""

    text: str
    kind: str | None = None
    namespace: str | None = None
    before_us: int | None = None
    after_us: int | None = None
    by_time: bool = False  # newest first, in the place of best first
    in_words: bool = False  # in descriptions, columns and tags as well
    limit: int = 10
    offset: int = 0


def search(connection: Connection, query: SearchQuery) -> tuple[list[JSON], int]:
    """A page of hits: exact names first, then beginnings of names, of words, any part, then words; and how many there
    are.

    At most 20 statements. Few hits are all ranked; of many, those of each rank are read in the order of their names
    until the page is full. They are counted once in each state of the store.
    """
    keep_to_indexes(connection)
    wanted = query.text.replace("\x00", "\u2400").lower()
    terms = _Terms(connection, wanted, query.in_words)
    question = replace(query, text=wanted, by_time=False, limit=0, offset=0)
    aside: list[int] | None = remembered(connection, "aside in search", lambda: _aside(connection))
    total = remembered(connection, question, lambda: _count(connection, query, terms, aside))
    if total == 0 or query.limit == 0:
        return [], total
    limit, offset = query.limit, query.offset
    if query.by_time or _is_narrowed(query) or aside is None:
        condition = terms.condition(len(terms.ranks))
    elif total <= FEW:
        # PostgreSQL plans for few things only where it is given them
        few = terms.few(connection, len(terms.ranks))
        if few is None:
            few = connection.execute(select(_t.c.id).where(terms.condition(len(terms.ranks)))).scalars().all()
        condition = and_(among(connection, _t.c.id, few), terms.is_hit())
    else:
        condition = among(connection, _t.c.id, _in_order(connection, query, terms, aside)[offset : offset + limit])
        offset = 0
    order = (_updated.desc(), *_NAMES) if query.by_time else (terms.rank(), *_NAMES)
    rows = connection.execute(_hits(query).where(condition).order_by(*order).limit(limit).offset(offset))
    return [
        {
            "type": "JOB" if is_job else "DATASET",
            "name": name,
            "updatedAt": isoformat(updated_us),
            "namespace": namespace,
            "nodeId": str((job_node if is_job else dataset_node)(namespace, name)),
        }
        for is_job, name, namespace, updated_us in rows
    ], total


class _InBytes(FunctionElement[str]):
    """A text that is compared byte by byte, which is SQLite's way anyhow: so that one index tells where those of one
    beginning lie, and both engines put names in one order."""

    type = Text()
    inherit_cache = True


@compiles(_InBytes)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses.clauses[0], **options))


@compiles(_InBytes, "postgresql")
def _collated(element: Any, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(element.clauses.clauses[0], **options)} COLLATE "C")'


_t, _d, _j, _n = tables.search_text, tables.dataset, tables.job, tables.namespace
_name = _InBytes(func.lower(_t.c.name))
_BY_NAME = (_name, _InBytes(_t.c.name), _t.c.id)
_NAMES = (*_BY_NAME[:2], _InBytes(_n.c.name), _t.c.id)
_namespace_id = func.coalesce(_d.c.namespace_id, _j.c.namespace_id)
_updated = func.coalesce(_d.c.updated_us, _j.c.updated_us).label("updated_us")


class _Terms:
    """What a name must hold to be of each rank, as SQL and for the index of trigrams."""

    def __init__(self, connection: Connection, wanted: str, in_words: bool) -> None:
        escaped = _escaped(wanted)
        is_sqlite = connection.dialect.name == "sqlite"
        has_index: bool = remembered(
            connection, "index of search", lambda: _has_index(connection) if is_sqlite else _has_parts(connection)
        )
        self._trigrams = is_sqlite and has_index
        self._parts = not is_sqlite and has_index
        in_name = _holds(_t.c.name, wanted)
        begins = _name.like(f"{escaped}%", escape="\\")
        # neither engine sees by itself, at any parameter, that the index by name tells where these lie
        between = [_name >= wanted, _name < wanted + chr(0x10FFFF)]
        after = [f"{sign}{wanted}" for sign in _SEPARATORS]
        #: each rank's condition, and the phrases of which the index must hold one (none: it cannot be asked)
        self.ranks: list[tuple[ColumnElement[bool], str, list[str]]] = [
            (_name == wanted, "name", [wanted]),
            (and_(begins, *between), "name", [wanted]),
            (and_(in_name, or_(*(_holds(_t.c.name, one) for one in after))), "name", after),
            (in_name, "name", [wanted]),
        ]
        if in_words:
            self.ranks.append((_holds(_t.c.words, wanted), "words", [wanted]))

    def rank(self) -> ColumnElement[int]:
        """The rank of a hit."""
        return case(*((condition, number) for number, (condition, _, _) in enumerate(self.ranks)), else_=9)

    def is_hit(self) -> ColumnElement[bool]:
        """That a row is a hit of any rank, as its words say."""
        return or_(*(one for one, _, _ in self.ranks[3:]))

    def condition(self, rank: int) -> ColumnElement[bool]:
        """That a row is a hit of ``rank``; of any, where there is no such rank."""
        if rank < len(self.ranks):
            return and_(self.ranks[rank][0], *(not_(better) for better, _, _ in self.ranks[:rank]))
        hits = self.match_any()
        return _t.c.id.in_(hits) if hits is not None else self.is_hit()

    def match_any(self) -> Select[Any] | None:
        """The ids of all hits, by the index; None where it cannot be asked."""
        return self.match(*self._asked(len(self.ranks)))

    def few(self, connection: Connection, rank: int) -> Sequence[int] | None:
        """The ids of a rank's hits, or of any, and some that are none; None: they are many, or the index cannot be
        asked."""
        hits = self.match(*self._asked(rank), is_rough=True)
        found = connection.execute(hits.limit(FEW + 1)).scalars().all() if hits is not None else []
        return found if hits is not None and len(found) <= FEW else None

    def _asked(self, rank: int) -> tuple[str, list[str]]:
        """The column of a rank, or of any, and its phrases."""
        if rank < len(self.ranks):
            return self.ranks[rank][1:]
        return "" if len(self.ranks) > 4 else "name", self.ranks[3][2]

    def match(self, column: str, phrases: list[str], *, is_rough: bool = False) -> Select[Any] | None:
        """The ids that the index finds: all hits, and others where it ``is_rough``; None where it cannot be asked."""
        if min(map(len, phrases)) < 3:
            return None
        if self._parts:
            columns = [_t.c[column]] if column else [_t.c.name, _t.c.words]
            pairs = [(one, phrase) for one in columns for phrase in phrases]
            return select(_t.c.id).where(or_(*(and_(_has_trigrams(*pair), _holds(*pair)) for pair in pairs)))
        if not self._trigrams:
            return None
        wanted = " OR ".join(_parts(one) if is_rough and len(one) >= _LONG else _quoted(one) for one in phrases)
        hits = text("SELECT rowid AS id FROM search_index WHERE search_index MATCH :phrase").columns(_t.c.id)
        phrase = f"{column} : ({wanted})" if column else wanted
        return select(hits.bindparams(phrase=phrase).subquery().c.id)


def _quoted(phrase: str) -> str:
    """A phrase for FTS5."""
    return '"' + phrase.replace('"', '""') + '"'


def _parts(phrase: str) -> str:
    """That its trigrams are there, for FTS5, wherever: it reads a list for each of those that are named."""
    places = (*range(0, len(phrase) - 3, 3), len(phrase) - 3)
    return "(" + " AND ".join(_quoted(phrase[place : place + 3]) for place in places) + ")"


def _is_narrowed(query: SearchQuery) -> bool:
    return query.namespace is not None or query.before_us is not None or query.after_us is not None


def _hits(query: SearchQuery) -> Select[Any]:
    """What is shown of each thing that may be; without the condition on its name."""
    found = (
        select(_t.c.is_job, _t.c.name, _n.c.name.label("namespace"), _updated)
        .select_from(_t)
        .outerjoin(_d, and_(not_(_t.c.is_job), _d.c.id == _t.c.id))
        .outerjoin(_j, and_(_t.c.is_job, _j.c.id == _t.c.id))
        .join(_n, _n.c.id == _namespace_id)
        .where(
            or_(
                and_(_t.c.is_job, is_job_visible(_j, _n)),
                and_(
                    not_(_t.c.is_job),
                    _d.c.canonical_id == _d.c.id,
                    is_dataset_listed(_d, _n),
                ),
            )
        )
    )
    if query.kind is not None:
        found = found.where(_is_of(query.kind))
    if query.namespace is not None:
        found = found.where(_namespace_id == keys.namespace_id(keys.clean_name(query.namespace)))
    if query.before_us is not None:
        found = found.where(_updated < query.before_us)
    if query.after_us is not None:
        found = found.where(_updated >= query.after_us)
    return found


def _is_of(kind: str) -> ColumnElement[bool]:
    return _t.c.is_job if kind == "job" else not_(_t.c.is_job)


def _in_order(connection: Connection, query: SearchQuery, terms: _Terms, aside: list[int]) -> list[int]:
    """Ids up to the end of the page, rank by rank: where the index knows of few they are sorted, else names are read in
    their order."""
    found: list[int] = []
    last = query.offset + query.limit
    for rank in range(len(terms.ranks)):
        hits = select(_t.c.id).where(terms.condition(rank))
        if query.kind is not None:
            hits = hits.where(_is_of(query.kind))
        if aside:
            hits = hits.where(not_(among(connection, _t.c.id, aside)))
        wanted = last - len(found)
        found += _first(connection, hits, terms, rank, wanted)
        if len(found) >= last:
            break
    return found


def _first(connection: Connection, hits: Select[Any], terms: _Terms, rank: int, wanted: int) -> Sequence[int]:
    """The first of a rank's ``hits`` in the order of their names."""
    hits = hits.order_by(*_BY_NAME).limit(wanted)
    if rank > 1:  # those of the first two lie together in the index by name
        if connection.dialect.name != "sqlite":
            # to ask its index costs what it finds, a tenth of a second for a common word: that shows in a few names
            seen = remembered(connection, "names at a glance", lambda: _name_at(connection, GLANCE))
            glanced = connection.execute(hits.where(_name < seen)).scalars().all() if seen is not None else []
            if len(glanced) == wanted:
                return glanced
        few = terms.few(connection, rank)
        if few is not None:
            hits = hits.where(among(connection, _t.c.id, few))
    return connection.execute(hits).scalars().all()


def _name_at(connection: Connection, place: int) -> str | None:
    """The name at a place in the order of all; None: there are no so many."""
    return connection.execute(select(_name).order_by(*_BY_NAME).offset(place).limit(1)).scalar()


def _aside(connection: Connection) -> list[int] | None:
    """What is not to be shown, by indexes of such; None where a namespace is hidden: then each hit is looked at."""
    if connection.execute(select(_n.c.id).where(_n.c.hidden_us.is_not(None)).limit(1)).first() is not None:
        return None
    return [*connection.execute(unlisted_datasets()).scalars(), *connection.execute(hidden_jobs()).scalars()]


def _count(connection: Connection, query: SearchQuery, terms: _Terms, aside: list[int] | None) -> int:
    """Where nothing narrows the search all that match, without those that are not shown; else each is looked at."""
    condition = terms.condition(len(terms.ranks))
    if _is_narrowed(query) or aside is None:
        hits = _hits(query).where(condition).subquery()
        return connection.execute(select(func.count()).select_from(hits)).scalar_one()
    few = terms.few(connection, len(terms.ranks))
    if few is not None:
        condition = and_(among(connection, _t.c.id, few), terms.is_hit())
    if query.kind is not None:
        condition = and_(condition, _is_of(query.kind))
    by_index = terms.match_any() if few is None and query.kind is None else None
    all_hits = select(_t.c.id).where(condition) if by_index is None else by_index
    number: int = connection.execute(select(func.count()).select_from(all_hits.subquery())).scalar_one()
    if aside:
        left_out = select(func.count()).select_from(_t).where(among(connection, _t.c.id, aside), condition)
        number -= connection.execute(left_out).scalar_one()
    return number


def _has_index(connection: Connection) -> bool:
    found: Any = select(literal_column("1")).select_from(text("sqlite_master")).where(text("name = 'search_index'"))
    return connection.execute(found).first() is not None


def _has_parts(connection: Connection) -> bool:
    """Whether PostgreSQL has our index of trigrams; with ``pg_trgm`` it finds what a LIKE needs by itself."""
    return connection.execute(select(func.to_regproc(TRIGRAMS).is_not(None))).scalar_one()


def _holds(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    return func.lower(column).like(f"%{_escaped(wanted)}%", escape="\\")


def _has_trigrams(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    """That our index has every trigram of ``wanted`` in the column."""
    trigrams = sorted({wanted[place : place + 3] for place in range(len(wanted) - 2)})
    parts = getattr(func, TRIGRAMS)(func.lower(column), type_=postgresql.ARRAY(Text))
    return parts.op("@>")(bindparam(None, trigrams, type_=postgresql.ARRAY(Text)))


def _escaped(wanted: str) -> str:
    return wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
