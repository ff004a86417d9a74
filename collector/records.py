"""What is told of a namespace, a source or a tag by hand: stored beside the events, as small JSON documents of our own.

OpenLineage has no event for these, so that ``POST /lineage`` refuses them; everything else (merging, rebuilding, the
digest) treats them like any event. Pure.
"""

from __future__ import annotations

import msgspec

from collector.decode import Envelope, Event, decode
from collector.errors import BadTime, RefusedBody
from collector.keys import content_hash, isoformat, microseconds

KINDS = ("namespace", "source", "tag")


class Record(msgspec.Struct, omit_defaults=True):
    """One word on a namespace, source or tag; ``hidden`` is a namespace's DELETE, which says nothing else."""

    headwater: str  # one of KINDS
    eventTime: str
    name: str
    ownerName: str | None = None
    description: str | None = None
    type: str | None = None
    connectionUrl: str | None = None
    hidden: bool = False


_decoder = msgspec.json.Decoder(Record)


def record_event(record: Record) -> Event:
    """``record`` as an event that ``ingest`` stores."""
    return _event(msgspec.json.encode(record), record)


def make_record(kind: str, name: str, time_us: int, **said: str | bool | None) -> Event:
    """The event that says ``said`` of ``name`` at ``time_us`` (microseconds since 1970 UTC)."""
    return record_event(Record(str(kind), isoformat(time_us) or "", name, **said))  # type: ignore[arg-type]


def read_stored(kind: str, raw: bytes) -> Event:
    """A stored event, of OpenLineage's kinds or ours. Raises CollectorError where it cannot be read."""
    if kind not in KINDS:
        return decode(raw)
    try:
        return _event(raw, _decoder.decode(raw))
    except (msgspec.DecodeError, BadTime) as error:
        raise RefusedBody(f"A stored record cannot be read: {error}.") from None


def _event(raw: bytes, record: Record) -> Event:
    time_us = microseconds(record.eventTime)
    return Event(raw, content_hash(raw), record.headwater, time_us, None, Envelope(record.eventTime), record)
