"""2xx means durable, and trouble means 503 within a second: real processes, killed, starved and cut off."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.transport.async_http import AsyncHttpConfig, AsyncHttpTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport
from sqlalchemy import create_engine, make_url, text

from collector.decode import decode
from collector.rebuild import rebuild
from collector.store.engines import open_engine
from tests.collector.databases import postgresql_database, postgresql_server
from tests.collector.events import raw, run_event
from tests.collector.processes import Collector, Load
from tests.collector.stores import state, stored_events

KILLS = int(os.environ.get("HEADWATER_KILL_ROUNDS", "4"))  # rounds on each engine; a release runs 200


def event_body(number: int) -> bytes:
    """START and COMPLETE of run ``number // 2``, of one of seven jobs over a few datasets."""
    kind = ("START", "COMPLETE")[number % 2]
    run, job = number // 2 + 1, number // 2 % 7
    time_ = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return raw(run_event(kind, time_, run=run, job=f"j{job}", inputs=(f"in{job}",), outputs=(f"out{job}", "all")))


def stored_hashes(database: str) -> set[bytes]:
    """The content hashes of every stored event."""
    engine = open_engine(database)
    found = stored_events(engine)
    engine.dispose()
    return found


def test_killed_collector_has_every_acknowledged_event(database: str, tmp_path: Path) -> None:
    chooser = random.Random(7)
    collector = Collector(tmp_path, database)
    acknowledged: list[bytes] = []
    first = 0
    for _ in range(KILLS):
        collector.start()
        with Load(collector.url, event_body, first=first) as load:
            time.sleep(chooser.uniform(0.2, 0.8))
            collector.kill()
        acknowledged += load.acknowledged
        first = load.sent
    assert len(acknowledged) > 100
    assert {decode(body).hash for body in acknowledged} <= stored_hashes(database)
    engine = open_engine(database)
    live = state(engine)
    rebuild(engine)
    assert state(engine) == live
    engine.dispose()


def test_stopped_collector_answers_what_is_under_way_and_exits_with_0(database: str, tmp_path: Path) -> None:
    with Collector(tmp_path, database) as collector:
        with Load(collector.url, event_body) as load:
            time.sleep(0.5)
            assert collector.stop() == 0
        assert {decode(body).hash for body in load.acknowledged} <= stored_hashes(database)
    assert not [status for status, _ in load.answers if status >= 500 and status != 503]


def test_more_load_than_can_be_committed_is_503_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with Load(collector.url, event_body, threads=32) as load:
            time.sleep(3)
            readers = requests.get(f"{collector.url}/api/v1/events/lineage?limit=1", timeout=2)
        blocker.execute("ROLLBACK")
        blocker.close()
        assert readers.status_code == 200  # readers never wait for the writer
        assert {status for status, _ in load.answers} == {503}
        assert max(seconds for _, seconds in load.answers) < 1.5  # 0.9 s by its own clock; two busy cores for the rest
        answer = requests.post(f"{collector.url}/api/v1/lineage", event_body(0), timeout=5)
        assert answer.status_code == 201  # resumed by itself


