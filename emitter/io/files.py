"""One file per asset, in a directory or wherever fsspec reaches, written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from emitter.errors import OutputMissing, StorageError
from emitter.io.folders import LocalFolder, folder_at, told
from emitter.io.protocol import DatasetName, IOManager, Stored

if TYPE_CHECKING:
    from emitter.assets import Asset


class FileIO(IOManager):
    """Keeps each output as a file named after its asset; a subclass says how a value becomes bytes and back.

    The file appears under its name only when it is whole: it is written elsewhere and put in its place then. In lineage
    it is called by OpenLineage's naming for its store: ``file`` and the absolute path, ``s3://bucket`` and the key.

    Args:
        directory: where the files go: a directory, made when it is needed (a relative one is meant from where the
            process is now), or a URL that fsspec knows, such as ``s3://bucket/folder`` or ``memory://folder``.
        file: the file's name, for an IO manager of one asset; by default the asset's, with the suffix.
        storage_options: what fsspec needs to reach the URL.
    """

    suffix = ""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        file: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder_at(directory, storage_options)
        self.file = file
        self.in_process = self.folder.in_process

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @property
    def directory(self) -> Path:
        """The directory. Raises StorageError for files that are elsewhere."""
        if not isinstance(self.folder, LocalFolder):
            raise StorageError(f"{self!r} keeps no files on this machine")
        return self.folder.directory

    def file_name(self, asset: Asset) -> str:
        """The name of an asset's file within the folder."""
        return self.file or f"{asset.name}{self.suffix}"

    def path(self, asset: Asset) -> Path:
        """The file of an asset's output on this machine, whether or not it is there."""
        return self.directory / self.file_name(asset)

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        """Write the value to a file that was just made. Raises UnsupportedValue for one that it cannot hold."""
        raise NotImplementedError

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        """Read back what `write` wrote."""
        raise NotImplementedError

    def save(self, asset: Asset, value: Any) -> None:
        with self.folder.replace(self.file_name(asset)) as file:
            self.write(file, value, asset)

    def load(self, asset: Asset) -> Any:
        name = self.file_name(asset)
        place = self.folder.location(name)
        try:
            with self.folder.open(name) as file:
                return self.read(file, asset)
        except FileNotFoundError:
            raise OutputMissing(f"asset '{asset.name}' has no output at {place}; materialize it first") from None
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"{place}, the output of asset '{asset.name}', cannot be read: {told(error)}") from error

    def stored(self, asset: Asset) -> Stored | None:
        try:
            found = self.folder.digest(self.file_name(asset))
        except OSError as error:
            place = self.folder.location(self.file_name(asset))
            raise StorageError(f"{place} cannot be read: {told(error)}") from error
        return Stored(*found) if found else None

    def dataset(self, asset: Asset) -> DatasetName:
        return self.folder.dataset(self.file_name(asset))
