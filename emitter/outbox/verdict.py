"""What a collector's answer says about the events that it was sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

_NO_SUCH_CALL = (404, 405, 501)
#: Of one event alone: it will never be taken as it is.
_REFUSED = (400, 413, 415, 422)
_BUSY = (408, 425, 429, 502, 503, 504)
_MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``retry_after`` in seconds."""

    status: int
    body: bytes = b""
    content_type: str = ""
    retry_after: float | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the collector will never take an event."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing more can be sent now.

    ``asked`` is what Retry-After said; ``slow``: the failure took its time; ``busy``: it may well pass in a moment.
    """

    reason: str
    asked: float | None = None
    slow: bool = False
    busy: bool = False


@dataclass(slots=True)
class Verdict:
    """What became of the events of one request, by index: delivered, refused for good, or to be sent again.

    ``trouble`` ends the sending for now; ``divide`` says that the events are to be sent in smaller requests, and
    ``no_batch`` that this collector has no batch call.
    """

    delivered: list[int] = field(default_factory=list)
    refused: dict[int, Refusal] = field(default_factory=dict)
    again: dict[int, str] = field(default_factory=dict)
    trouble: Trouble | None = None
    divide: bool = False
    no_batch: bool = False


def judge_single(answer: Answer) -> Verdict:
    """The verdict on one event that was posted alone."""
    if _is_success(answer):
        return Verdict(delivered=[0])
    if answer.status in _REFUSED:
        return Verdict(refused={0: Refusal(answer.status, _reason(answer))})
    if answer.status == 500:  # may be this event's fault: others go on, and this one and its run wait
        return Verdict(again={0: _told(answer)})
    return Verdict(trouble=_trouble(answer))


def judge_batch(answer: Answer, count: int) -> Verdict:
    """The verdict on ``count`` events that were posted together."""
    if answer.status in _NO_SUCH_CALL:
        return Verdict(no_batch=True)
    if answer.status in (*_REFUSED, 500):
        return Verdict(divide=True)
    if not _is_success(answer):
        return Verdict(trouble=_trouble(answer))
    if answer.status == 204:
        return Verdict(delivered=list(range(count)))
    try:
        document = orjson.loads(answer.body)
        summary = document["summary"]
        successful, failed = int(summary["successful"]), _failures(document, count)
    except (ValueError, KeyError, TypeError):
        return Verdict(no_batch=True)  # a 2xx from something that does not know the call: nothing may be taken for sent
    if successful + len(failed) != count:
        return Verdict(divide=True)
    verdict = Verdict()
    for index in range(count):
        if index not in failed:
            verdict.delivered.append(index)
        elif failed[index][1]:
            verdict.again[index] = failed[index][0]
        else:
            verdict.refused[index] = Refusal(200, failed[index][0])
    return verdict


def _failures(document: Any, count: int) -> dict[int, tuple[str, bool]]:
    """(reason, retriable) by index."""
    found: dict[int, tuple[str, bool]] = {}
    for one in document.get("failed_events") or ():
        index = int(one["index"])
        if not 0 <= index < count:
            raise ValueError(f"index {index}")
        found[index] = (str(one.get("reason", ""))[:_MAX_REASON], bool(one.get("retriable", False)))
    return found


def _is_success(answer: Answer) -> bool:
    # a login page of a proxy is a 200 too, and no event was stored
    return 200 <= answer.status < 300 and not (answer.body.strip() and "html" in answer.content_type.lower())


def _trouble(answer: Answer) -> Trouble:
    return Trouble(_told(answer), answer.retry_after, busy=answer.status in _BUSY)


def _told(answer: Answer) -> str:
    if answer.location and 300 <= answer.status < 400:
        return f"HTTP {answer.status}: the collector is at {answer.location[:200]}; set the url to that"
    if answer.status < 300:
        return f"HTTP {answer.status} with a web page: this is no collector"
    reason = _reason(answer)
    return f"HTTP {answer.status}: {reason}" if reason else f"HTTP {answer.status}"


def _reason(answer: Answer) -> str:
    """The collector's own words, if it gave any."""
    try:
        document = orjson.loads(answer.body)
        message = document["message"]
    except (ValueError, KeyError, TypeError):
        message = None if "html" in answer.content_type.lower() else answer.body.decode(errors="replace").strip()
    return str(message or "")[:_MAX_REASON]
