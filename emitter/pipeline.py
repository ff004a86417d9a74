"""Pipeline files: Python files that define assets."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import os
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from emitter.assets import Asset
from emitter.errors import GraphError, PipelineError, did_you_mean
from emitter.graph import AssetGraph
from emitter.multi import MultiAsset

#: What a pipeline file is called as a module.
MODULE_PREFIX = "headwater_pipeline_"


def load_pipeline(source: str | os.PathLike[str] | ModuleType | Iterable[Asset | MultiAsset]) -> AssetGraph:
    """The graph of the assets in a pipeline: a Python file, a module or its dotted name, or a list of assets.

    A file is run, and its graph named after it. The graph is the AssetGraph in the module, if it has one (the one
    called ``graph``, if it has several); otherwise that of all the assets among its globals, imported ones and those in
    lists, tuples and dicts too. As under ``python file.py`` a file's directory is importable; what stands under
    ``if __name__ == "__main__"`` is not run.

    Raises:
        PipelineError: there is no such file or module, it does not import (the message has the line and the original
            error, which is also the cause), or it defines no asset.
        GraphError: its assets make no graph.
    """
    if isinstance(source, ModuleType):
        return _named(_graph_in(source, Path(source.__file__ or source.__name__)), source.__name__.rpartition(".")[2])
    if not isinstance(source, str | os.PathLike):
        return AssetGraph(source)
    if isinstance(source, str) and _is_module_name(source) and not os.path.exists(source):
        module = _imported(source)
        graph = _named(_graph_in(module, Path(module.__file__ or source)), source.rpartition(".")[2])
        graph.source = Path(module.__file__) if module.__file__ else None
        return graph
    file = Path(os.path.abspath(source))
    _check_file(file)
    graph = _named(_graph_in(_run(file), file), file.stem)
    graph.source = file
    return graph


def _named(graph: AssetGraph, name: str) -> AssetGraph:
    if graph.name is None:
        graph.name = name
    return graph


def _is_module_name(text: str) -> bool:
    return not text.endswith(".py") and all(part.isidentifier() for part in text.split("."))


def _imported(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # as under python -m
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise PipelineError(f"the module {name} does not import: {error}", path=name) from error
        raise PipelineError(
            f"there is neither a file nor a module called {name}; give a pipeline's .py file, or a module's name",
            path=name,
        ) from error
    except (Exception, SystemExit) as error:
        raise PipelineError(f"the module {name} does not import: {type(error).__name__}: {error}", path=name) from error


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
    name = f"{MODULE_PREFIX}{file.stem}"
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
    if isinstance(value, MultiAsset):
        return list(value)
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [
        asset
        for one in members
        for asset in (one if isinstance(one, MultiAsset) else [one])
        if isinstance(asset, Asset)
    ]
