"""Sending events, through openlineage-python. Whatever goes wrong here never fails the job that is traced."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emitter.errors import InvalidCollector

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

log = logging.getLogger(__name__)

_ENDPOINT = "api/v1/lineage"
_CONFIG_FILES = ("openlineage.yml", "~/.openlineage/openlineage.yml")
_TIMEOUT_SECONDS = 5.0
#: Our events say where an asset's own file is; what the client would add is the Git remote of the working directory as
#: it stands, with the user and password that may be in it.
_CLIENT_CONFIG: dict[str, Any] = {"facets": {"source_code_location": {"disabled": True}}}
#: A refused connection fails at once and is not tried again (urllib3 would log each try); a connection that broke is,
#: once; 503 with its Retry-After is, twice.
_RETRY: dict[str, Any] = {"total": 3, "connect": 0, "read": 1, "status": 2, "backoff_factor": 0.2}
#: After a failure that took t seconds, and more than a moment, nothing is sent for this many times t: so a collector
#: that hangs costs a long job a twentieth of its time at most. One that refuses at once is asked again at once.
_PAUSE_FACTOR = 20
_MOMENT_SECONDS = 0.5
_CLOSE_SECONDS = 5.0


class Emission:
    """The one place through which a materialization's events go.

    `failed` counts the events that were not delivered; the first of them is logged as a warning, with its cause.
    """

    def __init__(self, client: OpenLineageClient | None, on_event: Callable[[RunEvent], None] | None = None) -> None:
        self._client = client
        self._on_event = on_event
        self._silent_until = 0.0
        self.failed = 0

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
            self.failed += 1
            return
        try:
            self._client.emit(event)
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; counted and logged
            ended = time.monotonic()
            if ended - began > _MOMENT_SECONDS:
                self._silent_until = ended + _PAUSE_FACTOR * (ended - began)
            self._count("not delivered", error)

    def close(self) -> None:
        """Let a transport that sends in the background finish, for a few seconds."""
        if self._client is None:
            return
        try:
            if not self._client.close(_CLOSE_SECONDS):
                log.warning("lineage events may be lost: the transport did not finish in time")
        except Exception as error:  # noqa: BLE001 - lineage never fails the job; logged
            log.warning("lineage transport did not close error=%r", str(error))

    def _count(self, what: str, error: Exception) -> None:
        if self.failed == 0:
            log.warning(
                "lineage event %s error=%r; the job goes on, further failures are only counted", what, str(error)
            )
        self.failed += 1


def connect(collector: str | None, on_event: Callable[[RunEvent], None] | None = None) -> Emission:
    """An emission to a collector's address, or without one to wherever openlineage-python is configured to send.

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
        return Emission(_client_for(url) if url else _configured_client(), on_event)
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


def _client_for(url: str) -> OpenLineageClient:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

    config: dict[str, Any] = {"url": url, "timeout": _TIMEOUT_SECONDS, "retry": _RETRY}
    transport = HttpConfig.from_dict(config)
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        transport.auth = ApiKeyTokenProvider({"api_key": key})
    return OpenLineageClient(transport=HttpTransport(transport), config=_CLIENT_CONFIG)


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


def _configured_client() -> OpenLineageClient | None:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.console import ConsoleTransport
    from openlineage.client.transport.noop import NoopTransport

    client = OpenLineageClient(config=_CLIENT_CONFIG)
    chosen = bool((client.config.transport or {}).get("type"))
    if isinstance(client.transport, NoopTransport) or (isinstance(client.transport, ConsoleTransport) and not chosen):
        return None
    return client
