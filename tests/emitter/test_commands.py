"""The emitter's commands, as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Headwater, failed_with, headwater  # noqa: F401

PIPELINE = '''
import os
from emitter import JSONIO, asset

stored = JSONIO("data")

@asset(io=stored, group="shop")
def orders(*, limit: int = 3) -> list[dict[str, int]]:
    """Orders."""
    print("working")
    return [{"id": number} for number in range(limit)]

@asset(io=stored, tags=["daily"])
def total(orders: list[dict[str, int]]) -> list[int]:
    return [len(orders), os.getpid()]
'''


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(PIPELINE)
    return path


def test_run_takes_config_exclusions_and_engines(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    done = headwater("run", "shop.py", "--config", "orders.limit=5", "--engine", "processes", "--jobs", "2", "--json")
    document = json.loads(done.stdout)
    assert document["assets"][0]["rows"] == 5 and document["succeeded"]
    assert json.loads((pipeline.parent / "data" / "total.json").read_text())[1] != os.getpid()
    again = headwater("run", "shop", "--exclude", "tag:daily", "--jobs", "2", HEADWATER_CONFIG__LIMIT="4")
    assert again.returncode == 0 and "1 asset: 1 materialized" in again.stdout, again.stderr
    assert "config changed: limit 5 → 4" in again.stdout


def test_run_refuses_what_it_cannot_use(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    for arguments, message in (
        (["--config", "limt=5"], "no asset has a parameter 'limt'; did you mean 'limit'?"),
        (["--config", "limit=x"], "limit is 'x', not a whole number"),
        (["--engine", "proceses"], "no engine is called 'proceses'; did you mean 'processes'?"),
        (["--exclude", "totl"], "no asset is called 'totl'; did you mean 'total'?"),
        (["--jobs", "0"], "--jobs"),
    ):
        assert message in failed_with(headwater("run", "shop.py", *arguments), 2)
    assert "neither a file nor a module called shopp" in failed_with(headwater("run", "shopp"), 2)
    assert not (pipeline.parent / "data").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_that_is_interrupted_says_so_and_exits_as_shells_expect(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\nfrom emitter import asset\n"
        "@asset\ndef slow():\n    Path('began').touch()\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "headwater", "run", "slow.py", "--jobs", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    until = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, "Interrupted: what ran was ended, and is run again next time.\n")


def run(headwater: Headwater, *arguments: str) -> None:  # noqa: F811
    done = headwater("run", "shop.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_verify_finds_what_drifted_and_exits_with_1(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater)
    good = headwater("verify")
    assert good.returncode == 0 and "2 stored outputs verified: all are what was materialized." in good.stdout
    orders, total = (pipeline.parent / "data" / f"{name}.json" for name in ("orders", "total"))
    orders.write_text("[]")
    total.unlink()
    bad = headwater("verify", "shop.py")
    assert bad.returncode == 1 and "2 of 2 stored outputs are not what was materialized" in bad.stdout
    assert [line.split()[:2] for line in bad.stdout.splitlines()[1:3]] == [["orders", "drifted"], ["total", "missing"]]
    document = json.loads(headwater("verify", "--select", "orders", "--json").stdout)
    assert [(one["asset"], one["verdict"]) for one in document] == [("orders", "drifted")]
    assert document[0]["expected"] != document[0]["found"]


def test_verify_and_why_find_the_namespace_that_was_used(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater, "--namespace", "shop")
    for arguments in ([], ["shop.py"], ["--namespace", "shop"]):
        assert "2 stored outputs verified" in headwater("verify", *arguments).stdout
    assert "0 stored outputs verified" in headwater("verify", "--namespace", "other").stdout
    assert "would not run" in headwater("why", "total", "--pipeline", "shop.py").stdout
    (pipeline.parent / "data" / "total.json").write_text("[]")
    assert headwater("verify", "shop.py").returncode == 1
    run(headwater, "--namespace", "second")
    assert headwater("verify").returncode == 1  # of the two only the second is what was materialized


def test_verify_says_what_it_cannot_look_at(headwater: Headwater, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "shop.py").write_text(
        "from emitter import asset, source_asset, TextIO\n"
        "note = source_asset('note', io=TextIO('in'))\n"
        "@asset\ndef kept(note): return note\n"
        "@asset(io=TextIO('data'))\ndef never(): return 'x'\n"
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("x")
    run(headwater, "--exclude", "never")
    done = headwater("verify")
    assert done.returncode == 0
    for told in ("a source: others write it", "kept in the memory of the process that made it", "never materialized"):
        assert told in done.stdout


def test_history_lists_the_versions(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater)
    run(headwater, "--config", "limit=7")
    done = headwater("history", "orders")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["#", "materialized", "version", "code", "checksum", "rows", "seconds", "why"]
    assert lines[1].split()[0] == "2" and lines[1].endswith("config changed: limit 3 → 7")
    assert lines[2].split()[0] == "1" and lines[2].endswith("first materialization")
    (newest,) = json.loads(headwater("history", "orders", "--limit", "1", "--json").stdout)
    assert (newest["number"], newest["rows"], newest["config"]) == (2, 7, {"limit": "7"})


def test_why_says_what_would_run_and_runs_nothing(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater)
    assert headwater("why", "total").stdout.startswith(
        "total would not run: code, upstream and output are as they were."
    )
    pipeline.write_text(PIPELINE.replace("for number in range(limit)", "for number in range(1, limit)"))
    done = headwater("why", "total")
    assert "total would run if its upstream comes out different." in done.stdout
    assert "Before it orders would run: code changed." in done.stdout
    assert "orders would run: code changed." in headwater("why", "orders").stdout
    document = json.loads(headwater("why", "orders", "--config", "limit=9", "--json").stdout)
    assert (document["runs"], document["reason"], document["pending"]) == (True, "code changed", {})
    (pipeline.parent / "data" / "total.json").unlink()
    assert "total would run: output missing." in headwater("why", "total", "--pipeline", "shop.py").stdout
    assert "numbers" not in os.listdir(pipeline.parent / "data")


def test_why_of_a_source_that_changed(headwater: Headwater, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "shop.py").write_text(
        "from emitter import asset, source_asset, TextIO\n"
        "note = source_asset('note', io=TextIO('in'))\n"
        "@asset(io=TextIO('data'))\ndef copy(note): return note\n"
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("x")
    run(headwater)
    (tmp_path / "in" / "note.txt").write_text("y")
    assert "copy would run: upstream note changed." in headwater("why", "copy").stdout
    assert "copy would run: upstream note changed." in headwater("why", "copy").stdout  # looking changed nothing


def test_diff_says_what_changed_between_versions(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater)
    run(headwater, "--config", "limit=7")
    done = headwater("diff", "orders")
    assert done.returncode == 0
    found = {line.split("  ")[0]: line.split()[-2:] for line in done.stdout.splitlines()[1:]}
    assert found["config limit"] == ["3", "7"] and found["rows"] == ["3", "7"] and "checksum" in found
    assert "code" not in found
    document = json.loads(headwater("diff", "orders", "2", "1", "--json").stdout)
    assert document["changes"]["rows"] == {"before": "7", "after": "3"}
    checksum = document["before"]["checksum"].partition(":")[2][:8]
    assert headwater("diff", "orders", checksum, "latest").stdout == "Nothing that was recorded differs.\n"


def test_what_is_not_there_is_told(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    for command in (["verify"], ["history", "orders"], ["why", "orders"], ["diff", "orders"]):
        message = failed_with(headwater(*command), 1)
        assert "there is no metadata store at .headwater/metadata.db; run a pipeline first" in message
    run(headwater)
    for command in (["history", "ordrs"], ["why", "ordrs"], ["diff", "ordrs"]):
        message = failed_with(headwater(*command), 1)
        assert "knows no asset 'ordrs'; did you mean 'orders'?" in message
    assert "has one version only, so there is no previous one" in failed_with(headwater("diff", "orders"), 1)
    message = failed_with(headwater("diff", "orders", "7", "latest"), 1)
    assert "'orders' has no version '7'; give a number from 1 to 1" in message
    run(headwater, "--namespace", "other")
    message = failed_with(headwater("history", "orders"), 1)
    assert "'orders' is in 2 namespaces: default, other; say which: --namespace default" in message
    assert headwater("history", "orders", "--namespace", "other").returncode == 0


def test_a_corrupt_metadata_store_is_told_and_left_as_it_is(headwater: Headwater, pipeline: Path) -> None:  # noqa: F811
    run(headwater)
    store = pipeline.parent / ".headwater" / "metadata.db"
    for left in store.parent.glob("metadata.db-*"):
        left.unlink()
    store.write_bytes(b"not a database at all" * 200)
    before = store.read_bytes()
    for command in (["verify"], ["history", "orders"], ["why", "orders"], ["diff", "orders"], ["run", "shop.py"]):
        message = failed_with(headwater(*command), 1)
        assert "metadata.db is damaged" in message and "Nothing was changed in it" in message
    assert store.read_bytes() == before


def test_each_command_has_help_with_an_example(headwater: Headwater) -> None:  # noqa: F811
    for command in ("verify", "history", "why", "diff"):
        text = headwater(command, "--help").stdout
        assert f"headwater {command}" in text and "Examples:" in text and "--json" in text


def test_run_numbers_each_line_by_its_own_asset_and_tells_of_attempts(
    headwater: Headwater,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "flow.py").write_text(
        "from pathlib import Path\nfrom emitter import Retry, asset, multi_asset\n"
        "@asset(retries=Retry(times=1, delay=0))\ndef first():\n"
        "    if not Path('tried').exists():\n        Path('tried').touch()\n        raise OSError('not now')\n"
        "@multi_asset(outs=['a', 'b'])\ndef both(first): return 1, 2\n"
    )
    done = headwater("run", "flow.py", "--jobs", "2")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("[1/2] materialized    first") and lines[0].endswith("2 attempts")
    assert [line.split()[:3:2] for line in lines[1:3]] == [["[2/2]", "a"], ["[2/2]", "b"]]
