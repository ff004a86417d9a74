"""The group itself: quick, honest about failures, plain where no terminal is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import headwater as command_line
from tests.cli.conftest import Headwater, failed_with

SLOW = (
    "flask",
    "pandas",
    "pyarrow",
    "openlineage",
    "rich",
    "requests",
    "sqlalchemy",
    "granian",
    "collector",
    "emitter",
)


def test_help_imports_nothing_that_is_slow() -> None:
    code = f"""
import sys, headwater
try:
    headwater.main(["--help"])
except SystemExit:
    pass
print("LOADED", [name for name in {SLOW!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_help_names_every_command_and_the_exit_codes(headwater: Headwater) -> None:
    done = headwater("--help")
    assert done.returncode == 0
    for name, (_, text) in command_line.COMMANDS.items():
        assert name in done.stdout and text in done.stdout
    assert "Exit codes:" in done.stdout


def test_installed_script_is_the_same_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("headwater")
    done = subprocess.run([str(script), "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()[0]) == (0, "headwater")


def test_command_that_does_not_exist_gets_the_nearest_one(headwater: Headwater) -> None:
    assert "did you mean 'graph'?" in failed_with(headwater("grpah"), 2)


def test_option_that_does_not_exist_is_a_usage_error(headwater: Headwater) -> None:
    assert "--colector" in failed_with(headwater("run", "p.py", "--colector", "x"), 2)


def test_address_that_is_none_is_a_usage_error(headwater: Headwater, pipeline: Path) -> None:
    for text in ("localhost:5000", "ftp://host", "http://", "http://host:port", "http://host?x=1", ""):
        for command in (["run", "pipeline.py"], ["graph", "--node", "job:a:b"], ["import", "pipeline.py"]):
            message = failed_with(headwater(*command, "--collector", text), 2)
            assert "write it like http://127.0.0.1:5000" in message
    assert not (pipeline.parent / "data").exists()


def test_address_may_be_that_of_the_endpoint() -> None:
    for text in ("http://h:5000", "http://h:5000/", "http://h:5000/api/v1/lineage", "http://h:5000/api/v1/"):
        assert command_line.COLLECTOR.convert(text, None, None) == "http://h:5000"
    assert command_line.COLLECTOR.convert("https://h/base/", None, None) == "https://h/base"


def test_failure_is_red_on_a_terminal_only_and_not_under_no_color(tmp_path: Path) -> None:
    arguments = ["graph", "--collector", "http://127.0.0.1:9", "--node", "job:a:b"]
    assert "\x1b[31m" in on_a_terminal(arguments, tmp_path)
    plain = on_a_terminal(arguments, tmp_path, NO_COLOR="1")
    assert "cannot be reached" in plain and "\x1b[3" not in plain


def test_run_is_coloured_on_a_terminal_only(tmp_path: Path, pipeline: Path) -> None:
    assert "\x1b[32m" in on_a_terminal(["run", "pipeline.py"], tmp_path)
    assert "\x1b[3" not in on_a_terminal(["run", "pipeline.py"], tmp_path, NO_COLOR="1").replace("\x1b[39m", "")


def on_a_terminal(arguments: list[str], folder: Path, **environment: str) -> str:
    """What a command prints, both outputs, where both are a terminal."""
    primary, secondary = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENLINEAGE", "NO_COLOR"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "headwater", *arguments],
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
        stdin=subprocess.DEVNULL,
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    parts: list[bytes] = []
    try:
        while part := os.read(primary, 65536):
            parts.append(part)
    except OSError:  # Linux: the last process on the other side has gone
        pass
    finally:
        os.close(primary)
        process.wait(60)
    return b"".join(parts).decode()
