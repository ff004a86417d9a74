"""Dask: a real cluster of processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emitter import JSONIO, AssetResult, PickleIO, asset, load_pipeline, materialize
from emitter.engines.dask import DaskEngine
from emitter.errors import AssetTimeout, EngineError, WorkerDied
from tests.emitter.conftest import Events
from tests.emitter.pipelines import prepare, sleeping
from tests.emitter.refusals import refused
from tests.emitter.test_engines import Unpicklable, run_everything, sequential  # noqa: F401

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a scheduler with two worker processes, as Headwater writes it."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as running,
    ):
        yield running.scheduler_address.replace("tcp://", "dask://")


def test_results_events_and_checksums_are_those_of_one_after_the_other(
    cluster: str,
    sequential: tuple[Any, Any],  # noqa: F811
    workdir: Path,
) -> None:
    prepare(workdir)
    assert run_everything(workdir, engine=cluster) == sequential


def test_the_work_is_done_by_the_workers_and_values_in_memory_go_there_and_back(cluster: str, workdir: Path) -> None:
    @asset
    def numbers() -> list[int]:
        return list(range(500_000))  # more than is sent within a task

    @asset(io=PickleIO(workdir / "data"))
    def who(numbers: list[int]) -> tuple[int, int]:
        return os.getpid(), len(numbers)

    process, count = materialize([numbers, who], engine=cluster)["who"].value
    assert count == 500_000 and process != os.getpid()


def test_a_pipeline_file_runs_there_with_classes_of_its_own(cluster: str, workdir: Path) -> None:
    (workdir / "flow.py").write_text(
        "from dataclasses import dataclass\n"
        "from emitter import PickleIO, asset\n"
        "from steps import twice\n"
        "io = PickleIO('data')\n"
        "@dataclass\nclass Point:\n    x: int\n"
        "@asset(io=io)\ndef point(): return Point(twice(1))\n"
        "@asset\ndef moved(point): return Point(point.x + 1)\n"
    )
    (workdir / "steps.py").write_text("def twice(x): return 2 * x\n")
    graph = load_pipeline(workdir / "flow.py")
    for engine in (cluster, "processes"):
        results = materialize(graph, engine=engine, force=True)
        results.raise_for_failures()
        assert results["moved"].value.x == 3 and results["point"].value.x == 2


def test_what_goes_wrong_there_is_told(cluster: str, workdir: Path) -> None:
    @asset
    def returns() -> Any:
        return Unpicklable([1])

    @asset
    def raises() -> None:
        raise KeyError("gone")

    slow = sleeping(3, timeout=0.2, io=JSONIO(workdir / "data"))
    results = materialize([returns, raises, slow], engine=cluster)
    assert "returned a Unpicklable that cannot be sent" in str(results["returns"].error)
    assert repr(results["raises"].error) == "KeyError('gone')"
    assert isinstance(results["slow"].error, AssetTimeout)


def test_a_worker_that_dies_fails_its_asset_only(workdir: Path) -> None:
    @asset
    def crash() -> None:
        os._exit(1)

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as running,
        distributed.Client(running, set_as_default=False) as client,
    ):
        results = materialize([crash, asset(name="fine")(lambda: 1)], engine=DaskEngine(client=client))
    assert isinstance(results["crash"].error, WorkerDied)
    assert "the Dask worker that made 'crash' died" in str(results["crash"].error)
    assert results["fine"].value == 1


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emitter.engines.dask._CONNECT_SECONDS", 1)
    with refused(EngineError, "no Dask scheduler answers at tcp://127.0.0.1:9", "start one: dask scheduler"):
        materialize(asset(name="one")(lambda: 1), engine="dask://127.0.0.1:9")


def test_an_interrupt_ends_what_runs_there_with_abort(cluster: str, workdir: Path) -> None:
    events = Events()
    slow = sleeping(2, io=JSONIO(workdir / "data"))

    def interrupt(progress: Any) -> None:
        if progress.name == "quick" and isinstance(progress, AssetResult):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        materialize(
            [slow, asset(name="quick")(lambda: 1)], engine=cluster, name="flow", on_progress=interrupt, on_event=events
        )
    assert events.states("slow") == ["START", "ABORT"] and events.states("flow") == ["START", "ABORT"]
    assert events.ending("slow")["run"]["facets"]["headwater_materialization"]["reason"] == "interrupted"
