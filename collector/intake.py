"""From a request's body to its commit: what ``POST /lineage`` and ``/lineage/batch`` do, whoever serves them."""

from __future__ import annotations

from typing import Any

from collector.body import decode_body
from collector.decode import Event, decode, split_batch
from collector.errors import CollectorError, RefusedBody
from collector.quarantine import Refused
from collector.writer import Writer


class Intake:
    """Takes bodies in; returns when what they hold is durable. What is refused is kept in quarantine first."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def event(self, body: bytes, encoding: str = "") -> None:
        """Store the one event in ``body``, inflated as ``encoding`` (Content-Encoding) says.

        Raises RefusedBody, RefusedEvent or Unavailable.
        """
        with self._writer.admitted(len(body)) as arrived:
            body = self._inflated(body, encoding)
            try:
                event = decode(body)
            except CollectorError as error:
                self._writer.submit((), (Refused(body, error),), arrived)
                raise
            refusals = self._writer.submit((event,), (), arrived)
            if refusals:
                raise refusals[event.hash]

    def batch(self, body: bytes, encoding: str = "") -> dict[str, Any]:
        """Store the good events of a JSON array, whatever is wrong with their neighbours.

        Returns the specification's batch answer. Raises RefusedBody where the body is no array, Unavailable where the
        whole must be sent again.
        """
        with self._writer.admitted(len(body)) as arrived:
            return self._batch(self._inflated(body, encoding), arrived)

    def _batch(self, body: bytes, arrived: float) -> dict[str, Any]:
        try:
            parts = split_batch(body)
        except RefusedBody as error:
            self._writer.submit((), (Refused(body, error),), arrived)
            raise
        events: dict[int, Event] = {}
        refused: dict[int, CollectorError] = {}
        for index, part in enumerate(parts):
            try:
                events[index] = decode(part)
            except CollectorError as error:
                refused[index] = error.with_traceback(None)  # which would hold this frame, and all of the bodies
        if parts:
            kept = [Refused(parts[index], error) for index, error in refused.items()]
            late = self._writer.submit(list(events.values()), kept, arrived)
            refused.update({index: late[event.hash] for index, event in events.items() if event.hash in late})
        return _summary(len(parts), refused)

    def _inflated(self, body: bytes, encoding: str) -> bytes:
        if not encoding:
            return body
        try:
            return decode_body(body, encoding)
        except RefusedBody as error:
            self._writer.submit((), (Refused(body, error),))
            raise


def _summary(received: int, refused: dict[int, CollectorError]) -> dict[str, Any]:
    """Nothing here is worth sending again: what could be is a 503 for the whole."""
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
