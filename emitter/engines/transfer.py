"""Work as bytes, for another process, and what came of it as bytes back."""

from __future__ import annotations

import copy
import importlib.util
import io
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle

from emitter.assets import Asset
from emitter.errors import EmitterError, NotTransferable
from emitter.io.protocol import is_in_process
from emitter.making import Made, Work, user_traceback
from emitter.pipeline import MODULE_PREFIX

#: What cloudpickle calls the file of a function that it sends as code.
_SENT_CODE = "<dynamic-code>"
_ADVICE = "run it with --engine threads, or"


@dataclass(frozen=True, slots=True)
class PipelineModule:
    """A pipeline file as it was loaded: no other process can import it by its name."""

    name: str
    path: str
    source: str


class WorkFailed(EmitterError):
    """An error of another process that cannot be sent; its text has the error's class and message."""


class RemoteTraceback(Exception):
    """Where an error was raised in another process: the frames (file, line, function, text), and all of it as text."""

    def __init__(self, frames: list[tuple[str, int, str, str]], text: str) -> None:
        super().__init__(frames, text)
        self.frames = frames
        self.text = text

    def __str__(self) -> str:
        return f"in the worker process:\n{self.text}"


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Sends functions as code. Classes of a script go by their name where the other process imports the script too.

    Sent as code, a class would be another one there, and values of it could not be pickled by its name.
    """

    def __init__(self, file: io.BytesIO, main_by_name: bool) -> None:
        super().__init__(file)
        self._main_by_name = main_by_name

    def reducer_override(self, obj: Any) -> Any:
        if self._main_by_name and isinstance(obj, type) and obj.__module__ == "__main__":
            found: Any = sys.modules.get("__main__")
            for part in obj.__qualname__.split("."):
                found = getattr(found, part, None)
            if found is obj:
                return NotImplemented
        return super().reducer_override(obj)


def _dumps(value: Any, main_by_name: bool) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file, main_by_name).dump(value)
        return file.getvalue()


def pack(work: Work, *, main_by_name: bool = False) -> bytes:
    """The work as bytes; `main_by_name`: the other process imports the script that runs here.

    Raises NotTransferable, naming the asset and what of it cannot be sent.
    """
    main_by_name = main_by_name and hasattr(sys.modules.get("__main__"), "__file__")
    sent = replace(
        work,
        assets=tuple(_without_source(one) for one in work.assets),
        stored={name: _for_loading(one) for name, one in work.stored.items()},
    )
    modules = _modules(one.function for one in work.assets)
    try:
        return _dumps((main_by_name, modules, _dumps(sent, main_by_name)), False)
    except Exception as error:
        raise NotTransferable(_culprit(sent, error)) from error


def do_packed(payload: bytes) -> bytes:
    """Do the work, in another process; returns what `unpack` reads. Never raises an Exception."""
    file: str | None = None
    try:
        main_by_name, modules, packed = cloudpickle.loads(payload)
        for one in modules:
            _load(one)
        work: Work = cloudpickle.loads(packed)
        file = work.assets[0].location.path
        made = work.do()
    except Exception as error:  # noqa: BLE001 - it is raised in the process that asked
        return _packed_error(error, file)
    sent = [
        one if is_in_process(asset) else Made(None, one.version) for asset, one in zip(work.assets, made, strict=True)
    ]
    try:
        return _dumps((sent, None, None), main_by_name)
    except Exception as error:  # noqa: BLE001 - pickling calls the value's own code
        names = [asset.name for asset in work.assets if is_in_process(asset)]
        value = next(type(one.value).__name__ for one in sent if one.value is not None)
        return _packed_error(
            NotTransferable(
                f"asset '{names[0]}' returned a {value} that cannot be sent from the process that made it: {error}; "
                f"{_ADVICE} keep it in a file: io=PickleIO('data/'), ParquetIO('data/')"
            )
        )


def unpack(answer: bytes) -> list[Made]:
    """What came of the work; raises what it raised, with a RemoteTraceback as its cause."""
    made, error, where = cloudpickle.loads(answer)
    if error is not None:
        raise error from where
    result: list[Made] = made
    return result


def _packed_error(error: Exception, file: str | None = None) -> bytes:
    """An error as bytes; `file` is where the functions are written that were sent as code."""
    shown = user_traceback(error)
    frames = []
    for one in traceback.extract_tb(shown.__traceback__):
        name = file if file and one.filename == _SENT_CODE else one.filename
        frames.append((name, one.lineno or 0, one.name, linecache.getline(name, one.lineno or 0).strip()))
    text = "".join(traceback.format_exception(shown))
    where = RemoteTraceback(frames, text.replace(_SENT_CODE, file) if file else text)
    try:
        packed = _dumps((None, error, where), False)
        cloudpickle.loads(packed)  # an error whose class needs other arguments can be sent, and not read
    except Exception:  # noqa: BLE001 - an error of the user's own that cannot be sent; told by its text
        told = WorkFailed(f"{type(error).__name__}: {error}")
        packed = _dumps((None, told, where), False)
    return packed


def _without_source(asset: Asset) -> Asset:
    sent = copy.copy(asset)
    sent.__dict__.update(source=None, code_version=asset.code_version, _latest=None)
    return sent


def _for_loading(asset: Asset) -> Asset:
    """The asset without its function and checks, which loading its output does not need."""
    sent = _without_source(asset)
    sent.__dict__.update(function=_absent, __wrapped__=_absent, checks=(), settings=())
    return sent


def _absent() -> None:
    raise NotImplementedError("this asset was sent to another process only to be loaded")


def _modules(functions: Iterable[Callable[..., Any]]) -> list[PipelineModule]:
    names = {name for one in functions if (name := getattr(one, "__module__", None) or "").startswith(MODULE_PREFIX)}
    found = []
    for name in sorted(names):
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is not None:
            found.append(PipelineModule(name, path, "".join(linecache.getlines(path))))
    return found


def _load(module: PipelineModule) -> None:
    """Make the module importable here by its name, so that what refers to it can be read."""
    known = sys.modules.get(module.name)
    if known is not None and getattr(known, "__headwater_source__", None) in (None, module.source):
        return
    spec = importlib.util.spec_from_loader(module.name, None, origin=module.path)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    made.__file__ = module.path
    made.__dict__["__headwater_source__"] = module.source
    folder = os.path.dirname(module.path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[module.name] = made
    exec(compile(module.source, module.path, "exec"), made.__dict__)


def _culprit(work: Work, error: Exception) -> str:
    """Which part of the work cannot be sent, and what to do about it."""
    for asset in work.assets:
        try:
            cloudpickle.dumps(asset)
        except Exception as cause:  # noqa: BLE001 - pickling calls the part's own code
            return (
                f"asset '{asset.name}' cannot be sent to another process: {cause}; {_ADVICE} let its function make "
                "what it holds (a connection, a lock, a generator) itself"
            )
    for name, value in work.given.items():
        try:
            cloudpickle.dumps(value)
        except Exception as cause:  # noqa: BLE001 - pickling calls the part's own code
            return (
                f"the {type(value).__name__} of asset '{name}' cannot be sent to the process that makes '{work.step}': "
                f"{cause}; {_ADVICE} keep it in a file: io=PickleIO('data/'), ParquetIO('data/')"
            )
    return f"asset '{work.step}' cannot be sent to another process: {error}; {_ADVICE} make it of plainer parts"
