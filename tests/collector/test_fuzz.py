"""Thousands of mutated real events, and requests made from the OpenAPI document: no 5xx, no lost neighbour, no stuck
writer, and a store that a rebuild gives again."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from collector.api.store import EXTENSION
from collector.rebuild import rebuild
from tests.collector.answers import ask_everything, get
from tests.collector.events import columns, dataset, raw, run_event, schema
from tests.collector.known_facets import WRONG
from tests.collector.real_events import real_events
from tests.collector.stores import state

LINEAGE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"
REAL = list(real_events().values())
STRUCTURAL, BYTES = 1_000, 300  # mutants on each engine
ODD = (
    *WRONG, 1e308, 10**400, -(2**63), "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "\ud800", "é" * 3_000,
    "a:b#c", "RENAME", "DROP", "COMPLETE", {"namespace": "n", "name": "m", "field": "f"}, {"runId": "x"},
    [{"namespace": "n", "name": "m"}], {"_deleted": True},
    {"run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}},
)  # fmt: skip


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def places(document: Any) -> list[Any]:
    """Every object and array in a document that has anything in it."""
    found = [document] if document and isinstance(document, dict | list) else []
    for child in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        found += places(child)
    return found


def mutate(event: Any, chooser: random.Random) -> Any:
    """The event with one to four things in it changed."""
    event = copy.deepcopy(event)
    for _ in range(chooser.randint(1, 4)):
        place = chooser.choice(places(event) or [{}])
        key = chooser.choice(list(place) if isinstance(place, dict) else range(len(place))) if place else ""
        match chooser.randrange(7):
            case 0:
                place.pop(key, None) if isinstance(place, dict) else place.pop(key)
            case 1 if isinstance(place, dict):
                place[chooser.choice(["", "name", "facets", "\x00", "_deleted", "fields", "~x", "^x"])] = place.pop(
                    key, 1
                )
            case 2:
                place[key] = [place[key]] * chooser.randint(1, 3) if place else []
            case 3:
                other = chooser.choice(places(event) or [{}])
                place[key] = copy.deepcopy(other)
            case 4 if isinstance(place, dict):
                place |= copy.deepcopy(json.loads(chooser.choice(REAL)))
            case _:
                place[key] = copy.deepcopy(chooser.choice(ODD))
    return event


def mutate_bytes(body: bytes, chooser: random.Random) -> bytes:
    """The body with some bytes of it gone, changed, doubled or moved."""
    for _ in range(chooser.randint(1, 2)):
        at, size = chooser.randrange(len(body) + 1), chooser.randint(0, 3)
        letters = bytes(chooser.choices(b'{}[]",:\\0aZ \xff\x00', k=size))
        middle = (b"", letters, letters, body[at : at + size] * 2, chooser.randbytes(size), chooser.choice(REAL))
        body = body[:at] + chooser.choice(middle) + body[at + size :]
    return body


def post(client: FlaskClient, path: str, body: bytes) -> Any:
    """The answer to a POST; sent again where the collector says so, as any client does on a busy machine."""
    while True:
        response = client.post(path, data=body)
        if response.status_code != 503:
            return response
        assert response.headers["Retry-After"] == "1"


def assert_sound(client: FlaskClient) -> None:
    """The writer writes, and the derived rows are what the stored events say."""
    made = run_event(run=1, job="sound", namespace="sound", outputs=({"namespace": "sound", "name": "sound"},))
    assert post(client, LINEAGE, raw(made)).status_code == 201
    assert get(client, "/api/v1/namespaces/sound/datasets/sound")["currentVersion"]
    engine = client.application.extensions[EXTENSION].engine
    before = state(engine)
    assert rebuild(engine).unreadable == 0
    assert state(engine) == before


def test_mutated_events_are_stored_or_refused_and_harm_nobody(client: FlaskClient) -> None:
    chooser = random.Random(2026)
    answers: Counter[int] = Counter()
    stored = good = 0
    for start in range(0, STRUCTURAL, 50):
        mutants = [json.dumps(mutate(json.loads(chooser.choice(REAL)), chooser)).encode() for _ in range(50)]
        neighbours = [raw(run_event(run=9_000_000 + start + n, job="neighbour")) for n in range(50)]
        parts = [part for pair in zip(mutants, neighbours, strict=True) for part in pair]
        response = post(client, BATCH, b"[" + b",".join(parts) + b"]")
        assert response.status_code == 200, response.text[:500]
        failed = {one["index"] for one in response.json["failed_events"]}
        assert all(index % 2 == 0 for index in failed)
        assert not [one for one in response.json["failed_events"] if "bug of ours" in one["reason"]]
        answers.update("refused" if index in failed else "stored" for index in range(0, 100, 2))
        good += 50
        stored += len({part for index, part in enumerate(parts) if index not in failed})
    assert min(answers["refused"], answers["stored"]) > STRUCTURAL // 10  # the mutants are neither tame nor all broken
    total = get(client, "/api/v1/events/lineage", kind="all", limit=0)["totalCount"]
    assert good < total <= stored
    ask_everything(client, most=10, depth=3)
    assert_sound(client)


def test_mutated_bytes_are_stored_or_refused(client: FlaskClient) -> None:
    chooser = random.Random(7)
    answers: Counter[int] = Counter()
    for _ in range(BYTES):
        path = chooser.choice([LINEAGE, LINEAGE, LINEAGE, BATCH])
        body = chooser.choice(REAL) if path == LINEAGE else b"[" + b",".join(chooser.choices(REAL, k=3)) + b"]"
        response = post(client, path, mutate_bytes(body, chooser))
        answers[response.status_code] += 1
        if response.status_code != 201:
            assert "bug of ours" not in response.text
    assert set(answers) <= {200, 201, 400, 422}
    assert min(answers[201], answers[400]) > BYTES // 10
    ask_everything(client, most=10, depth=3)
    assert_sound(client)


# --- requests made from the OpenAPI document -------------------------------------------------------------------------

BOUNDED = settings(  # of each operation, good requests and bad ones apart, on each engine
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def assert_proper(response: Any, label: str) -> None:
    """No 5xx but 503 with Retry-After, and errors in the one shape."""
    shown = (label, response.status_code, response.content[:300])
    assert response.status_code < 500 or response.status_code == 503, shown
    if response.status_code == 503:
        assert response.headers["retry-after"] == ["1"], shown
    if response.status_code >= 400 and response.request.method != "HEAD":
        body = response.json()
        assert body["code"] == response.status_code, shown
        assert isinstance(body["message"], str), shown
        assert set(body) <= {"code", "message", "errors"}, shown
        assert all(isinstance(said, list) for said in body.get("errors", {}).values()), shown


def test_requests_of_the_openapi_document_are_never_a_5xx(client: FlaskClient) -> None:
    made = dataset("orders", schema=schema("id"), columnLineage=columns(id=[("raw", "id")]))
    assert post(client, LINEAGE, raw(run_event(job="load", inputs=("raw",), outputs=(made,)))).status_code == 201
    known: dict[str, tuple[str, ...]] = {
        "nodeId": ("dataset:data:orders", "job:jobs:load", "datasetField:data:orders:id"),
        "namespace": ("data", "jobs"),
        "dataset": ("orders", "raw"),
        "job": ("load",),
        "field": ("id",),
        "run_id": ("00000000-0000-0000-0000-000000000001",),
        "runId": ("00000000-0000-0000-0000-000000000001",),
    }
    document = schemathesis.openapi.from_wsgi("/openapi.json", client.application)
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 10
    statuses: Counter[int] = Counter()

    def ask(case: Any, data: st.DataObject) -> None:
        for part in (case.path_parameters, case.query):
            for name in sorted(known.keys() & set(part or {})):
                if data.draw(st.booleans()):
                    part[name] = data.draw(st.sampled_from(known[name]))
        response = case.call()
        statuses[response.status_code] += 1
        assert_proper(response, f"{case.operation.label}: {case.as_curl_command()}")

    for operation in operations:
        modes = [GenerationMode.POSITIVE]
        if len(operation.query) or len(operation.body):  # nothing else can be wrong about a request
            modes.append(GenerationMode.NEGATIVE)
        for mode in modes:
            BOUNDED(given(case=operation.as_strategy(generation_mode=mode), data=st.data())(ask))()
    assert {200, 400, 404} <= statuses.keys()
    assert_sound(client)


def test_every_answer_has_the_shape_that_the_document_declares(client: FlaskClient) -> None:
    made = dataset("orders", schema=schema("id"), columnLineage=columns(id=[("raw", "id")]))
    assert post(client, LINEAGE, raw(run_event(job="load", inputs=("raw",), outputs=(made,)))).status_code == 201
    document = schemathesis.openapi.from_wsgi("/openapi.json", client.application)
    checks = [CHECKS.get_one("response_schema_conformance")]
    for way in ("upstream", "downstream"):
        operation = document[f"/api/v1/lineage/{way}"]["GET"]
        for node, granularity in (
            ("dataset:data:orders", "all"), ("dataset:data:raw", "dataset"), ("job:jobs:load", "job"),
            ("datasetField:data:orders:id", "column"),
        ):  # fmt: skip
            case = operation.Case(query={"nodeId": node, "granularity": granularity})
            response = case.call()
            assert response.status_code == 200
            case.validate_response(response, checks=checks)
