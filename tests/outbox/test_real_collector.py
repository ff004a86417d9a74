"""E3: with a real collector that is killed and started again, everything arrives, in order, and once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import requests
import zstandard

from tests.collector.processes import Collector
from tests.outbox import jobs
from tests.outbox.events import emit, transport


def stored(database: Path) -> list[tuple[str, int]]:
    """(job, number) of every event, in the order in which the collector committed them."""
    decompress = zstandard.ZstdDecompressor().decompress
    with sqlite3.connect(database) as db:
        bodies = [json.loads(decompress(body)) for (body,) in db.execute("SELECT body FROM event ORDER BY id")]
    return [(one["job"]["name"], one["run"]["facets"]["headwater_delivery"]["sequence"]) for one in bodies]


def test_collector_that_is_killed_again_and_again_loses_nothing(tmp_path: Path, path: Path) -> None:
    database = tmp_path / "lineage.db"
    collector = Collector(tmp_path, f"sqlite:///{database}")
    collector.start()
    sender = transport(path, collector.url, linger=0.01, batch_events=50)
    count = 0
    for _ in range(3):
        emit(sender, 400, count)
        collector.kill()
        emit(sender, 200, count + 400)
        count += 600
        collector.start()
    assert sender.failed == 0
    emit(sender, 1, count)
    assert sender.close(30) or _flushed(path, collector.url)
    found = stored(database)
    assert found == [(f"j{number}", number + 1) for number in range(count + 1)]
    answer = requests.get(f"{collector.url}/api/v1/delivery", timeout=10).json()
    assert [(one["received"], one["missing"]) for one in answer["instances"]] == [(count + 1, 0)]
    collector.stop()


def _flushed(path: Path, url: str) -> bool:
    from emitter.outbox.flushing import flush
    from emitter.outbox.inspection import existing

    return all(not one.waiting for one in flush(existing(path), 30))


def test_job_that_is_killed_after_emit_is_told_by_the_next_process(tmp_path: Path, path: Path) -> None:
    database = tmp_path / "lineage.db"
    with Collector(tmp_path, f"sqlite:///{database}") as collector:
        code = "c = OpenLineageClient()\nfor n in range(200): c.emit(event(f'j{n}'))\nos.kill(os.getpid(), 9)"
        status, _, _ = jobs.run(code, jobs.environment(path, collector.url, linger=5))
        assert status == -9
        jobs.run("OpenLineageClient().emit(event('next'))", jobs.environment(path, collector.url, flush_seconds=10))
        assert stored(database) == [*((f"j{n}", n + 1) for n in range(200)), ("next", 201)]
