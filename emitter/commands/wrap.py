"""``headwater wrap``."""

from __future__ import annotations

import os
import signal

import click

from headwater import COLLECTOR, examples


@click.command(
    short_help="Run any command and record it as a run of a job.",
    context_settings={"allow_interspersed_args": False},
    epilog=examples(
        "headwater wrap --job nightly.load -- ./load.sh --full",
        "headwater wrap --job load --input postgres://db:5432 shop.orders --output file /data/o.csv -- ./load.sh",
    ),
)
@click.option("--job", required=True, help="The job's name.")
@click.option(
    "--namespace",
    default=lambda: os.environ.get("OPENLINEAGE_NAMESPACE", "default"),
    show_default="$OPENLINEAGE_NAMESPACE, or default",
    help="The job's namespace.",
)
@click.option(
    "--input", "inputs", nargs=2, multiple=True, metavar="NAMESPACE NAME", help="A dataset that the command reads."
)
@click.option(
    "--output", "outputs", nargs=2, multiple=True, metavar="NAMESPACE NAME", help="A dataset that the command writes."
)
@click.option(
    "--collector",
    type=COLLECTOR,
    help="Where lineage events go; otherwise where OpenLineage is configured to send them (OPENLINEAGE_URL, "
    "openlineage.yml), or nowhere.",
)
@click.option(
    "--heartbeat",
    type=click.FloatRange(0.1),
    default=60.0,
    show_default=True,
    help="Seconds between two RUNNING events.",
)
@click.option("--outbox", type=click.Path(), metavar="FILE", help="Where events wait; .headwater/outbox.db by default.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def wrap(
    job: str,
    namespace: str,
    inputs: tuple[tuple[str, str], ...],
    outputs: tuple[tuple[str, str], ...],
    collector: str | None,
    heartbeat: float,
    outbox: str | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND and send START, RUNNING while it runs, then COMPLETE or FAIL with its exit code and last words.

    The command's input, output, signals and exit code are its own. What it starts finds this run as its parent, by
    OPENLINEAGE_PARENT_ID. Whatever happens to the events, the command does not notice.
    """
    if not hasattr(signal, "sigtimedwait"):
        raise click.UsageError("headwater wrap needs Linux: this system has no sigtimedwait.")
    for name, value in (("--job", job), ("--namespace", namespace)):
        if not value.strip():
            raise click.BadParameter("give a name", param_hint=name)
    for option, datasets in (("--input", inputs), ("--output", outputs)):
        for dataset in datasets:
            if "--" in dataset or not all(part.strip() for part in dataset):
                raise click.BadParameter("give a namespace and a name, like: file /data/orders.csv", param_hint=option)
    from pathlib import Path

    from emitter.child_process import end_like
    from emitter.emission import connect
    from emitter.runs import RunIdentity, inherited_parent, new_run_id
    from emitter.wrap import LateEmission, Wrapped
    from emitter.wrap import wrap as run

    identity = RunIdentity(new_run_id(), namespace, job, inherited_parent())
    emission = LateEmission(lambda: connect(collector, None, Path(outbox) if outbox else None))
    ended, trouble = run(Wrapped(command, identity, inputs, outputs), emission, heartbeat)
    if trouble:
        click.echo(f"headwater wrap: {trouble}", err=True)
    emission.close()
    end_like(ended)
