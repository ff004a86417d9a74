"""Servers under measurement: real processes, watched from outside (memory and processor time from /proc)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import HeadwaterError

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
PROC = Path("/proc")


class ServerFailed(HeadwaterError):
    """A server under measurement did not start, or stopped by itself."""


@dataclass(frozen=True)
class Server:
    """A running server and the SQLite file that it writes (None where the database is not a file)."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    database: Path | None
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        """Resident memory of the process and its children; 0 where there is no /proc."""
        return sum(_status_bytes(number, "VmRSS") for number in _family(self.process.pid))

    def held_bytes(self) -> int:
        """Memory that they hold for themselves: resident, without the file pages that the kernel can take back."""
        return sum(_status_bytes(number, "RssAnon") for number in _family(self.process.pid))

    def cpu_seconds(self) -> float:
        """Processor time, user and system, of the process and its living children; 0.0 where there is no /proc."""
        return sum(_cpu_seconds(number) for number in _family(self.process.pid))

    def database_bytes(self) -> int:
        """The database file with its write-ahead log."""
        if self.database is None:
            return 0
        names = (self.database, self.database.with_name(self.database.name + "-wal"))
        return sum(path.stat().st_size for path in names if path.exists())

    def check(self) -> None:
        if self.process.poll() is not None:
            raise ServerFailed(f"{self.name} stopped with {self.process.returncode}:\n{tail(self.log)}")


@contextlib.contextmanager
def raw_append(folder: Path, front: str = "wsgi") -> Iterator[Server]:
    """The peer on a free port, its database in `folder`."""
    path = folder / f"raw_append_{front}.db"
    command = [sys.executable, "-m", "benchmarks.raw_append", "--db", f"sqlite:///{path}", "--front", front]
    with running(f"raw append ({front})", command, path, folder) as server:
        yield server


@contextlib.contextmanager
def collector(
    folder: Path, database_url: str | None = None, name: str = "collector", workers: int = 1
) -> Iterator[Server]:
    """`headwater serve` on a free port; without `database_url` on a new SQLite file in `folder`."""
    path = None if database_url else folder / f"{name}.db"
    headwater = shutil.which("headwater", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if headwater is None:
        raise ServerFailed("there is no `headwater` command beside this python: pip install -e . first")
    command = [headwater, "serve", "--db", database_url or f"sqlite:///{path}", "--workers", str(workers)]
    with running(name, command, path, folder) as server:
        yield server


@contextlib.contextmanager
def running(name: str, command: list[str], database: Path | None, folder: Path) -> Iterator[Server]:
    """Starts `command --port N`, waits until GET /health/ready answers 200, and stops it at the end."""
    port = free_port()
    log = folder / f"{name.replace(' ', '_')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=subprocess.STDOUT)
    server = Server(name, port, process, database, log)
    try:
        _wait_until_ready(server)
        yield server
        server.check()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        server.check()
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{server.url}/health/ready", timeout=2).close()
            return
        time.sleep(0.05)
    raise ServerFailed(f"{server.name} was not ready after {READY_SECONDS:.0f} s:\n{tail(server.log)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(path: Path, size: int = 2_000) -> str:
    """The end of a text file, for an error's message."""
    return path.read_text(errors="replace")[-size:]


def _family(number: int) -> list[int]:
    """A process and everything below it."""
    found = [number]
    for parent in found:  # grows while we walk
        with contextlib.suppress(OSError):
            for task in (PROC / str(parent) / "task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _status_bytes(number: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(number) / "status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0


def _cpu_seconds(number: int) -> float:
    with contextlib.suppress(OSError):
        fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
