"""Whether an asset has to run, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emitter.config import HIDDEN
from emitter.errors import EmitterError
from emitter.io import Stored
from emitter.metadata import Materialization


@dataclass(frozen=True, slots=True)
class Current:
    """What an asset's output would be made from now: its versions, each upstream asset's checksum, and its config.

    `config` shows the config with secrets hidden; `config_version` changes with any of it.
    """

    version: str
    code_version: str
    checks_version: str
    upstream: Mapping[str, str]
    config: Mapping[str, str] = field(default_factory=dict)
    config_version: str = ""
    policy: str = "if_changed"


def reason_to_run(
    current: Current,
    last: Materialization | None,
    stored: Callable[[], Stored | None],
    *,
    force: bool = False,
    place: str = "on disk",
) -> str | None:
    """Why the asset must run; None if its stored output is what running it would make again.

    `last` is its latest materialization. `stored` is asked last, since looking at the output may mean to hash it;
    `place` says where it is.
    """
    if force:
        return "forced"
    if last is None:
        return "first materialization"
    if current.version != last.version:
        return f"version changed {last.version} → {current.version}"
    if current.code_version != last.code_version:
        return "code changed"
    if reason := _upstream_reason(current.upstream, last):
        return reason
    if current.config_version != last.config_version:
        return _config_reason(current.config, last.config)
    if current.checks_version != last.checks_version:
        return "checks changed"
    if current.policy == "always":
        return "its policy is always"
    try:
        found = stored()
    except EmitterError:
        return "output cannot be read"
    if found is None:
        return "output missing"
    return None if found.checksum == last.stored_checksum else f"output changed {place}"


def _upstream_reason(upstream: Mapping[str, str], last: Materialization) -> str | None:
    read = {name: version["checksum"] for name, version in last.lineage.items()}
    for what, names in (
        ("changed", [name for name in upstream if name in read and upstream[name] != read[name]]),
        ("added", [name for name in upstream if name not in read]),
        ("removed", [name for name in read if name not in upstream]),
    ):
        if names:
            return f"upstream {', '.join(names)} {what}"
    return None


def _config_reason(now: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Which config changed, shown where it may be; a secret that changed is shown as it is: hidden."""
    changed = [
        f"{name} {before.get(name, 'not there')} → {now.get(name, 'not there')}"
        for name in dict.fromkeys([*now, *before])
        if now.get(name) != before.get(name)
    ]
    if changed:
        return f"config changed: {', '.join(changed)}"
    hidden = [name for name, value in now.items() if value == HIDDEN]
    return f"config changed: the secret {' or '.join(hidden)}" if hidden else "config changed"
