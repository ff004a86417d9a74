"""``headwater stats|prune|rebuild|digest``: what an operator does with a collector's database."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any

import click

from headwater import examples

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from collector.rebuild import Progress

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
DATABASE = click.option(
    "--db",
    "database",
    default="sqlite:///lineage.db",
    show_default=True,
    envvar="HEADWATER_DB",
    show_envvar=True,
    metavar="URL",
    help="The collector's database.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


class Age(click.ParamType):
    """An age such as ``90d``, ``12h`` or ``2w``, as microseconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d{1,6})([smhdw])", str(value).strip())
        if not found:
            self.fail(f"{value!r} is no age: write a number and s, m, h, d or w, such as 90d", param, ctx)
        return int(found[1]) * _UNITS[found[2]] * 1_000_000


@contextmanager
def opened(database: str) -> Iterator[Engine]:
    """The engine of an existing collector's database. Raises StoreError where there is none."""
    from pathlib import Path

    from collector.errors import StoreError
    from collector.store.engines import database_file, open_engine, upgrade

    engine = open_engine(database)
    path = database_file(engine)
    if path is not None and not Path(path).exists():
        raise StoreError(f"There is no database at {path}: name the one that 'headwater serve' uses with --db.")
    upgrade(engine)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@click.command(
    short_help="Say what a database holds and what it costs on disk.",
    epilog=examples("headwater stats", "headwater stats --db sqlite:///lineage.db --json"),
)
@DATABASE
@AS_JSON
def stats(database: str, as_json: bool) -> None:
    """Count the rows of each table, and say how many bytes an event takes beside its raw JSON."""
    from collector.stats import stats as measure

    with opened(database) as engine:
        found = measure(engine)
    if as_json:
        click.echo(json.dumps(found.document()))
        return
    for table, count in found.rows.items():
        click.echo(f"{table:18}{count:>14,}")
    if found.raw_bytes_per_event is not None:
        click.echo(f"events from {found.first_event} to {found.last_event}")
        click.echo(f"raw JSON          {found.raw_bytes:>14,} bytes, {found.raw_bytes_per_event:,} an event")
        click.echo(f"database          {found.stored_bytes:>14,} bytes, {found.stored_bytes_per_event:,} an event")


@click.command(
    short_help="Delete old events and runs; the current graph stays.",
    epilog=examples("headwater prune --older-than 90d --dry-run", "headwater prune --older-than 52w"),
)
@DATABASE
@click.option("--older-than", type=Age(), required=True, help="By event time: 90d, 12h, 52w …")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@AS_JSON
def prune(database: str, older_than: int, dry_run: bool, as_json: bool) -> None:
    """Delete events and runs older than an age, except what something current rests on.

    Each job's newest runs, each dataset's newest version and every facet in force stay, whatever their age, so the
    graph is the same afterwards. A running collector answers 503 while this works, and clients send again.
    """
    from collector.prune import prune as delete

    before_us = time_ns() // 1_000 - older_than
    with opened(database) as engine, progress("Making derived rows again") as report:
        done = delete(engine, before_us, dry_run=dry_run, progress=report)
    if as_json:
        click.echo(json.dumps({"deleted": done.deleted, "kept": done.kept, "runs": done.runs, "dryRun": dry_run}))
    elif dry_run:
        click.echo(f"Would delete {done.deleted:,} events and keep {done.kept:,}.")
    else:
        click.echo(f"Deleted {done.deleted:,} events and {done.runs or 0:,} runs; {done.kept:,} events are kept.")


@click.command(
    short_help="Make every derived row again from the stored events.",
    epilog=examples("headwater rebuild", "headwater rebuild --db postgresql://user:password@db.example/lineage"),
)
@DATABASE
def rebuild(database: str) -> None:
    """Delete every derived row and make it again from the stored events, in one transaction.

    The answers are the same afterwards; 'headwater digest' before and after shows it. A running collector answers 503
    while this works.
    """
    from collector.rebuild import rebuild as make

    with opened(database) as engine, progress("Reading events") as report:
        done = make(engine, report)
    click.echo(f"Made everything again from {done.events:,} events.")
    if done.unreadable:
        click.echo(f"{done.unreadable:,} events are kept but cannot be read by this version.", err=True)


@click.command(
    short_help="Print one digest of everything that is derived from the events.",
    epilog=examples("headwater digest", "headwater digest --tables"),
)
@DATABASE
@click.option("--tables", "by_table", is_flag=True, help="Print a digest for each table: says where two stores differ.")
def digest(database: str, by_table: bool) -> None:
    """Print a digest of the derived state: equal wherever the same events are stored, in whatever order they came."""
    from collector.digest import digest as whole
    from collector.digest import table_digests
    from collector.store.engines import reading

    with opened(database) as engine, reading(engine) as connection:
        if by_table:
            for table, value in table_digests(connection).items():
                click.echo(f"{value}  {table}")
        else:
            click.echo(whole(connection))
