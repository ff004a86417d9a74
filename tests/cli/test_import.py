"""``headwater import``: into a collector and into a database."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from collector.commands.destinations import CollectorDestination
from collector.import_events import (
    MAX_LINE,
    DestinationFailed,
    EventFile,
    ImportStopped,
    Line,
    Outcome,
    import_events,
    open_events,
)
from tests.cli.conftest import Headwater, failed_with


def event(number: int, namespace: str = "import") -> str:
    return json.dumps(
        {
            "eventTime": f"2026-01-01T00:00:{number % 60:02}Z",
            "eventType": "COMPLETE",
            "producer": "https://example.com/tests",
            "run": {"runId": f"run-{number}"},
            "job": {"namespace": namespace, "name": f"job-{number}"},
            "outputs": [{"namespace": namespace, "name": f"table-{number}"}],
        }
    )


GOOD = [event(number) for number in range(7)]
BAD = [
    "{not json",
    '{"eventTime": "2026-01-01T00:00:00Z"}',
    '{"eventTime": "yesterday", "job": {"namespace": "a", "name": "b"}}',
    '{"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "a", "name": ""}}',
    '{"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "c", "name": ""}}',
    "[]",
]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(GOOD) + "\n")
    return path


def stored_events(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])


def test_database_gets_every_event_and_a_second_time_none(headwater: Headwater, events: Path, tmp_path: Path) -> None:
    done = headwater("import", "events.ndjson", "--db", "sqlite:///lineage.db", "--batch", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 events read: 7 stored, 0 refused")
    again = headwater("import", "events.ndjson", "--db", "sqlite:///lineage.db", "--json")
    assert json.loads(again.stdout) == {
        "read": 7,
        "stored": 0,
        "duplicates": 7,
        "refused": 0,
        "reasons": [],
        "seconds": json.loads(again.stdout)["seconds"],
    }
    assert stored_events(tmp_path / "lineage.db") == 7


def test_database_of_either_engine_gets_every_event(headwater: Headwater, events: Path, database: str) -> None:
    done = headwater("import", "events.ndjson", "--db", database)
    assert done.stdout.startswith("7 events read: 7 stored"), done.stderr
    again = headwater("import", "events.ndjson", "--db", database)
    assert again.stdout.startswith("7 events read: 0 stored, 7 were there already"), again.stderr


def test_collector_gets_every_event(headwater: Headwater, tmp_path: Path, collector: str) -> None:
    (tmp_path / "events.ndjson").write_text("\n".join(event(number, "to-collector") for number in range(7)))
    done = headwater("import", "events.ndjson", "--collector", collector, "--batch", "2")
    assert (done.returncode, done.stdout.partition(",")[0]) == (0, "7 events read: 7 stored"), done.stderr
    answer = requests.get(
        f"{collector}/api/v1/lineage/upstream",
        params={"nodeId": "dataset:to-collector:table-6", "granularity": "all"},
        timeout=10,
    )
    assert [node["name"] for node in answer.json()["nodes"]] == ["table-6", "job-6"]


@pytest.mark.parametrize("into", ["collector", "database"])
def test_bad_lines_are_counted_by_reason_and_their_neighbours_stored(
    headwater: Headwater, tmp_path: Path, collector: str, into: str
) -> None:
    lines = [event(0, into), BAD[0], "", BAD[1], BAD[2], event(1, into), BAD[3], BAD[4], BAD[5], event(2, into)]
    (tmp_path / "mixed.ndjson").write_text("\n".join(lines))
    where = ["--collector", collector] if into == "collector" else ["--db", "sqlite:///lineage.db"]

    done = headwater("import", "mixed.ndjson", *where, "--json")

    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["read"], document["stored"], document["refused"]) == (9, 3, 6)
    by_lines = {tuple(one["lines"]): one["reason"] for one in document["reasons"]}
    assert "not valid JSON" in by_lines[(2,)]
    assert "RunEvent" in by_lines[(4,)]
    assert "'yesterday' is not an ISO-8601 time" in by_lines[(5,)]
    assert "job.name: Must not be empty." in by_lines[(7, 8)]
    assert "JSON object" in by_lines[(9,)]
    assert document["reasons"][0]["count"] == 2  # the commonest first

    told = headwater("import", "mixed.ndjson", *where)
    assert told.returncode == 1
    assert re.search(r"^  2 x .*job\.name.* \(lines 7, 8\)$", told.stdout, re.MULTILINE)


def test_gzip_and_standard_input_are_read(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "events.ndjson.gz").write_bytes(gzip.compress("\n".join(GOOD).encode()))
    done = headwater("import", "events.ndjson.gz", "--db", "sqlite:///lineage.db")
    assert done.stdout.startswith("7 events read: 7 stored"), done.stderr
    done = headwater("import", "-", "--db", "sqlite:///lineage.db", text_input="\n".join(GOOD))
    assert done.stdout.startswith("7 events read: 0 stored, 7 were there already"), done.stderr


def test_it_goes_on_from_a_line(headwater: Headwater, events: Path) -> None:
    done = headwater("import", "events.ndjson", "--db", "sqlite:///lineage.db", "--from-line", "6")
    assert done.stdout.startswith("2 events read: 2 stored")


def test_file_of_another_form_is_refused_with_what_to_do(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "array.json").write_text(f"[{GOOD[0]}]")
    message = failed_with(headwater("import", "array.json", "--db", "sqlite:///lineage.db"), 1)
    assert "jq -c '.[]' array.json > events.ndjson" in message
    (tmp_path / "pretty.json").write_text(json.dumps(json.loads(GOOD[0]), indent=2))
    message = failed_with(headwater("import", "pretty.json", "--db", "sqlite:///lineage.db"), 1)
    assert "jq -c . pretty.json" in message
    (tmp_path / "cut.gz").write_bytes(gzip.compress("\n".join(GOOD * 100).encode())[:-20])
    message = failed_with(headwater("import", "cut.gz", "--db", "sqlite:///lineage.db"), 1)
    assert "cannot be read beyond line" in message
    (tmp_path / "empty.ndjson").write_text("\n\n")
    done = headwater("import", "empty.ndjson", "--db", "sqlite:///lineage.db")
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "0 events read")


def test_destination_must_be_one(headwater: Headwater, events: Path) -> None:
    for arguments in ([], ["--db", "sqlite:///x.db", "--collector", "http://127.0.0.1:9"]):
        message = failed_with(headwater("import", "events.ndjson", *arguments), 2)
        assert "--collector URL or --db URL" in message
    assert "does not exist" in failed_with(headwater("import", "absent.ndjson", "--db", "sqlite:///x.db"), 2)
    assert "is a directory" in failed_with(headwater("import", ".", "--db", "sqlite:///x.db"), 2)


def test_collector_that_is_not_there_is_told_at_once(headwater: Headwater, events: Path) -> None:
    message = failed_with(headwater("import", "events.ndjson", "--collector", "http://127.0.0.1:9"), 1)
    assert "http://127.0.0.1:9 cannot be reached (Connection refused)" in message
    assert "--from-line" not in message


def test_database_that_cannot_be_used(headwater: Headwater, events: Path) -> None:
    assert "is no database URL" in failed_with(headwater("import", "events.ndjson", "--db", "nonsense"), 1)


# --- a collector that has its troubles: a server that answers what it is told to --------------------------------------


class Scripted(BaseHTTPRequestHandler):
    """Answers each POST with the next of `script`, then with success."""

    script: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []
    received: ClassVar[list[list[Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers, answer = self.script.pop(0) if self.script else (200, {}, b"")
        if status == 200:
            self.received.append(body)
            answer = answer or json.dumps({"status": "success", "summary": {}, "failed_events": []}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def troubled() -> Iterator[str]:
    Scripted.script, Scripted.received = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


BUSY: tuple[int, dict[str, str], bytes] = (
    503,
    {"Retry-After": "0"},
    b'{"code": 503, "message": "The store did not commit within a second."}',
)


def test_busy_collector_is_asked_again(headwater: Headwater, events: Path, troubled: str) -> None:
    Scripted.script = [BUSY, BUSY]
    done = headwater("import", "events.ndjson", "--collector", troubled)
    assert done.returncode == 0, done.stderr
    assert [len(batch) for batch in Scripted.received] == [7]


def test_collector_that_stays_busy_ends_the_import_which_says_how_to_go_on(
    headwater: Headwater, events: Path, troubled: str
) -> None:
    Scripted.script = [(200, {}, b""), (200, {}, b""), *([BUSY] * 1000)]
    done = headwater("import", "events.ndjson", "--collector", troubled, "--batch", "2", "--wait", "0.3")

    message = failed_with(done, 1)
    assert "cannot take events now (503: The store did not commit within a second.)" in message
    assert f"headwater import events.ndjson --collector {troubled} --batch 2 --wait 0.3 --from-line 5" in message
    assert done.stdout.startswith("4 events read: 4 stored")
    Scripted.script = []
    again = headwater(*message.partition("To go on: headwater ")[2].split())
    assert again.stdout.startswith("3 events read: 3 stored"), again.stderr
    assert [one["job"]["name"] for batch in Scripted.received for one in batch] == [f"job-{n}" for n in range(7)]


def test_stopped_import_tells_programs_the_next_line(headwater: Headwater, events: Path, troubled: str) -> None:
    Scripted.script = [(200, {}, b""), *([BUSY] * 1000)]
    done = headwater("import", "events.ndjson", "--collector", troubled, "--batch", "5", "--wait", "0", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["read"], document["nextLine"]) == (1, 5, 6)
    assert "503" in document["stopped"]


def test_batch_that_is_too_large_goes_in_halves(headwater: Headwater, events: Path, troubled: str) -> None:
    large: tuple[int, dict[str, str], bytes] = (
        413,
        {},
        b'{"code": 413, "message": "The body is larger than 10 bytes."}',
    )
    Scripted.script = [large, large]  # all seven, then the first three: its single first event is taken
    done = headwater("import", "events.ndjson", "--collector", troubled)
    assert done.returncode == 0, done.stderr
    assert [len(batch) for batch in Scripted.received] == [1, 2, 4]


def test_event_that_is_too_large_alone_is_refused(headwater: Headwater, tmp_path: Path, troubled: str) -> None:
    (tmp_path / "one.ndjson").write_text(GOOD[0])
    Scripted.script = [(413, {}, b'{"code": 413, "message": "The body is larger than 10 bytes."}')]
    done = headwater("import", "one.ndjson", "--collector", troubled)
    assert done.returncode == 1
    assert "1 x The body is larger than 10 bytes. (line 1)" in done.stdout


def test_reasons_cannot_drive_the_terminal(headwater: Headwater, events: Path, troubled: str) -> None:
    failed = {"failed_events": [{"index": 0, "reason": "bad \x1b[2J name", "retriable": False}]}
    Scripted.script = [(200, {}, json.dumps(failed).encode()), (418, {}, b'{"message": "\\u001b[2J"}')]
    done = headwater("import", "events.ndjson", "--collector", troubled, "--batch", "5")
    assert done.returncode == 1
    assert "bad ␛[2J name" in done.stdout and "␛[2J" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_server_that_is_no_collector(headwater: Headwater, events: Path, troubled: str) -> None:
    Scripted.script = [(404, {}, b"<html>")]
    assert "is this a collector's address?" in failed_with(
        headwater("import", "events.ndjson", "--collector", troubled), 1
    )
    Scripted.script = [(302, {"Location": "http://127.0.0.1:9/login"}, b"")]
    assert "answered 302" in failed_with(headwater("import", "events.ndjson", "--collector", troubled), 1)
    Scripted.script = [(200, {}, b"<html>welcome</html>")]
    assert "answered 200" in failed_with(headwater("import", "events.ndjson", "--collector", troubled), 1)


# --- the method behind it --------------------------------------------------------------------------------------------


class Recording:
    """A destination that keeps the line numbers, and fails after a number of batches."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.fails_after = fails_after

    def send(self, batch: Sequence[Line]) -> Outcome:
        if len(self.batches) == self.fails_after:
            raise DestinationFailed("It is full.")
        self.batches.append([line.number for line in batch])
        return Outcome({})

    def close(self) -> None: ...


