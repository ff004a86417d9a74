"""Datasets, in Marquez's shape."""

from __future__ import annotations

from flask import Response

from collector.api.answers import json_response
from collector.api.paths import NamePaths
from collector.api.store import reader
from collector.documents.datasets import dataset_documents
from collector.lookup import find_dataset

paths = NamePaths("datasets")


@paths.route("{namespace}/datasets/{dataset}", summary="A dataset with its columns and facets")
def get_dataset(namespace: str, dataset: str) -> Response:
    """The dataset that the name stands for; an alias answers with the dataset itself."""
    with reader() as connection:
        dataset_id = find_dataset(connection, namespace, dataset)
        return json_response(dataset_documents(connection, [dataset_id])[dataset_id])
