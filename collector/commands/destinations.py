"""Where imported events go: a running collector, over HTTP, or its database, through the collector's own code."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import requests
from sqlalchemy import Engine, select

from collector.decode import Event, decode
from collector.errors import CollectorError, Unavailable
from collector.import_events import DestinationFailed, Line, Outcome
from collector.quarantine import Refused
from collector.store.engines import open_engine, reading, upgrade
from collector.tables import event as event_table
from collector.writer import Writer
from headwater import connection_trouble

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
MAX_PAUSE = 5.0  # seconds between two tries, whatever Retry-After says
AGAIN = (429, 502, 503, 504)


class CollectorDestination:
    """A running collector: batches by ``POST /api/v1/lineage/batch``.

    Args:
        url: its address.
        patience: seconds for which one batch is sent again while the collector cannot take it.
    """

    def __init__(self, url: str, patience: float = 60.0) -> None:
        self.url = url
        self.patience = patience
        self._endpoint = f"{url}/api/v1/lineage/batch"
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/json"
        if key := os.environ.get("OPENLINEAGE_API_KEY"):
            self._session.headers["Authorization"] = f"Bearer {key}"
        self._reached = False

    def close(self) -> None:
        self._session.close()

    def send(self, batch: Sequence[Line]) -> Outcome:
        refused: dict[int, str] = {}
        good: list[Line] = []
        for line in batch:  # one that is no JSON would spoil the whole body
            try:
                orjson.loads(line.raw)
            except orjson.JSONDecodeError as error:
                refused[line.number] = f"The line is not valid JSON: {error}."
            else:
                good.append(line)
        if good:
            refused |= self._send(good)
        return Outcome(refused)

    def _send(self, batch: Sequence[Line]) -> dict[int, str]:
        """Send a batch; one that is refused as a whole goes in halves, so that only the culprit is lost."""
        answer = self._post(b"[" + b",".join(line.raw for line in batch) + b"]")
        if answer.status_code in (200, 201, 204):
            return self._refused(batch, answer)
        if answer.status_code not in (400, 413, 422):
            raise DestinationFailed(_unexpected(self._endpoint, answer))
        if len(batch) == 1:
            return {batch[0].number: _message(answer)}
        half = len(batch) // 2
        return self._send(batch[:half]) | self._send(batch[half:])

    def _post(self, body: bytes) -> requests.Response:
        end = time.monotonic() + self.patience
        while True:
            pause = 1.0
            try:
                answer = self._session.post(
                    self._endpoint, data=body, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), allow_redirects=False
                )
            except requests.RequestException as error:
                trouble = f"{self.url} cannot be reached ({connection_trouble(error)})"
                if not self._reached:  # most likely a wrong address: say so at once
                    raise DestinationFailed(
                        f"{trouble}. Does a collector run there? Start one: headwater serve"
                    ) from error
            else:
                self._reached = True
                if answer.status_code not in AGAIN:
                    return answer
                trouble = f"{self.url} cannot take events now ({answer.status_code}: {_message(answer)})"
                with suppress(ValueError):
                    pause = float(answer.headers.get("Retry-After", pause))
            pause = min(max(pause, 0.05), MAX_PAUSE)
            if time.monotonic() + pause > end:
                raise DestinationFailed(f"{trouble}; it was tried again for {self.patience:g} seconds.")
            time.sleep(pause)

    def _refused(self, batch: Sequence[Line], answer: requests.Response) -> dict[int, str]:
        if not answer.content:
            return {}
        try:
            failed = answer.json().get("failed_events") or ()
            return {batch[one["index"]].number: str(one["reason"]) for one in failed}
        except (ValueError, AttributeError, KeyError, IndexError, TypeError):
            raise DestinationFailed(_unexpected(self._endpoint, answer)) from None


class StoreDestination:
    """The collector's database, written by this process as a collector would; a collector may run on it meanwhile.

    Args:
        database: see `collector.store.engines.open_engine`.
        patience: seconds for which one batch is tried again while the store cannot commit it.

    Raises StoreError where the database cannot be used.
    """

    def __init__(self, database: str, patience: float = 60.0) -> None:
        self.patience = patience
        self._engine: Engine = open_engine(database)
        upgrade(self._engine)
        self._writer = Writer(self._engine)

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()

    def send(self, batch: Sequence[Line]) -> Outcome:
        events: dict[bytes, Event] = {}
        numbers: dict[bytes, list[int]] = defaultdict(list)
        refused: dict[int, str] = {}
        kept: list[Refused] = []
        for line in batch:
            try:
                event = decode(line.raw)
            except CollectorError as error:
                refused[line.number] = error.message
                kept.append(Refused(line.raw, error))
            else:
                events[event.hash] = event
                numbers[event.hash].append(line.number)
        known = self._known(list(events))
        self._submit([event for hash_, event in events.items() if hash_ not in known], kept, numbers, refused)
        duplicates = sum(
            len(lines) - (hash_ not in known) for hash_, lines in numbers.items() if lines[0] not in refused
        )
        return Outcome(refused, duplicates)

    def _known(self, hashes: Sequence[bytes]) -> set[bytes]:
        with reading(self._engine) as connection:
            found = connection.execute(select(event_table.c.hash).where(event_table.c.hash.in_(hashes)))
            return {bytes(hash_) for (hash_,) in found}

    def _submit(
        self, events: list[Event], kept: list[Refused], numbers: dict[bytes, list[int]], refused: dict[int, str]
    ) -> None:
        """Commit; a batch that takes longer than the writer waits goes in halves."""
        if not events and not kept:
            return
        try:
            late = self._patiently(lambda: self._writer.submit(events, kept), once=len(events) > 1)
        except Unavailable:
            half = len(events) // 2
            self._submit(events[:half], kept, numbers, refused)
            self._submit(events[half:], [], numbers, refused)
        else:
            refused.update({number: error.message for hash_, error in late.items() for number in numbers[hash_]})

    def _patiently(self, submit: Callable[[], dict[bytes, Any]], once: bool) -> dict[bytes, Any]:
        end = time.monotonic() + self.patience
        while True:
            try:
                return submit()
            except Unavailable as error:
                if once:
                    raise
                if time.monotonic() > end:
                    raise DestinationFailed(f"{error} It was tried again for {self.patience:g} seconds.") from error
                time.sleep(0.5)


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason or "no reason given"


def _unexpected(endpoint: str, answer: requests.Response) -> str:
    hint = (
        "is this a collector's address?" if answer.status_code in (301, 302, 307, 308, 404, 405) else _message(answer)
    )
    return f"{endpoint} answered {answer.status_code}: {hint}"
