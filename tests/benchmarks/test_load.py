"""The load generator counts what it sends, and the raw append keeps what it acknowledges."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import load, processes
from benchmarks.events import batch, small_event, spark_event
from benchmarks.load import Plan

PLAN = Plan(port=0, seconds=60, connections=4, requests=200)


def stored(path: Path | None) -> set[bytes]:
    assert path is not None
    return {row[0] for row in sqlite3.connect(path).execute("SELECT body FROM event")}


@pytest.mark.parametrize("front", ["flask", "wsgi"])
def test_every_acknowledged_body_is_stored_once(tmp_path: Path, front: str) -> None:
    with processes.raw_append(tmp_path, front) as server:
        measured = load.run(replace(PLAN, port=server.port, first=50))
        assert (measured.requests, measured.events, measured.refused) == (200, 200, {})
        assert measured.next_event == 250
        assert stored(server.database) == {small_event(index) for index in range(50, 250)}
        assert server.resident_bytes() >= server.held_bytes() > 0


def test_batches_and_large_bodies_arrive_whole(tmp_path: Path) -> None:
    with processes.raw_append(tmp_path) as server:
        plan = replace(PLAN, port=server.port, shape="spark", events_per_request=20, requests=6)
        measured = load.run(plan)
        assert (measured.requests, measured.events, measured.next_event) == (6, 120, 120)
        assert stored(server.database) == {batch(spark_event, first, 20) for first in range(0, 120, 20)}


def test_paced_load_sends_as_many_as_the_rate_asks_for(tmp_path: Path) -> None:
    with processes.raw_append(tmp_path) as server:
        measured = load.run(replace(PLAN, port=server.port, seconds=0.2, rate=200.0, requests=None))
        assert measured.requests == 40
        assert measured.refused == {}


def test_refusals_are_counted_by_status_and_not_as_events(tmp_path: Path) -> None:
    command = ["-c", NOT_FOUND]
    with processes.running("refuser", [sys.executable, *command], None, tmp_path) as server:
        measured = load.run(replace(PLAN, port=server.port, requests=10))
        assert measured.refused == {"404": 10}
        assert (measured.requests, measured.events) == (10, 0)


def test_server_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no database here')"]
    with (
        pytest.raises(processes.ServerFailed, match="no database here"),
        processes.running("broken", broken, None, tmp_path),
    ):
        pass


NOT_FOUND = """
import http.server, sys

class Refuser(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(404); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"no")

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Refuser).serve_forever()
"""
