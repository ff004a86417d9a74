"""From a node id's text to the ids in the store. An id has several readings; the store knows which is meant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, or_, select

from collector import keys, tables
from collector.errors import BadQuery, NotFound
from collector.listing import is_dataset_visible, is_job_visible
from collector.store.compiled import Among, statement
from lineage.errors import InvalidNodeId
from lineage.nodes import NodeId, NodeKind, candidates

_TITLES = {
    NodeKind.DATASET: "Dataset",
    NodeKind.JOB: "Job",
    NodeKind.FIELD: "Field",
    NodeKind.RUN: "Run",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A node that the store holds; ``id`` is the canonical dataset's, the job's or the run's."""

    node: NodeId
    id: int


def find_node(connection: Connection, text: str, kinds: Collection[NodeKind], *, had: bool = False) -> Found:
    """The node that ``text`` names: the first of its readings that is stored.

    Of columns that no dataset has, where it ``had`` will do, the first whose dataset is stored.
    Raises BadQuery where the text is no node id or of a kind that is not asked for here, NotFound where none is stored.
    """
    try:
        readings = candidates(text)
    except InvalidNodeId as error:
        raise BadQuery(str(error), {"nodeId": [str(error)]}) from None
    kind = readings[0].kind
    if kind not in kinds:
        wanted = " or ".join(f"'{one}:…'" for one in kinds)
        message = f"A node id that starts with {kind}: is not asked for here: use {wanted}."
        raise BadQuery(message, {"nodeId": [message]})
    ids = [(reading, _id(reading)) for reading in readings]
    stored = _stored(connection, kind, {one for _, one in ids})
    for reading, one in ids:
        if one in stored and (reading.field is None or has_field(connection, stored[one], reading.field)):
            return Found(reading, stored[one])
    if had and stored:
        return next(Found(reading, stored[one]) for reading, one in ids if one in stored)
    raise NotFound(f"{_TITLES[kind]} '{_shown(readings[0])}' not found.")


def find_dataset(connection: Connection, namespace: str, name: str) -> int:
    """The canonical id of a dataset. Raises NotFound."""
    dataset_id = keys.dataset_id(keys.clean_name(namespace), keys.clean_name(name))
    found = _stored(connection, NodeKind.DATASET, {dataset_id})
    if not found:
        find_namespace(connection, namespace)
        raise NotFound(f"Dataset '{name}' not found.")
    return found[dataset_id]


def names_of(connection: Connection, dataset: int) -> list[int]:
    """The ids of every name of a dataset (canonical id)."""
    d = tables.dataset.c
    return list(connection.execute(select(d.id).where(d.canonical_id == dataset)).scalars())


def find_datasets(connection: Connection, names: Collection[tuple[str, str]]) -> None:
    """Check that each (namespace, name) is a dataset: one statement. Raises NotFound for the first that is none."""
    ids = [keys.named_dataset(namespace, name).id for namespace, name in names]
    stored = _stored(connection, NodeKind.DATASET, ids) if ids else {}
    for one, (_, name) in zip(ids, names, strict=True):
        if one not in stored:
            raise NotFound(f"Dataset '{name}' not found.")


def find_job(connection: Connection, namespace: str, name: str) -> int:
    """The id of a job. Raises NotFound."""
    job_id = keys.job_id(keys.clean_name(namespace), keys.clean_name(name))
    if not _stored(connection, NodeKind.JOB, {job_id}):
        find_namespace(connection, namespace)
        raise NotFound(f"Job '{name}' not found.")
    return job_id


def find_namespace(connection: Connection, name: str) -> int:
    """The id of a namespace, hidden or not. Raises NotFound."""
    namespace_id = keys.namespace_id(keys.clean_name(name))
    n = tables.namespace.c
    if connection.execute(select(n.id).where(n.id == namespace_id)).first() is None:
        raise NotFound(f"Namespace '{name}' not found.")
    return namespace_id


def find_run(connection: Connection, run_id: str) -> int:
    """The id of a run by its UUID, or by what was sent in its place. Raises NotFound."""
    r = tables.run.c
    found = connection.execute(select(r.id).where(r.run_key == keys.run_key(run_id))).scalar()
    if found is None:
        raise NotFound(f"Run '{run_id}' not found.")
    return int(found)


def _id(reading: NodeId) -> int | bytes:
    namespace, name = keys.clean_name(reading.namespace), keys.clean_name(reading.name)
    match reading.kind:
        case NodeKind.JOB:
            return keys.job_id(namespace, name)
        case NodeKind.RUN:
            return keys.run_key(reading.name)
        case _:
            return keys.dataset_id(namespace, name)


def _stored(connection: Connection, kind: NodeKind, ids: Collection[int | bytes]) -> dict[int | bytes, int]:
    if kind is NodeKind.RUN:
        key = tables.run.c.run_key
        return dict(connection.execute(select(key, tables.run.c.id).where(or_(*(key == one for one in ids)))).tuples())
    query = _visible_jobs if kind is NodeKind.JOB else _visible_datasets
    return dict(query(connection, cast(Collection[int], ids)))  # type: ignore[arg-type]


@statement
def _visible_jobs(among: Among) -> Any:
    j, n = tables.job, tables.namespace
    joined = select(j.c.id, j.c.id).join(n, n.c.id == j.c.namespace_id)
    return joined.where(among(j.c.id), is_job_visible(j, n))


@statement
def _visible_datasets(among: Among) -> Any:
    d, c, n = tables.dataset, tables.dataset.alias("canonical"), tables.namespace
    joined = select(d.c.id, d.c.canonical_id).join(c, c.c.id == d.c.canonical_id).join(n, n.c.id == c.c.namespace_id)
    return joined.where(among(d.c.id), is_dataset_visible(c, n))


def has_field(connection: Connection, dataset_id: int, field: str) -> bool:
    """Whether the dataset has the column: in its schema, or in column lineage either way."""
    from collector.documents.datasets import dataset_documents
    from collector.flow import columns_known

    c = tables.column_edge.c
    column = keys.clean_name(field, keys.FIELD_BYTES)
    as_destination = (c.destination_id == dataset_id) & (c.destination_field == column)
    as_origin = (c.origin_id == dataset_id) & (c.origin_field == column)
    if connection.execute(select(c.job_id).where(or_(as_destination, as_origin)).limit(1)).first():
        return True
    document = dataset_documents(connection, [dataset_id], with_facets=False).get(dataset_id)
    if document is not None and any(one["name"] == field for one in document["fields"]):
        return True
    return column in columns_known(connection, dataset_id)  # by the SQL of a job, at last


def _shown(node: NodeId) -> str:
    return node.label if node.kind is not NodeKind.FIELD else f"{node.name}:{node.field}"
