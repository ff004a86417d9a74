"""Sending events: to a real HTTP server, to one that fails, by every configuration, and to nowhere."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from emitter import asset, materialize
from emitter.emission import Emission, connect
from emitter.errors import InvalidCollector
from tests.emitter.conftest import Events, RecordingCollector
from tests.emitter.refusals import refused


@asset
def one() -> int:
    return 1


@asset
def two(one: int) -> int:
    return one + 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_events_arrive_at_the_collector(collector: RecordingCollector) -> None:
    results = materialize([one, two], collector=collector.url, name="nightly")
    assert [(event["job"]["name"], event["eventType"]) for event in collector.events] == [
        ("nightly", "START"),
        ("one", "START"),
        ("one", "COMPLETE"),
        ("two", "START"),
        ("two", "COMPLETE"),
        ("nightly", "COMPLETE"),
    ]
    assert set(collector.paths) == {"/api/v1/lineage"}
    assert results.events_failed == 0


@pytest.mark.parametrize("suffix", ["/", "/api/v1/lineage", "/api/v1/lineage/"])
def test_the_collectors_address_may_end_as_people_write_it(collector: RecordingCollector, suffix: str) -> None:
    materialize(one, collector=collector.url + suffix)
    assert set(collector.paths) == {"/api/v1/lineage"}


def test_a_collector_below_a_path_is_found_there(collector: RecordingCollector) -> None:
    materialize(one, collector=collector.url + "/lineage")
    assert set(collector.paths) == {"/lineage/api/v1/lineage"}


def test_the_api_key_of_the_environment_is_sent(collector: RecordingCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k3y")
    materialize(one, collector=collector.url)
    assert {headers["Authorization"] for headers in collector.headers} == {"Bearer k3y"}


def test_a_collector_that_refuses_fails_no_job_and_is_warned_of_once(
    collector: RecordingCollector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answer = lambda event: 400
    results = materialize([one, two], collector=collector.url)
    assert results.succeeded and results["two"].value == 2
    assert (results.events_failed, results.events_waiting) == (0, 0)  # set aside, with the reason
    (warning,) = warnings(caplog)
    assert "lineage events refused by the collector, set aside" in warning and "400" in warning


def test_a_collector_that_is_not_there_fails_no_job_and_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    results = materialize([one, two], collector=url)
    assert results.succeeded and (results.events_failed, results.events_waiting) == (0, 6)
    (warning,) = warnings(caplog)
    assert "lineage events wait in the outbox reason='connection refused'" in warning


def test_what_was_refused_holds_up_nothing_else(collector: RecordingCollector) -> None:
    collector.answer = lambda event: 422 if event["job"]["name"] == "one" else 201
    assert materialize([one, two], collector=collector.url).events_waiting == 0
    assert [event["job"]["name"] for event in collector.events if event["job"]["name"] == "two"] == ["two", "two"]


def test_a_busy_collector_is_asked_again(collector: RecordingCollector) -> None:
    busy = [503, 503]
    collector.answer = lambda event: busy.pop() if busy else 201
    assert materialize(one, collector=collector.url).events_failed == 0
    assert len(collector.events) == 4


class Hanging:
    """A client whose every event takes five seconds of the emission's clock and then fails."""

    def __init__(self, clock: list[float]) -> None:
        self.clock = clock
        self.tried = 0

    def emit(self, event: Any) -> None:
        self.tried += 1
        self.clock[0] += 5
        raise TimeoutError("no answer")

    def close(self, timeout: float) -> bool:
        return True


def test_a_collector_that_hangs_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("emitter.emission.time.monotonic", lambda: clock[0])
    client = Hanging(clock)
    emission = Emission(client)  # type: ignore[arg-type]
    for _ in range(10):
        emission.send(lambda: "event")  # type: ignore[arg-type, return-value]
    assert (client.tried, emission.failed) == (1, 10)
    clock[0] += 99
    emission.send(lambda: "event")  # type: ignore[arg-type, return-value]
    assert client.tried == 1
    clock[0] += 2
    emission.send(lambda: "event")  # type: ignore[arg-type, return-value]
    assert (client.tried, emission.failed) == (2, 12)


