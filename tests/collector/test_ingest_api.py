"""Events in over HTTP: the three kinds, batches, and what is answered when something is wrong."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from collector import writer
from collector.api.store import EXTENSION
from collector.store.engines import open_engine, writing
from tests.collector.answers import get, kept
from tests.collector.events import JSON, dataset, dataset_event, job_event, raw, run_event, schema
from tests.collector.patience import patient_session
from tests.collector.real_events import real_events

LINEAGE, BATCH, EVENTS = "/api/v1/lineage", "/api/v1/lineage/batch", "/api/v1/events/lineage"
KINDS: dict[str, JSON] = {
    "run": run_event(inputs=("a",), outputs=("b",)),
    "job": job_event(inputs=("a",), outputs=("b",)),
    "dataset": dataset_event(dataset("b", schema=schema("x"))),
}


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


# --- one event -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_event_of_each_kind_is_stored_as_it_came(client: FlaskClient, kind: str) -> None:
    body = json.dumps(KINDS[kind], indent=2).encode()
    response = client.post(LINEAGE, data=body)
    assert (response.status_code, response.data) == (201, b"")
    assert body in client.get(f"{EVENTS}?kind=all").data
    assert get(client, EVENTS, kind="all") == {"events": [KINDS[kind]], "totalCount": 1}
    assert get(client, "/api/v1/namespaces/data/datasets/b")["name"] == "b"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream", "nonsense", ""])
def test_content_type_does_not_matter(shared: FlaskClient, content_type: str) -> None:
    assert shared.post(LINEAGE, data=raw(KINDS["run"]), content_type=content_type).status_code == 201


def test_run_event_moves_the_run_through_its_states(client: FlaskClient) -> None:
    def state() -> tuple[str, str | None, str | None]:
        run = get(client, "/api/v1/namespaces/jobs/jobs/load")["latestRun"]
        return run["state"], run["startedAt"], run["endedAt"]

    moments = {kind: f"2026-01-01T00:00:0{second}.000000Z" for second, kind in enumerate(["OTHER", "START", "RUNNING"])}
    assert client.post(LINEAGE, data=raw(run_event("OTHER", moments["OTHER"]))).status_code == 201
    assert state() == ("NEW", None, None)
    assert client.post(LINEAGE, data=raw(run_event("START", moments["START"]))).status_code == 201
    assert state() == ("RUNNING", moments["START"], None)
    assert client.post(LINEAGE, data=raw(run_event("RUNNING", moments["RUNNING"]))).status_code == 201
    assert state() == ("RUNNING", moments["START"], None)
    assert client.post(LINEAGE, data=raw(run_event("FAIL", "2026-01-01T00:00:05Z"))).status_code == 201
    assert state() == ("FAILED", moments["START"], "2026-01-01T00:00:05.000000Z")


def test_late_start_event_keeps_run_completed(client: FlaskClient) -> None:
    client.post(LINEAGE, data=raw(run_event("COMPLETE", "2026-01-01T00:00:05Z")))
    client.post(LINEAGE, data=raw(run_event("START", "2026-01-01T00:00:01Z")))
    client.post(LINEAGE, data=raw(run_event("RUNNING", "2026-01-01T00:00:09Z")))
    run = get(client, "/api/v1/namespaces/jobs/jobs/load")["latestRun"]
    assert (run["state"], run["startedAt"], run["endedAt"], run["durationMs"]) == (
        "COMPLETED",
        "2026-01-01T00:00:01.000000Z",
        "2026-01-01T00:00:05.000000Z",
        4_000,
    )


def test_event_that_comes_again_counts_once(client: FlaskClient) -> None:
    for _ in range(3):
        assert client.post(LINEAGE, data=raw(KINDS["run"])).status_code == 201
    assert client.post(BATCH, data=json.dumps([KINDS["run"]] * 3).encode()).json["summary"]["successful"] == 3
    assert get(client, EVENTS, kind="all")["totalCount"] == 1


def test_events_that_differ_in_one_facet_both_count(client: FlaskClient) -> None:
    for value in (1, 2):
        client.post(LINEAGE, data=raw(run_event(run_facets={"x": {"value": value}})))
    assert get(client, EVENTS, kind="all")["totalCount"] == 2


def test_real_events_are_all_stored_as_they_came(client: FlaskClient) -> None:
    bodies = set(real_events().values())
    for body in bodies:
        assert client.post(LINEAGE, data=body).status_code == 201
    found = client.get(EVENTS, query_string={"kind": "all", "limit": 1_000})
    assert found.json["totalCount"] == len(bodies)
    assert all(body in found.data for body in bodies)
    assert not kept(client)


# --- pages of events -------------------------------------------------------------------------------------------------


def test_events_are_paged_by_their_time(client: FlaskClient) -> None:
    times = [f"2026-01-0{day}T00:00:00Z" for day in (3, 1, 5, 2, 4)]
    for day, time in enumerate(times):
        client.post(LINEAGE, data=raw(run_event(time=time, run=day)))

    def days(**query: Any) -> list[str]:
        found = get(client, EVENTS, **query)
        return [event["eventTime"][8:10] for event in found["events"]]

    assert days() == ["05", "04", "03", "02", "01"]
    assert days(sortDirection="asc", limit=2) == ["01", "02"]
    assert days(limit=2, offset=1) == ["04", "03"]
    assert days(after="2026-01-02T00:00:00Z", before="2026-01-04T00:00:00Z") == ["03", "02"]
    assert days(after="2026-01-04T01:00:00+01:00") == ["05", "04"]
    assert days(limit=0) == []
    assert get(client, EVENTS, limit=1, before="2026-01-04T00:00:00Z")["totalCount"] == 3


# --- batches ---------------------------------------------------------------------------------------------------------

# of the specification's POST /lineage/batch, answer 200; stricter in that it allows nothing else
BATCH_ANSWER = Draft202012Validator(
    {
        "type": "object",
        "required": ["status", "summary", "failed_events"],
        "additionalProperties": False,
        "properties": {
            "status": {"enum": ["success", "partial_success"]},
            "summary": {
                "type": "object",
                "required": ["received", "successful", "failed", "retriable", "non_retriable"],
                "additionalProperties": False,
                "properties": {
                    name: {"type": "integer", "minimum": 0}
                    for name in ("received", "successful", "failed", "retriable", "non_retriable")
                },
            },
            "failed_events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "reason", "retriable"],
                    "additionalProperties": False,
                    "properties": {
                        "index": {"type": "integer", "minimum": 0},
                        "reason": {"type": "string", "minLength": 1},
                        "retriable": {"type": "boolean"},
                    },
                },
            },
        },
    }
)


def post_batch(client: FlaskClient, events: list[Any]) -> JSON:
    response = client.post(BATCH, data=json.dumps(events).encode())
    assert response.status_code == 200, response.text
    answer: JSON = response.json
    BATCH_ANSWER.validate(answer)
    summary = answer["summary"]
    assert summary["received"] == len(events) == summary["successful"] + summary["failed"]
    assert summary["failed"] == len(answer["failed_events"]) == summary["retriable"] + summary["non_retriable"]
    assert answer["status"] == ("partial_success" if summary["failed"] else "success")
    return answer


def test_batch_of_all_kinds_is_stored(client: FlaskClient) -> None:
    assert post_batch(client, list(KINDS.values()))["status"] == "success"
    assert get(client, EVENTS, kind="all")["totalCount"] == 3


def test_empty_batch_is_a_success(shared: FlaskClient) -> None:
    assert post_batch(shared, [])["status"] == "success"


def test_bad_events_of_a_batch_are_named_and_the_others_stored(client: FlaskClient) -> None:
    bad: dict[int, Any] = {0: {}, 3: "text", 4: None, 7: run_event("STARTED"), 9: run_event(run="")}
    events = [bad.get(index, run_event(run=index + 1, outputs=(f"d{index}",))) for index in range(10)]
    answer = post_batch(client, events)
    assert [failed["index"] for failed in answer["failed_events"]] == list(bad)
    assert not any(failed["retriable"] for failed in answer["failed_events"])
    assert "eventType" in answer["failed_events"][3]["reason"]
    assert "run.runId" in answer["failed_events"][4]["reason"]
    assert get(client, EVENTS, kind="all")["totalCount"] == 5
    assert {json.dumps(json.loads(body)) for body in kept(client)} == {json.dumps(one) for one in bad.values()}
    for index in set(range(10)) - bad.keys():
        assert get(client, f"/api/v1/namespaces/data/datasets/d{index}")["currentVersion"]


def test_batch_of_nothing_but_bad_events_stores_nothing(client: FlaskClient) -> None:
    answer = post_batch(client, [{}, {"x": 1}])
    assert (answer["summary"]["successful"], answer["summary"]["failed"]) == (0, 2)
    assert get(client, EVENTS, kind="all")["totalCount"] == 0


def test_same_bad_event_twice_is_kept_once_and_named_twice(client: FlaskClient) -> None:
    assert len(post_batch(client, [{"x": 1}, {"x": 1}])["failed_events"]) == 2
    assert len(kept(client)) == 1


@pytest.mark.parametrize("bad", range(0, 1_000, 143))
def test_bad_events_among_a_thousand_harm_nobody(shared: FlaskClient, bad: int) -> None:
    def count() -> int:
        return int(get(shared, EVENTS, kind="all", limit=0)["totalCount"])

    before = count()
    events: list[Any] = [run_event(run=bad * 1_000 + n, job=f"k{n % 7}", outputs=(f"k{n % 5}",)) for n in range(1_000)]
    wrong = sorted({(bad * 7 + n * 31) % 1_000 for n in range(bad % 11 + 1)})
    for index in wrong:
        events[index] = {"eventTime": "2026-01-01T00:00:00Z", "run": {"runId": f"{bad}-{index}"}}
    answer = None
    while answer is None:  # a thousand may take more than a second on a busy machine
        response = shared.post(BATCH, data=json.dumps(events).encode())
        answer = response.json if response.status_code == 200 else None
    assert [failed["index"] for failed in answer["failed_events"]] == wrong
    assert count() == before + 1_000 - len(wrong)


@pytest.mark.parametrize("body", [b"{}", b"null", b"17", b'"text"', raw(KINDS["run"])])
def test_batch_that_is_no_array_is_refused_and_kept(shared: FlaskClient, body: bytes) -> None:
    response = shared.post(BATCH, data=body)
    assert (response.status_code, response.json["code"]) == (400, 400)
    assert response.json["message"] == "A batch is a JSON array of events: send [event, event, …]."
    assert kept(shared)[body].reason == response.json


@pytest.mark.parametrize("body", [b"", b"[", b"[{}", b"[}", b"[,]", b"nonsense"])
def test_batch_that_is_no_json_is_refused_and_kept(shared: FlaskClient, body: bytes) -> None:
    response = shared.post(BATCH, data=body)
    assert (response.status_code, response.json["code"]) == (400, 400)
    assert "not valid JSON" in response.json["message"]
    assert kept(shared)[body].reason == response.json


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/v1/lineage/x", 404),
        ("GET", "/api/v1/namespaces/", 404),
        ("GET", "/api/v1/namespaces/data/tables/x", 404),
        ("GET", "/api/v1/namespaces/data/datasets/nothing", 404),
        ("GET", "/api/v1/namespaces/jobs/jobs/nothing", 404),
        ("GET", "/api/v1/schemas/9-9-9/Nothing.json", 404),
        ("GET", BATCH, 405),
        ("PUT", LINEAGE, 405),
        ("DELETE", LINEAGE, 405),
        ("PATCH", "/api/v1/lineage/upstream", 405),
        ("POST", EVENTS, 405),
        ("PATCH", "/api/v1/namespaces/data/datasets/x", 405),
    ],
)
def test_wrong_path_or_method_is_answered_in_the_one_shape(
    shared: FlaskClient, method: str, path: str, status: int
) -> None:
    response = shared.open(path, method=method)
    assert response.status_code == status
    assert response.content_type == "application/json"
    assert response.json["code"] == status
    assert response.json["message"]
    assert set(response.json) <= {"code", "message", "errors"}
    assert ("Allow" in response.headers) == (status == 405)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("length", ["abc", "-5", "1.5", "٣", "9" * 5_000])
def test_length_that_is_no_number_is_a_mistake_of_the_client(shared: FlaskClient, length: str) -> None:
    for path in (LINEAGE, BATCH):
        response = shared.open(
            path, method="POST", data=raw(KINDS["run"]), environ_overrides={"CONTENT_LENGTH": length}
        )
        assert response.status_code in (400, 413), response.text


@pytest.mark.parametrize("path", [EVENTS, "/health", "/api/v1/namespaces/data/datasets/b"])
def test_head_is_answered_as_get_without_a_body(shared: FlaskClient, path: str) -> None:
    shared.post(LINEAGE, data=raw(KINDS["run"]))
    response = shared.head(path)
    assert (response.status_code, response.data) == (200, b"")


def test_failure_of_ours_shows_no_traceback(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> bytes:
        raise RuntimeError("secret")

    app.testing = False
    client = app.test_client()
    client.post(LINEAGE, data=raw(KINDS["run"]))
    monkeypatch.setattr("collector.api.events.decompress", fail)
    response = client.get(EVENTS)
    assert (response.status_code, response.json["code"]) == (500, 500)
    assert "secret" not in response.text
    assert "Traceback" not in response.text


# --- when the store cannot commit ------------------------------------------------------------------------------------


@pytest.fixture
def impatient(app: Flask) -> Flask:
    """The collector, whose test clients take a 503 for an answer."""
    app.test_client_class = None
    return app


@contextmanager
def locked(database: str) -> Iterator[None]:
    """Another connection that writes: BEGIN IMMEDIATE on SQLite, the writers' advisory lock on PostgreSQL."""
    engine = open_engine(database)
    try:
        with writing(engine):
            yield
    finally:
        engine.dispose()


