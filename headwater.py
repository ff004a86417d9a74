"""The command line: one group of commands, each imported when it is called.

A command is a thin shell over a Python method; what all of them share is here: how a failure is told, what a
collector's address looks like, and how one is asked. Only click is imported, so that help comes at once.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from lineage.errors import HeadwaterError

if TYPE_CHECKING:
    import requests

#: Each command's place and short help, in the order of a newcomer's needs. A test holds the help to the command's own.
COMMANDS = {
    "demo": ("demo.command:demo", "Run a real pipeline into a collector and show what came of it."),
    "run": ("emitter.commands.run:run", "Run a pipeline's assets and record their lineage."),
    "wrap": ("emitter.commands.wrap:wrap", "Run any command and record it as a run of a job."),
    "outbox": (
        "emitter.commands.outbox:outbox",
        "Say what waits in the outbox, send it, try refused events again.",
    ),
    "graph": ("emitter.commands.graph:graph", "Draw the lineage of a pipeline, or of a node in a collector."),
    "verify": ("emitter.commands.inspection:verify", "Compare stored outputs with what was recorded of them."),
    "history": ("emitter.commands.inspection:history", "List the versions of an asset."),
    "why": ("emitter.commands.inspection:why", "Say whether an asset would run now, and why."),
    "diff": (
        "emitter.commands.inspection:diff",
        "Say what differs between two versions of an asset, or moments.",
    ),
    "provenance": ("collector.commands.questions:provenance", "Say what a version was made from."),
    "impact": ("collector.commands.impact:impact", "Say what was made from a version, and what to run again."),
    "stale": ("collector.commands.questions:stale", "Say which datasets are older than what they are made from."),
    "paths": ("collector.commands.questions:paths", "Say by which ways data gets from one node to another."),
    "serve": ("collector.commands.serve:serve", "Start the collector, which stores lineage and answers questions."),
    "import": ("collector.commands.import_:import_", "Load a file of OpenLineage events, one event a line."),
    "stats": ("collector.commands.store:stats", "Say what a database holds and what it costs on disk."),
    "quarantine": ("collector.commands.quarantine:quarantine", "List, replay or drop events that were refused."),
    "prune": ("collector.commands.store:prune", "Delete old events and runs; the current graph stays."),
    "rebuild": ("collector.commands.store:rebuild", "Make every derived row again from the stored events."),
    "digest": ("collector.commands.store:digest", "Print one digest of everything that is derived from the events."),
}

EXIT_CODES = """\b
Exit codes:
  0  everything went well
  1  an asset failed, or something was refused or could not be reached
  2  the command was not used as it should be
"""


class Failure(click.ClickException):
    """A failure told in one red paragraph on stderr."""

    def show(self, file: IO[Any] | None = None) -> None:
        colour = False if os.environ.get("NO_COLOR") else None
        click.secho("Error: ", fg="red", bold=True, nl=False, err=True, file=file, color=colour)
        click.secho(printable(self.format_message()), fg="red", err=True, file=file, color=colour)


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            close = get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(COMMANDS)}."
            ctx.fail(f"No command is called '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HeadwaterError as error:
            raise Failure("; ".join([str(error), *getattr(error, "__notes__", ())])) from error


class CollectorAddress(click.ParamType):
    """A collector's address, ``http://host:port`` with or without a path before ``/api/v1``."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        try:
            parts = urlsplit(text)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or parts.query or parts.fragment:
            self.fail(f"{text!r} is no collector's address; write it like http://127.0.0.1:5000", param, ctx)
        # producers are given …/api/v1/lineage, so people paste that here too
        for ending in ("/", "/api/v1/lineage", "/api/v1", "/"):
            text = text.removesuffix(ending)
        return text


COLLECTOR = CollectorAddress()


def connection_trouble(error: BaseException) -> str:
    """Why a connection failed, in the system's own words: HTTP libraries wrap them several layers deep."""
    if "Timeout" in type(error).__name__:
        return "no answer in time"
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (getattr(error, "strerror", None) or str(error))[:200]


class CollectorFailed(HeadwaterError):
    """A collector that cannot be reached, or does not answer as one."""


def fetch(collector: str, path: str, query: Mapping[str, Any], connect: float, answer: float) -> requests.Response:
    """The answer to ``GET /api/v1{path}`` of the collector at a URL, whatever its status.

    ``connect`` and ``answer`` are the seconds to wait for each; ``OPENLINEAGE_API_KEY`` goes with it. Raises
    CollectorFailed where nothing answers.
    """
    import requests

    key = os.environ.get("OPENLINEAGE_API_KEY")
    try:
        return requests.get(
            f"{collector}/api/v1{path}",
            params=dict(query),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=(connect, answer),
        )
    except requests.RequestException as error:
        raise CollectorFailed(
            f"{collector} cannot be reached ({connection_trouble(error)}). Does a collector run there? Start one: "
            "headwater serve"
        ) from error


def printable(text: str) -> str:
    """A text without what would drive a terminal: names and messages come from anybody."""
    from lineage.appearance import visible

    return "\n".join(visible(line) for line in text.split("\n"))


def examples(*lines: str, after: Sequence[str] = ()) -> str:
    """A command's epilog: example lines that work as they stand, then the exit codes; click must not wrap them."""
    shown = "\n".join(f"  {line}" for line in lines)
    return "\n\n".join(["\b\nExamples:\n" + shown, *after, EXIT_CODES])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="\b\nStart here:\n  headwater demo\n  headwater run --help\n\n" + EXIT_CODES,
)
@click.version_option(package_name="headwater", prog_name="headwater", message="%(prog)s %(version)s")
def main() -> None:
    """Data lineage that one person can run and a company can grow on.

    Python functions become versioned, checked data assets that record where their data came from; a collector takes
    OpenLineage events from them, from Spark, dbt, Airflow and Flink, and answers what depends on what.
    """


if __name__ == "__main__":
    # the commands import this module by its name: run that one, not a second copy called __main__
    importlib.import_module("headwater").main(prog_name="headwater")
