"""How things are named inside the store: hashed ids, capped names, run keys, stamps and times. Pure."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from blake3 import blake3

from collector.errors import BadTime

NAME_BYTES = 2_000  # the longest name kept whole: PostgreSQL cannot index more than 2,704 bytes
FIELD_BYTES = 600  # three of them share one index entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LEAP_SECOND = re.compile(r"(?<=:\d\d):60(?=$|[^\d])")
_OFFSET = 1 << 63


def content_hash(body: bytes) -> bytes:
    """The 16 bytes that stand for ``body``: two bodies are the same when these are."""
    return blake3(body).digest(16)


def clean_name(name: str, limit: int = NAME_BYTES) -> str:
    """``name`` as it is stored: NUL as U+2400 (PostgreSQL's text refuses it), at most ``limit`` bytes of UTF-8.

    A longer one keeps its beginning and ends in ``…`` and a hash of the whole, so that two long names stay two.
    """
    if "\x00" in name:
        name = name.replace("\x00", "\u2400")
    if len(name) * 4 <= limit:
        return name
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    return encoded[: limit - 40].decode(errors="ignore") + "…" + blake3(encoded).hexdigest(16)


def hashed_id(*parts: str) -> int:
    """A 63-bit id that is a function of the name, and never 0: 0 means "none" in ``column_edge.job_id``."""
    return int.from_bytes(blake3("\x00".join(parts).encode()).digest(8), "big") >> 1 or 1


@lru_cache(maxsize=4_096)
def namespace_id(namespace: str) -> int:
    """The id of a namespace (clean name)."""
    return hashed_id("namespace", namespace)


def dataset_id(namespace: str, name: str) -> int:
    """The id of a dataset (clean names)."""
    return hashed_id("dataset", namespace, name)


def job_id(namespace: str, name: str) -> int:
    """The id of a job (clean names)."""
    return hashed_id("job", namespace, name)


class Named(NamedTuple):
    """A thing's ids and clean names."""

    id: int
    namespace_id: int
    namespace: str
    name: str


@lru_cache(maxsize=262_144)
def named_dataset(namespace: str, name: str) -> Named:
    """A dataset as an event names it."""
    namespace, name = clean_name(namespace), clean_name(name)
    return Named(dataset_id(namespace, name), namespace_id(namespace), namespace, name)


@lru_cache(maxsize=262_144)
def named_job(namespace: str, name: str) -> Named:
    """A job as an event names it."""
    namespace, name = clean_name(namespace), clean_name(name)
    return Named(job_id(namespace, name), namespace_id(namespace), namespace, name)


_PLAIN_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def run_identity(run_id: str) -> tuple[bytes, str | None]:
    """A run's key, and the run id as it is to be kept: None where the key's own spelling says it."""
    if _PLAIN_UUID.fullmatch(run_id):
        return bytes.fromhex(run_id.replace("-", "")), None
    return run_key(run_id), clean_name(run_id)


def run_key(run_id: str) -> bytes:
    """The 16 bytes of the run's UUID; for a run id that is none (real producers send them), of a name-based one."""
    try:
        return uuid.UUID(run_id).bytes
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, run_id).bytes


def text_key(text: str | None) -> int | None:
    """63 bits that stand for a text of any length in an index; None stays None."""
    return None if text is None else int.from_bytes(content_hash(text.encode("utf-8", "replace"))[:8], "big") >> 1


def run_uuid(key: bytes) -> str:
    """The UUID text of a run key."""
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def microseconds(text: str) -> int:
    """An ISO-8601 time as microseconds since 1970 UTC.

    A time without zone is taken as UTC; a leap second (``:60``) as the second after ``:59``; digits past the sixth are
    cut. Raises BadTime for anything else, and for a moment that is outside the years 1 to 9999 in UTC.
    """
    us = 0
    if "\x00" in text:  # where Python stops to read
        raise BadTime(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59", text, count=1))
        except ValueError:
            raise BadTime(text) from None
        us = 1_000_000
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    us += (moment - _EPOCH) // _MICROSECOND
    if not _FIRST_US <= us <= _LAST_US:  # 0001-01-01T00:00+23:00: Python can read it, and not write it in UTC
        raise BadTime(text)
    return us


_MINUTES = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60)]
_SECONDS = [f"{second:02}" for second in range(60)]


def isoformat(us: int | None) -> str | None:
    """Microseconds since 1970 as Marquez writes times: ``2026-11-24T13:16:18.000001Z``; None stays None."""
    if us is None:
        return None
    seconds, rest = divmod(us, 1_000_000)
    day, second = divmod(seconds, 86_400)
    return f"{_day(day)}T{_MINUTES[second // 60]}:{_SECONDS[second % 60]}.{rest:06}Z"


@lru_cache(maxsize=4_096)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def stamp(time_us: int, content: bytes, rank: int | None = None) -> bytes:
    """Bytes that sort by (rank, time, content hash): the greatest stamp is the newest word on a thing."""
    base = (time_us + _OFFSET).to_bytes(8, "big") + content[:8]
    return base if rank is None else bytes((rank,)) + base


def stamp_time(value: bytes) -> int:
    """The time, in microseconds, that a stamp holds, with or without a rank."""
    return int.from_bytes(value[-16:-8], "big") - _OFFSET
