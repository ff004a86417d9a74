"""Making what a step makes: call its function, check what it returns, store it, and say what was stored.

This is the part of a turn that may be done in another process: `Work` holds all that it takes, `Made` what comes of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

from emitter.assets import Asset
from emitter.checks import CheckResult
from emitter.checksum import Digest, digest
from emitter.errors import ChecksFailed, ChecksumError, StorageError
from emitter.io import FileIO, MemoryIO, Stored
from emitter.io.protocol import stored_of
from emitter.metadata import Materialization
from emitter.multi import outputs_of
from emitter.results import UpstreamVersion
from emitter.runs import RunIdentity, now
from emitter.schema import schema_of
from emitter.tables import row_count

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


class Abandoned(BaseException):
    """The work is not wanted any more: it was cancelled, or took too long. Not an error of the asset."""


@dataclass(frozen=True, slots=True)
class Made:
    """A value that was made and stored, and the version that it is."""

    value: Any
    version: Materialization


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that it takes to make the outputs of one step.

    Upstream values come from `given` where they are at hand; the others are loaded from the assets in `stored`.
    `config` has the function's other arguments, `reasons` why each asset runs, `lineage` the versions that are read.
    """

    step: str
    assets: tuple[Asset, ...]
    run: RunIdentity
    reasons: Mapping[str, str]
    lineage: dict[str, UpstreamVersion]
    given: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Asset] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    config_shown: dict[str, str] = field(default_factory=dict)
    config_version: str = ""
    pipeline: str | None = None

    def do(self, abandoned: Callable[[], bool] = lambda: False) -> list[Made]:
        """Make and store the outputs.

        Raises whatever the function or an IO manager raises, ChecksFailed where a blocking check does not hold (nothing
        is stored then), ChecksumError where a value has no checksum and its IO manager gives none either, and Abandoned
        if before anything was stored `abandoned` came to be true.
        """
        began = time.monotonic()
        upstream = self.given | {name: one.io.load(one) for name, one in self.stored.items()}
        self.given.clear()  # what the function lets go of may go
        values = self._called(upstream)
        needed = {check.needs: upstream[check.needs] for one in self.assets for check in one.checks if check.needs}
        del upstream
        checked = [tuple(check.run(value, needed) for check in one.checks) for one, value in self._pairs(values)]
        _refuse(self.assets, checked)
        if abandoned():
            raise Abandoned
        made = []
        for (one, value), checks in zip(self._pairs(values), checked, strict=True):
            made.append(self._kept(one, value, checks, began))
        return made

    def _pairs(self, values: list[Any]) -> list[tuple[Asset, Any]]:
        return list(zip(self.assets, values, strict=True))

    def _called(self, upstream: Mapping[str, Any]) -> list[Any]:
        """Call the function: by position as far as there is no gap, so that positional-only parameters work too."""
        first = self.assets[0]
        arguments = {name: upstream[name] for name in first.parameters if name in upstream} | dict(self.config)
        by_position = []
        keyword_only = {one.name for one in first.settings if one.kind is one.KEYWORD_ONLY}
        for name in first.parameters:
            if name not in arguments or name in keyword_only:
                break
            by_position.append(arguments.pop(name))
        returned = first.function(*by_position, **arguments)
        if not first.is_one_of_several:
            return [returned]
        return outputs_of(self.step, [one.name for one in self.assets], returned)

    def _kept(self, asset: Asset, value: Any, checks: tuple[CheckResult, ...], began: float) -> Made:
        content = _content(value)
        asset.io.save(asset, value)
        stored = _after_save(asset, content)
        moment = now()
        version = Materialization(
            namespace=self.run.namespace,
            asset=asset.name,
            run_id=self.run.run_id,
            version=asset.version,
            code_version=asset.code_version,
            checks_version=checks_version(asset),
            # What has no content of its own to compare is known by the bytes that it was stored as.
            checksum=str(content) if isinstance(content, Digest) else stored.checksum,
            hashed=_hashed(asset, content),
            stored_checksum=stored.checksum,
            reason=self.reasons[asset.name],
            created_at=moment,
            updated_at=moment,
            rows=row_count(value),
            bytes=stored.size,
            duration=time.monotonic() - began,
            lineage=self.lineage,
            checks=checks,
            fields=schema_of(value, None if asset.is_one_of_several else asset.function),
            config=self.config_shown,
            config_version=self.config_version,
            pipeline=self.pipeline,
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


def _refuse(assets: tuple[Asset, ...], checked: list[tuple[CheckResult, ...]]) -> None:
    for asset, checks in zip(assets, checked, strict=True):
        stopping = [one for one in checks if not one.success and one.blocking and one.severity == "error"]
        if stopping:
            told = "; ".join(f"{one.name}: {one.message}" for one in stopping)
            count = "a check" if len(stopping) == 1 else f"{len(stopping)} checks"
            every = tuple(one for each in checked for one in each)
            raise ChecksFailed(f"asset '{asset.name}' was not stored, since {count} failed: {told}", every)


def _content(value: Any) -> Digest | ChecksumError:
    try:
        return digest(value, index=True)
    except ChecksumError as error:
        return error


def _hashed(asset: Asset, content: Digest | ChecksumError) -> str:
    if isinstance(content, Digest):
        return content.hashed
    return "file" if isinstance(asset.io, FileIO) else "object"


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