class Endless:
    """A stream without an end, which counts what was read."""

    def __init__(self) -> None:
        self.lines = count()
        self.read = 0

    def peek(self, _: int) -> bytes:
        return b"{}"

    def readline(self, _: int) -> bytes:
        self.read += 1
        return b'{"n": %d}\n' % next(self.lines)


def test_no_more_is_read_than_is_sent() -> None:
    stream: Any = Endless()
    with pytest.raises(ImportStopped) as stopped:
        import_events(EventFile(stream, "endless", None), Recording(fails_after=3), batch=10)
    assert stopped.value.next_line == 31
    assert stream.read == 40


def test_interrupt_says_how_far_it_got() -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    stream: Any = Endless()
    with pytest.raises(ImportStopped) as stopped:
        import_events(EventFile(stream, "endless", None), Recording(), batch=10, on_progress=interrupt)
    assert (stopped.value.next_line, stopped.value.report.read) == (11, 10)


def test_line_that_is_too_long_is_refused_without_being_held() -> None:
    text = b"x" * (MAX_LINE + 5) + b"\n" + b'{"n": 1}\n'
    destination = Recording()
    report = import_events(EventFile(BytesIO(text), "large", None), destination)
    assert (report.read, report.refused, destination.batches) == (2, 1, [[2]])


def test_batches_are_bounded_in_bytes() -> None:
    text = (b'"' + b"x" * 1_500_000 + b'"\n') * 5
    destination = Recording()
    import_events(EventFile(BytesIO(text), "large", None), destination)
    assert destination.batches == [[1, 2], [3, 4], [5]]


def test_reasons_are_bounded(tmp_path: Path) -> None:
    class Refusing(Recording):
        def send(self, batch: Sequence[Line]) -> Outcome:
            return Outcome({line.number: f"reason {line.number}" for line in batch})

    (tmp_path / "many").write_text("1\n" * 500)
    with open_events(str(tmp_path / "many"), BytesIO()) as events:
        report = import_events(events, Refusing())
    assert report.refused == 500
    assert len(report.reasons) == 101 and report.reasons["other reasons"].count == 400


def test_key_is_sent_where_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    destination = CollectorDestination("http://127.0.0.1:9")
    assert destination._session.headers["Authorization"] == "Bearer secret"
    destination.close()
