"""``headwater quarantine list|replay|drop``."""

from __future__ import annotations

import json

import click

from collector.commands.store import AS_JSON, DATABASE, opened
from headwater import examples


@click.group(
    short_help="List, replay or drop events that were refused.",
    epilog=examples("headwater quarantine list", "headwater quarantine replay", "headwater quarantine drop 17 18"),
)
def quarantine() -> None:
    """Events that the collector refused are kept here with the reason, so that nothing is lost."""


@quarantine.command(
    "list", short_help="Show what was refused, newest first.", epilog=examples("headwater quarantine list --limit 5")
)
@DATABASE
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many to show.")
@AS_JSON
def list_(database: str, limit: int, as_json: bool) -> None:
    """Show each refused event's id, when it came, and why it was refused; with --json its body too."""
    from collector.quarantine import count, kept
    from collector.store.engines import reading

    with opened(database) as engine, reading(engine) as connection:
        rows, total = kept(connection, limit), count(connection)
    if as_json:
        found = [
            {"id": r.id, "receivedAt": r.received_at, "reason": r.reason, "body": r.body.decode(errors="replace")}
            for r in rows
        ]
        click.echo(json.dumps({"refused": found, "totalCount": total}))
        return
    for row in rows:
        click.echo(f"{row.id:>8}  {row.received_at}  {_plain(row.reason['message'])}")
    click.echo(f"{total:,} in quarantine." if total else "Nothing is in quarantine.")


@quarantine.command(
    short_help="Try to store them again.",
    epilog=examples("headwater quarantine replay", "headwater quarantine replay 17"),
)
@DATABASE
@click.argument("ids", nargs=-1, type=click.IntRange(1))
def replay(database: str, ids: tuple[int, ...]) -> None:
    """Try again to store all refused events, or those with IDS; what is stored leaves the quarantine.

    Exits with 1 when any was refused again.
    """
    from collector.quarantine import replay as again

    with opened(database) as engine:
        done = again(engine, ids or None)
    click.echo(f"Stored {done.stored:,}; {len(done.refused):,} refused again.")
    for one, reason in done.refused.items():
        click.echo(f"{one:>8}  {_plain(reason['message'])}", err=True)
    if done.refused:
        raise SystemExit(1)


@quarantine.command(
    short_help="Forget them.", epilog=examples("headwater quarantine drop 17 18", "headwater quarantine drop --all")
)
@DATABASE
@click.argument("ids", nargs=-1, type=click.IntRange(1))
@click.option("--all", "everything", is_flag=True, help="Forget all of them.")
def drop(database: str, ids: tuple[int, ...], everything: bool) -> None:
    """Delete refused events from the quarantine, body and reason."""
    from sqlalchemy import select

    from collector.quarantine import drop as forget
    from collector.store.engines import writing
    from collector.tables import quarantine as table

    if bool(ids) == everything:
        raise click.UsageError("Name the ids to forget, or say --all.")
    with opened(database) as engine, writing(engine) as connection:
        chosen = list(connection.execute(select(table.c.id)).scalars()) if everything else list(ids)
        click.echo(f"Forgot {forget(connection, chosen):,}.")


def _plain(message: str) -> str:
    """One line that a terminal cannot be steered with: names in it are anybody's."""
    return "".join(character if character.isprintable() else "\ufffd" for character in message)[:300]
