"""Who may send: one process at a time for each destination of an outbox.

A lock of the operating system on one byte of a file of its own, so that it ends with the process that holds it, however
that ends, and no clock is asked. A forked child does not inherit it. POSIX releases a process's locks on a file when it
closes any descriptor of that file, so a process has one lease object for a path (``outbox.py`` sees to that).
"""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Lease:
    """The locks of one outbox's destinations; with the path None (in memory) nobody else can want them."""

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else path.with_name(path.name + ".lock")
        self._descriptor: int | None = None

    def open(self) -> None:
        """Make what ``acquire`` needs. Raises OSError where the file cannot be made."""
        if self._path is not None and self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    def acquire(self, destination: int) -> bool:
        """Whether this process may send to the destination now. Raises OSError where no lock can be had at all."""
        if self._path is None:
            return True
        descriptor = self._descriptor
        if descriptor is None:
            return False
        try:
            if fcntl is None:
                return _lock_on_windows(descriptor, destination)
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, destination)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, destination: int) -> None:
        """Let another process send."""
        if self._descriptor is None:
            return
        if fcntl is None:
            _unlock_on_windows(self._descriptor, destination)
        else:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, destination)

    def close(self) -> None:
        """Give up every lock of this process; in a forked child, its copy of the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock_on_windows(descriptor: int, destination: int) -> bool:
    import msvcrt

    os.lseek(descriptor, destination, os.SEEK_SET)
    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    return True


def _unlock_on_windows(descriptor: int, destination: int) -> None:
    import msvcrt

    os.lseek(descriptor, destination, os.SEEK_SET)
    msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
