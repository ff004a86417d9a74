"""Events of the standard client, and the transport under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

from emitter.outbox import OutboxConfig, OutboxTransport

PRODUCER = "https://example.com/tests"


def event(job: str = "load", run: int = 1, state: str = "RUNNING", **facets: Any) -> RunEvent:
    """A run event of a job in the namespace ``jobs``."""
    return RunEvent(
        eventType=RunState[state],
        eventTime="2026-01-01T00:00:00Z",
        producer=PRODUCER,
        run=Run(str(UUID(int=run)), facets),
        job=Job("jobs", job),
    )


def transport(path: Path, url: str, **settings: Any) -> OutboxTransport:
    """A transport on an outbox file."""
    return OutboxTransport(OutboxConfig.from_dict({"url": url, "path": str(path), **settings}))


def emit(sender: OutboxTransport, count: int, first: int = 0, run: int = 1) -> None:
    """Emit events of the jobs ``j<first>``, ``j<first + 1>``, …"""
    for number in range(first, first + count):
        sender.emit(event(f"j{number}", run))
