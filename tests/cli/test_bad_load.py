"""The story of docs/bad-load.md, played from beginning to end: its commands, in order, print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.servers import running_collector

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-load.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# what differs from one time to the next: times, seconds that something took, marks of versions
VARYING = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z|\bin \d+\.\d s|(?<=\d) +\d+\.\d\d |…\w{8}")


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, and the lines that the page shows under it."""
    command, shown = "", list[str]()
    for kind, text in FENCE.findall(PAGE.read_text()):
        for line in text.splitlines() if kind == "console" else ():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            elif line.strip():
                shown.append(line)
    yield command, shown


def told(line: str) -> str:
    return " ".join(VARYING.sub("*", line).split())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str], subprocess.CompletedProcess[str]]]:
    """The commands, what the page shows of each, and what became of them; ``12h`` ago is before the broken night."""
    folder = tmp_path_factory.mktemp("story")
    for kind, text in FENCE.findall(PAGE.read_text()):
        if kind == "python":
            (folder / text.partition("\n")[0].removeprefix("# ")).write_text(text)
    played = []
    evening = ""
    with running_collector(folder) as url:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE")},
            "OPENLINEAGE_URL": url,
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        for command, shown in steps():
            if command.startswith("export "):
                continue
            if command.endswith("deliver.py broken"):
                time.sleep(0.01)
                evening = datetime.now(UTC).isoformat()
            done = subprocess.run(
                command.replace("12h", evening),
                shell=True,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
            )
            played.append((command, shown, done))
    return played


def test_commands_print_what_the_page_shows(
    story: list[tuple[str, list[str], subprocess.CompletedProcess[str]]],
) -> None:
    assert len(story) > 12
    for command, shown, done in story:
        assert "Traceback" not in done.stderr, done.stderr
        printed = [told(line) for line in done.stdout.splitlines()]
        for line in shown:
            assert any(one.startswith(told(line)) for one in printed), f"{command}: {line}\n{done.stdout}{done.stderr}"


def test_exit_codes_say_what_scripts_want_to_know(
    story: list[tuple[str, list[str], subprocess.CompletedProcess[str]]],
) -> None:
    codes = [(command, done.returncode) for command, _, done in story]
    assert [code for command, code in codes if command.startswith("headwater stale")] == [0, 1, 0]
    assert {code for command, code in codes if not command.startswith("headwater stale")} == {0}


def test_jobs_are_run_again_in_the_printed_order(
    story: list[tuple[str, list[str], subprocess.CompletedProcess[str]]],
) -> None:
    printed = next(done.stdout for command, _, done in story if command == "headwater impact flights")
    order = re.findall(r"^ +\d\. (\w+)", printed, re.MULTILINE)
    again = next(command for command, _, _ in story if "--select clean_flights," in command)
    assert again.rpartition(" ")[2].split(",") == order
