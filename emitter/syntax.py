"""A module's syntax tree, indexed for the fingerprint: its functions by place, its assignments by name."""

from __future__ import annotations

import ast
import functools
import linecache
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
#: Parts of a syntax tree that do not change what it does.
_SILENT_FIELDS = frozenset({"ctx", "type_comment", "kind"})


@dataclass(frozen=True, slots=True)
class ModuleSyntax:
    """Functions by (name, first line), lambdas under ``<lambda>``; module-level assignments by each name assigned."""

    lines: Sequence[str]
    functions: Mapping[tuple[str, int], list[_Function]]
    assignments: Mapping[str, list[ast.stmt]]

    def source(self, code: CodeType) -> str | None:
        """The text that the code was compiled from, decorators included; None where that cannot be told."""
        found = self.functions.get((code.co_name, code.co_firstlineno), [])
        if len({node.end_lineno for node in found}) != 1:
            return None
        return textwrap.dedent("".join(self.lines[code.co_firstlineno - 1 : found[0].end_lineno]))

    def function(self, code: CodeType, names: Mapping[str, Any]) -> ast.AST | None:
        """The tree that the code was compiled from, without the decorator that made it an asset.

        None where that cannot be told: two lambdas on a line, or a file that is no longer what was compiled.
        `names` are the module's globals, by which the decorator is known.
        """
        found = self.functions.get((code.co_name, code.co_firstlineno), [])
        if len(found) != 1:
            return None
        node = found[0]
        if isinstance(node, ast.Lambda):
            return node
        kept = [one for one in node.decorator_list if not _makes_asset(one, names)]
        fields = {name: getattr(node, name) for name in node._fields if hasattr(node, name)}
        return type(node)(**(fields | {"decorator_list": kept}))


def module_syntax(path: str, names: dict[str, Any]) -> ModuleSyntax | None:
    """The syntax of a source file (or notebook cell); None where no source can be read."""
    lines = linecache.getlines(path, names)
    return _indexed(tuple(lines)) if lines else None


@functools.lru_cache(maxsize=256)
def _indexed(lines: tuple[str, ...]) -> ModuleSyntax | None:
    try:
        module = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return None
    functions: dict[tuple[str, int], list[_Function]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Lambda):
            functions.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            functions.setdefault((node.name, first), []).append(node)
    assignments: dict[str, list[ast.stmt]] = {}
    for statement in module.body:
        for name in _targets(statement):
            assignments.setdefault(name, []).append(statement)
    return ModuleSyntax(lines, functions, assignments)


def _targets(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    return list(dict.fromkeys(name for target in targets for name in names_in(target)))


def _makes_asset(decorator: ast.expr, names: Mapping[str, Any]) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        found = getattr(names.get(target.value.id), target.attr, None)
    else:
        found = names.get(target.id) if isinstance(target, ast.Name) else None
    return getattr(found, "__module__", None) == "emitter.assets"


def names_in(tree: ast.AST) -> list[str]:
    """The names in a syntax tree, in order of first mention."""
    return list(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))


def tree_text(node: Any) -> str:
    """A syntax tree as text: what it means, whatever the formatting, the docstrings and the Python version."""
    if isinstance(node, list):
        return f"[{', '.join(map(tree_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Constant):
        return f"Constant({node.value!r})"
    fields = []
    for name in node._fields:
        value: Any = getattr(node, name, None)
        if name == "body" and _has_docstring(node):
            value = value[1:]
        if name not in _SILENT_FIELDS and value is not None and value != []:
            fields.append(f"{name}={tree_text(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and (
        ast.get_docstring(node, clean=False) is not None
    )
