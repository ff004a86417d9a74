"""Checksums of data: bytes, files, directories, tables and plain objects.

A checksum says what the data is, wherever and however it is held: bytes and a file of the same bytes are equal (and
equal to what ``b3sum`` prints), the same rows are equal in pandas, polars and Arrow and in any chunking. It does not
depend on the process, the machine or the Python version. Memory stays bounded: files are read in blocks, tables
hashed in batches of rows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from blake3 import blake3

from emitter.errors import ChecksumError, did_you_mean
from emitter.tables import is_lazy, is_table

DEFAULT_ALGORITHM = "blake3"
_BLOCK = 1 << 20


class Hasher(Protocol):
    """What `hashlib`, blake3 and xxhash have in common."""

    def update(self, data: Any, /) -> Any: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


def _xxh3() -> Hasher:
    import xxhash

    return xxhash.xxh3_128()


_ALGORITHMS: dict[str, Callable[[], Hasher]] = {"blake3": blake3, "sha256": hashlib.sha256, "xxh3_128": _xxh3}


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum with what it is of: ``file``, ``directory``, ``table``, ``object`` or ``bytes``.

    `size` is in bytes and `rows` a count, each where it is known.
    """

    algorithm: str
    value: str
    hashed: str
    size: int | None = None
    rows: int | None = None

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


def calculate_checksum(value: Any, algorithm: str = DEFAULT_ALGORITHM, *, index: bool = False) -> str:
    """Return the checksum of a value as ``algorithm:hex``.

    Args:
        value: bytes; a ``pathlib.Path`` of a file or directory (a text is hashed as a text, not as a path); a pandas,
            polars or Arrow table or column, by content: dtypes and column order matter, the chunking does not, and
            NaN in pandas is a missing value; or an object made of None, booleans, numbers, texts,
            bytes, dates, decimals, UUIDs, enums, paths, lists, tuples, sets, dicts, dataclasses, numpy arrays, tables.
        algorithm: ``blake3``, ``sha256`` or ``xxh3_128`` (fast, but not against forgery).
        index: whether a pandas index counts, unless it only numbers the rows. The executor counts it.

    Raises:
        ChecksumError: the value has no stable form, the path cannot be read, or the algorithm is unknown.
    """
    return str(digest(value, algorithm, index=index))


def digest(value: Any, algorithm: str = DEFAULT_ALGORITHM, *, index: bool = False) -> Digest:
    """`calculate_checksum` with what was hashed, its size and its rows."""
    if isinstance(value, os.PathLike):
        return path_digest(Path(value), algorithm)
    hasher = new_hasher(algorithm)
    if isinstance(value, bytes | bytearray | memoryview):
        data = memoryview(value)
        hasher.update(data if data.c_contiguous else data.tobytes())
        return Digest(algorithm, hasher.hexdigest(), "bytes", size=data.nbytes)
    if is_lazy(value):
        raise ChecksumError(
            f"a {type(value).__name__} holds no rows yet, so it has no checksum; collect() it, or read_all() a stream"
        )
    if is_table(value):
        from emitter.table_checksum import hash_table

        rows = hash_table(hasher, value, index=index)
        return Digest(algorithm, hasher.hexdigest(), "table", rows=rows)
    from emitter.object_checksum import hash_object

    hash_object(hasher, value, algorithm, index=index)
    return Digest(algorithm, hasher.hexdigest(), "object")


def new_hasher(algorithm: str) -> Hasher:
    """A fresh hasher; ChecksumError for an algorithm that is not known."""
    try:
        return _ALGORITHMS[algorithm]()
    except (KeyError, TypeError):
        hint = did_you_mean(str(algorithm), _ALGORITHMS) or f"; use one of {', '.join(_ALGORITHMS)}"
        raise ChecksumError(f"the checksum algorithm {algorithm!r} is unknown{hint}") from None


def path_digest(path: Path, algorithm: str = DEFAULT_ALGORITHM) -> Digest:
    """The digest of a file's bytes, or of a directory: a Merkle tree over the names in it, relative to it.

    In a directory a symbolic link counts by its target's text; empty directories count, times and permissions do not.
    Raises ChecksumError where something cannot be read or is neither file, directory nor link.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            value, size = _file(path, algorithm)
            return Digest(algorithm, value.hex(), "file", size=size)
        if stat.S_ISDIR(mode):
            value, size = _directory(path, algorithm)
            return Digest(algorithm, value.hex(), "directory", size=size)
    except OSError as error:
        raise ChecksumError(f"no checksum of {path}: {error.strerror or error} ({error.filename or path})") from error
    raise ChecksumError(f"no checksum of {path}: it is neither a file nor a directory")


def _file(path: Path, algorithm: str) -> tuple[bytes, int]:
    hasher = new_hasher(algorithm)
    block = bytearray(_BLOCK)
    view = memoryview(block)
    size = 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            hasher.update(view[:count])
            size += count
    return hasher.digest(), size


def _directory(path: Path, algorithm: str) -> tuple[bytes, int]:
    hasher = new_hasher(algorithm)
    hasher.update(b"headwater directory 1\0")
    total = 0
    for entry in sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name)):
        if entry.is_symlink():
            kind, value, size = b"link", os.fsencode(os.readlink(entry.path)), 0
        elif entry.is_dir():
            kind, (value, size) = b"directory", _directory(Path(entry.path), algorithm)
        elif entry.is_file():
            kind, (value, size) = b"file", _file(Path(entry.path), algorithm)
        else:
            raise ChecksumError(f"no checksum of {entry.path}: it is neither a file nor a directory")
        total += size
        # Lengths before contents, so that no two different listings are the same bytes.
        for part in (kind, os.fsencode(entry.name), value):
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
    return hasher.digest(), total
