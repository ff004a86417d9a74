"""``headwater impact``: what was made from a version, and what a change of assets would touch."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from collector.commands.asking import Asker, NotKnown, Query, ask, asks, format_option, node_id, node_ids
from collector.commands.changed import changed_files, changed_names, is_range
from collector.commands.questions import graph_of_path, print_answer, print_found, print_versions
from headwater import examples

if TYPE_CHECKING:
    from collector.pull_request import Change

JSON = dict[str, Any]
_KINDS = ("dataset", "job")  # that a changed asset may be


@click.command(
    short_help="Say what was made from a version, and what to run again.",
    epilog=examples(
        "headwater impact flights",
        "headwater impact 'flights@2026-11-24T03:00:00Z' --format json | jq '.rebuild[].name'",
        "headwater impact 'flights#b1d4e02f' --on delay_report --exit-code",
        "headwater impact --diff origin/main... > comment.md",
        "headwater impact --diff changed.txt --format json | jq '.affected[].id'",
        after=["With --exit-code, 1 also means that something is affected."],
    ),
)
@click.argument("node", metavar="[NODE]", required=False)
@click.option(
    "--on", "other", metavar="NODE2", help="Only say whether it went into this version of another dataset, and how."
)
@click.option(
    "--diff",
    "changed",
    metavar="FILE|RANGE",
    help="What a change of assets touches, as a comment for a pull request in Markdown. FILE has their names or ids, "
    "one a line ('-' reads them from stdin); of RANGE, like main...HEAD or HEAD~3.., Git tells the files that differ. "
    "A path to an SQL file, or to a CSV file below seeds/, stands for the asset of its name.",
)
@format_option()
@click.option(
    "--evidence",
    type=click.Choice(["explicit", "column", "any"]),
    help="With --diff: follow only edges that are known at least so well; any by default.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything is affected, for scripts.")
@asks()
def impact(
    asker: Asker,
    query: Query,
    node: str | None,
    other: str | None,
    changed: str | None,
    format_: str,
    evidence: str | None,
    exit_code: bool,
) -> None:
    """List every version that was made from a version of the dataset NODE, directly or not, and what to run again.

    NODE is a name, or an id like dataset:shop:orders; after it #VERSION, #CHECKSUM, #RUN or @TIME, else the newest
    version is meant. The jobs to run again are in the order in which to run them: those whose newest outputs are
    affected.
    """
    if (node is None) == (changed is None):
        raise click.UsageError(
            "Say what changed: NODE, or --diff with the names of changed assets or a range; one of the two."
        )
    if changed is not None:
        if other is not None:
            raise click.UsageError("--on asks about one version: give NODE, not --diff.")
        is_affected = _print_comment(asker, {**query, "evidence": evidence}, changed, format_)
    elif evidence is not None:
        raise click.UsageError("--evidence goes with --diff: of versions, the answer says how each step is known.")
    elif other is not None:
        for word in ("depth", "limit"):
            if word in query:
                raise click.UsageError(f"--on lists nothing that --{word} could bound.")
        is_affected = _print_whether(asker, query, node or "", other, format_)
    else:
        is_affected = _print_impact(asker, query, node or "", format_)
    if exit_code and is_affected:
        raise SystemExit(1)


def _print_impact(asker: Asker, query: Query, node: str, format_: str) -> bool:
    asked = {**query, "nodeId": node_id(asker, node)}
    return len(print_found(asker, "/impact", asked, format_, _print_table)["versions"]) > 1


def _print_table(found: JSON) -> None:
    from collector.commands.printing import say_cut

    print_versions(found)
    _print_rebuild(found)
    say_cut(found)


def _print_rebuild(found: JSON) -> None:
    from collector.commands import printing

    if len(found["versions"]) == 1:
        printing.say_apart("Nothing was made from it.", "green")
    elif not found["rebuild"]:
        printing.say_apart("Nothing is to be run again: all that was made from it has been superseded.", "green")
    else:
        printing.say_apart("Run again, in this order:")
        for number, job in enumerate(found["rebuild"], 1):
            makes = ", ".join(printing.name_of(one) for one in job["datasets"])
            printing.say(f"{number:>3}. {printing.name(job['namespace'], job['name'])}  makes {makes}")


def _print_whether(asker: Asker, query: Query, node: str, other: str, format_: str) -> bool:
    found = ask(asker, "/impact/affected", {**query, "nodeId": node_id(asker, other), "by": node_id(asker, node)})
    if format_ == "json":
        print_answer(json.dumps(found))
    elif format_ == "mermaid":
        from lineage.mermaid import to_mermaid

        click.echo(to_mermaid(graph_of_path(found["path"])), nl=False)
    else:
        from collector.commands import printing

        by, made = printing.name_of(found["by"]), printing.name_of(found["nodeId"])
        if found["affected"]:
            printing.say(f"Yes: that version of {by} went into {made}.", "yellow")
            printing.say(" → ".join(printing.name_of(one) for one in found["path"]))
        else:
            printing.say(f"No: that version of {by} did not go into {made}.", "green")
    return bool(found["affected"])


# --- a change of assets ----------------------------------------------------------------------------------------------


def _print_comment(asker: Asker, query: Query, source: str, format_: str) -> bool:
    from collector.pull_request import Change, comment, to_document

    change = Change()
    words = changed_files(source) if is_range(source) else changed_names(source)
    find = node_ids if is_range(source) else _the_one  # a file cannot be written so that it means one of several
    for word in words:
        try:
            datasets = [one for node in find(asker, word, _KINDS) for one in _datasets(asker, query, node)]
        except NotKnown:
            change.unknown.append(word)
            continue
        known = [_add(change, asker, query, dataset) for dataset in datasets]
        if datasets and not any(known):
            change.unknown.append(word)
    if format_ == "json":
        print_answer(json.dumps(to_document(change)))
    elif format_ == "mermaid":
        from lineage.mermaid import to_mermaid

        click.echo(to_mermaid(change.graph()), nl=False)
    else:
        click.echo(comment(change), nl=False)
    return bool(change.affected())


def _the_one(asker: Asker, word: str, kinds: Collection[str]) -> list[str]:
    return [node_id(asker, word, kinds)]


def _datasets(asker: Asker, query: Query, node: str) -> list[str]:
    """The datasets that a changed node stands for: itself, or what the job writes."""
    if not node.startswith("job:"):
        return [node]
    clocks = {word: query[word] for word in ("asOf", "knownAt") if word in query}
    near = ask(asker, "/lineage/downstream", {**clocks, "nodeId": node, "depth": 1, "granularity": "all"})
    return [edge["destination"] for edge in near["edges"] if edge["origin"] == near["nodeId"]]


def _add(change: Change, asker: Asker, query: Query, dataset: str) -> bool:
    """Take in what is made from a dataset; False where nothing was known of it at the moment that is asked about."""
    try:
        everything = ask(asker, "/lineage/downstream", {**query, "nodeId": dataset, "granularity": "all"})
        between = ask(asker, "/lineage/downstream", {**query, "nodeId": dataset, "granularity": "dataset"})
    except NotKnown:
        return False
    change.add(everything, between)
    return True
