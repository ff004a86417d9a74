"""Outputs as JSON."""

from __future__ import annotations

import io
import json
import math
from typing import IO, TYPE_CHECKING, Any

from emitter.errors import UnsupportedValue
from emitter.io.files import FileIO
from emitter.tables import is_table

if TYPE_CHECKING:
    from emitter.assets import Asset


class JSONIO(FileIO):
    """Keeps lists, dicts with text keys, texts, numbers, booleans and None, as ``{directory}/{asset}.json``.

    What would come back as something else (a tuple, a key that is a number, NaN, a date) is refused with its place, so
    that what is read is always what was returned.
    """

    suffix = ".json"

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        try:
            problem = _problem(value, "$")
        except RecursionError:
            problem = "the value contains itself or is nested too deeply"
        if problem:
            raise UnsupportedValue(f"asset '{asset.name}' returned what JSON cannot hold: {problem}")
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        text.write(json.dumps(value, ensure_ascii=False))  # not dump(), which never uses the fast encoder
        text.write("\n")
        text.flush()
        text.detach()  # the file is closed by whoever opened it

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        return json.load(file)


def _problem(value: Any, place: str) -> str | None:
    """What in the value would not come back from JSON as it was, or None."""
    kind = type(value)
    if value is None or kind in (bool, int):
        return None
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"the text at {place} has a lone surrogate; encode it some other way"
        return None
    if kind is float:
        return None if math.isfinite(value) else f"{place} is {value}; use None for what is missing"
    if kind is list:
        problems = (_problem(member, f"{place}[{index}]") for index, member in enumerate(value))
        return next(filter(None, problems), None)
    if kind is dict:
        for key, member in value.items():
            if type(key) is not str:
                return f"the key {key!r} at {place} is a {type(key).__name__}; JSON's keys are texts"
            if problem := _problem(key, f"{place} key {key!r}") or _problem(member, f"{place}[{key!r}]"):
                return problem
        return None
    if is_table(value):
        return f"{place} is a table ({kind.__module__.partition('.')[0]} {kind.__name__}); use ParquetIO('data/')"
    cure = "return a list" if isinstance(value, tuple) else "turn it into texts and numbers, or use PickleIO('data/')"
    return f"{place} is a {kind.__name__}; {cure}"
