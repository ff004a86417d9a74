"""``headwater serve``, as real processes."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.cli.conftest import Headwater, failed_with
from tests.collector.patience import patient_session

READY_SECONDS = 30


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A collector's process and its URL, which it printed."""
    command = [sys.executable, "-m", "headwater", "serve", "--port", "0", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[^\s,]+", line)
        if found is None:
            process.terminate()
            pytest.fail(f"it did not start: {line}{process.communicate(timeout=10)[1]}")
        yield process, found[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def test_it_says_where_it_is_and_answers_there(tmp_path: Path) -> None:
    with serving(tmp_path, "--db", "sqlite:///my.db") as (process, url):
        assert requests.get(f"{url}/health", timeout=5).json()["ready"] is True
        assert requests.get(f"{url}/docs/", timeout=5).status_code == 200
        event = {"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "n", "name": "j"}}
        assert patient_session().post(f"{url}/api/v1/lineage", json=event, timeout=5).status_code == 201
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (0, "", "")
    with closing(sqlite3.connect(tmp_path / "my.db")) as database:
        assert database.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_several_workers_share_one_database_of_either_engine(tmp_path: Path, database: str) -> None:
    with serving(tmp_path, "--db", database, "--workers", "2") as (_, url):
        for number in range(20):  # each on a connection of its own, so that both workers get some
            event = {"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "n", "name": f"j{number}"}}
            assert patient_session().post(f"{url}/api/v1/lineage", json=event, timeout=5).status_code == 201
        found = requests.get(f"{url}/api/v1/events/lineage?kind=job", timeout=5).json()
    assert found["totalCount"] == 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, "--workers", "2") as (process, url):
        os.killpg(process.pid, number)  # as Ctrl-C does: the whole group at once
        out, error = process.communicate(timeout=30)
        assert (process.returncode, out, error) == (0, "", "")
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)


def test_signal_before_it_is_ready_stops_it_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headwater", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "lineage.db").exists() and process.poll() is None:
        time.sleep(0.005)
    process.terminate()
    assert "Traceback" not in process.communicate(timeout=30)[1]
    assert process.returncode == 0


def test_request_under_way_is_answered_before_it_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        host = url.removeprefix("http://")
        body = b'{"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "n", "name": "j"}}'
        with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
            connection.putrequest("POST", "/api/v1/lineage")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[:20])
            # the server has this request in hand when it has answered a later one of another connection
            requests.get(f"{url}/health", timeout=5)
            process.terminate()
            connection.send(body[20:])
            assert connection.getresponse().status == 201
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (process, url):
        process.kill()
        port = int(url.rpartition(":")[2])
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                return
            time.sleep(0.05)
    pytest.fail("a worker lives on and holds the port")


def test_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        port = int(url.rpartition(":")[2])
        idle = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(200)]
        try:
            for connection in idle:
                connection.request("GET", "/health/live")
                assert connection.getresponse().read()
            assert requests.get(f"{url}/health", timeout=5).status_code == 200
        finally:
            for connection in idle:
                connection.close()


def test_requests_that_come_at_once_are_all_answered(tmp_path: Path) -> None:
    answers: list[int] = []

    def send(number: int) -> None:
        event = {"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "n", "name": f"j{number}"}}
        answers.append(patient_session().post(f"{url}/api/v1/lineage", json=event, timeout=20).status_code)

    with serving(tmp_path) as (_, url):
        threads = [threading.Thread(target=send, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [201] * 100


def test_port_that_is_taken(headwater: Headwater, tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        port = url.rpartition(":")[2]
        message = failed_with(headwater("serve", "--port", port), 1)
    assert f"Port {port} on 127.0.0.1 is taken already" in message and "--port" in message


def test_address_that_others_reach_needs_insecure(headwater: Headwater, tmp_path: Path) -> None:
    message = failed_with(headwater("serve", "--host", "0.0.0.0", "--port", "0"), 1)
    assert "can be reached from other machines" in message and "--insecure" in message
    assert not (tmp_path / "lineage.db").exists()
    with serving(tmp_path, "--host", "0.0.0.0", "--insecure") as (_, url):
        port = url.rpartition(":")[2]
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200


def test_address_that_is_none(headwater: Headwater) -> None:
    assert "no address of this machine" in failed_with(headwater("serve", "--host", "host.invalid"), 1)
    assert "Cannot listen" in failed_with(headwater("serve", "--host", "192.0.2.1", "--insecure"), 1)


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://u@h/x", "not in mysql"),
        ("sqlite://", "is a file"),
        ("sqlite:////nowhere/at/all/lineage.db", "unable to open database file"),
        ("sqlite:///text.db", "file is not a database"),
        ("sqlite:///newer.db", "newer Headwater"),
        ("sqlite:///file:lineage.db?mode=ro&uri=true", "cannot be"),
        ("postgresql://user:secret@127.0.0.1:9/lineage", "cannot be used"),
    ],
)
def test_database_that_cannot_be_used_is_told_before_it_starts(
    headwater: Headwater, tmp_path: Path, database: str, message: str
) -> None:
    (tmp_path / "text.db").write_text("a text that is longer than the header of a database " * 10)
    with serving(tmp_path, "--db", "sqlite:///newer.db"), serving(tmp_path, "--db", "sqlite:///lineage.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "newer.db")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()

    told = failed_with(headwater("serve", "--port", "0", "--db", database), 1)
    assert message in told
    assert "secret" not in told


def test_values_out_of_range_are_usage_errors(headwater: Headwater) -> None:
    for arguments in (["--port", "65536"], ["--port", "http"], ["--workers", "0"], ["--log-level", "loud"]):
        assert arguments[0] in failed_with(headwater("serve", *arguments), 2)


def test_log_is_key_value_and_cannot_be_forged(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "info") as (process, url):
        requests.get(f"{url}/health/live%0Atime=forged", timeout=5)
        assert process.stderr is not None
        lines = []
        for line in process.stderr:  # the answer may come before its line in the log
            lines.append(line)
            if "method=GET path='/health/live" in line and "forged" in line:
                process.terminate()
    assert any("method=GET path='/health/live" in line and "status=404" in line for line in lines)
    assert all(re.match(r"time=\d{4}-\S+ \S+ level=\w+ logger=\S+ ", line) for line in lines), lines
    assert not any(line.startswith("time=forged") for line in lines)
