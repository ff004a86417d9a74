"""What ``headwater diff NODE --from TIME`` prints: what changed in the graph around a node between two moments."""

from __future__ import annotations

import json
from typing import Any

from collector.commands.asking import Asker, Query, ask_text, node_id
from collector.commands.questions import print_answer

JSON = dict[str, Any]
_STYLES = {"added": "green", "removed": "red", "changed": "cyan"}


def print_changes(asker: Asker, node: str, query: Query, format_: str) -> None:
    """Ask, and print the answer as a table, JSON or Mermaid."""
    asked = {**query, "nodeId": node_id(asker, node, ("dataset", "job"))}
    if format_ == "mermaid":
        print_answer(ask_text(asker, "/lineage/diff", {**asked, "format": format_}))
        return
    text = ask_text(asker, "/lineage/diff", asked)
    if format_ == "json":
        print_answer(text)
    else:
        _print_table(json.loads(text))


def _print_table(found: JSON) -> None:
    from collector.commands import printing

    nodes, edges = found["nodes"], found["edges"]
    rows: list[tuple[str, str, str, str]] = []
    for word in ("added", "removed"):
        rows += [(word, printing.read_id(one).kind.value, printing.name_of(one), "") for one in nodes[word]]
    for one in nodes["changed"]:
        rows.append(
            ("changed", printing.read_id(one["id"]).kind.value, printing.name_of(one["id"]), "; ".join(_changes(one)))
        )
    for word in ("added", "removed"):
        for edge in edges[word]:
            ends = (printing.name_of(edge[end]) for end in ("origin", "destination"))
            rows.append((word, "edge", " → ".join(ends), ""))
    if not rows:
        printing.say("Nothing changed.")
    else:
        printing.print_table(
            ["what", "kind", "name", "how"], [(printing.styled(row[0], _STYLES[row[0]]), *row[1:]) for row in rows]
        )
    printing.say_cut(found)


def _changes(one: JSON) -> list[str]:
    """What is different about a node, in words."""
    from collector.commands.printing import mark

    told = []
    if version := one.get("version"):
        told.append(f"version {mark(version['from'])} → {mark(version['to'])}")
    if content := one.get("checksum"):
        told.append(f"content {_content(content['from'])} → {_content(content['to'])}")
    if code := one.get("code"):
        told.append(f"code {_short(code['from'])} → {_short(code['to'])}")
    if schema := one.get("schema"):
        told += [f"column {name} added" for name in schema["added"]]
        told += [f"column {name} removed" for name in schema["removed"]]
        told += [f"column {c['column']} {c['from'] or 'untyped'} → {c['to'] or 'untyped'}" for c in schema["changed"]]
    return told


def _content(checksum: str | None) -> str:
    return _short((checksum or "").rpartition(":")[2])


def _short(version: str | None) -> str:
    return version[:12] if version else "none"
