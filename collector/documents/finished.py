"""Finished documents that this process keeps, each beside the rows that it was made from.

A document is used again only where the store has not changed since, or where the same rows are read again: it cannot be
stale. Rows speak of facet bodies by their ids, which mean the same while the store's ``epoch`` stands (a rebuild or a
prune moves it).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Connection, Engine

from collector.state import state_of

LIMIT = 64 << 20  # bytes, for one store in one process
ENTRY = 1_200  # bytes that an entry takes beside its JSON: the rows, mostly

JSON = dict[str, Any]
R = TypeVar("R")


class Finished(NamedTuple, Generic[R]):
    """A dataset's or a job's document, and what it was made from."""

    rows: R
    namespace: str
    name: str
    text: bytes  # the document as JSON

    @property
    def fragment(self) -> orjson.Fragment:
        """The document, for ``orjson.dumps``."""
        return orjson.Fragment(self.text)


class Shelf:
    """Finished documents by what they show, bounded in bytes: what was asked for longest ago goes first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, Finished[Any]] = OrderedDict()
        self._seen: dict[Hashable, int] = {}  # the newest event's id when the entry was last known to be right
        self._bytes = 0
        self._lock = Lock()

    def still(self, kind: str, ids: Iterable[int], event_id: int) -> dict[int, Finished[Any]]:
        """The documents that were right when ``event_id`` was the newest event, by id."""
        entries, seen = self._entries, self._seen
        found: dict[int, Finished[Any]] = {}
        with self._lock:
            for one in ids:
                key = kind, one
                if seen.get(key) == event_id:
                    found[one] = entries[key]
                    entries.move_to_end(key)
        return found

    def same(self, kind: str, rows: Mapping[int, Any], event_id: int) -> dict[int, Finished[Any]]:
        """The documents that were made from the same ``rows``, by id."""
        entries, seen = self._entries, self._seen
        found: dict[int, Finished[Any]] = {}
        with self._lock:
            for one, made_from in rows.items():
                key = kind, one
                entry = entries.get(key)
                if entry is not None and entry.rows == made_from:
                    found[one] = entry
                    entries.move_to_end(key)
                    seen[key] = event_id
        return found

    def put(self, kind: str, one: int, finished: Finished[Any], event_id: int) -> None:
        """Keep a document."""
        key = kind, one
        with self._lock:
            known = self._entries.pop(key, None)
            self._entries[key] = finished
            self._seen[key] = event_id
            self._bytes += _size(finished) - (_size(known) if known is not None else 0)
            while self._bytes > self._limit:
                gone, dropped = self._entries.popitem(last=False)
                del self._seen[gone]
                self._bytes -= _size(dropped)


def _size(finished: Finished[Any]) -> int:
    return len(finished.text) + ENTRY


_shelves: WeakKeyDictionary[Engine, tuple[int, Shelf]] = WeakKeyDictionary()


def _shelf(connection: Connection, epoch: int) -> Shelf:
    found = _shelves.get(connection.engine)
    if found is None or found[0] != epoch:
        found = _shelves[connection.engine] = epoch, Shelf()
    return found[1]


def still_finished(connection: Connection, kind: str, ids: Iterable[int]) -> dict[int, Finished[Any]]:
    """The documents that are kept and known to be right, since nothing was stored since: one statement."""
    epoch, event_id = state_of(connection)
    return _shelf(connection, epoch).still(kind, ids, event_id)


def finish(
    connection: Connection,
    kind: str,
    ids: Collection[int],
    read: Callable[[Collection[int]], Mapping[int, R]],
    make: Callable[[Mapping[int, R]], Mapping[int, JSON]],
) -> dict[int, Finished[R]]:
    """The document of each of ``ids``: ``read`` gives the rows of those that may have changed, ``make`` the documents
    of those whose rows have. One statement beside theirs; ``kind`` tells apart what is kept."""
    epoch, event_id = state_of(connection)
    shelf = _shelf(connection, epoch)
    found: dict[int, Finished[R]] = shelf.still(kind, ids, event_id)
    if len(found) < len(ids):
        rows = read([one for one in ids if one not in found])
        same = shelf.same(kind, rows, event_id)
        found |= same
        changed = {one: made_from for one, made_from in rows.items() if one not in same}
        if changed:
            for one, document in make(changed).items():
                text = orjson.dumps(document)
                found[one] = Finished(changed[one], document["namespace"], document["name"], text)
                shelf.put(kind, one, found[one], event_id)
    return found
