"""The versions that runs read, for Marquez's documents: ``collector.history.readings`` says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from collector.history.readings import resolve
from collector.history.uses import Run, Use
from collector.history.versions import Versions
from collector.versions import version_uuid

NEVER_WRITTEN = b"\0" * 16  # the key of the version of a dataset that nobody wrote before it was read


class Reading(NamedTuple):
    """A dataset that a run read: what its facets name, and when the run started (microseconds since 1970 UTC)."""

    run: int
    dataset_id: int  # the name that the event gave
    canonical_id: int
    version: str | None
    checksum: str | None
    started_us: int


@dataclass(frozen=True, slots=True)
class VersionRead:
    """``evidence``: ``exact`` (the run named it), ``inferred`` (newest at its start) or ``unknown`` (none was there).

    ``run`` and ``run_key`` are those of the run that wrote it, None where none did.
    """

    uuid: str
    evidence: str
    run: int | None = None
    run_key: bytes | None = None


def versions_read(connection: Connection, readings: Sequence[Reading]) -> dict[tuple[int, int], VersionRead]:
    """The version behind each reading, by (run, dataset as named): a fixed number of statements."""
    found: dict[tuple[int, int], VersionRead] = {}
    asked = [
        (
            Run(one.run, b"", 0, one.started_us, ""),
            Use(one.dataset_id, one.canonical_id, one.version, one.checksum, None, None, None),
        )
        for one in readings
    ]
    for (run, dataset), read in resolve(Versions(connection), asked).items():
        version = read.version
        if version is not None:
            run_key = version.key if version.run else None
            found[run, dataset] = VersionRead(version.uuid, read.evidence, version.run or None, run_key)
    for one in readings:
        unknown = VersionRead(version_uuid(one.canonical_id, NEVER_WRITTEN), "unknown")
        found.setdefault((one.run, one.dataset_id), unknown)
    return found
