"""The thread that empties the outbox towards one destination, as long as there is anything to send."""

from __future__ import annotations

import logging
import threading
import time

from emitter.errors import OutboxError
from emitter.outbox.accounting import drop_older
from emitter.outbox.backoff import pause
from emitter.outbox.lease import Lease
from emitter.outbox.shipping import Shipping
from emitter.outbox.store import Store
from emitter.outbox.verdict import Trouble
from emitter.outbox.wire import Wire

log = logging.getLogger(__name__)

#: Another process sends: look again after so long whether it still does.
_TURN_SECONDS = 0.2
#: A thread that found nothing to send looks again this often, since other processes may have left something, …
_LOOK_SECONDS = 1.0
#: … and ends after so long; the next event starts another.
_IDLE_SECONDS = 10.0
_UPKEEP_SECONDS = 60.0
_CHECKPOINT_SECONDS = 1.0


class Sender:
    """Sends a store's events of one destination, in a thread of its own, while this process has the lease for it.

    ``linger``: seconds to wait after an event for more, so that they go in one batch; ``max_age``: seconds after which
    an event that could not be sent is dropped; ``eager``: the first try is made whatever earlier failures said.
    """

    def __init__(
        self,
        store: Store,
        destination: int,
        lease: Lease,
        wire: Wire,
        *,
        batch_events: int = 500,
        linger: float = 0.1,
        max_age: float = 7 * 86_400.0,
        eager: bool = False,
    ) -> None:
        self._store = store
        self._destination = destination
        self._lease = lease
        self._wire = wire
        self._shipping = Shipping(store, destination, wire, batch_events)
        self._linger = linger
        self._max_age = max_age
        self._eager = eager
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._woken = False
        self._hurried = False
        self._stopping = False
        self._tried = False  # since this process began, or was asked to hurry
        self._trouble: Trouble | None = None  # of the newest attempt
        self._stuck = False  # what waits may not be sent yet
        self._not_before = 0.0
        self._upkeep_at = 0.0
        self._checkpoint_at = 0.0

    # --- from other threads ------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something to send. Never fails: an interpreter that ends starts no threads."""
        if self._woken and self._thread is not None and not self._stopping:
            return  # it will look anyway
        with self._changed:
            self._woken = True
            self._stopping = False
            self._changed.notify_all()
            # a signal's handler may come between any two steps, and must not start a second thread
            if self._starting.acquire(blocking=False):
                try:
                    if self._thread is None or not self._thread.is_alive():
                        self._start()
                finally:
                    self._starting.release()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="headwater-outbox", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return
        self._thread = thread

    def flush(self, seconds: float, after: int = 0) -> bool:
        """Wait until the events after a position are sent, for so many seconds at most; whether they are.

        Gives up sooner where waiting cannot help: the collector is not there, has not answered for as long, or asks
        for a longer pause.
        """
        deadline = time.monotonic() + seconds
        try:
            if not self._store.any(self._destination, after):
                return True
            with self._changed:
                self._hurried, self._tried, self._stuck = True, False, False
                self._changed.notify_all()
            self.wake()
            while self._store.any(self._destination, after):
                left = deadline - time.monotonic()
                if left <= 0 or self._is_hopeless(seconds, left):
                    return False
                with self._changed:
                    self._changed.wait(min(left, 0.02))
        except OutboxError as error:
            log.warning("outbox flush failed error=%r", str(error))
            return False
        finally:
            with self._changed:
                self._hurried = False
        return True

    def stop(self, seconds: float) -> bool:
        """End the thread, within so many seconds; whether it did."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)
        ended = thread is None or not thread.is_alive()
        if ended:
            self._stopping = False
        return ended

    def _is_hopeless(self, seconds: float, left: float) -> bool:
        if self._thread is None or not self._thread.is_alive():
            return True
        if self._shipping.sending_for >= seconds:
            return True
        with self._changed:
            if not self._tried:
                return False
            if self._stuck:
                return True
            trouble = self._trouble
        if trouble is None:
            return False
        return trouble.asked > left if trouble.asked is not None else not trouble.busy

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        idle_since = time.monotonic()
        first = True
        failures = 0
        # a child that ends the moment it has emitted is not to be cut off in the middle of a request
        with self._changed:
            self._changed.wait_for(lambda: self._hurried or self._stopping, self._linger)
            self._woken = False
        while not self._stopping:
            try:
                wait = self._turn(first)
                first = False
                failures = 0
            except Exception as error:  # full disk, damaged file, bug of ours: the job goes on; logged
                failures += 1
                wait = _LOOK_SECONDS + pause(failures)  # what was sent and cannot be struck off is sent again
                log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "outbox sender failed error=%r next_try_seconds=%.1f",
                    str(error),
                    wait,
                    exc_info=not isinstance(error, OutboxError | OSError),
                )
                self._note(Trouble(str(error)))
            if wait is None:  # nothing to send
                if time.monotonic() - idle_since > _IDLE_SECONDS:
                    self._wire.close()
                    if self._end():
                        return
                wait = _LOOK_SECONDS
            else:
                idle_since = time.monotonic()
            self._sleep(wait)
        self._wire.close()

    def _end(self) -> bool:
        """Whether nothing came in the meantime, so that the thread is done."""
        with self._changed:
            if self._woken:
                return False
            self._thread = None
            return True

    def _sleep(self, seconds: float) -> None:
        """Wait, until there is something new to do; then for more of it, unless someone waits for us."""
        with self._changed:
            if not self._woken and not self._hurried_now() and not self._stopping:
                self._changed.wait(seconds)
            if self._woken and not self._hurried and not self._stopping:
                self._woken = False
                self._changed.wait_for(lambda: self._hurried or self._stopping, self._linger)
            self._woken = False

    def _hurried_now(self) -> bool:
        return self._hurried and not self._tried

    def _turn(self, first: bool) -> float | None:
        """Send all that there is, if it is this process's turn; seconds until the next try, None where nothing is."""
        pausing = self._not_before - time.monotonic()
        if pausing > 0 and not self._hurried_now():
            return pausing  # without a look at the file, which would hold up the job
        if not self._store.any(self._destination):
            self._note(None, stuck=False)
            self._keep_up()
            return None
        if not self._lease.acquire(self._destination):
            return _TURN_SECONDS
        try:
            return self._send_all(first)
        finally:
            self._lease.release(self._destination)

    def _send_all(self, first: bool) -> float | None:
        while not self._stopping:
            self._keep_up()
            condition = self._store.condition(self._destination)
            left = condition.retry_at - time.time()
            if (
                left > 0
                and not (first and self._eager)
                and (condition.is_slow or condition.is_asked or not (first or self._hurried_now()))
            ):
                self._note(self._trouble or Trouble("not yet", left if condition.is_asked else None))
                return min(left, _LOOK_SECONDS)
            first = False
            step = self._shipping.step()
            if step.trouble is not None:
                failures = self._store.condition(self._destination).failures + 1
                seconds = pause(failures, step.trouble.asked)
                self._store.note_trouble(self._destination, step.trouble, seconds)
                log.log(
                    logging.WARNING if self._trouble is None else logging.DEBUG,
                    "lineage events wait in the outbox reason=%r next_try_seconds=%.1f",
                    step.trouble.reason,
                    seconds,
                )
                self._note(step.trouble)
                self._not_before = time.monotonic() + min(seconds, _LOOK_SECONDS)
                return min(seconds, _LOOK_SECONDS)
            self._note(None, stuck=step.empty)
            if step.empty:
                return None if not self._store.any(self._destination) else _TURN_SECONDS
        return None

    def _note(self, trouble: Trouble | None, stuck: bool = False) -> None:
        with self._changed:
            self._trouble = trouble
            self._tried = True
            self._stuck = stuck
            self._changed.notify_all()

    def _keep_up(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._checkpoint_at:
                self._checkpoint_at = now + _CHECKPOINT_SECONDS
                self._store.checkpoint()
            if now >= self._upkeep_at:
                self._upkeep_at = now + _UPKEEP_SECONDS
                drop_older(self._store, self._max_age)
        except OutboxError as error:  # on a full disk: what waits can be sent all the same
            log.info("outbox upkeep failed error=%r", str(error))
