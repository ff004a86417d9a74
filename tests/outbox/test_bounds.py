"""E6: bounded in size and age, the oldest out first, each drop counted and told to the collector."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import pytest
from openlineage.client.event_v2 import RunEvent

from emitter.outbox.accounting import drop_older, keep_within, used_bytes
from emitter.outbox.inspection import existing, status
from emitter.outbox.outbox import Settings, outbox_at
from tests.outbox.events import emit, event, transport
from tests.outbox.far_end import FarEnd, refusing, until


def reports(far_end: FarEnd) -> list[dict[str, object]]:
    """What the far end was told of drops."""
    found = []
    for one in far_end.events:
        found += one["run"]["facets"]["headwater_delivery"].get("dropped", [])
    return found


def numbers_of(ranges: list[dict[str, object]], reason: str) -> set[int]:
    return {
        number
        for one in ranges
        if one["reason"] == reason
        for number in range(int(str(one["first"])), int(str(one["last"])) + 1)
    }


def incompressible(job: str) -> RunEvent:
    return event(job + random.randbytes(1_500).hex())


def test_outbox_that_is_full_drops_its_oldest_and_says_which(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url, max_bytes=1_000_000)
        for number in range(1_000):
            sender.emit(incompressible(f"{number}-"))
        assert sender.failed == 0
        sender.close()
    store = existing(path)
    (found,) = status(store).destinations
    assert found.dropped.keys() == {"size"} and found.waiting + found.dropped["size"] == 1_000
    with store.using() as db:
        assert used_bytes(db) <= 1_100_000
    store.close()
    assert path.stat().st_size < 2_000_000
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        sender = transport(path, url)
        sender.emit(event("after"))
        assert sender.close(5)
        assert server.jobs()[-1] == "outbox"
        dropped = numbers_of(reports(server), "size")
        assert dropped == set(range(1, found.dropped["size"] + 1))
        assert dropped | set(server.numbers()) == set(range(1, 1_003))


def test_events_that_are_too_old_are_dropped_and_reported(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 10)
        sender.close()
        with sqlite3.connect(path) as db:
            db.execute("UPDATE event SET added = added - 8 * 86400 WHERE position <= 4")
    store = existing(path)
    assert drop_older(store, 7 * 86_400) == 4
    assert drop_older(store, 7 * 86_400) == 0
    store.close()
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        sender = transport(path, url)
        sender.emit(event("after"))
        assert sender.close(5)
        assert numbers_of(reports(server), "age") == {1, 2, 3, 4}
        assert [job for job in server.jobs() if job.startswith("j")] == [f"j{n}" for n in range(4, 10)]


def test_sender_drops_what_is_too_old_by_itself(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 3)
        sender.close()
        with sqlite3.connect(path) as db:
            db.execute("UPDATE event SET added = added - 8 * 86400")
        sender = transport(path, url)
        sender.emit(event("new"))

        def only_the_new_one() -> bool:
            return sender.waiting() == 1 and not _old(path)

        until(only_the_new_one)
        sender.close()


def _old(path: Path) -> int:
    with sqlite3.connect(path) as db:
        count: int = db.execute("SELECT count(*) FROM event WHERE position <= 3").fetchone()[0]
    return count


def test_refused_events_are_reported_as_such_once(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 422 if event["job"]["name"] in ("j3", "j4") else 201
    sender = transport(path, far_end.url)
    emit(sender, 8)
    assert sender.close(5)
    assert numbers_of(reports(far_end), "refused") == {4, 5}
    assert far_end.jobs().count("outbox") == 1


def test_refused_report_is_not_reported_again(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 422 if event["job"]["name"] in ("j1", "outbox") else 201
    sender = transport(path, far_end.url)
    emit(sender, 3)
    assert sender.close(5)
    assert far_end.jobs() == ["j0", "j2"]
    assert sum(path.endswith("lineage") for path, _, _ in far_end.requests) < 20


def test_reports_themselves_are_not_dropped(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url, max_bytes=300_000)
        for number in range(300):
            sender.emit(incompressible(f"{number}-"))
        store = outbox_at(path, Settings()).store
        from emitter.outbox.accounting import report_drops

        assert report_drops(store, 1)
        for number in range(300, 600):
            sender.emit(incompressible(f"{number}-"))
        keep_within(store, 300_000)
        with store.using() as db:
            assert db.execute("SELECT count(*) FROM event WHERE extra IS NOT NULL").fetchone() == (1,)
        sender.close()


def test_million_small_events_would_fit(path: Path) -> None:
    """500 MB hold a million events of the kind that a producer repeats: 1.5 KB each, of one job's runs."""
    from openlineage.client.facet_v2 import sql_job

    with refusing() as url:
        sender = transport(path, url)
        began = time.time()
        query = " union all ".join(
            f"select {n} as id, name_{n}, amount_{n} from schema_{n}.table_{n}" for n in range(25)
        )
        for number in range(2_000):
            one = event("load", number + 1)
            assert one.job.facets is not None
            one.job.facets["sql"] = sql_job.SQLJobFacet(query)
            sender.emit(one)
        sender.close()
        store = existing(path)
        with store.using() as db:
            assert used_bytes(db) / 2_000 < 500
        store.close()
        assert began


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_both_ways_to_write_work(synchronous: str, path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url, synchronous=synchronous)
    emit(sender, 5)
    assert sender.close()
    assert len(far_end.events) == 5
