"""``POST /lineage`` and ``/lineage/batch``: events in. 2xx means committed."""

from __future__ import annotations

from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint

from collector.api.answers import json_response
from collector.api.store import store
from collector.body import decode_body, read_body
from collector.decode import Event, decode, split_batch
from collector.errors import CollectorError, RefusedBody
from collector.quarantine import Refused

blueprint = Blueprint(
    "events", __name__, url_prefix="/api/v1", description="Events in, as OpenLineage's producers send them"
)

_EVENT = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Event"}}}, "required": True}
_BATCH = {
    "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}}},
    "required": True,
}


def _body() -> bytes:
    body = read_body(request.stream, request.content_length, store().max_body)
    try:
        return decode_body(body, request.headers.get("Content-Encoding", ""))
    except RefusedBody as error:
        store().writer.submit((), (Refused(body, error),))
        raise


@blueprint.route("/lineage", methods=["POST"])
@blueprint.doc(
    summary="Store one event",
    requestBody=_EVENT,
    responses={
        "201": {"description": "Stored durably"},
        "400": {"description": "The body is not JSON; kept in quarantine"},
        "413": {"description": "The body is too large"},
        "422": {"description": "The event has no place in the graph; kept in quarantine"},
        "503": {"description": "Cannot be committed now; send it again after Retry-After"},
    },
)
def post_event() -> Response:
    """A RunEvent, JobEvent or DatasetEvent."""
    body = _body()
    try:
        event = decode(body)
    except CollectorError as error:
        store().writer.submit((), (Refused(body, error),))
        raise
    refusals = store().writer.submit((event,))
    if refusals:
        raise refusals[event.hash]
    return Response(status=201)


@blueprint.route("/lineage/batch", methods=["POST"])
class Batch(MethodView):
    """Many events in one request."""

    @blueprint.doc(
        summary="Store many events",
        requestBody=_BATCH,
        responses={
            "200": {"description": "What was stored and what was refused"},
            "400": {"description": "The body is no JSON array"},
            "503": {"description": "Cannot be committed now; send all again after Retry-After"},
        },
    )
    def post(self) -> Response:
        """The good ones are stored whatever is wrong with their neighbours; the others are kept in quarantine."""
        body = _body()
        try:
            parts = split_batch(body)
        except RefusedBody as error:
            store().writer.submit((), (Refused(body, error),))
            raise
        events: dict[int, Event] = {}
        refused: dict[int, CollectorError] = {}
        for index, part in enumerate(parts):
            try:
                events[index] = decode(part)
            except CollectorError as error:
                refused[index] = error
        if parts:
            late = store().writer.submit(
                list(events.values()), [Refused(parts[index], error) for index, error in refused.items()]
            )
            refused.update({index: late[event.hash] for index, event in events.items() if event.hash in late})
        return json_response(_summary(len(parts), refused))


def _summary(received: int, refused: dict[int, CollectorError]) -> dict[str, object]:
    """The specification's batch answer. Nothing here is worth sending again: what could be is a 503 for the whole."""
    failed = [{"index": index, "reason": error.message, "retriable": False} for index, error in sorted(refused.items())]
    return {
        "status": "partial_success" if refused else "success",
        "summary": {
            "received": received,
            "successful": received - len(refused),
            "failed": len(refused),
            "retriable": 0,
            "non_retriable": len(refused),
        },
        "failed_events": failed,
    }
