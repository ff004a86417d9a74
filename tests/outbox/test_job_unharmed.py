"""E1, E2, E5: whatever happens to lineage, the job's exit code and output are what they are without it."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.outbox import jobs
from tests.outbox.events import emit, event, transport
from tests.outbox.far_end import FarEnd, hanging, refusing, resetting, until

JOB = """
client = OpenLineageClient()
for number in range(5):
    client.emit(event(f"j{number}"))
print("the job's output")
print("the job's errors", file=sys.stderr)
sys.exit(3)
"""
EXPECTED = (3, "the job's output\n", "the job's errors\n")


@contextlib.contextmanager
def html() -> Iterator[str]:
    with FarEnd() as server:
        server.reply = lambda path, body: (200, {"Content-Type": "text/html"}, b"<html>please log in</html>")
        yield server.url


@contextlib.contextmanager
def unknown_host() -> Iterator[str]:
    yield "http://no-such-host.invalid:5000"


@contextlib.contextmanager
def no_tls() -> Iterator[str]:
    with FarEnd() as server:
        yield server.url.replace("http:", "https:")


FAR_ENDS: list[Callable[[], contextlib.AbstractContextManager[str]]] = [
    refusing,
    hanging,
    resetting,
    html,
    unknown_host,
    no_tls,
]


@pytest.mark.parametrize("far_end", FAR_ENDS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("place", ["file", "no_place"])
def test_far_end_that_does_not_work_costs_the_job_nothing(
    far_end: Callable[[], contextlib.AbstractContextManager[str]], place: str, path: Path
) -> None:
    target = path if place == "file" else Path("/proc/nowhere/outbox.db")
    with far_end() as url:
        assert jobs.run(JOB, jobs.environment(target, url)) == EXPECTED
    if place == "file":
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT count(*) FROM event").fetchone() == (5,)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": ""},
        {"url": "ftp://host"},
        {"url": "http://host:port"},
        {"timeout": "soon"},
        {"max_bytes": "-5"},
        {"auth": '{"type": "api_key"}'},
        {"auth": '{"type": "no.such.Provider"}'},
        {"compression": "rar"},
        {"synchronous": "sometimes"},
        {"sslcontext": '{"clientKeyPath": "x"}'},
    ],
    ids=str,
)
def test_configuration_that_makes_no_sense_costs_the_job_nothing(settings: dict[str, str], path: Path) -> None:
    from emitter.outbox import OutboxConfig, OutboxTransport

    config = OutboxConfig.from_dict({"url": "http://127.0.0.1:9", "path": path, **_parsed(settings)})
    assert config.problem
    sender = OutboxTransport(config)
    emit(sender, 3)
    assert sender.failed == 3
    assert sender.close()
    assert not path.exists()


def _parsed(settings: dict[str, str]) -> dict[str, object]:
    import json

    return {name: json.loads(value) if value.startswith("{") else value for name, value in settings.items()}


def test_configuration_that_makes_no_sense_changes_no_output(path: Path) -> None:
    assert jobs.run(JOB, jobs.environment(path, "ftp://host")) == EXPECTED


@pytest.mark.parametrize("content", [b"this is no database, but a text of somebody " * 200, b"\x00" * 8192])
def test_file_that_is_no_outbox_is_left_as_it_is_and_events_go_through_memory(
    content: bytes, path: Path, far_end: FarEnd
) -> None:
    path.write_bytes(content)
    assert jobs.run(JOB, jobs.environment(path, far_end.url)) == EXPECTED
    assert far_end.jobs() == [f"j{number}" for number in range(5)]
    assert path.read_bytes() == content


def test_another_programs_database_is_left_as_it_is(path: Path, far_end: FarEnd) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    assert jobs.run(JOB, jobs.environment(path, far_end.url)) == EXPECTED
    assert path.read_bytes() == before
    assert len(far_end.events) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_full_disk_costs_the_job_nothing_and_a_healthy_collector_gets_the_events(
    tmp_path: Path, far_end: FarEnd
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        (disk / "filler").write_bytes(b"x" * 150_000)
        code = JOB.replace("range(5)", "range(400)").replace('f"j{number}"', 'f"j{number}" + os.urandom(400).hex()')
        assert jobs.run(code, jobs.environment(disk / "outbox.db", far_end.url, linger=3)) == EXPECTED
        assert {job[: job.index("j") + 2] for job in far_end.jobs()}
        assert len({event["job"]["name"] for event in far_end.events}) == 400
    finally:
        subprocess.run(["umount", disk], check=True)


def test_hung_collector_does_not_hold_up_a_job_that_is_longer_than_the_limit(path: Path) -> None:
    with hanging() as url:
        sender = transport(path, url, flush_seconds=0.5, linger=0)
        emit(sender, 1)
        until(lambda: sender._file._sender._shipping.sending_for > 0.5)  # type: ignore[union-attr]
        began = time.monotonic()
        assert not sender.close()
        assert time.monotonic() - began < 0.4
        assert sender.failed == 0


def test_hung_collector_is_known_to_the_next_process(path: Path) -> None:
    with hanging() as url:
        sender = transport(path, url, timeout=0.4, linger=0)
        emit(sender, 1)
        assert not sender.close(1)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE destination SET retry_at = retry_at + 30")
        code, _, _ = jobs.run("OpenLineageClient().emit(event())", jobs.environment(path, url, timeout=20), 6)
        assert code == 0


@pytest.mark.parametrize(
    "ending",
    ["os._exit(5)", "raise RuntimeError", "os.kill(os.getpid(), 15); time.sleep(9)", "os.kill(os.getpid(), 9)"],
)
def test_events_survive_every_way_to_end(ending: str, path: Path) -> None:
    with refusing() as url:
        jobs.run(
            f"c = OpenLineageClient()\nfor n in range(20): c.emit(event(f'j{{n}}'))\n{ending}",
            jobs.environment(path, url),
        )
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        sender = transport(path, url)
        emit(sender, 1, 20)
        assert sender.close(5)
        assert server.jobs() == [f"j{number}" for number in range(21)]
        assert server.numbers() == list(range(1, 22))


def test_end_of_a_process_waits_for_delivery(path: Path, far_end: FarEnd) -> None:
    code = "c = OpenLineageClient()\nfor n in range(50): c.emit(event(f'j{n}'))"
    assert jobs.run(code, jobs.environment(path, far_end.url)) == (0, "", "")
    assert len(far_end.events) == 50


def test_signal_handler_that_emits_in_the_middle_of_an_emit_loses_and_blocks_nothing(
    path: Path, far_end: FarEnd
) -> None:
    code = """
    import signal
    c = OpenLineageClient()
    count = 0
    def handler(*_):
        global count
        count += 1
        c.emit(event("from the handler", 2))
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    for n in range(500): c.emit(event(f"j{n}"))
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(count, c.transport.failed)
    """
    status, out, _ = jobs.run(code, jobs.environment(path, far_end.url, flush_seconds=10))
    assert status == 0
    count, failed = map(int, out.split())
    assert len(far_end.events) + failed == 500 + count
    assert failed <= 2  # a handler in a handler, while both outboxes are being opened
    numbers: dict[str, list[int]] = {}
    for one in far_end.events:
        number = one["run"]["facets"]["headwater_delivery"]
        numbers.setdefault(number["instance"], []).append(number["sequence"])
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


def test_emit_never_waits_for_a_process_that_is_stopped_in_the_middle_of_a_write(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url)
    sender.emit(event("before"))
    assert sender.flush(5)
    blocker = subprocess.Popen(
        [
            *("python3", "-c"),
            f"import sqlite3, time; db = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
            "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert blocker.stdout is not None and blocker.stdout.readline() == b"held\n"
    blocker.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    emit(sender, 50)
    assert time.monotonic() - began < 5
    assert sender.failed == 0
    until(lambda: len(far_end.events) == 51)
    blocker.kill()
    blocker.wait()
    sender.close()
