"""Places that hold files by name: a directory, or whatever fsspec reaches by a URL."""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from emitter.checksum import DEFAULT_ALGORITHM, new_hasher, path_digest
from emitter.errors import StorageError
from emitter.io.naming import DatasetName, name_of_url

_TEMPORARY_SUFFIX = ".partial"
#: What a killed process left behind is cleared away by the next write once nobody can be writing it any more.
_ABANDONED_SECONDS = 24 * 3600
_BLOCK = 1 << 20
#: Stores in which an object appears under its name only when all of it is there.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "r2"})


class Folder(Protocol):
    """Holds files by name."""

    in_process: bool

    def location(self, name: str) -> str:
        """Where a file is, for people."""
        ...

    def replace(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A new file to write, which takes the place of `name` in one step when the block ends without an error."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """The file to read. Raises FileNotFoundError."""
        ...

    def digest(self, name: str) -> tuple[str, int] | None:
        """The checksum of the file's bytes and their number; None if there is no file."""
        ...

    def dataset(self, name: str) -> DatasetName:
        """What the file is called in lineage."""
        ...


class LocalFolder:
    """A directory, made when it is needed."""

    in_process = False

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(os.path.abspath(os.path.expanduser(directory)))

    def __str__(self) -> str:
        return str(self.directory)

    def location(self, name: str) -> str:
        return str(self.directory / name)

    def replace(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        return replaced_when_whole(self.directory / name)

    def open(self, name: str) -> IO[bytes]:
        return open(self.directory / name, "rb")

    def digest(self, name: str) -> tuple[str, int] | None:
        path = self.directory / name
        if not path.exists():
            return None
        found = path_digest(path)
        return str(found), found.size or 0

    def dataset(self, name: str) -> DatasetName:
        return DatasetName("file", (self.directory / name).as_posix())


class RemoteFolder:
    """A place that fsspec reaches: ``s3://bucket/folder``, ``memory://folder``, ``sftp://host/folder``, …

    A file is written on this machine first. An object store then takes it as a whole; elsewhere it is put beside the
    old one and renamed, which is one step where the store's own rename is.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url = url.rstrip("/") if not url.endswith("://") else url
        self.scheme = urlsplit(url).scheme
        self.in_process = self.scheme == "memory"
        self._options = dict(options or {})
        self._opened: tuple[Any, str] | None = None

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.password else self.url

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}  # another process opens its own connection

    def location(self, name: str) -> str:
        return f"{self}{'' if str(self).endswith('/') else '/'}{name}"

    @contextlib.contextmanager
    def replace(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.NamedTemporaryFile(prefix="headwater-", suffix=_TEMPORARY_SUFFIX) as file:
            yield file  # type: ignore[misc]  # its type says that it may be closed
            file.flush()
            self._told(name, lambda: self._put(file.name, name))

    def open(self, name: str) -> IO[bytes]:
        filesystem, root = self._filesystem()
        found: IO[bytes] = filesystem.open(posixpath.join(root, name), "rb")
        return found

    def digest(self, name: str) -> tuple[str, int] | None:
        try:
            file = self.open(name)
        except FileNotFoundError:
            return None
        hasher, size = new_hasher(DEFAULT_ALGORITHM), 0
        with file:
            while block := file.read(_BLOCK):
                hasher.update(block)
                size += len(block)
        return f"{DEFAULT_ALGORITHM}:{hasher.hexdigest()}", size

    def dataset(self, name: str) -> DatasetName:
        return name_of_url(self.location(name))

    def _put(self, local: str, name: str) -> None:
        filesystem, root = self._filesystem()
        path = posixpath.join(root, name)
        if self.scheme == "memory":
            filesystem.pipe_file(path, Path(local).read_bytes())
        elif self.scheme in _WHOLE_OBJECTS:
            filesystem.put_file(local, path)
        else:
            filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
            partial = posixpath.join(posixpath.dirname(path), f".{name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
            try:
                filesystem.put_file(local, partial)
                filesystem.mv(partial, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    filesystem.rm_file(partial)
                raise

    def _told(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"{self.location(name)} cannot be written: {told(error)}") from error

    def _filesystem(self) -> tuple[Any, str]:
        if self._opened is None:
            try:
                import fsspec
            except ImportError as error:
                raise StorageError(
                    f"{self} needs fsspec, which is not installed: pip install 'headwater[files]'"
                ) from error
            try:
                self._opened = fsspec.core.url_to_fs(self.url, **self._options)
            except (ImportError, ValueError) as error:
                raise StorageError(f"{self} cannot be reached: {error}") from error
        return self._opened


def folder_at(place: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Folder:
    """The folder at a path or URL; ``file://`` is a path."""
    text = os.fspath(place)
    if "://" not in text:
        return LocalFolder(text)
    return LocalFolder(urlsplit(text).path) if text.startswith("file://") else RemoteFolder(text, options)


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
        raise StorageError(f"{path} cannot be written: {told(error)}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {told(error)}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def told(error: BaseException) -> str:
    """An error in a clause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


def _clear_abandoned(path: Path) -> None:
    oldest = time.time() - _ABANDONED_SECONDS
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            mine = entry.name.startswith(f".{path.name}.") and entry.name.endswith(_TEMPORARY_SUFFIX)
            if mine and entry.stat().st_mtime < oldest:
                os.unlink(entry.path)
