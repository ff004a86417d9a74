"""One step of sending: a batch of events goes to the collector, and what became of each is recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from emitter.outbox.backoff import pause
from emitter.outbox.store import Store, Waiting
from emitter.outbox.verdict import Answer, Trouble, Verdict, judge_batch, judge_single
from emitter.outbox.wire import Unreachable, Wire

log = logging.getLogger(__name__)

#: A collector without the batch call is asked for it again after so long: it may have been replaced.
_NO_BATCH_SECONDS = 3_600.0
_MAX_BATCH_BYTES = 2 * 1024 * 1024
#: Between two reports on dropped events, while others wait.
_REPORT_SECONDS = 10.0
#: Events of the first request after a failure.
_PROBE = 8
#: Single posts whose outcome is recorded together: so many may be sent twice after a kill.
_SINGLES = 20
#: So many events in a row that the collector fails on are its fault, not theirs.
_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: events that left the outbox, and why it cannot go on, if it cannot.

    ``empty``: nothing was there to be sent.
    """

    sent: int = 0
    trouble: Trouble | None = None
    empty: bool = False


class Shipping:
    """Sends a store's events of one destination. For one thread at a time, and only under the lease."""

    def __init__(self, store: Store, destination: int, wire: Wire, batch_events: int) -> None:
        self._store = store
        self._destination = destination
        self._wire = wire
        self.most = max(1, batch_events)
        self._limit = self.most
        self._sending_since: float | None = None
        self._refused = False
        self._report_at = time.monotonic() + _REPORT_SECONDS

    @property
    def sending_for(self) -> float:
        """Seconds since the request that is under way went out; 0 where none is."""
        since = self._sending_since
        return 0.0 if since is None else time.monotonic() - since

    def step(self) -> Step:
        """Send the next batch."""
        waiting = self._store.take(self._destination, self._limit, _MAX_BATCH_BYTES)
        if not waiting:
            return Step(empty=True)
        single = len(waiting) == 1 or self._store.condition(self._destination).batch_at > time.time()
        if single:
            return self._send_singly(waiting)
        verdict = self._send_batch(waiting)
        if verdict.no_batch:
            self._store.note_no_batch(self._destination, _NO_BATCH_SECONDS)
            return self._send_singly(waiting)
        if verdict.divide:
            return self._send_singly(waiting)
        self._record(waiting, verdict)
        if verdict.trouble is not None:
            if verdict.trouble.slow:  # more than it can take in the time that we wait
                self._limit = max(1, min(self._limit, len(waiting)) // 2)
            self._limit = min(self._limit, _PROBE)  # to prepare a large batch for nothing costs the job a moment
            return Step(trouble=verdict.trouble)
        self._limit = min(self.most, self._limit * 2)
        return Step(sent=len(verdict.delivered) + len(verdict.refused))

    def _send_batch(self, waiting: Sequence[Waiting]) -> Verdict:
        body = b"[" + b",".join(one.body for one in waiting) + b"]"
        try:
            return judge_batch(self._timed(self._wire.address.batch_url, body), len(waiting))
        except Unreachable as error:
            return Verdict(trouble=Trouble(str(error), slow=error.slow))

    def _send_singly(self, waiting: Sequence[Waiting]) -> Step:
        """One request an event, in order; an event that the collector fails on holds up its own run alone."""
        sent = failing = 0
        held: set[str] = set()
        part = Verdict()
        for index, one in enumerate(waiting):
            if one.run in held:
                continue
            verdict = self._send_one(one)
            if verdict.again:
                part.again[index] = verdict.again[0]
                held.add(one.run)
                failing += 1
                if failing >= _FAILURES:
                    part.trouble = Trouble(verdict.again[0])
            elif verdict.trouble is not None:
                part.trouble = verdict.trouble
            else:
                failing = 0
                part.delivered += [index for _ in verdict.delivered]
                for refusal in verdict.refused.values():
                    part.refused[index] = refusal
            if part.trouble is not None:
                break
            if len(part.delivered) >= _SINGLES:
                sent += self._record(waiting, part)
                part = Verdict()
        sent += self._record(waiting, part)
        return Step(sent, part.trouble)

    def _send_one(self, one: Waiting) -> Verdict:
        try:
            return judge_single(self._timed(self._wire.address.url, one.body))
        except Unreachable as error:
            return Verdict(trouble=Trouble(str(error), slow=error.slow))

    def _timed(self, url: str, body: bytes) -> Answer:
        self._sending_since = time.monotonic()
        try:
            return self._wire.post(url, body)
        finally:
            self._sending_since = None

    def _record(self, waiting: Sequence[Waiting], verdict: Verdict) -> int:
        """Settle what is decided; returns how many events left the outbox."""
        if verdict.refused:
            refusal = next(iter(verdict.refused.values()))
            log.log(
                logging.DEBUG if self._refused else logging.WARNING,
                "lineage events refused by the collector, set aside events=%d status=%d reason=%r",
                len(verdict.refused),
                refusal.status,
                refusal.reason,
            )
            self._refused = True
        self._store.settle(
            self._destination,
            [waiting[index].position for index in verdict.delivered],
            {waiting[index].position: refusal for index, refusal in verdict.refused.items()},
            {waiting[index].position: (reason, pause) for index, reason in verdict.again.items()},
            report=time.monotonic() >= self._report_at,
        )
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + _REPORT_SECONDS
        return len(verdict.delivered) + len(verdict.refused)
