"""Which version of a dataset a run read: the one that its facets name, else the newest there was when it started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from collector.history.uses import Run, Use
from collector.history.versions import BY_CHECKSUM, BY_VERSION, Limit, Version, Versions

EXACT, INFERRED, UNKNOWN = "exact", "inferred", "unknown"


class Read(NamedTuple):
    """What a reading resolves to; ``evidence`` is EXACT, INFERRED, or UNKNOWN where nobody wrote the dataset."""

    version: Version | None
    evidence: str


def resolve(versions: Versions, readings: Iterable[tuple[Run, Use]]) -> dict[tuple[int, int], Read]:
    """The version behind each reading, by (run, dataset as named): a fixed number of statements."""
    limits: dict[tuple[int, int], Limit] = {}
    names: dict[tuple[int, int], tuple[Limit, str, str]] = {}
    for run, use in readings:
        limit = limits[run.id, use.named] = Limit(use.canonical, run.start_us, run.id)
        if use.version is not None:
            names[run.id, use.named] = (limit, BY_VERSION, use.version)
        elif use.checksum is not None:
            names[run.id, use.named] = (limit, BY_CHECKSUM, use.checksum)
    exact = versions.named(set(names.values()))
    newest = versions.before({limit for one, limit in limits.items() if names.get(one) not in exact})
    found: dict[tuple[int, int], Read] = {}
    for one, limit in limits.items():
        name = names.get(one)
        if name in exact:
            found[one] = Read(exact[name], EXACT)
        elif limit in newest:
            found[one] = Read(newest[limit], INFERRED)
        else:
            found[one] = Read(None, UNKNOWN)
    return found