def assert_told_to_come_again(response: Any) -> None:
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json["code"] == 503
    assert "again" in response.json["message"]


def test_locked_store_tells_producers_to_come_again_and_serves_readers(impatient: Flask, database: str) -> None:
    client = impatient.test_client()
    bad = {"eventTime": "never"}
    client.post(LINEAGE, data=raw(KINDS["job"]))
    with locked(database):  # each answer below comes while the lock is held
        assert_told_to_come_again(client.post(LINEAGE, data=raw(KINDS["run"])))
        assert_told_to_come_again(client.post(BATCH, data=json.dumps([KINDS["run"], bad]).encode()))
        assert_told_to_come_again(client.post(LINEAGE, data=raw(bad)))  # not 422: it could not be kept
        assert get(client, EVENTS, kind="all")["totalCount"] == 1
        assert get(client, "/api/v1/lineage/upstream", nodeId="dataset:data:b")["nodes"]
        assert get(client, "/health")["ready"]
    assert not kept(client)
    assert client.post(LINEAGE, data=raw(KINDS["run"])).status_code == 201
    assert client.post(LINEAGE, data=raw(bad)).status_code == 422
    assert get(client, EVENTS, kind="all")["totalCount"] == 2
    assert len(kept(client)) == 1


def test_requests_that_wait_for_a_locked_store_are_all_answered(impatient: Flask, database: str) -> None:
    statuses: list[int] = []

    def post(number: int) -> None:
        statuses.append(impatient.test_client().post(LINEAGE, data=raw(run_event(run=number))).status_code)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(12)]
    with locked(database):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [503] * 12
    assert impatient.extensions[EXTENSION].writer.waiting == 0
    assert impatient.test_client().post(LINEAGE, data=raw(run_event(run=99))).status_code == 201


