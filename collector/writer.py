"""Group commit: one thread takes whatever requests are waiting, commits them in one transaction, then answers each.

A request's answer is sent after its commit, so 2xx means durable. The queue is bounded in events and bytes, and a
request that is not committed in ANSWER_SECONDS is told to come again (503): stock clients block their user's job while
no answer comes, and lose events on most other refusals.
"""

from __future__ import annotations

import logging
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from collector.decode import Event
from collector.errors import RefusedEvent, Unavailable
from collector.ingest import Memory, ingest, prepare
from collector.quarantine import Refused, keep
from collector.store.engines import writing

log = logging.getLogger("headwater.writer")

ANSWER_SECONDS = 0.9
FULL_SECONDS = 0.5  # a request is refused at once where those before it wait so long already,
BUSY_SECONDS = 0.35  # or what is inside keeps the store busy for so long: more of it is stored no faster
PACE_BYTES = 64 * 1024  # commits of less say nothing of how fast many would be,
PACES = 8  # and one of the last may have met with something that passes
LINGER_SECONDS = 0.001  # at least so long may a commit wait for its share of requests,
LINGER_SHARE = 0.5  # or this share of the time that the last commit took,
MOST_LINGER_SECONDS = 0.02  # but never so long: the last one may have met with a store that was stuck
MAX_WAITING_EVENTS = 20_000
MAX_BYTES = 64 * 1024 * 1024
MAX_COMMIT_EVENTS = 1_000
MAX_COMMIT_BYTES = 16 * 1024 * 1024


def _held_lock() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Request:
    """What one HTTP request wants committed, and its answer once ``answered`` can be acquired.

    A bare lock wakes its one waiter with half the context switches of a Future's condition.
    """

    events: Sequence[Event]
    refused: Sequence[Refused]
    size: int
    answered: LockType = field(default_factory=_held_lock)
    refusals: dict[bytes, RefusedEvent] = field(default_factory=dict)
    error: Exception | None = None
    since: float = field(default_factory=monotonic)

    @property
    def count(self) -> int:
        return len(self.events) + len(self.refused)

    def answer(self, refusals: dict[bytes, RefusedEvent] | None = None, error: Exception | None = None) -> None:
        self.refusals, self.error = refusals or {}, error
        self.answered.release()

    def result(self) -> dict[bytes, RefusedEvent]:
        """What ``answer`` was given, once. Raises its error."""
        error, self.error = self.error, None  # else it holds the request, by this frame, which holds it
        try:
            if error is not None:
                raise error
            return self.refusals
        finally:
            del error


