"""Hostile input: each kind is answered clearly, nothing is lost, no neighbour is harmed, and all goes on as before."""

from __future__ import annotations

import gzip
import io
import json
import re
import threading
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from collector import keys
from collector.body import MAX_BODY, MAX_INFLATED, MAX_MEMBERS
from collector.packing import compress, decompress
from collector.tables import metadata
from tests.collector.answers import ask_everything, get, get_text, kept, names, parsed
from tests.collector.events import JSON, columns, dataset, dataset_event, job_event, raw, run_event, schema
from tests.collector.events import facet as facet_body
from tests.collector.known_facets import good_facets, wrong_bodies
from tests.lineage.hostile import FRAGMENTS

LINEAGE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"
BEFORE = raw(run_event(run=901, job="before", outputs=("before",)))
AFTER = raw(run_event(run=902, job="after", inputs=("before",), outputs=("after",)))
PLACE = b'"@@"'  # in a body, where a case puts what no Python value can say


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def event(marked: bytes, place: str = "facet") -> bytes:
    """A run event with ``marked`` in a run's facet, beside the envelope's own fields, or in a name."""
    made = run_event(run=7, job="odd", inputs=("a",), outputs=("b",))
    match place:
        case "facet":
            made["run"]["facets"]["odd"] = facet_body(value="@@")
        case "dataset facet":
            made["inputs"][0]["facets"]["odd"] = facet_body(value="@@")
        case "envelope":
            made["extra"] = "@@"
        case "dataset":
            made["inputs"][0]["extra"] = "@@"
        case "name":
            made["outputs"][0]["name"] = "@@"
        case "run id":
            made["run"]["runId"] = "@@"
        case "time":
            made["eventTime"] = "@@"
    return raw(made).replace(PLACE, marked)


@dataclass(frozen=True)
class Refusal:
    """A body that is refused, and how that is answered: status, message, field path."""

    body: bytes
    status: int
    message: str
    path: str | None = None


def _nested(depth: int, inner: bytes = b"") -> bytes:
    return b"[" * depth + inner + b"]" * depth


REFUSED: dict[str, Refusal] = {
    "NaN": Refusal(event(b"NaN"), 400, "not valid JSON: .* line 1 column"),
    "NaN beside the envelope": Refusal(event(b"NaN", "envelope"), 400, "not valid JSON"),
    "Infinity": Refusal(event(b"-Infinity"), 400, "not valid JSON"),
    "1e400": Refusal(event(b"1e400"), 400, "not valid JSON: .* line 1 column"),
    "1e400 beside the envelope": Refusal(event(b"1e400", "envelope"), 400, "not valid JSON"),
    "1e400 in a dataset": Refusal(event(b"-1e400", "dataset"), 400, "not valid JSON"),
    "5,000 digits": Refusal(event(b"7" * 5_000), 400, "not valid JSON"),
    "5,000 digits beside the envelope": Refusal(event(b"7" * 5_000, "envelope"), 400, "not valid JSON"),
    "lone surrogate in a facet": Refusal(event(rb'"\ud800"'), 400, "not valid JSON"),
    "lone surrogate in a name": Refusal(event(rb'"\udfff"', "name"), 400, "not valid JSON"),
    "lone surrogate beside the envelope": Refusal(event(rb'"\ud800"', "envelope"), 400, "not valid JSON"),
    "1,000 nested": Refusal(event(_nested(1_000)), 422, "nested deeper than 128 levels"),
    "1,000 nested beside the envelope": Refusal(event(_nested(1_000), "envelope"), 422, "nested deeper than 128"),
    "129 nested": Refusal(event(_nested(125)), 422, "nested deeper than 128 levels"),
    "900 nested in a small event": Refusal(event(_nested(900), "dataset"), 422, "nested deeper than 128 levels"),
    "100,000 nested": Refusal(event(_nested(100_000)), 422, "nested deeper than 128 levels"),
    "bad UTF-8 in a facet": Refusal(event(b'"\xff"'), 400, "not valid JSON"),
    "bad UTF-8 in a name": Refusal(event(b'"\xed\xa0\x80"', "name"), 400, "not valid JSON"),
    "cut UTF-8": Refusal(event(b'"\xc3"', "dataset facet"), 400, "not valid JSON"),
    "UTF-16": Refusal(event(b"1").decode().encode("utf-16"), 400, "not valid JSON"),
    "10^5 inputs": Refusal(
        raw(run_event(run=7) | {"inputs": [{"namespace": "n", "name": str(n)} for n in range(100_000)]}),
        422, "100,000 inputs and outputs; at most 10,000", "inputs",
    ),
    "10^5 bad inputs": Refusal(raw(run_event(run=7) | {"inputs": [{}] * 100_000}), 422, "at most 10,000", "inputs"),
    "time before year 1 in UTC": Refusal(event(b'"0001-01-01T00:00:00+00:01"', "time"), 422, "1 to 9999", "eventTime"),
    "time after year 9999 in UTC": Refusal(event(b'"9999-12-31T23:59:59-00:01"', "time"), 422, "1 to 99", "eventTime"),
    "leap second after the last one": Refusal(event(b'"9999-12-31T23:59:60Z"', "time"), 422, "1 to 9999", "eventTime"),
    "year 0": Refusal(event(b'"0000-01-01T00:00:00Z"', "time"), 422, "ISO-8601", "eventTime"),
    "year 10000": Refusal(event(b'"10000-01-01T00:00:00Z"', "time"), 422, "ISO-8601", "eventTime"),
    "3,000 leap seconds": Refusal(event(b'"x' + b" 00:00:60" * 3_000 + b'"', "time"), 422, "ISO-8601", "eventTime"),
    "NUL in the time": Refusal(event(rb'"2026-01-01T00:00:00Z\u0000x"', "time"), 422, "ISO-8601", "eventTime"),
    "time as a number": Refusal(event(b"1767225600", "time"), 422, "Not a valid string", "eventTime"),
    "run id as a number": Refusal(event(b"7", "run id"), 422, "Not a valid string", "run.runId"),
    "empty run id": Refusal(event(b'""', "run id"), 422, "Must not be empty", "run.runId"),
    "name as a number": Refusal(event(b"7", "name"), 422, "Not a valid string", "outputs.0.name"),
    "empty name": Refusal(event(b'""', "name"), 422, "Must not be empty", "outputs.0.name"),
    "no object": Refusal(b"[]", 422, "An event is a JSON object", "_schema"),
    "nothing": Refusal(b"", 400, "not valid JSON"),
}  # fmt: skip


