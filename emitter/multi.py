"""Functions that make several assets at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emitter.assets import Asset
from emitter.checks import Check
from emitter.errors import EmitterError, InvalidAsset
from emitter.io import IOManager
from emitter.retry import Retry
from emitter.source import locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """One output of a multi-asset function: what is its own; see `asset`."""

    version: str | int = "1"
    description: str | None = None
    owners: Iterable[str] = ()
    tags: Iterable[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    checks: Iterable[Check | Callable[[Any], Any]] = ()
    io: IOManager | None = None
    columns: Mapping[str, str | Iterable[str]] | None = None


class WrongOutputs(EmitterError):
    """A multi-asset function that did not return one value for each output."""


class MultiAsset(Sequence[Asset]):
    """The assets that one function makes, in order; give it where assets are given. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any], assets: Iterable[Asset], name: str) -> None:
        self.function = function
        self.name = name
        self.assets = tuple(assets)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return next(one for one in self.assets if one.name == index)
        return self.assets[index]

    def __len__(self) -> int:
        return len(self.assets)

    def __iter__(self) -> Iterator[Asset]:
        return iter(self.assets)

    def __repr__(self) -> str:
        return f"<MultiAsset '{self.name}' of {', '.join(one.name for one in self.assets)}>"


def multi_asset(
    *,
    outs: Iterable[str] | Mapping[str, Out],
    name: str | None = None,
    version: str | int = "1",
    namespace: str | None = None,
    deps: Iterable[str | Asset] = (),
    owners: Iterable[str] = (),
    tags: Iterable[str] = (),
    group: str | None = None,
    io: IOManager | None = None,
    retries: int | Retry = 0,
    timeout: float | None = None,
    policy: str = "if_changed",
) -> Callable[[Callable[..., Any]], MultiAsset]:
    """Declare a function that makes several assets: ``@multi_asset(outs=["orders", "items"])``.

    The function returns a tuple of the values in the order of `outs`, or a dict of them by name. It runs once, in one
    run, which has all of them as outputs; if one of them has to be made, all are. Nothing is stored if a blocking check
    of one of them fails.

    Args:
        outs: the outputs' names, or a dict of `Out` by name.
        name: of the function's job; its own name by default.
        io: of the outputs that have none of their own. The rest is as of an `asset`.

    Raises:
        InvalidAsset: the declaration cannot be used; the message says where and why.
    """

    def declare(function: Callable[..., Any]) -> MultiAsset:
        place = locate(function) if callable(function) else None
        called = name or str(getattr(function, "__name__", ""))
        if isinstance(outs, str) or not isinstance(outs, Iterable) or not list(outs):
            raise InvalidAsset(f"multi-asset '{called}' at {place} has outs={outs!r}; give names: outs=['orders', …]")
        described = dict(outs) if isinstance(outs, Mapping) else {one: Out() for one in outs}
        bad = [one for one in described.values() if not isinstance(one, Out)]
        if bad:
            raise InvalidAsset(f"multi-asset '{called}' at {place} has {bad[0]!r} among its outs; give Out(…)")
        assets = [
            Asset(
                function,
                name=each,
                step=called,
                version=version if out.version == "1" else out.version,
                namespace=namespace,
                deps=deps,
                description=out.description,
                owners=[*owners, *out.owners],
                tags=[*tags, *out.tags],
                group=group,
                metadata=out.metadata,
                checks=out.checks,
                io=out.io or io,
                retries=retries,
                timeout=timeout,
                policy=policy,
                columns=out.columns,
            )
            for each, out in described.items()
        ]
        return MultiAsset(function, assets, called)

    return declare


def outputs_of(step: str, names: Sequence[str], returned: Any) -> list[Any]:
    """The values for each of the names, from what a step's function returned.

    Raises WrongOutputs where they are not one for each.
    """
    wanted = f"'{step}' makes {len(names)} assets ({', '.join(names)})"
    if isinstance(returned, Mapping):
        absent = [one for one in names if one not in returned]
        extra = [str(one) for one in returned if one not in names]
        if absent or extra:
            told = f"without {', '.join(absent)}" if absent else f"with {', '.join(extra)} too"
            raise WrongOutputs(f"{wanted}, but its function returned a dict {told}")
        return [returned[one] for one in names]
    if not isinstance(returned, tuple | list):
        raise WrongOutputs(
            f"{wanted}, but its function returned a {type(returned).__name__}; return a tuple in that order, or a dict"
        )
    if len(returned) != len(names):
        raise WrongOutputs(f"{wanted}, but its function returned {len(returned)} values")
    return list(returned)
