"""What an IO manager must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from emitter.errors import OutputMissing
from emitter.io.naming import DatasetName

if TYPE_CHECKING:
    from emitter.assets import Asset


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored now: the checksum (``algorithm:hex``) of it as it lies there, and its size in bytes if known."""

    checksum: str
    size: int | None = None


@runtime_checkable
class IOManager(Protocol):
    """Keeps the outputs of assets.

    Only `save` and `load` have to be written, in a class that derives from this one: the rest has defaults that cost a
    load. An IO manager that can do better (hash a file without reading it as a table, name the store) overrides them.
    Whatever a method raises fails the asset, with that error. One whose outputs other processes cannot see sets
    `in_process`: what it keeps is then passed between processes by Headwater.
    """

    in_process: bool = False

    def save(self, asset: Asset, value: Any) -> None:
        """Keep the value as the asset's output, all of it or nothing: a killed process must not leave half of it."""
        ...

    def load(self, asset: Asset) -> Any:
        """Return what was saved last. Raises OutputMissing (or FileNotFoundError, KeyError) if there is nothing."""
        ...

    def stored(self, asset: Asset) -> Stored | None:
        """What is stored now, None if nothing is. It is compared with what was stored to see whether that changed."""
        from emitter.checksum import calculate_checksum

        try:
            return Stored(calculate_checksum(self.load(asset), index=True))
        except (OutputMissing, FileNotFoundError, KeyError):
            return None

    def dataset(self, asset: Asset) -> DatasetName | None:
        """What the output is called in lineage; None for the asset's own namespace and name."""
        return None


def stored_of(asset: Asset) -> Stored | None:
    """What is stored for an asset; also of an IO manager that has `save` and `load` only."""
    method = getattr(asset.io, "stored", None)
    return method(asset) if method is not None else IOManager.stored(asset.io, asset)


def is_in_process(asset: Asset) -> bool:
    """Whether no other process can see the asset's output."""
    return bool(getattr(asset.io, "in_process", False))


def dataset_of(asset: Asset, namespace: str) -> DatasetName:
    """What an asset's output is called in lineage; `namespace` is that of an asset whose store is not known."""
    if (given := getattr(asset, "dataset_name", None)) is not None:
        return DatasetName(*given)
    method = getattr(asset.io, "dataset", None)
    found = method(asset) if method is not None else None
    return DatasetName(*found) if found is not None else DatasetName(namespace, asset.name)
