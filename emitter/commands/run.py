"""``headwater run``."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from headwater import COLLECTOR, examples

if TYPE_CHECKING:
    from emitter.graph import AssetGraph


@click.command(
    short_help="Run a pipeline's assets and record their lineage.",
    epilog=examples(
        "headwater run pipeline.py",
        "headwater run pipeline.py --collector http://127.0.0.1:5000",
        "headwater run pipeline.py --select 'orders+'        orders, and all that is made from it",
        "headwater run pipeline.py --select '+report' --force",
        "headwater run pipeline.py --exclude tag:slow --jobs 4",
        "headwater run shop.nightly --engine processes --config orders.since=2024-01-01",
        "headwater run pipeline.py --json | jq '.assets[].checksum'",
    ),
)
@click.argument("pipeline", type=click.Path())
@click.option(
    "--select",
    multiple=True,
    metavar="ASSETS",
    help="Only these: 'orders', '+orders' (and what it needs), 'orders+' (and what is made from it), '2+orders' (two "
    "steps), 'stg_*', 'tag:daily', 'group:sales'; commas join them.",
)
@click.option("--exclude", multiple=True, metavar="ASSETS", help="Not these, in the same words as --select.")
@click.option(
    "--config",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value of the assets' config: 'limit=5', or 'orders.limit=5' for one asset. Also by the environment, "
    "HEADWATER_CONFIG__LIMIT; secrets had better come from there.",
)
@click.option(
    "--engine",
    metavar="ENGINE",
    help="What the assets run on: threads, processes, or dask://host:port; one after the other by default.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="How many assets may run at once.")
@click.option(
    "--collector",
    type=COLLECTOR,
    help="Where lineage events go; otherwise where OpenLineage is configured to send them (OPENLINEAGE_URL, "
    "openlineage.yml), or nowhere.",
)
@click.option(
    "--namespace", default="default", show_default=True, help="The jobs' namespace, where an asset names none itself."
)
@click.option(
    "--store",
    metavar="FILE",
    help="Where it is remembered what was materialized; .headwater/metadata.db by default.",
)
@click.option("--force", is_flag=True, help="Run assets even if nothing changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON; all else goes to stderr.")
def run(
    pipeline: str,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    config: tuple[str, ...],
    engine: str | None,
    jobs: int | None,
    collector: str | None,
    namespace: str,
    store: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Run the assets of PIPELINE, a file or a module, by their needs, check them, store them, record their lineage.

    Assets are functions with the decorator @asset; a parameter's name is the asset that it needs. One whose code,
    version, upstream and stored output are what they were is not run again: it is 'unchanged'. One that fails leaves
    what is made from it 'upstream_failed', and the rest is done. Ctrl-C ends what runs, and says so in the lineage.
    """
    from emitter.commands import report
    from emitter.commands.pipeline import load
    from emitter.config import parse, resolve
    from emitter.engines import engine_for
    from emitter.errors import ConfigError, EngineError, SelectionError, UnknownAsset
    from emitter.executor import materialize

    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        graph = load(pipeline)
        try:
            selected = graph.select(select or None, exclude or None)
        except (SelectionError, UnknownAsset) as error:
            hint = "--exclude" if exclude and not select else "--select"
            raise click.BadParameter(str(error), param_hint=hint) from error
        try:
            given = parse(config)
            resolve(graph, given)
        except ConfigError as error:
            raise click.BadParameter(str(error), param_hint="--config") from error
        try:
            chosen = engine_for(engine, jobs)
        except EngineError as error:
            raise click.BadParameter(str(error), param_hint="--engine") from error
        with _interruptible(), _warnings() as warnings, report.Progress(to_stderr=as_json) as progress:
            result = materialize(
                graph,
                engine=chosen,
                config=given,
                select=selected,
                namespace=namespace,
                collector=collector,
                store=store,
                force=force,
                on_progress=progress.show,
            )
    if as_json:
        click.echo(json.dumps(report.document(result), indent=2))
    else:
        again = report.Again(collector, _jobs(graph, namespace), _outbox(store))
        report.print_result(result, warnings, again)
    if not result.succeeded:
        sys.exit(1)


def _outbox(store: str | None) -> str | None:
    """The outbox's file, where it is not the default: it lies beside the metadata store."""
    return os.path.join(os.path.dirname(store), "outbox.db") if store else None


def _jobs(graph: AssetGraph, namespace: str) -> dict[str, str]:
    """The node id of each asset's job; no job of ours makes a source."""
    from lineage.nodes import job_node

    return {one.name: str(job_node(one.namespace or namespace, one.step)) for one in graph if not one.is_source}


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C, and the SIGTERM of a scheduler, end the run in order; the exit code is a shell's for that signal."""
    received = signal.SIGINT

    def stop(number: int, _: Any) -> None:
        nonlocal received
        received = signal.Signals(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted: what ran was ended, and is run again next time.", err=True)
        sys.stderr.flush()
        sys.stdout.flush()
        # threads that cannot be stopped must not keep the process
        os._exit(128 + received)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What the emitter logs meanwhile: kept, to be told when the assets' own lines are through."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    handler = Keep(logging.WARNING)
    log = logging.getLogger("emitter")
    log.addHandler(handler)
    before, log.propagate = log.propagate, False
    try:
        yield kept
    finally:
        log.removeHandler(handler)
        log.propagate = before
