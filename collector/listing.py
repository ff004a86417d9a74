"""Pages of jobs and datasets in the order of their names, without those that are hidden.

DELETE hides a thing, or a namespace with all in it, until something newer mentions it: visible is what has a newer word
than the newest DELETE. Few things are ever hidden, so a page is read from an index of names, and the hidden ones, from
an index of their own, are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal_column, or_, select
from sqlalchemy.sql.expression import FromClause

from collector import tables
from collector.tables import UNLISTED
from collector.walk import among


def is_job_visible(job: FromClause, namespace: FromClause) -> ColumnElement[bool]:
    """Whether a row of ``job``, joined with its namespace, is not hidden."""
    return _is_newer(job.c.updated_us, job.c.hidden_us, namespace.c.hidden_us)


def is_dataset_visible(dataset: FromClause, namespace: FromClause) -> ColumnElement[bool]:
    """Whether a canonical row of ``dataset``, joined with its namespace, is not hidden, under any of its names."""
    other = tables.dataset.alias("other_name")
    newer_under_another = exists().where(
        other.c.canonical_id == dataset.c.id,
        other.c.id != dataset.c.id,
        _is_newer(other.c.updated_us, dataset.c.hidden_us, namespace.c.hidden_us),
    )
    return or_(_is_newer(dataset.c.updated_us, dataset.c.hidden_us, namespace.c.hidden_us), newer_under_another)


def _is_newer(at: Any, *hidden: Any) -> ColumnElement[bool]:
    return and_(*(or_(one.is_(None), at > one) for one in hidden))


def hidden_among(connection: Connection, table: tables.Table, ids: Iterable[int]) -> set[int]:
    """Those of ``ids`` (of ``tables.job``, or canonical ones of ``tables.dataset``) that are hidden: one statement."""
    n = tables.namespace
    is_visible = is_job_visible if table is tables.job else is_dataset_visible
    query = (
        select(table.c.id)
        .join(n, n.c.id == table.c.namespace_id)
        .where(
            among(connection, table.c.id, ids),
            or_(table.c.hidden_us.is_not(None), n.c.hidden_us.is_not(None)),
            ~is_visible(table, n),
        )
    )
    return set(connection.execute(query).scalars())


def page_of_datasets(connection: Connection, namespace_id: int, limit: int, offset: int) -> tuple[list[int], int]:
    """Canonical ids of a namespace's datasets by name, and how many there are: at most four statements."""
    d, n = tables.dataset, tables.namespace
    if _hidden_us(connection, namespace_id) is not None:
        where = and_(d.c.namespace_id == namespace_id, d.c.canonical_id == d.c.id, is_dataset_visible(d, n))
        joined = d.join(n, n.c.id == d.c.namespace_id)
        return _page(connection, select(d.c.id).select_from(joined).where(where), (d.c.name, d.c.id), limit, offset)
    unlisted = (
        select(d.c.id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(d.c.namespace_id == namespace_id, literal_column(f"({_of('dataset')})"))
        .where(or_(d.c.canonical_id != d.c.id, d.c.lifecycle == "DROP", ~is_dataset_visible(d, n)))
    )
    return _page_without(connection, d, d.c.namespace_id == namespace_id, unlisted, limit, offset)


def page_of_jobs(
    connection: Connection, namespace_id: int | None, states: Collection[str], limit: int, offset: int
) -> tuple[list[int], int]:
    """Ids of the jobs by name, of one namespace or all, and how many there are: at most four statements.

    Only those whose newest run is in one of ``states`` where given, which reads every job's newest run.
    """
    j, n, r = tables.job, tables.namespace, tables.run
    inside = j.c.namespace_id == namespace_id if namespace_id is not None else j.c.id.is_not(None)
    if states or _is_any_hidden(connection, namespace_id):
        joined = j.join(n, n.c.id == j.c.namespace_id)
        query = select(j.c.id).where(inside, is_job_visible(j, n))
        if states:
            joined = joined.join(r, r.c.id == j.c.latest_run)
            query = query.where(r.c.state.in_(list(states)))
        return _page(connection, query.select_from(joined), (j.c.name, j.c.id), limit, offset)
    hidden = select(j.c.id).where(inside, j.c.hidden_us.is_not(None), j.c.updated_us <= j.c.hidden_us)
    return _page_without(connection, j, inside, hidden, limit, offset)


def page_of_runs(connection: Connection, job_id: int, limit: int, offset: int) -> tuple[list[int], int]:
    """Ids of a job's runs, newest first, and how many there are: two statements."""
    r = tables.run.c
    total = connection.execute(select(func.count()).select_from(tables.run).where(r.job_id == job_id)).scalar_one()
    query = select(r.id).where(r.job_id == job_id).order_by(r.created_us.desc(), r.run_key.desc())
    return list(connection.execute(query.limit(limit).offset(offset)).scalars()), total


def _page_without(
    connection: Connection, table: tables.Table, inside: Any, left_out: Any, limit: int, offset: int
) -> tuple[list[int], int]:
    """A page by the index of names alone, without the few that ``left_out`` finds by an index of their own."""
    out = list(connection.execute(left_out).scalars())
    total = connection.execute(select(func.count()).select_from(table).where(inside)).scalar_one() - len(out)
    query = select(table.c.id).where(inside).order_by(table.c.name, table.c.id).limit(limit).offset(offset)
    if out:
        query = query.where(~among(connection, table.c.id, out))
    return list(connection.execute(query).scalars()), total


def _page(connection: Connection, query: Any, order: Any, limit: int, offset: int) -> tuple[list[int], int]:
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return list(connection.execute(query.order_by(*order).limit(limit).offset(offset)).scalars()), total


def _hidden_us(connection: Connection, namespace_id: int) -> int | None:
    n = tables.namespace.c
    found: int | None = connection.execute(select(n.hidden_us).where(n.id == namespace_id)).scalar()
    return found


def _is_any_hidden(connection: Connection, namespace_id: int | None) -> bool:
    n = tables.namespace.c
    query = select(n.id).where(n.hidden_us.is_not(None)).limit(1)
    if namespace_id is not None:
        query = query.where(n.id == namespace_id)
    return connection.execute(query).first() is not None


def _of(table: str) -> str:
    """The condition of the index of unlisted datasets, word for word, so that the index is used."""
    text = UNLISTED
    for column in ("hidden_us", "canonical_id", "lifecycle"):
        text = text.replace(column, f"{table}.{column}")
    return text.replace("<> id", f"<> {table}.id")
