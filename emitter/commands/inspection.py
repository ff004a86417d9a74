"""``headwater verify``, ``history``, ``why`` and ``diff``: questions that need no collector, but for diff's moments."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from headwater import examples

if TYPE_CHECKING:
    from emitter.graph import AssetGraph
    from emitter.inspection import Verification
    from emitter.metadata import Materialization, MetadataStore

_C = TypeVar("_C", bound=Callable[..., Any])
_MOMENTS = ("to", "clock", "as_of", "known_at", "depth", "limit", "collector", "database")  # what only goes with --from
_STYLES = {"intact": "green", "drifted": "bold red", "missing": "bold red", "unreadable": "bold red", "skipped": "dim"}


def _store_options(command: _C) -> _C:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
        click.option(
            "--store",
            metavar="FILE",
            help="The metadata store; .headwater/metadata.db by default.",
        ),
        click.option("--namespace", metavar="NAME", help="The asset's namespace, where several have one of its name."),
    ):
        command = option(command)
    return command


def _moments_options(command: _C) -> _C:
    from collector.commands import asking

    for option in (
        asking.LIMIT,
        asking.DEPTH,
        *asking.MOMENT,
        click.option(
            "--clock",
            type=click.Choice(["happened", "known"]),
            help="Whether the times are when things happened, or when the collector was told; happened by default.",
        ),
        asking.format_option(),
        asking.where_options,
        click.option("--to", type=asking.TIME, metavar="TIME", help="The later moment; now by default."),
        click.option(
            "--from",
            "from_",
            type=asking.TIME,
            metavar="TIME",
            help="Ask a collector what changed since then: an ISO time, or an age like 12h.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    short_help="Compare stored outputs with what was recorded of them.",
    epilog=examples(
        "headwater verify",
        "headwater verify pipeline.py --select 'orders+'",
        "headwater verify pipeline.py --json | jq '.[] | select(.verdict != \"intact\")'",
    ),
)
@click.argument("pipeline", required=False)
@click.option("--select", multiple=True, metavar="ASSETS", help="Only these, in the words of 'headwater run'.")
@_store_options
def verify(
    pipeline: str | None, select: tuple[str, ...], namespace: str | None, store: str | None, as_json: bool
) -> None:
    """Compute the checksums of stored outputs again, and exit with 1 if one is not what was materialized.

    PIPELINE is a file or module; without it, every pipeline that the metadata store remembers is verified.
    """
    from emitter import inspection

    with inspection.open_store(store) as opened:
        graphs = [_load(pipeline)] if pipeline else _remembered(opened)
        parts = [
            (graph, *part) for graph in graphs for part in inspection.recorded(graph, opened, namespace, select or None)
        ]
        with _progress(sum(len(names) for _, _, names in parts), quiet=as_json) as advance:
            found = [
                one
                for graph, home, names in parts
                for one in inspection.verify(graph, opened, namespace=home, select=names, on_verified=advance)
            ]
    if as_json:
        click.echo(json.dumps([_verification_document(one) for one in found], indent=2))
    else:
        _print_verifications(found)
    if not all(one.good for one in found):
        sys.exit(1)


@click.command(
    short_help="List the versions of an asset.",
    epilog=examples("headwater history orders", "headwater history orders --limit 3 --json"),
)
@click.argument("asset")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the newest first.")
@_store_options
def history(asset: str, limit: int, namespace: str | None, store: str | None, as_json: bool) -> None:
    """List the times that ASSET was materialized, the newest first: when, from which code, what came of it, and why."""
    from emitter import inspection

    with inspection.open_store(store) as opened:
        home, name = inspection.find(opened, asset, namespace)
        every = opened.history(home, name)
    numbered = [(len(every) - index, one) for index, one in enumerate(every)][:limit]
    if as_json:
        click.echo(json.dumps([_version_document(number, one) for number, one in numbered], indent=2))
        return
    _print_history(numbered)


@click.command(
    short_help="Say whether an asset would run now, and why.",
    epilog=examples("headwater why orders", "headwater why orders --pipeline pipeline.py --config limit=5"),
)
@click.argument("asset")
@click.option("--pipeline", metavar="FILE", help="The asset's pipeline; by default that which made it last.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="As it would be given to 'headwater run'.")
@_store_options
def why(
    asset: str,
    pipeline: str | None,
    config: tuple[str, ...],
    namespace: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Say whether ASSET would run now, and why, without running anything."""
    from emitter import inspection
    from emitter.config import parse

    with inspection.open_store(store) as opened:
        if pipeline is None:
            home, _ = inspection.find(opened, asset, namespace)
            last = opened.latest(home, asset)
            if last is None or last.pipeline is None:
                raise click.UsageError(f"The pipeline of '{asset}' is not known; give it: --pipeline FILE.")
            pipeline, namespace = last.pipeline, home
        graph = _load(pipeline)
        if namespace is None and any(asset == name for _, name in opened.assets()):
            namespace, _ = inspection.find(opened, asset)
        found = inspection.forecast(graph, asset, opened, namespace=namespace or "default", config=parse(config))
    if as_json:
        document = {"asset": asset, "runs": found.reason is not None, "reason": found.reason}
        document["pending"] = dict(found.pending)
        document["lastMaterialized"] = _time(found.last) if found.last else None
        click.echo(json.dumps(document, indent=2))
        return
    _print_forecast(found)


