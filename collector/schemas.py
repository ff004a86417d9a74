"""What an OpenLineage event must have, as marshmallow schemas: they word every refusal and make the OpenAPI document.

Only what graph and identity rest on is required; facets, producers and unknown fields stay open, since real producers
send run ids that are no UUIDs, producers that are no URLs and empty facets.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate, validates_schema

from collector.decode import BOM, EVENT_TYPES, MAX_DATASETS, malformed
from collector.errors import BadTime, RefusedBody, RefusedEvent
from collector.keys import microseconds

MAX_SHOWN = 100  # field paths in one refusal

_not_empty = validate.Length(min=1, error="Must not be empty.")


class Text(fields.String):
    """A JSON string; unlike marshmallow's, bytes and numbers are not taken for one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return value


class EventTime(Text):
    """An ISO-8601 time, without zone taken as UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            microseconds(text)
        except BadTime as error:
            raise ValidationError(f"{error}.") from None
        return text


class OpenSchema(Schema):
    """Keeps fields that it does not know."""

    class Meta:
        unknown = INCLUDE


def _facets(description: str) -> fields.Dict:
    return fields.Dict(keys=Text(), allow_none=True, metadata={"description": description})


class RunSchema(OpenSchema):
    """The run: one execution of the job."""

    runId = Text(
        required=True, validate=_not_empty, metadata={"description": "a UUID; any other text is mapped to one"}
    )
    facets = _facets("run facets by name")


class JobSchema(OpenSchema):
    """The job: what ran."""

    namespace = Text(required=True, validate=_not_empty, metadata={"example": "my-scheduler"})
    name = Text(required=True, validate=_not_empty, metadata={"example": "nightly.load_orders"})
    facets = _facets("job facets by name")


class DatasetSchema(OpenSchema):
    """A dataset that a job read or wrote, or that a DatasetEvent is about."""

    namespace = Text(required=True, validate=_not_empty, metadata={"example": "postgres://db:5432"})
    name = Text(required=True, validate=_not_empty, metadata={"example": "shop.public.orders"})
    facets = _facets("dataset facets by name")
    inputFacets = _facets("facets of this reading")
    outputFacets = _facets("facets of this writing")


class EventSchema(OpenSchema):
    """A RunEvent (``run`` and ``job``), a JobEvent (``job``) or a DatasetEvent (``dataset``) of OpenLineage 2-0-2."""

    eventTime = EventTime(required=True, metadata={"format": "date-time", "example": "2026-11-24T13:16:18.123Z"})
    eventType = Text(allow_none=True, metadata={"enum": list(EVENT_TYPES)})
    producer = fields.Raw(
        allow_none=True, metadata={"type": "string", "example": "https://github.com/OpenLineage/OpenLineage"}
    )
    schemaURL = fields.Raw(allow_none=True, metadata={"type": "string"})
    run = fields.Nested(RunSchema, allow_none=True)
    job = fields.Nested(JobSchema, allow_none=True)
    dataset = fields.Nested(DatasetSchema, allow_none=True)
    inputs = fields.List(fields.Nested(DatasetSchema), allow_none=True)
    outputs = fields.List(fields.Nested(DatasetSchema), allow_none=True)

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def has_one_kind(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """A run needs its job; a dataset stands alone; something must be there."""
        run, job, dataset = (original.get(part) for part in ("run", "job", "dataset"))
        if run is not None and job is None:
            raise ValidationError("A RunEvent needs a job as well as a run.", "job")
        if run is None and job is not None and dataset is not None:
            raise ValidationError("A DatasetEvent has no job, a JobEvent no dataset: send one of the two.", "dataset")
        if run is None and job is None and dataset is None:
            raise ValidationError(
                "Needs run and job (a RunEvent), job alone (a JobEvent) or dataset alone (a DatasetEvent).", "_schema"
            )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def has_known_type(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """A RunEvent's type is one of the run's transitions, in any case; to other events it means nothing."""
        kind = original.get("eventType")
        if original.get("run") is not None and isinstance(kind, str) and kind.upper() not in EVENT_TYPES:
            raise ValidationError(f"Must be one of {', '.join(EVENT_TYPES)}.", "eventType")


_schema = EventSchema()


def problems(document: Any) -> dict[str, list[str]]:
    """What is wrong with a parsed event: messages by field path such as ``inputs.0.name``; empty when it is good."""
    if not isinstance(document, dict):
        return {"_schema": ["An event is a JSON object."]}
    sides = [document[side] for side in ("inputs", "outputs") if isinstance(document.get(side), list)]
    count = sum(map(len, sides))
    if count > MAX_DATASETS:  # not for marshmallow to look at: it takes seconds for a hundred thousand
        return {"inputs": [f"Has {count:,} inputs and outputs; at most {MAX_DATASETS:,} an event: split it."]}
    return flat_messages(_schema.validate(document))


def refusal(raw: bytes) -> RefusedBody | RefusedEvent:
    """Why ``raw`` is refused."""
    raw = raw.removeprefix(BOM)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return malformed(raw)
    errors = problems(document)
    if not errors:
        return RefusedEvent(
            "The event cannot be read: a field of the envelope has a form that JSON parsers disagree on."
        )
    first = next(iter(errors))
    more = f" ({len(errors):,} such, of which {MAX_SHOWN} are shown)" if len(errors) > MAX_SHOWN else ""
    return RefusedEvent(
        f"The event was refused: {first}: {errors[first][0]}{more}", dict(islice(errors.items(), MAX_SHOWN))
    )


def flat_messages(errors: Any, path: str = "") -> dict[str, list[str]]:
    """marshmallow's nested messages as one level: ``{"inputs": {0: {"name": […]}}}`` → ``{"inputs.0.name": […]}``."""
    if not isinstance(errors, dict):
        return {path or "_schema": [str(message) for message in (errors if isinstance(errors, list) else [errors])]}
    flat: dict[str, list[str]] = {}
    for key, inner in errors.items():
        # marshmallow says {"facets": {"value": {key: …}}} for a dict's values
        part = path if key in ("_schema", "value") and path else f"{path}.{key}".lstrip(".")
        for where, messages in flat_messages(inner, part).items():
            flat.setdefault(where, []).extend(messages)
    return flat
