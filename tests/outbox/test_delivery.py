"""What goes in comes out: once, in order, by whatever calls the far end has."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import DatasetEvent, Job, JobEvent, StaticDataset
from openlineage.client.serde import Serde

from emitter.outbox import OutboxTransport
from tests.openlineage_schema import validate_event
from tests.outbox.events import PRODUCER, emit, event, transport
from tests.outbox.far_end import FarEnd, refusing, until


def test_events_arrive_in_order_with_their_numbers(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url)
    emit(sender, 300)
    assert sender.close()
    assert far_end.jobs() == [f"j{number}" for number in range(300)]
    assert far_end.numbers() == list(range(1, 301))
    instances = {one["run"]["facets"]["headwater_delivery"]["instance"] for one in far_end.events}
    assert len(instances) == 1
    for one in far_end.events:
        validate_event(one)


def test_events_go_in_batches(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url, linger=0.2)
    emit(sender, 1_000)
    assert sender.close(5)
    assert len(far_end.requests) < 50
    assert max(count for _, _, count in far_end.requests) > 100


def test_a_far_end_without_the_batch_call_gets_them_one_by_one(path: Path) -> None:
    with FarEnd(batch=False) as marquez:
        sender = transport(path, marquez.url)
        emit(sender, 60)
        assert sender.close(5)
        assert marquez.jobs() == [f"j{number}" for number in range(60)]
        assert {path for path, _, _ in marquez.requests} == {"/api/v1/lineage"}


@pytest.mark.parametrize("status", [404, 405, 501])
def test_the_batch_call_is_asked_for_once(path: Path, far_end: FarEnd, status: int) -> None:
    asked = []

    def no_batch(path: str, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        if not path.endswith("/batch"):
            return None
        asked.append(path)
        return status, {}, b""

    far_end.reply = no_batch
    for first in (0, 10):
        sender = transport(path, far_end.url, linger=0.05)
        emit(sender, 10, first)
        assert sender.close(5)
    assert far_end.jobs() == [f"j{number}" for number in range(20)]
    assert len(asked) <= 1


def test_something_that_answers_everything_with_200_is_not_believed_to_know_batches(
    path: Path, far_end: FarEnd
) -> None:
    far_end.reply = lambda path, body: (200, {"Content-Type": "application/json"}, b"{}") if "batch" in path else None
    sender = transport(path, far_end.url, linger=0.05)
    emit(sender, 20)
    assert sender.close(5)
    assert far_end.jobs() == [f"j{number}" for number in range(20)]


def test_job_and_dataset_events_pass_without_a_number(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url)
    sender.emit(JobEvent(eventTime="2026-01-01T00:00:00Z", producer=PRODUCER, job=Job("jobs", "a")))
    sender.emit(DatasetEvent(eventTime="2026-01-01T00:00:00Z", producer=PRODUCER, dataset=StaticDataset("data", "d")))
    sender.emit(event("b"))
    assert sender.close()
    assert ["headwater_delivery" in json.dumps(one) for one in far_end.events] == [False, False, True]
    assert far_end.events[2]["run"]["facets"]["headwater_delivery"]["sequence"] == 1


def test_what_is_sent_is_what_the_standard_client_would_send(path: Path, far_end: FarEnd) -> None:
    from openlineage.client.facet_v2 import parent_run

    facet = parent_run.ParentRunFacet(
        parent_run.Run("00000000-0000-0000-0000-000000000009"), parent_run.Job("n", "j"), producer=PRODUCER
    )
    sent = event("b", parent=facet)
    sender = transport(path, far_end.url)
    sender.emit(sent)
    assert sender.close()
    (came,) = far_end.events
    del came["run"]["facets"]["headwater_delivery"]
    assert came == json.loads(Serde.to_json(sent))


def test_a_poison_event_is_set_aside_with_the_reason_and_holds_up_nothing(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 422 if event["job"]["name"] == "j5" else 201
    sender = transport(path, far_end.url)
    emit(sender, 10)
    assert sender.close(5)
    ours = [job for job in far_end.jobs() if job.startswith("j")]
    assert ours == [f"j{number}" for number in range(10) if number != 5]
    with sqlite3.connect(path) as db:
        ((reason,),) = db.execute("SELECT reason FROM refused").fetchall()
    assert reason == "no"


def test_a_poison_event_is_found_where_the_far_end_refuses_the_whole_batch(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 400 if event["job"]["name"] == "j5" else 201
    far_end.reply = lambda path, body: (400, {}, b"") if path.endswith("/batch") else None
    sender = transport(path, far_end.url)
    emit(sender, 10)
    assert sender.close(5)
    assert [job for job in far_end.jobs() if job.startswith("j")] == [f"j{n}" for n in range(10) if n != 5]


def test_an_event_that_the_far_end_fails_on_holds_up_its_own_run_alone(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 500 if event["job"]["name"] == "bad" else 201
    sender = transport(path, far_end.url)
    for job, run in (("a", 1), ("bad", 2), ("after", 2), ("b", 1), ("c", 3)):
        sender.emit(event(job, run))
    until(lambda: far_end.jobs() == ["a", "b", "c"])
    assert not sender.flush(0.2)
    far_end.answer = lambda event: 201
    until(lambda: far_end.jobs() == ["a", "b", "c", "bad", "after"])


def test_retry_after_is_honoured(path: Path, far_end: FarEnd) -> None:
    times: list[float] = []

    def busy(path: str, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        times.append(time.monotonic())
        return (503, {"Retry-After": "1"}, b"") if len(times) == 1 else None

    far_end.reply = busy
    sender = transport(path, far_end.url)
    sender.emit(event())
    until(lambda: far_end.events)
    assert times[1] - times[0] >= 1
    sender.close()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504, 507, 301])
def test_no_event_is_given_up_on_for_what_may_pass(path: Path, far_end: FarEnd, status: int) -> None:
    trouble = [status] * 2
    far_end.reply = lambda path, body: (trouble.pop(), {"Location": "http://h/"}, b"") if trouble else None
    sender = transport(path, far_end.url, linger=0)
    emit(sender, 3)
    until(lambda: len(far_end.events) == 3)
    assert far_end.jobs() == ["j0", "j1", "j2"]
    sender.close()


def test_a_collector_that_is_too_slow_for_a_batch_gets_smaller_ones(path: Path, far_end: FarEnd) -> None:
    def slow(path: str, body: bytes) -> None:
        if body.count(b'"eventTime"') > 40:
            time.sleep(1)

    far_end.reply = slow
    sender = transport(path, far_end.url, timeout=0.3, linger=0.3)
    emit(sender, 150)
    until(lambda: len(set(far_end.jobs())) == 150, 30)
    sender.close()


def test_two_destinations_of_one_outbox_are_numbered_apart(path: Path, far_end: FarEnd) -> None:
    with FarEnd() as other:
        senders = [transport(path, far_end.url), transport(path, other.url)]
        for number in range(10):
            emit(senders[number % 2], 1, number)
        assert all(sender.close() for sender in senders)
        assert far_end.numbers() == other.numbers() == [1, 2, 3, 4, 5]
        assert far_end.jobs() == ["j0", "j2", "j4", "j6", "j8"]


def test_numbers_go_on_in_the_next_process_and_begin_anew_in_a_copy(
    path: Path, far_end: FarEnd, tmp_path: Path
) -> None:
    sender = transport(path, far_end.url)
    emit(sender, 2)
    sender.close()
    (tmp_path / "copy.db").write_bytes(path.read_bytes())
    for place in (path, tmp_path / "copy.db"):
        sender = transport(place, far_end.url)
        emit(sender, 1)
        sender.close()
    assert far_end.numbers() == [1, 2, 3, 1]


@pytest.mark.parametrize("how", ["file", "variables"])
def test_it_is_named_by_dotted_path_in_any_configuration(
    how: str, path: Path, far_end: FarEnd, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "file":
        (workdir / "openlineage.yml").write_text(
            f"transport:\n  type: emitter.outbox.OutboxTransport\n  url: {far_end.url}\n  path: {path}\n"
            "  auth:\n    type: api_key\n    apiKey: k3y\n"
        )
    else:
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "emitter.outbox.OutboxTransport")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", far_end.url)
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__PATH", str(path))
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__FLUSH_SECONDS", "3")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__AUTH", '{"type": "api_key", "apiKey": "k3y"}')
    client = OpenLineageClient()
    assert isinstance(client.transport, OutboxTransport)
    client.emit(event())
    assert client.close()
    assert [headers["Authorization"] for _, headers, _ in far_end.requests] == ["Bearer k3y"]
    assert path.exists() and far_end.numbers() == [1]


def test_gzip_is_sent_where_it_is_asked_for(path: Path, far_end: FarEnd) -> None:
    bodies: list[bytes] = []

    def keep(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        bodies.append(body)
        return 201, {}, b""

    far_end.reply = keep
    sender = transport(path, far_end.url, compression="gzip")
    sender.emit(event())
    assert sender.close()
    assert bodies[0].startswith(b"\x1f\x8b")


def test_what_waits_is_sent_by_the_next_transport(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 5)
        assert not sender.close()
        assert sender.failed == 0
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        sender = transport(path, url)
        emit(sender, 1, 5)
        assert sender.close(5)
        assert server.jobs() == [f"j{number}" for number in range(6)]


def test_emit_can_wait_for_delivery(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url, wait=2)
    sender.emit(event("a"))
    assert far_end.jobs() == ["a"]
    sender.close()
