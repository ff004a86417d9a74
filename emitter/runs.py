"""Runs: their ids, and the moments that events carry."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A run and the job that it is a run of, as OpenLineage names them."""

    run_id: str
    namespace: str
    job: str


def new_run_id() -> str:
    """A new UUIDv7 (RFC 9562): ids of later milliseconds sort later.

    Not openlineage.client.uuid, whose import costs a quarter of a second that a run without lineage need not pay.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(UUID(int=bits))


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """A moment as ISO-8601 in UTC with ``Z`` and microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
