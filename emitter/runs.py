"""Runs: their ids, and the moments that events carry."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

_PARENT, _ROOT, _CONTEXT = "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID", "OPENLINEAGE_CONTEXT"


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
        """The variables by which OpenLineage's integrations, ours too, find their parent run and its root.

        ``OPENLINEAGE_CONTEXT`` (JSON) counts before the others, so it is given where an outer one must be replaced, and
        where a name holds a slash, which the others cannot express.
        """
        found = {_PARENT: _joined(self), _ROOT: _joined(self.root)}
        if _CONTEXT in os.environ or any("/" in one.namespace + one.job for one in (self, self.root)):
            found[_CONTEXT] = json.dumps({"parent": {**_entry(self), "root": _entry(self.root)}})
        return found


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
    """The run that started this process: by ``OPENLINEAGE_CONTEXT`` (JSON), or else ``OPENLINEAGE_PARENT_ID``.

    The latter is ``namespace/job/run id``, its root ``OPENLINEAGE_ROOT_PARENT_ID``. A namespace may hold slashes; what
    has no three parts names nothing.
    """
    if (found := _from_context(os.environ.get(_CONTEXT, ""))) is not None:
        return found
    parent, root = _split(os.environ.get(_PARENT, "")), _split(os.environ.get(_ROOT, ""))
    if parent is None or root is None or root == parent:
        return parent
    return replace(parent, parent=root)


def _from_context(text: str) -> RunIdentity | None:
    try:
        given = json.loads(text)["parent"]
        parent = RunIdentity(str(given["run"]["runId"]), str(given["job"]["namespace"]), str(given["job"]["name"]))
        root = given.get("root")
        if root is None:
            return parent
        first = RunIdentity(str(root["run"]["runId"]), str(root["job"]["namespace"]), str(root["job"]["name"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return parent if first == parent else replace(parent, parent=first)


def _entry(run: RunIdentity) -> dict[str, dict[str, str]]:
    return {"run": {"runId": run.run_id}, "job": {"namespace": run.namespace, "name": run.job}}


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