def post(client: FlaskClient, path: str, body: bytes, **headers: str) -> Any:
    """The answer to a POST; sent again where the collector says so, as any client does on a busy machine."""
    while True:
        response = client.post(path, data=body, headers=headers)
        if response.status_code != 503:
            return response


def stored_events(client: FlaskClient) -> int:
    return int(get(client, "/api/v1/events/lineage", kind="all", limit=0)["totalCount"])


def assert_alive(client: FlaskClient) -> None:
    """The writer still writes, and what it wrote is found."""
    made = raw(run_event(run=str(uuid4()), job="after", inputs=("before",), outputs=("after",)))
    before = stored_events(client)
    assert post(client, LINEAGE, made).status_code == 201
    assert stored_events(client) == before + 1
    found = get(client, "/api/v1/lineage/upstream", nodeId="dataset:data:after")
    assert {"dataset:data:after", "dataset:data:before", "job:jobs:after"} <= {node["id"] for node in found["nodes"]}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_event_is_refused_and_kept_and_nothing_of_it_stored(shared: FlaskClient, name: str) -> None:
    refusal = REFUSED[name]
    before = stored_events(shared)
    response = post(shared, LINEAGE, refusal.body)
    assert response.status_code == refusal.status, response.text[:300]
    assert response.json["code"] == refusal.status
    assert_says(response.json["message"], refusal.message)
    assert (refusal.path is None) or refusal.path in response.json["errors"]
    one = kept(shared)[refusal.body]
    assert one.reason == response.json
    assert stored_events(shared) == before
    assert_alive(shared)


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_event_harms_no_neighbour_in_a_batch(shared: FlaskClient, name: str) -> None:
    refusal = REFUSED[name]
    before = stored_events(shared)
    neighbours = [raw(run_event(run=str(uuid4()), job="neighbour", outputs=("before",))) for _ in range(2)]
    response = post(shared, BATCH, b"[" + b",".join([neighbours[0], refusal.body, neighbours[1]]) + b"]")
    assert response.status_code == 200
    (failed,) = response.json["failed_events"]
    assert (failed["index"], failed["retriable"]) == (1, False)
    assert_says(failed["reason"], refusal.message)
    assert response.json["summary"]["successful"] == 2
    assert refusal.body in kept(shared)
    assert stored_events(shared) == before + 2
    assert_alive(shared)


