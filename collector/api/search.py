"""Search, in Marquez's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import Connection

from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.query import load_query
from collector.api.shapes import SearchResults
from collector.api.store import reader
from collector.documents.hits import dataset_hits, highlight, job_hits
from collector.keys import microseconds
from collector.search import SearchQuery, search

blueprint = Blueprint("search", __name__, url_prefix="/api/v1", description="Search")
beta = Blueprint("search-beta", __name__, url_prefix="/api/v2beta/search", description="Search, as Marquez's UI asks")


class Day(fields.String):
    """A date, as the microseconds since 1970 of its beginning in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return microseconds(date.fromisoformat(text).isoformat())
        except ValueError:
            raise ValidationError(f"{text[:80]!r} is no date: write YYYY-MM-DD.") from None


class Choice(fields.String):
    """One of some words, in any case, as lower case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).lower()


class SearchParameters(Schema):
    """What to look for."""

    q = fields.String(required=True, validate=validate.Length(max=2_000))
    filter = Choice(load_default=None, validate=validate.OneOf(["dataset", "job"]))
    sort = Choice(
        load_default="name",
        validate=validate.OneOf(["name", "update_at", "updated_at"]),
        metadata={"description": "name: exact names first, then beginnings, words, any part; update_at: newest first"},
    )
    namespace = fields.String(load_default=None)
    before = Day(load_default=None, metadata={"example": "2026-11-24"})
    after = Day(load_default=None)
    limit = fields.Integer(load_default=10, validate=validate.Range(0, 1_000))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))
    scope = Choice(
        load_default="name",
        validate=validate.OneOf(["name", "all"]),
        metadata={"description": "all: in descriptions, columns and tags as well"},
    )


class BetaParameters(Schema):
    """What to look for."""

    q = fields.String(required=True, validate=validate.Length(min=1, max=2_000))


@blueprint.route("/search", strict_slashes=False)
@blueprint.doc(**documented("Datasets and jobs by name", SearchResults, query=SearchParameters))
def get_results() -> Response:
    """A part of the name, without regard to case."""
    query = load_query(SearchParameters)
    wanted = SearchQuery(
        query["q"],
        query["filter"],
        query["namespace"],
        query["before"],
        query["after"],
        query["sort"] != "name",
        query["scope"] == "all",
        query["limit"],
        query["offset"],
    )
    with reader() as connection:
        results, total = search(connection, wanted)
    return json_response({"totalCount": total, "results": results})


@beta.route("/jobs")
@beta.doc(summary="Jobs, as the UI's search asks", responses={"200": {"description": "hits and highlights"}})
def get_jobs() -> Response:
    """In names, descriptions and tags."""
    return _hits("job", job_hits)


@beta.route("/datasets")
@beta.doc(summary="Datasets, as the UI's search asks", responses={"200": {"description": "hits and highlights"}})
def get_datasets() -> Response:
    """In names, descriptions, columns and tags."""
    return _hits("dataset", dataset_hits)


def _hits(kind: str, shown: Callable[[Connection, Sequence[dict[str, Any]]], list[dict[str, Any]]]) -> Response:
    text = load_query(BetaParameters)["q"]
    with reader() as connection:
        found, _ = search(connection, SearchQuery(text, kind, in_words=True))
        hits = shown(connection, found)
    return json_response({"hits": hits, "highlights": [{"name": [highlight(one["name"], text)]} for one in hits]})
