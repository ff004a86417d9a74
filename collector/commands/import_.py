"""``headwater import``."""

from __future__ import annotations

import json
import shlex
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from headwater import COLLECTOR, Failure, examples, printable

if TYPE_CHECKING:
    from collector.import_events import Destination, EventFile, ImportReport, ImportStopped


@click.command(
    name="import",
    short_help="Load a file of OpenLineage events, one event a line.",
    epilog=examples(
        "headwater import events.ndjson --collector http://127.0.0.1:5000",
        "headwater import events.ndjson.gz --db sqlite:///lineage.db",
        "zcat 2026-*.gz | headwater import - --collector http://127.0.0.1:5000 --json",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--collector", type=COLLECTOR, help="Send the events to a running collector.")
@click.option(
    "--db", "database", metavar="URL", help="Write them into a collector's database, faster; it may be running."
)
@click.option(
    "--batch", type=click.IntRange(1, 5000), default=500, show_default=True, help="The most events sent at once."
)
@click.option("--from-line", type=click.IntRange(1), default=1, help="Go on from this line of the file.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to try a batch again while the destination cannot take it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the count as JSON.")
def import_(
    file: str, collector: str | None, database: str | None, batch: int, from_line: int, wait: float, as_json: bool
) -> None:
    """Load OpenLineage events from FILE, one JSON event a line; '-' reads the standard input, gzip is recognized.

    What is refused does not stop the rest: it is counted by reason, with the first line numbers. Loading a file twice
    is safe, an event counts once.
    """
    if (collector is None) == (database is None):
        raise click.UsageError("Say where the events go: --collector URL or --db URL, one of the two.")
    from collector.commands.destinations import CollectorDestination, StoreDestination
    from collector.import_events import ImportStopped, import_events, open_events

    began = time.monotonic()
    with open_events(file, sys.stdin.buffer) as events:
        destination: Destination = (
            CollectorDestination(collector, wait) if collector else StoreDestination(database or "", wait)
        )
        with closing(destination), Progress(events) as progress:
            try:
                report = import_events(events, destination, batch=batch, from_line=from_line, on_progress=progress.show)
            except ImportStopped as error:
                stopped: ImportStopped | None = error
                report = error.report
            else:
                stopped = None
    seconds = time.monotonic() - began
    if as_json:
        document = report.document() | {"seconds": round(seconds, 3)}
        if stopped:
            document |= {"stopped": str(stopped), "nextLine": stopped.next_line}
        click.echo(json.dumps(document))
    elif report.read or not stopped:
        click.echo(count(report, seconds))
    if stopped:
        raise Failure(_how_to_go_on(stopped, from_line))
    if report.refused:
        sys.exit(1)


class Progress:
    """A progress bar on stderr, on a terminal only."""

    def __init__(self, events: EventFile) -> None:
        self._events = events
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

            known = self._events.size is not None
            columns = [BarColumn(), TextColumn("{task.percentage:>3.0f} %")] if known else [SpinnerColumn()]
            ending = [TimeRemainingColumn()] if known else []
            self._bar = Progress(
                *columns, TextColumn("{task.fields[told]}"), *ending, console=Console(stderr=True), transient=True
            )
            self._bar.start()
            self._task = self._bar.add_task("import", total=self._events.size, told="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, report: ImportReport) -> None:
        """Show what is done so far."""
        if self._bar is not None:
            refused = f", {report.refused:,} refused" if report.refused else ""
            self._bar.update(self._task, completed=self._events.position, told=f"{report.read:,} events{refused}")


def count(report: ImportReport, seconds: float) -> str:
    """The closing count, and under it why lines were refused."""
    rate = f" ({report.read / seconds:,.0f} events/s)" if report.read >= 1000 and seconds > 0 else ""
    parts = [f"{report.stored:,} stored"]
    if report.duplicates:
        parts.append(f"{report.duplicates:,} were there already")
    parts.append(f"{report.refused:,} refused")
    lines = [f"{report.read:,} events read: {', '.join(parts)}, in {seconds:.1f} s{rate}."]
    for reason in sorted(report.reasons.values(), key=lambda one: (-one.count, one.lines)):
        numbers = ", ".join(str(number) for number in reason.lines)
        more = ", …" if reason.count > len(reason.lines) else ""
        lines.append(
            f"  {reason.count:,} x {printable(reason.text)} (line{'s' if reason.count > 1 else ''} {numbers}{more})"
        )
    return "\n".join(lines)


def _how_to_go_on(stopped: ImportStopped, from_line: int) -> str:
    from collector.import_events import UnreadableFile

    if stopped.next_line == from_line or isinstance(stopped.__cause__, UnreadableFile):
        return str(stopped)
    arguments = [word for word in sys.argv[1:] if word]
    if "--from-line" in arguments:
        at = arguments.index("--from-line")
        del arguments[at : at + 2]
    again = shlex.join(["headwater", *arguments, "--from-line", str(stopped.next_line)])
    done = f"Everything before line {stopped.next_line:,} is done."
    return f"{stopped} {done} To go on: {again}"