@click.command(
    short_help="Say what differs between two versions of an asset, or moments.",
    epilog=examples(
        "headwater diff orders",
        "headwater diff orders 3 latest",
        "headwater diff orders 1f0c 9ab2 --json",
        "headwater diff orders --from 24h --collector http://127.0.0.1:5000",
        "headwater diff dataset:shop:orders --from 2026-11-23 --to 2026-11-24 --format mermaid",
    ),
)
@click.argument("asset")
@click.argument("v1", default="previous")
@click.argument("v2", default="latest")
@_store_options
@_moments_options
def diff(asset: str, v1: str, v2: str, namespace: str | None, store: str | None, as_json: bool, **moments: Any) -> None:
    """Say what differs between two versions of ASSET: code, config, upstream, checksum, rows, columns, checks.

    V1 and V2 are numbers of 'headwater history', the first digits of a checksum or a run id, 'latest' or 'previous'.

    With --from, a collector is asked instead what changed in the lineage around ASSET, a dataset or job by its name or
    node id, between two times: nodes and edges, versions, columns, code.
    """
    if moments["from_"] is not None:
        _print_moments(asset, as_json, **moments)
        return
    _refuse(_MOMENTS, "asks something of a collector: it goes with --from TIME.")
    from emitter import inspection

    with inspection.open_store(store) as opened:
        home, name = inspection.find(opened, asset, namespace)
        before, after = (inspection.version_of(opened, home, name, word) for word in (v1, v2))
    found = inspection.compare(before, after)
    if as_json or moments["format_"] == "json":
        changes = {name: {"before": one, "after": other} for name, (one, other) in found.changes.items()}
        click.echo(
            json.dumps(
                {"asset": asset, "before": _identity(before), "after": _identity(after), "changes": changes}, indent=2
            )
        )
        return
    if moments["format_"] == "mermaid":
        raise click.UsageError("Two versions of an asset are no graph: --format mermaid goes with --from TIME.")
    _print_difference(found)


def _print_moments(node: str, as_json: bool, collector: str | None, database: str, format_: str, **given: Any) -> None:
    """Only this question is for a collector: only here the two halves meet."""
    from collector.commands.asking import asking, chosen_asker
    from collector.commands.changes import print_changes

    _refuse(("v1", "v2", "namespace", "store"), "is for the versions that the metadata store holds, not for --from.")
    names = {"from_": "from", "as_of": "asOf", "known_at": "knownAt"}
    clock, other = ("--known-at", "--as-of") if given["clock"] == "known" else ("--as-of", "--known-at")
    if given[clock[2:].replace("-", "_")] is not None:
        raise click.UsageError(f"--from and --to are times of that clock already; {other} holds the other one still.")
    query = {names.get(name, name): value for name, value in given.items() if value is not None}
    with asking(chosen_asker(collector, database), database) as asker:
        print_changes(asker, node, query, "json" if as_json else format_)


