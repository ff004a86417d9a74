"""How assets are run: again where they fail, always or only if something changed, some of them and not others."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from emitter import JSONIO, Asset, AssetGraph, AssetResult, PickleIO, Retry, asset, check, load_pipeline, materialize
from emitter.errors import InvalidAsset, PipelineError, SelectionError
from emitter.retry import may_help
from tests.emitter.conftest import Events
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]
AT_ONCE = Retry(times=3, delay=0.0)


def flaky(failures: int, retries: Any = AT_ONCE, **declared: Any) -> tuple[Asset, list[int]]:
    """An asset that fails so many times, and a list that grows when it runs."""
    runs: list[int] = []

    @asset(retries=retries, **declared)
    def flaky() -> int:
        runs.append(1)
        if len(runs) <= failures:
            raise ConnectionError("not now")
        return 1

    return flaky, runs


def test_what_fails_is_tried_again_and_the_attempts_are_counted() -> None:
    one, runs = flaky(2)
    result = materialize(one)["flaky"]
    assert (result.status, result.attempts, len(runs)) == ("materialized", 3, 3)


def test_after_the_last_attempt_it_has_failed() -> None:
    one, runs = flaky(9)
    result = materialize(one)["flaky"]
    assert (result.status, result.attempts, len(runs)) == ("failed", 4, 4)
    assert str(result.error) == "not now"


def test_a_check_that_fails_is_no_reason_to_try_again() -> None:
    one, runs = flaky(0, checks=[check(lambda value: False, name="never")])
    assert (materialize(one)["flaky"].status, len(runs)) == ("failed", 1)
    assert not may_help(KeyboardInterrupt())


def test_the_waits_grow_to_a_limit_and_are_not_all_the_same() -> None:
    exact = Retry(times=5, delay=1, factor=3, longest=10, jitter=0)
    assert list(exact.waits()) == [1, 3, 9, 10, 10]
    waits = [next(Retry(times=1, delay=8, jitter=0.5).waits()) for _ in range(50)]
    assert all(4 <= one <= 8 for one in waits) and len(set(waits)) > 1


def test_declarations_of_how_to_run_that_cannot_be_used_are_refused() -> None:
    def one() -> int:
        return 1

    with refused(InvalidAsset, "asset 'one' at test_running.py:", "has retries=-1; give a number, or Retry("):
        asset(retries=-1)(one)
    with refused(InvalidAsset, "has the timeout 0; give seconds, such as timeout=60"):
        asset(timeout=0)(one)
    with refused(InvalidAsset, "has the policy 'alway'; did you mean 'always'?"):
        asset(policy="alway")(one)
    with refused(InvalidAsset, "has the group ''; give a name"):
        asset(group="")(one)
    with refused(InvalidAsset, "Retry has times='3'; give the number of further attempts"):
        Retry(times="3")  # type: ignore[arg-type]
    with refused(InvalidAsset, "cannot be waited by: no time is negative, factor ≥ 1, jitter 0 to 1"):
        Retry(delay=-1)


def test_an_asset_may_always_run() -> None:
    always = asset(name="now", policy="always", io=JSONIO("data"))(lambda: 1)
    materialize(always)
    assert materialize(always)["now"].reason == "its policy is always"


def shop() -> AssetGraph:
    def made(name: str, *needed: str, **declared: Any) -> Asset:
        return asset(name=name, deps=needed, **declared)(lambda: name)

    return AssetGraph(
        [
            made("raw"),
            made("orders", "raw", group="sales"),
            made("items", "raw", tags=["big"]),
            made("report", "orders"),
        ]
    )


def test_groups_are_selected_and_what_is_excluded_is_left_out() -> None:
    graph = shop()
    assert graph.select("group:sales+") == ["orders", "report"]
    assert graph.select(None, "tag:big") == ["raw", "orders", "report"]
    assert graph.select("raw+", ["orders+"]) == ["raw", "items"]
    assert list(materialize(graph, exclude="report,tag:big")) == ["raw", "orders"]
    with refused(SelectionError, "no asset has the group 'sale'; did you mean 'sales'?"):
        graph.select("group:sale")
    with refused(SelectionError, "nothing is left to run: everything that is selected is excluded too"):
        graph.select("orders", "raw+")
    with refused(SelectionError, "no asset has the tag 'small'; the tags are big"):
        graph.select(exclude="tag:small", expression=None)


class Model:
    """Something that a weak reference can be held to."""


@pytest.mark.parametrize("jobs", [1, 2])
def test_values_are_dropped_when_no_one_needs_them_in_threads_too(jobs: int) -> None:
    references: list[weakref.ref[Any]] = []
    alive: dict[str, bool] = {}

    @asset(io=PickleIO("data"))
    def first() -> Model:
        value = Model()
        references.append(weakref.ref(value))
        return value

    @asset(io=PickleIO("data"))
    def second(first: Model) -> int:
        return 2

    @asset(io=PickleIO("data"), deps=["second"])
    def third() -> int:
        gc.collect()
        alive["third"] = references[0]() is not None
        return 3

    assert materialize([first, second, third], jobs=jobs).succeeded
    assert alive == {"third": False}


def test_progress_and_events_are_told_one_at_a_time() -> None:
    inside: list[int] = []
    most: list[int] = []
    threads: set[str] = set()

    def tell(_: Any) -> None:
        inside.append(1)
        most.append(len(inside))
        threads.add(threading.current_thread().name)
        inside.pop()

    assets = [asset(name=f"a{number}")(lambda: time.sleep(0.002)) for number in range(40)]
    assert materialize(assets, jobs=4, on_progress=tell, on_event=tell).succeeded
    assert set(most) == {1} and len(threads) > 1


def test_a_callback_that_raises_in_a_thread_ends_the_run_and_is_heard() -> None:
    events = Events()

    def complain(progress: Any) -> None:
        if progress.name == "b" and isinstance(progress, AssetResult):
            raise RuntimeError("no more")

    assets = [asset(name=name)(lambda: 1) for name in "abcdef"]
    with pytest.raises(RuntimeError, match="no more"):
        materialize(assets, jobs=2, name="flow", on_progress=complain, on_event=events)
    assert events.states("flow") == ["START", "ABORT"]
    assert all(events.states(name) in ([], ["START", "COMPLETE"], ["START", "ABORT"]) for name in "abcdef")
    assert events[-1]["job"]["name"] == "flow"


def test_a_notebook_shows_a_graph_as_a_diagram() -> None:
    shown = shop()._repr_mimebundle_()
    assert shown["text/vnd.mermaid"] == shop().to_mermaid()
    assert shown["text/markdown"].startswith("```mermaid\nflowchart LR") and shown["text/markdown"].endswith("```\n")
    assert shown["text/plain"] == "<AssetGraph of 4 assets>"


def test_assets_come_from_a_file_a_module_its_name_or_a_list(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "flows").mkdir()
    (workdir / "flows" / "__init__.py").touch()
    (workdir / "flows" / "nightly.py").write_text(
        "from emitter import asset, multi_asset\n"
        "@asset\ndef one(): return 1\n"
        "@multi_asset(outs=['a', 'b'])\ndef both(one): return one, one\n"
    )
    monkeypatch.syspath_prepend(str(workdir))
    by_name = load_pipeline("flows.nightly")
    by_file = load_pipeline(workdir / "flows" / "nightly.py")
    by_module = load_pipeline(sys.modules["flows.nightly"])
    for graph in (by_name, by_file, by_module):
        assert (sorted(graph.assets), graph.name) == (["a", "b", "one"], "nightly")
    assert by_name.source == by_file.source == workdir / "flows" / "nightly.py"
    assert sorted(load_pipeline(list(by_name)).assets) == ["a", "b", "one"]
    with refused(PipelineError, "there is neither a file nor a module called flows.weekly; give a pipeline's .py file"):
        load_pipeline("flows.weekly")
    (workdir / "flows" / "broken.py").write_text("import nonsuch_module\n")
    with refused(PipelineError, "the module flows.broken does not import: No module named 'nonsuch_module'"):
        load_pipeline("flows.broken")


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_pipeline_works_under_python_m(engine: str, workdir: Path) -> None:
    (workdir / "flows").mkdir()
    (workdir / "flows" / "nightly.py").write_text(
        "from emitter import asset, materialize\n"
        "class Point:\n    def __init__(self, x): self.x = x\n"
        "from emitter import PickleIO\n"
        "@asset(io=PickleIO('data'))\ndef point(): return Point(1)\n"
        "@asset\ndef moved(point): return point.x + 1\n"
        "if __name__ == '__main__':\n"
        f"    told = []\n    results = materialize([point, moved], engine='{engine}', on_event=told.append)\n"
        "    results.raise_for_failures()\n"
        "    print(results['moved'].value, told[0].job.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "flows.nightly"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "2 nightly\n", done.stderr
