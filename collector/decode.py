"""From the bytes of one event to typed parts, fast; marshmallow words what is refused (``schemas.py``). Pure.

``decode`` is what every request runs: a typed msgspec decode of the envelope, each facet left as raw bytes. It refuses
exactly what ``EventSchema`` refuses; a property test holds the two together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson
from msgspec import Raw

from collector.errors import BadTime, RefusedBody, RefusedEvent
from collector.keys import content_hash, microseconds

MAX_DEPTH = 128  # levels of nesting in one event
_FACET_LEVEL = 4  # event, inputs, dataset, facets
MAX_DATASETS = 10_000  # inputs and outputs of one event
MAX_BATCH = 10_000  # events of one batch: each may have to be worded and answered
BOM = b"\xef\xbb\xbf"

EVENT_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")


class Body(NamedTuple):
    """A facet's raw JSON, the content hash that stands for it, and the hash's first 56 bits, which break ties."""

    digest: bytes
    tie: int
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> Body:
        """The body with these bytes."""
        digest = content_hash(raw)
        return cls(digest, int.from_bytes(digest[:7], "big"), raw)


if TYPE_CHECKING:
    Facets = dict[str, Body]
else:
    Facets = dict[str, Raw]  # what msgspec decodes; ``decode`` puts a Body in the place of each


class Dataset(msgspec.Struct):
    """A dataset of an event, with its facets as raw JSON."""

    namespace: str
    name: str
    facets: Facets | None = None
    inputFacets: Facets | None = None
    outputFacets: Facets | None = None


class Run(msgspec.Struct):
    """The run of an event."""

    runId: str
    facets: Facets | None = None


class Job(msgspec.Struct):
    """The job of an event."""

    namespace: str
    name: str
    facets: Facets | None = None


class Envelope(msgspec.Struct):
    """What the graph and identity rest on, of any of the three kinds of event."""

    eventTime: str
    eventType: str | None = None
    run: Run | None = None
    job: Job | None = None
    inputs: list[Dataset] | None = None
    outputs: list[Dataset] | None = None
    dataset: Dataset | None = None


class _BareRun(Run, forbid_unknown_fields=True):
    pass


class _BareJob(Job, forbid_unknown_fields=True):
    pass


class _BareDataset(Dataset, forbid_unknown_fields=True):
    pass


class _BareEnvelope(Envelope, forbid_unknown_fields=True):
    """An envelope with the specification's fields alone: nothing in it goes unread but the facets."""

    run: _BareRun | None = None
    job: _BareJob | None = None
    inputs: list[_BareDataset] | None = None  # type: ignore[assignment]
    outputs: list[_BareDataset] | None = None  # type: ignore[assignment]
    dataset: _BareDataset | None = None
    producer: str | None = None
    schemaURL: str | None = None


class Event(msgspec.Struct, frozen=True):
    """One accepted event: its raw body, what identifies it, and its envelope.

    ``kind`` is ``run``, ``job`` or ``dataset`` (or one of ``records.KINDS``); ``hash`` 16 bytes of the
    raw body; ``time_us`` eventTime in microseconds since 1970 UTC; ``event_type`` upper case, None where there is none.
    """

    raw: bytes
    hash: bytes
    kind: str
    time_us: int
    event_type: str | None
    envelope: Envelope
    record: Any = None  # a records.Record, where the event is none of OpenLineage's


_envelope = msgspec.json.Decoder(Envelope)
_bare_envelope = msgspec.json.Decoder(_BareEnvelope)
_raw_list = msgspec.json.Decoder(list[Raw])


def decode(raw: bytes) -> Event:
    """The event in ``raw`` (UTF-8 JSON of one object).

    Raises RefusedBody (400) where the JSON itself is malformed, RefusedEvent (422, with field paths) where the event
    cannot be given a place in the graph.
    """
    if raw.startswith(BOM):
        raw = raw[len(BOM) :]
    try:
        envelope = _read_envelope(raw)
        raw.decode()  # msgspec leaves the facets' own bytes unread
        _hash_bodies(envelope)
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError):
        raise _reworded(raw) from None
    except RecursionError:  # msgspec's own bound, far above ours
        raise _too_deep() from None
    kind = _kind(envelope)
    if kind is None or not _has_identity(envelope):
        raise _reworded(raw)
    event_type = envelope.eventType
    if event_type is not None and kind == "run":
        event_type = event_type.upper()
        if event_type not in EVENT_TYPES:
            raise _reworded(raw)
    else:
        event_type = "OTHER" if kind == "run" else None
    try:
        time_us = microseconds(envelope.eventTime)
    except BadTime:
        raise _reworded(raw) from None
    if len(envelope.inputs or ()) + len(envelope.outputs or ()) > MAX_DATASETS:
        raise _reworded(raw)
    return Event(raw, content_hash(raw), kind, time_us, event_type, envelope)


def _read_envelope(raw: bytes) -> Envelope:
    """The envelope, what is beside it checked too: a number that no parser can hold (1e400), or arrays nested deep."""
    try:
        return _bare_envelope.decode(raw)
    except msgspec.ValidationError:  # a field that is not the specification's, which msgspec skips, or a wrong type
        envelope = _envelope.decode(raw)
        orjson.loads(raw)
        if is_deeper(raw, MAX_DEPTH):
            raise _too_deep() from None
        return envelope


