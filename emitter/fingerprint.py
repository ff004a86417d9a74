"""The fingerprint of an asset's code: equal where the code means the same, different where it may not.

It covers the function's syntax tree, and, as far as the function mentions them by name: functions and classes of its
own module (with what they mention), module-level assignments (their expressions, not their values, so that
``STARTED = now()`` does not change from run to run), and plain values that it closes over or has as defaults. Comments,
formatting, docstrings, type comments and the ``@asset`` decorator itself do not count; other modules do not either.
Where no source can be read (a REPL, compiled code) the byte code stands in for the syntax tree.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from types import CodeType, FunctionType
from typing import Any

from blake3 import blake3

from emitter.source import plain_function
from emitter.syntax import ModuleSyntax, module_syntax, names_in, tree_text

_DIGEST_BYTES = 16
#: Values of these types are the same text in every process, so a closure or default of them can count by value.
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
#: Methods compiled from these were written by a class decorator; the class's own fields say all that they do.
_GENERATED = ("<string>", "<attrs")
_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


def fingerprint(function: Callable[..., Any]) -> str:
    """Return 32 hexadecimal digits that change when the function's own code may do something else."""
    hasher = blake3()
    for part in _Walk().parts(function):
        hasher.update(part.encode("utf-8", "surrogatepass"))
        hasher.update(b"\0")
    return hasher.hexdigest(_DIGEST_BYTES)


class _Walk:
    """One walk over a function and what it mentions; each thing is met once, at its first mention."""

    def __init__(self) -> None:
        self._met: set[int | tuple[str, str]] = set()

    def parts(self, function: Callable[..., Any]) -> Iterator[str]:
        """The texts that make the fingerprint of a function, a partial, a wrapper or a callable object."""
        if id(function) in self._met:
            return
        self._met.add(id(function))
        if isinstance(function, functools.partial):
            yield f"partial {_plain_text(function.args)} {_plain_text(function.keywords)}"
            yield from self.parts(function.func)
            return
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(function, FunctionType):
            # A wrapper of another module (a library's decorator) is not this pipeline's code.
            if wrapped is None or function.__globals__ is getattr(plain_function(function), "__globals__", None):
                yield from self._function(function)
        elif wrapped is None:
            yield f"object {_plain_text(getattr(function, '__dict__', {}))}"
            yield from self._class(type(function))
        if callable(wrapped):
            yield from self.parts(wrapped)

    def _function(self, function: FunctionType) -> Iterator[str]:
        code = function.__code__
        syntax = module_syntax(code.co_filename, function.__globals__)
        tree = syntax.function(code, function.__globals__) if syntax else None
        yield f"code {_code_text(code)}" if tree is None else f"tree {tree_text(tree)}"
        yield f"defaults {_plain_text(function.__defaults__)} {_plain_text(function.__kwdefaults__)}"
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # an empty cell: the name is bound only later
                continue
            yield from self._mention(name, value, function, None)
        for name in sorted(_global_names(code)):
            if name in function.__globals__:
                yield from self._mention(name, function.__globals__[name], function, syntax)

    def _mention(self, name: str, value: Any, user: FunctionType, syntax: ModuleSyntax | None) -> Iterator[str]:
        """What a name adds; `syntax` is that of the user's module for a global name, None for a closure's."""
        target = plain_function(value) if callable(value) else value
        if isinstance(target, FunctionType) and target.__globals__ is user.__globals__:
            yield f"uses {name}"
            yield from self.parts(value if isinstance(value, FunctionType | functools.partial) else target)
        elif isinstance(value, type) and value.__module__ == user.__globals__.get("__name__"):
            yield f"uses {name}"
            yield from self._class(value)
        elif syntax is None:
            yield f"holds {name} {_plain_text(value)}"
        else:
            yield from self._assignment(name, user, syntax)

    def _class(self, cls: type) -> Iterator[str]:
        if id(cls) in self._met:
            return
        self._met.add(id(cls))
        yield f"class {cls.__qualname__} {_plain_text(inspect.get_annotations(cls))}"
        for base in cls.__bases__:
            if base.__module__ == cls.__module__:
                yield from self._class(base)
        for name, member in sorted(vars(cls).items()):
            inner = _inside(member)
            if isinstance(inner, FunctionType):
                if not inner.__code__.co_filename.startswith(_GENERATED):
                    yield f"method {name}"
                    yield from self.parts(inner)
            elif not name.startswith("_"):
                yield f"attribute {name} {_plain_text(member)}"

    def _assignment(self, name: str, user: FunctionType, syntax: ModuleSyntax) -> Iterator[str]:
        key = (user.__code__.co_filename, name)
        if key in self._met:
            return
        self._met.add(key)
        for statement in syntax.assignments.get(name, ()):
            yield f"assigns {tree_text(statement)}"
            for other in names_in(statement):
                if other != name and other in user.__globals__:
                    yield from self._mention(other, user.__globals__[other], user, syntax)


def _inside(member: Any) -> Any:
    """The function inside a static or class method, a property or a cached property."""
    for attribute in ("__func__", "fget", "func"):
        member = getattr(member, attribute, member)
    return member


def _global_names(code: CodeType) -> set[str]:
    """The global names that the code and the functions inside it read; parameters that shadow globals are not."""
    found = {one.argval for one in dis.get_instructions(code) if one.opname in _GLOBAL_READS}
    return found.union(*(_global_names(one) for one in code.co_consts if isinstance(one, CodeType)))


def _code_text(code: CodeType) -> str:
    constants = [_code_text(one) if isinstance(one, CodeType) else _plain_text(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names} {code.co_varnames} {code.co_freevars}"


def _plain_text(value: Any) -> str:
    """The value where it is plain or made of plain ones; otherwise only its type, whose text never changes.

    Without modules: a script's own is ``__main__``, and another when the same file is loaded as a pipeline.
    """
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}={_plain_text(value.value)}"
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(map(_plain_text, value))})"
    if isinstance(value, frozenset | set):
        return f"{type(value).__name__}({', '.join(sorted(map(_plain_text, value)))})"
    if isinstance(value, dict):
        return f"dict({', '.join(sorted(f'{_plain_text(key)}: {_plain_text(one)}' for key, one in value.items()))})"
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"<{value.__qualname__}>"
    return f"<a {type(value).__qualname__}>"
