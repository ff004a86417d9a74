"""Namespaces, sources and tags as Marquez's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, func, select

from collector import keys, tables
from collector.errors import NotFound
from collector.keys import isoformat, stamp_time
from collector.walk import among

JSON = dict[str, Any]

_TYPES = {"postgres": "POSTGRESQL"}  # where a scheme is not the type's own name


def page(connection: Connection, table: Table, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of ``namespace``, ``source`` or ``tag`` by name, and how many there are: at most four statements."""
    total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    rows = connection.execute(select(table).order_by(table.c.name).limit(limit).offset(offset)).all()
    return _documents(connection, table, rows), total


def one(connection: Connection, table: Table, name: str) -> JSON:
    """The one of that name. Raises NotFound."""
    row_id = keys.hashed_id(table.name, keys.clean_name(name))
    rows = connection.execute(select(table).where(table.c.id == row_id)).all()
    if not rows:
        raise NotFound(f"{table.name.title()} '{name}' not found.")
    return _documents(connection, table, rows)[0]


def _documents(connection: Connection, table: Table, rows: Sequence[Row[Any]]) -> list[JSON]:
    if table is tables.namespace:
        hidden = _hidden(connection, rows)
        return [_namespace(row, row.id in hidden) for row in rows]
    return [_source(row) if table is tables.source else _tag(row) for row in rows]


def _namespace(row: Row[Any], is_hidden: bool) -> JSON:
    record = _record(row)
    return {
        "name": row.name,
        "createdAt": isoformat(row.created_us),
        "updatedAt": _updated(row),
        "ownerName": record.get("ownerName") or "anonymous",
        "description": record.get("description"),
        "isHidden": is_hidden,
    }


def _source(row: Row[Any]) -> JSON:
    record = _record(row)
    url = record.get("connectionUrl") or ""
    return {
        "type": record.get("type") or _source_type(url, row.name),
        "name": row.name,
        "createdAt": isoformat(row.created_us),
        "updatedAt": _updated(row),
        "connectionUrl": url,
        "description": record.get("description"),
    }


def _tag(row: Row[Any]) -> JSON:
    return {"name": row.name, "description": _record(row).get("description")}


def _record(row: Row[Any]) -> dict[str, str]:
    return msgspec.json.decode(row.record, type=dict[str, str]) if row.record else {}


def _updated(row: Row[Any]) -> str | None:
    """The newest mention (to the minute) or word."""
    times = [row.created_us, row.updated_us]
    if row.stamp is not None:
        times.append(stamp_time(bytes(row.stamp)))
    return isoformat(max(times))


def _source_type(url: str, name: str) -> str:
    """The type that a URL's or a namespace's scheme tells."""
    for text in (url.removeprefix("jdbc:"), name):
        scheme, colon, _ = text.partition(":")
        if colon and scheme.isalnum():
            return _TYPES.get(scheme.lower(), scheme.upper())
    return "UNKNOWN"


def _hidden(connection: Connection, rows: Sequence[Row[Any]]) -> set[int]:
    """The namespaces that a DELETE hides: no word on them, nor on anything in them, is newer. Two statements, where any
    was ever deleted."""
    deleted = {
        row.id: row.hidden_us
        for row in rows
        if row.hidden_us is not None and (row.stamp is None or stamp_time(bytes(row.stamp)) <= row.hidden_us)
    }
    for table in (tables.job, tables.dataset):
        if deleted:
            newest = (
                select(table.c.namespace_id, func.max(table.c.updated_us))
                .where(among(connection, table.c.namespace_id, deleted))
                .group_by(table.c.namespace_id)
            )
            for namespace_id, updated_us in connection.execute(newest):
                if updated_us > deleted[namespace_id]:
                    del deleted[namespace_id]
    return set(deleted)


def newest_word(connection: Connection, namespace_id: int) -> int:
    """The time of the newest word on anything in a namespace: two statements, which read all that is in it."""
    found = [
        connection.execute(select(func.max(table.c.updated_us)).where(table.c.namespace_id == namespace_id)).scalar()
        for table in (tables.job, tables.dataset)
    ]
    return max((one for one in found if one is not None), default=0)