def test_full_queue_turns_requests_away_at_once(
    impatient: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING_EVENTS", 3)
    messages: list[str] = []

    def post(number: int) -> None:
        response = impatient.test_client().post(LINEAGE, data=raw(run_event(run=number)))
        assert_told_to_come_again(response)
        messages.append(response.json["message"])

    threads = [threading.Thread(target=post, args=(number,)) for number in range(12)]
    with locked(database):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert any("more waiting than it can commit" in message for message in messages)
    assert impatient.test_client().post(LINEAGE, data=raw(run_event(run=99))).status_code == 201


def test_collector_that_stops_tells_producers_to_come_again(impatient: Flask) -> None:
    client = impatient.test_client()
    assert client.post(LINEAGE, data=raw(KINDS["run"])).status_code == 201
    impatient.extensions[EXTENSION].writer.close()
    assert_told_to_come_again(client.post(LINEAGE, data=raw(KINDS["job"])))
    assert get(client, EVENTS, kind="all")["totalCount"] == 1


# --- over a real server ----------------------------------------------------------------------------------------------


def test_body_in_chunks_is_read(served: str) -> None:
    body = raw(run_event(run=1, outputs=("chunked",)))

    def parts(whole: bytes) -> Iterator[bytes]:
        yield from (whole[start : start + 100] for start in range(0, len(whole), 100))

    assert patient_session().post(served + LINEAGE, data=parts(body)).status_code == 201
    packed = {"Content-Encoding": "gzip"}
    assert patient_session().post(served + LINEAGE, data=parts(gzip.compress(body)), headers=packed).status_code == 201
    assert requests.get(served + "/api/v1/namespaces/data/datasets/chunked").status_code == 200


def test_body_that_comes_slowly_and_in_pieces_is_read_whole(served: str) -> None:
    body = raw(run_event(run=2, outputs=("pieces",), run_facets={"x": {"value": "y" * 2_000_000}}))
    address = urlsplit(served)
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        head = f"POST {LINEAGE} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for start in range(0, len(head + body), 333_333):
            connection.sendall((head + body)[start : start + 333_333])
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 201


def test_body_over_the_limit_is_refused_by_a_real_server(served: str) -> None:
    response = patient_session().post(served + LINEAGE, data=b"x" * (11 * 2**20))
    assert (response.status_code, response.json()["code"]) == (413, 413)


def test_client_that_leaves_in_the_middle_of_a_body_harms_nobody(served: str) -> None:
    address = urlsplit(served)
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port or 80)) as connection:
            connection.sendall(f"POST {LINEAGE} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
    assert patient_session().post(served + LINEAGE, data=raw(run_event(run=3))).status_code == 201
