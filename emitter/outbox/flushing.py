"""Sending what an outbox holds now, for ``headwater outbox flush``: to every destination, with what the environment and
the OpenLineage configuration give as credentials."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from openlineage.client import OpenLineageClient
from openlineage.client.transport.http import HttpTransport

from emitter.outbox.config import OutboxConfig, environment_auth
from emitter.outbox.lease import Lease
from emitter.outbox.sender import Sender
from emitter.outbox.store import Store
from emitter.outbox.transport import OutboxTransport
from emitter.outbox.wire import Address, Wire, without_credentials


@dataclass(frozen=True, slots=True)
class Flushed:
    """What came of a destination: events sent, events that wait still, and why."""

    url: str
    sent: int
    waiting: int
    error: str | None


def flush(store: Store, seconds: float) -> list[Flushed]:
    """Send everything, waiting for so many seconds at most; another process's sender is let go on."""
    lease = Lease(store.path)
    lease.open()
    configured = _configured()
    deadline = time.monotonic() + seconds
    results = []
    with store.using() as db:
        rows = db.execute("SELECT id, url, delivered FROM destination ORDER BY id").fetchall()
    for destination, url, before in rows:
        if not store.any(destination):
            continue
        store.release_held(destination)
        address = configured if configured and without_credentials(configured.url) == url else None
        sender = Sender(
            store, destination, lease, Wire(address or Address(url, auth=environment_auth())), linger=0, eager=True
        )
        sender.flush(max(0.1, deadline - time.monotonic()))
        sender.stop(1.0)
        with store.using() as db:
            after, error = db.execute(
                "SELECT delivered, error FROM destination WHERE id = ?", (destination,)
            ).fetchone()
        waiting = store.count(destination)
        results.append(Flushed(url, after - before, waiting, error if waiting else None))
    lease.close()
    return results


def _configured() -> Address | None:
    """Where the OpenLineage configuration sends to, with its credentials; None where it does not name a collector."""
    if not any(name.startswith("OPENLINEAGE") for name in os.environ) and not any(
        os.path.isfile(os.path.expanduser(path)) for path in ("openlineage.yml", "~/.openlineage/openlineage.yml")
    ):
        return None
    try:
        transport = OpenLineageClient().transport
    except Exception:  # noqa: BLE001 - what is configured may be anything; the environment's key is used then
        return None
    if isinstance(transport, HttpTransport):
        return OutboxConfig.from_http(transport.config).address
    if isinstance(transport, OutboxTransport) and not transport.config.problem:
        return transport.config.address
    return None
