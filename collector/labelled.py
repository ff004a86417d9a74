"""Who owns what, and what carries a tag: questions of the rows that ``labels`` keeps.

What a DELETE hides, or a DROP took away, is not among the answers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, func, or_, select
from sqlalchemy.sql.elements import KeyedColumnElement

from collector import keys, tables
from collector.errors import NotFound
from collector.labels import owner_id
from collector.listing import is_dataset_listed, is_job_visible
from collector.registry import tag_id
from collector.state import remembered
from collector.walk import among
from lineage.nodes import NodeKind, dataset_node, field_node, job_node

JSON = dict[str, Any]

_d, _j, _n = tables.dataset, tables.job, tables.namespace


def owners(connection: Connection, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of owners by name, with how much each owns, and how many they are: three statements.

    Costs what the owners up to the end of the page own, on PostgreSQL what all of them do; they are counted once in
    each state of the store.
    """
    o = tables.owner
    joined, listed = _listed(o)
    total: int = remembered(
        connection,
        "owners",
        lambda: connection.execute(
            select(func.count(o.c.name.distinct())).select_from(joined).where(listed)
        ).scalar_one(),
    )
    things = (func.count(case((o.c.is_job == of_jobs, o.c.thing_id)).distinct()) for of_jobs in (False, True))
    query = select(o.c.name, *things).select_from(joined).where(listed).group_by(o.c.name).order_by(o.c.name)
    rows = connection.execute(query.limit(limit).offset(offset))
    return [{"name": name, "datasets": datasets, "jobs": jobs} for name, datasets, jobs in rows], total


def things_of_owner(connection: Connection, name: str, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of what an owner owns, by name, and how many there are: two statements. Raises NotFound."""
    o = tables.owner
    clean = keys.clean_name(name)
    found, total = _page(
        connection, o, and_(o.c.name == clean, o.c.owner_id == owner_id(clean)), o.c.type, limit, offset
    )
    if not total:
        raise NotFound(f"Owner '{name}' not found.")
    return [
        {"nodeId": str(node), "kind": kind, "namespace": space, "name": own, "type": said or None}
        for node, kind, space, own, said in found
    ], total


def members_of_tag(connection: Connection, name: str, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of what carries a tag, by name, and how many there are: at most three statements. Raises NotFound."""
    t = tables.tagged
    one = tag_id(keys.clean_name(name))
    found, total = _page(connection, t, t.c.tag_id == one, t.c.field, limit, offset)
    if not total and connection.execute(select(tables.tag.c.id).where(tables.tag.c.id == one)).first() is None:
        raise NotFound(f"Tag '{name}' not found.")
    members = []
    for node, kind, space, own, field in found:
        if field:
            node, kind = field_node(space, own, field), NodeKind.FIELD.value
        members.append({"nodeId": str(node), "kind": kind, "namespace": space, "name": own, "column": field or None})
    return members, total


def tagged_among(connection: Connection, things: Collection[int], tags: Collection[str]) -> set[tuple[int, str]]:
    """(thing, column or '') of what carries one of the tags, among ``things`` (canonical datasets, jobs): one
    statement."""
    t = tables.tagged.c
    wanted = [tag_id(keys.clean_name(one)) for one in tags]
    query = select(t.thing_id, t.field).where(t.tag_id.in_(wanted), among(connection, t.thing_id, things))
    return {(thing, field) for thing, field in connection.execute(query)}


def owned_among(connection: Connection, things: Collection[int], names: Collection[str]) -> set[int]:
    """Those of ``things`` (canonical datasets, jobs) that one of the owners owns: one statement."""
    o = tables.owner.c
    wanted = [owner_id(keys.clean_name(one)) for one in names]
    query = select(o.thing_id).where(o.owner_id.in_(wanted), among(connection, o.thing_id, things))
    return set(connection.execute(query).scalars())


def _listed(label: FromClause) -> tuple[FromClause, ColumnElement[bool]]:
    """The rows of ``label`` with the thing of each and its namespace, and that it is listed."""
    joined = (
        label.outerjoin(_d, and_(_d.c.id == label.c.thing_id, ~label.c.is_job))
        .outerjoin(_j, and_(_j.c.id == label.c.thing_id, label.c.is_job))
        .join(_n, _n.c.id == func.coalesce(_d.c.namespace_id, _j.c.namespace_id))
    )
    as_dataset = and_(~label.c.is_job, is_dataset_listed(_d, _n))
    return joined, or_(as_dataset, and_(label.c.is_job, is_job_visible(_j, _n)))


def _page(
    connection: Connection,
    label: FromClause,
    where: ColumnElement[bool],
    said: KeyedColumnElement[Any],
    limit: int,
    offset: int,
) -> tuple[list[tuple[Any, str, str, str, str]], int]:
    """(node, its kind, namespace, name, what the row says) of a page, and how many there are."""
    joined, listed = _listed(label)
    name = func.coalesce(_d.c.name, _j.c.name)
    query = select(_n.c.name, name, label.c.is_job, said).select_from(joined).where(where, listed)
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    order = (_n.c.name, name, label.c.is_job, said)
    rows = connection.execute(query.order_by(*order).limit(limit).offset(offset))
    found = []
    for space, own, is_job, text in rows:
        kind = NodeKind.JOB if is_job else NodeKind.DATASET
        found.append(((job_node if is_job else dataset_node)(space, own), kind.value, space, own, text))
    return found, total
