"""``GET /search``: datasets and jobs by a part of their name, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, func, literal_column, not_, or_, select, text

from collector import keys, tables
from collector.keys import isoformat
from collector.listing import is_dataset_visible, is_job_visible
from lineage.nodes import dataset_node, job_node

JSON = dict[str, Any]

_SEPARATORS = "._/-: "  # a word begins after one of these


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
    are. Three statements; the time follows the number of hits."""
    t, d, j, n = tables.search_text, tables.dataset, tables.job, tables.namespace
    wanted = query.text.replace("\x00", "\u2400").lower()
    name, escaped = func.lower(t.c.name), _escaped(wanted)
    in_name = name.like(f"%{escaped}%", escape="\\")
    at_word = or_(*(name.like(f"%{_escaped(sign)}{escaped}%", escape="\\") for sign in _SEPARATORS))
    rank = case(
        (name == wanted, 0), (name.like(f"{escaped}%", escape="\\"), 1), (at_word, 2), (in_name, 3), else_=4
    ).label("rank")
    namespace_id = func.coalesce(d.c.namespace_id, j.c.namespace_id)
    updated = func.coalesce(d.c.updated_us, j.c.updated_us).label("updated_us")
    found = (
        select(t.c.is_job, t.c.name, n.c.name.label("namespace"), updated, rank, t.c.id)
        .select_from(t)
        .outerjoin(d, and_(not_(t.c.is_job), d.c.id == t.c.id))
        .outerjoin(j, and_(t.c.is_job, j.c.id == t.c.id))
        .join(n, n.c.id == namespace_id)
        .where(_matches(connection, query, wanted, in_name))
        .where(
            or_(
                and_(t.c.is_job, is_job_visible(j, n)),
                and_(
                    not_(t.c.is_job),
                    d.c.canonical_id == d.c.id,
                    func.coalesce(d.c.lifecycle, "") != "DROP",
                    is_dataset_visible(d, n),
                ),
            )
        )
    )
    if query.kind is not None:
        found = found.where(t.c.is_job if query.kind == "job" else not_(t.c.is_job))
    if query.namespace is not None:
        found = found.where(namespace_id == keys.namespace_id(keys.clean_name(query.namespace)))
    if query.before_us is not None:
        found = found.where(updated < query.before_us)
    if query.after_us is not None:
        found = found.where(updated >= query.after_us)
    total = connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    best = (updated.desc(), t.c.name, t.c.id) if query.by_time else (rank, t.c.name, n.c.name, t.c.id)
    rows = connection.execute(found.order_by(*best).limit(query.limit).offset(query.offset))
    return [
        {
            "type": "JOB" if is_job else "DATASET",
            "name": name,
            "updatedAt": isoformat(updated_us),
            "namespace": namespace,
            "nodeId": str((job_node if is_job else dataset_node)(namespace, name)),
        }
        for is_job, name, namespace, updated_us, _, _ in rows
    ], total


def _matches(connection: Connection, query: SearchQuery, wanted: str, in_name: Any) -> Any:
    t = tables.search_text
    if connection.dialect.name == "sqlite" and len(wanted) >= 3 and _has_index(connection):
        phrase = '"' + wanted.replace('"', '""') + '"'
        columns = "" if query.in_words else "name : "
        hits = text("SELECT rowid FROM search_index WHERE search_index MATCH :phrase")
        return t.c.id.in_(hits.bindparams(phrase=columns + phrase).columns(tables.search_text.c.id))
    if not query.in_words:
        return in_name
    return or_(in_name, func.lower(t.c.words).like(f"%{_escaped(wanted)}%", escape="\\"))


def _has_index(connection: Connection) -> bool:
    found: Any = select(literal_column("1")).select_from(text("sqlite_master")).where(text("name = 'search_index'"))
    return connection.execute(found).first() is not None


def _escaped(wanted: str) -> str:
    return wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