def test_503_says_come_again_in_a_second(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        answer = requests.post(f"{collector.url}/api/v1/lineage", event_body(0), timeout=5)
        blocker.close()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["code"] == 503


def test_full_disk_is_503_without_partial_rows_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        for number in range(50):
            assert requests.post(f"{collector.url}/api/v1/lineage", event_body(number), timeout=5).status_code == 201
        before = len(stored_hashes(collector.database))
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        for pid in collector.pids():  # no file may grow any more: what a full disk does to a write
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        big = run_event(run=10**6, run_facets={"big": {"text": random.Random(1).randbytes(300_000).hex()}})
        answers = [requests.post(f"{collector.url}/api/v1/lineage", raw(big), timeout=5) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {503}
        assert requests.get(f"{collector.url}/api/v1/events/lineage?limit=1", timeout=5).status_code == 200
        for pid in collector.pids():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        assert len(stored_hashes(collector.database)) == before
        assert requests.post(f"{collector.url}/api/v1/lineage", raw(big), timeout=5).status_code == 201
    engine = open_engine(collector.database)
    live = state(engine)
    rebuild(engine)
    assert state(engine) == live
    engine.dispose()


def resident_bytes(collector: Collector) -> int:
    """What the collector's processes hold in memory."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in collector.pids())
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_bounded_under_more_load_than_can_be_committed(tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    rest = random.Random(3).randbytes(100_000).hex()

    def big(number: int) -> bytes:  # 200 KB each: the queue is full at 64 MB
        return raw(run_event(run=number + 1, run_facets={"big": {"text": f"{number}{rest}"}}))

    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        for number in range(20):
            assert requests.post(f"{collector.url}/api/v1/lineage", big(number), timeout=5).status_code == 201
        base = resident_bytes(collector)
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with Load(collector.url, big, threads=48, first=20) as load:
            time.sleep(4)
        under_load = resident_bytes(collector)
        blocker.execute("ROLLBACK")
        blocker.close()
    assert len(load.answers) > 100
    assert {status for status, _ in load.answers} == {503}
    assert under_load - base < 96 * 1024 * 1024  # 64 MB of queue, and the bodies being read


@pytest.fixture
def own_server() -> Iterator[str]:
    """A PostgreSQL server that a test may hurt."""
    with postgresql_server() as url:
        yield url


def test_lost_postgresql_connections_heal_by_themselves(own_server: str, tmp_path: Path) -> None:
    admin = create_engine(make_url(own_server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :name"
    )
    with postgresql_database(own_server) as database, Collector(tmp_path, database) as collector:
        name = make_url(database).database
        with Load(collector.url, event_body) as load:
            for _ in range(5):
                time.sleep(0.3)
                with admin.connect() as connection:
                    connection.execute(kill, {"name": name})
            time.sleep(0.5)
        assert {status for status, _ in load.answers} <= {201, 503}
        assert load.answers[-1][0] == 201
        assert {decode(body).hash for body in load.acknowledged} <= stored_hashes(database)
    admin.dispose()


def test_stuck_postgresql_is_503_within_a_second_and_resumes(own_server: str, tmp_path: Path) -> None:
    with postgresql_database(own_server) as database, Collector(tmp_path, database) as collector:
        assert requests.post(f"{collector.url}/api/v1/lineage", event_body(0), timeout=5).status_code == 201
        backends = backend_pids(own_server)
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            with Load(collector.url, event_body, threads=4) as load:
                time.sleep(3)
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        assert {status for status, _ in load.answers} == {503}
        assert max(seconds for _, seconds in load.answers) < 1.5
        answer = requests.post(f"{collector.url}/api/v1/lineage", event_body(0), timeout=5)
        assert answer.status_code == 201


def backend_pids(server: str) -> list[int]:
    """The processes of every connection to ``server`` but the one that asks."""
    admin = create_engine(make_url(server).set(drivername="postgresql+psycopg"))
    with admin.connect() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname LIKE 'test%' AND pid <> pg_backend_pid()")
        found = list(connection.execute(query).scalars())
    admin.dispose()
    return found


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_stock_clients_lose_nothing_while_the_store_is_locked(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lineage.db"
    runs = [f"00000000-0000-0000-0000-{number:012d}" for number in range(1, 41)]
    with Collector(tmp_path, f"sqlite:///{path}") as collector:
        locked = threading.Event()

        def lock() -> None:
            blocker = sqlite3.connect(path, isolation_level=None)
            for _ in range(2):
                blocker.execute("BEGIN IMMEDIATE")
                locked.set()
                time.sleep(1.5)
                blocker.execute("ROLLBACK")
                time.sleep(0.3)
            blocker.close()

        blocking = threading.Thread(target=lock)
        blocking.start()
        locked.wait()
        transport = (
            HttpTransport(HttpConfig(url=collector.url))
            if kind == "sync"
            else AsyncHttpTransport(AsyncHttpConfig(url=collector.url))
        )
        client = OpenLineageClient(transport=transport)
        for run in runs:
            client.emit(
                RunEvent(
                    eventType=RunState.COMPLETE,
                    eventTime="2026-01-01T00:00:00Z",
                    run=Run(runId=run),
                    job=Job(namespace="jobs", name="load"),
                    producer="https://example.com/tests",
                )
            )
        assert client.close(30)
        blocking.join()
        found = requests.get(f"{collector.url}/api/v1/events/lineage?limit=1000", timeout=5).json()["events"]
    assert {event["run"]["runId"] for event in found} == set(runs)


def test_several_workers_share_one_postgresql(postgresql: str, tmp_path: Path) -> None:
    with postgresql_database(postgresql) as database:
        with Collector(tmp_path, database, "--workers", "2") as collector:
            with Load(collector.url, event_body, threads=16) as load:
                time.sleep(2)
            assert {status for status, _ in load.answers} == {201}
        assert {decode(body).hash for body in load.acknowledged} <= stored_hashes(database)
        engine = open_engine(database)
        live = state(engine)
        rebuild(engine)
        assert state(engine) == live
        engine.dispose()
