"""Datasets as Marquez's JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from collector import tables
from collector.curation import NOTHING, Curated, Told
from collector.documents.bodies import Bodies
from collector.facets import SchemaField, TableSchema, Transformation, read
from collector.facts import FacetSet, merge_facets
from collector.keys import isoformat, run_uuid
from collector.packing import pack_facets, unpack_facets
from collector.registry import Tags
from collector.versions import version_uuid
from collector.walk import among

JSON = dict[str, Any]

SHOWN = ("schema", "documentation", "dataSource", "tags", "datasetType")  # facets that the document itself quotes


class Documentation(msgspec.Struct):
    """``documentation`` (dataset or job)."""

    description: str | None = None


class DataSource(msgspec.Struct):
    """``dataSource`` (dataset)."""

    name: str | None = None
    uri: str | None = None


class DatasetType(msgspec.Struct):
    """``datasetType`` (dataset)."""

    datasetType: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """The newest version of a dataset: the run that wrote it (None: a DatasetEvent's) and what it said of it."""

    uuid: str
    run_id: str | None
    created_us: int
    version: str | None
    checksum: str | None
    code_version: str | None


def newest_versions(connection: Connection, datasets: Iterable[int]) -> dict[int, Version]:
    """The newest version of each of ``datasets`` (canonical ids) that any run or DatasetEvent made: two statements."""
    d, use, other, run = tables.dataset, tables.run_dataset, tables.run_dataset.alias("other"), tables.run
    # all of the newest moment: which of several runs counts must not hang on run.id, the order of arrival
    newest = (
        select(func.max(other.c.first_us))
        .where(other.c.dataset_id == d.c.id, tables.is_written(other))
        .scalar_subquery()
    )
    query = (
        select(
            d.c.canonical_id,
            use.c.dataset_id,
            run.c.run_key,
            use.c.first_us,
            use.c.version,
            use.c.checksum,
            use.c.code_version,
        )
        .select_from(d)
        .join(use, (use.c.dataset_id == d.c.id) & tables.is_written(use) & (use.c.first_us == newest))
        .join(run, run.c.id == use.c.run)
        .where(among(connection, d.c.canonical_id, datasets))
    )
    found: dict[int, Version] = {}
    for canonical, dataset_id, key, first_us, version, checksum, code in connection.execute(query).all():
        old = found.get(canonical)
        run_id = run_uuid(key)
        if old is None or (first_us, run_id) > (old.created_us, old.run_id or ""):
            found[canonical] = Version(version_uuid(dataset_id, key), run_id, first_us, version, checksum, code)
    v, v2 = tables.dataset_version, tables.dataset_version.alias("newer")
    told = (
        select(d.c.canonical_id, v.c.dataset_id, v.c.created_us, func.max(v.c.key))
        .select_from(d)
        .join(v, v.c.dataset_id == d.c.id)
        .where(
            among(connection, d.c.canonical_id, datasets),
            v.c.created_us == select(func.max(v2.c.created_us)).where(v2.c.dataset_id == d.c.id).scalar_subquery(),
        )
        .group_by(d.c.canonical_id, v.c.dataset_id, v.c.created_us)
    )
    for canonical, dataset_id, created_us, key in connection.execute(told).all():
        old = found.get(canonical)
        if old is None or created_us > old.created_us:
            found[canonical] = Version(version_uuid(dataset_id, key), None, created_us, None, None, None)
    return found


def dataset_names(connection: Connection, datasets: Iterable[int]) -> dict[int, tuple[str, str]]:
    """(namespace, name) by dataset id: one statement."""
    d, n = tables.dataset, tables.namespace
    query = select(d.c.id, n.c.name, d.c.name).join(n, n.c.id == d.c.namespace_id)
    return {
        i: (namespace, name)
        for i, namespace, name in connection.execute(query.where(among(connection, d.c.id, datasets)))
    }


def dataset_documents(connection: Connection, datasets: Iterable[int], *, with_facets: bool = True) -> dict[int, JSON]:
    """Each dataset (canonical id) as Marquez's Dataset: five statements, whatever their number."""
    datasets = list(datasets)
    rows = _dataset_rows(connection, datasets)
    bodies = Bodies(connection, (row.facets for row in rows), None if with_facets else SHOWN)
    versions = newest_versions(connection, datasets)
    columns_of = column_lineage(connection, datasets)
    found: dict[int, JSON] = {}
    for row in rows:
        version = versions.get(row.id)
        document = described(bodies, row.facets, row.namespace, row.name)
        document |= {
            "createdAt": isoformat(row.created_us),
            "updatedAt": isoformat(row.updated_us),
            "lastModifiedAt": isoformat(version.created_us) if version else None,
            "lastLifecycleState": row.lifecycle,
            "currentVersion": version.uuid if version else None,
            "columnLineage": columns_of.get(row.id, []),
            "facets": bodies.all(row.facets) if with_facets else {},
            "deleted": row.lifecycle == "DROP",
        }
        found[row.id] = document
    return found


class _DatasetRow(NamedTuple):
    id: int
    namespace: str
    name: str
    created_us: int
    updated_us: int
    lifecycle: str | None
    facets: bytes


def _dataset_rows(connection: Connection, datasets: Iterable[int]) -> list[_DatasetRow]:
    """Each dataset with what was said of it under any of its names: the newest of each facet."""
    d, n = tables.dataset, tables.namespace
    columns = (d.c.id, n.c.name, d.c.name, d.c.created_us, d.c.updated_us, d.c.lifecycle, d.c.facets)
    query = (
        select(d.c.canonical_id, *columns)
        .join(n, n.c.id == d.c.namespace_id)
        .where(among(connection, d.c.canonical_id, datasets))
    )
    by_canonical: dict[int, list[_DatasetRow]] = defaultdict(list)
    for canonical_id, *values in connection.execute(query).all():
        by_canonical[canonical_id].append(_DatasetRow(*values))
    return [rows[0] if len(rows) == 1 else _merged(canonical, rows) for canonical, rows in by_canonical.items()]


def _merged(canonical: int, rows: list[_DatasetRow]) -> _DatasetRow:
    facets: FacetSet = {}
    lifecycle = None
    for row in rows:
        if "lifecycleStateChange" in merge_facets(facets, unpack_facets(row.facets)):
            lifecycle = row.lifecycle
    return next(row for row in rows if row.id == canonical)._replace(
        created_us=min(row.created_us for row in rows),
        updated_us=max(row.updated_us for row in rows),
        lifecycle=lifecycle,
        facets=pack_facets(facets),
    )


def described(bodies: Bodies, packed: bytes, namespace: str, name: str) -> JSON:
    """What a Dataset and a DatasetVersion share: identity, and what the quoted facets say."""
    source = bodies.get(packed, "dataSource", DataSource)
    documentation = bodies.get(packed, "documentation", Documentation)
    tags = bodies.get(packed, "tags", Tags)
    curated = bodies.curated(packed)
    told = curated.told or Told()
    by_field: dict[str, list[str]] = defaultdict(list)
    for tag in (tags.tags if tags else None) or ():
        by_field[tag.field or ""].append(tag.name)
    document: JSON = {
        "id": {"namespace": namespace, "name": name},
        "type": told.type or _type(bodies.get(packed, "datasetType", DatasetType), namespace),
        "name": name,
        "physicalName": told.physicalName or name,
        "namespace": namespace,
        "sourceName": (source.name if source else None) or namespace,
        "fields": _fields(bodies, packed, by_field, curated),
        "tags": curated.tagged("", by_field.get("", ())),
        "description": curated.described("", documentation.description if documentation else None),
    }
    if document["type"] == "STREAM":
        document["schemaLocation"] = told.schemaLocation
    return document


def _fields(bodies: Bodies, packed: bytes, tags: dict[str, list[str]], curated: Curated) -> list[JSON]:
    """The columns; where nothing but the schema speaks of them, a list that is made once for each distinct schema."""
    if not tags and curated is NOTHING:
        return _plain_fields(bodies.raw(packed, "schema"))
    schema = bodies.get(packed, "schema", TableSchema)
    return [_field(field, tags, curated) for field in (schema.fields if schema else None) or ()]


@lru_cache(maxsize=4_096)
def _plain_fields(raw: bytes | None) -> list[JSON]:
    """Shared by every document that shows it: nobody may change it."""
    schema = read(raw, TableSchema) if raw is not None else None
    fields = (schema.fields if schema else None) or ()
    return [{"name": f.name, "type": f.type, "tags": [], "description": f.description} for f in fields]


def _field(field: SchemaField, tags: dict[str, list[str]], curated: Curated) -> JSON:
    return {
        "name": field.name,
        "type": field.type,
        "tags": curated.tagged(field.name, tags.get(field.name, ())),
        "description": curated.described(field.name, field.description),
    }


def _type(kind: DatasetType | None, namespace: str) -> str:
    said = (kind.datasetType or "").upper() if kind else ""
    is_stream = "STREAM" in said or "TOPIC" in said or namespace.startswith(("kafka://", "kinesis://", "pubsub"))
    return "STREAM" if is_stream else "DB_TABLE"


def column_lineage(connection: Connection, datasets: Iterable[int]) -> dict[int, list[JSON]]:
    """Marquez's columnLineage of each dataset: one statement."""
    c, d, n = tables.column_edge.c, tables.dataset, tables.namespace
    query = (
        select(c.destination_id, c.destination_field, n.c.name, d.c.name, c.origin_field, c.transformations)
        .join(d, d.c.id == c.origin_id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(among(connection, c.destination_id, datasets), c.destination_field != "")
        .order_by(c.destination_id, c.destination_field, n.c.name, d.c.name, c.origin_field, c.job_id)
    )
    found: dict[int, dict[str, list[JSON]]] = defaultdict(dict)
    for destination, field, namespace, name, origin_field, transformations in connection.execute(query).all():
        kind, description = transformation_summary(transformations)
        origin = {
            "namespace": namespace,
            "dataset": name,
            "field": origin_field,
            "transformationDescription": description,
            "transformationType": kind,
        }
        origins = found[destination].setdefault(field, [])
        if origin not in origins:
            origins.append(origin)
    return {
        destination: [{"name": field, "inputFields": origins} for field, origins in fields.items()]
        for destination, fields in found.items()
    }


_transformations = msgspec.json.Decoder(list[Transformation])


def transformation_summary(text: str) -> tuple[str | None, str | None]:
    """The type (``DIRECT:IDENTITY``, or the legacy one) and description of the first of a column edge's ways."""
    for one in _transformations.decode(text):
        kind = ":".join(filter(None, (one.type, one.subtype))) or None
        return kind, one.description
    return None, None
