"""Pipeline files: Python files that define assets."""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from emitter.assets import Asset
from emitter.errors import GraphError, PipelineError, did_you_mean
from emitter.graph import AssetGraph


def load_pipeline(path: str | os.PathLike[str]) -> AssetGraph:
    """Run a pipeline file and return the graph of the assets in it, named after the file.

    That is its AssetGraph, if it has one (the one called ``graph``, if it has several); otherwise of all the assets
    among its globals, imported ones and those in lists, tuples and dicts too. As under ``python file.py`` its directory
    is importable; what stands under ``if __name__ == "__main__"`` is not run.

    Raises:
        PipelineError: there is no such file, it does not import (the message has the line and the original error,
            which is also the cause), or it defines no asset.
        GraphError: its assets make no graph.
    """
    file = Path(os.path.abspath(path))
    _check_file(file)
    module = _run(file)
    graph = _graph_in(module, file)
    if graph.name is None:
        graph.name = file.stem
    return graph


def _check_file(file: Path) -> None:
    if file.is_dir():
        raise PipelineError(f"{file} is a directory; give the pipeline's .py file", path=str(file))
    if not file.is_file():
        siblings = [one.name for one in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise PipelineError(f"there is no file {file}{did_you_mean(file.name, siblings)}", path=str(file))
    if file.suffix != ".py":
        raise PipelineError(f"{file} is no Python file; a pipeline's name ends in .py", path=str(file))


def _run(file: Path) -> ModuleType:
    """The file's module, run anew; its name is the same in every process, so pickles of its classes can be read."""
    name = f"headwater_pipeline_{file.stem}"
    loader = SourceFileLoader(name, str(file))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    linecache.checkcache(str(file))
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        # Compiled from what the file holds now: cached byte code may be that of another text of the same second.
        exec(loader.source_to_code(loader.get_data(str(file)), str(file)), module.__dict__)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise _explained(file, error) from error
    return module


def _explained(file: Path, error: BaseException) -> PipelineError:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line, told = error.lineno, f"{type(error).__name__}: {error.msg}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(file)), None)
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        told += " (a pipeline file must not exit; put what is a script under if __name__ == '__main__')"
    where = f"{file}:{line}" if line else str(file)
    return PipelineError(f"{where} does not import: {told}", path=str(file), line=line)


def _graph_in(module: ModuleType, file: Path) -> AssetGraph:
    values = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    graphs = {id(value): value for value in values.values() if isinstance(value, AssetGraph)}
    if isinstance(values.get("graph"), AssetGraph):
        return values["graph"]
    if len(graphs) > 1:
        raise PipelineError(f"{file} has {len(graphs)} AssetGraphs; call the one to run 'graph'", path=str(file))
    if graphs:
        return next(iter(graphs.values()))
    assets = [one for value in values.values() for one in _assets_in(value)]
    if not assets:
        raise PipelineError(f"{file} defines no asset; decorate a function with @asset from emitter", path=str(file))
    try:
        return AssetGraph(assets, name=file.stem)
    except GraphError as error:
        error.add_note(f"in {file}")
        raise


def _assets_in(value: Any) -> list[Asset]:
    if isinstance(value, Asset):
        return [value]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [one for one in members if isinstance(one, Asset)]
