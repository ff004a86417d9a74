"""Every emitter test runs in an empty directory, with a home of its own and without OpenLineage settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.openlineage_schema import validate_event


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(folder)
    return folder


class Events(list[dict[str, Any]]):
    """Events as they go over the wire, each validated when it comes; give it as ``on_event``."""

    def __call__(self, event: Any) -> None:
        from openlineage.client.serde import Serde

        document = json.loads(Serde.to_json(event))
        validate_event(document)
        self.append(document)

    def of(self, job: str) -> list[dict[str, Any]]:
        return [event for event in self if event["job"]["name"] == job]

    def states(self, job: str) -> list[str]:
        return [event["eventType"] for event in self.of(job)]

    def ending(self, job: str) -> dict[str, Any]:
        return self.of(job)[-1]


@pytest.fixture
def events() -> Events:
    return Events()


class RecordingCollector:
    """A real HTTP server that keeps what it is sent; `answer` may be changed to refuse."""

    def __init__(self) -> None:
        self.events = Events()
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda event: 201
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/batch"):  # like Marquez: events come one by one
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                event = json.loads(body)
                status = outer.answer(event)
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers))
                if status < 300:
                    validate_event(event)
                    outer.events.append(event)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[RecordingCollector]:
    server = RecordingCollector()
    yield server
    server.stop()
