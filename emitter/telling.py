"""Telling of turns: events and progress, one at a time, and nothing more once everything is over."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from emitter.assets import Asset
from emitter.config import Config
from emitter.emission import Emission
from emitter.errors import ChecksFailed
from emitter.graph import AssetGraph, Step
from emitter.io.protocol import dataset_of
from emitter.making import Abandoned
from emitter.metadata import Materialization
from emitter.results import AssetResult, AssetStarted, Status
from emitter.runs import RunIdentity, now

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

_STATES = {
    Status.MATERIALIZED: "COMPLETE",
    Status.UNCHANGED: "COMPLETE",
    Status.FAILED: "FAIL",
    Status.UPSTREAM_FAILED: "ABORT",
    Status.SKIPPED: "ABORT",
}


@dataclass(slots=True, eq=False)
class Turn:
    """One step's run: who it is, when it began, and the version of each upstream asset that it is made from.

    `versions` has what its assets are at, once it is over; `started` is true between its START and its end.
    """

    step: Step
    run: RunIdentity
    config: Config
    began: datetime = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)
    inputs: Mapping[str, Materialization] = field(default_factory=dict)
    versions: Mapping[str, Materialization] = field(default_factory=dict)
    attempts: int = 1
    started: bool = False

    def without_output(
        self, asset: Asset, status: Status, reason: str | None, error: Exception | None = None
    ) -> AssetResult:
        """The result of an asset that has no output."""
        return AssetResult(
            name=asset.name,
            status=status,
            version=asset.version,
            code_version=asset.code_version,
            run_id=self.run.run_id,
            checks=error.checks if isinstance(error, ChecksFailed) else (),
            duration=time.monotonic() - self.clock,
            reason=reason,
            error=error,
            attempts=self.attempts,
        )

    def with_output(self, asset: Asset, status: Status, reason: str) -> AssetResult:
        """The result of an asset that is at the version in `versions`."""
        version = self.versions[asset.name]
        return AssetResult(
            name=asset.name,
            status=status,
            version=version.version,
            code_version=version.code_version,
            run_id=self.run.run_id,
            checksum=version.checksum,
            created_at=version.created_at,
            updated_at=version.updated_at,
            lineage=version.lineage,
            checks=version.checks,
            rows=version.rows,
            bytes=version.bytes,
            duration=time.monotonic() - self.clock,
            reason=reason,
            attempts=self.attempts,
            load=functools.partial(asset.io.load, asset),
        )


class Teller:
    """Tells of a materialization's turns, whichever thread they are taken in."""

    def __init__(
        self,
        graph: AssetGraph,
        emission: Emission,
        parent: RunIdentity,
        on_progress: Callable[[AssetResult | AssetStarted], None] | None,
    ) -> None:
        self._graph = graph
        self._emission = emission
        self._parent = parent
        self._on_progress = on_progress
        self._voice = threading.RLock()
        #: Set once nothing more is to be told; who waits for something waits for this too.
        self.over = threading.Event()

    def report(self, progress: AssetResult | AssetStarted) -> None:
        """Tell of progress."""
        with self._voice:
            if self._on_progress is not None and not self.over.is_set():
                self._on_progress(progress)

    def tell(self, turn: Turn, results: Sequence[AssetResult] | None) -> None:
        """Emit the turn's START, or with results its end. Raises Abandoned once everything is over."""
        with self._voice:
            if self.over.is_set():
                raise Abandoned
            turn.started = results is None
            self._send(turn, results)

    def abort(self, turns: Sequence[Turn], reason: str) -> None:
        """End those of the turns that are between START and end with ABORT, and tell nothing more."""
        with self._voice:
            self.over.set()
            for turn in sorted(turns, key=lambda turn: turn.began):
                if turn.started:
                    self._send(turn, [turn.without_output(one, Status.SKIPPED, reason) for one in turn.step.assets])

    def _send(self, turn: Turn, results: Sequence[AssetResult] | None) -> None:
        moment = turn.began if results is None else now()
        self._emission.send(functools.partial(self._event, turn, results, moment))

    def _event(self, turn: Turn, results: Sequence[AssetResult] | None, moment: datetime) -> RunEvent:
        from emitter.events import Ending, Output, asset_event

        first = results[0] if results else None
        done = [one for one in results or () if one.load is not None]
        return asset_event(
            _STATES[first.status] if first else "START",
            moment,
            turn.run,
            self._parent,
            turn.step.assets,
            inputs={
                name: (dataset_of(self._graph[name], self._graph[name].namespace or self._parent.namespace), version)
                for name, version in turn.inputs.items()
            },
            outputs=[
                Output(
                    self._graph[one.name],
                    dataset_of(self._graph[one.name], turn.run.namespace),
                    turn.versions[one.name],
                    one.checks,
                    written=one.status is Status.MATERIALIZED,
                )
                for one in done
            ],
            checks=[check for one in (results or ())[: None if done else 1] for check in one.checks],
            ending=Ending(first.status, first.reason, first.error, tuple(turn.config.secrets())) if first else None,
        )
