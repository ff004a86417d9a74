"""Assets: plain functions, declared to be data that is worth keeping."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from emitter.checks import Check, as_check
from emitter.errors import InvalidAsset
from emitter.fingerprint import fingerprint
from emitter.io import IOManager, MemoryIO
from emitter.source import SourceLocation, locate, plain_function, source_of

if TYPE_CHECKING:
    from emitter.metadata import Materialization

_NAME = re.compile(r"[^\W\d][\w.-]*\Z")
_IO_METHODS = ("save", "load")


class Asset:
    """A function whose output is kept, versioned and traced.

    Upstream assets are the function's parameters (a parameter's name is the upstream asset; one that has a default and
    names no asset keeps its default) and `deps`, for what is needed but not passed. Calling the asset calls the
    function. `created_at`, `updated_at` and `checksum` are those of the latest materialization that this process has
    seen, None before. Make assets with the decorator `asset`; apart from these three nothing of an asset changes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        version: str | int = "1",
        namespace: str | None = None,
        deps: Iterable[str | Asset] = (),
        description: str | None = None,
        owners: Iterable[str] = (),
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        checks: Iterable[Check | Callable[[Any], Any]] = (),
        io: IOManager | None = None,
    ) -> None:
        if isinstance(function, Asset):
            raise InvalidAsset(f"{function} is an asset already; decorate the plain function once")
        if not callable(function):
            raise InvalidAsset(f"an asset is made from a function, not from {type(function).__name__} {function!r}")
        self.function = function
        self.location: SourceLocation = locate(function)
        self.name = _checked_name(name if name is not None else getattr(function, "__name__", None), self.location)
        self.version = _checked_version(version, self)
        self.namespace = _checked_namespace(namespace, self)
        self.parameters, self.optional = _parameters(function, self)
        self.deps = tuple(dict.fromkeys(_dependency_name(one, self) for one in _listed("deps", deps, self)))
        self.description = description if description is not None else inspect.getdoc(plain_function(function))
        self.owners = tuple(_listed("owners", owners, self))
        self.tags = tuple(dict.fromkeys(_listed("tags", tags, self)))
        self.metadata: Mapping[str, Any] = dict(metadata or {})
        self.checks = tuple(as_check(one) for one in _listed("checks", checks, self))
        self.io = _checked_io(io, self)
        self._latest: Materialization | None = None
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Asset '{self.name}' version {self.version} at {self.location}>"

    @functools.cached_property
    def code_version(self) -> str:
        """The fingerprint of the function's code; see `emitter.fingerprint`."""
        return fingerprint(self.function)

    def read_source(self) -> None:
        """Read the source files now, when they still are what was imported; a later edit is another version's.

        The graph calls this. It cannot be earlier: what a function mentions may stand below it.
        """
        _ = self.code_version, self.source

    @functools.cached_property
    def source(self) -> str | None:
        """The function's source text, None where it cannot be read."""
        return source_of(self.function)

    @property
    def created_at(self) -> datetime | None:
        """When the asset was first materialized."""
        return self._latest.created_at if self._latest else None

    @property
    def updated_at(self) -> datetime | None:
        """When the asset was last materialized."""
        return self._latest.updated_at if self._latest else None

    @property
    def checksum(self) -> str | None:
        """The data version, ``algorithm:hex``, of the latest materialization."""
        return self._latest.checksum if self._latest else None

    def remember(self, latest: Materialization) -> None:
        """Note the latest materialization; the executor calls this."""
        self._latest = latest

    def upstream_names(self, known: Iterable[str]) -> tuple[str, ...]:
        """The names of what this asset needs: its parameters, then `deps`.

        Parameters with a default count only where they name one of the `known` assets.
        """
        names = set(known)
        passed = [one for one in self.parameters if one not in self.optional or one in names]
        return tuple(dict.fromkeys([*passed, *self.deps]))


