"""``headwater outbox status|flush|retry``."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from headwater import examples

_PATH = click.option(
    "--path", type=click.Path(), metavar="FILE", help="The outbox's file; .headwater/outbox.db by default."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    short_help="Say what waits in the outbox, send it, try refused events again.",
    epilog=examples("headwater outbox status", "headwater outbox flush", "headwater outbox retry"),
)
def outbox() -> None:
    """Lineage events are kept in a local file, the outbox, until the collector has them."""


@outbox.command(
    short_help="Say what waits, and why.",
    epilog=examples("headwater outbox status", "headwater outbox status --json | jq '.destinations[].waiting'"),
)
@_PATH
@_JSON
def status(path: str | None, as_json: bool) -> None:
    """Show for each collector how many events wait and since when, what it refused, and what was dropped."""
    from emitter.outbox import inspection

    store = inspection.existing(_file(path))
    found = inspection.status(store)
    refused = inspection.refused(store, 20)
    store.close()
    if as_json:
        document = asdict(found) | {"waiting": found.waiting, "refused": [asdict(one) for one in refused]}
        click.echo(json.dumps(document, default=_json, indent=2))
        return
    click.echo(f"{found.path}: {found.waiting:,} waiting, {found.bytes / 1e6:,.1f} MB")
    for one in found.destinations:
        click.echo(f"\n{_plain(one.url)}")
        since = f", the oldest of {one.oldest:%Y-%m-%d %H:%M:%S} UTC" if one.oldest else ""
        click.echo(f"  waiting    {one.waiting:,}{since}")
        last = f", the last at {one.delivered_at:%Y-%m-%d %H:%M:%S} UTC" if one.delivered_at else ""
        click.echo(f"  delivered  {one.delivered:,}{last}")
        if one.error:
            again = f"; next try at {one.retry_at:%H:%M:%S} UTC" if one.retry_at else ""
            click.echo(f"  trouble    {_plain(one.error)} ({one.failures} times in a row){again}")
        if one.refused:
            click.echo(f"  refused    {one.refused:,}; headwater outbox retry puts them back")
        for reason, events in one.dropped.items():
            click.echo(f"  dropped    {events:,} ({'the outbox was full' if reason == 'size' else 'too old'})")
    for bad in refused:
        click.echo(f"\nrefused {bad.id}: HTTP {bad.status}, run {_plain(bad.run)}\n  {_plain(bad.reason)}")


@outbox.command(
    short_help="Send what waits.",
    epilog=examples("headwater outbox flush", "headwater outbox flush --timeout 600 --path ~/airflow/outbox.db"),
)
@_PATH
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds at most."
)
@_JSON
def flush(path: str | None, timeout: float, as_json: bool) -> None:
    """Send what waits to each collector, with OPENLINEAGE_API_KEY or the configured credentials.

    Exits with 1 where any event waits still.
    """
    from emitter.outbox import inspection
    from emitter.outbox.flushing import flush as send

    store = inspection.existing(_file(path))
    done = send(store, timeout)
    store.close()
    if as_json:
        click.echo(json.dumps({"destinations": [asdict(one) for one in done]}))
    else:
        for one in done:
            why = f" ({_plain(one.error)})" if one.error else ""
            rest = f", {one.waiting:,} wait still{why}" if one.waiting else ""
            click.echo(f"{_plain(one.url)}: {one.sent:,} sent{rest}")
        if not done:
            click.echo("Nothing waits.")
    if any(one.waiting for one in done):
        raise SystemExit(1)


@outbox.command(
    short_help="Put refused events back among those that wait.",
    epilog=examples("headwater outbox retry", "headwater outbox retry 17 18"),
)
@_PATH
@click.argument("ids", nargs=-1, type=click.IntRange(1))
@_JSON
def retry(path: str | None, ids: tuple[int, ...], as_json: bool) -> None:
    """Put back what a collector refused, all or those with IDS: for a collector that was mended since.

    They are sent with the next run, or by: headwater outbox flush.
    """
    from emitter.outbox import inspection

    store = inspection.existing(_file(path))
    done = inspection.retry(store, ids or None)
    store.close()
    click.echo(json.dumps({"retried": done}) if as_json else f"{done:,} wait again; send them: headwater outbox flush")


def _file(path: str | None) -> Path:
    from emitter.outbox.config import outbox_path

    return outbox_path(path)


def _json(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _plain(text: str) -> str:
    """One line that a terminal cannot be steered with: what a collector says may be anything."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:300]
