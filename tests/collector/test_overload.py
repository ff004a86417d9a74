"""More than can be stored, and a disk that takes no more: producers are told so within a second, and it heals."""

from __future__ import annotations

import shutil
import subprocess
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from benchmarks import load, overload, processes
from benchmarks.events import small_event
from benchmarks.load import Plan
from collector.decode import decode
from collector.errors import Unavailable
from collector.rebuild import rebuild
from collector.store.engines import open_engine
from collector.writer import Writer
from tests.collector.events import raw, run_event
from tests.collector.processes import Collector
from tests.collector.stores import state, stored_events

SECOND = 1_500  # ms: 0.9 s by the collector's own clock; two busy cores for the rest


def test_three_times_the_top_rate_is_answered_within_a_second(database: str, tmp_path: Path) -> None:
    """Single events, then batches, from many more connections than the server has threads."""
    acknowledged: set[bytes] = set()
    with processes.collector(tmp_path, database) as server:
        first = 0
        for size, connections in ((1, 300), (100, 240)):
            warm = load.run(Plan(server.port, 0.7, events_per_request=size, first=first, expected_rate=2_000 / size))
            plan = Plan(
                server.port,
                2,
                events_per_request=size,
                connections=connections,
                first=warm.next_event,
                rate=3 * warm.requests / warm.elapsed,
            )
            waits, _, _ = overload.drive(server, plan, tmp_path / "acknowledged")
            first = waits.next_event
            assert set(waits.statuses) <= {"200", "201", "503"}
            assert waits.longest < SECOND
            numbers = array("Q")
            numbers.frombytes((tmp_path / "acknowledged").read_bytes())
            assert len(numbers) > 100
            acknowledged.update(decode(small_event(number)).hash for number in numbers)
        time.sleep(1)  # what Retry-After says
        answer = requests.post(f"{server.url}/api/v1/lineage", small_event(first), timeout=5)
        assert (answer.status_code, answer.elapsed.total_seconds() < 1) == (201, True)
    engine = open_engine(database)
    assert acknowledged <= stored_events(engine)
    engine.dispose()


def test_request_that_would_wait_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    writer = Writer(open_engine(f"sqlite:///{tmp_path / 'never.db'}"))
    writer._paces.append(1 / 1_000_000)  # a megabyte a second
    with writer.admitted(600_000), pytest.raises(Unavailable), writer.admitted(1):  # the first: whatever its size
        pass
    with writer.admitted(300_000), writer.admitted(300_000):
        pass
    with writer.admitted(600_000):
        pass


# --- a disk that becomes read-only -----------------------------------------------------------------------------------


class ReadOnly:
    """A database's files that the kernel lets nobody write, not even root, open as they are: EPERM at each write."""

    def __init__(self, path: Path) -> None:
        self._files = [str(path), f"{path}-wal"]

    def __enter__(self) -> None:
        made = subprocess.run(["chattr", "+i", *self._files], capture_output=True, text=True)
        if made.returncode:
            self.__exit__()
            pytest.skip(f"files cannot be made immutable here (root and ext4 can): {made.stderr.strip()}")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["chattr", "-i", *self._files], capture_output=True)


def test_read_only_disk_is_503_with_readers_served_and_heals(tmp_path: Path) -> None:
    if shutil.which("chattr") is None:
        pytest.skip("there is no chattr here")
    path = tmp_path / "lineage.db"
    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        lineage = f"{collector.url}/api/v1/lineage"

        def post(number: int) -> requests.Response:
            return requests.post(lineage, raw(run_event(run=number, outputs=("a",))), timeout=5)

        def read(_: int) -> int:
            return requests.get(f"{collector.url}/api/v1/events/lineage?limit=50", timeout=5).status_code

        assert {post(number).status_code for number in range(1, 31)} == {201}
        with ReadOnly(path), ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(post, range(100, 116)))
            # many at once: some open a connection of their own, on a file that can only be read
            assert set(pool.map(read, range(48))) == {200}
            answers += list(pool.map(post, range(200, 216)))
        assert {(one.status_code, one.headers.get("Retry-After")) for one in answers} == {(503, "1")}
        assert max(one.elapsed.total_seconds() for one in answers) < SECOND / 1000
        engine = open_engine(collector.database)
        assert len(stored_events(engine)) == 30
        assert {post(number).status_code for number in range(100, 140)} == {201}  # by itself
        assert len(stored_events(engine)) == 70
        live = state(engine)
    rebuild(engine)
    assert state(engine) == live
    engine.dispose()