@overload
def asset(function: Callable[..., Any], /) -> Asset: ...
@overload
def asset(
    *,
    name: str | None = None,
    version: str | int = "1",
    namespace: str | None = None,
    deps: Iterable[str | Asset] = (),
    description: str | None = None,
    owners: Iterable[str] = (),
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    checks: Iterable[Check | Callable[[Any], Any]] = (),
    io: IOManager | None = None,
) -> Callable[[Callable[..., Any]], Asset]: ...
def asset(function: Callable[..., Any] | None = None, /, **declared: Any) -> Asset | Callable[..., Asset]:
    """Declare a function to be an asset: ``@asset`` or ``@asset(version="2", …)``.

    Args:
        name: the asset's name; the function's own by default.
        version: raise it to say that the meaning changed even where the code did not.
        namespace: the OpenLineage job namespace; the materialization's by default.
        deps: assets, or names of assets, that must be there first but are not passed as arguments.
        description: by default the docstring.
        owners: who answers for it, such as ``team:data``.
        tags: words to select by (``tag:daily``) and to find it by in the collector.
        metadata: anything else worth noting; kept on the asset.
        checks: `not_null`, `unique`, … or any function of the value.
        io: where the output is kept; in memory by default.

    Raises:
        InvalidAsset, InvalidCheck: the declaration cannot be used; the message says where and why.
    """
    if function is not None:
        return Asset(function, **declared)
    return lambda function: Asset(function, **declared)


def _checked_name(name: Any, location: SourceLocation) -> str:
    if name == "<lambda>" or name is None:
        raise InvalidAsset(f"the function at {location} has no name of its own; give one: asset(name='orders')")
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidAsset(
            f"{name!r} at {location} cannot name an asset: use letters, digits, '_', '-' and '.', a letter or '_' first"
        )
    return name


def _checked_version(version: Any, owner: Asset) -> str:
    if isinstance(version, bool) or not isinstance(version, str | int) or version == "":
        raise InvalidAsset(
            f"asset '{owner.name}' at {owner.location} has the version {version!r}; give a text like '2'"
        )
    return str(version)


def _checked_namespace(namespace: Any, owner: Asset) -> str | None:
    if namespace is not None and (not isinstance(namespace, str) or not namespace.strip()):
        raise InvalidAsset(f"asset '{owner.name}' at {owner.location} has the namespace {namespace!r}; give a name")
    return namespace


def _checked_io(io: Any, owner: Asset) -> IOManager:
    if io is None:
        return MemoryIO()
    absent = [method for method in _IO_METHODS if not callable(getattr(io, method, None))]
    if isinstance(io, type) or absent:
        what = f"the class {io.__name__}" if isinstance(io, type) else repr(io)
        cure = "make an instance of it" if isinstance(io, type) else f"it has no method {' nor '.join(absent)}"
        raise InvalidAsset(f"asset '{owner.name}' at {owner.location} has io={what}, no IO manager: {cure}")
    return io


def _listed(what: str, given: Any, owner: Asset) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidAsset(f"asset '{owner.name}' at {owner.location} has {what}={given!r}; give a list: {what}=[…]")
    items = list(given)
    if what in ("owners", "tags") and (bad := [one for one in items if not isinstance(one, str) or not one.strip()]):
        raise InvalidAsset(f"asset '{owner.name}' at {owner.location} has {bad[0]!r} among its {what}; give texts")
    return items


def _dependency_name(dependency: Any, owner: Asset) -> str:
    if isinstance(dependency, Asset):
        return dependency.name
    if isinstance(dependency, str):
        return dependency
    raise InvalidAsset(
        f"asset '{owner.name}' at {owner.location} has {dependency!r} among its deps; give assets or their names"
    )


def _parameters(function: Callable[..., Any], owner: Asset) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the parameters in order, and those among them that have a default."""
    where = f"asset '{owner.name}' at {owner.location}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidAsset(f"{where} is async; make it a plain function and call asyncio.run inside")
    if inspect.isgeneratorfunction(function):
        raise InvalidAsset(f"{where} yields; return the whole value (a table, a list) instead")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise InvalidAsset(f"{where} has no readable signature ({error}); wrap it in a plain function") from error
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            raise InvalidAsset(f"{where} takes {stars}{one.name}; name each upstream asset as a parameter of its own")
    optional = frozenset(one.name for one in parameters if one.default is not one.empty)
    return tuple(one.name for one in parameters), optional
