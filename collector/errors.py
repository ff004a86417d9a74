"""What the collector refuses, and what it answers then.

HeadwaterError
└── CollectorError            status, message, errors by field path
    ├── RefusedEvent          422/400: an event that cannot be given a place in the graph
    ├── RefusedBody           400/413/415: a body that cannot be read at all
    ├── BadQuery              400: a parameter out of its range
    ├── NotFound              404: Marquez's words: "Dataset 'x' not found."
    ├── Unavailable           503: cannot be committed now; sent with Retry-After: 1
    └── StoreError            the database URL or its schema cannot be used (start-up, command line)
BadTime                       a time that is no ISO-8601 time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lineage.errors import HeadwaterError


class CollectorError(HeadwaterError):
    """Something wrong with a request; ``errors`` gives messages by field path."""

    status = 400

    def __init__(self, message: str, errors: Mapping[str, Sequence[str]] | None = None, status: int | None = None):
        super().__init__(message)
        self.message = message
        self.errors = {path: list(messages) for path, messages in (errors or {}).items()}
        if status is not None:
            self.status = status

    def document(self) -> dict[str, object]:
        """The JSON body of the answer."""
        body: dict[str, object] = {"code": self.status, "message": self.message}
        if self.errors:
            body["errors"] = self.errors
        return body


class RefusedEvent(CollectorError):
    """An event that cannot be given a place in the graph."""

    status = 422


class RefusedBody(CollectorError):
    """A request body that cannot be read."""


class BadQuery(CollectorError):
    """A query parameter out of its range."""


class NotFound(CollectorError):
    """A node, run, version or page that is not there."""

    status = 404


class Unavailable(CollectorError):
    """The store cannot commit now."""

    status = 503


class StoreError(CollectorError):
    """The database cannot be opened or is not what this version expects."""

    status = 500


class BadTime(HeadwaterError):
    """Not an ISO-8601 time."""

    def __init__(self, text: str):
        super().__init__(
            f"{text[:80]!r} is not an ISO-8601 time, in the years 1 to 9999 UTC, such as 2026-11-24T13:16:18Z"
        )
