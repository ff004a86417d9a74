"""Namespaces, sources and tags, in Marquez's shape."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy import Table

from collector import tables
from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.paths import NamePaths
from collector.api.query import NamespaceBody, NoQuery, Page, SourceBody, TagBody, load_body, load_query
from collector.api.shapes import NamespaceList, NamespaceShape, SourceList, SourceShape, TagList, ToldTagShape
from collector.api.store import reader
from collector.api.writing import commit
from collector.documents.registry import newest_word, one, page
from collector.legacy import clock
from collector.lookup import find_namespace
from collector.records import make_record

paths = NamePaths("namespaces")
blueprint = Blueprint("registry", __name__, url_prefix="/api/v1", description="Sources and tags, and lists")


def _list(table: Table, key: str) -> Response:
    query = load_query(Page)
    with reader() as connection:
        found, total = page(connection, table, query["limit"], query["offset"])
    return json_response({key: found, "totalCount": total})


def _get(table: Table, name: str) -> Response:
    with reader() as connection:
        return json_response(one(connection, table, name))


def _tell(table: Table, name: str, said: dict[str, Any]) -> Response:
    commit(make_record(table.name, name, clock.now(), **said))
    return _get(table, name)


@blueprint.route("/namespaces")
@blueprint.doc(**documented("Namespaces by name", NamespaceList, query=Page))
def list_namespaces() -> Response:
    """Hidden ones too, which say so."""
    return _list(tables.namespace, "namespaces")


@paths.route("{namespace}", **documented("A namespace", NamespaceShape))
def get_namespace(namespace: str) -> Response:
    """With its owner and description, as they were told."""
    return _get(tables.namespace, namespace)


@paths.route("{namespace}", "PUT", **documented("Tell of a namespace", NamespaceShape, body=NamespaceBody))
def put_namespace(namespace: str) -> Response:
    """A hidden one comes back."""
    return _tell(tables.namespace, namespace, load_body(NamespaceBody))


@paths.route("{namespace}", "DELETE", **documented("Hide a namespace and all in it", NamespaceShape))
def delete_namespace(namespace: str) -> Response:
    """Until a newer event or PUT mentions it; a job or dataset in it comes back when one mentions that."""
    with reader() as connection:
        newest = newest_word(connection, find_namespace(connection, namespace))
    commit(make_record("namespace", namespace, max(clock.now(), newest), hidden=True))
    return _get(tables.namespace, namespace)


@blueprint.route("/sources")
@blueprint.doc(**documented("Sources by name", SourceList, query=Page))
def list_sources() -> Response:
    """Those that PUT told of, and those that datasets name."""
    return _list(tables.source, "sources")


@blueprint.route("/sources/<anything:name>")
@blueprint.doc(**documented("A source", SourceShape, query=NoQuery))
def get_source(name: str) -> Response:
    """With its type and URL, as told or as a dataset's events say."""
    return _get(tables.source, name)


@blueprint.route("/sources/<anything:name>", methods=["PUT"])
@blueprint.doc(**documented("Tell of a source", SourceShape, body=SourceBody))
def put_source(name: str) -> Response:
    """What is told stands above what events say."""
    said = load_body(SourceBody)
    return _tell(tables.source, name, said | {"type": said["type"].upper()})


@blueprint.route("/tags")
@blueprint.doc(**documented("Tags by name", TagList, query=Page))
def list_tags() -> Response:
    """Those that PUT told of, and those that anything carries."""
    return _list(tables.tag, "tags")


@blueprint.route("/tags/<anything:name>", methods=["PUT"])
@blueprint.doc(**documented("Tell of a tag", ToldTagShape, body=TagBody))
def put_tag(name: str) -> Response:
    """Its description. The answer is the tag, and the list of one that Marquez's document promises."""
    commit(make_record("tag", name, clock.now(), **load_body(TagBody)))
    with reader() as connection:
        found = one(connection, tables.tag, name)
    return json_response({**found, "tags": [found]})
