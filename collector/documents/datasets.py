"""Datasets as Marquez's JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from collector import tables
from collector.curation import NOTHING, Curated, Told
from collector.documents.bodies import Bodies
from collector.documents.finished import Finished, finish
from collector.facets import SchemaField, TableSchema, Transformation, read
from collector.facts import FacetSet, merge_facets
from collector.history.versions import Versions
from collector.keys import isoformat, run_uuid
from collector.packing import pack_facets, unpack_facets
from collector.registry import Tags
from collector.store.compiled import Among, statement
from collector.versions import version_uuid

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


# Each statement's cost is a step or two in an index for each dataset.


@statement
def _rows(among: Among) -> Any:
    d = tables.dataset.c
    columns = (d.id, d.namespace_id, d.created_us, d.updated_us, d.lifecycle, d.hidden_us, d.facets)
    return select(d.canonical_id, *columns).where(among(d.canonical_id))


@statement
def _written(among: Among) -> Any:
    d, use, other, run = tables.dataset, tables.run_dataset, tables.run_dataset.alias("other"), tables.run
    # all of the newest moment: which of several runs counts must not hang on run.id, the order of arrival
    newest = (
        select(func.max(other.c.written_us))
        .where(other.c.dataset_id == d.c.id, tables.is_written(other))
        .scalar_subquery()
    )
    said = (use.c.written_us, run.c.run_key, use.c.dataset_id, use.c.version, use.c.checksum, use.c.code_version)
    return (
        select(d.c.canonical_id, *said)
        .select_from(d)
        .join(use, (use.c.dataset_id == d.c.id) & tables.is_written(use) & (use.c.written_us == newest))
        .join(run, run.c.id == use.c.run)
        .where(among(d.c.canonical_id))
    )


@statement
def _told(among: Among) -> Any:
    d, v, v2 = tables.dataset, tables.dataset_version, tables.dataset_version.alias("newer")
    return (
        select(d.c.canonical_id, v.c.created_us, func.max(v.c.key), v.c.dataset_id)
        .select_from(d)
        .join(v, v.c.dataset_id == d.c.id)
        .where(
            among(d.c.canonical_id),
            v.c.created_us == select(func.max(v2.c.created_us)).where(v2.c.dataset_id == d.c.id).scalar_subquery(),
        )
        .group_by(d.c.canonical_id, v.c.dataset_id, v.c.created_us)
    )


@statement
def _names(among: Among) -> Any:
    d, n = tables.dataset, tables.namespace
    return select(d.c.id, n.c.name, d.c.name).join(n, n.c.id == d.c.namespace_id).where(among(d.c.id))


@statement
def _columns(among: Among) -> Any:
    c, d, n = tables.column_edge.c, tables.dataset, tables.namespace
    return (
        select(c.destination_id, c.destination_field, n.c.name, d.c.name, c.origin_field, c.transformations)
        .join(d, d.c.id == c.origin_id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(among(c.destination_id), c.destination_field != "")
        .order_by(c.destination_id, c.destination_field, n.c.name, d.c.name, c.origin_field, c.job_id)
    )


_Newest = tuple[Any, ...]  # of a version: created_us, key, dataset_id; of a run's: version, checksum, code_version


def _newest(connection: Connection, datasets: Collection[int]) -> dict[int, _Newest]:
    found: dict[int, _Newest] = {}
    names: dict[int, set[int]] = defaultdict(set)  # under which it was written
    for canonical, *said in _written(connection, datasets):
        names[canonical].add(said[2])
        old = found.get(canonical)
        if old is None or (said[0], said[1]) > (old[0], old[1]):
            found[canonical] = tuple(said)
    several = [canonical for canonical, named in names.items() if len(named) > 1]
    for canonical, one in Versions(connection).newest_written(several).items() if several else ():
        found[canonical] = (one.at_us, one.key, one.named, one.version, one.checksum, one.code_version)
    for canonical, *said in _told(connection, datasets):
        old = found.get(canonical)
        if old is None or said[0] > old[0]:
            found[canonical] = tuple(said)
    return found


def _version(newest: _Newest) -> Version:
    created_us, key, dataset_id, *named = newest
    uuid = version_uuid(dataset_id, key)
    return Version(uuid, run_uuid(key), created_us, *named) if named else Version(uuid, None, created_us, *[None] * 3)


def newest_versions(connection: Connection, datasets: Iterable[int]) -> dict[int, Version]:
    """The newest version of each of ``datasets`` (canonical ids) that any run or DatasetEvent made: two statements."""
    return {canonical: _version(newest) for canonical, newest in _newest(connection, list(datasets)).items()}


def dataset_names(connection: Connection, datasets: Iterable[int]) -> dict[int, tuple[str, str]]:
    """(namespace, name) by dataset id: one statement."""
    return {dataset: (namespace, name) for dataset, namespace, name in _names(connection, datasets)}


class DatasetRow(NamedTuple):
    """A name of a dataset."""

    id: int
    namespace_id: int
    created_us: int
    updated_us: int
    lifecycle: str | None
    hidden_us: int | None
    facets: bytes


class DatasetRows(NamedTuple):
    """All that a dataset's document is made from, but for names and facet bodies, which never change."""

    rows: tuple[DatasetRow, ...]  # one for each name that it has
    newest: _Newest | None
    columns: list[tuple[Any, ...]]


