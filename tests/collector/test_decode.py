"""What is a good event: the fast decoder and the schemas that word its refusals agree on it."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import MAX_BATCH, MAX_DATASETS, MAX_DEPTH, decode, is_deeper, split_batch
from collector.errors import CollectorError, RefusedBody, RefusedEvent
from collector.keys import isoformat, microseconds
from collector.schemas import problems
from tests.collector.events import JSON, dataset, dataset_event, job_event, raw, run_event, schema
from tests.collector.real_events import real_events

REAL = real_events()

# --- generated envelopes ---------------------------------------------------------------------------------------------

_EVENTS: tuple[JSON, ...] = (
    run_event(inputs=("a", dataset("b", schema=schema("x"))), outputs=("c",), run_facets={"x": {"y": [1]}}),
    run_event("START", run="not-a-uuid", inputs=(), outputs=()),
    job_event(inputs=("a",), outputs=("b",)),
    dataset_event(dataset("a", schema=schema("x"))),
    {"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "n", "name": "j"}},
    {"eventTime": "2026-01-01T00:00:00Z", "run": {"runId": "r"}, "job": {"namespace": "n", "name": "j"}},
    {"eventTime": "2026-01-01T00:00:00Z", "dataset": {"namespace": "n", "name": "d"}},
    {"eventTime": "2026-01-01T00:00:00Z"},
    {},
)
_TIMES = (
    "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00", "2026-01-01", "2026-01-01 00:00",
    "2016-12-31T23:59:60Z", "2016-12-31T23:60:60Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "20260101T000000Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00+24:00",
    "2026-W01-1", "12:00:60", "now", "", " ", "1767225600", ":60" * 3_000, "2026-01-01T00:00:00Z\x00", "２０２６-01-01",
)  # fmt: skip
_TYPES = ("START", "start", "Complete", "FOO", "", " START", "ſtart", "OTHER", "COMPLETED", "START\x00")
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", " ", "x", "\x00", "ﬁ", "\U0001f600", "START", "2026-01-01T00:00:00Z"]),
)
_values = st.one_of(
    _scalars,
    st.lists(_scalars, max_size=2),
    st.dictionaries(st.sampled_from(["", "namespace", "name", "runId", "facets", "x"]), _scalars, max_size=3),
    st.sampled_from([[{}], [None], [[]], [{"namespace": "n", "name": "d"}], {"namespace": "n", "name": "d"}]),
)
_NAMES = (
    "eventTime", "eventType", "run", "job", "dataset", "inputs", "outputs", "producer", "schemaURL", "runId",
    "namespace", "name", "facets", "inputFacets", "outputFacets", "unknown", "",
)  # fmt: skip


def _places(document: Any) -> list[dict[str, Any]]:
    """Every object in a document, the document itself first."""
    found = [document] if isinstance(document, dict) else []
    for child in document.values() if isinstance(document, dict) else document:
        if isinstance(child, dict | list):
            found += _places(child)
    return found


@st.composite
def envelopes(draw: st.DrawFn) -> JSON:
    """A good event, or one with up to three things about it changed."""
    event = copy.deepcopy(draw(st.sampled_from(_EVENTS)))
    for _ in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["field", "field", "field", "time", "type", "part"])):
            case "time":
                event["eventTime"] = draw(st.sampled_from(_TIMES))
            case "type":
                event["eventType"] = draw(st.sampled_from(_TYPES))
            case "part":
                other = draw(st.sampled_from(_EVENTS))
                event |= {name: copy.deepcopy(other[name]) for name in ("run", "job", "dataset") if name in other}
            case _:
                place = draw(st.sampled_from(_places(event)))
                name = draw(st.sampled_from([*place, *_NAMES]))
                if draw(st.booleans()):
                    place.pop(name, None)
                else:
                    place[name] = copy.deepcopy(draw(_values))
    return event


def is_decoded(body: bytes) -> bool:
    try:
        decode(body)
    except CollectorError:
        return False
    return True


@settings(max_examples=800, deadline=None)
@given(event=envelopes())
def test_decoder_and_schemas_agree_on_what_is_good(event: JSON) -> None:
    assert is_decoded(json.dumps(event).encode()) == (problems(event) == {})


@settings(max_examples=300, deadline=None)
@given(event=envelopes())
def test_refused_event_says_which_field_is_wrong(event: JSON) -> None:
    try:
        decode(json.dumps(event).encode())
    except RefusedEvent as error:
        assert error.errors
        assert error.errors == problems(event)
        assert error.status == 422
        first, messages = next(iter(error.errors.items()))
        assert f"{first}: {messages[0]}" in error.message


_BYTES = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\u", b"\\ud800", b"1e400", b"9" * 400, b"NaN", b"-", b"\x00",
    b"\xff", b"\xc3", b"\xed\xa0\x80", b"\n", b" ", b"null", b"1", b"\x7f", b"x",
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(body=st.sampled_from(list(REAL.values()) + [raw(event) for event in _EVENTS]), data=st.data())
def test_whatever_is_decoded_is_json_that_others_can_read(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.sampled_from(_BYTES)) + body[at + data.draw(st.integers(0, 2)) :]
    if is_decoded(body):
        assert problems(orjson.loads(body)) == {}
        json.loads(body)
    elif not is_deeper_than_allowed(body):
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            with pytest.raises(RefusedBody):
                decode(body)
        else:
            # where a key comes twice, the two parsers may disagree on which of its values is wrong
            assert problems(document) or has_duplicate_keys(body)


def is_deeper_than_allowed(body: bytes) -> bool:
    try:
        return is_deeper(body, MAX_DEPTH)
    except orjson.JSONDecodeError:
        return False


def has_duplicate_keys(body: bytes) -> bool:
    found = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len(pairs) != len(dict(pairs)))
        return dict(pairs)

    json.loads(body, object_pairs_hook=note)
    return any(found)


# --- real producers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_event_of_a_real_producer_is_accepted(name: str) -> None:
    event = decode(REAL[name])
    document = json.loads(REAL[name])
    assert event.kind == "run"
    assert event.event_type == document["eventType"].upper()
    assert event.envelope.run is not None and event.envelope.run.runId == document["run"]["runId"]
    assert set(event.envelope.run.facets or {}) == set(document["run"].get("facets") or {})
    assert len(event.envelope.inputs or ()) == len(document.get("inputs") or ())
    assert len(event.envelope.outputs or ()) == len(document.get("outputs") or ())
    assert problems(document) == {}


# --- kinds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "kind", "event_type"),
    [
        (run_event("start"), "run", "START"),
        (run_event() | {"eventType": None}, "run", "OTHER"),
        (job_event(), "job", None),
        (job_event() | {"eventType": "SOMETHING"}, "job", None),
        (dataset_event("a"), "dataset", None),
        (run_event() | {"dataset": {"namespace": "n", "name": "d"}}, "run", "COMPLETE"),
        (dataset_event("a") | {"run": None, "job": None, "inputs": None}, "dataset", None),
    ],
)
def test_kind_is_told_by_the_parts_that_are_there(event: JSON, kind: str, event_type: str | None) -> None:
    decoded = decode(raw(event))
    assert (decoded.kind, decoded.event_type) == (kind, event_type)


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({}, "eventTime"),
        ({"eventTime": "2026-01-01T00:00:00Z"}, "_schema"),
        ({"eventTime": 5, "job": {"namespace": "n", "name": "j"}}, "eventTime"),
        ({"eventTime": None, "job": {"namespace": "n", "name": "j"}}, "eventTime"),
        ({"eventTime": "yesterday", "job": {"namespace": "n", "name": "j"}}, "eventTime"),
        (run_event("STARTED"), "eventType"),
        (run_event(run=""), "run.runId"),
        (run_event(job=""), "job.name"),
        (run_event(namespace=""), "job.namespace"),
        (run_event() | {"job": None}, "job"),
        (run_event() | {"run": []}, "run"),
        (run_event() | {"run": {"runId": 7}}, "run.runId"),
        (run_event(inputs=("a", {"namespace": "data"})), "inputs.1.name"),
        (run_event(outputs=({"namespace": "", "name": "x"},)), "outputs.0.namespace"),
        (run_event(outputs=({"namespace": "n", "name": "x", "facets": []},)), "outputs.0.facets"),
        (run_event() | {"inputs": {}}, "inputs"),
        (run_event() | {"inputs": [None]}, "inputs.0"),
        (job_event() | {"dataset": {"namespace": "n", "name": "d"}}, "dataset"),
        (dataset_event({"namespace": "n"}), "dataset.name"),
    ],
)
def test_refusal_names_the_field(event: JSON, path: str) -> None:
    with pytest.raises(RefusedEvent) as refused:
        decode(raw(event))
    assert path in refused.value.errors
    assert refused.value.errors[path][0] in str(refused.value) or len(refused.value.errors) > 1


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"[]", b"true"])
def test_body_that_is_no_object_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(RefusedEvent, match="An event is a JSON object"):
        decode(body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1', b"{'a': 1}", b'{"a": 1,}', b"\xff\xfe{\x00}\x00", b"nonsense"])
def test_body_that_is_no_json_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(RefusedBody, match=r"not valid JSON.*line \d+ column \d+") as refused:
        decode(body)
    assert refused.value.status == 400


def test_many_wrong_fields_are_counted_and_the_first_shown() -> None:
    with pytest.raises(RefusedEvent, match="such, of which 100 are shown") as refused:
        decode(raw(run_event() | {"inputs": [{}] * 5_000}))
    assert len(refused.value.errors) == 100


@pytest.mark.parametrize("wrong", [{"namespace": "n", "name": "d"}, {}])
def test_too_many_datasets_are_refused_by_their_number(wrong: JSON) -> None:
    decode(raw(run_event() | {"inputs": [{"namespace": "n", "name": "d"}] * MAX_DATASETS}))
    with pytest.raises(RefusedEvent, match="10,001 inputs and outputs; at most 10,000"):
        decode(raw(run_event(outputs=("x",)) | {"inputs": [wrong] * MAX_DATASETS}))


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_time_is_read_and_written(text: str, expected: str) -> None:
    assert isoformat(microseconds(text)) == expected


@given(st.one_of(st.sampled_from(_TIMES), st.datetimes().map(str), st.text(max_size=30)))
def test_time_that_is_read_can_be_written(text: str) -> None:
    event = raw(run_event(time=text))
    if is_decoded(event):
        shown = isoformat(decode(event).time_us)
        assert shown is not None
        assert microseconds(shown) == decode(event).time_us


# --- batches ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(_values, envelopes()), max_size=5), st.sampled_from([None, 2]))
def test_batch_is_split_into_what_it_was_made_of(parts: list[Any], indent: int | None) -> None:
    assert [json.loads(part) for part in split_batch(json.dumps(parts, indent=indent).encode())] == parts


@given(st.lists(_values, max_size=4), st.integers(0, 4))
def test_batch_is_split_around_an_element_that_nests_too_deep(parts: list[Any], at: int) -> None:
    bodies = [json.dumps(part).encode() for part in parts]
    deep = b"[" * 5_000 + b'{"a]": "\\"}"}' + b"]" * 5_000
    bodies.insert(at, deep)
    found = split_batch(b" [ " + b" , ".join(bodies) + b"\n]")
    assert [part.strip() for part in found] == bodies


@pytest.mark.parametrize("body", [b"{}", b"null", b'"[]"', b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"])
def test_batch_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedBody, match="JSON array of events"):
        split_batch(body)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1,]", b"[1 2]", b"[1]]", b"[" * 5_000, b"[" * 5_000 + b"]" * 5_001, b"[NaN]", b'["a]']
)
def test_batch_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedBody, match="not valid JSON"):
        split_batch(body)


def test_batch_of_too_many_events_is_refused() -> None:
    assert len(split_batch(b"[" + b",".join([b"1"] * MAX_BATCH) + b"]")) == MAX_BATCH
    with pytest.raises(RefusedBody, match="at most 10,000") as refused:
        split_batch(b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]")
    assert refused.value.status == 413
