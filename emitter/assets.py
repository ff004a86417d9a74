"""Assets: plain functions, declared to be data that is worth keeping."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from emitter import declaration
from emitter.checks import Check, as_check
from emitter.errors import InvalidAsset
from emitter.fingerprint import fingerprint
from emitter.io import IOManager
from emitter.retry import Retry, as_retry
from emitter.source import SourceLocation, locate, plain_function, source_of

if TYPE_CHECKING:
    from emitter.metadata import Materialization


class Asset:
    """A function whose output is kept, versioned and traced.

    Upstream assets are the function's parameters (a parameter's name is the upstream asset) and `deps`, for what is
    needed but not passed. A parameter that names no asset and has a default, or stands behind ``*``, is config; see
    `emitter.config`. Calling the asset calls the function. `created_at`, `updated_at` and `checksum` are those of the
    latest materialization that this process has seen, None before. Make assets with the decorator `asset`; apart from
    these three nothing of an asset changes.
    """

    #: Whether others make the data, so that it is looked at and not made.
    is_source = False
    #: The SQL that makes it and its dialect, of an asset that is made by SQL.
    sql: str | None = None
    dialect: str | None = None

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
        group: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        checks: Iterable[Check | Callable[[Any], Any]] = (),
        io: IOManager | None = None,
        retries: int | Retry = 0,
        timeout: float | None = None,
        policy: str = "if_changed",
        columns: Mapping[str, str | Iterable[str]] | None = None,
        location: SourceLocation | None = None,
        step: str | None = None,
    ) -> None:
        if isinstance(function, Asset):
            raise InvalidAsset(f"{function} is an asset already; decorate the plain function once")
        if not callable(function):
            raise InvalidAsset(f"an asset is made from a function, not from {type(function).__name__} {function!r}")
        self.function = function
        self.location: SourceLocation = location or locate(function)
        self.name = declaration.checked_name(
            name if name is not None else getattr(function, "__name__", None), self.location
        )
        #: What makes it: the asset itself, or the multi-asset function that it is one output of.
        self.step = step or self.name
        self.is_one_of_several = step is not None
        where = f"asset '{self.name}' at {self.location}"
        self.version = declaration.checked_version(version, where)
        self.namespace = declaration.checked_text("namespace", namespace, where)
        self.group = declaration.checked_text("group", group, where)
        parameters = declaration.signature_parameters(function, where)
        self.parameters = tuple(one.name for one in parameters)
        #: The parameters that are config where they name no asset.
        self.settings = tuple(one for one in parameters if one.default is not one.empty or one.kind is one.KEYWORD_ONLY)
        self.checks = tuple(as_check(one) for one in declaration.listed("checks", checks, where))
        needed = [_dependency_name(one, where) for one in declaration.listed("deps", deps, where)]
        self.deps = tuple(dict.fromkeys([*needed, *(one.needs for one in self.checks if one.needs)]))
        self.description = description if description is not None else inspect.getdoc(plain_function(function))
        self.owners = tuple(declaration.listed("owners", owners, where))
        self.tags = tuple(dict.fromkeys(declaration.listed("tags", tags, where)))
        self.metadata: Mapping[str, Any] = dict(metadata or {})
        self.io = declaration.checked_io(io, where)
        self.retry = as_retry(retries, where)
        self.timeout = declaration.checked_timeout(timeout, where)
        self.policy = declaration.checked_policy(policy, where)
        self.columns = declaration.checked_columns(columns, where)
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

        Parameters that may be config count only where they name one of the `known` assets.
        """
        return tuple(dict.fromkeys([*self.passed_names(known), *self.deps]))

    def passed_names(self, known: Iterable[str]) -> tuple[str, ...]:
        """The names of the assets whose values are passed as arguments."""
        names = set(known)
        optional = {one.name for one in self.settings}
        return tuple(one for one in self.parameters if one not in optional or one in names)


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
    group: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    checks: Iterable[Check | Callable[[Any], Any]] = (),
    io: IOManager | None = None,
    retries: int | Retry = 0,
    timeout: float | None = None,
    policy: str = "if_changed",
    columns: Mapping[str, str | Iterable[str]] | None = None,
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
        group: what it belongs to, to select it by (``group:finance``).
        metadata: anything else worth noting; kept on the asset.
        checks: `not_null`, `unique`, … or any function of the value.
        io: where the output is kept; in memory by default.
        retries: how often to try again when it fails, or a `Retry` that says how long to wait too.
        timeout: seconds that one attempt may take.
        policy: ``if_changed``, or ``always`` to run it each time.
        columns: which upstream columns a column is made from, ``{"total": ["orders.amount"]}``, for lineage.

    Raises:
        InvalidAsset, InvalidCheck: the declaration cannot be used; the message says where and why.
    """
    if function is not None:
        return Asset(function, **declared)
    return lambda function: Asset(function, **declared)


def _dependency_name(dependency: Any, where: str) -> str:
    if isinstance(dependency, Asset):
        return dependency.name
    if isinstance(dependency, str):
        return dependency
    raise InvalidAsset(f"{where} has {dependency!r} among its deps; give assets or their names")
