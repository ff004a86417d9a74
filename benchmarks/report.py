"""What a benchmark found, and how it is shown: a table on a terminal, the same as plain text, or JSON."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Target:
    """A bound from the design: at least, or at most, so much."""

    bound: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One measured figure, beside what it is compared with.

    `value` and `beside` are in `unit`; `ratio` is what the target speaks of: value to beside unless given otherwise.
    """

    benchmark: str
    what: str
    value: float
    unit: str
    against: str = ""
    beside: float | None = None
    ratio: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """None where there is no target."""
        if self.target is None:
            return None
        return self.target.is_met(self.value if self.ratio is None else self.ratio)


def machine(folder: Path) -> dict[str, str]:
    """What the figures depend on: processor, system, versions, and the file system that was written to."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{os.cpu_count()} × {_processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file system": _file_system(folder),
    }


def document(figures: Iterable[Figure], folder: Path) -> dict[str, Any]:
    """The figures as JSON values, for `--json`."""
    rows = [{**asdict(figure), "target": str(figure.target or ""), "met": figure.is_met} for figure in figures]
    return {"machine": machine(folder), "command": " ".join(["python -m benchmarks", *sys.argv[1:]]), "figures": rows}


def show(figures: list[Figure], folder: Path, console: Console) -> None:
    """The closing table."""
    facts = ", ".join(f"{name} {value}" for name, value in machine(folder).items() if name != "date")
    table = Table(title="Headwater benchmarks", caption=facts)
    for heading in ("benchmark", "measure"):
        table.add_column(heading, overflow="fold")
    for heading in ("measured", "beside", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("met")
    table.add_column("note", overflow="fold")
    for figure in figures:
        beside = "" if figure.beside is None else f"{amount(figure.beside)} {figure.against}"
        met = {True: Text("yes", "green"), False: Text("no", "red"), None: Text("")}[figure.is_met]
        table.add_row(
            figure.benchmark,
            figure.what,
            f"{amount(figure.value)} {figure.unit}",
            beside,
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            str(figure.target or ""),
            met,
            figure.note,
        )
    console.print(table)


def amount(value: float) -> str:
    """Three significant digits, thousands separated: 12,300 / 45.6 / 0.789."""
    if abs(value) >= 1000:
        return f"{round(value):,}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median(values: Iterable[float]) -> float:
    """The middle value (upper middle of an even number); 0.0 of none."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`: a tmpfs would make durable writes look free."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    holders = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    inside = [(len(place), kind) for place, kind in holders if folder.resolve().is_relative_to(place)]
    return max(inside)[1] if inside else "unknown"
