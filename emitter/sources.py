"""Sources: data that others produce, and that this pipeline only reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emitter.assets import Asset
from emitter.checks import Check
from emitter.errors import OutputMissing
from emitter.io import DatasetName, IOManager
from emitter.source import SourceLocation


class SourceAsset(Asset):
    """Data that others produce. It is looked at, not made: a new content counts as a change of it."""

    is_source = True
    dataset_name: DatasetName | None = None


class _Elsewhere(IOManager):
    """Data that is not read here: only its name and its declared version are known."""

    def __init__(self, name: DatasetName | None) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"a source that is not read here ({self._name.name if self._name else 'by its name only'})"

    def save(self, asset: Asset, value: Any) -> None:
        raise OutputMissing(f"'{asset.name}' is a source: others write it")

    def load(self, asset: Asset) -> Any:
        raise OutputMissing(
            f"'{asset.name}' is a source without an IO manager, so nothing can be passed; give it one, "
            f"source_asset('{asset.name}', io=…), or need it by deps=['{asset.name}']"
        )

    def dataset(self, asset: Asset) -> DatasetName | None:
        return self._name


def source_asset(
    name: str,
    *,
    io: IOManager | None = None,
    dataset: tuple[str, str] | None = None,
    version: str | int = "1",
    namespace: str | None = None,
    description: str | None = None,
    owners: Iterable[str] = (),
    tags: Iterable[str] = (),
    group: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    checks: Iterable[Check | Callable[[Any], Any]] = (),
) -> SourceAsset:
    """Declare data that others produce: ``source_asset("orders", io=ParquetIO("s3://shop/raw"))``.

    Assets take it as a parameter or in `deps`, and run again when its content changed. No event claims that this
    pipeline wrote it.

    Args:
        name: what assets call it.
        io: how it is read; without one it can only be in `deps`, and changes only by its `version`.
        dataset: its namespace and name in lineage, such as ``("postgres://db:5432", "shop.public.orders")``; by
            default what the IO manager calls it, so that it meets the job that writes it in one node.
        version: a declared version.
        namespace, description, owners, tags, group, metadata: as of an `asset`.
        checks: what must hold of it; looked at when it changed, `freshness` always.

    Raises:
        InvalidAsset: the declaration cannot be used; the message says where and why.
    """
    frame = sys._getframe(1)
    location = SourceLocation(frame.f_code.co_filename, frame.f_lineno)

    def read() -> None:
        raise OutputMissing(f"'{name}' is a source: it is read, not made")

    called = DatasetName(*dataset) if dataset is not None else None
    made = SourceAsset(
        read,
        name=name,
        version=version,
        namespace=namespace,
        description=description or "",
        owners=owners,
        tags=tags,
        group=group,
        metadata=metadata,
        checks=checks,
        io=_Elsewhere(called) if io is None else io,
        location=location,
    )
    made.dataset_name = called
    # it has no code of ours: nothing to be fingerprinted, nothing to be shown
    made.__dict__.update(code_version="", source=None)
    return made


def is_readable(asset: Asset) -> bool:
    """Whether a source's content can be looked at."""
    return not isinstance(asset.io, _Elsewhere)
