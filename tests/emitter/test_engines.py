"""Threads and processes: the same results, events and checksums as one after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emitter import JSONIO, MemoryIO, PickleIO, asset, materialize
from emitter.engines import engine_for
from emitter.errors import AssetTimeout, EngineError, NotTransferable, WorkerDied
from tests.emitter.conftest import Events
from tests.emitter.pipelines import everything, prepare, sleeping
from tests.emitter.refusals import refused
from tests.emitter.sameness import comparable_events, comparable_results

ROOT = Path(__file__).parents[2]
ENGINES = ["threads", "processes"]


def run_everything(folder: Path, **how: Any) -> tuple[Any, Any]:
    """Results and events, without what no two runs have in common; first run, then a run where nothing changed."""
    found: list[Any] = []
    for number in range(2):
        events = Events()
        results = materialize(
            everything(folder), store=folder / "metadata.db", config={"token": "s3cret"}, on_event=events, **how
        )
        found.append((comparable_results(results), comparable_events(events, folder)))
        assert "s3cret" not in json.dumps(events), number
    return found[0], found[1]


@pytest.fixture(scope="session")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("sequential")
    prepare(folder)
    return run_everything(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_events_and_checksums_are_the_same_on_every_engine(
    engine: str, sequential: tuple[Any, Any], workdir: Path
) -> None:
    prepare(workdir)
    assert run_everything(workdir, engine=engine, jobs=2) == sequential


def test_the_pipeline_exercises_what_it_is_meant_to(sequential: tuple[Any, Any]) -> None:
    first, again = sequential[0][0], sequential[1][0]
    assert {name: one["status"] for name, one in first.items()} == {
        "after": "upstream_failed",
        "broken": "failed",
        "large": "materialized",
        "model": "materialized",
        "orders": "materialized",
        "prices": "observed",
        "slope": "materialized",
        "small": "materialized",
        "total": "materialized",
    }
    assert {one["status"] for name, one in again.items() if name in ("orders", "small", "large", "model")} == {
        "unchanged"
    }


def noting(name: str, begun: Path, running: Path, meet: int) -> Any:
    """An asset that waits until so many have begun, and returns how many ran meanwhile at most."""
    places = str(begun), str(running)

    @asset(name=name)
    def note() -> int:
        Path(places[0], name).touch()
        mine = Path(places[1], name)
        mine.touch()
        most = 0
        for turn in range(400):
            most = max(most, len(os.listdir(places[1])))
            if len(os.listdir(places[0])) >= meet and turn > 3:
                break
            time.sleep(0.05)
        mine.unlink()
        return most

    return note


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_need_each_other_runs_at_once_and_no_more_than_the_limit(engine: str, workdir: Path) -> None:
    begun, running = workdir / "begun", workdir / "running"
    begun.mkdir()
    running.mkdir()
    results = materialize([noting(name, begun, running, 2) for name in "abcd"], engine=engine, jobs=2)
    assert results.succeeded
    assert max(one.value for one in results.values()) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_timeout_fails_the_asset_and_nothing_more_of_it_is_stored(engine: str) -> None:
    slow = sleeping(1.5 if engine == "threads" else 60, io=JSONIO("data"), timeout=0.3)
    results = materialize([slow, asset(name="quick")(lambda: 1)], engine=engine, jobs=2)
    error = results["slow"].error
    assert isinstance(error, AssetTimeout) and "asset 'slow' took longer than its timeout of 0.3 s" in str(error)
    assert results["quick"].succeeded
    if engine == "threads":
        wait_for(lambda: Path("slow.ended").exists())
        time.sleep(0.1)
    else:
        assert "its process was killed" in str(error) and not Path("slow.ended").exists()
    assert not Path("data").exists()


def test_a_timeout_holds_without_an_engine_too() -> None:
    assert isinstance(materialize(sleeping(1, timeout=0.1))["slow"].error, AssetTimeout)


def test_a_process_that_dies_fails_its_asset_only() -> None:
    @asset
    def crash() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @asset
    def leaves() -> None:
        os._exit(3)

    @asset
    def fine() -> int:
        return 1

    results = materialize([crash, leaves, fine], engine="processes", jobs=2)
    assert isinstance(results["crash"].error, WorkerDied)
    assert "the process that made 'crash' died: killed by SIGKILL, perhaps for want of memory" in str(
        results["crash"].error
    )
    assert "it ended with exit code 3" in str(results["leaves"].error)
    assert results["fine"].value == 1


def test_what_cannot_be_sent_to_a_process_is_told_with_what_to_do() -> None:
    lock = threading.Lock()

    @asset
    def holds() -> bool:
        return lock.locked()

    @asset
    def returns() -> Any:
        return Unpicklable([1])

    @asset
    def numbers() -> list[int]:
        return [1]

    results = materialize([holds, returns, numbers], engine="processes", jobs=1)
    assert isinstance(results["holds"].error, NotTransferable)
    told = str(results["holds"].error)
    assert "asset 'holds' cannot be sent to another process: cannot pickle '_thread.lock' object" in told
    assert "run it with --engine threads, or let its function make what it holds" in told
    told = str(results["returns"].error)
    assert "asset 'returns' returned a Unpicklable that cannot be sent from the process that made it: no pickle" in told
    assert "keep it in a file: io=PickleIO('data/')" in told
    assert results["numbers"].succeeded


def test_a_value_in_memory_that_cannot_be_sent_to_who_needs_it_is_told() -> None:
    @asset
    def held() -> Any:
        return Unpicklable([1])

    @asset
    def needs(held: Any) -> int:
        return 1

    materialize(held)
    error = materialize([held, needs], select="needs", engine="processes", jobs=1)["needs"].error
    assert "the Unpicklable of asset 'held' cannot be sent to the process that makes 'needs': no pickle" in str(error)


class Unpicklable(list[int]):
    def __reduce__(self) -> Any:
        raise TypeError("no pickle")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("no pickle")


def test_an_error_comes_back_from_a_process_with_the_place_where_it_was_raised() -> None:
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} {b}")

    @asset
    def odd() -> None:
        raise Odd(1, 2)

    @asset
    def plain() -> None:
        raise KeyError("gone")

    results = materialize([odd, plain], engine="processes", jobs=1)
    assert str(results["odd"].error) == "Odd: 1 2"
    error = results["plain"].error
    assert isinstance(error, KeyError)
    frame = error.__cause__.frames[-1]  # type: ignore[union-attr]
    assert frame[0] == __file__ and frame[2:] == ("plain", 'raise KeyError("gone")')


@pytest.mark.parametrize(
    ("engine", "jobs", "message"),
    [
        ("thread", None, "no engine is called 'thread'; did you mean 'threads'?"),
        ("spark", None, "no engine is called 'spark'; it is 'threads', 'processes' or 'dask://host:port'"),
        ("threads", 0, "jobs is 0; give the number of assets to run at once, such as 4"),
        (None, True, "jobs is True"),
        ("dask://", None, "'dask://' is no Dask scheduler's address; write it like dask://127.0.0.1:8786"),
        ("dask://host", None, "write it like dask://127.0.0.1:8786"),
        ("dask://host:x", None, "write it like dask://127.0.0.1:8786"),
    ],
)
def test_an_engine_that_is_none_is_refused(engine: Any, jobs: Any, message: str) -> None:
    with refused(EngineError, message):
        engine_for(engine, jobs)


SCRIPT = """
import sys, time
from pathlib import Path
from emitter import JSONIO, asset, materialize
from tests.emitter.conftest import Events

