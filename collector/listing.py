"""Pages of jobs and datasets in the order of their names, without those that are hidden.

DELETE hides a thing, or a namespace with all in it, until something newer mentions it: visible is what has a newer word
than the newest DELETE. Few things are ever hidden, so a page is read from an index of names, and the hidden ones, from
an index of their own, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.expression import FromClause

from collector import tables
from collector.state import remembered
from collector.store.compiled import Among, Statement, given, statement
from collector.tables import UNLISTED
from collector.walk import among

Place = tuple[str, int]  # name and id: where in a listing something stands
_MOST_PLACES = 1_000  # that are remembered of one listing


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


def is_dataset_listed(dataset: FromClause, namespace: FromClause) -> ColumnElement[bool]:
    """Whether a canonical row of ``dataset`` is neither hidden nor dropped."""
    return and_(is_dataset_visible(dataset, namespace), func.coalesce(dataset.c.lifecycle, "") != "DROP")


def _is_newer(at: Any, *hidden: Any) -> ColumnElement[bool]:
    return and_(*(or_(one.is_(None), at > one) for one in hidden))


def hidden_among(connection: Connection, table: tables.Table, ids: Iterable[int]) -> set[int]:
    """Those of ``ids`` (of ``tables.job``, or canonical ones of ``tables.dataset``) that are hidden: one statement."""
    return {one for (one,) in (_hidden_jobs if table is tables.job else _hidden_datasets)(connection, ids)}


def _hidden(table: tables.Table, is_visible: Any) -> Statement:
    n = tables.namespace
    query = (
        select(table.c.id)
        .join(n, n.c.id == table.c.namespace_id)
        .where(or_(table.c.hidden_us.is_not(None), n.c.hidden_us.is_not(None)), ~is_visible(table, n))
    )
    return statement(lambda among: query.where(among(table.c.id)))


_hidden_jobs = _hidden(tables.job, is_job_visible)
_hidden_datasets = _hidden(tables.dataset, is_dataset_visible)


@statement
def _hidden_namespaces(among: Among) -> Any:
    n = tables.namespace.c
    return select(n.id, n.hidden_us).where(n.hidden_us.is_not(None))


class Hides:
    """What a DELETE hides, told by rows that are at hand: one statement, over the namespaces alone."""

    def __init__(self, connection: Connection) -> None:
        self._namespaces: dict[int, int] = dict(_hidden_namespaces(connection))

    def is_hidden(self, namespace_id: int, hidden_us: int | None, updated_us: Iterable[int]) -> bool:
        """Whether a thing is hidden that was mentioned at ``updated_us``, a time for each of its names."""
        of_namespace = self._namespaces.get(namespace_id)
        if hidden_us is None and of_namespace is None:
            return False
        last = max(one for one in (hidden_us, of_namespace) if one is not None)
        return all(at <= last for at in updated_us)


def unlisted_datasets() -> Select[tuple[int]]:
    """Ids of the datasets, and other names of datasets, that no list shows, by an index of such."""
    d, n = tables.dataset, tables.namespace
    return (
        select(d.c.id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(literal_column(f"({_of('dataset')})"))
        .where(or_(d.c.canonical_id != d.c.id, d.c.lifecycle == "DROP", ~is_dataset_visible(d, n)))
    )


def hidden_jobs() -> Select[tuple[int]]:
    """Ids of the jobs that are hidden by themselves, by an index of such."""
    j = tables.job.c
    return select(j.id).where(j.hidden_us.is_not(None), j.updated_us <= j.hidden_us)


@statement
def _unlisted_datasets(among: Among) -> Any:
    return unlisted_datasets().where(tables.dataset.c.namespace_id == given("namespace"))


def _datasets_but(left_out: ColumnElement[bool], *, is_placed: bool) -> Any:
    d = tables.dataset.c
    query = select(d.name, d.id).where(d.namespace_id == given("namespace"), ~left_out)
    if is_placed:
        query = query.where(tuple_(d.name, d.id) >= tuple_(given("first_name", Text()), given("first_id")))
    else:
        query = query.offset(given("offset"))
    return query.order_by(d.name, d.id).limit(given("limit"))


_every_dataset = statement(lambda among: _datasets_but(false(), is_placed=False))
_every_dataset_from = statement(lambda among: _datasets_but(false(), is_placed=True))
# these look at each that they step over
_other_datasets = statement(lambda among: _datasets_but(among(tables.dataset.c.id), is_placed=False))
_other_datasets_from = statement(lambda among: _datasets_but(among(tables.dataset.c.id), is_placed=True))


@statement
def _number_of_datasets(among: Among) -> Any:
    return select(func.count()).select_from(tables.dataset).where(tables.dataset.c.namespace_id == given("namespace"))


def page_of_datasets(connection: Connection, namespace_id: int, limit: int, offset: int) -> tuple[list[int], int]:
    """Canonical ids of a namespace's datasets by name, and how many there are: at most six statements.

    By the index of names alone, without the few that an index of their own finds to be left out; a deep page steps
    over the names before it, unless the page before it was asked for in the same state of the store. They are counted
    once in each state of the store.
    """
    if _hidden_us(connection, namespace_id) is not None:
        d, n = tables.dataset, tables.namespace
        where = and_(d.c.namespace_id == namespace_id, d.c.canonical_id == d.c.id, is_dataset_visible(d, n))
        query = select(d.c.id).select_from(d.join(n, n.c.id == d.c.namespace_id)).where(where)
        return _page(connection, query, (d.c.name, d.c.id), ("datasets", namespace_id), limit, offset)
    out = [row[0] for row in _unlisted_datasets(connection, namespace=namespace_id)]
    total: int = remembered(
        connection,
        ("datasets", namespace_id),
        lambda: _number_of_datasets(connection, namespace=namespace_id)[0][0] - len(out),
    )
    page, page_from = (_other_datasets, _other_datasets_from) if out else (_every_dataset, _every_dataset_from)

    def read(place: Place | None, most: int) -> list[Place]:
        if place is None:
            return [
                (row[0], row[1]) for row in page(connection, out, namespace=namespace_id, limit=most, offset=offset)
            ]
        name, one = place
        found = page_from(connection, out, namespace=namespace_id, limit=most, first_name=name, first_id=one)
        return [(row[0], row[1]) for row in found]

    return _placed_page(connection, ("datasets", namespace_id), read, limit, offset), total


def page_of_jobs(
    connection: Connection, namespace_id: int | None, states: Collection[str], limit: int, offset: int
) -> tuple[list[int], int]:
    """Ids of the jobs by name, of one namespace or all, and how many there are: at most six statements.

    Only those whose newest run is in one of ``states`` where given. By an index of names with these states alone; they
    are counted once in each state of the store.
    """
    j, n = tables.job, tables.namespace
    inside = j.c.namespace_id == namespace_id if namespace_id is not None else j.c.id.is_not(None)
    if states:
        inside = and_(inside, j.c.latest_state.in_(sorted(states)))
    key = ("jobs", namespace_id, *sorted(states))
    if _is_any_hidden(connection, namespace_id):
        query = select(j.c.id).select_from(j.join(n, n.c.id == j.c.namespace_id)).where(inside, is_job_visible(j, n))
        return _page(connection, query, (j.c.name, j.c.id), key, limit, offset)
    out = list(connection.execute(hidden_jobs().where(inside)).scalars())
    total = remembered(
        connection,
        key,
        lambda: connection.execute(select(func.count()).select_from(j).where(inside)).scalar_one() - len(out),
    )
    query = select(j.c.name, j.c.id).where(inside).order_by(j.c.name, j.c.id)
    if out:
        query = query.where(~among(connection, j.c.id, out))

    def read(place: Place | None, most: int) -> list[Place]:
        from_place = query.offset(offset) if place is None else query.where(tuple_(j.c.name, j.c.id) >= place)
        return [(name, one) for name, one in connection.execute(from_place.limit(most))]

    return _placed_page(connection, key, read, limit, offset), total


def _placed_page(
    connection: Connection,
    listing: Hashable,
    read: Callable[[Place | None, int], list[Place]],
    limit: int,
    offset: int,
) -> list[int]:
    """The ids of a page. Where this page and the next begin is remembered in each state of the store, so that whoever
    turns the pages does not step over all that went before, each time."""
    places: dict[int, Place] = remembered(connection, ("places", listing), dict)
    if len(places) > _MOST_PLACES:
        places.clear()
    found = read(places.get(offset), limit + 1)
    if found:
        places[offset] = found[0]
    if len(found) > limit:
        places[offset + limit] = found[limit]
    return [one for _, one in found[:limit]]


def page_of_runs(connection: Connection, job_id: int, limit: int, offset: int) -> tuple[list[int], int]:
    """Ids of a job's runs, newest first, and how many there are: three statements."""
    r = tables.run.c
    count = select(func.count()).select_from(tables.run).where(r.job_id == job_id)
    total = remembered(connection, ("runs", job_id), lambda: connection.execute(count).scalar_one())
    query = select(r.id).where(r.job_id == job_id).order_by(r.created_us.desc(), r.run_key.desc())
    return list(connection.execute(query.limit(limit).offset(offset)).scalars()), total


def _page(
    connection: Connection, query: Any, order: Any, question: Hashable, limit: int, offset: int
) -> tuple[list[int], int]:
    count = select(func.count()).select_from(query.subquery())
    total = remembered(connection, question, lambda: connection.execute(count).scalar_one())
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
