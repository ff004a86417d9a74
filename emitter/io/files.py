"""One file per asset in a directory, written atomically."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from emitter.checksum import path_digest
from emitter.errors import OutputMissing, StorageError
from emitter.io.protocol import DatasetName, IOManager, Stored

if TYPE_CHECKING:
    from emitter.assets import Asset

_TEMPORARY_SUFFIX = ".partial"
#: What a killed process left behind is cleared away by the next write once nobody can be writing it any more.
_ABANDONED_SECONDS = 24 * 3600


class FileIO(IOManager):
    """Keeps each output as a file named after its asset; a subclass says how a value becomes bytes and back.

    The file appears under its name only when it is whole: it is written beside it, synced and then renamed. In lineage
    it is called by OpenLineage's naming for files: namespace ``file``, the absolute path as name.

    Args:
        directory: where the files go, made when it is needed; a relative one is meant from where the process is now.
    """

    suffix = ""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(os.path.abspath(os.path.expanduser(directory)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.directory)!r})"

    def path(self, asset: Asset) -> Path:
        """The file of an asset's output, whether or not it is there."""
        return self.directory / f"{asset.name}{self.suffix}"

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        """Write the value to a file that was just made. Raises UnsupportedValue for one that it cannot hold."""
        raise NotImplementedError

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        """Read back what `write` wrote."""
        raise NotImplementedError

    def save(self, asset: Asset, value: Any) -> None:
        with replaced_when_whole(self.path(asset)) as file:
            self.write(file, value, asset)

    def load(self, asset: Asset) -> Any:
        path = self.path(asset)
        try:
            with open(path, "rb") as file:
                return self.read(file, asset)
        except FileNotFoundError:
            raise OutputMissing(f"asset '{asset.name}' has no output at {path}; materialize it first") from None
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"{path}, the output of asset '{asset.name}', cannot be read: {_told(error)}") from error

    def stored(self, asset: Asset) -> Stored | None:
        path = self.path(asset)
        if not path.exists():
            return None
        found = path_digest(path)
        return Stored(str(found), found.size)

    def dataset(self, asset: Asset) -> DatasetName:
        return DatasetName("file", self.path(asset).as_posix())


@contextlib.contextmanager
def replaced_when_whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a new file to write that takes the place of `path` in one step when the block ends without an error.

    Until then, and for good if the process is killed or the block raises, what was at `path` stays as it was.
    Raises StorageError where the file system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(path)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
        file = open(partial, "xb")  # noqa: SIM115 - closed below, where the errors differ
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {_told(error)}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {_told(error)}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _clear_abandoned(path: Path) -> None:
    oldest = time.time() - _ABANDONED_SECONDS
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            mine = entry.name.startswith(f".{path.name}.") and entry.name.endswith(_TEMPORARY_SUFFIX)
            if mine and entry.stat().st_mtime < oldest:
                os.unlink(entry.path)


def _told(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"
