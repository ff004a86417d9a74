"""What a materialization gives back: one result per asset, and the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from emitter.checks import CheckResult
from emitter.errors import MaterializationFailed, ResultUnavailable


class Status(StrEnum):
    """How an asset's part of a materialization ended; OBSERVED is a source whose content is new."""

    MATERIALIZED = "materialized"
    UNCHANGED = "unchanged"
    OBSERVED = "observed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"


class UpstreamVersion(TypedDict):
    """The exact version of an upstream asset that was read: its declared version and its checksum."""

    version: str
    checksum: str


@dataclass(frozen=True, slots=True)
class AssetStarted:
    """An asset's turn has come; `index` counts from 1 to `total`.

    Of a function that makes several assets the name is the function's, and `assets` are theirs.
    """

    name: str
    index: int
    total: int
    assets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssetResult:
    """What came of one asset.

    `checksum` is ``algorithm:hex`` and is the data version; `created_at` is the first materialization ever,
    `updated_at` the latest; `lineage` maps each upstream asset to the version that was read. An unchanged asset
    carries what its latest materialization recorded; an asset that did not run has neither checksum nor lineage.
    `bytes` is the size as stored, `duration` is in seconds, `run_id` the OpenLineage run; `attempts` counts the tries.
    """

    name: str
    status: Status
    version: str
    run_id: str
    code_version: str | None = None
    checksum: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    lineage: Mapping[str, UpstreamVersion] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    duration: float = 0.0
    reason: str | None = None
    error: BaseException | None = None
    attempts: int = 1
    load: Callable[[], Any] | None = field(default=None, repr=False)

    @property
    def value(self) -> Any:
        """The asset's output, read through its IO manager each time it is asked for.

        Raises ResultUnavailable when the asset has no output in this materialization.
        """
        if self.load is None:
            cause = f": {self.error}" if self.error else f" ({self.reason})" if self.reason else ""
            raise ResultUnavailable(f"asset '{self.name}' has no value, it is {self.status}{cause}")
        return self.load()

    @property
    def succeeded(self) -> bool:
        """Whether its output is good: made, observed or unchanged, and no check of severity ``error`` failed."""
        return self.status in (Status.MATERIALIZED, Status.UNCHANGED, Status.OBSERVED) and not any(
            not check.success and check.severity == "error" for check in self.checks
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MaterializeResult(Mapping[str, AssetResult]):
    """The results by asset name, in the order in which the assets had their turn.

    `run_id` is the parent run, `duration` is in seconds. Lineage never fails the job: `events_failed` counts the events
    that are lost, `events_waiting` those that the outbox holds until the collector takes them.
    """

    results: Mapping[str, AssetResult]
    run_id: str
    duration: float
    events_failed: int = 0
    events_waiting: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether every asset succeeded."""
        return all(result.succeeded for result in self.results.values())

    @property
    def failures(self) -> list[AssetResult]:
        """The results that did not succeed, in order."""
        return [result for result in self.results.values() if not result.succeeded]

    def raise_for_failures(self) -> None:
        """Raise MaterializationFailed, naming each asset and its cause, unless everything succeeded."""
        if failures := self.failures:
            lines = "\n".join(
                f"  {one.name}: {one.status}, {one.error or one.reason or 'checks failed'}" for one in failures
            )
            error = MaterializationFailed(f"{len(failures)} of {len(self)} assets did not succeed:\n{lines}")
            raise error from next((one.error for one in failures if one.error), None)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}: {result.status}" for name, result in self.results.items())
        return f"<MaterializeResult of run {self.run_id} ({told})>"

    def __getitem__(self, name: str) -> AssetResult:
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)