class Writer:
    """The one thread of this process that writes to the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._memory = Memory()
        self._waiting: deque[_Request] = deque()
        self._events = 0
        self._bytes = 0
        self._inside = 0  # bytes of the requests that are being read, wait or are committed
        self._paces: deque[float] = deque(maxlen=PACES)  # seconds a byte of the last large commits
        self._lock = threading.Lock()  # over all of the above and below
        self._closing = False
        self._sleeping = False  # whether the thread waits for ``_wake``, to be released at ``_wanted`` requests
        self._wanted = 1
        self._wake = _held_lock()
        self._thread: threading.Thread | None = None
        self.commits = 0
        self.committed = 0
        self.refused = 0
        self.failures = 0

    @contextmanager
    def admitted(self, size: int) -> Iterator[float]:
        """Around the work of reading ``size`` bytes and submitting what they say; gives the moment that it began.

        Raises Unavailable at once where the answer would come too late: of three times as many batches as can be
        committed fewer would be stored than of just enough, as reading them takes the interpreter from the thread that
        commits.
        """
        with self._lock:
            if self._closing:
                raise _stopping()
            if self._inside and self._is_late(size):
                raise _full()
            self._inside += size
        try:
            yield monotonic()
        finally:
            with self._lock:
                self._inside -= size

    def submit(
        self, events: Sequence[Event], refused: Sequence[Refused] = (), arrived: float | None = None
    ) -> dict[bytes, RefusedEvent]:
        """Commit ``events``, and keep ``refused`` in quarantine; returns when they are durable.

        ``arrived`` is when the request did (``monotonic``), now by default.

        Returns the refusals, by event hash, of events that only the store could refuse. Raises Unavailable when the
        queue is full, the store cannot commit, or ANSWER_SECONDS have passed: nothing may be taken for stored then.
        """
        size = sum(len(event.raw) for event in events) + sum(len(one.body) for one in refused)
        request = _Request(events, refused, size)
        if arrived is not None:
            request.since = arrived
        with self._lock:
            if self._closing:
                raise _stopping()
            if self._waiting and (self._events + request.count > MAX_WAITING_EVENTS or self._bytes + size > MAX_BYTES):
                raise _full()
            self._start_thread()
            self._waiting.append(request)
            self._events += request.count
            self._bytes += size
            if len(self._waiting) >= self._wanted:
                self._wake_thread()
        try:
            if not request.answered.acquire(timeout=max(0.0, request.since + ANSWER_SECONDS - monotonic())):
                self._withdraw(request)
                raise Unavailable("The store did not commit within a second: send the event again.")
            return request.result()
        finally:
            del request  # else an exception's traceback holds the bodies until the garbage collector comes round

    def close(self) -> None:
        """Commit what is waiting, then stop the thread."""
        with self._lock:
            self._closing = True
            self._wake_thread()
        if self._thread is not None:
            self._thread.join()

    @property
    def waiting(self) -> int:
        """Events that wait for a commit."""
        return self._events

    # --- the thread --------------------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        # started by the first request: a server that forks its workers after create_app() would lose it
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="headwater-writer", daemon=True)
            self._thread.start()

    def _is_late(self, size: int) -> bool:
        """Whether what is inside keeps the store busy until the answer to ``size`` bytes more is due, or memory full.

        The request's own commit is not counted: a large one would never find its turn among small ones.
        """
        waits = self._waiting and monotonic() - self._waiting[0].since > FULL_SECONDS
        return waits or self._inside + size > MAX_BYTES or self._inside * min(self._paces, default=0.0) > BUSY_SECONDS

    def _withdraw(self, request: _Request) -> None:
        with self._lock:
            try:
                self._waiting.remove(request)
            except ValueError:
                return  # its commit is under way
            self._events -= request.count
            self._bytes -= request.size

    def _wake_thread(self) -> None:
        if self._sleeping:
            self._sleeping = False
            self._wake.release()

    def _sleep(self, wanted: int, seconds: float = -1) -> None:
        """Wait until ``wanted`` requests are waiting, the writer closes, or ``seconds`` have passed."""
        with self._lock:
            if len(self._waiting) >= wanted or self._closing:
                return
            self._wanted, self._sleeping = wanted, True
        if not self._wake.acquire(timeout=seconds):
            with self._lock:
                if self._sleeping:
                    self._sleeping = False
                else:
                    self._wake.acquire()  # released just now

    def _run(self) -> None:
        senders, linger = 1, 0.0
        while True:
            self._sleep(1)
            # wait a moment for as many requests as were there during the last commit: those answered are about to send
            # the next. Else commits hold half of what they could, and cost the same. A lone sender never waits.
            if self._events < MAX_COMMIT_EVENTS and self._bytes < MAX_COMMIT_BYTES:
                self._sleep(senders, linger)
            requests = self._take()
            if not requests and self._closing:
                return
            started = monotonic()
            self._commit(requests)
            seconds = monotonic() - started
            size = sum(request.size for request in requests)
            if size >= PACE_BYTES:
                self._paces.append(seconds / size)
            linger = min(max(LINGER_SECONDS, LINGER_SHARE * seconds), MOST_LINGER_SECONDS)
            senders = max(len(requests) + len(self._waiting), 1)

    def _take(self) -> list[_Request]:
        """The next commit's requests: in order, as many as fit, at least one where any waits."""
        taken: list[_Request] = []
        events = size = 0
        with self._lock:
            while self._waiting:
                request = self._waiting[0]
                if taken and (events + request.count > MAX_COMMIT_EVENTS or size + request.size > MAX_COMMIT_BYTES):
                    break
                taken.append(self._waiting.popleft())
                events += request.count
                size += request.size
            self._events -= events
            self._bytes -= size
        return taken

    def _commit(self, requests: list[_Request]) -> None:
        """One transaction for all; where the store refuses an event or something unforeseen fails, one for each."""
        started = monotonic()
        try:
            self._write(requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting request must get an answer
            self._memory.forget()
            if len(requests) > 1 and not _is_unavailable(error):
                _forget_frames(error)
                for request in requests:
                    self._commit([request])
                return
            for request in requests:
                self._answer_failure(request, error)
            _forget_frames(error)
        else:
            for request in requests:
                request.answer()
            log.debug("committed requests=%d seconds=%.4f", len(requests), monotonic() - started)

    def _write(self, requests: list[_Request]) -> None:
        events = [event for request in requests for event in request.events]
        refused = [one for request in requests for one in request.refused]
        prepared = prepare(events)
        with writing(self._engine) as connection:
            if events:
                ingest(connection, prepared, self._memory)
            if refused:
                keep(connection, refused)
        self.commits += 1
        self.refused += len(refused)
        self.committed += len(events)

    def _answer_failure(self, request: _Request, error: Exception) -> None:
        self.failures += 1
        if _is_unavailable(error):
            log.warning("commit failed error=%r", str(error))
            if "readonly" in str(error):
                # a connection that SQLite opened while the disk was read-only stays so for ever
                self._engine.dispose()
            request.answer(error=Unavailable("The store cannot commit now: send the event again in a second."))
        elif isinstance(error, RefusedEvent) and len(request.events) == 1:
            self._quarantine(request, {request.events[0].hash: error})
        elif len(request.events) > 1:
            self._commit_one_by_one(request)
        else:
            log.error("commit failed unexpectedly", exc_info=error)
            trouble = RefusedEvent(
                "The collector could not store this event; it is kept in quarantine (a bug of ours)."
            )
            self._quarantine(request, {event.hash: trouble for event in request.events})

    def _commit_one_by_one(self, request: _Request) -> None:
        """A request of many events, one of which cannot be stored: it must not harm its neighbours."""
        refusals: dict[bytes, RefusedEvent] = {}
        parts = [_Request([event], (), len(event.raw)) for event in request.events]
        parts.append(_Request((), request.refused, 0))
        for part in parts:
            self._commit([part])
            if part.error is not None:
                request.answer(error=part.error)
                return
            refusals.update(part.refusals)
        request.answer(refusals)

    def _quarantine(self, request: _Request, refusals: dict[bytes, RefusedEvent]) -> None:
        kept = [Refused(event.raw, refusals[event.hash]) for event in request.events]
        try:
            with writing(self._engine) as connection:
                keep(connection, [*kept, *request.refused])
        except DBAPIError as error:
            log.warning("quarantine failed error=%r", str(error))
            request.answer(error=Unavailable("The store cannot commit now: send the event again in a second."))
        else:
            request.answer(refusals)


def _stopping() -> Unavailable:
    return Unavailable("The collector is stopping: send the event again in a second.")


def _full() -> Unavailable:
    return Unavailable("The collector has more waiting than it can commit: send the event again in a second.")


def _forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and its causes: SQLAlchemy's frames hold the error itself, and such a cycle keeps
    the requests' bodies until the garbage collector comes round."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _is_unavailable(error: Exception) -> bool:
    """Whether the store as a whole cannot commit (locked, full, gone), rather than this event."""
    return isinstance(error, OperationalError | OSError) or type(error).__name__ in _DRIVER_TROUBLE


# the driver's own classes, where a statement went past SQLAlchemy (store/rows.py); psycopg may not be installed
_DRIVER_TROUBLE = {
    "OperationalError",
    "AdminShutdown",
    "LockNotAvailable",
    "DiskFull",
    "QueryCanceled",
    "InterfaceError",
}
