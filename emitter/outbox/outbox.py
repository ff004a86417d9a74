"""One outbox of this process, what goes through it to each collector, and how both survive a fork and an exit."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from emitter.errors import OutboxInUse
from emitter.outbox.accounting import keep_within
from emitter.outbox.body import Body
from emitter.outbox.config import FLUSH_SECONDS, MAX_BYTES, MAX_DAYS
from emitter.outbox.lease import Lease
from emitter.outbox.schema import Synchronous
from emitter.outbox.sender import Sender
from emitter.outbox.store import Store
from emitter.outbox.wire import Address, Wire, close_inherited_sockets, without_credentials

log = logging.getLogger(__name__)

#: How long a fork waits for a write that is under way.
_FORK_SECONDS = 2.0
_STOP_SECONDS = 0.2
#: Events between two looks at the size.
_LOOK_EVERY = 64
_LOOK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What the outbox of a process goes by; see ``OutboxConfig``."""

    max_bytes: int = MAX_BYTES
    max_days: float = MAX_DAYS
    linger: float = 0.1
    batch_events: int = 500
    flush_seconds: float = FLUSH_SECONDS
    synchronous: Synchronous = "normal"


class Outbox:
    """The outbox in one file, or in memory; a process has one for a path: get it from ``outbox_at``."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.store = Store(path, settings.synchronous)
        self.lease = Lease(path)
        self.routes: dict[str, Route] = {}
        self._held = False

    def route(self, address: Address) -> Route:
        """The way to a collector; those who use it share it, the newest says how."""
        with _lock:
            route = self.routes.get(address.url)
            if route is None:
                route = self.routes[address.url] = Route(self, address)
            route.users += 1
            return route

    # --- around a fork -----------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Let go of the file: SQLite's state about it must not be in two processes."""
        self._held = self.store.aside.acquire(timeout=_FORK_SECONDS)
        if self._held and not self.store.lock.acquire(timeout=_FORK_SECONDS):
            self.store.aside.release()
            self._held = False
        if self._held and self.path is not None:
            self.store.close()

    def after_in_parent(self) -> None:
        """Go on; the next use opens the file."""
        if self._held:
            self._held = False
            self.store.lock.release()
            self.store.aside.release()

    def after_in_child(self) -> None:
        """Begin anew: nothing of the parent's is used, and nothing that it keeps in memory is sent twice."""
        self.store.reborn(usable=self._held)
        self._held = False
        self.lease.close()
        for route in self.routes.values():
            route.after_in_child()