def _hash_bodies(envelope: Envelope) -> None:
    """Put a Body in the place of each facet's raw bytes.

    Raises JSONDecodeError where one is not JSON (1e400, a lone surrogate), RefusedEvent where one is nested too deep.
    """
    for part in (envelope.run, envelope.job):
        if part is not None and part.facets:
            _replace_bodies(part.facets)
    for dataset in (envelope.dataset, *(envelope.inputs or ()), *(envelope.outputs or ())):
        if dataset is not None:
            for facets in (dataset.facets, dataset.inputFacets, dataset.outputFacets):
                if facets:
                    _replace_bodies(facets)


def _replace_bodies(facets: Facets) -> None:
    for name, value in facets.items():
        raw = bytes(value)  # type: ignore[arg-type]
        facets[name] = (_small_bodies.get(raw) or _small_body(raw)) if len(raw) <= _SMALL_BYTES else _large_body(raw)


# Facets come again and again: what was read once need be neither parsed nor hashed again. Small ones are known by their
# bytes, large ones by their hash; both forget everything when full, which costs less than keeping an order.
_SMALL_BYTES, _MOST_BODIES = 1_024, 50_000
_small_bodies: dict[bytes, Body] = {}
_large_digests: set[bytes] = set()


def _small_body(raw: bytes) -> Body:
    _check_body(raw)
    if len(_small_bodies) >= _MOST_BODIES:
        _small_bodies.clear()
    body = _small_bodies[raw] = Body.of(raw)
    return body


def _large_body(raw: bytes) -> Body:
    body = Body.of(raw)
    if body.digest not in _large_digests:
        _check_body(raw)
        if len(_large_digests) >= _MOST_BODIES:
            _large_digests.clear()
        _large_digests.add(body.digest)
    return body


def _check_body(raw: bytes) -> None:
    orjson.loads(raw)
    if is_deeper(raw, MAX_DEPTH - _FACET_LEVEL):
        raise _too_deep()


def _too_deep() -> RefusedEvent:
    return RefusedEvent(f"The event is nested deeper than {MAX_DEPTH} levels: flatten the facet that nests so deep.")


def split_batch(raw: bytes) -> list[bytes]:
    """The raw bytes of each event of a batch: a JSON array, of which one or another element need not be JSON.

    Raises RefusedBody where it is not one (400), or has more than MAX_BATCH events (413).
    """
    if raw.startswith(BOM):
        raw = raw[len(BOM) :]
    try:
        parts = [bytes(item) for item in _raw_list.decode(raw)]
    except msgspec.ValidationError:
        raise _no_array() from None
    except (msgspec.DecodeError, RecursionError):  # NaN or a lone surrogate in one event, or one that nests too deep
        parts = _split_by_brackets(raw)  # its neighbours are not to blame
    if len(parts) > MAX_BATCH:
        raise RefusedBody(f"The batch has {len(parts):,} events; at most {MAX_BATCH:,}: split it.", status=413)
    return parts


_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]++|[\]}]++|,', re.DOTALL)


def _split_by_brackets(raw: bytes) -> list[bytes]:
    """The elements of an array, told apart by brackets and commas alone: not each need be JSON, or of a bounded depth.

    Raises RefusedBody where not even one is a JSON object, or one that is too deep to be read.
    """
    raw = raw.strip(b" \t\r\n")
    if not raw.startswith(b"["):
        raise _no_array() if raw.startswith((b"{", b'"')) else malformed(raw)
    parts: list[bytes] = []
    depth = deepest = 0
    start = 1
    for found in _STRUCTURE.finditer(raw):
        text = found[0]
        if text[0] in b"[{":
            depth += len(text)
            deepest = max(deepest, depth)
        elif text[0] in b"]}":
            depth -= len(text)
        elif text == b"," and depth == 1:
            parts.append(raw[start : found.start()])
            start = found.end()
    parts.append(raw[start:-1])
    if depth != 0 or not raw.endswith(b"]") or not (deepest > MAX_DEPTH or any(map(_is_object, parts))):
        raise malformed(raw)
    return parts


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _no_array() -> RefusedBody:
    return RefusedBody("A batch is a JSON array of events: send [event, event, …].")


def malformed(raw: bytes) -> RefusedBody:
    """The refusal of bytes that are not JSON, with line and column where the parser gives them."""
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return RefusedBody(f"The body is not valid JSON: {error}.")
    return RefusedBody("The body is not valid JSON: it is nested too deep to be read.")


def is_deeper(raw: bytes, limit: int) -> bool:
    """Whether the JSON text nests deeper than ``limit`` arrays and objects.

    Brackets inside strings only make the first, cheap estimate too high; then the parsed document decides.
    """
    brackets = raw.translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        if not brackets:
            return False
        shorter = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return bool(brackets) and _depth_exceeds(orjson.loads(raw), limit)


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _depth_exceeds(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _kind(envelope: Envelope) -> str | None:
    """The kind by the parts that are there, as Marquez and the specification tell them apart."""
    if envelope.run is not None:
        return "run" if envelope.job is not None else None
    if envelope.dataset is not None and envelope.job is None:
        return "dataset"
    return "job" if envelope.job is not None and envelope.dataset is None else None


def _has_identity(envelope: Envelope) -> bool:
    """No name is empty: an empty name has no place in the graph."""
    for part in (envelope.job, envelope.dataset, *(envelope.inputs or ()), *(envelope.outputs or ())):
        if part is not None and not (part.namespace and part.name):
            return False
    return envelope.run is None or bool(envelope.run.runId)


def _reworded(raw: bytes) -> RefusedBody | RefusedEvent:
    """The refusal in marshmallow's words; imported late, since a good event never needs it."""
    from collector.schemas import refusal

    return refusal(raw)