def assert_says(message: str, pattern: str) -> None:
    assert re.search(pattern, message), message


# --- what is odd, and accepted ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Oddity:
    """A body that is accepted, and what is answered then: the job's outputs, the time, the facet's value."""

    body: bytes
    outputs: tuple[str, ...] = ("b",)
    time: str = "2026-01-01T00:00:00.000000Z"
    value: Any = None


ACCEPTED: dict[str, Oddity] = {
    "2^64": Oddity(event(str(2**64).encode()), value=2**64),
    "2^64 beside the envelope": Oddity(event(str(2**64).encode(), "envelope")),
    "300 digits": Oddity(event(b"7" * 300), value=int("7" * 300)),
    "-0.0": Oddity(event(b"-0.0"), value=-0.0),
    "NUL in a facet": Oddity(event(rb'"a\u0000b"'), value="a\x00b"),
    "NUL in a name": Oddity(event(rb'"a\u0000b"', "name"), outputs=("a\u2400b",)),
    "NUL in a run id": Oddity(event(rb'"a\u0000b"', "run id")),
    "NUL beside the envelope": Oddity(event(rb'"\u0000"', "envelope")),
    "pair of surrogates": Oddity(event(rb'"\ud83d\ude00"'), value="\U0001f600"),
    "pair of surrogates in a name": Oddity(event(rb'"\ud83d\ude00"', "name"), outputs=("\U0001f600",)),
    "byte order mark": Oddity(b"\xef\xbb\xbf" + event(b"1"), value=1),
    "124 nested": Oddity(event(_nested(120, b"1"))),
    "brackets in text": Oddity(event(b'"' + b"[" * 5_000 + b'"'), value="[" * 5_000),
    "facet twice": Oddity(event(b'1, "value": 2'), value=2),
    "name twice": Oddity(event(b'"x", "name": "y"', "name"), outputs=("y",)),
    "run id that is no UUID": Oddity(event(b'"manual__2026-01-01T00:00:00+00:00"', "run id")),
    "run id of 1 MB": Oddity(event(b'"' + b"r" * 1_000_000 + b'"', "run id")),
    "leap second": Oddity(event(b'"2016-12-31T23:59:60Z"', "time"), time="2017-01-01T00:00:00.000000Z"),
    "9 digits": Oddity(event(b'"2026-01-01T00:00:00.123456789Z"', "time"), time="2026-01-01T00:00:00.123456Z"),
    "no zone": Oddity(event(b'"2026-01-01T00:00:00"', "time")),
    "odd zone": Oddity(event(b'"2026-01-01T12:34:56+12:34:56"', "time")),
    "first moment": Oddity(event(b'"0001-01-01T00:00:00Z"', "time"), time="0001-01-01T00:00:00.000000Z"),
    "last moment": Oddity(event(b'"9999-12-31T23:59:59.999999Z"', "time"), time="9999-12-31T23:59:59.999999Z"),
    "name of one space": Oddity(event(b'" "', "name"), outputs=(" ",)),
    "name of 2,000 bytes": Oddity(event(b'"' + b"n" * 2_000 + b'"', "name"), outputs=("n" * 2_000,)),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_event_is_stored_as_it_came_and_answered_for(shared: FlaskClient, name: str) -> None:
    odd = ACCEPTED[name]
    run = str(UUID(int=1_000 + list(ACCEPTED).index(name))).encode()
    body = odd.body.replace(b'"odd", "facets": {}', b'"odd %s", "facets": {}' % name.encode())
    body = body.replace(str(UUID(int=7)).encode(), run)
    plain = body.removeprefix(b"\xef\xbb\xbf")
    before = stored_events(shared)
    assert post(shared, LINEAGE, body).status_code == 201
    assert post(shared, BATCH, b"[" + BEFORE + b"," + plain + b"]").json["failed_events"] == []
    assert plain in shared.get("/api/v1/events/lineage", query_string={"kind": "all", "limit": 1_000}).data
    assert stored_events(shared) - before in (1, 2)  # BEFORE is new only once
    job = get(shared, f"/api/v1/namespaces/jobs/jobs/odd {name}")
    assert [one["name"] for one in job["outputs"]] == list(odd.outputs)
    assert job["latestRun"]["endedAt"] == odd.time
    if odd.value is not None:
        assert job["latestRun"]["facets"]["odd"]["value"] == odd.value
    get(shared, "/api/v1/lineage", nodeId=f"job:jobs:odd {name}")
    get_text(shared, "/api/v1/lineage/diagram", nodeId=f"job:jobs:odd {name}")
    assert_alive(shared)


def test_all_odd_events_together_are_answered_for(client: FlaskClient) -> None:
    for odd in ACCEPTED.values():
        assert post(client, LINEAGE, odd.body).status_code == 201
    ask_everything(client)


@pytest.mark.parametrize("size", [2_002, 100_000, 9_900_000])
def test_long_names_are_kept_apart_and_cut(client: FlaskClient, size: int) -> None:
    one, other = "é" * (size // 2), "é" * (size // 2 - 1) + "x"
    made = run_event(inputs=(one,), outputs=("end", dataset("c", schema=schema("x" * 2_000))))
    assert client.post(LINEAGE, data=json.dumps(made, ensure_ascii=False).encode()).status_code == 201
    made = run_event(run=2, inputs=(one[:100],), outputs=(other[-1_000_000:] if size > 1_000_000 else other,))
    assert client.post(LINEAGE, data=json.dumps(made, ensure_ascii=False).encode()).status_code == 201
    stored = [name for _, name in names(client, metadata.tables["dataset"])]
    assert len(stored) == 5
    assert all(len(name.encode()) <= keys.NAME_BYTES for name in stored)
    assert sum("…" in name for name in stored) == 2
    ask_everything(client, most=2)
    assert_alive(client)


def test_long_column_names_are_kept_apart_and_cut(client: FlaskClient) -> None:
    one, other = "é" * 2_000, "é" * 1_999 + "x"
    made = dataset("b", columnLineage=columns(**{one: [("a", one)], other: [("a", other)]}))
    assert client.post(LINEAGE, data=raw(run_event(inputs=("a",), outputs=(made,)))).status_code == 201
    found = get(client, "/api/v1/lineage/upstream", nodeId="dataset:data:b", granularity="column")
    assert len(found["nodes"]) == 4
    assert len(found["edges"]) == 2
    for column in (one, other):
        node = f"datasetField:data:b:{column}"
        found = get(client, "/api/v1/lineage/upstream", nodeId=node, granularity="column")
        assert len(found["nodes"]) == 2
    ask_everything(client)


def test_most_datasets_of_one_event_are_all_found(client: FlaskClient) -> None:
    made = run_event(inputs=tuple(f"i{number}" for number in range(9_999)), outputs=("end",))
    client.post(LINEAGE, data=raw(made))
    assert client.post(LINEAGE, data=raw(made)).status_code == 201  # again, should the first have taken too long
    found = get(client, "/api/v1/lineage/upstream", nodeId="dataset:data:end", granularity="dataset")
    assert (len(found["nodes"]), found["truncated"], found["missing"]) == (10_000, False, 0)
    found = get(client, "/api/v1/lineage/upstream", nodeId="dataset:data:end")
    assert (len(found["nodes"]), found["truncated"], found["missing"]) == (10_000, True, 1)
    assert_alive(client)


def test_body_at_the_limit_is_taken_and_one_over_is_not(client: FlaskClient) -> None:
    made = event(b'"@@"')
    fitting = made.replace(PLACE, b'"' + b"x" * (MAX_BODY - len(made) + 2) + b'"')
    assert len(fitting) == MAX_BODY
    assert client.post(LINEAGE, data=fitting).status_code == 201
    for path in (LINEAGE, BATCH):
        response = client.post(path, data=fitting + b" ")
        assert (response.status_code, response.json["code"]) == (413, 413)
        assert "10,485,760 bytes" in response.json["message"]
        assert "Retry-After" not in response.headers
    assert not kept(client)
    assert_alive(client)


def test_body_without_a_length_is_bounded_too(client: FlaskClient) -> None:
    for size, status in ((MAX_BODY, 400), (MAX_BODY + 1, 413)):
        response = client.open(
            LINEAGE,
            method="POST",
            input_stream=io.BytesIO(b"x" * size),
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        )
        assert response.status_code == status


# --- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
        ("gzip", lambda body: gzip.compress(body[:100]) + b"\0" * 100_000 + gzip.compress(body[100:])),
    ],
)
def test_packed_body_is_read(shared: FlaskClient, encoding: str, pack: Any) -> None:
    headers = {"Content-Encoding": encoding}
    made = [raw(run_event(run=str(uuid4()), outputs=("packed",))) for _ in range(3)]
    before = stored_events(shared)
    assert post(shared, LINEAGE, pack(made[0]), **headers).status_code == 201
    response = post(shared, BATCH, pack(b"[" + made[1] + b"," + made[2] + b"]"), **headers)
    assert response.json["summary"]["successful"] == 2
    assert stored_events(shared) == before + 3


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(256)) + packer.flush()


