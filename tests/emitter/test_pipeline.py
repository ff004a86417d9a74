"""Pipeline files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emitter import load_pipeline, materialize
from emitter.errors import DuplicateAsset, PipelineError
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]
HEAD = "from emitter import AssetGraph, asset\n"
ONE = "@asset\ndef one(): return 1\n"
TWO = "@asset\ndef two(one): return one + 1\n"


def pipeline(text: str, name: str = "pipeline.py") -> Path:
    path = Path(name)
    path.write_text(HEAD + text)
    return path


def test_a_files_assets_make_a_graph_of_its_name() -> None:
    graph = load_pipeline(pipeline(ONE + TWO, "nightly.py"))
    assert graph.name == "nightly"
    assert graph.get_lineage_graph() == {"one": [], "two": ["one"]}
    assert materialize(graph)["two"].value == 2


def test_assets_in_lists_and_dicts_and_of_other_modules_count(workdir: Path) -> None:
    pipeline(ONE, "sources_of_it.py")
    text = "from sources_of_it import one\nmany = [asset(name=f'm{n}')(lambda: n) for n in range(2)]\n"
    graph = load_pipeline(pipeline(text + "named = {'x': asset(name='x')(lambda: 1)}\nalias = one\n"))
    assert sorted(graph.topological_order()) == ["m0", "m1", "one", "x"]


def test_a_graph_of_its_own_is_taken_as_it_is() -> None:
    assert load_pipeline(pipeline(ONE + TWO + "mine = AssetGraph([one], name='small')\n")).name == "small"
    text = ONE + TWO + "graph = AssetGraph([one, two])\nother = AssetGraph([one])\n"
    graph = load_pipeline(pipeline(text))
    assert (len(graph), graph.name) == (2, "pipeline")


def test_a_file_is_read_anew_each_time() -> None:
    first = load_pipeline(pipeline(ONE))
    second = load_pipeline(pipeline(ONE.replace("1", "2")))
    assert (first["one"](), second["one"]()) == (1, 2)
    assert first["one"].code_version != second["one"].code_version
    assert not Path("__pycache__").exists()


def test_what_is_a_script_is_not_run() -> None:
    load_pipeline(pipeline(ONE + "if __name__ == '__main__':\n    raise SystemExit(1)\n"))


def test_dataclasses_and_pickles_of_a_pipeline_work_in_another_process(workdir: Path) -> None:
    path = pipeline(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from emitter import PickleIO\n"
        "@dataclass\nclass Point:\n    x: int\n"
        "@asset(io=PickleIO('data'))\ndef point() -> Point: return Point(3)\n"
    )
    text = path.read_text().replace(HEAD, "")
    path.write_text(text.replace("from emitter import PickleIO", "from emitter import PickleIO, asset"))
    script = (
        "from emitter import load_pipeline, materialize\n"
        "result = materialize(load_pipeline('pipeline.py'))['point']\n"
        "print(result.status, result.value.x)\n"
    )

    def run() -> str:
        arguments = [sys.executable, "-c", script]
        environment = {"PYTHONPATH": str(ROOT), "HOME": str(workdir)}
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout

    assert run() == "materialized 3\n"
    assert run() == "unchanged 3\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("def broken(:\n", 2, "does not import: SyntaxError: invalid syntax"),
        ("\nimport no_such_module_anywhere\n", 3, "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("def f():\n    return 1 / 0\n\nf()\n", 3, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", 2, "SystemExit: 3 (a pipeline file must not exit"),
        ("@asset(version=1.5)\ndef one(): ...\n", 2, "InvalidAsset: asset 'one' at pipeline.py:2 has the version 1.5"),
        ("assert False\n", 2, "does not import: AssertionError"),
    ],
)
def test_a_file_that_does_not_import_is_told_with_its_line(workdir: Path, text: str, line: int, message: str) -> None:
    with refused(PipelineError, f"{workdir}/pipeline.py:{line} does not import", message) as raised:
        load_pipeline(pipeline(text))
    assert isinstance(raised.value, PipelineError)
    assert (raised.value.line, raised.value.path) == (line, f"{workdir}/pipeline.py")
    assert raised.value.__cause__ is not None


def test_an_error_in_a_module_that_it_imports_is_told_with_its_own_line(workdir: Path) -> None:
    Path("helper_of_it.py").write_text("x = [\n")
    with refused(PipelineError, f"{workdir}/pipeline.py:3 does not import: SyntaxError: '[' was never closed"):
        load_pipeline(pipeline("\nimport helper_of_it\n"))


def test_a_file_that_is_not_there_is_told_with_a_hint(workdir: Path) -> None:
    pipeline(ONE)
    with refused(PipelineError, f"there is no file {workdir}/pipelin.py; did you mean 'pipeline.py'?"):
        load_pipeline("pipelin.py")
    with refused(PipelineError, "there is no file /no/such/file.py"):
        load_pipeline("/no/such/file.py")
    with refused(PipelineError, "is a directory; give the pipeline's .py file"):
        load_pipeline(workdir)
    Path("notes.txt").write_text("")
    with refused(PipelineError, "is no Python file; a pipeline's name ends in .py"):
        load_pipeline("notes.txt")


def test_a_file_without_assets_is_told() -> None:
    with refused(PipelineError, "pipeline.py defines no asset; decorate a function with @asset from emitter"):
        load_pipeline(pipeline("x = 1\n"))


def test_a_file_with_several_graphs_is_told() -> None:
    with refused(PipelineError, "pipeline.py has 2 AssetGraphs; call the one to run 'graph'"):
        load_pipeline(pipeline(ONE + "a = AssetGraph([one])\nb = AssetGraph([one])\n"))


def test_assets_that_make_no_graph_are_told() -> None:
    with refused(DuplicateAsset, "two assets are called 'one': at pipeline.py:2 and at pipeline.py:4; rename one"):
        load_pipeline(pipeline(ONE + "@asset(name='one')\ndef other(): ...\n"))


def test_a_file_that_is_no_text_is_told(workdir: Path) -> None:
    Path("pipeline.py").write_bytes(b"\xff\xfe\x00")
    with refused(PipelineError, "pipeline.py", "does not import: "):
        load_pipeline("pipeline.py")
