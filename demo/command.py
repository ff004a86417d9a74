"""``headwater demo``."""

from __future__ import annotations

import click

from headwater import examples


@click.command(
    short_help="Run a real pipeline into a collector and show what came of it.",
    epilog=examples(
        "headwater demo",
        after=["All that it makes is in .headwater/demo of the working directory; delete that to start over."],
    ),
)
def demo() -> None:
    """Run a real pipeline over 336,776 flights into a collector, and show what came of it.

    It starts a collector, runs nine assets with checks, asks the collector where the last of them came from, draws
    that, stops the collector and ends: some seconds in all. Run it again to see that nothing is made twice.
    """
    from demo.show import run_demo

    if not run_demo():
        raise SystemExit(1)
