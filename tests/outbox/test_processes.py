"""E4: threads, fork, spawn, prefork, multiprocessing: one sender at a time, no event lost or sent twice, no deadlock.

``HEADWATER_OUTBOX_ROUNDS`` gives the rounds of each, 3 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.outbox import jobs
from tests.outbox.events import emit, event, transport
from tests.outbox.far_end import FarEnd, refusing

ROUNDS = int(os.environ.get("HEADWATER_OUTBOX_ROUNDS", "3"))
WATCHDOG = 10.0


def assert_all_once(far_end: FarEnd, expected: set[str], *, cut_off: bool = False) -> None:
    """Every event came, none twice, and no number is missing or given twice.

    A process that is ``cut_off`` between the collector's answer and writing it down leaves an event that is sent again,
    byte by byte the same.
    """
    came = Counter(far_end.jobs())
    assert set(came) == expected
    distinct = {json.dumps(one) for one in far_end.events} if cut_off else list(map(json.dumps, far_end.events))
    assert len(distinct) == len(expected)
    by_instance: dict[str, list[int]] = {}
    for text in distinct:
        number = json.loads(text)["run"]["facets"]["headwater_delivery"]
        by_instance.setdefault(number["instance"], []).append(number["sequence"])
    for numbers in by_instance.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


def deliver_the_rest(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url)
    sender.emit(event("last"))
    assert sender.close(10)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_os_fork_whose_child_ends_at_once_as_airflows_does(round_: int, path: Path, far_end: FarEnd) -> None:
    code = """
    client = OpenLineageClient()
    client.emit(event("parent"))
    for n in range(20):
        pid = os.fork()
        if pid == 0:
            client.emit(event(f"child {n}"))
            OpenLineageClient().emit(event(f"child {n} anew"))
            os._exit(0)
        client.emit(event(f"between {n}"))
        assert os.waitpid(pid, 0)[1] == 0
    """
    status, _, err = jobs.run(code, jobs.environment(path, far_end.url), WATCHDOG)
    assert (status, err) == (0, "")
    deliver_the_rest(path, far_end)
    names = [
        f"{kind} {n}{end}" for n in range(20) for kind, end in (("child", ""), ("child", " anew"), ("between", ""))
    ]
    assert_all_once(far_end, {"parent", "last", *names}, cut_off=True)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_fork_in_the_middle_of_everything(round_: int, path: Path, far_end: FarEnd) -> None:
    code = """
    import threading
    client = OpenLineageClient()
    stop = threading.Event()
    def work(name):
        n = 0
        while not stop.is_set():
            client.emit(event(f"{name} {n}"))
            n += 1
        counts.append(f"{name} {n}")
    counts = []
    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(3)]
    for thread in threads: thread.start()
    for n in range(15):
        pid = os.fork()
        if pid == 0:
            for m in range(5): client.emit(event(f"child {n} {m}"))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    for thread in threads: thread.join()
    print("\\n".join(counts))
    """
    status, out, err = jobs.run(code, jobs.environment(path, far_end.url), WATCHDOG)
    assert (status, err) == (0, "")
    deliver_the_rest(path, far_end)
    names = {f"child {n} {m}" for n in range(15) for m in range(5)}
    for line in out.splitlines():
        name, count = line.split()
        names |= {f"{name} {n}" for n in range(int(count))}
    assert_all_once(far_end, {"last", *names}, cut_off=True)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_deliver_before_they_end(
    method: str, path: Path, far_end: FarEnd, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        jobs.PRELUDE
        + f"""
import multiprocessing

def work(n):
    client = OpenLineageClient()
    for m in range(5): client.emit(event(f"child {{n}} {{m}}"))

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    OpenLineageClient().emit(event("parent"))
    children = [context.Process(target=work, args=(n,)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
    assert all(child.exitcode == 0 for child in children)
    os._exit(0)  # so that nobody but the children can have sent theirs
"""
    )
    variables = jobs.environment(path, far_end.url, flush_seconds=8)
    done = subprocess.run([sys.executable, str(script)], env=variables, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    names = {f"child {n} {m}" for n in range(3) for m in range(5)}
    assert names <= set(far_end.jobs())
    deliver_the_rest(path, far_end)
    assert_all_once(far_end, {"parent", "last", *names}, cut_off=True)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_prefork_server_whose_master_has_emitted(round_: int, path: Path, far_end: FarEnd) -> None:
    code = """
    client = OpenLineageClient()
    client.emit(event("master"))
    workers = []
    for n in range(4):
        pid = os.fork()
        if pid == 0:
            for m in range(25): client.emit(event(f"worker {n} {m}"))
            sys.exit(0)  # ends as a process ends: with its exit handlers
        workers.append(pid)
    for pid in workers: assert os.waitpid(pid, 0)[1] == 0
    """
    status, _, err = jobs.run(code, jobs.environment(path, far_end.url, flush_seconds=5), WATCHDOG)
    assert (status, err) == (0, "")
    deliver_the_rest(path, far_end)
    assert_all_once(far_end, {"master", "last", *(f"worker {n} {m}" for n in range(4) for m in range(25))})


def test_child_of_a_fork_holds_nothing_of_its_parents(path: Path, far_end: FarEnd) -> None:
    code = f"""
    client = OpenLineageClient()
    client.emit(event("a")); client.transport.flush(5); client.emit(event("b"))
    def held():
        found = []
        for n in os.listdir("/proc/self/fd"):
            try: target = os.readlink(f"/proc/self/fd/{{n}}")
            except OSError: continue
            if {str(path)!r} in target or "socket" in target: found.append(target)
        return found
    def locks(pid): return [line for line in open("/proc/locks") if f" {{pid}} " in line]
    pid = os.fork()
    if pid == 0:
        print(held(), locks(os.getpid()), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    """
    status, out, err = jobs.run(code, jobs.environment(path, far_end.url), WATCHDOG)
    assert (status, out, err) == (0, "[] []\n", "")


def test_several_processes_on_one_outbox_send_one_at_a_time(path: Path, far_end: FarEnd) -> None:
    code = "c = OpenLineageClient()\nfor n in range(100): c.emit(event(f'{sys.argv[0]} {os.getpid()} {n}'))"
    variables = jobs.environment(path, far_end.url, flush_seconds=10)
    processes = [jobs.start(code, variables) for _ in range(4)]
    names = {f"-c {process.pid} {n}" for process in processes for n in range(100)}
    for process in processes:
        assert process.communicate(timeout=30) == ("", "")
    deliver_the_rest(path, far_end)
    assert_all_once(far_end, {"last", *names})


def test_sender_that_is_killed_makes_room_at_once(path: Path) -> None:
    with refusing() as url:
        code = """
        c = OpenLineageClient()
        for n in range(30): c.emit(event(f"j{n}"))
        print("kept", flush=True)
        time.sleep(60)
        """
        process = jobs.start(code, jobs.environment(path, url))
        assert process.stdout is not None and process.stdout.readline() == "kept\n"
        process.kill()
        process.communicate()
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        sender = transport(path, url)
        emit(sender, 1, 30)
        assert sender.close(5)
        assert server.jobs() == [f"j{number}" for number in range(31)]


def test_threads_share_a_transport(path: Path, far_end: FarEnd) -> None:
    sender = transport(path, far_end.url)
    threads = [threading.Thread(target=emit, args=(sender, 100, 100 * n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.close(10)
    assert_all_once(far_end, {f"j{n}" for n in range(800)})
