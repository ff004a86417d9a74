"""``headwater wrap``: the command is what it is without it, and its run is told."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from emitter.runs import RunIdentity, inherited_parent
from tests.openlineage_schema import validate_event
from tests.outbox.far_end import Event, FarEnd, hanging, refusing, until

HEADWATER = Path(sys.executable).parent / "headwater"


def wrap(*arguments: str, collector: str | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
    chosen = ["--collector", collector] if collector else []
    command = [str(HEADWATER), "wrap", "--job", "nightly.load", *chosen, *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


def start(far_end: FarEnd, *command: str, **options: Any) -> subprocess.Popen[bytes]:
    line = [str(HEADWATER), "wrap", "--job", "load", "--collector", far_end.url, "--heartbeat", "0.2", "--", *command]
    # what starts the tests in the background (nohup, say) may ignore these, and no shell can trap what it found ignored
    restored = [(one, signal.signal(one, signal.SIG_DFL)) for one in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)]
    try:
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    finally:
        for one, before in restored:
            signal.signal(one, before)


def states(far_end: FarEnd) -> list[str]:
    return [one["eventType"] for one in far_end.events]


def last(far_end: FarEnd) -> dict[str, Any]:
    facets: dict[str, Any] = far_end.events[-1]["run"]["facets"]
    return facets


def test_command_that_succeeds(far_end: FarEnd) -> None:
    done = wrap(
        *("--namespace", "ops", "--input", "postgres://db:5432", "shop.orders", "--output", "file", "/data/o.csv"),
        *("--", "sh", "-c", "cat; echo out; echo err >&2"),
        collector=far_end.url,
        input=b"in\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\nout\n", b"err\n")
    assert states(far_end) == ["START", "COMPLETE"]
    begun, ended = far_end.events
    assert (begun["job"]["namespace"], begun["job"]["name"]) == ("ops", "nightly.load")
    assert begun["run"]["runId"] == ended["run"]["runId"]
    assert [one["name"] for one in begun["inputs"]] == ["shop.orders"] and begun["outputs"] == []
    assert [one["name"] for one in ended["outputs"]] == ["/data/o.csv"]
    command = last(far_end)["headwater_command"]
    assert (command["command"], command["exitCode"]) == ("sh", 0) and command["seconds"] > 0
    for one in far_end.events:
        validate_event(one)


def test_command_that_fails_tells_its_last_words(far_end: FarEnd) -> None:
    script = "for n in $(seq 5000); do echo line $n >&2; done; echo no space left >&2; exit 7"
    done = wrap("--", "sh", "-c", script, collector=far_end.url)
    assert done.returncode == 7
    assert done.stderr.count(b"\n") == 5_001
    assert states(far_end) == ["START", "FAIL"]
    facets = last(far_end)
    message = facets["errorMessage"]["message"]
    assert message.startswith("sh exited with 7 after ") and message.endswith("line 5000\nno space left")
    assert len(message) < 9_000
    assert facets["headwater_command"]["exitCode"] == 7
    assert far_end.events[-1]["outputs"] == []


def test_standard_error_in_a_file_is_the_commands_own(far_end: FarEnd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"of yesterday\n")
    with log.open("ab") as file:
        command = [str(HEADWATER), "wrap", "--job", "j", "--collector", far_end.url, "--", "sh", "-c"]
        done = subprocess.run([*command, "echo oh no >&2; readlink /proc/self/fd/2; exit 1"], stdout=file, stderr=file)
    assert done.returncode == 1
    assert log.read_text() == f"of yesterday\noh no\n{log}\n"
    message = last(far_end)["errorMessage"]["message"]
    assert "oh no" in message and "yesterday" not in message


def test_heartbeats_come_while_it_runs(far_end: FarEnd) -> None:
    process = start(far_end, "sleep", "1.5")
    assert process.wait(30) == 0
    process.communicate()
    assert states(far_end)[0] == "START" and states(far_end)[-1] == "COMPLETE"
    assert states(far_end).count("RUNNING") >= 2
    assert {one["run"]["runId"] for one in far_end.events if one["job"]["name"] == "load"} == {
        far_end.events[0]["run"]["runId"]
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_signals_are_the_commands(far_end: FarEnd, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    process = start(far_end, "sh", "-c", script)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (9, f"got {name}\n".encode())
    assert states(far_end)[-1] == "FAIL"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_command_that_a_signal_ends_ends_wrap_by_the_same(far_end: FarEnd, number: signal.Signals) -> None:
    done = wrap("--", "sh", "-c", f"kill -{int(number)} $$", collector=far_end.url)
    assert done.returncode == -number
    command = last(far_end)["headwater_command"]
    assert command["signal"] == number.name and "exitCode" not in command
    assert last(far_end)["errorMessage"]["message"].startswith(f"sh was ended by {number.name} after ")


def test_interrupt_from_the_terminal_reaches_the_command_once(far_end: FarEnd, tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        "import signal, sys, time\ncount = 0\n"
        "def got(*_):\n    global count\n    count += 1\n"
        "signal.signal(signal.SIGINT, got)\nprint('ready', sys.stderr.isatty(), flush=True)\n"
        "while not count: time.sleep(0.01)\ntime.sleep(0.5)\nprint('got', count, flush=True)\nsys.exit(4)\n"
    )
    command = [str(HEADWATER), "wrap", "--job", "j", "--collector", far_end.url, "--", sys.executable, str(script)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    out = b""
    interrupted = False
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        out += part
        if b"ready" in out and not interrupted:
            interrupted = True
            os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b" True" in out and b"got 1" in out
    assert os.waitstatus_to_exitcode(status) == 4


@pytest.mark.parametrize(("command", "code"), [("./no-such-program", 127), ("/etc", 126), ("./text", 126)])
def test_command_that_cannot_be_run_is_told_as_a_shell_does(
    far_end: FarEnd, workdir: Path, command: str, code: int
) -> None:
    (workdir / "text").write_text("no program")
    done = wrap("--", command, collector=far_end.url)
    assert done.returncode == code
    assert done.stderr.startswith(f"headwater wrap: {command}: ".encode())
    assert states(far_end) == ["START", "FAIL"]


def test_script_without_a_first_line_runs_as_in_a_shell(far_end: FarEnd, tmp_path: Path) -> None:
    script = tmp_path / "load.sh"
    script.write_text('echo "$1"; exit 5\n')
    script.chmod(0o755)
    done = wrap("--", str(script), "x y", collector=far_end.url)
    assert (done.returncode, done.stdout) == (5, b"x y\n")


def test_what_a_command_leaves_running_goes_on_writing(far_end: FarEnd, tmp_path: Path) -> None:
    script = "(sleep 1.5; echo late >&2; echo wrote > done) & echo early >&2"
    began = time.monotonic()
    done = wrap("--", "sh", "-c", script, collector=far_end.url, cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == b"early\nlate\n"
    assert time.monotonic() - began < 30
    until(lambda: (tmp_path / "done").exists())


@pytest.mark.parametrize("far", [refusing, hanging])
def test_collector_that_does_not_work_changes_nothing(far: Any) -> None:
    with far() as url:
        done = wrap("--", "sh", "-c", "echo out; echo err >&2; exit 3", collector=url)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_configuration_that_does_not_work_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "openlineage.yml").write_text("transport:\n  type: emitter.outbox.OutboxTransport\n  url: 'ftp://x'\n")
    done = wrap("--", "sh", "-c", "echo out; exit 3", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"")


def test_child_run_finds_its_parent_and_root(far_end: FarEnd, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("from emitter import asset\n@asset\ndef one():\n    return 1\n")
    done = wrap(
        *("--namespace", "ops", "--", str(HEADWATER), "wrap", "--job", "inner", "--collector", far_end.url),
        *("--", str(HEADWATER), "run", "p.py", "--collector", far_end.url),
        collector=far_end.url,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr

    def parent(job: str) -> tuple[str, str]:
        (found,) = {json.dumps(one["run"]["facets"]["parent"]) for one in far_end.events if one["job"]["name"] == job}
        facet = json.loads(found)
        return facet["job"]["name"], facet["root"]["job"]["name"]

    assert parent("inner") == ("nightly.load", "nightly.load")
    assert parent("p") == ("inner", "nightly.load")
    assert parent("one") == ("p", "nightly.load")
    runs: dict[str, Event] = {one["job"]["name"]: one for one in far_end.events}
    assert runs["p"]["run"]["facets"]["parent"]["run"]["runId"] == runs["inner"]["run"]["runId"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ns/job/run", RunIdentity("run", "ns", "job")),
        ("s3://bucket/job/run", RunIdentity("run", "s3://bucket", "job")),
        ("ns/job", None),
        ("//", None),
        ("", None),
    ],
)
def test_parent_of_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, found: RunIdentity | None) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", text)
    assert inherited_parent() == found


def test_parent_of_the_environment_with_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    one = RunIdentity("r1", "ns", "job/with/slashes", RunIdentity("r0", "a", "b"))
    for name, value in one.environment().items():
        monkeypatch.setenv(name, value)
    assert inherited_parent() == one
    monkeypatch.setenv("OPENLINEAGE_CONTEXT", "{no json")
    assert inherited_parent() is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--", "true"], b"--job"),
        (["--job", "a"], b"COMMAND"),
        (["--job", " ", "--", "true"], b"give a name"),
        (["--job", "a", "--input", "x", "--", "true"], b"--input"),
        (["--job", "a", "--collector", "host:5000", "--", "true"], b"write it like http://127.0.0.1:5000"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(arguments: list[str], message: bytes) -> None:
    done = subprocess.run([str(HEADWATER), "wrap", *arguments], capture_output=True, timeout=60)
    assert done.returncode == 2 and message in done.stderr
