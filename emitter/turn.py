"""A step's turn: from the decision whether it must run to its results."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emitter.assets import Asset
from emitter.column_lineage import column_lineage
from emitter.config import Config
from emitter.decision import Current, reason_to_run
from emitter.emission import Emission
from emitter.engines import Engine
from emitter.errors import OutputMissing
from emitter.graph import AssetGraph, Step
from emitter.io.protocol import is_in_process, stored_of
from emitter.making import Abandoned, Work, checks_version, user_traceback
from emitter.metadata import Materialization, MetadataStore
from emitter.observation import observe, recheck
from emitter.results import AssetResult, AssetStarted, Status, UpstreamVersion
from emitter.retry import may_help
from emitter.runs import RunIdentity, new_run_id
from emitter.telling import Teller, Turn
from emitter.values import Values

log = logging.getLogger(__name__)

_AS_BEFORE = "code, upstream and output are as they were"


class Turns:
    """The turns of one materialization, and what they share: results, versions, and the values still needed.

    `selected` names the assets to run; sources that they need are looked at too. `order` holds the steps that have a
    turn, `upstream` the direct upstream of each among these. Turns may be taken in several threads at once; events and
    progress are told one at a time.
    """

    def __init__(
        self,
        graph: AssetGraph,
        selected: Sequence[str],
        store: MetadataStore,
        emission: Emission,
        *,
        engine: Engine,
        parent: RunIdentity,
        config: Mapping[str, Config],
        force: bool,
        on_progress: Callable[[AssetResult | AssetStarted], None] | None,
    ) -> None:
        self.graph = graph
        self.steps = {one.name: one for one in graph.steps_of(_with_sources(graph, selected))}
        self.order = list(self.steps)
        self.names = [name for step in self.steps.values() for name in step.names]
        self.parent = parent
        self.results: dict[str, AssetResult] = {}
        self.upstream = {name: self._upstream_steps(step) for name, step in self.steps.items()}
        self._position = {name: index for index, name in enumerate(self.order, start=1)}
        self._passed = {name: _passed(graph, step) for name, step in self.steps.items()}
        self._values = Values(graph, self._passed)
        self._store = store
        self._teller = Teller(graph, emission, parent, on_progress)
        self._engine = engine
        self._config = config
        self._force = force
        self._pipeline = str(graph.source) if graph.source else None
        self._versions: dict[str, Materialization] = {}
        self._culprits: dict[str, list[str]] = {}
        self._live: set[Turn] = set()
        #: Guards what the turns share.
        self._lock = threading.Lock()

    def take(self, name: str) -> None:
        """Give a step its turn. Raises only what must end everything: an interrupt, or an error of a callback."""
        step = self.steps[name]
        several = tuple(step.names) if step.assets[0].is_one_of_several else ()
        self._teller.report(AssetStarted(name, self._position[name], len(self.order), several))
        run = RunIdentity(new_run_id(), self._namespace(step.assets[0]), name)
        turn = Turn(step, run, self._config[name])
        with self._lock:
            self._live.add(turn)
        try:
            results = self._taken(turn)
        finally:
            self._values.release(name)
        with self._lock:
            self.results.update({one.name: one for one in results})
            self._live.discard(turn)
        for one in results:
            self._teller.report(one)

    def abort(self, reason: str) -> None:
        """End what is being run with ABORT, and let nothing more be told."""
        with self._lock:
            live = list(self._live)
        self._teller.abort(live, reason)

    def _taken(self, turn: Turn) -> list[AssetResult]:
        if turn.step.assets[0].is_source:
            return [self._observed(turn)]
        if culprits := self._failed_upstream(turn.step.name):
            reason = f"upstream {', '.join(culprits)} failed"
            results = [turn.without_output(one, Status.UPSTREAM_FAILED, reason) for one in turn.step.assets]
            self._culprits.update({one.name: culprits for one in results})
            self._teller.tell(turn, results)
            return results
        problem = self._find_inputs(turn)
        self._teller.tell(turn, None)
        results = self._outcome(turn, problem)
        self._teller.tell(turn, results)
        return results

    def _outcome(self, turn: Turn, problem: Exception | None) -> list[AssetResult]:
        """What comes of the turn; whatever the asset or its IO manager raises becomes a failed result."""
        reasons: dict[str, str] = {}
        try:
            if problem is not None:
                raise problem
            last = {one.name: self._latest(one.name) for one in turn.step.assets}
            reasons = self._reasons(turn, last)
            if reasons:
                versions, status = self._make(turn, reasons), Status.MATERIALIZED
            else:
                versions, status = {name: one for name, one in last.items() if one}, Status.UNCHANGED
                versions = {name: recheck(self.graph[name], one, self._value) for name, one in versions.items()}
        except Exception as error:  # noqa: BLE001 - an asset's error is its result
            return self._failed(turn, error, reasons)
        with self._lock:
            self._versions.update(versions)
        for name, version in versions.items():
            self.graph[name].remember(version)
        turn.versions = versions
        return [turn.with_output(one, status, reasons.get(one.name, _AS_BEFORE)) for one in turn.step.assets]

    def _observed(self, turn: Turn) -> AssetResult:
        """The result of looking at a source; no event tells of it, since no job of ours wrote it."""
        source = turn.step.assets[0]
        try:
            seen = observe(
                source,
                self._latest(source.name),
                turn.run,
                read=self._values.are_needed(source.name),
                needed=self._value,
            )
            version = self._store.record(seen.version) if seen.reason else seen.version
        except Exception as error:  # noqa: BLE001 - a source's error is its result
            return self._failed(turn, error, {})[0]
        with self._lock:
            self._versions[source.name] = version
        if seen.value is not None and not self._engine.remote:
            self._values.hold(source.name, seen.value)
        source.remember(version)
        status = Status.OBSERVED if seen.reason else Status.UNCHANGED
        turn.versions = {source.name: version}
        return turn.with_output(source, status, seen.reason or "its content is as it was")

    def _failed(self, turn: Turn, error: Exception, reasons: Mapping[str, str]) -> list[AssetResult]:
        shown = user_traceback(error)
        with self._lock:
            self._culprits.update({one.name: [one.name] for one in turn.step.assets})
        return [turn.without_output(one, Status.FAILED, reasons.get(one.name), shown) for one in turn.step.assets]

    def _reasons(self, turn: Turn, last: Mapping[str, Materialization | None]) -> dict[str, str]:
        """Why each asset of the step must run; empty if none must."""
        found: dict[str, str] = {}
        for one in turn.step.assets:
            reason = reason_to_run(
                current_of(one, turn.inputs, turn.config, self._store.key),
                last[one.name],
                functools.partial(stored_of, one),
                force=self._force,
                place="in memory" if is_in_process(one) else "on disk",
            )
            if reason is not None:
                found[one.name] = reason
        if found and len(found) < len(turn.step.assets):
            first, reason = next(iter(found.items()))
            return {name: found.get(name, f"made with {first}: {reason}") for name in turn.step.names}
        return found

    def _make(self, turn: Turn, reasons: Mapping[str, str]) -> dict[str, Materialization]:
        """Have the work done, again if it fails and may be tried again; keep and record what was made."""
        waits = turn.step.assets[0].retry.waits()
        while True:
            try:
                made = self._engine.execute(self._work(turn, reasons), turn.step.assets[0].timeout)
                break
            except Exception as error:
                wait = next(waits, None) if may_help(error) else None
                if wait is None:
                    raise
                log.info("asset failed, trying again asset=%s wait=%.1f error=%r", turn.step.name, wait, str(error))
                turn.attempts += 1
                if self._teller.over.wait(wait):
                    raise Abandoned from None
        if self._teller.over.is_set():
            raise Abandoned
        recorded = {}
        fields = {name: version.fields for name, version in turn.inputs.items()}
        for asset, one in zip(turn.step.assets, made, strict=True):
            if self._engine.remote:
                if is_in_process(asset):
                    asset.io.save(asset, one.value)
            else:
                self._values.hold(asset.name, one.value)
            recorded[asset.name] = self._store.record(replace(one.version, columns=column_lineage(asset, fields)))
        return recorded

    def _work(self, turn: Turn, reasons: Mapping[str, str]) -> Work:
        passed = self._passed[turn.step.name]
        # Another process reads stored outputs itself; what only this one can see goes along.
        apart = [name for name in passed if self._engine.remote and not is_in_process(self.graph[name])]
        for name in apart:
            if name not in self.results:
                self._values.refuse_changed(name, self._versions[name])
        config = turn.config
        return Work(
            step=turn.step.name,
            assets=turn.step.assets,
            run=turn.run,
            reasons=reasons,
            lineage=_lineage(turn.inputs),
            given={name: self._value(name) for name in passed if name not in apart},
            stored={name: self.graph[name] for name in apart},
            config=config.arguments,
            config_shown=config.shown(),
            config_version=config.version(self._store.key),
            pipeline=self._pipeline,
        )

    def _find_inputs(self, turn: Turn) -> Exception | None:
        """Find the version of each upstream asset; what is wrong is returned, not raised, so that the run can start."""
        first = turn.step.assets[0]
        upstream = list(dict.fromkeys(name for one in turn.step.assets for name in self.graph.upstream_names(one.name)))
        try:
            for needed in upstream:
                version = self._versions.get(needed) or self._latest(needed)
                if version is None:
                    return OutputMissing(
                        f"asset '{first.name}' needs '{needed}', which was never materialized; "
                        f"select it too: '+{first.name}'"
                    )
                self._versions[needed] = version
        except Exception as error:  # noqa: BLE001 - returned, and raised where the asset's errors are handled
            return error
        turn.inputs = {needed: self._versions[needed] for needed in upstream}
        return None

    def _latest(self, name: str) -> Materialization | None:
        return self._store.latest(self._namespace(self.graph[name]), name)

    def _value(self, name: str) -> Any:
        return self._values.value(name, self._versions[name], self.results)

    def _upstream_steps(self, step: Step) -> list[str]:
        needed = (self.graph[one].step for name in step.names for one in self.graph.upstream_names(name))
        return [one for one in dict.fromkeys(needed) if one in self.steps]

    def _failed_upstream(self, name: str) -> list[str]:
        """The assets whose failure is why this step cannot run."""
        needed = (one for member in self.steps[name].names for one in self.graph.upstream_names(member))
        found = (self._culprits.get(one, []) for one in needed)
        return list(dict.fromkeys(culprit for culprits in found for culprit in culprits))

    def _namespace(self, asset: Asset) -> str:
        return asset.namespace or self.parent.namespace


def current_of(asset: Asset, inputs: Mapping[str, Materialization], config: Config, key: bytes) -> Current:
    """What the asset's output would be made from now; `key` is the metadata store's."""
    return Current(
        asset.version,
        asset.code_version,
        checks_version(asset),
        {name: version.checksum for name, version in inputs.items()},
        config.shown(),
        config.version(key),
        asset.policy,
    )


def _with_sources(graph: AssetGraph, selected: Sequence[str]) -> list[str]:
    needed = {one for name in selected for one in graph.upstream_names(name) if graph[one].is_source}
    return [*selected, *needed]


def _passed(graph: AssetGraph, step: Step) -> list[str]:
    """The assets whose values a step needs, as arguments or for its checks."""
    checked = [check.needs for one in step.assets for check in one.checks if check.needs]
    passed = [] if step.assets[0].is_source else step.assets[0].passed_names(graph.assets)
    return list(dict.fromkeys([*passed, *checked]))


def _lineage(inputs: Mapping[str, Materialization]) -> dict[str, UpstreamVersion]:
    return {name: {"version": version.version, "checksum": version.checksum} for name, version in inputs.items()}
