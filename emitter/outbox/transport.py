"""The transport for openlineage-python: ``transport: {type: emitter.outbox.OutboxTransport, url: …}``."""

from __future__ import annotations

import logging
import time
from typing import Any

from openlineage.client.transport.transport import Transport

from emitter.errors import OutboxError, OutboxInUse
from emitter.outbox.body import body_of
from emitter.outbox.config import OutboxConfig
from emitter.outbox.outbox import Route, Settings, outbox_at
from emitter.outbox.redaction import to_document

log = logging.getLogger(__name__)

#: After the file could not be written, events go to memory for so long before it is tried again.
_FILE_PAUSE_SECONDS = 10.0
_MEMORY_BYTES = 16 * 1024 * 1024


class OutboxTransport(Transport):
    """Keeps each event in a local file before ``emit`` returns, and sends it from there when the collector takes it.

    Nothing is ever raised into the job. Where the file cannot be used (no space, no permission) events go through
    memory, which a healthy collector empties; ``failed`` counts those that could be kept nowhere.
    """

    kind = "headwater_outbox"
    config_class = OutboxConfig

    def __init__(self, config: OutboxConfig) -> None:
        self.config = config
        self.failed = 0
        self._file: Route | None = None
        self._memory: Route | None = None
        self._file_again_at = 0.0
        self._told: set[str] = set()
        if config.problem:
            self._tell("lineage is off: the outbox is not configured as it must be", config.problem)

    def emit(self, event: Any) -> None:
        """Keep an event, and see to it that it is sent."""
        if self.config.problem:
            self.failed += 1
            return
        try:
            body = body_of(to_document(event, redact=self.config.redact, redact_sql=self.config.redact_sql))
            route = self._keep(body)
            if self.config.wait:
                route.flush(self.config.wait)
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; counted and logged
            self.failed += 1
            self._tell("lineage event not kept", str(error))

    def close(self, timeout: float = -1) -> bool:
        """Wait for delivery for ``timeout`` seconds, or by default as long as is configured; whether all is delivered.

        What is not stays in the file, for the next process or ``headwater outbox flush``.
        """
        seconds = self.config.flush_seconds if timeout < 0 else timeout
        done = True
        began = time.monotonic()
        for route in (self._file, self._memory):
            if route is not None:
                try:
                    done = route.close(max(0.0, seconds - (time.monotonic() - began))) and done
                except Exception as error:  # noqa: BLE001 - lineage never fails the job; logged
                    self._tell("outbox could not be flushed", str(error))
                    done = False
        self._file = self._memory = None
        return done

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until what was emitted is delivered, for so many seconds at most; whether it is."""
        limit = self.config.flush_seconds if seconds is None else seconds
        return all(route.flush(limit) for route in (self._file, self._memory) if route is not None)

    def waiting(self) -> int:
        """How many events are kept and not yet delivered, counted from this process's first."""
        try:
            return sum(route.waiting() for route in (self._file, self._memory) if route is not None)
        except OutboxError as error:
            self._tell("outbox cannot be read", str(error))
            return 0

    def _keep(self, body: Any) -> Route:
        if time.monotonic() >= self._file_again_at:
            try:
                if self._file is None:
                    self._file = outbox_at(self.config.path, self._settings()).route(self.config.address)
                self._file.add(body)
                return self._file
            except OutboxInUse:
                pass  # this event alone goes another way
            except (OutboxError, OSError) as error:
                self._file_again_at = time.monotonic() + _FILE_PAUSE_SECONDS
                self._tell("outbox cannot be written, lineage events go through memory", str(error))
        if self._memory is None:
            self._memory = outbox_at(None, self._settings(_MEMORY_BYTES)).route(self.config.address)
        self._memory.add(body)
        return self._memory

    def _settings(self, max_bytes: int | None = None) -> Settings:
        config = self.config
        return Settings(
            max_bytes=max_bytes or config.max_bytes,
            max_days=config.max_days,
            linger=config.linger,
            batch_events=config.batch_events,
            flush_seconds=config.flush_seconds,
            synchronous="full" if config.synchronous.lower() == "full" else "normal",
        )

    def _tell(self, what: str, why: str) -> None:
        """Log a warning once; more of the same kind are only counted."""
        if what not in self._told:
            self._told.add(what)
            log.warning("%s error=%r path=%s; the job goes on", what, why, self.config.path)