class Route:
    """Events through one outbox to one collector."""

    def __init__(self, outbox: Outbox, address: Address) -> None:
        self.outbox = outbox
        self.users = 0
        self._address = address
        self._destination: int | None = None
        self._sender: Sender | None = None
        self._opening = threading.Lock()
        self._first = 0
        self._since_look = 0
        self._bytes_since_look = 0

    @property
    def used(self) -> bool:
        """Whether this process put anything in since it began or came from a fork."""
        return self._sender is not None

    def add(self, body: Body) -> None:
        """Keep an event and see to it that it is sent. Raises OutboxError where it could not be kept."""
        if os.getpid() != _pid:  # forked where no hook of Python's ran
            _after_in_child()
        destination, sender = self._opened()
        self.outbox.store.add(destination, body)
        sender.wake()
        self._since_look += 1
        self._bytes_since_look += len(body.raw)
        if self._since_look >= _LOOK_EVERY or self._bytes_since_look >= _LOOK_BYTES:
            self._since_look = self._bytes_since_look = 0
            if dropped := keep_within(self.outbox.store, self.outbox.settings.max_bytes):
                log.warning(
                    "outbox is full, its oldest events were dropped events=%d path=%s", dropped, self.outbox.path
                )

    def flush(self, seconds: float) -> bool:
        """Wait until everything that was added is sent, while that can help; whether it is."""
        return True if self._sender is None else self._sender.flush(seconds, self._first)

    def waiting(self) -> int:
        """Events in the outbox since this process's first: its own, and what others put in meanwhile."""
        if self._destination is None or self._sender is None:
            return 0
        return self.outbox.store.count(self._destination, self._first)

    def close(self, seconds: float) -> bool:
        """Flush, and let go of thread and file if nobody else needs them; whether everything is sent."""
        done = self.flush(seconds)
        with _lock:
            self.users = max(0, self.users - 1)
            last = self.users == 0
        if last:
            self.end(keep=not done and self.outbox.path is None)
        return done

    def end(self, *, keep: bool = False) -> None:
        """End the thread, and close the file if no other route of this process is in use; ``keep`` all as it is."""
        if self._sender is None or keep or not self._sender.stop(_STOP_SECONDS):
            return
        self._sender = self._destination = None
        if not any(route.used for route in self.outbox.routes.values()) and self.outbox.path is not None:
            self.outbox.store.close()

    def after_in_child(self) -> None:
        """Begin anew in a forked child."""
        self._sender = self._destination = None
        self._opening = threading.Lock()

    def _opened(self) -> tuple[int, Sender]:
        with self.outbox.store.lock:
            if self._destination is None or self._sender is None:
                if not self._opening.acquire(blocking=False):  # a signal's handler, in the middle of this
                    raise OutboxInUse("the outbox is being opened")
                try:
                    self._destination, self._sender = self._open()
                finally:
                    self._opening.release()
            return self._destination, self._sender

    def _open(self) -> tuple[int, Sender]:
        store, settings = self.outbox.store, self.outbox.settings
        destination = store.destination(without_credentials(self._address.url))
        self._first = store.newest(destination)
        self.outbox.lease.open()
        sender = Sender(
            store,
            destination,
            self.outbox.lease,
            Wire(self._address),
            batch_events=settings.batch_events,
            linger=settings.linger,
            max_age=settings.max_days * 86_400,
        )
        _flush_at_the_end_of_a_child()
        return destination, sender


_lock = threading.RLock()
_lock_held = False
_pid = os.getpid()
_outboxes: dict[Path | None, Outbox] = {}


def outbox_at(path: Path | None, settings: Settings) -> Outbox:
    """This process's outbox in a file, or the one in memory; the first to ask says by which settings."""
    key = None if path is None else Path(os.path.realpath(path))
    with _lock:
        if key not in _outboxes:
            _outboxes[key] = Outbox(key, settings)
        return _outboxes[key]


def flush_all() -> None:
    """At the end of the process: give what is left a last chance, within the limit; the rest stays on disk."""
    routes = [route for outbox in list(_outboxes.values()) for route in list(outbox.routes.values()) if route.used]
    began = time.monotonic()
    for route in routes:
        try:
            left = route.outbox.settings.flush_seconds - (time.monotonic() - began)
            done = route.flush(max(0.0, left))
            if route.outbox.path is None and not done:
                log.warning("lineage events are lost with this process events=%d", route.waiting())
            route.end()
        except Exception as error:  # noqa: BLE001 - lineage fails no job, at its end neither; logged
            log.warning("outbox flush failed error=%r", str(error))


def _flush_at_the_end_of_a_child() -> None:
    """multiprocessing ends its children without atexit, but runs finalizers of its own."""
    if "multiprocessing.util" in sys.modules:
        import multiprocessing.process
        from multiprocessing import util

        if multiprocessing.process.parent_process() is not None:
            util.Finalize(None, flush_all, exitpriority=0)


def _before_fork() -> None:
    global _lock_held
    _lock_held = _lock.acquire(timeout=_FORK_SECONDS)
    for outbox in _outboxes.values():
        outbox.before_fork()


def _after_in_parent() -> None:
    for outbox in _outboxes.values():
        outbox.after_in_parent()
    if _lock_held:
        _lock.release()


def _after_in_child() -> None:
    global _lock, _pid
    _lock = threading.RLock()
    _pid = os.getpid()
    close_inherited_sockets()
    for outbox in _outboxes.values():
        outbox.after_in_child()


atexit.register(flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
