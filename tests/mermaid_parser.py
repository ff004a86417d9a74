"""The real Mermaid, as a function from texts to what it understood.

`parse_all` runs ``tests/mermaid/parse.mjs`` once for all texts. It reads each with the newest Mermaid, with Mermaid 10,
and with an early 11, which takes Markdown in every label; several hosts of diagrams stay on such versions for long.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "mermaid"


@dataclass(frozen=True)
class Parsed:
    """What every Mermaid version read in one text; not ``ok`` when one of them refuses it or they differ.

    ``labels`` gives each node's label as a browser shows it (lines split by ``\\n``), ``edges`` the pairs of node ids
    in order; ``nodes`` and ``arrows`` have the rest: ``{id, label, kind, shape, classes}`` and
    ``{origin, destination, stroke, type, label}``; ``subgraphs`` are ``{id, title, members}``; ``links`` gives where a
    node leads to, percent-decoded. ``rendered``, if asked for, is what each version's SVG shows: ``{version: {title,
    labels, edges (a count), subgraphs (titles, sorted)}}``.
    """

    text: str
    ok: bool
    error: str | None = None
    direction: str = ""
    title: str = ""
    nodes: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    arrows: list[dict[str, Any]] = field(default_factory=list)
    subgraphs: list[dict[str, Any]] = field(default_factory=list)
    classes: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    rendered: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def nodes_by_id(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in self.nodes}


def parse_all(texts: Iterable[str], *, render: bool = False) -> list[Parsed]:
    """Parse every text with the real Mermaid, in one process, and return what it read, in the same order.

    ``render`` also draws each one, which takes about a second for 20 nodes.
    """
    texts = list(texts)
    wanted = json.loads((FOLDER / "package.json").read_text())["devDependencies"]
    if not all((FOLDER / "node_modules" / name / "package.json").exists() for name in wanted):
        raise AssertionError("the real Mermaid is not installed; run `make setup` (it needs Node.js 18 or newer)")
    lines = "".join(
        json.dumps({"id": number, "text": text, "render": render}) + "\n" for number, text in enumerate(texts)
    )
    done = subprocess.run(["node", "parse.mjs"], cwd=FOLDER, input=lines.encode(), capture_output=True, check=False)
    assert done.returncode == 0, f"tests/mermaid/parse.mjs failed:\n{done.stderr.decode()}"
    answers: dict[int, list[dict[str, Any]]] = {}
    for line in done.stdout.decode().split("\n")[:-1]:  # U+2028 is no end of a line here
        answer = json.loads(line)
        answers.setdefault(answer.pop("id"), []).append(answer)
    return [_parsed(text, answers[number]) for number, text in enumerate(texts)]


def parse_one(text: str) -> Parsed:
    """Parse one text; with more than one, `parse_all` is much cheaper."""
    return parse_all([text])[0]


def _parsed(text: str, answers: list[dict[str, Any]]) -> Parsed:
    versions = [answer.pop("version") for answer in answers]
    errors = [f"Mermaid {v}: {a['error']}" for v, a in zip(versions, answers, strict=True) if not a["ok"]]
    if errors:
        return Parsed(text, False, "\n".join(errors))
    rendered = {version: answer.pop("rendered") for version, answer in zip(versions, answers, strict=True)}
    first = answers[0]
    for version, answer in zip(versions, answers, strict=True):
        if answer != first:
            return Parsed(text, False, f"Mermaid {versions[0]} and {version} differ:\n{first}\n{answer}")
    return Parsed(
        text,
        True,
        direction=first["direction"],
        title=first["title"],
        nodes=first["nodes"],
        labels=first["labels"],
        edges=[(edge["origin"], edge["destination"]) for edge in first["edges"]],
        arrows=first["edges"],
        subgraphs=first["subgraphs"],
        classes=first["classes"],
        links=first["links"],
        rendered=rendered,
    )
