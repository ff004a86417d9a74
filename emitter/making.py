"""Making an asset's output: call the function, check what it returns, store it, and say what was stored."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from emitter.assets import Asset
from emitter.checks import CheckResult
from emitter.checksum import Digest, digest
from emitter.errors import ChecksFailed, ChecksumError, StorageError
from emitter.io import FileIO, MemoryIO, Stored
from emitter.io.protocol import stored_of
from emitter.metadata import Materialization
from emitter.results import UpstreamVersion
from emitter.runs import RunIdentity, now
from emitter.schema import schema_of
from emitter.tables import row_count

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


@dataclass(frozen=True, slots=True)
class Made:
    """A value that was made and stored, and the version that it is."""

    value: Any
    version: Materialization


def make(
    asset: Asset,
    arguments: Mapping[str, Any],
    *,
    run: RunIdentity,
    reason: str,
    lineage: dict[str, UpstreamVersion],
    clock: float,
) -> Made:
    """Make and store an asset's output; `clock` is the monotonic time at which its turn began.

    Raises whatever the function or the IO manager raises, ChecksFailed where a blocking check does not hold (nothing
    is stored then), ChecksumError where the value has no checksum and its IO manager gives none either.
    """
    value = _called(asset, arguments)
    checks = tuple(check.run(value) for check in asset.checks)
    _refuse(asset, checks)
    content = _content(value)
    asset.io.save(asset, value)
    stored = _after_save(asset, content)
    moment = now()
    version = Materialization(
        namespace=run.namespace,
        asset=asset.name,
        run_id=run.run_id,
        version=asset.version,
        code_version=asset.code_version,
        checks_version=checks_version(asset),
        # What has no content of its own to compare is known by the bytes that it was stored as.
        checksum=str(content) if isinstance(content, Digest) else stored.checksum,
        hashed=content.hashed if isinstance(content, Digest) else "file" if isinstance(asset.io, FileIO) else "object",
        stored_checksum=stored.checksum,
        reason=reason,
        created_at=moment,
        updated_at=moment,
        rows=row_count(value),
        bytes=stored.size,
        duration=time.monotonic() - clock,
        lineage=lineage,
        checks=checks,
        fields=schema_of(value, asset.function),
    )
    return Made(value, version)


def checks_version(asset: Asset) -> str:
    """A fingerprint of the asset's checks: a check that was added or changed has to be carried out."""
    return blake3("\n".join(check.definition() for check in asset.checks).encode()).hexdigest(16)


def user_traceback(error: Exception) -> Exception:
    """The error with a traceback that begins in the user's code, if it reached any."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else error


def _called(asset: Asset, arguments: Mapping[str, Any]) -> Any:
    # By position as far as there is no gap, so that positional-only parameters work too.
    given = dict(arguments)
    by_position = []
    for name in asset.parameters:
        if name not in given:
            break
        by_position.append(given.pop(name))
    return asset.function(*by_position, **given)


def _refuse(asset: Asset, checks: tuple[CheckResult, ...]) -> None:
    stopping = [one for one in checks if not one.success and one.blocking and one.severity == "error"]
    if stopping:
        told = "; ".join(f"{one.name}: {one.message}" for one in stopping)
        count = "a check" if len(stopping) == 1 else f"{len(stopping)} checks"
        raise ChecksFailed(f"asset '{asset.name}' was not stored, since {count} failed: {told}", checks)


def _content(value: Any) -> Digest | ChecksumError:
    try:
        return digest(value, index=True)
    except ChecksumError as error:
        return error


def _after_save(asset: Asset, content: Digest | ChecksumError) -> Stored:
    if isinstance(asset.io, MemoryIO):
        # What is in memory is the value itself: there is nothing else to hash.
        if isinstance(content, ChecksumError):
            raise content
        return Stored(str(content))
    stored = stored_of(asset)
    if stored is None:
        raise StorageError(f"{asset.io!r} kept nothing of asset '{asset.name}': its save() or stored() is wrong")
    return stored
