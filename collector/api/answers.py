"""Answers as JSON, and the one shape of every error."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from flask import Flask, Response, current_app
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from collector.errors import CollectorError, Unavailable

log = logging.getLogger("headwater.api")

RETRY_AFTER = "1"  # seconds; stock clients honour more, and would stop a user's job for it


def json_response(document: Any, status: int = 200) -> Response:
    """``document`` as JSON; raw facets go in as they came (orjson.Fragment)."""
    return Response(orjson.dumps(document), status, mimetype="application/json")


def error_response(error: CollectorError) -> Response:
    """The answer to a refused request."""
    response = json_response(error.document(), error.status)
    if error.status == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def unforeseen_error(error: Exception) -> CollectorError:
    """What a client is told of a bug of ours; the log gets the rest."""
    log.error("unforeseen error", exc_info=error)
    return CollectorError("The collector failed; its log says how. This is a bug of ours.", status=500)


def install_error_handlers(app: Flask) -> None:
    """Every error of ``app`` in one JSON shape: ``{"code", "message", "errors"}``, never a traceback."""

    @app.errorhandler(CollectorError)
    def refused(error: CollectorError) -> Response:
        return error_response(error)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        response = error_response(_of_http(error))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(SQLAlchemyError)
    def store(error: SQLAlchemyError) -> Response:
        if isinstance(error, DBAPIError):
            log.warning("query failed error=%r", str(error.orig))
            return error_response(Unavailable("The store cannot answer now: ask again in a second."))
        return unforeseen(error)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        refusal = unforeseen_error(error)
        if current_app.testing:
            raise error
        return error_response(refusal)


def _of_http(error: HTTPException) -> CollectorError:
    status = error.code or 500
    data = getattr(error, "data", None) or {}  # flask-smorest puts webargs' messages here
    messages = data.get("messages")
    if messages:  # {"query": {"depth": ["…"]}}
        fields = {name: list(said) for place in messages.values() for name, said in place.items()}
        first = next(iter(fields))
        return CollectorError(f"{first}: {fields[first][0]}", fields, status=400)
    return CollectorError(data.get("message") or error.description or error.name, status=status)
