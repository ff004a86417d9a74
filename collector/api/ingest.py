"""``POST /lineage`` and ``/lineage/batch``: events in. 2xx means committed.

Producers' requests are answered by ``FastPath``, before Flask routes them: routing, request and response objects cost
as much as storing the event. The views below say the same to whoever reaches them in another way, and make the
documentation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint

from collector.api.answers import RETRY_AFTER, json_response, unforeseen_error
from collector.api.store import store
from collector.body import read_body
from collector.errors import CollectorError
from collector.intake import Intake

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("headwater.api")

blueprint = Blueprint(
    "events", __name__, url_prefix="/api/v1", description="Events in, as OpenLineage's producers send them"
)

_EVENT = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Event"}}}, "required": True}
_BATCH = {
    "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}}},
    "required": True,
}


def _body() -> tuple[bytes, str]:
    body = read_body(request.stream, request.content_length, store().max_body)
    return body, request.headers.get("Content-Encoding", "")


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
    store().intake.event(*_body())
    return Response(status=201, mimetype="application/json")


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
        return json_response(store().intake.batch(*_body()))


def _refusal(error: Exception) -> tuple[bytes, str, list[tuple[str, str]]]:
    """Body, status line and further headers of the answer to a refused request.

    A function of its own: an error kept in a local of the frame that caught it is a cycle, which holds the request's
    body until the garbage collector comes round.
    """
    refusal = error if isinstance(error, CollectorError) else unforeseen_error(error)
    headers = [("Retry-After", RETRY_AFTER)] if refusal.status == 503 else []
    return orjson.dumps(refusal.document()), f"{refusal.status} Refused", headers


class FastPath:
    """A WSGI application that takes events in by itself and hands every other request to ``app``."""

    def __init__(self, app: WSGIApplication, intake: Intake, max_body: int) -> None:
        self._app = app
        self._max_body = max_body
        self._takers: dict[str, Callable[[bytes, str], dict[str, Any] | None]] = {
            "/api/v1/lineage": intake.event,
            "/api/v1/lineage/batch": intake.batch,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a POST of events; where the body's end is not known, Flask's own reading of it serves."""
        take = self._takers.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        length = environ.get("CONTENT_LENGTH") or ""
        is_number = length.isascii() and length.isdecimal() and len(length) < 20
        if take is None or not (is_number or (not length and environ.get("wsgi.input_terminated"))):
            return self._app(environ, start_response)
        headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
        try:
            body = read_body(environ["wsgi.input"], int(length) if is_number else None, self._max_body)
            document = take(body, environ.get("HTTP_CONTENT_ENCODING", ""))
            answer, status = (b"", "201 Created") if document is None else (orjson.dumps(document), "200 OK")
        except Exception as error:  # noqa: BLE001 - nothing above this would word it for a client
            answer, status, more = _refusal(error)
            headers += more
        headers.append(("Content-Length", str(len(answer))))
        start_response(status, headers)
        return [answer]
