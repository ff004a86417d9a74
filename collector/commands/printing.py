"""How answers are printed: tables that are coloured on a terminal and plain text elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lineage.appearance import shorten, visible
from lineage.nodes import NodeId, candidates

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

JSON = dict[str, Any]

NAME_LENGTH = 72
NARROW_NAME = 24
NARROW = 140  # characters, below which a table of whole paths would be hard to read
_WRAPPED = ("dataset", "by job", "known", "because", "path", "name", "how")  # what gives way on a narrow terminal


def console() -> Console:
    """A console that neither wraps nor colours what does not go to a terminal."""
    from rich.console import Console

    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=10_000, color_system=None)


def say(text: str, style: str = "") -> None:
    """Print one line as it is."""
    from rich.text import Text

    console().print(Text(visible(text), style=style), soft_wrap=True)


def say_apart(text: str, style: str = "") -> None:
    """Print one line with an empty one before it."""
    console().print()
    say(text, style)


def say_cut(document: JSON) -> None:
    """Say that an answer was cut, and how to narrow the question."""
    if document.get("truncated"):
        missing = document.get("missing")
        told = f"{missing:,} more, at least, were cut off" if missing else "There are more, which were cut off"
        say_apart(f"{told}: ask with a smaller --depth, a larger --limit, or nearer by.", "yellow")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows under headings; a column in which nothing is said is left out, and no line ends in spaces."""
    from rich.table import Table
    from rich.text import Text

    held = [[Text(visible(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]
    used = [column for column in range(len(headings)) if any(row[column].plain for row in held)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for column in used:
        heading = headings[column]
        table.add_column(
            heading,
            justify="right" if heading in ("steps", "#") else "left",
            no_wrap=heading not in _WRAPPED,
            overflow="fold",
        )
    for row in held:
        table.add_row(*(row[column] for column in used))
    out = console()
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        out.file.write(line.rstrip() + "\n")
    out.file.flush()


def styled(text: str, style: str) -> Text:
    """A cell with a colour."""
    from rich.text import Text

    return Text(visible(text), style=style)


def time(text: str | None) -> str:
    """A time of an answer, in UTC, to the second."""
    return f"{text[:19]}Z" if text else ""


def name(namespace: str, called: str) -> str:
    """A node's name for a table: a file's path from here, where that is not longer; its end, on a narrow terminal."""
    if namespace == "file" and os.path.isabs(called):
        relative = os.path.relpath(called)
        called = relative if len(relative) < len(called) else called
    if len(called) > NARROW_NAME and "/" in called and console().width < NARROW:
        called = "…/" + called.rstrip("/").rpartition("/")[2]
    return shorten(visible(called), NAME_LENGTH)


def name_of(node_id: str) -> str:
    """The name in a node id, for a table, without its version."""
    node = read_id(node_id)
    return name(node.namespace, node.name) + (f":{node.field}" if node.field else "")


def read_id(node_id: str) -> NodeId:
    """The likeliest reading of a node id that an answer holds."""
    return candidates(node_id)[0]


def version(document: JSON) -> str:
    """A version in a word that can be written after ``#``: as its producer named it, else its checksum's start."""
    if document["version"] and len(document["version"]) <= 24:
        return str(document["version"])
    if document["checksum"]:
        return str(document["checksum"]).rpartition(":")[2][:12]
    return str(document["uuid"] or "")


def mark(uuid: str | None) -> str:
    """The end of a version's UUID: those of one dataset begin alike."""
    return f"…{uuid[-8:]}" if uuid else "none"
