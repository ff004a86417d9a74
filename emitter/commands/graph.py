"""``headwater graph``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from headwater import COLLECTOR, examples

if TYPE_CHECKING:
    from lineage.graph import Graph

_FORMATS = ("mermaid", "dot", "json")
#: Options that ask something of a collector, and mean nothing for a pipeline file, which is drawn as a whole.
_QUESTIONS = ("node", "direction", "depth", "granularity")


@click.command(
    short_help="Draw the lineage of a pipeline, or of a node in a collector.",
    epilog=examples(
        "headwater graph pipeline.py",
        "headwater graph pipeline.py --format dot | dot -Tsvg > pipeline.svg",
        "headwater graph --collector http://127.0.0.1:5000 --node job:default:report --direction upstream",
        "headwater graph --collector http://127.0.0.1:5000 --node dataset:shop:orders --granularity dataset",
    ),
)
@click.argument("pipeline", type=click.Path(), required=False)
@click.option("--collector", type=COLLECTOR, help="Ask a collector instead of reading a pipeline file.")
@click.option(
    "--node",
    metavar="NODEID",
    help="Whose lineage: dataset:{namespace}:{name}, job:{namespace}:{name} or "
    "datasetField:{namespace}:{dataset}:{column}.",
)
@click.option(
    "--direction",
    type=click.Choice(["upstream", "downstream", "both"]),
    default="both",
    show_default=True,
    help="What the node is made from, what is made from it, or both.",
)
@click.option(
    "--depth", type=click.IntRange(0, 1000), default=20, show_default=True, help="How many steps from the node."
)
@click.option(
    "--granularity",
    type=click.Choice(["all", "dataset", "job", "column"]),
    default="all",
    show_default=True,
    help="What is drawn: datasets and the jobs between them, or only one of the kinds.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default="mermaid",
    show_default=True,
    help="Mermaid for GitHub, GitLab and wikis; DOT for Graphviz; JSON for programs.",
)
@click.option(
    "--layout",
    type=click.Choice(["LR", "RL", "TB", "BT"]),
    default="LR",
    show_default=True,
    help="Which way the data flows: left to right, top to bottom, …",
)
@click.pass_context
def graph(
    ctx: click.Context,
    pipeline: str | None,
    collector: str | None,
    node: str | None,
    direction: str,
    depth: int,
    granularity: str,
    format_: str,
    layout: str,
) -> None:
    """Draw lineage as text: of the file PIPELINE, without running its assets, or of a node in a collector.

    Mermaid renders where it is pasted into Markdown between ```mermaid and ```; what is too large for it is cut at the
    far end, and says how much is missing.
    """
    if (pipeline is None) == (collector is None):
        raise click.UsageError(
            "Say what to draw: a pipeline file, or --collector URL with --node NODEID; one of the two."
        )
    if pipeline is not None:
        given = [name for name in _QUESTIONS if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"--{given[0]} asks something of a collector: give --collector URL, not a file.")
        from emitter.commands.pipeline import load

        click.echo(draw(load(pipeline).to_graph(), format_, layout), nl=False)
        return
    if not node:
        raise click.UsageError("--collector needs --node NODEID, such as --node job:default:orders.")
    from emitter.commands.diagrams import Refused, fetch_diagram
    from lineage.errors import InvalidNodeId
    from lineage.nodes import candidates

    try:
        candidates(node)
        text = fetch_diagram(
            collector or "",
            node,
            direction=direction,
            depth=depth,
            granularity=granularity,
            format=format_,
            layout=layout,
        )
    except (InvalidNodeId, Refused) as error:
        raise click.BadParameter(str(error), param_hint="--node") from error
    click.echo(text, nl=not text.endswith("\n"))


def draw(drawn: Graph, format_: str, layout: str) -> str:
    """The graph in one of the formats, ending in a newline."""
    if format_ == "json":
        from lineage.document import to_document

        return json.dumps(to_document(drawn), indent=2) + "\n"
    if format_ == "dot":
        from lineage.dot import to_dot

        return to_dot(drawn, direction=layout)
    from lineage.mermaid import to_mermaid

    return to_mermaid(drawn, direction=layout)
