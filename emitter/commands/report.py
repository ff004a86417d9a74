"""What ``headwater run`` shows: a line for each asset as it ends, a closing table, what went wrong, and JSON."""

from __future__ import annotations

import os
import re
import shlex
import sysconfig
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table
from rich.text import Text

from emitter.results import AssetResult, AssetStarted, MaterializeResult, Status
from lineage.appearance import shorten, visible

_STYLES = {
    Status.MATERIALIZED: "green",
    Status.UNCHANGED: "dim",
    Status.OBSERVED: "cyan",
    Status.FAILED: "bold red",
    Status.UPSTREAM_FAILED: "yellow",
    Status.SKIPPED: "yellow",
}
_WIDEST = max(len(status) for status in Status)
#: The system's own words within what urllib3 makes of a connection that failed.
_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] ([\w ]+)")
#: Why the outbox could not send, in what its sender logs.
_WAIT_REASON = re.compile(r"wait in the outbox reason=(['\"])(.*)\1 next_try_seconds")
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


@dataclass(frozen=True, slots=True)
class Again:
    """What the commands that the output suggests are made of: the collector, the node id of each asset's job (a source
    has none), and the outbox's file where it is not the default."""

    collector: str | None
    jobs: Mapping[str, str]
    outbox: str | None = None


class Progress:
    """A line for each asset as it ends, and on a terminal a spinner for the one that runs."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._console = console(to_stderr)
        self._spinner: Spinner | None = None
        self._started: dict[str, AssetStarted] = {}
        self._running: dict[str, AssetStarted] = {}

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._spinner = self._console.status("")
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def show(self, progress: AssetStarted | AssetResult) -> None:
        """Take note that an asset started, or print how it ended."""
        if isinstance(progress, AssetStarted):
            self._running[progress.name] = progress
            self._started.update(dict.fromkeys(progress.assets or (progress.name,), progress))
        else:
            started = self._started.get(progress.name)
            if started is not None:
                self._running.pop(started.name, None)
            _print(self._console, _line(progress, started))
        if self._spinner is not None and self._running:
            newest = max(one.index for one in self._running.values())
            total = next(iter(self._running.values())).total
            self._spinner.update(Text(f"{', '.join(map(visible, self._running))} ({newest} of {total})"))


def console(to_stderr: bool = False) -> Console:
    """A console that neither wraps nor colours what does not go to a terminal."""
    made = Console(stderr=to_stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=to_stderr, highlight=False, width=10_000, color_system=None)


def print_result(result: MaterializeResult, warnings: Sequence[str] = (), again: Again | None = None) -> None:
    """Print the closing table, what went wrong with what to do about it, and a line on the whole.

    ``warnings`` are what the emitter logged; with ``again``, commands that go on from here are suggested.
    """
    out = console()
    _print(out, "")
    _print_results(out, result)
    for one in result.values():
        for line in _problems(one):
            _print(out, line)
    if any(one.status is Status.FAILED for one in result.values()):
        _print(out, "\nOf what failed nothing was stored, its last good output stays. Mend it and run the same command")
        _print(out, "again: what is stored already is not made again.")
    _print(out, "")
    _print(out, _summary(result))
    if again and all(one.status is Status.UNCHANGED for one in result.values()):
        _print(out, "Nothing had changed since they were made; --force makes them anew all the same.")
    for line in _lineage_lines(result, warnings, again or Again(None, {})):
        _print(out, line)


def document(result: MaterializeResult) -> dict[str, Any]:
    """The results as JSON values; times are ISO-8601, durations in seconds."""
    return {
        "runId": result.run_id,
        "succeeded": result.succeeded,
        "duration": round(result.duration, 6),
        "eventsFailed": result.events_failed,
        "eventsWaiting": result.events_waiting,
        "assets": [_asset_document(one) for one in result.values()],
    }


def _asset_document(one: AssetResult) -> dict[str, Any]:
    return {
        "name": one.name,
        "status": one.status.value,
        "reason": one.reason,
        "version": one.version,
        "codeVersion": one.code_version,
        "checksum": one.checksum,
        "createdAt": _time(one.created_at),
        "updatedAt": _time(one.updated_at),
        "rows": one.rows,
        "bytes": one.bytes,
        "duration": round(one.duration, 6),
        "runId": one.run_id,
        "attempts": one.attempts,
        "lineage": {name: dict(version) for name, version in one.lineage.items()},
        "checks": [
            {
                "name": check.name,
                "success": check.success,
                "severity": check.severity,
                "column": check.column,
                "expected": check.expected,
                "actual": check.actual,
                "message": check.message,
            }
            for check in one.checks
        ],
        "error": {"type": type(one.error).__name__, "message": str(one.error)} if one.error else None,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _line(one: AssetResult, started: AssetStarted | None) -> Text:
    place = f"[{started.index:>{len(str(started.total))}}/{started.total}] " if started else ""
    text = Text()
    text.append(place, style="dim")
    text.append(f"{one.status.value:<{_WIDEST}} ", style=_STYLES[one.status])
    text.append(visible(one.name), style="bold")
    if one.rows is not None:
        text.append(f"  {one.rows:,} rows")
    text.append(f"  {one.duration:.2f} s", style="dim")
    if one.attempts > 1:
        text.append(f"  {one.attempts} attempts", style="yellow")
    failing = Counter(check.severity for check in one.checks if not check.success)
    if failing["error"]:
        text.append(f"  {failing['error']} of {len(one.checks)} checks failed", style="red")
    if failing["warn"]:
        text.append(f"  {failing['warn']} warning{'s' * (failing['warn'] > 1)}", style="yellow")
    return text


def _print_results(out: Console, result: MaterializeResult) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for heading in ("asset", "status", "version", "checksum"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rows", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why")
    for one in result.values():
        table.add_row(
            Text(visible(one.name), style="bold"),
            Text(one.status.value, style=_STYLES[one.status]),
            Text(visible(one.version)),
            Text(checksum_prefix(one.checksum)),
            Text("" if one.rows is None else f"{one.rows:,}"),
            Text(f"{one.duration:.2f}"),
            Text(shorten(visible(_why(one)), 100)),
        )
    print_table(out, table)


def print_table(out: Console, table: Table) -> None:
    """Print a table without the spaces at the lines' ends that would fill its last column."""
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        out.file.write(line.rstrip() + "\n")
    out.file.flush()