def test_an_event_that_cannot_be_built_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise ValueError("odd")

    emission = Emission(None, on_event=lambda event: None)
    emission.send(broken)
    assert emission.failed == 1
    assert warnings(caplog) == [
        "lineage event cannot be built error='odd'; the job goes on, further failures are only counted"
    ]


@pytest.mark.parametrize(
    ("collector", "message"),
    [
        ("localhost:5000", "'localhost:5000' is no address of a collector; did you mean 'http://localhost:5000'?"),
        ("ftp://host", "'ftp://host' is no address of a collector; write it like http://host:5000"),
        ("http://", "'http://' is no address of a collector"),
        ("http://host:notaport", "is no address of a collector"),
        ("", "'' is no address of a collector"),
        (5000, "5000 is no address of a collector"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_runs(collector: Any, message: str) -> None:
    ran: list[int] = []
    with refused(InvalidCollector, message):
        materialize(asset(name="x")(lambda: ran.append(1)), collector=collector)
    assert ran == []


def test_where_nothing_is_configured_events_go_nowhere_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    assert not connect(None).active
    assert materialize([one, two]).events_failed == 0
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr() == ("", "")


def test_openlineage_url_is_used(collector: RecordingCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", collector.url)
    materialize(one)
    assert len(collector.events) == 4


def test_the_collector_that_is_given_beats_the_configuration(
    collector: RecordingCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    materialize(one, collector=collector.url)
    assert len(collector.events) == 4


def test_openlineage_variables_are_used(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(workdir / "events.ndjson"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    materialize(one)
    assert len((workdir / "events.ndjson").read_text().splitlines()) == 4


@pytest.mark.parametrize("place", ["openlineage.yml", "~/.openlineage/openlineage.yml", "OPENLINEAGE_CONFIG"])
def test_a_configuration_file_is_used(
    place: str, collector: RecordingCollector, monkeypatch: pytest.MonkeyPatch, workdir: Path
) -> None:
    path = Path(place).expanduser() if place != "OPENLINEAGE_CONFIG" else workdir / "lineage.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"transport:\n  type: http\n  url: {collector.url}\n")
    if place == "OPENLINEAGE_CONFIG":
        monkeypatch.setenv(place, str(path))
    materialize(one)
    assert len(collector.events) == 4


def test_a_console_that_is_asked_for_is_used(workdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (workdir / "openlineage.yml").write_text("transport:\n  type: console\n")
    materialize(one)
    assert sum('"eventType"' in record.getMessage() for record in caplog.records) == 4


def test_a_configuration_without_a_transport_sends_nothing(workdir: Path) -> None:
    (workdir / "openlineage.yml").write_text("tags:\n  job:\n    a: b\n")
    assert not connect(None).active


@pytest.mark.parametrize("text", ["transport:\n  type: no.such.Transport\n", "transport:\n  type: http\n"])
def test_a_broken_configuration_is_warned_of_and_costs_only_the_events(
    workdir: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (workdir / "openlineage.yml").write_text(text)
    assert materialize(one).succeeded
    told = [message for message in warnings(caplog) if message.startswith("lineage is off")]
    assert len(told) == 1 and "the OpenLineage configuration does not work" in told[0]


def test_lineage_can_be_disabled(collector: RecordingCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    monkeypatch.setenv("OPENLINEAGE_URL", collector.url)
    assert not connect(None).active
    materialize(one)
    materialize(one, collector=collector.url)
    assert collector.events == []


def test_what_is_sent_is_what_on_event_saw(collector: RecordingCollector, events: Events) -> None:
    materialize([one, two], collector=collector.url, on_event=events)

    def essence(found: Events) -> list[tuple[str, ...]]:
        return [
            (event["run"]["runId"], event["eventType"], json.dumps(event["outputs"], sort_keys=True)) for event in found
        ]

    assert essence(collector.events) == essence(events)