def dataset_rows(connection: Connection, datasets: Iterable[int]) -> dict[int, DatasetRows]:
    """The rows of each dataset (canonical id): four statements, whatever their number."""
    datasets = list(datasets)
    rows: dict[int, tuple[DatasetRow, ...]] = {}
    for canonical, *row in _rows(connection, datasets):
        rows[canonical] = (*rows.get(canonical, ()), DatasetRow._make(row))
    newest = _newest(connection, datasets)
    columns: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for destination, *column in _columns(connection, datasets):
        columns[destination].append(tuple(column))
    return {one: DatasetRows(found, newest.get(one), columns.get(one, [])) for one, found in rows.items()}


def listed_datasets(connection: Connection, datasets: Collection[int]) -> dict[int, Finished[DatasetRows]]:
    """Each dataset (canonical id) as lists show it, with facets: seven statements at most."""
    return _finish(connection, datasets, "listed dataset", with_facets=True)


def drawn_datasets(connection: Connection, datasets: Collection[int]) -> dict[int, Finished[DatasetRows]]:
    """Each dataset (canonical id) as graphs show it, without facets: seven statements at most."""
    return _finish(connection, datasets, "drawn dataset", with_facets=False)


def _finish(
    connection: Connection, datasets: Collection[int], kind: str, *, with_facets: bool
) -> dict[int, Finished[DatasetRows]]:
    return finish(
        connection,
        kind,
        datasets,
        lambda ids: dataset_rows(connection, ids),
        lambda rows: _documents(connection, rows, with_facets),
    )


def dataset_documents(connection: Connection, datasets: Iterable[int], *, with_facets: bool = True) -> dict[int, JSON]:
    """Each dataset (canonical id) as Marquez's Dataset: six statements, whatever their number."""
    return _documents(connection, dataset_rows(connection, datasets), with_facets)


def _documents(connection: Connection, found: Mapping[int, DatasetRows], with_facets: bool) -> dict[int, JSON]:
    if not found:
        return {}
    names = dataset_names(connection, found)
    merged = {one: _merged(one, rows.rows) for one, rows in found.items()}
    bodies = Bodies(connection, (row.facets for row in merged.values()), None if with_facets else SHOWN)
    documents: dict[int, JSON] = {}
    for dataset, row in merged.items():
        newest = found[dataset].newest
        version = _version(newest) if newest is not None else None
        documents[dataset] = described(bodies, row.facets, *names[dataset]) | {
            "createdAt": isoformat(row.created_us),
            "updatedAt": isoformat(row.updated_us),
            "lastModifiedAt": isoformat(version.created_us) if version else None,
            "lastLifecycleState": row.lifecycle,
            "currentVersion": version.uuid if version else None,
            "columnLineage": _column_lineage(found[dataset].columns),
            "facets": bodies.all(row.facets) if with_facets else {},
            "deleted": row.lifecycle == "DROP",
        }
    return documents


def _merged(canonical: int, rows: Sequence[DatasetRow]) -> DatasetRow:
    """What was said of a dataset under any of its names: the newest of each facet."""
    if len(rows) == 1:
        return rows[0]
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


def _column_lineage(rows: Iterable[tuple[Any, ...]]) -> list[JSON] | None:
    """Marquez's columnLineage from the rows of ``_columns``; None where there is none: its UI links to any other."""
    fields: dict[str, list[JSON]] = {}
    for field, namespace, name, origin_field, transformations in rows:
        kind, description = transformation_summary(transformations)
        origin = {
            "namespace": namespace,
            "dataset": name,
            "field": origin_field,
            "transformationDescription": description,
            "transformationType": kind,
        }
        origins = fields.setdefault(field, [])
        if origin not in origins:
            origins.append(origin)
    return [{"name": field, "inputFields": origins} for field, origins in fields.items()] or None


_transformations = msgspec.json.Decoder(list[Transformation])


def transformation_summary(text: str) -> tuple[str | None, str | None]:
    """The type (``DIRECT:IDENTITY``, or the legacy one) and description of the first of a column edge's ways."""
    for one in _transformations.decode(text):
        kind = ":".join(filter(None, (one.type, one.subtype))) or None
        return kind, one.description
    return None, None
