"""``headwater run``, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from tests.cli.conftest import Headwater, failed_with


def test_run_prints_a_line_per_asset_and_a_table(headwater: Headwater, pipeline: Path) -> None:
    done = headwater("run", "pipeline.py")

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("[1/3] materialized    raw_orders  3 rows")
    heading = next(number for number, line in enumerate(lines) if line.startswith("asset"))
    assert lines[heading].split() == ["asset", "status", "version", "checksum", "rows", "seconds", "why"]
    name, status, version, checksum, rows, seconds, *why = lines[heading + 2].split()
    assert (name, status, version, rows, why) == ("orders", "materialized", "2", "3", ["first", "materialization"])
    assert len(checksum) == 12 and float(seconds) >= 0
    assert "3 assets: 3 materialized" in lines[-1]
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in done.stdout + done.stderr


def test_second_run_makes_nothing_again_and_says_so(headwater: Headwater, pipeline: Path) -> None:
    headwater("run", "pipeline.py")
    done = headwater("run", "pipeline.py")

    assert done.returncode == 0
    assert "3 assets: 3 unchanged" in done.stdout
    assert "Nothing had changed" in done.stdout
    forced = headwater("run", "pipeline.py", "--force")
    assert "3 assets: 3 materialized" in forced.stdout


def test_selection_runs_only_what_is_meant(headwater: Headwater, pipeline: Path) -> None:
    headwater("run", "pipeline.py")
    done = headwater("run", "pipeline.py", "--select", "orders+", "--force", "--json")
    assert [one["name"] for one in json.loads(done.stdout)["assets"]] == ["orders", "revenue"]
    done = headwater("run", "pipeline.py", "--select", "tag:daily", "--select", "raw_orders", "--json")
    assert [one["name"] for one in json.loads(done.stdout)["assets"]] == ["raw_orders", "orders"]


def test_selection_of_no_asset_is_a_usage_error(headwater: Headwater, pipeline: Path) -> None:
    assert "no asset is called 'ordrs'; did you mean 'orders'?" in failed_with(
        headwater("run", "pipeline.py", "--select", "ordrs+"), 2
    )
    assert "no asset has the tag 'nightly'" in failed_with(
        headwater("run", "pipeline.py", "--select", "tag:nightly"), 2
    )


def test_json_is_the_only_thing_on_stdout(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(
        "from emitter import asset\nprint('loading')\n@asset\ndef numbers():\n    print('working')\n    return [1, 2]\n"
    )
    done = headwater("run", "chatty.py", "--json")

    document = json.loads(done.stdout)
    assert document["succeeded"] is True
    assert document["assets"][0] | {"name": "numbers", "status": "materialized"} == document["assets"][0]
    assert document["assets"][0]["checksum"].startswith("blake3:")
    assert document["assets"][0]["updatedAt"].endswith("Z")
    assert "loading" in done.stderr and "working" in done.stderr and "materialized    numbers" in done.stderr


def test_asset_that_fails_shows_where_and_what_and_the_rest_is_done(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from emitter import asset\n"
        "@asset\ndef numbers():\n    return [1]\n"
        "@asset\ndef halves(numbers):\n    return divide(numbers[0], 0)\n"
        "@asset\ndef report(halves):\n    return halves\n"
        "@asset\ndef other(numbers):\n    return 2\n"
        "def divide(a, b):\n    return a / b\n"
    )
    done = headwater("run", "broken.py")

    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "halves failed" in done.stdout
    assert "broken.py:7 in halves: return divide(numbers[0], 0)" in done.stdout
    assert "broken.py:15 in divide: return a / b" in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert "run the same command" in done.stdout
    assert "4 assets: 2 materialized, 1 failed, 1 upstream failed" in done.stdout
    assert "upstream halves failed" in done.stdout


def test_check_that_fails_shows_what_was_expected_and_found(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "checked.py").write_text(
        "import pandas as pd\nfrom emitter import asset, between, not_null\n"
        "@asset(checks=[not_null('id'), between('id', 0, 10, severity='warn')])\n"
        "def orders():\n    return pd.DataFrame({'id': [1, None, 99]})\n"
    )
    done = headwater("run", "checked.py")

    assert done.returncode == 1
    assert "check not_null(id): " in done.stdout and "expected 0 missing, found 1 missing" in done.stdout
    assert "warning between(id): " in done.stdout
    document = json.loads(headwater("run", "checked.py", "--json").stdout)
    assert document["succeeded"] is False
    assert [check["success"] for check in document["assets"][0]["checks"]] == [False, False]
    assert document["assets"][0]["error"]["type"] == "ChecksFailed"


def test_warning_does_not_fail_the_run(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "warned.py").write_text(
        "import pandas as pd\nfrom emitter import asset, not_null\n"
        "@asset(checks=[not_null('id', severity='warn')])\n"
        "def orders():\n    return pd.DataFrame({'id': [1, None]})\n"
    )
    done = headwater("run", "warned.py")
    assert done.returncode == 0
    assert "1 warning" in done.stdout and "orders is materialized, with a warning" in done.stdout


def test_lineage_arrives_and_the_suggested_command_draws_it(
    headwater: Headwater, pipeline: Path, collector: str
) -> None:
    done = headwater("run", "pipeline.py", "--collector", collector, "--namespace", "run-test")

    assert done.returncode == 0
    suggested = next(line for line in done.stdout.splitlines() if line.startswith("See where"))
    assert "--node job:run-test:revenue" in suggested
    drawn = headwater(*suggested.partition(": headwater ")[2].split())
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith("flowchart LR") and "raw_orders" in drawn.stdout
    answer = requests.get(
        f"{collector}/api/v1/lineage/upstream",
        params={"nodeId": "job:run-test:revenue", "granularity": "job"},
        timeout=10,
    ).json()
    assert {node["name"] for node in answer["nodes"]} == {"revenue", "orders", "raw_orders"}


def test_collector_that_is_not_there_costs_the_lineage_but_not_the_run(headwater: Headwater, pipeline: Path) -> None:
    done = headwater("run", "pipeline.py", "--collector", "http://127.0.0.1:9")

    assert done.returncode == 0
    assert "3 assets: 3 materialized" in done.stdout
    assert "8 lineage events wait in the outbox for http://127.0.0.1:9 (connection refused)" in done.stdout
    assert "headwater outbox flush" in done.stdout
    assert "headwater serve" in done.stdout
    assert (pipeline.parent / "data" / "revenue.parquet").exists()


@pytest.mark.parametrize("command", ["run", "graph"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import a_module_that_is_not_there\n", "bad.py:1 does not import: ModuleNotFoundError"),
        ("def f(:\n", "bad.py:1 does not import: SyntaxError"),
        ("x = 1\ny = x / 0\n", "bad.py:2 does not import: ZeroDivisionError"),
        ("x = 1\n", "defines no asset"),
        (
            "from emitter import asset\n@asset\ndef orders(raw_order): ...\n@asset\ndef raw_orders(): ...\n",
            "needs 'raw_order', which names no asset; did you mean 'raw_orders'?",
        ),
        (
            "from emitter import asset\n@asset\ndef a(b): ...\n@asset\ndef b(a): ...\n",
            "these assets need each other: a → b → a",
        ),
        (
            "from emitter import asset\n@asset\ndef a(): ...\nb = asset(name='a')(lambda: 1)\n",
            "two assets are called 'a'",
        ),
    ],
)
def test_pipeline_that_is_none_is_refused_with_the_place(
    headwater: Headwater, tmp_path: Path, command: str, text: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    assert message in failed_with(headwater(command, "bad.py"), 1)


@pytest.mark.parametrize("command", ["run", "graph"])
def test_pipeline_file_that_is_not_there_is_a_usage_error(headwater: Headwater, pipeline: Path, command: str) -> None:
    assert "did you mean 'pipeline.py'?" in failed_with(headwater(command, "pipelin.py"), 2)
    assert "is a directory" in failed_with(headwater(command, "."), 2)


def test_metadata_store_that_cannot_be_used_is_refused_before_anything_runs(
    headwater: Headwater, pipeline: Path
) -> None:
    (pipeline.parent / "store.db").write_text("this is no database, it is a text that somebody keeps here " * 20)
    failed_with(headwater("run", "pipeline.py", "--store", "store.db"), 1)
    assert not (pipeline.parent / "data").exists()


def test_namespace_that_is_empty_is_refused(headwater: Headwater, pipeline: Path) -> None:
    assert "namespace" in failed_with(headwater("run", "pipeline.py", "--namespace", " "), 1)


def test_names_and_reasons_cannot_drive_the_terminal(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text(
        "from emitter import asset\n@asset\ndef a():\n    raise ValueError('\\x1b[2J[red]x[/red]\\nmore')\n"
    )
    done = headwater("run", "hostile.py")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout and "␛[2J[red]x[/red]" in done.stdout and "  more" in done.stdout