def checksum_prefix(checksum: str | None) -> str:
    """Twelve digits, without the algorithm: enough to tell two versions apart by eye, and short."""
    return (checksum or "").rpartition(":")[2][:12]


def _why(one: AssetResult) -> str:
    if one.status is not Status.FAILED:
        return one.reason or ""
    failing = sum(not check.success for check in one.checks)
    if failing:
        return f"{failing} of {len(one.checks)} checks failed"
    return (f"{type(one.error).__name__}: {one.error}" if one.error else "").partition("\n")[0]


def _problems(one: AssetResult) -> list[str | Text]:
    failing = [check for check in one.checks if not check.success]
    if one.status is not Status.FAILED and not failing:
        return []
    lines: list[str | Text] = ["", Text(f"{visible(one.name)} {_what(one)}", style=_STYLES.get(one.status, "red"))]
    for check in failing:
        found = f" (expected {check.expected}, found {check.actual})" if check.expected and check.actual else ""
        label = "check" if check.severity == "error" else "warning"
        lines.append(f"  {label} {visible(check.name)}: {visible(check.message or '')}{visible(found)}")
    if one.error is not None and not failing:
        lines += _error_lines(one.error)
    return lines


def _what(one: AssetResult) -> str:
    if one.status is Status.FAILED:
        return "failed"
    errors = sum(not check.success and check.severity == "error" for check in one.checks)
    return "was stored, although a check failed" if errors else f"is {one.status.value}, with a warning"


def _error_lines(error: BaseException) -> list[str | Text]:
    """The error, and where in the author's own files it was raised, outermost first."""
    lines: list[str | Text] = []
    frames = [(one.filename, one.lineno, one.name, one.line) for one in traceback.extract_tb(error.__traceback__)]
    # an error of a worker process has its frames there
    for filename, line, name, text in getattr(error.__cause__, "frames", frames):
        if not filename.startswith((_HERE, *_LIBRARIES)) and not filename.startswith("<"):
            lines.append(f"  {os.path.relpath(filename)}:{line} in {name}: {text or ''}")
    told = str(error).splitlines() or [""]
    name = "" if type(error).__module__.startswith(("emitter.", "lineage.")) else f"{type(error).__name__}: "
    lines.append(Text(f"  {name}{visible(told[0])}".rstrip(": "), style="red"))
    lines += [Text(f"  {visible(line)}", style="red") for line in told[1:]]
    return lines


def _summary(result: MaterializeResult) -> Text:
    counted = Counter(one.status for one in result.values())
    parts = [f"{counted[status]} {status.value.replace('_', ' ')}" for status in Status if counted[status]]
    text = Text(f"{len(result)} asset{'s' * (len(result) != 1)}: {', '.join(parts)}, in {result.duration:.1f} s.")
    text.stylize("green" if result.succeeded else "red")
    return text


def _lineage_lines(result: MaterializeResult, warnings: Sequence[str], again: Again) -> list[str | Text]:
    lines: list[str | Text] = []
    if result.events_waiting:
        where = f" for {again.collector}" if again.collector else ""
        reasons = [(found[2], warning) for warning in warnings if (found := _WAIT_REASON.search(warning))]
        why = f" ({visible(reasons[0][0])})" if reasons else ""
        flush = shlex.join(["headwater", "outbox", "flush", *(["--path", again.outbox] if again.outbox else [])])
        text = (
            f"{result.events_waiting} lineage events wait in the outbox{where}{why}; the assets are not affected. They "
            f"are sent with the next run, or by: {flush}"
        )
        lines.append(Text(text, style="yellow"))
        if any("refused" in reason for reason, _ in reasons):
            lines.append(Text("Does a collector run there? Start one: headwater serve", style="yellow"))
        warnings = [warning for warning in warnings if all(warning is not told for _, told in reasons)]
    if result.events_failed:
        where = f" to {again.collector}" if again.collector else ""
        cause = next((found[1] for warning in warnings if (found := _SYSTEM_ERROR.search(warning))), None)
        why = f" ({cause.lower()})" if cause else ""
        text = (
            f"{result.events_failed} lineage events could not be delivered{where}{why}; the assets are not affected. "
        )
        lines.append(Text(f"{text}Does a collector run there? Start one: headwater serve", style="yellow"))
        warnings = [] if cause else warnings
    lines += [Text(f"  {visible(warning)}", style="yellow") for warning in warnings]
    done = [one.name for one in result.values() if one.checksum and one.name in (again.jobs if again else ())]
    if again.collector and done and not result.events_failed and not result.events_waiting:
        node = again.jobs[done[-1]]
        command = ["headwater", "graph", "--collector", again.collector, "--node", node, "--direction", "upstream"]
        command += ["--granularity", "job"]
        lines.append(f"See where {done[-1]} came from: {shlex.join(command)}")
    return lines


def _print(out: Console, line: str | Text) -> None:
    out.print(line, soft_wrap=True, markup=False)
