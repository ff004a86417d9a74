"""Config and secrets: typed parameters of an asset's function that are not data.

A parameter that names no asset and has a default, or stands behind ``*``, is config. Its value comes, in this order,
from what was given (``--config limit=5``, or ``orders.limit=5`` for one asset), from the environment
(``HEADWATER_CONFIG__LIMIT``, ``HEADWATER_CONFIG__ORDERS__LIMIT``), or is the default. A dataclass is config by its
fields: ``window.days=5``. Texts become what the annotation says.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

from blake3 import blake3

from emitter.conversion import convert
from emitter.errors import ChecksumError, ConfigError, did_you_mean
from emitter.source import plain_function

if TYPE_CHECKING:
    from emitter.graph import AssetGraph

PREFIX = "HEADWATER_CONFIG__"
#: What a secret is shown as.
HIDDEN = "****"
_EMPTY = inspect.Parameter.empty


class Secret:
    """A text that nothing shows: a password, a token. The function calls ``reveal()``.

    Neither events nor the metadata store hold it; a digest under a key of the store's own tells whether it changed.
    ``Secret(environment="API_TOKEN")`` is read from there when it is needed. Never write a secret into the source: the
    source is part of lineage.
    """

    __slots__ = ("_environment", "_text")

    def __init__(self, text: str | None = None, *, environment: str | None = None) -> None:
        if (text is None) == (environment is None):
            raise ConfigError("Secret() takes a text, or environment='NAME' of the variable that holds it")
        self._text = text
        self._environment = environment

    def reveal(self) -> str:
        """The secret itself. Raises ConfigError where the environment does not have it."""
        if self._text is not None:
            return self._text
        assert self._environment is not None
        try:
            return os.environ[self._environment]
        except KeyError:
            raise ConfigError(f"the secret is not there: set the environment variable {self._environment}") from None

    def read(self) -> Secret:
        """The same secret, held: another process may not have the variable."""
        return self if self._text is not None else Secret(self.reveal())

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    __hash__ = None  # type: ignore[assignment]  # a hash of it would end up in someone's log


@dataclass(frozen=True, slots=True)
class Config:
    """The config of one function: its arguments by parameter."""

    arguments: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, str]:
        """Each value as text by its key, secrets hidden."""
        return {key: HIDDEN if isinstance(value, Secret) else _text(value) for key, value in self._flat()}

    def secrets(self) -> list[str]:
        """The texts that must not be shown anywhere."""
        return [value.reveal() for _, value in self._flat() if isinstance(value, Secret)]

    def version(self, key: bytes) -> str:
        """A digest that changes with any value, secrets too; under `key`, so that it gives none of them away."""
        if not self.arguments:
            return ""
        from emitter.object_checksum import hash_object

        hasher = blake3(key=key)
        for name, value in sorted(self._flat(), key=lambda pair: pair[0]):
            plain = ("secret", value.reveal()) if isinstance(value, Secret) else value
            try:
                hash_object(hasher, (name, plain), "blake3")
            except ChecksumError:
                hash_object(hasher, (name, _text(value)), "blake3")
        return hasher.hexdigest(16)

    def _flat(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.arguments.items():
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                for one in dataclasses.fields(value):
                    yield f"{name}.{one.name}", getattr(value, one.name)
            else:
                yield name, value


def resolve(
    graph: AssetGraph, given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Config]:
    """The config of every step of a graph, by the step's name.

    Raises ConfigError for a key that names no parameter, a value that is not of the parameter's type, and a parameter
    without a value; every such problem is told.
    """
    source = _Source(dict(given or {}), os.environ if environment is None else environment)
    found: dict[str, Config] = {}
    known = set(graph.assets)
    for step in graph.steps:
        one = step.assets[0]
        wanted = [parameter for parameter in one.settings if parameter.name not in known]
        hints = _hints(one.function) if wanted else {}
        found[step.name] = Config(
            {parameter.name: source.argument(step.name, parameter, hints.get(parameter.name)) for parameter in wanted}
        )
    source.finish()
    return found


def parse(pairs: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """``["limit=5"]`` as a dict. Raises ConfigError for a pair without ``=``."""
    if isinstance(pairs, Mapping):
        return dict(pairs)
    found: dict[str, Any] = {}
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{pair!r} is no config; write key=value, such as limit=5 or orders.limit=5")
        found[key.strip()] = value
    return found


class _Source:
    """Where values come from, what was asked for, and what is wrong."""

    def __init__(self, given: dict[str, Any], environment: Mapping[str, str]) -> None:
        self._given = given
        self._environment = environment
        self._asked: dict[str, None] = {}
        self._problems: list[str] = []

    def argument(self, step: str, parameter: inspect.Parameter, hint: Any) -> Any:
        default = parameter.default
        cls = hint if dataclasses.is_dataclass(hint) else type(default)
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            return self._dataclass(step, parameter.name, cls, default)
        return self._value(step, parameter.name, hint, default)

    def _dataclass(self, step: str, name: str, cls: type, default: Any) -> Any:
        if name in self._given and isinstance(self._given[name], cls):
            default = self._given[name]
            self._asked[name] = None
        hints = _hints(cls)
        values: dict[str, Any] = {}
        changed = default is _EMPTY
        for one in dataclasses.fields(cls):
            if not one.init:
                continue
            if default is not _EMPTY:
                before = getattr(default, one.name)
            elif one.default_factory is not dataclasses.MISSING:
                before = one.default_factory()
            else:
                before = one.default if one.default is not dataclasses.MISSING else _EMPTY
            values[one.name] = self._value(step, f"{name}.{one.name}", hints.get(one.name), before)
            changed = changed or values[one.name] is not before
        if self._problems:
            return None
        if not changed:
            return default
        try:
            return cls(**values)
        except Exception as error:  # noqa: BLE001 - a dataclass may refuse its values in any way; that is told
            self._problems.append(f"asset '{step}' cannot have {name}: {type(error).__name__}: {error}")
            return None

    def _value(self, step: str, key: str, hint: Any, default: Any) -> Any:
        keys = (f"{step}.{key}", key)
        for one in keys:
            self._asked[one] = None
        for one in keys:
            if one in self._given:
                return self._converted(self._given[one], hint, default, one)
        for one in keys:
            variable = PREFIX + re.sub(r"[^A-Z0-9.]", "_", one.upper()).replace(".", "__")
            if variable in self._environment:
                return self._converted(self._environment[variable], hint, default, variable)
        if default is _EMPTY:
            self._problems.append(
                f"asset '{step}' needs a value for {key}: give --config {key}=…, or set the environment variable "
                f"{PREFIX}{re.sub(r'[^A-Z0-9.]', '_', key.upper()).replace('.', '__')}"
            )
            return None
        try:
            return default.read() if isinstance(default, Secret) else default
        except ConfigError as error:
            self._problems.append(f"asset '{step}', {key}: {error}")
            return None

    def _converted(self, value: Any, hint: Any, default: Any, key: str) -> Any:
        if hint is None or hint is _EMPTY:
            hint = type(default) if default is not _EMPTY and default is not None else Any
        if hint is Secret or isinstance(default, Secret) or isinstance(value, Secret):
            return value.read() if isinstance(value, Secret) else Secret(str(value))
        try:
            return convert(value, hint)
        except ValueError as error:
            self._problems.append(f"{key} is {error}")
            return None

    def finish(self) -> None:
        for key in self._given:
            if key not in self._asked:
                hint = did_you_mean(key, self._asked)
                names = ", ".join(sorted(self._asked)[:12])
                hint = hint or (f"; there are {names}" if names else "; no asset has any config")
                self._problems.append(f"no asset has a parameter '{key}'{hint}")
        if self._problems:
            raise ConfigError("\n".join(dict.fromkeys(self._problems)))


def _hints(target: Callable[..., Any] | type) -> dict[str, Any]:
    plain = target if isinstance(target, type) else plain_function(target)
    try:
        return get_type_hints(plain)
    except Exception:  # noqa: BLE001 - a hint is any expression; one that cannot be evaluated says nothing
        return {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        # an object's own repr may hold its address, which is another in every process
        return type(value).__qualname__ if type(value).__repr__ is object.__repr__ else str(value)