def _refuse(parameters: Iterable[str], why: str) -> None:
    """Refuse those that were typed."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if (
            parameter.name in parameters
            and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        ):
            word = parameter.opts[0] if isinstance(parameter, click.Option) else (parameter.name or "").upper()
            raise click.UsageError(f"{word} {why}")


def _load(pipeline: str) -> AssetGraph:
    from emitter.commands.pipeline import load

    return load(pipeline)


def _remembered(store: MetadataStore) -> list[AssetGraph]:
    paths: dict[str, None] = {}
    for namespace, name in store.assets():
        last = store.latest(namespace, name)
        if last is not None and last.pipeline is not None:
            paths[last.pipeline] = None
    if not paths:
        raise click.UsageError("The metadata store remembers no pipeline; give one: headwater verify pipeline.py")
    return [_load(path) for path in paths]


@contextlib.contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[Verification], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from emitter.commands.report import console
    from lineage.appearance import visible

    shown = console(to_stderr=True)
    columns = (
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=shown, disable=quiet or not shown.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda one: bar.update(task, advance=1, description=visible(one.asset))


def _print_verifications(found: list[Verification]) -> None:
    from rich.table import Table
    from rich.text import Text

    from emitter.commands import report
    from lineage.appearance import visible

    out = report.console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for heading in ("asset", "output", "recorded", "found", "where"):
        table.add_column(heading, no_wrap=True)
    for one in found:
        table.add_row(
            Text(visible(one.asset), style="bold"),
            Text(one.verdict.value, style=_STYLES[one.verdict.value]),
            report.checksum_prefix(one.expected),
            report.checksum_prefix(one.found),
            Text(visible(one.message or one.place or "")),
        )
    report.print_table(out, table)
    bad = sum(not one.good for one in found)
    looked = sum(one.verdict.value != "skipped" for one in found)
    if bad:
        told = f"\n{bad} of {looked} stored outputs are not what was materialized; 'headwater run' makes them again."
        out.print(Text(told, style="red"), soft_wrap=True)
    else:
        out.print(Text(f"\n{looked} stored output{'s' * (looked != 1)} verified: all are what was materialized."))


def _print_history(numbered: list[tuple[int, Materialization]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from emitter.commands import report
    from lineage.appearance import visible

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    table.add_column("#", justify="right")
    for heading in ("materialized", "version", "code", "checksum"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rows", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("why")
    for number, one in numbered:
        table.add_row(
            str(number),
            f"{one.updated_at.astimezone():%Y-%m-%d %H:%M:%S}",
            Text(visible(one.version)),
            one.code_version[:12],
            report.checksum_prefix(one.checksum),
            "" if one.rows is None else f"{one.rows:,}",
            f"{one.duration:.2f}",
            Text(visible(one.reason)),
        )
    report.print_table(report.console(), table)


def _print_forecast(found: Any) -> None:
    from lineage.appearance import visible

    name = visible(found.asset)
    if found.reason is not None:
        click.echo(f"{name} would run: {visible(found.reason)}.")
    elif found.pending:
        click.echo(f"{name} would run if its upstream comes out different.")
    else:
        click.echo(f"{name} would not run: code, upstream and output are as they were.")
    for upstream, reason in found.pending.items():
        click.echo(f"  Before it {visible(upstream)} would run: {visible(reason)}.")
    if found.last is not None:
        click.echo(f"It was last materialized at {_time(found.last)}: {visible(found.last.reason)}.")


def _print_difference(found: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from emitter.commands import report
    from lineage.appearance import shorten, visible

    if not found.changes:
        click.echo("Nothing that was recorded differs.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    table.add_column("what", no_wrap=True)
    for one in (found.before, found.after):
        table.add_column(f"{one.updated_at.astimezone():%Y-%m-%d %H:%M:%S}", no_wrap=True)
    for what, sides in found.changes.items():
        shown = [Text(shorten(visible(side), 48)) if side is not None else Text("–", style="dim") for side in sides]
        table.add_row(Text(visible(what), style="bold"), *shown)
    report.print_table(report.console(), table)


def _verification_document(one: Verification) -> dict[str, Any]:
    return {
        "asset": one.asset,
        "verdict": one.verdict.value,
        "place": one.place,
        "expected": one.expected,
        "found": one.found,
        "message": one.message,
    }


def _version_document(number: int, one: Materialization) -> dict[str, Any]:
    return {
        "number": number,
        **_identity(one),
        "createdAt": one.created_at.isoformat().replace("+00:00", "Z"),
        "reason": one.reason,
        "rows": one.rows,
        "bytes": one.bytes,
        "duration": round(one.duration, 6),
        "lineage": {name: dict(version) for name, version in one.lineage.items()},
        "config": one.config,
        "pipeline": one.pipeline,
    }


def _identity(one: Materialization) -> dict[str, Any]:
    return {
        "updatedAt": _time(one),
        "version": one.version,
        "codeVersion": one.code_version,
        "checksum": one.checksum,
        "runId": one.run_id,
    }


def _time(one: Materialization) -> str:
    return one.updated_at.isoformat().replace("+00:00", "Z")
