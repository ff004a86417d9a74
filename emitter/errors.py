"""Every error that the emitter raises on purpose.

HeadwaterError
└── EmitterError
    ├── InvalidAsset          a declaration that cannot be used
    ├── InvalidCheck          a check that cannot be used
    ├── ConfigError           config that is unknown, missing or of the wrong type
    ├── GraphError
    │   ├── UnknownAsset      a name that no asset has
    │   ├── DuplicateAsset    a name that two assets have
    │   └── AssetCycle        assets that need each other
    ├── SelectionError        an expression that selects nothing, or cannot be read
    ├── PipelineError         a pipeline file that cannot be loaded
    ├── ChecksumError         a value or path that has no checksum
    ├── StorageError
    │   ├── OutputMissing     nothing is stored for the asset
    │   └── UnsupportedValue  the IO manager cannot hold the value
    ├── EngineError           an engine that cannot be used
    ├── NotTransferable       what cannot be sent to another process
    ├── AssetTimeout          an asset that took longer than it may
    ├── WorkerDied            a process that ended in the middle of its work
    ├── ChecksFailed          blocking checks did not pass
    ├── ResultUnavailable     the value of an asset that has none
    ├── MaterializationFailed raised by ``MaterializeResult.raise_for_failures``
    ├── InvalidCollector      a collector address that is not one
    ├── OutboxError           the outbox cannot be opened, read or written
    │   ├── OutboxInUse       by the very code that a signal's handler has interrupted
    │   └── OutboxCorrupt     its file is damaged, or another program's
    └── MetadataStoreError
        └── MetadataStoreCorrupt
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from lineage.errors import HeadwaterError

if TYPE_CHECKING:
    from emitter.checks import CheckResult


class EmitterError(HeadwaterError):
    """Something in a pipeline or its surroundings that its author can mend."""


class InvalidAsset(EmitterError):
    """An asset declaration that cannot be used."""


class InvalidCheck(EmitterError):
    """A check declaration that cannot be used."""


class ConfigError(EmitterError):
    """Config that is unknown, missing or of the wrong type."""


class GraphError(EmitterError):
    """Assets that do not make a graph."""


class UnknownAsset(GraphError):
    """A name that no asset of the graph has."""


class DuplicateAsset(GraphError):
    """Two assets of one name."""


class AssetCycle(GraphError):
    """Assets that need each other; ``path`` is the cycle by name, its first name again at its end."""

    def __init__(self, message: str, path: Sequence[str]) -> None:
        super().__init__(message)
        self.path = list(path)


class SelectionError(EmitterError):
    """A selection that cannot be read or selects nothing."""


class PipelineError(EmitterError):
    """A pipeline file that cannot be loaded; ``line`` (from 1) is where, if that is known."""

    def __init__(self, message: str, *, path: str, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class ChecksumError(EmitterError):
    """A value or path that has no checksum."""


class StorageError(EmitterError):
    """An output that could not be stored or read."""


class OutputMissing(StorageError):
    """Nothing is stored for the asset."""


class UnsupportedValue(StorageError):
    """A value that the IO manager cannot hold."""


class EngineError(EmitterError):
    """An engine that is unknown, cannot be reached or is not installed."""


class NotTransferable(EmitterError):
    """A function, argument or value that cannot be sent to another process."""


class AssetTimeout(EmitterError):
    """An asset that took longer than its timeout."""


class WorkerDied(EmitterError):
    """A worker process that ended in the middle of its work."""


class ChecksFailed(EmitterError):
    """Blocking checks that did not pass; ``checks`` are the results of all the asset's checks."""

    def __init__(self, message: str, checks: tuple[CheckResult, ...] = ()) -> None:
        super().__init__(message)
        self.checks = checks


class ResultUnavailable(EmitterError):
    """The value of an asset that produced none."""


class MaterializationFailed(EmitterError):
    """At least one asset did not succeed."""


class InvalidCollector(EmitterError):
    """A collector address that no event can be sent to."""


class OutboxError(EmitterError):
    """The outbox could not be opened, read or written."""


class OutboxInUse(OutboxError):
    """The outbox is in use by the very code that a signal's handler has interrupted."""


class OutboxCorrupt(OutboxError):
    """The outbox's file is damaged, or another program's. It is never replaced silently."""


class MetadataStoreError(EmitterError):
    """The metadata store could not be opened, read or written."""


class MetadataStoreCorrupt(MetadataStoreError):
    """The metadata store is damaged, or the file is something else. It is never replaced silently."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'orders'?`` where a known name is close to `name`, otherwise an empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
