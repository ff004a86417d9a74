"""Datasets, in Marquez's shape."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import Connection

from collector import keys, legacy, tables
from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.paths import NamePaths
from collector.api.query import DatasetBody, Page, load_body, load_query
from collector.api.shapes import DatasetList, DatasetShape, DatasetVersionList, DatasetVersionShape
from collector.api.store import reader
from collector.api.writing import commit
from collector.documents.datasets import dataset_documents, dataset_names, listed_datasets
from collector.documents.registry import one
from collector.documents.runs import run_rows
from collector.documents.versions import dataset_version, dataset_versions
from collector.errors import NotFound
from collector.legacy import clock
from collector.listing import page_of_datasets
from collector.lookup import find_dataset, find_namespace, find_run, has_field
from collector.records import make_record

paths = NamePaths("datasets")

_DATASET = "{namespace}/datasets/{dataset}"


@paths.route("{namespace}/datasets", **documented("Datasets by name", DatasetList, query=Page))
def list_datasets(namespace: str) -> Response:
    """A namespace's datasets, without those that are hidden or dropped, and without other names of theirs."""
    query = load_query(Page)
    with reader() as connection:
        found, total = page_of_datasets(
            connection, find_namespace(connection, namespace), query["limit"], query["offset"]
        )
        documents = listed_datasets(connection, found)
    return json_response({"datasets": [documents[one].fragment for one in found], "totalCount": total})


@paths.route(_DATASET, **documented("A dataset with its columns and facets", DatasetShape))
def get_dataset(namespace: str, dataset: str) -> Response:
    """The dataset that the name stands for; an alias answers with the dataset itself."""
    with reader() as connection:
        return json_response(_document(connection, namespace, dataset))


@paths.route(_DATASET, "PUT", **documented("Tell of a dataset", DatasetShape, body=DatasetBody))
def put_dataset(namespace: str, dataset: str) -> Response:
    """Becomes a DatasetEvent; with ``runId``, a RunEvent that writes the dataset as well."""
    body = load_body(DatasetBody)
    run: tuple[str, tuple[str, str]] | None = None
    with reader() as connection:
        find_namespace(connection, namespace)
        source = one(connection, tables.source, body["sourceName"])
        if body["runId"]:
            run = _run(connection, body["runId"])
    facets = legacy.dataset_facets(body, source["connectionUrl"])
    events = [legacy.dataset_event(namespace, dataset, facets, clock.now())]
    if run is not None:
        written = {"namespace": namespace, "name": dataset, "facets": facets}
        events.append(legacy.run_event("OTHER", *run, clock.now(), outputs=[written]))
    tags = {*(body["tags"] or ()), *(tag for column in body["fields"] or () for tag in column["tags"] or ())}
    commit(*events, *(_tag_record(tag) for tag in sorted(tags)))
    return get_dataset(namespace, dataset)


@paths.route(_DATASET, "DELETE", **documented("Hide a dataset", DatasetShape))
def delete_dataset(namespace: str, dataset: str) -> Response:
    """Until a newer event or PUT mentions it; answers with the dataset as it was."""
    with reader() as connection:
        document = _document(connection, namespace, dataset)
    commit(
        legacy.dataset_event(document["namespace"], document["name"], legacy.hidden(), _after(document["updatedAt"]))
    )
    return json_response(document)


# --- versions --------------------------------------------------------------------------------------------------------


@paths.route(f"{_DATASET}/versions", **documented("Versions, newest first", DatasetVersionList, query=Page))
def list_versions(namespace: str, dataset: str) -> Response:
    """One a run that wrote the dataset, and one a DatasetEvent."""
    query = load_query(Page)
    with reader() as connection:
        dataset_id = find_dataset(connection, namespace, dataset)
        found, total = dataset_versions(connection, dataset_id, query["limit"], query["offset"])
    return json_response({"versions": found, "totalCount": total})


@paths.route(f"{_DATASET}/versions/{{version}}", **documented("A version of a dataset", DatasetVersionShape))
def get_version(namespace: str, dataset: str, version: str) -> Response:
    """What was said of the dataset then, and the run that wrote it."""
    with reader() as connection:
        found = dataset_version(connection, find_dataset(connection, namespace, dataset), version)
    if found is None:
        raise NotFound(f"Dataset version '{version}' not found.")
    return json_response(found)


# --- tags ------------------------------------------------------------------------------------------------------------


@paths.route(f"{_DATASET}/tags/{{tag}}", "POST", **documented("Tag a dataset", DatasetShape))
def tag_dataset(namespace: str, dataset: str, tag: str) -> Response:
    """Survives every later event."""
    return _tag(namespace, dataset, tag, True)


@paths.route(f"{_DATASET}/tags/{{tag}}", "DELETE", **documented("Take a tag away", DatasetShape))
def untag_dataset(namespace: str, dataset: str, tag: str) -> Response:
    """For good, even where a producer goes on giving it."""
    return _tag(namespace, dataset, tag, False)


@paths.route(f"{_DATASET}/fields/{{field}}/tags/{{tag}}", "POST", **documented("Tag a column", DatasetShape))
def tag_field(namespace: str, dataset: str, field: str, tag: str) -> Response:
    """Survives every later event."""
    return _tag(namespace, dataset, tag, True, field)


@paths.route(f"{_DATASET}/fields/{{field}}/tags/{{tag}}", "DELETE", **documented("Take a tag away", DatasetShape))
def untag_field(namespace: str, dataset: str, field: str, tag: str) -> Response:
    """For good, even where a producer goes on giving it."""
    return _tag(namespace, dataset, tag, False, field)


def _after(updated_at: str) -> int:
    """Now, or the time of the newest word on the thing where that lies in the future: a DELETE hides it even so."""
    return max(clock.now(), keys.microseconds(updated_at))


def _tag(namespace: str, dataset: str, tag: str, is_set: bool, field: str = "") -> Response:
    with reader() as connection:
        dataset_id = find_dataset(connection, namespace, dataset)
        own = dataset_names(connection, [dataset_id])[dataset_id]
        if field and not has_field(connection, dataset_id, field):
            raise NotFound(f"Field '{field}' not found.")
    events = [legacy.dataset_event(*own, legacy.tagged(tag, is_set, field), clock.now())]
    if is_set:
        events.append(_tag_record(tag))
    commit(*events)
    return get_dataset(*own)


def _tag_record(tag: str) -> Any:
    """That a tag is there: an old time, so that it does not take the place of a description."""
    return make_record("tag", tag, 0)


def _document(connection: Connection, namespace: str, dataset: str) -> dict[str, Any]:
    dataset_id = find_dataset(connection, namespace, dataset)
    return dataset_documents(connection, [dataset_id])[dataset_id]


def _run(connection: Connection, run_id: str) -> tuple[str, tuple[str, str]]:
    """A run's UUID and its job."""
    from collector.documents.runs import jobs_of_runs

    found = find_run(connection, run_id)
    [row] = run_rows(connection, [found])
    return keys.run_uuid(row.run_key), jobs_of_runs(connection, [found])[found]
