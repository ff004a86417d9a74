"""Sending events, through openlineage-python. Whatever goes wrong here never fails the job that is traced.

To a collector they go through the outbox: kept in a file first, sent from there, now or by a later process.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emitter.errors import InvalidCollector

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

    from emitter.outbox import OutboxTransport

log = logging.getLogger(__name__)
# a job whose logging is not configured says nothing more with lineage than without
log.addHandler(logging.NullHandler())

#: The outbox's file, beside the metadata store.
OUTBOX_NAME = "outbox.db"
_ENDPOINT = "api/v1/lineage"
_CONFIG_FILES = ("openlineage.yml", "~/.openlineage/openlineage.yml")
#: Our events say where an asset's own file is; what the client would add is the Git remote of the working directory as
#: it stands, with the user and password that may be in it.
_CLIENT_CONFIG: dict[str, Any] = {"facets": {"source_code_location": {"disabled": True}}}
#: Of a transport that is not the outbox: after a failure that took t seconds, and more than a moment, nothing is sent
#: for this many times t, so that one that hangs costs a long job a twentieth of its time at most.
_PAUSE_FACTOR = 20
_MOMENT_SECONDS = 0.5
_CLOSE_SECONDS = 5.0


class Emission:
    """The one place through which a materialization's events go.

    The first event that fails is logged as a warning, with its cause. With an `outbox` none fails that it could keep.
    """

    def __init__(
        self,
        client: OpenLineageClient | None,
        on_event: Callable[[RunEvent], None] | None = None,
        outbox: OutboxTransport | None = None,
    ) -> None:
        self._client = client
        self._on_event = on_event
        self._outbox = outbox
        self._silent_until = 0.0
        self._failed = 0
        self._waiting = 0

    @property
    def failed(self) -> int:
        """Events that are lost: those that could not be built, that the outbox could not keep, that another transport
        did not deliver."""
        return self._failed + (self._outbox.failed if self._outbox is not None else 0)

    @property
    def waiting(self) -> int:
        """Events that the outbox kept and has not delivered yet, as `close` found it."""
        return self._waiting

    @property
    def active(self) -> bool:
        """Whether anyone wants events; if not, none is built."""
        return self._client is not None or self._on_event is not None

    def send(self, build: Callable[[], RunEvent]) -> None:
        """Build an event and send it. Raises only what `on_event` raises."""
        if not self.active:
            return
        try:
            event = build()
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; counted and logged
            self._count("cannot be built", error)
            return
        if self._on_event is not None:
            self._on_event(event)
        if self._client is None:
            return
        began = time.monotonic()
        if began < self._silent_until:
            self._failed += 1
            return
        try:
            self._client.emit(event)
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; counted and logged
            ended = time.monotonic()
            if ended - began > _MOMENT_SECONDS:
                self._silent_until = ended + _PAUSE_FACTOR * (ended - began)
            self._count("not delivered", error)

    def close(self) -> None:
        """Let a transport that sends in the background finish, for a few seconds; the outbox as long as that helps."""
        if self._client is None:
            return
        try:
            if self._outbox is not None:
                self._waiting = 0 if self._outbox.flush() else self._outbox.waiting()
                self._outbox.close(0)
            elif not self._client.close(_CLOSE_SECONDS):
                log.warning("lineage events may be lost: the transport did not finish in time")
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; logged
            log.warning("lineage transport did not close error=%r", str(error))

    def _count(self, what: str, error: Exception) -> None:
        if self._failed == 0:
            log.warning(
                "lineage event %s error=%r; the job goes on, further failures are only counted", what, str(error)
            )
        self._failed += 1


def connect(
    collector: str | None, on_event: Callable[[RunEvent], None] | None = None, outbox: Path | None = None
) -> Emission:
    """An emission to a collector's address, or without one to wherever openlineage-python is configured to send.

    Events to a collector, given or configured (a transport of type ``http``), go through the outbox in the file
    `outbox`, ``.headwater/outbox.db`` by default; a configured transport of another type sends them itself.

    That is ``OPENLINEAGE_URL`` (and ``OPENLINEAGE_ENDPOINT``, ``OPENLINEAGE_API_KEY``), ``OPENLINEAGE__…`` variables,
    the file that ``OPENLINEAGE_CONFIG`` names, ``openlineage.yml`` in the working directory or in ``~/.openlineage``;
    ``OPENLINEAGE_DISABLED=true`` switches it off. Where nothing is configured that client would print every event to
    the log; Headwater sends them nowhere instead. A configuration that does not work is logged, and costs the events.

    Raises InvalidCollector for an address that is none.
    """
    url = _checked(collector) if collector is not None else None
    if url is None and not _is_configured():
        return Emission(None, on_event)
    try:
        client = _client_for(url, outbox) if url else _configured_client(outbox)
        return Emission(client, on_event, _outbox_of(client))
    except Exception as error:  # noqa: BLE001 - lineage never fails the job; logged
        log.warning("lineage is off: the OpenLineage configuration does not work error=%r", str(error))
        return Emission(None, on_event)


def _checked(collector: str) -> str:
    """The collector's base address with a final slash."""
    try:
        parts = urlsplit(collector.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (AttributeError, ValueError):
        valid = False
    if not valid:
        hint = f"; did you mean 'http://{collector}'?" if isinstance(collector, str) and "://" not in collector else ""
        raise InvalidCollector(
            f"{collector!r} is no address of a collector{hint or '; write it like http://host:5000'}"
        )
    return collector.strip().rstrip("/").removesuffix(f"/{_ENDPOINT}") + "/"


def _client_for(url: str, path: Path | None) -> OpenLineageClient:
    from openlineage.client import OpenLineageClient

    from emitter.outbox import OutboxConfig, OutboxTransport

    transport = OutboxTransport(OutboxConfig.from_dict({"url": url, "path": path}))
    return OpenLineageClient(transport=transport, config=_CLIENT_CONFIG)


def _outbox_of(client: OpenLineageClient | None) -> OutboxTransport | None:
    from emitter.outbox import OutboxTransport

    return client.transport if client is not None and isinstance(client.transport, OutboxTransport) else None


def _is_configured() -> bool:
    """Whether anything may configure the client; the same places that it looks at, without importing it."""
    environment = os.environ
    if environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if any(environment.get(name) for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")):
        return True
    if any(name.startswith("OPENLINEAGE__") for name in environment):
        return True
    return any(os.path.isfile(os.path.expanduser(path)) for path in _CONFIG_FILES)


def _configured_client(path: Path | None) -> OpenLineageClient | None:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.console import ConsoleTransport
    from openlineage.client.transport.http import HttpTransport
    from openlineage.client.transport.noop import NoopTransport

    from emitter.outbox import OutboxConfig, OutboxTransport

    client = OpenLineageClient(config=_CLIENT_CONFIG)
    chosen = bool((client.config.transport or {}).get("type"))
    if isinstance(client.transport, NoopTransport) or (isinstance(client.transport, ConsoleTransport) and not chosen):
        return None
    if type(client.transport) is HttpTransport:
        client.transport = OutboxTransport(OutboxConfig.from_http(client.transport.config, path))
    return client
