"""Where a function is written."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from emitter.syntax import module_syntax


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
    syntax = module_syntax(code.co_filename, getattr(plain_function(function), "__globals__", {})) if code else None
    return syntax.source(code) if syntax and code else None