@asset
def quick():
    return 1

@asset(io=JSONIO("data"))
def slow(quick):
    Path("began").touch()
    time.sleep(60)
    Path("ended").touch()
    return 1

@asset
def other(quick):
    Path("also").touch()
    time.sleep(60)

@asset
def never(slow):
    return 1

if __name__ == "__main__":
    events = open("events", "w")
    def write(event):
        print(event.job.name, event.eventType.name, file=events, flush=True)
    materialize([quick, slow, other, never], on_event=write, engine=sys.argv[1] or None, jobs=int(sys.argv[2]))
"""


@pytest.mark.parametrize(("engine", "jobs"), [("", 1), ("threads", 2), ("processes", 2)])
def test_ctrl_c_ends_what_runs_with_abort(engine: str, jobs: int, workdir: Path) -> None:
    (workdir / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "script.py", engine, str(jobs)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    began = workdir / "also" if jobs == 1 else workdir / "began"
    wait_for(lambda: began.exists() and (jobs == 1 or (workdir / "also").exists()))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT, errors.decode()
    told = (workdir / "events").read_text().splitlines()
    running = {"other"} if jobs == 1 else {"slow", "other"}
    assert [one for one in told if one.endswith("ABORT")][-1] == "script ABORT" == told[-1]
    assert {one.split()[0] for one in told if one.endswith("ABORT")} == running | {"script"}
    assert not any(one.startswith("never") for one in told)
    assert not (workdir / "data").exists() and not (workdir / "ended").exists()


def test_a_script_without_a_guard_is_told_so(workdir: Path) -> None:
    (workdir / "script.py").write_text(
        "from emitter import asset, materialize\n"
        "@asset\ndef one(): return 1\n"
        "print(materialize(one, engine='processes', jobs=2)['one'].error)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "call materialize(…) under if __name__ == '__main__'" in done.stdout, done.stderr
    assert done.stderr == ""


def test_values_in_memory_go_to_the_processes_that_need_them() -> None:
    io = MemoryIO()

    @asset(io=io)
    def first() -> list[int]:
        return [1, 2]

    @asset(io=PickleIO("data"))
    def second(first: list[int]) -> list[int]:
        return [*first, os.getpid()]

    results = materialize([first, second], engine="processes", jobs=1)
    assert results["first"].value == [1, 2]
    assert results["second"].value[:2] == [1, 2] and results["second"].value[2] != os.getpid()


def wait_for(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)
