"""What a declaration may hold: each check refuses a mistake, and says where it stands and what to write instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emitter.errors import InvalidAsset, did_you_mean
from emitter.io import IOManager, MemoryIO
from emitter.source import SourceLocation

POLICIES = ("if_changed", "always")
_NAME = re.compile(r"[^\W\d][\w.-]*\Z")
_IO_METHODS = ("save", "load")


def checked_name(name: Any, location: SourceLocation) -> str:
    """An asset's name."""
    if name == "<lambda>" or name is None:
        raise InvalidAsset(f"the function at {location} has no name of its own; give one: asset(name='orders')")
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidAsset(
            f"{name!r} at {location} cannot name an asset: use letters, digits, '_', '-' and '.', a letter or '_' first"
        )
    return name


def checked_version(version: Any, where: str) -> str:
    """A declared version, as text."""
    if isinstance(version, bool) or not isinstance(version, str | int) or version == "":
        raise InvalidAsset(f"{where} has the version {version!r}; give a text like '2'")
    return str(version)


def checked_text(what: str, text: Any, where: str) -> str | None:
    """A namespace or group: a text that is not empty, or None."""
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise InvalidAsset(f"{where} has the {what} {text!r}; give a name")
    return text


def checked_policy(policy: Any, where: str) -> str:
    """When an asset runs: ``if_changed`` or ``always``."""
    if policy not in POLICIES:
        hint = did_you_mean(str(policy), POLICIES) or "; it is 'if_changed' or 'always'"
        raise InvalidAsset(f"{where} has the policy {policy!r}{hint}")
    return str(policy)


def checked_timeout(timeout: Any, where: str) -> float | None:
    """A time limit in seconds, or None."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidAsset(f"{where} has the timeout {timeout!r}; give seconds, such as timeout=60")
    return float(timeout)


def checked_io(io: Any, where: str) -> IOManager:
    """An IO manager; one in memory for None."""
    if io is None:
        return MemoryIO()
    absent = [method for method in _IO_METHODS if not callable(getattr(io, method, None))]
    if isinstance(io, type) or absent:
        what = f"the class {io.__name__}" if isinstance(io, type) else repr(io)
        cure = "make an instance of it" if isinstance(io, type) else f"it has no method {' nor '.join(absent)}"
        raise InvalidAsset(f"{where} has io={what}, no IO manager: {cure}")
    manager: IOManager = io
    return manager


def listed(what: str, given: Any, where: str) -> list[Any]:
    """The members of a list; of owners and tags, which must be texts."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidAsset(f"{where} has {what}={given!r}; give a list: {what}=[…]")
    items = list(given)
    if what in ("owners", "tags") and (bad := [one for one in items if not isinstance(one, str) or not one.strip()]):
        raise InvalidAsset(f"{where} has {bad[0]!r} among its {what}; give texts")
    return items


def checked_columns(columns: Any, where: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """A declared mapping of columns: ``{"total": ["orders.amount"]}`` as pairs of an upstream asset and its column."""
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise InvalidAsset(f'{where} has columns={columns!r}; give a dict: columns={{"total": ["orders.amount"]}}')
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for column, origins in columns.items():
        pairs = []
        for origin in [origins] if isinstance(origins, str) else listed(f"columns[{column!r}]", origins, where):
            asset_name, _, field = str(origin).rpartition(".")
            if not isinstance(origin, str) or not asset_name or not field:
                raise InvalidAsset(
                    f"{where} makes the column '{column}' of {origin!r}; write the upstream asset and its column, "
                    "such as 'orders.amount'"
                )
            pairs.append((asset_name, field))
        found[str(column)] = tuple(pairs)
    return found


def signature_parameters(function: Callable[..., Any], where: str) -> list[inspect.Parameter]:
    """The parameters of a function that can be an asset's: every one has a name of its own."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidAsset(f"{where} is async; make it a plain function and call asyncio.run inside")
    if inspect.isgeneratorfunction(function):
        raise InvalidAsset(f"{where} yields; return the whole value (a table, a list) instead")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidAsset(f"{where} has no readable signature ({error}); wrap it in a plain function") from error
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            raise InvalidAsset(f"{where} takes {stars}{one.name}; name each upstream asset as a parameter of its own")
    return parameters
