"""Where a function is written, and what its source says."""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A file and a line (from 1), as far as they are known."""

    path: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.path is None:
            return "<unknown place>"
        return f"{os.path.basename(self.path)}:{self.line}"


def plain_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside partials and wrappers that say what they wrap."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def code_of(function: Callable[..., Any]) -> CodeType | None:
    """The code object of a Python function or callable object; None where there is none."""
    inner = plain_function(function)
    code = getattr(inner, "__code__", None)
    if code is None:
        code = getattr(inspect.getattr_static(type(inner), "__call__", None), "__code__", None)
    return code if isinstance(code, CodeType) else None


def locate(function: Callable[..., Any]) -> SourceLocation:
    """The file and first line of a function; unknown for what is not written in Python."""
    code = code_of(function)
    return SourceLocation(code.co_filename, code.co_firstlineno) if code else SourceLocation()


def source_of(function: Callable[..., Any]) -> str | None:
    """The function's source text with its decorators, or None where it cannot be read."""
    code = code_of(function)
    if code is None:
        return None
    lines = linecache.getlines(code.co_filename, getattr(plain_function(function), "__globals__", None))
    if not 0 < code.co_firstlineno <= len(lines):
        return None
    try:
        return "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))
    except (SyntaxError, tokenize.TokenError):  # the file is no longer what was compiled
        return None
