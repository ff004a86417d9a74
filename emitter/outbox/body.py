"""An event's JSON, with the place in it where its number goes: the number is known only once the event is stored. Pure.

The number is given inside the statement that stores the event (``store.py``), and it must be in the event's run facets
when it is sent, so the body is kept with the offset at which the facet is put in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from facets import PRODUCER, schema_url
from facets.delivery import CLASS, KEY, VERSION

_OPTIONS = orjson.OPT_NON_STR_KEYS
_HEAD = orjson.dumps({"_producer": PRODUCER, "_schemaURL": schema_url(CLASS, VERSION)})[:-1]


@dataclass(frozen=True, slots=True)
class Body:
    """An event's JSON without its number.

    ``splice`` is the offset where ``number`` puts the facet, None for an event without a run; ``alone`` says that no
    other facet follows there; ``run`` is what the event must keep its order with: its run id, else its job's or
    dataset's name.
    """

    raw: bytes
    run: str
    splice: int | None
    alone: bool = False


def body_of(document: dict[str, Any]) -> Body:
    """The body of an event given as JSON values; takes ``document`` apart."""
    run = document.get("run")
    if not isinstance(run, dict) or not run.get("runId"):
        thing = document.get("job") or document.get("dataset") or {}
        return Body(_dumps(document), f"{thing.get('namespace', '')}/{thing.get('name', '')}", None)
    del document["run"]
    facets = {name: facet for name, facet in (run.pop("facets", None) or {}).items() if name != KEY}
    head = b'{"run":' + _dumps(run)[:-1] + b',"facets":{'
    rest = _dumps(document)
    tail = _dumps(facets)[1:] + (b"}," + rest[1:] if document else b"}}")
    return Body(head + tail, str(run["runId"]), len(head), not facets)


def number(raw: bytes, splice: int | None, alone: bool, instance: bytes, sequence: int, extra: bytes = b"") -> bytes:
    """The body as it is sent: with the run facet ``headwater_delivery``, where it can carry one.

    ``extra`` are further members of the facet, each with a comma before it.
    """
    if splice is None:
        return raw
    facet = b'"%s":%s,"instance":"%s","sequence":%d%s}' % (
        KEY.encode(),
        _HEAD,
        str(UUID(bytes=instance)).encode(),
        sequence,
        extra,
    )
    return b"".join((raw[:splice], facet, b"" if alone else b",", raw[splice:]))


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except TypeError:  # an integer past 64 bits, half a surrogate pair: what the standard client would send
        return json.dumps(value).encode()
