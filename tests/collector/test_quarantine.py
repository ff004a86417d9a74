"""What is refused is not lost: kept with its reason, listed, replayed when it can be read, and bounded."""

from __future__ import annotations

from sqlalchemy import Engine

from collector.decode import decode
from collector.errors import RefusedEvent
from collector.quarantine import Refused, count, drop, keep, kept, replay
from collector.store.engines import reading, writing
from tests.collector.events import raw, run_event
from tests.collector.stores import stored_events


def refused(body: bytes, reason: str = "not now") -> Refused:
    return Refused(body, RefusedEvent(reason, {"run.runId": [reason]}))


def test_refused_body_is_kept_once_with_its_newest_reason(engine: Engine) -> None:
    for reason in ("first", "second"):
        with writing(engine) as connection:
            keep(connection, [refused(b'{"a": 1}', reason)])
    with reading(engine) as connection:
        [one] = kept(connection)
    assert one.body == b'{"a": 1}'
    assert one.reason == {"code": 422, "message": "second", "errors": {"run.runId": ["second"]}}
    assert one.received_at.endswith("Z")


def test_oldest_go_when_the_quarantine_is_full(engine: Engine) -> None:
    for number in range(30):
        with writing(engine) as connection:
            keep(connection, [refused(str(number).encode())], limit=10)
    with reading(engine) as connection:
        assert [int(one.body) for one in kept(connection)] == list(range(29, 19, -1))
        assert count(connection) == 10


def test_replay_stores_what_can_be_read_now_and_keeps_the_rest(engine: Engine) -> None:
    good, bad = raw(run_event()), b'{"eventTime": "never"}'
    with writing(engine) as connection:
        keep(connection, [refused(good), refused(bad)])
    done = replay(engine)
    assert (done.stored, len(done.refused)) == (1, 1)
    with reading(engine) as connection:
        [left] = kept(connection)
    assert left.body == bad
    assert "never" in left.reason["message"]
    assert stored_events(engine) == {decode(good).hash}


def test_dropped_rows_are_gone(engine: Engine) -> None:
    with writing(engine) as connection:
        keep(connection, [refused(b"1"), refused(b"2")])
    with reading(engine) as connection:
        ids = [one.id for one in kept(connection)]
    with writing(engine) as connection:
        assert drop(connection, ids[:1]) == 1
    with reading(engine) as connection:
        assert [one.id for one in kept(connection)] == ids[1:]
