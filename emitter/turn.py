"""An asset's turn: from the decision whether it must run to its result."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emitter.assets import Asset
from emitter.decision import Current, reason_to_run
from emitter.emission import Emission
from emitter.errors import ChecksFailed, OutputMissing, StorageError
from emitter.graph import AssetGraph
from emitter.io import MemoryIO
from emitter.io.protocol import DatasetName, dataset_of, stored_of
from emitter.making import checks_version, make, user_traceback
from emitter.metadata import Materialization, MetadataStore
from emitter.results import AssetResult, AssetStarted, Status, UpstreamVersion
from emitter.runs import RunIdentity, new_run_id, now

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

_STATES = {
    Status.MATERIALIZED: "COMPLETE",
    Status.UNCHANGED: "COMPLETE",
    Status.FAILED: "FAIL",
    Status.UPSTREAM_FAILED: "ABORT",
    Status.SKIPPED: "ABORT",
}


@dataclass(slots=True)
class Turn:
    """One asset's run: who it is, when it began, and the version of each upstream asset that it is made from."""

    asset: Asset
    run: RunIdentity
    began: datetime = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)
    inputs: Mapping[str, Materialization] = field(default_factory=dict)


class Turns:
    """The turns of one materialization, and what they share: results, versions, and the values still needed.

    `order` holds the names of the assets that have a turn, `upstream` the direct upstream of each among these.
    """

    def __init__(
        self,
        graph: AssetGraph,
        order: Sequence[str],
        store: MetadataStore,
        emission: Emission,
        *,
        parent: RunIdentity,
        force: bool,
        on_progress: Callable[[AssetResult | AssetStarted], None] | None,
    ) -> None:
        self.graph = graph
        self.order = list(order)
        self.parent = parent
        self.results: dict[str, AssetResult] = {}
        self.upstream = {name: [one for one in graph.upstream_names(name) if one in set(order)] for name in order}
        self._position = {name: index for index, name in enumerate(order, start=1)}
        self._store = store
        self._emission = emission
        self._force = force
        self._on_progress = on_progress
        self._versions: dict[str, Materialization] = {}
        self._values: dict[str, Any] = {}
        self._readers = Counter(needed for name in order for needed in self._passed(name))
        self._culprits: dict[str, list[str]] = {}

    def take(self, name: str) -> None:
        """Give an asset its turn. Raises only what must end everything: an interrupt, or an error of a callback."""
        self._report(AssetStarted(name, self._position[name], len(self.order)))
        try:
            self.results[name] = self._result(name)
        finally:
            self._release(name)
        self._report(self.results[name])

    def _result(self, name: str) -> AssetResult:
        asset = self.graph[name]
        turn = Turn(asset, RunIdentity(new_run_id(), self._namespace(asset), name))
        if culprits := self._failed_upstream(name):
            self._culprits[name] = culprits
            result = self._without_output(turn, Status.UPSTREAM_FAILED, f"upstream {', '.join(culprits)} failed")
            self._send(turn, result)
            return result
        problem = self._find_inputs(turn)
        self._send(turn, None)
        try:
            result = self._outcome(turn, problem)
        except BaseException:
            self._send(turn, self._without_output(turn, Status.SKIPPED, "interrupted"))
            raise
        self._send(turn, result)
        return result

    def _outcome(self, turn: Turn, problem: Exception | None) -> AssetResult:
        """What comes of the turn; whatever the asset or its IO manager raises becomes a failed result."""
        asset, reason = turn.asset, None
        try:
            if problem is not None:
                raise problem
            last = self._store.latest(turn.run.namespace, asset.name)
            upstream = {name: version.checksum for name, version in turn.inputs.items()}
            current = Current(asset.version, asset.code_version, checks_version(asset), upstream)
            place = "in memory" if isinstance(asset.io, MemoryIO) else "on disk"
            stored = functools.partial(stored_of, asset)
            reason = reason_to_run(current, last, stored, force=self._force, place=place)
            if reason is None and last is not None:
                version, status = last, Status.UNCHANGED
            else:
                version, status = self._make(turn, reason or ""), Status.MATERIALIZED
        except Exception as error:  # noqa: BLE001 - an asset's error is its result
            self._culprits[asset.name] = [asset.name]
            return self._without_output(turn, Status.FAILED, reason, user_traceback(error))
        self._versions[asset.name] = version
        asset.remember(version)
        return self._with_output(turn, status, version, reason)

    def _make(self, turn: Turn, reason: str) -> Materialization:
        made = make(
            turn.asset,
            {name: self._value(name) for name in self._passed(turn.asset.name)},
            run=turn.run,
            reason=reason,
            lineage=_lineage(turn.inputs),
            clock=turn.clock,
        )
        if self._readers[turn.asset.name]:
            self._values[turn.asset.name] = made.value
        return self._store.record(made.version)

    def _find_inputs(self, turn: Turn) -> Exception | None:
        """Find the version of each upstream asset; what is wrong is returned, not raised, so that the run can start."""
        name = turn.asset.name
        try:
            for needed in self.graph.upstream_names(name):
                version = self._versions.get(needed) or self._latest(needed)
                if version is None:
                    return OutputMissing(
                        f"asset '{name}' needs '{needed}', which was never materialized; select it too: '+{name}'"
                    )
                self._versions[needed] = version
        except Exception as error:  # noqa: BLE001 - returned, and raised where the asset's errors are handled
            return error
        turn.inputs = {needed: self._versions[needed] for needed in self.graph.upstream_names(name)}
        return None

    def _latest(self, name: str) -> Materialization | None:
        return self._store.latest(self._namespace(self.graph[name]), name)

    def _value(self, name: str) -> Any:
        """An upstream asset's output: the one just made, or the stored one if it is still what was recorded."""
        if name in self._values:
            return self._values[name]
        asset = self.graph[name]
        if name not in self.results:
            found = stored_of(asset)
            if found is not None and found.checksum != self._versions[name].stored_checksum:
                raise StorageError(
                    f"the stored output of '{name}' is not what was materialized, something else changed it; "
                    f"select '{name}' too, to make it again"
                )
        value = asset.io.load(asset)
        if self._readers[name] > 1:
            self._values[name] = value
        return value

    def _release(self, name: str) -> None:
        """Drop the values that no later asset takes as an argument."""
        for needed in self._passed(name):
            self._readers[needed] -= 1
            if not self._readers[needed]:
                self._values.pop(needed, None)

    def _passed(self, name: str) -> list[str]:
        return [one for one in self.graph[name].parameters if one in self.graph]

    def _failed_upstream(self, name: str) -> list[str]:
        """The assets whose failure is why this one cannot run."""
        found = (self._culprits.get(needed, []) for needed in self.upstream[name])
        return list(dict.fromkeys(culprit for culprits in found for culprit in culprits))

    def _namespace(self, asset: Asset) -> str:
        return asset.namespace or self.parent.namespace

    def _without_output(
        self, turn: Turn, status: Status, reason: str | None, error: Exception | None = None
    ) -> AssetResult:
        return AssetResult(
            name=turn.asset.name,
            status=status,
            version=turn.asset.version,
            code_version=turn.asset.code_version,
            run_id=turn.run.run_id,
            checks=error.checks if isinstance(error, ChecksFailed) else (),
            duration=time.monotonic() - turn.clock,
            reason=reason,
            error=error,
        )

    def _with_output(self, turn: Turn, status: Status, version: Materialization, reason: str | None) -> AssetResult:
        return AssetResult(
            name=turn.asset.name,
            status=status,
            version=version.version,
            code_version=version.code_version,
            run_id=turn.run.run_id,
            checksum=version.checksum,
            created_at=version.created_at,
            updated_at=version.updated_at,
            lineage=version.lineage,
            checks=version.checks,
            rows=version.rows,
            bytes=version.bytes,
            duration=time.monotonic() - turn.clock,
            reason=reason or "code, upstream and output are as they were",
            load=functools.partial(turn.asset.io.load, turn.asset),
        )

    def _report(self, progress: AssetResult | AssetStarted) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)

    def _send(self, turn: Turn, result: AssetResult | None) -> None:
        """Emit the turn's START, or with a result its end."""
        moment = now() if result else turn.began
        self._emission.send(functools.partial(self._event, turn, result, moment))

    def _event(self, turn: Turn, result: AssetResult | None, moment: datetime) -> RunEvent:
        from emitter.events import Ending, asset_event

        done = result is not None and result.load is not None
        return asset_event(
            _STATES[result.status] if result else "START",
            moment,
            turn.run,
            self.parent,
            turn.asset,
            inputs=[(self._dataset(self.graph[name]), version) for name, version in turn.inputs.items()],
            output=(self._dataset(turn.asset), self._versions[turn.asset.name]) if done else None,
            checks=result.checks if result else (),
            written=result is not None and result.status is Status.MATERIALIZED,
            ending=Ending(result.status, result.reason, result.error) if result else None,
        )

    def _dataset(self, asset: Asset) -> DatasetName:
        return dataset_of(asset, self._namespace(asset))


def _lineage(inputs: Mapping[str, Materialization]) -> dict[str, UpstreamVersion]:
    return {name: {"version": version.version, "checksum": version.checksum} for name, version in inputs.items()}
