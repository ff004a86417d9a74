"""Real collectors for end-to-end tests: `headwater serve` in a process of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

HEADWATER = Path(sys.executable).parent / "headwater"
READY_SECONDS = 30.0
STOP_SECONDS = 15.0


@contextlib.contextmanager
def running_collector(folder: Path, *options: str, database: str | None = None) -> Iterator[str]:
    """Starts a collector on a free port and yields its base URL once it is ready; stops it with SIGTERM at the end.

    Its database is `database` (a URL), or a new SQLite file in `folder`, where its log lies too. Raises AssertionError,
    with the log, when it does not become ready.
    """
    port = free_port()
    log = folder / "collector.log"
    url = database or f"sqlite:///{folder / 'lineage.db'}"
    command = [str(HEADWATER), "serve", "--db", url, "--port", str(port), *options]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(base):
            assert process.poll() is None, f"the collector stopped with {process.returncode}:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"the collector was not ready in time:\n{log.read_text()}"
            time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/health/ready", timeout=2).status_code == 200
    except requests.ConnectionError:
        return False
