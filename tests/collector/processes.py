"""Collectors in processes of their own, which tests stop, kill and starve."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import requests

from tests.e2e.servers import free_port

HEADWATER = Path(sys.executable).parent / "headwater"


class Collector:
    """``headwater serve`` on one database and port, started and killed as often as a test likes."""

    def __init__(self, folder: Path, database: str, *options: str) -> None:
        self.database = database
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [str(HEADWATER), "serve", "--db", database, "--port", str(self.port), *options]
        self._log = folder / "collector.log"
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                if requests.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                pass
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.03)

    def pids(self) -> list[int]:
        """The process and its workers: all of its session (granian gives each worker a process group of its own)."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.getsid(int(entry.name)) == self.process.pid:
                        found.append(int(entry.name))
                except ProcessLookupError:
                    continue
        return found

    def kill(self) -> None:
        """SIGKILL to the process and all of its workers, the workers first."""
        assert self.process is not None
        for pid in sorted(self.pids(), reverse=True):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()


class Load:
    """Threads that post events one a request, each on its own connection, and note what was answered.

    ``make(number)`` gives the body of event ``number``; numbers are shared by the threads. ``acknowledged`` holds the
    bodies that got a 2xx, ``answers`` each status with the seconds that it took.
    """

    def __init__(self, url: str, make: Callable[[int], bytes], threads: int = 16, first: int = 0) -> None:
        self._address = urlsplit(url).netloc
        self._make = make
        self._next = first
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged: list[bytes] = []
        self.answers: list[tuple[int, float]] = []
        self._threads = [threading.Thread(target=self._post, daemon=True) for _ in range(threads)]

    @property
    def sent(self) -> int:
        """The number of the next event."""
        return self._next

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _post(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        while not self._stop.is_set():
            with self._lock:
                number = self._next
                self._next += 1
            body = self._make(number)
            started = time.monotonic()
            try:
                connection.request("POST", "/api/v1/lineage", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.02)
                continue
            with self._lock:
                self.answers.append((response.status, time.monotonic() - started))
                if response.status < 300:
                    self.acknowledged.append(body)
