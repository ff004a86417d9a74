"""Runs: their ids, and the moments that events carry."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

_PARENT, _ROOT = "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A run and the job that it is a run of, as OpenLineage names them; `parent` is the run that started it."""

    run_id: str
    namespace: str
    job: str
    parent: RunIdentity | None = None

    @property
    def root(self) -> RunIdentity:
        """The run that began it all: the run itself, where nothing started it."""
        return self if self.parent is None else self.parent.root

    def environment(self) -> dict[str, str]:
        """The variables by which OpenLineage's integrations, ours too, find their parent run and its root."""
        return {_PARENT: _joined(self), _ROOT: _joined(self.root)}


def new_run_id() -> str:
    """A new UUIDv7 (RFC 9562): ids of later milliseconds sort later.

    Not openlineage.client.uuid, whose import costs a quarter of a second that a run without lineage need not pay.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(UUID(int=bits))


def inherited_parent() -> RunIdentity | None:
    """The run that started this process, as ``OPENLINEAGE_PARENT_ID`` names it: ``namespace/job/run id``.

    Its root is what ``OPENLINEAGE_ROOT_PARENT_ID`` names. A namespace may hold slashes; what has no three parts names
    nothing.
    """
    parent, root = _split(os.environ.get(_PARENT, "")), _split(os.environ.get(_ROOT, ""))
    if parent is None or root is None or root == parent:
        return parent
    return replace(parent, parent=root)


def _joined(run: RunIdentity) -> str:
    return f"{run.namespace}/{run.job}/{run.run_id}"


def _split(text: str) -> RunIdentity | None:
    namespace, _, rest = text.strip().rpartition("/")
    namespace, _, job = namespace.rpartition("/")
    return RunIdentity(rest, namespace, job) if namespace and job and rest else None


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """A moment as ISO-8601 in UTC with ``Z`` and microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
