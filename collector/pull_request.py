"""What a change of assets touches, as the Markdown that a pull request's comment takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lineage.appearance import shorten, visible
from lineage.graph import Edge, Graph, Node
from lineage.mermaid import to_mermaid
from lineage.nodes import NodeKind

JSON = dict[str, Any]

#: What GitHub takes for one comment, in characters; a comment that is longer is refused as a whole.
MAX_COMMENT = 65_536
MAX_TABLE = 30_000
MAX_ROWS = 200
MAX_DIAGRAM = 25_000  # half of what Mermaid draws, so that all of it fits with the table
MAX_EDGES = 300
MAX_NAMES = 20  # of changed or unknown assets in one line
NAME_LENGTH = 100
MARK = "<!-- headwater impact -->"  # by which a bot finds the comment that it is to update

# Characters of a name between single backticks that end the code, the table's cell, or the line.
_BREAKS_CODE = re.compile(r"[`|\\\n]|\A\s|\s\Z|\A\Z")
_MARKUP = re.compile(r"[^\w /-]|_")


@dataclass(frozen=True, slots=True)
class Affected:
    """A dataset, or a job that writes none, that is made from what changed; ``jobs`` make it."""

    node: Node
    distance: int
    jobs: tuple[str, ...]


@dataclass(slots=True)
class Change:
    """Answers of ``/lineage/downstream`` for each changed dataset, put together."""

    changed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: int = 0
    _nodes: dict[str, Node] = field(default_factory=dict)
    _distances: dict[str, int] = field(default_factory=dict)
    _jobs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # that make a dataset
    _writers: set[str] = field(default_factory=set)
    _edges: list[Edge] = field(default_factory=list)

    def add(self, everything: JSON, between: JSON) -> None:
        """Take in one dataset's answers: of granularity ``all``, and of granularity ``dataset``."""
        if everything["nodeId"] not in self.changed:
            self.changed.append(everything["nodeId"])
        self.missing = max(self.missing, everything["missing"], between["missing"])
        for one in (*everything["nodes"], *between["nodes"]):
            kind = NodeKind(one["kind"])
            self._nodes.setdefault(one["id"], Node(one["id"], kind, one["namespace"], one["name"]))
            near = self._distances.get(one["id"], one["distance"])
            self._distances[one["id"]] = min(near, one["distance"])
        for edge in everything["edges"]:
            if self._nodes[edge["origin"]].kind is NodeKind.JOB:
                self._jobs[edge["destination"]].add(self._nodes[edge["origin"]].name)
                self._writers.add(edge["origin"])
        self._edges += [Edge(edge["origin"], edge["destination"], edge["evidence"]) for edge in between["edges"]]

    def affected(self) -> list[Affected]:
        """What is made from what changed, nearest first."""
        found = [
            Affected(node, self._distances[id_], tuple(sorted(self._jobs[id_])))
            for id_, node in self._nodes.items()
            if id_ not in self.changed and id_ not in self._writers
        ]
        return sorted(found, key=lambda one: (one.distance, one.node.name, one.node.namespace))

    def graph(self) -> Graph:
        """The datasets, the changed ones marked."""
        nodes = [
            Node(one.id, one.kind, one.namespace, one.name, status="changed" if one.id in self.changed else None)
            for one in self._nodes.values()
            if one.kind is NodeKind.DATASET
        ]
        return Graph(nodes, self._edges, start=self.changed, missing=self.missing)


def comment(change: Change, *, max_characters: int = MAX_COMMENT) -> str:
    """The comment: a headline, a table of what is affected, a diagram; never longer than GitHub takes."""
    affected = change.affected()
    parts = [MARK, f"### {_headline(change, affected)}"]
    if change.changed:
        parts.append(f"Changed: {_names([change.graph().nodes[one].name for one in change.changed])}.")
    if change.unknown:
        parts.append(f"Not known to the collector, so nothing is said of them: {_names(change.unknown)}.")
    if affected:
        parts += _table(affected, min(MAX_TABLE, max_characters // 2))
    if change.missing:
        parts.append(f"At least {change.missing:,} more are not shown, since the answer was cut.")
    if affected:
        room = min(MAX_DIAGRAM, max_characters - _length("\n\n".join(parts)) - 100)
        drawn = to_mermaid(change.graph(), max_characters=room, max_edges=MAX_EDGES, title="What the change touches")
        parts.append(f"```mermaid\n{drawn}```")
    return "\n\n".join(parts) + "\n"


def to_document(change: Change) -> JSON:
    """The same for programs."""
    return {
        "changed": change.changed,
        "unknown": change.unknown,
        "affected": [
            {"id": one.node.id, "kind": one.node.kind.value, "distance": one.distance, "jobs": list(one.jobs)}
            for one in change.affected()
        ],
        "missing": change.missing,
    }


def code(name: str) -> str:
    """A name as Markdown shows it to the letter, whatever it holds: no markup, no HTML, no link, nobody mentioned."""
    shown = shorten(visible(name), NAME_LENGTH)
    if not _BREAKS_CODE.search(shown):
        return f"`{shown}`"
    # entities are never read as markup, and code is never searched for mentions
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', shown)}</code>"


def _headline(change: Change, affected: Sequence[Affected]) -> str:
    if not change.changed:
        return "No changed asset is known to the collector" if change.unknown else "No changed assets"
    counted = f"{len(change.changed):,} changed asset{'s' * (len(change.changed) != 1)}"
    verb = "touches" if len(change.changed) == 1 else "touch"
    if not affected:
        return f"Nothing is made from the {counted}"
    more = " or more" if change.missing else ""
    return f"{counted} {verb} {len(affected):,}{more} downstream"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(code(name) for name in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES:,} more"


def _table(affected: Sequence[Affected], room: int) -> list[str]:
    """The table, and a line on what did not fit into it."""
    lines = ["| affected | in | made by | steps |", "|---|---|---|--:|"]
    used = sum(map(_length, lines))
    rows = 0
    for one in affected[:MAX_ROWS]:
        made_by = "*a job*" if one.node.kind is NodeKind.JOB else _names(one.jobs[:MAX_NAMES])
        line = f"| {code(one.node.name)} | {code(one.node.namespace)} | {made_by} | {one.distance} |"
        if used + _length(line) > room:
            break
        used += _length(line) + 1
        lines.append(line)
        rows += 1
    parts = ["\n".join(lines)]
    if rows < len(affected):
        parts.append(f"… and {len(affected) - rows:,} more, further away.")
    return parts


def _length(text: str) -> int:
    """UTF-16 units, which no counting of characters exceeds."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
