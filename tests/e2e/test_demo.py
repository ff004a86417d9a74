"""``headwater demo`` for real: what it prints, that it ends and leaves nothing running, and that its advice works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.e2e.servers import running_collector
from tests.mermaid_parser import parse_one

pytestmark = pytest.mark.e2e

ASSETS = (
    "airlines",
    "airports",
    "carrier_delays",
    "clean_flights",
    "delay_report",
    "flights",
    "planes",
    "weather",
    "weather_delays",
)
EDGES = 9
DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Demo:
    """The demo, run twice in a folder of its own."""

    folder: Path
    first: str
    second: str


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("a folder with a space")
    outputs = []
    for _ in range(2):
        done = run(folder, sys.executable, "-m", "headwater", "demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        outputs.append(done.stdout)
    yield Demo(folder, *outputs)


def section(output: str, number: int) -> str:
    """One of the numbered parts, without its title."""
    parts = re.split(r"^\d\. .*$", output, flags=re.MULTILINE)
    return parts[number].strip("\n")


def test_first_time_every_asset_is_made_with_version_and_checksum(demo: Demo) -> None:
    table = section(demo.first, 1)
    assert "9 assets: 9 materialized" in table
    for name in ASSETS:
        row = next(line for line in table.splitlines() if line.startswith(name + " "))
        assert "materialized" in row and DIGEST.search(row), row
    assert re.search(r"^flights .* 336,776 ", table, re.MULTILINE)
    assert re.search(r"^clean_flights .* 327,346 ", table, re.MULTILINE)


def test_a_check_finds_what_is_really_wrong_with_the_data(demo: Demo) -> None:
    assert "1 value of 'wind_speed' not 0 to 100, such as 1048.36" in demo.first


def test_answer_is_shown(demo: Demo) -> None:
    assert "under 1 mile" in section(demo.first, 2)


def test_upstream_is_the_collectors_answer_with_the_executors_checksums(demo: Demo) -> None:
    made = {
        name: found[0]
        for line in section(demo.first, 1).splitlines()
        for name in ASSETS
        if line.startswith(name + " ") and (found := DIGEST.search(line))
    }
    rows = [line.split() for line in section(demo.first, 3).splitlines() if line.strip()[:1].isdigit()]
    assert {Path(row[1]).stem: row[2] for row in rows} == made
    assert set(made) == set(ASSETS)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert (rows[0][0], Path(rows[0][1]).stem) == ("0", "delay_report")


def test_diagram_is_one_that_mermaid_draws(demo: Demo) -> None:
    text = section(demo.first, 4)
    drawn = parse_one(text[text.index("flowchart") :] + "\n")
    assert drawn.ok, drawn.error
    assert (len(drawn.nodes), len(drawn.edges)) == (len(ASSETS), EDGES)


def test_second_time_nothing_is_made_and_less_is_said(demo: Demo) -> None:
    assert "9 assets: 9 unchanged" in demo.second
    assert "Nothing had changed since" in demo.second
    assert "materialized" not in demo.second
    assert len(demo.second.splitlines()) < len(demo.first.splitlines())
    assert section(demo.second, 3).splitlines()[2:] == section(demo.first, 3).splitlines()[2:]
    assert section(demo.second, 4) == section(demo.first, 4)


def test_nothing_is_left_running(demo: Demo) -> None:
    url = re.search(r"http://127\.0\.0\.1:\d+", demo.first)
    assert url is not None
    with pytest.raises(requests.ConnectionError):
        requests.get(url[0], timeout=5)


def test_all_that_it_made_is_in_one_place(demo: Demo) -> None:
    assert [path.name for path in demo.folder.iterdir()] == [".headwater"]
    assert [path.name for path in (demo.folder / ".headwater").iterdir()] == ["demo"]
    assert {path.stem for path in (demo.folder / ".headwater/demo/data").glob("*.parquet")} == set(ASSETS)


def test_its_advice_works_as_printed(demo: Demo) -> None:
    commands = [line.strip() for line in section(demo.second, 5).splitlines() if line.startswith("    ")]
    less, serve, docs, graph, curl, again = commands
    assert Path(demo.folder, shlex.split(less)[1]).read_text().startswith('"""What delayed the flights')
    assert shlex.split(serve)[1:] == ["serve", "--db", "sqlite:///.headwater/demo/lineage.db"]
    database = f"sqlite:///{demo.folder}/.headwater/demo/lineage.db"
    with running_collector(demo.folder, database=database) as url:
        here = {command: command.replace("http://127.0.0.1:5000", url) for command in (docs, graph, curl, again)}
        assert requests.get(here[docs], timeout=10).status_code == 200
        drawn = run(demo.folder, *shlex.split(here[graph]))
        assert "delay_report" in drawn.stdout and '"weather"' not in drawn.stdout, drawn.stderr
        assert run(demo.folder, *shlex.split(here[curl]), "-sS").stdout.startswith("flowchart LR")
        done = run(demo.folder, *shlex.split(here[again]))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 assets: 3 materialized" in done.stdout
    (demo.folder / "collector.log").unlink()
