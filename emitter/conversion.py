"""Texts from a command line or the environment as values of a type."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import types
import typing
import uuid
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (lambda text: _WORDS[text.lower()], "true or false"),
    dt.date: (dt.date.fromisoformat, "a date like 2024-12-31"),
    dt.datetime: (dt.datetime.fromisoformat, "a time like 2024-12-31T23:59:00+00:00"),
    decimal.Decimal: (decimal.Decimal, "a number"),
    uuid.UUID: (uuid.UUID, "a UUID"),
    Path: (Path, "a path"),
    dict: (json.loads, 'JSON like {"a": 1}'),
}


def convert(value: Any, hint: Any) -> Any:
    """The value as what the type hint says; what is of that type already stays.

    Raises ValueError, its message a clause (“'x', not a whole number”), where it cannot be.
    """
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return convert(value, arguments[0])
    if origin in (types.UnionType, typing.Union):
        return _one_of(value, arguments)
    if origin is typing.Literal:
        for one in arguments:
            if value == one or (isinstance(value, str) and value == str(one)):
                return one
        raise ValueError(f"{value!r}, not one of {', '.join(map(str, arguments))}")
    if hint in (list, tuple, set, frozenset) or origin in (list, tuple, set, frozenset):
        kind, inner = origin or hint, arguments[0] if arguments else Any
        members = [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else value
        if not isinstance(members, list | tuple | set | frozenset):
            raise ValueError(f"{value!r}, not a list like a,b,c")
        return kind(convert(one, inner) for one in members)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _member(value, hint)
    kind = origin or hint
    if not isinstance(kind, type) or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    reader, what = _READERS.get(kind, (None, f"a {kind.__name__}"))
    if isinstance(value, str) and reader is not None:
        try:
            return reader(value.strip())
        except (ValueError, KeyError, ArithmeticError):
            raise ValueError(f"{value!r}, not {what}") from None
    raise ValueError(f"{value!r}, not {what}")


def _one_of(value: Any, choices: tuple[Any, ...]) -> Any:
    if type(None) in choices and (value is None or (isinstance(value, str) and value.lower() in ("", "none", "null"))):
        return None
    others = [one for one in choices if one is not type(None)]
    problems = []
    for one in sorted(others, key=lambda one: one is str):  # a text is anything: last
        try:
            return convert(value, one)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(problems[0])


def _member(value: Any, kind: type[Enum]) -> Enum:
    if isinstance(value, kind):
        return value
    for one in kind:
        if value in (one.name, one.value) or str(value) == str(one.value):
            return one
    raise ValueError(f"{value!r}, not one of {', '.join(one.name for one in kind)}")
