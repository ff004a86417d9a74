"""``GET /delivery``: what producers sent that never arrived."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import Connection, select

from collector import tables
from collector.api.answers import json_response
from collector.api.store import reader
from collector.delivery import Instance, Range, instances
from collector.keys import isoformat
from collector.store.rows import chunks
from collector.walk import among

blueprint = Blueprint(
    "delivery", __name__, url_prefix="/api/v1/delivery", description="What producers sent that never arrived"
)


class DeliveryQuery(Schema):
    """Which instances, and how many ranges of numbers of each."""

    instance = fields.UUID(load_default=None, metadata={"description": "Only this producer instance"})
    gapsOnly = fields.Boolean(load_default=False, metadata={"description": "Only instances that miss any event"})
    ranges = fields.Integer(load_default=1_000, validate=validate.Range(0, 100_000))
    limit = fields.Integer(load_default=100, validate=validate.Range(0, 10_000))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**63 - 1))


@blueprint.route("")
@blueprint.arguments(DeliveryQuery, location="query")
@blueprint.doc(
    summary="Each producer instance's gaps", responses={"200": {"description": "instances, totalCount and missing"}}
)
def list_instances(query: dict[str, Any]) -> Response:
    """Producers that number their events (the run facet ``headwater_delivery``), and the numbers that never arrived.

    ``gaps`` are these numbers; ``drops`` those that the producer itself reported as given up. A ``truncated`` list ends
    after ``ranges`` of them; the counts are of all. ``limit`` and ``offset`` page through the instances.
    """
    total = missing = 0
    page: list[Instance] = []
    with reader() as connection:
        for one in instances(connection, query["instance"]):
            if query["gapsOnly"] and not one.missing:
                continue
            missing += _count(one.missing)
            if query["offset"] <= total < query["offset"] + query["limit"]:
                page.append(one)
            total += 1
        names = _job_names(connection, {one.job_id for one in page if one.job_id is not None})
    documents = [_document(one, names.get(one.job_id or 0), query["ranges"]) for one in page]
    return json_response({"instances": documents, "totalCount": total, "missing": missing})


def _document(one: Instance, job: dict[str, str] | None, most: int) -> dict[str, Any]:
    drops = sorted((first, last, reason) for reason, ranges in one.dropped.items() for first, last in ranges)
    return {
        "instance": str(one.instance),
        "lastJob": job,
        "firstEventAt": isoformat(one.first_us),
        "lastEventAt": isoformat(one.last_us),
        "highest": one.highest,
        "received": one.received,
        "missing": _count(one.missing),
        "dropped": sum(last - first + 1 for first, last, _ in drops),
        "gaps": [{"first": first, "last": last} for first, last in one.missing[:most]],
        "drops": [{"first": first, "last": last, "reason": reason} for first, last, reason in drops[:most]],
        "truncated": len(one.missing) > most or len(drops) > most,
    }


def _count(ranges: list[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _job_names(connection: Connection, ids: set[int]) -> dict[int, dict[str, str]]:
    job, namespace = tables.job.c, tables.namespace.c
    found: dict[int, dict[str, str]] = {}
    for chunk in chunks(ids, 512):
        query = select(job.id, namespace.name, job.name).where(
            job.namespace_id == namespace.id, among(connection, job.id, chunk)
        )
        found.update({key: {"namespace": space, "name": name} for key, space, name in connection.execute(query)})
    return found
