"""``headwater serve``."""

from __future__ import annotations

import click

from headwater import examples


@click.command(
    short_help="Start the collector, which stores lineage and answers questions.",
    epilog=examples(
        "headwater serve",
        "headwater serve --db sqlite:////var/lib/headwater/lineage.db --port 8080",
        "headwater serve --db postgresql://user:password@db.example/lineage --workers 4",
        "curl http://127.0.0.1:5000/health",
    ),
)
@click.option(
    "--db",
    "database",
    default="sqlite:///lineage.db",
    show_default=True,
    envvar="HEADWATER_DB",
    show_envvar=True,
    metavar="URL",
    help="Where lineage is kept: a SQLite file, made when it is not there, or a PostgreSQL database.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port to listen on; 0 takes a free one, which is printed.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer. One is right for SQLite, whose writers take turns; more help with PostgreSQL.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What is logged to stderr; 'info' adds a line for each request.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Listen on an address that other machines reach, although nobody has to prove who they are yet.",
)
def serve(database: str, host: str, port: int, workers: int, log_level: str, insecure: bool) -> None:
    """Start the collector: an OpenLineage server on one port.

    Point producers at the printed address (OPENLINEAGE_URL, headwater run --collector). It answers Marquez's API and
    its own questions: upstream, downstream, diagrams; /docs shows them all. An event is acknowledged once it is on
    disk. Ctrl-C or SIGTERM stops it after the requests that are under way.
    """
    from collector.commands.server import run_server

    run_server(
        database,
        host=host,
        port=port,
        workers=workers,
        log_level=log_level,
        insecure=insecure,
        announce=lambda text: click.echo(text),
    )