ENCODED: dict[str, tuple[bytes, str, int, str]] = {
    "gzip bomb": (_bomb(), "gzip", 413, "inflates to more than"),
    "bomb of many streams": (gzip.compress(b" " * 2**20, 9) * 30, "gzip", 413, "inflates to more than"),
    "more than the most": (gzip.compress(bytes(range(256)) * (MAX_INFLATED // 256) + b"x", 1), "gzip", 413, "inflates"),
    "many streams of nothing": (gzip.compress(b"") * (MAX_MEMBERS + 1), "gzip", 413, "gzip streams"),
    "zlib as gzip": (zlib.compress(BEFORE), "gzip", 400, "not the gzip"),
    "plain as gzip": (BEFORE, "gzip", 400, "not the gzip"),
    "cut gzip": (gzip.compress(BEFORE)[:-9], "gzip", 400, "ends in the middle"),
    "wrong checksum": (gzip.compress(BEFORE)[:-8] + b"\0" * 8, "gzip", 400, "not the gzip"),
    "rubbish after gzip": (gzip.compress(BEFORE) + b"rubbish", "gzip", 400, "not the gzip"),
    "gzip of nothing": (gzip.compress(b""), "gzip", 400, "not valid JSON"),
    "zstd": (b"\x28\xb5\x2f\xfd", "zstd", 415, "'zstd' is not read here: send gzip"),
    "br": (BEFORE, "br", 415, "'br' is not read here"),
    "twice": (gzip.compress(gzip.compress(BEFORE)), "gzip, gzip", 415, "is not read here"),
    "unknown": (BEFORE, "x" * 5_000, 415, "is not read here"),
}


@pytest.mark.parametrize("path", [LINEAGE, BATCH])
@pytest.mark.parametrize("name", ENCODED)
def test_body_that_cannot_be_unpacked_is_refused_and_kept(shared: FlaskClient, name: str, path: str) -> None:
    body, encoding, status, message = ENCODED[name]
    response = post(shared, path, body, **{"Content-Encoding": encoding})
    assert response.status_code == status, response.text
    assert_says(response.json["message"], message)
    one = kept(shared)[b"" if name == "gzip of nothing" else body]
    assert one.reason == response.json
    assert_alive(shared)


def test_bomb_costs_no_more_memory_than_the_limit(shared: FlaskClient) -> None:
    body = _bomb()
    tracemalloc.start()
    try:
        assert post(shared, LINEAGE, body, **{"Content-Encoding": "gzip"}).status_code == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_INFLATED


# --- facets ----------------------------------------------------------------------------------------------------------


def _dataset(name: str, facets: dict[str, JSON]) -> JSON:
    return {"namespace": "data", "name": name, "facets": facets}


def events_of_wrong_facets() -> list[bytes]:
    """Events that have, between them, every known facet with every wrong value at every place in it."""
    bodies = {
        place: {name: list(wrong_bodies(body)) for name, body in facets.items()}
        for place, facets in good_facets().items()
    }
    most = max(len(wrong) for facets in bodies.values() for wrong in facets.values())

    def chosen(place: str, number: int) -> JSON:
        return {name: wrong[number] for name, wrong in bodies[place].items() if number < len(wrong)}

    made: list[bytes] = []
    for number in range(most):
        one = _dataset(f"in{number}", chosen("dataset", number)) | {"inputFacets": chosen("inputFacets", number)}
        other = _dataset(f"out{number}", chosen("dataset", number)) | {"outputFacets": chosen("outputFacets", number)}
        run, job = chosen("run", number), chosen("job", number)
        time = f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z"
        sides: Any = {"inputs": (one,), "outputs": (other,)}
        named = run_event("START", time, run=number + 1, job=f"j{number}", run_facets=run, job_facets=job, **sides)
        declared = job_event(time, job=f"d{number}", **sides)
        declared["job"]["facets"] = job
        described = dataset_event(_dataset(f"only{number}", chosen("dataset", number)), time)
        made += [raw(named), raw((declared, described)[number % 2])]
    return made


def test_wrong_types_in_known_facets_lose_nothing(client: FlaskClient) -> None:
    bodies = events_of_wrong_facets()
    for start in range(0, len(bodies), 100):
        part = bodies[start : start + 100]
        response = post(client, BATCH, b"[" + b",".join(part) + b"]")
        assert response.json["failed_events"] == []
        assert response.json["summary"]["successful"] == len(part)
    assert stored_events(client) == len(bodies)
    assert not kept(client)
    for number in range(0, len(bodies) // 2 - 1, 6):
        get(client, f"/api/v1/namespaces/data/datasets/in{number}")
        get(client, f"/api/v1/namespaces/data/datasets/out{number}")
        get(client, f"/api/v1/namespaces/jobs/jobs/j{number}")
        get(client, f"/api/v1/namespaces/jobs/jobs/d{number}")
        get(client, "/api/v1/lineage/upstream", nodeId=f"dataset:data:out{number}", granularity="dataset")
        get(client, "/api/v1/lineage/upstream", nodeId=f"dataset:data:only{number + 1}", granularity="column")
    ask_everything(client, most=4)
    assert_alive(client)


def test_wrong_facet_is_shown_as_it_came(client: FlaskClient) -> None:
    made = dataset("a") | {"facets": {"schema": 5, "version": None, "": [], "~x": "y", "a.b/c": {"": {}}}}
    assert client.post(LINEAGE, data=raw(run_event(outputs=(made,)))).status_code == 201
    shown = get(client, "/api/v1/namespaces/data/datasets/a")["facets"]
    assert {name: shown[name] for name in ("schema", "version", "", "a.b/c")} == {
        "schema": 5, "version": None, "": [], "a.b/c": {"": {}},
    }  # fmt: skip


def test_huge_names_and_lists_in_facets_that_become_rows_are_answered_for(client: FlaskClient) -> None:
    huge = "\x00" + "é" * 50_000
    many = range(12_000)
    facets = {
        "ownership": facet_body(owners=[{"name": huge, "type": huge}, *({"name": f"o{n}"} for n in many)]),
        "tags": facet_body(tags=[{"key": huge, "value": huge, "field": huge}, *({"key": f"t{n}"} for n in many)]),
    }
    found = [{"assertion": huge, "success": False, "column": huge, "name": huge, "severity": huge}]
    found += [{"assertion": f"a{n}", "success": True} for n in many]
    waits = {"job": {"namespace": huge, "name": huge}, "dependency_type": huge, "status_trigger_rule": huge}
    others = [waits, *({"job": {"namespace": "jobs", "name": f"j{n}"}} for n in range(2_000))]
    event = run_event(
        outputs=(_dataset("a", facets | {"dataQualityAssertions": facet_body(assertions=found)}),),
        run_facets={"jobDependencies": facet_body(upstream=others, trigger_rule=huge)},
        job_facets=facets,
    )
    assert client.post(LINEAGE, data=raw(event)).status_code == 201
    owners = get(client, "/api/v1/owners", limit=10_000)
    assert (owners["totalCount"], len(owners["owners"])) == (10_000, 10_000)
    quality = get(client, "/api/v1/quality", nodeId="dataset:data:a")
    assert (quality["totalCount"], quality["failing"]) == (10_000, 1)
    assert len(quality["assertions"][0]["column"].encode()) <= 600
    (failing,) = get(client, "/api/v1/quality/failing")["datasets"]
    assert failing["name"] == "a"
    answer = get(client, "/api/v1/dependencies", nodeId="job:jobs:load")
    assert len(answer["dependencies"]) == 2_001
    assert {one["datasets"] + one["jobs"] for one in owners["owners"]} == {2}
    assert_alive(client)


def test_odd_origins_of_columns_are_answered_for(client: FlaskClient) -> None:
    origins = [
        {"namespace": "", "name": "x", "field": "f"},
        {"namespace": "n", "name": "", "field": "f"},
        {"namespace": "n", "name": "x", "field": ""},
        {"namespace": "\x00", "name": "\x00", "field": "\x00"},
        {"namespace": "data", "name": "itself", "field": "c"},
    ]
    for number, origin in enumerate(origins, 1):
        lineage = {"fields": {"c": {"inputFields": [origin]}, "": {"inputFields": [origin]}}, "dataset": [origin]}
        made = dataset("itself" if origin["name"] == "itself" else f"b{number}", columnLineage=lineage)
        for one in (run_event(run=number, job=f"j{number}", inputs=("a",), outputs=(made,)), dataset_event(made)):
            assert client.post(LINEAGE, data=raw(one)).status_code == 201
    ask_everything(client)


# --- names -----------------------------------------------------------------------------------------------------------

HOSTILE_NAMES = [
    *(text for text in FRAGMENTS if "\ud800" not in text),
    "'; DROP TABLE event; --", "../../etc/passwd", "..", ".", "/", "//", "a//b", "%2F", "%", "%00", "?", "a?b=c", "a&b",
    "=cmd|' /C calc'!A0", "\x1b[31mred\x1b[0m", "line\nbreak", "tab\tbreak", "\r\n", "postgres://user:secret@host:5432",
    "dataset:a:b", ":", "::", ":a", "a:", "#", "a#b", "a#1", "ª", "İ", "ß", "\u202e", "\ufeff", "\ufffe", "e\u0301",
]  # fmt: skip


def test_hostile_names_are_answered_for_and_drawn(client: FlaskClient) -> None:
    texts = list(dict.fromkeys(HOSTILE_NAMES))
    bodies = []
    for number, text in enumerate(texts):
        previous = {"namespace": texts[number - 1], "name": texts[number - 1]}
        origin = {"inputFields": [previous | {"field": texts[number - 1]}]}
        made = {
            "namespace": text,
            "name": text,
            "facets": {"columnLineage": {"fields": {text: origin}}, "schema": schema(text), text: {"value": text}},
        }
        bodies.append(run_event(run=text, job=text, namespace=text, inputs=(previous,), outputs=(made,)))
    response = client.post(BATCH, data=json.dumps(bodies).encode())
    assert response.json["failed_events"] == []
    stored = set(names(client, metadata.tables["dataset"]))
    assert {(text.replace("\x00", "\u2400"),) * 2 for text in texts} == stored
    diagrams = ask_everything(client, most=6, depth=1)
    diagrams.append(
        get_text(client, "/api/v1/lineage/diagram.mmd", nodeId='dataset:":"', depth=1_000, title="<script>")
    )
    refused = [one for one in parsed(diagrams) if not one.ok]
    assert not refused, (refused[0].error, refused[0].text)


def test_two_things_with_one_node_id_share_it(client: FlaskClient) -> None:
    one, other = {"namespace": "x", "name": "y:z"}, {"namespace": "x:y", "name": "z"}
    for made in (
        run_event(inputs=(one,), outputs=(other,)),
        run_event(run=2, job="b:c", namespace="a", inputs=(other,), outputs=(one,)),
        run_event(run=3, job="c", namespace="a:b", inputs=(other,), outputs=(one, "end")),
    ):
        assert client.post(LINEAGE, data=raw(made)).status_code == 201
    for namespace, name in (("x", "y:z"), ("x:y", "z")):
        assert get(client, f"/api/v1/namespaces/{namespace}/datasets/{name}")["namespace"] == namespace
    ask_everything(client)


# --- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, "nodeId"),
        ({"nodeId": ""}, "nodeId"),
        ({"nodeId": "orders"}, "nodeId"),
        ({"nodeId": "table:data:a"}, "nodeId"),
        ({"nodeId": "dataset:data"}, "nodeId"),
        ({"nodeId": "dataset:" + ":" * 6_000}, "nodeId"),
        ({"nodeId": "run:00000000-0000-0000-0000-000000000001"}, "nodeId"),
        ({"nodeId": "dataset:data:after", "depth": "-1"}, "depth"),
        ({"nodeId": "dataset:data:after", "depth": "1001"}, "depth"),
        ({"nodeId": "dataset:data:after", "depth": "9" * 5_000}, "depth"),
        ({"nodeId": "dataset:data:after", "depth": "many"}, "depth"),
        ({"nodeId": "dataset:data:after", "depth": "1.5"}, "depth"),
        ({"nodeId": "dataset:data:after", "limit": "0"}, "limit"),
        ({"nodeId": "dataset:data:after", "granularity": "table"}, "granularity"),
    ],
)
def test_bad_query_is_refused_by_its_field(shared: FlaskClient, query: JSON, path: str) -> None:
    client = shared
    client.post(LINEAGE, data=AFTER)
    for call in ("upstream", "downstream", "diagram", "diagram.mmd", "diagram.dot"):
        response = client.get(f"/api/v1/lineage/{call}", query_string=query)
        assert response.status_code == 400, (call, response.text)
        assert list(response.json["errors"]) == [path]
        assert response.json["code"] == 400
    if path not in ("limit", "granularity"):
        assert client.get(LINEAGE, query_string=query).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"}, {"limit": "10001"}, {"limit": "x"}, {"offset": "-1"}, {"offset": str(2**63)},
        {"before": "yesterday"}, {"after": "9999-12-31T23:59:60Z"}, {"after": "x" + " 00:00:60" * 3_000},
        {"sortDirection": "sideways"},
    ],
)  # fmt: skip
def test_bad_page_of_events_is_refused_by_its_field(shared: FlaskClient, query: JSON) -> None:
    response = shared.get("/api/v1/events/lineage", query_string=query)
    assert response.status_code == 400, response.text
    assert list(response.json["errors"]) == list(query)


