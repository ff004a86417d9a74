"""`python -m benchmarks`: runs the benchmarks and prints the figures beside their targets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console

from benchmarks import history, ingest, marquez, overload, postgres, rebuild, walk
from benchmarks.ingest import Settings
from benchmarks.report import Figure, document, show
from lineage.errors import HeadwaterError

BENCHMARKS: dict[str, Callable[[Settings], Iterator[Figure]]] = {
    "ingest": ingest.measure,
    "rebuild": rebuild.measure,
    "postgres": postgres.measure,
    "overload": overload.measure,
    "overload-postgres": overload.measure_postgres,
    "walk": walk.measure,
    "history": history.measure,
    "marquez": marquez.measure,
}


@click.command(epilog="Example: python -m benchmarks --only ingest --seconds 2 --rounds 3 --json figures.json")
@click.option("--only", type=click.Choice(list(BENCHMARKS)), multiple=True, help="This benchmark alone; repeatable.")
@click.option("--seconds", type=float, default=3.0, show_default=True, help="Length of one round.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of each side, in turns.")
@click.option("--events", type=click.IntRange(10_000), default=100_000, show_default=True, help="For memory and disk.")
@click.option("--edges", type=click.IntRange(1_000), default=1_500_000, show_default=True, help="Of the walked graph.")
@click.option(
    "--versions", type=click.IntRange(200), default=200, show_default=True, help="Of each dataset of the history."
)
@click.option("--minutes", type=float, default=1.0, show_default=True, help="Of overload, on each engine.")
@click.option("--db", help="Database URL of the collector; a new SQLite file unless given.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True), help="Where databases go: a real disk.")
@click.option("--subject", type=click.Choice(["collector", "raw-append"]), default="collector", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file, too.")
def main(
    only: tuple[str, ...],
    seconds: float,
    rounds: int,
    events: int,
    edges: int,
    versions: int,
    minutes: float,
    db: str | None,
    directory: Path | None,
    subject: str,
    json_path: Path | None,
) -> None:
    """Measure speed and memory, each beside the raw limit or a peer, in one run.

    `--subject raw-append` measures the peer against itself: every rate's ratio must come out near 1.
    """
    progress = Console(stderr=True, highlight=False)
    closing = Console(width=None if Console().is_terminal else 160)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="headwater-bench-", dir=directory) as folder:
        settings = Settings(
            Path(folder), seconds, rounds, events, progress.print, db, subject, edges, versions, minutes
        )
        try:
            for name in only or BENCHMARKS:
                figures.extend(BENCHMARKS[name](settings))
        except HeadwaterError as error:
            if figures:
                show(figures, settings.folder, closing)
            raise click.ClickException(str(error)) from error
        show(figures, settings.folder, closing)
        if json_path is not None:
            json_path.write_text(json.dumps(document(figures, settings.folder), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
