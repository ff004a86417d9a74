"""Query parameters and bodies of Marquez's calls, checked by marshmallow and refused in our one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from flask import g, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from collector.api.store import store
from collector.body import decode_body, read_body
from collector.decode import MAX_DEPTH, is_deeper, malformed
from collector.errors import BadQuery, BadTime, RefusedBody
from collector.keys import microseconds
from collector.schemas import EventTime, Text, flat_messages

MAX_LIMIT = 10_000


class Moment(fields.String):
    """An ISO-8601 time, as microseconds since 1970 UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return microseconds(text.replace(" ", "+"))  # an unescaped '+' in a query arrives as a space
        except BadTime as error:
            raise ValidationError(f"{error}.") from None


class Page(Schema):
    """A page of a list."""

    limit = fields.Integer(load_default=100, validate=validate.Range(0, MAX_LIMIT))
    offset = fields.Integer(load_default=0, validate=validate.Range(0, 2**63 - 1))


class JobsPage(Page):
    """A page of jobs."""

    lastRunStates = fields.List(
        fields.String(validate=validate.OneOf(["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"])),
        load_default=list,
    )


class NoQuery(Schema):
    """A call without parameters."""


class At(Schema):
    """When a run changed."""

    at = Moment(load_default=None)


def load_query(schema: type[Schema], *several: str) -> dict[str, Any]:
    """The query parameters by ``schema``; those named ``several`` may be repeated. Raises BadQuery."""
    values: dict[str, Any] = {key: value for key, value in request.args.items() if key not in several}
    values |= {key: request.args.getlist(key) for key in several if key in request.args}
    return _loaded(schema, values, BadQuery)


def load_body(schema: type[Schema]) -> dict[str, Any]:
    """The JSON body by ``schema``; no body counts as ``{}``.

    Raises RefusedBody: 400 for what is no JSON, 422 for what the schema refuses.
    """
    return _loaded(schema, sent_document(), lambda message, errors: RefusedBody(message, errors, 422))


def _loaded(
    schema: type[Schema], document: dict[str, Any], refusal: Callable[[str, dict[str, list[str]]], Exception]
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = schema(unknown=EXCLUDE).load(document)
        return found
    except ValidationError as error:
        messages = flat_messages(error.messages)
        first = next(iter(messages))
        raise refusal(f"{first}: {messages[first][0]}", messages) from None


def sent_document() -> dict[str, Any]:
    """The JSON body, which can be asked for again; none counts as ``{}``. Raises RefusedBody where it is no object."""
    if "sent_document" not in g:
        g.sent_document = _read_document()
    found: dict[str, Any] = g.sent_document
    return found


def _read_document() -> dict[str, Any]:
    sent = read_body(request.stream, request.content_length, store().max_body)
    raw = decode_body(sent, request.headers.get("Content-Encoding", ""))
    try:
        document = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError:
        raise malformed(raw) from None
    if is_deeper(raw, MAX_DEPTH):
        raise RefusedBody(f"The body is nested deeper than {MAX_DEPTH} levels.", status=422)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise RefusedBody("The body is a JSON object.", {"_schema": ["The body is a JSON object."]}, 422)
    return document


# --- bodies ----------------------------------------------------------------------------------------------------------

_not_empty = validate.Length(min=1, error="Must not be empty.")


def _text(required: bool = False, **metadata: Any) -> Text:
    if required:
        return Text(required=True, validate=_not_empty, metadata=metadata)
    return Text(load_default=None, allow_none=True, metadata=metadata)


class NamespaceBody(Schema):
    """PUT of a namespace."""

    ownerName = _text(required=True, example="me")
    description = _text()


class SourceBody(Schema):
    """PUT of a source."""

    type = _text(required=True, example="POSTGRESQL")
    connectionUrl = _text(required=True, example="jdbc:postgresql://db.example.com/mydb")
    description = _text()


class TagBody(Schema):
    """PUT of a tag."""

    description = _text()


class FieldBody(Schema):
    """A column of a dataset PUT."""

    name = _text(required=True)
    type = _text()
    description = _text()
    tags = fields.List(Text(validate=_not_empty), load_default=list, allow_none=True)


class DatasetBody(Schema):
    """PUT of a dataset."""

    type = Text(required=True, validate=validate.OneOf(["DB_TABLE", "STREAM"]))
    physicalName = _text(required=True)
    sourceName = _text(required=True)
    schemaLocation = _text()
    fields_ = fields.List(
        fields.Nested(FieldBody(unknown=EXCLUDE)),
        data_key="fields",
        attribute="fields",
        load_default=list,
        allow_none=True,
    )
    tags = fields.List(Text(validate=_not_empty), load_default=list, allow_none=True)
    description = _text()
    runId = _text()


class DatasetIdBody(Schema):
    """A dataset that a job reads or writes."""

    namespace = _text(required=True)
    name = _text(required=True)


class JobBody(Schema):
    """PUT of a job."""

    type = Text(required=True, validate=validate.OneOf(["BATCH", "STREAM", "SERVICE"]))
    inputs = fields.List(fields.Nested(DatasetIdBody(unknown=EXCLUDE)), load_default=list, allow_none=True)
    outputs = fields.List(fields.Nested(DatasetIdBody(unknown=EXCLUDE)), load_default=list, allow_none=True)
    location = _text()
    description = _text()
    context = fields.Dict(keys=Text(), values=Text(), load_default=dict, allow_none=True)
    runId = _text()


class RunBody(Schema):
    """POST of a run."""

    id = _text()
    nominalStartTime = EventTime(load_default=None, allow_none=True, metadata={"format": "date-time"})
    nominalEndTime = EventTime(load_default=None, allow_none=True, metadata={"format": "date-time"})
    args = fields.Dict(keys=Text(), load_default=dict, allow_none=True)
