"""How good datasets are now: the newest result of each assertion on them, under any of their names.

Each assertion is one row with its newest result (``assertions`` keeps it), so no question reads the results before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, literal_column, or_, select

from collector import tables
from collector.assertions import DELETED
from collector.keys import isoformat, run_uuid
from collector.listing import is_dataset_listed
from collector.tables import FAILING
from collector.walk import among
from lineage.nodes import dataset_node

JSON = dict[str, Any]

MOST_FAILING = 100  # assertions of one dataset in the list of failing ones

_a, _d = tables.assertion, tables.dataset
_c = tables.dataset.alias("canonical")


def quality_of(connection: Connection, dataset: int) -> list[JSON]:
    """Each assertion on a dataset (canonical id) with its newest result, its newest failure and counts: one statement.

    Those that fail come first.
    """
    run, failed = tables.run.alias("newest"), tables.run.alias("failed")
    query = (
        select(_a, run.c.id.label("run"), failed.c.id.label("failed_run"))
        .join(_d, _d.c.id == _a.c.dataset_id)
        .outerjoin(run, run.c.run_key == _a.c.key)
        .outerjoin(failed, failed.c.run_key == _a.c.failed_key)
        .where(_d.c.canonical_id == dataset)
    )
    by_assertion: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        by_assertion[row.assertion_id].append(row)
    deleted_us = max((row.time_us for row in by_assertion.pop(DELETED, ())), default=None)
    found = [
        _document(rows) for rows in by_assertion.values() if deleted_us is None or _newest(rows).time_us > deleted_us
    ]
    return sorted(found, key=lambda one: (one["success"], one["column"] or "", one["assertion"], one["name"] or ""))


def _newest(rows: Iterable[Row[Any]]) -> Row[Any]:
    return max(rows, key=lambda row: (row.time_us, bytes(row.key), not row.success))


def _document(rows: Collection[Row[Any]]) -> JSON:
    """One assertion: a row for each name of the dataset."""
    newest = _newest(rows)
    failed = max((row for row in rows if row.failed_us is not None), key=lambda row: row.failed_us, default=None)
    return _result(newest) | {
        "lastFailure": None if failed is None else _when(failed.failed_us, failed.failed_key, failed.failed_run),
        "results": sum(row.results for row in rows),
        "failures": sum(row.failures for row in rows),
    }


def _result(row: Any) -> JSON:
    return {
        "assertion": row.assertion,
        "name": row.name or None,
        "column": row.field or None,
        "success": bool(row.success),
        "severity": row.severity,
        **_when(row.time_us, row.key, row.run),
    }


def _when(time_us: int, key: bytes, run: int | None) -> JSON:
    return {"at": isoformat(time_us), "runId": run_uuid(bytes(key)) if run is not None else None}


# --- what fails now --------------------------------------------------------------------------------------------------


def failing_datasets(
    connection: Connection, namespace_id: int | None, limit: int, offset: int
) -> tuple[list[JSON], int]:
    """A page of the datasets of which an assertion fails now, the newest failure first, and how many they are.

    Three statements, by an index of what fails: they cost what fails now, not what ever failed.
    """
    n = tables.namespace
    at = func.max(_a.c.time_us).label("at")
    query = (
        _failing(_c.c.id, n.c.name, _c.c.name, at, func.count(_a.c.assertion_id.distinct()))
        .join(n, n.c.id == _c.c.namespace_id)
        .where(is_dataset_listed(_c, n))
        .group_by(_c.c.id, n.c.name, _c.c.name)
    )
    if namespace_id is not None:
        # not in WHERE: the way is from the few that fail, not from all that is in the namespace
        query = query.having(func.min(_c.c.namespace_id) == namespace_id)
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = connection.execute(query.order_by(at.desc(), n.c.name, _c.c.name).limit(limit).offset(offset)).all()
    results = _failing_results(connection, [row[0] for row in rows])
    return [
        {
            "nodeId": str(dataset_node(namespace, name)),
            "namespace": namespace,
            "name": name,
            "at": isoformat(time_us),
            "failing": count,
            "assertions": results[dataset][:MOST_FAILING],
        }
        for dataset, namespace, name, time_us, count in rows
    ], total


def failing_among(connection: Connection, datasets: Collection[int]) -> set[tuple[int, str]]:
    """(dataset, column or '') of what fails now of these datasets (canonical ids): one statement."""
    query = _failing(_c.c.id, _a.c.field).where(among(connection, _c.c.id, datasets)).distinct()
    return {(dataset, field) for dataset, field in connection.execute(query)}


def _failing_results(connection: Connection, datasets: Collection[int]) -> dict[int, list[JSON]]:
    run = tables.run
    query = (
        _failing(_c.c.id.label("canonical"), _a, run.c.id.label("run"))
        .outerjoin(run, run.c.run_key == _a.c.key)
        .where(among(connection, _c.c.id, datasets))
    )
    rows: dict[tuple[int, int], list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        rows[row.canonical, row.assertion_id].append(row)
    found: dict[int, list[JSON]] = defaultdict(list)
    for (dataset, _), names in sorted(rows.items(), key=lambda item: (-_newest(item[1]).time_us, item[0])):
        found[dataset].append(_result(_newest(names)))
    return found


def _failing(*columns: Any) -> Select[Any]:
    """Of the assertions whose newest result under one name is a failure, those with no newer one under another."""
    other, newer = tables.dataset.alias("other"), tables.assertion.alias("newer")
    is_newer = or_(newer.c.time_us > _a.c.time_us, and_(newer.c.time_us == _a.c.time_us, newer.c.key > _a.c.key))
    superseded = exists().where(
        other.c.canonical_id == _c.c.id,
        newer.c.dataset_id == other.c.id,
        newer.c.assertion_id.in_([_a.c.assertion_id, DELETED]),
        or_(
            and_(newer.c.assertion_id == _a.c.assertion_id, is_newer),
            and_(newer.c.assertion_id == DELETED, newer.c.time_us >= _a.c.time_us),
        ),
    )
    return (
        select(*columns)
        .select_from(_a.join(_d, _d.c.id == _a.c.dataset_id).join(_c, _c.c.id == _d.c.canonical_id))
        .where(_is_failing(), ~superseded)
    )


def _is_failing() -> ColumnElement[bool]:
    """The condition of the index of failing assertions, word for word, so that the index is used."""
    return literal_column(f"({FAILING.replace('success', 'assertion.success')})")  # type: ignore[return-value]


# --- all results -----------------------------------------------------------------------------------------------------


def results_of(connection: Connection, dataset: int, limit: int, offset: int) -> tuple[list[JSON], int]:
    """A page of the results of all assertions on a dataset (canonical id), newest first, and how many there are: two
    statements, which read all of them."""
    r, run = tables.assertion_result, tables.run
    joined = r.join(_d, _d.c.id == r.c.dataset_id)
    where = and_(_d.c.canonical_id == dataset, r.c.assertion_id != DELETED)
    total = connection.execute(select(func.count()).select_from(joined).where(where)).scalar_one()
    query = (
        select(
            _a.c.assertion,
            _a.c.name,
            _a.c.field,
            r.c.success,
            r.c.severity,
            r.c.time_us,
            r.c.key,
            run.c.id.label("run"),
        )
        .select_from(joined)
        .join(_a, and_(_a.c.dataset_id == r.c.dataset_id, _a.c.assertion_id == r.c.assertion_id))
        .outerjoin(run, run.c.run_key == r.c.key)
        .where(where)
        .order_by(r.c.time_us.desc(), r.c.key, _a.c.field, _a.c.assertion, _a.c.name, r.c.dataset_id)
    )
    return [_result(row) for row in connection.execute(query.limit(limit).offset(offset))], total
