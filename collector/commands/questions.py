"""``headwater provenance|stale|paths``: what a version was made from, what is out of date, how data gets there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from collector.commands.asking import Asker, Query, ask, ask_text, asks, format_option, node_id
from headwater import examples

if TYPE_CHECKING:
    from rich.text import Text

    from lineage.graph import Graph

JSON = dict[str, Any]


@click.command(
    short_help="Say what a version was made from.",
    epilog=examples(
        "headwater provenance delay_report",
        "headwater provenance 'orders#v7' --collector http://127.0.0.1:5000",
        "headwater provenance dataset:shop:orders@2026-11-24T06:00:00Z --format mermaid",
        "headwater provenance 'orders#f705bf93' --format json | jq '.versions[].codeVersion'",
    ),
)
@click.argument("node", metavar="NODE")
@format_option("prov")
@asks()
def provenance(asker: Asker, query: Query, node: str, format_: str) -> None:
    """List the versions, runs and code that a version of the dataset NODE was made from, nearest first.

    NODE is a name, or an id like dataset:shop:orders; after it #VERSION, #CHECKSUM, #RUN or @TIME, else the newest
    version is meant. Under 'known': whether the run named the version that it read (exact) or it was the newest then
    (inferred), and how the flow is known. --format prov is W3C PROV-JSON.
    """
    asked = {**query, "nodeId": node_id(asker, node)}
    if format_ != "table":
        print_answer(ask_text(asker, "/provenance", {**asked, "format": format_}))
        return
    from collector.commands.printing import say_apart, say_cut

    found = ask(asker, "/provenance", asked)
    print_versions(found)
    if len(found["versions"]) == 1:
        say_apart("It was made from nothing that the collector knows of.")
    say_cut(found)


@click.command(
    short_help="Say which datasets are older than what they are made from.",
    epilog=examples(
        "headwater stale flights",
        "headwater stale dataset:shop:orders --depth 0 --exit-code",
        "headwater stale flights --format json | jq '.datasets[] | select(.stale) | .name'",
        after=["With --exit-code, 1 also means that something is stale."],
    ),
)
@click.argument("node", metavar="NODE")
@format_option()
@click.option("--exit-code", is_flag=True, help="Exit with 1 if any of them is stale, for scripts.")
@asks()
def stale(asker: Asker, query: Query, node: str, format_: str, exit_code: bool) -> None:
    """List the dataset NODE and those downstream of it: which are stale, because of what, and since when.

    One is stale when an input of its newest version has other content now than when it was read, or is stale itself.
    """
    asked = {**query, "nodeId": node_id(asker, node)}
    found = print_found(asker, "/staleness", asked, format_, _print_staleness)
    if exit_code and found["stale"]:
        raise SystemExit(1)


@click.command(
    short_help="Say by which ways data gets from one node to another.",
    epilog=examples(
        "headwater paths flights delay_report",
        "headwater paths dataset:shop:orders job:shop:report --limit 5 --format mermaid",
        "headwater paths flights delay_report --as-of 2026-11-24T06:00:00Z",
    ),
)
@click.argument("origin", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.option(
    "--granularity",
    type=click.Choice(["all", "dataset", "job", "column"]),
    default="all",
    show_default=True,
    help="What the paths lead over: datasets and the jobs between them, or only one of the kinds.",
)
@format_option()
@asks(depth=False)
def paths(asker: Asker, query: Query, origin: str, destination: str, granularity: str, format_: str) -> None:
    """List the paths along the data from FROM to TO, the shortest first; each is a name or a node id."""
    kinds = ("job", "dataset") if granularity == "job" else ("dataset", "job")
    ends = [node_id(asker, word, kinds) for word in (origin, destination)]
    asked = {**query, "from": ends[0], "to": ends[1], "granularity": granularity}
    if format_ != "table":
        print_answer(ask_text(asker, "/lineage/paths", {**asked, "format": format_}))
        return
    _print_paths(ask(asker, "/lineage/paths", asked))


def print_found(asker: Asker, path: str, asked: Query, format_: str, print_table: Callable[[JSON], None]) -> JSON:
    """Ask and print; returns the answer, which an exit code may hang on, whatever was printed."""
    text = ask_text(asker, path, asked)
    found: JSON = json.loads(text)
    if format_ == "mermaid":
        print_answer(ask_text(asker, path, {**asked, "format": format_}))
    elif format_ == "json":
        print_answer(text)
    else:
        print_table(found)
    return found


def print_answer(text: str) -> None:
    """Print an answer of the API: JSON indented, anything else as it is."""
    if text.startswith(("{", "[")):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    click.echo(text, nl=not text.endswith("\n"))


def print_versions(found: JSON) -> None:
    """The table of versions, nearest first; whose steps lead upstream or downstream."""
    from collector.commands import printing

    upstream = found["direction"] == "upstream"
    known: dict[str, set[str]] = defaultdict(set)
    for step in found["steps"]:
        far = step["origin"] if upstream else step["destination"]
        known[far].add(f"{step['versionEvidence']}, {step['flowEvidence']}")
    rows: list[list[str | Text]] = []
    for one in found["versions"]:
        job = one["job"]
        superseded = printing.time(one["supersededAt"])
        rows.append(
            [
                str(one["distance"]),
                printing.styled(printing.name(one["namespace"], one["name"]), "bold"),
                printing.version(one) if one["createdAt"] else printing.styled("never written", "dim"),
                printing.time(one["createdAt"]),
                printing.name(job["namespace"], job["name"]) if job else "",
                (one["codeVersion"] or "")[:12],
                printing.styled(superseded, "dim") if superseded else "",
                "; ".join(sorted(known[one["id"]])),
            ]
        )
    printing.print_table(["steps", "dataset", "version", "made at", "by job", "code", "superseded", "known"], rows)


def _print_staleness(found: JSON) -> None:
    from collector.commands import printing

    rows: list[list[str | Text]] = []
    for one in found["datasets"]:
        reasons = [
            f"{printing.name_of(cause['id'])} changed "
            f"(read {printing.mark(cause['readVersion'])}, now {printing.mark(cause['newestVersion'])})"
            for cause in one["causes"]
        ]
        reasons += [f"{printing.name_of(id_)} is stale" for id_ in one["because"]]
        rows.append(
            [
                str(one["distance"]),
                printing.styled(printing.name(one["namespace"], one["name"]), "bold"),
                printing.styled("stale", "bold red") if one["stale"] else printing.styled("up to date", "green"),
                printing.time(one["since"]),
                "; ".join(reasons),
            ]
        )
    printing.print_table(["steps", "dataset", "state", "since", "because"], rows)
    counted = len(found["datasets"])
    if found["stale"]:
        verb = "is" if found["stale"] == 1 else "are"
        printing.say_apart(f"{found['stale']:,} of {counted:,} datasets {verb} stale.", "red")
    else:
        printing.say_apart(f"Nothing is stale: {counted:,} dataset{'s' * (counted != 1)} looked at.", "green")
    printing.say_cut(found)


def _print_paths(found: JSON) -> None:
    from collector.commands import printing

    if not found["found"]:
        printing.say(f"No path leads from {found['from']} to {found['to']}.")
        if found.get("note"):
            printing.say(found["note"])
        return
    rows = [
        [
            str(number),
            str(path["length"]),
            " → ".join(printing.name_of(id_) for id_ in path["nodes"]),
            path["evidence"] or "",
        ]
        for number, path in enumerate(found["paths"], 1)
    ]
    printing.print_table(["#", "steps", "path", "known"], rows)
    if found["truncated"]:
        printing.say_apart("There may be more: --limit N lists more of them.", "yellow")


def graph_of_path(path: Sequence[str]) -> Graph:
    """A chain of node ids as a graph."""
    from collector.commands.printing import read_id
    from lineage.graph import Edge, Graph, Node

    nodes = []
    for id_ in path:
        node = read_id(id_)
        nodes.append(Node(id_, node.kind, node.namespace, node.name, node.field))
    return Graph(nodes, [Edge(a, b) for a, b in pairwise(path)], start=path[:1])