def test_page_of_events_past_the_end_is_empty(client: FlaskClient) -> None:
    client.post(LINEAGE, data=AFTER)
    found = get(client, "/api/v1/events/lineage", offset=2**63 - 1, limit=10_000)
    assert found == {"events": [], "totalCount": 1}


# --- many at once ----------------------------------------------------------------------------------------------------


def test_many_threads_pack_and_unpack_at_once() -> None:
    bodies = [bytes([number]) * 300_000 + bytes(range(256)) * 300 for number in range(8)]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(40):
            if decompress(compress(bodies[number])) != bodies[number]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_good_and_hostile_posts_at_once_are_each_answered_as_alone(client: FlaskClient) -> None:
    app = client.application
    answers: dict[str, set[int]] = {name: set() for name in REFUSED}
    good: list[int] = []

    def post_bad(name: str) -> None:
        answers[name].add(post(app.test_client(), LINEAGE, REFUSED[name].body).status_code)

    def post_good(start: int) -> None:
        for number in range(start, start + 10):
            made = raw(run_event(run=number, job=f"g{number}", outputs=(f"g{number}",)))
            good.append(post(app.test_client(), LINEAGE, made).status_code)

    small = [name for name, refusal in REFUSED.items() if len(refusal.body) < 100_000]
    threads = [threading.Thread(target=post_bad, args=(name,)) for name in small]
    threads += [threading.Thread(target=post_good, args=(start,)) for start in range(1_000, 1_080, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: answers[name] for name in small} == {name: {REFUSED[name].status} for name in small}
    assert good == [201] * 80
    assert stored_events(client) == 80
    assert kept(client).keys() == {REFUSED[name].body for name in small}


# --- what only the store can refuse ----------------------------------------------------------------------------------


def test_event_that_the_store_refuses_harms_no_neighbour(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = keys.hashed_id

    def colliding(*parts: str) -> int:
        return 4_711 if parts[-1] in ("collides one", "collides other") else hashed(*parts)

    monkeypatch.setattr(keys, "hashed_id", colliding)
    assert post(client, LINEAGE, raw(run_event(run=1, job="one", outputs=("collides one",)))).status_code == 201
    collides = raw(run_event(run=2, job="other", inputs=("elsewhere",), outputs=("collides other",)))
    response = post(client, BATCH, b"[" + b",".join([BEFORE, collides, AFTER]) + b"]")
    assert response.status_code == 200
    (failed,) = response.json["failed_events"]
    assert failed["index"] == 1
    assert "hash to one id" in failed["reason"]
    assert list(kept(client)) == [collides]
    assert stored_events(client) == 3
    assert post(client, LINEAGE, collides).status_code == 422
    assert client.get("/api/v1/namespaces/data/datasets/elsewhere").status_code == 404  # nothing half-written
    assert_alive(client)
