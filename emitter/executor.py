"""The executor: gives the assets of a graph their turn, and tells what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emitter.assets import Asset
from emitter.config import parse, resolve
from emitter.emission import OUTBOX_NAME, Emission, connect
from emitter.engines import Engine, engine_for
from emitter.errors import GraphError, MaterializationFailed
from emitter.graph import DEFAULT_NAMESPACE, AssetGraph
from emitter.metadata import DEFAULT_PATH, MetadataStore
from emitter.multi import MultiAsset
from emitter.results import AssetResult, AssetStarted, MaterializeResult, Status
from emitter.runs import RunIdentity, inherited_parent, new_run_id, now
from emitter.turn import Turns

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

Assets = AssetGraph | Asset | MultiAsset | Iterable[Asset | MultiAsset]


class DefaultExecutor:
    """Materializes assets: decides what must run, runs it in dependency order, checks, stores, records and emits.

    Args:
        namespace: the job namespace of assets that declare none, and of the pipeline.
        collector: the address of an OpenLineage collector; without one events go where openlineage-python is
            configured to send them (see `emitter.emission.connect`), and nowhere if it is not.
        store: the metadata store, or its path; ``.headwater/metadata.db`` in the working directory by default.
        force: run assets even where nothing changed.
        on_event: called with each OpenLineage event before it is sent, one at a time.
        on_progress: called with an AssetStarted when an asset's turn comes and with its AssetResult when it is over,
            one at a time.
        engine: ``threads``, ``processes``, ``dask://host:port``, or an Engine; one after the other by default.
        jobs: how many assets may run at once; without an engine, in threads.
        config: values of config parameters by name, ``{"limit": 5, "orders.since": "2024-01-01"}``, or as texts
            ``["limit=5"]``; see `emitter.config`.

    Raises:
        InvalidCollector: `collector` is no address.
        GraphError: `namespace` is empty.
        EngineError: the engine is unknown, or `jobs` is no number.
        ConfigError: `config` is no mapping of keys to values.
    """

    def __init__(
        self,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        collector: str | None = None,
        store: MetadataStore | str | os.PathLike[str] | None = None,
        force: bool = False,
        on_event: Callable[[RunEvent], None] | None = None,
        on_progress: Callable[[AssetResult | AssetStarted], None] | None = None,
        engine: Engine | str | None = None,
        jobs: int | None = None,
        config: Mapping[str, Any] | Sequence[str] | None = None,
    ) -> None:
        if not isinstance(namespace, str) or not namespace.strip():
            raise GraphError(f"the namespace is {namespace!r}; give a name, such as 'default'")
        self.namespace = namespace
        self.collector = collector
        self.store = store
        self.force = force
        self.on_event = on_event
        self.on_progress = on_progress
        self.engine: Engine = engine_for(engine, jobs)
        self.config = parse(config or {})

    def materialize(
        self,
        assets: Assets,
        *,
        select: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        name: str | None = None,
    ) -> MaterializeResult:
        """Materialize a graph or what is selected of it.

        An asset that fails leaves what is made from it ``upstream_failed``; all the rest is done. Upstream assets that
        are not selected are read as they were last materialized. An interrupt ends the run with ABORT events and is
        raised again; so is what a callback raises.

        Args:
            assets: a graph, or the assets of one.
            select: see `emitter.selection`; all by default.
            exclude: what of that is left out, in the same words.
            name: the pipeline's name, the parent run's job; by default the graph's, or else the script's.

        Raises:
            GraphError, SelectionError: the assets make no graph, or the selection means nothing.
            ConfigError: config that no asset has, that is missing, or of the wrong type.
            MetadataStoreError: the store cannot be used. Nothing has run then.
        """
        graph = assets if isinstance(assets, AssetGraph) else AssetGraph(assets)  # type: ignore[arg-type]
        selected = graph.select(select, exclude)
        config = resolve(graph, self.config)
        job = _job_name(name or graph.name or _script_name(graph), graph)
        with ExitStack() as resources:
            store = self.store
            place = store.path if isinstance(store, MetadataStore) else Path(DEFAULT_PATH if store is None else store)
            emission = connect(self.collector, self.on_event, place.with_name(OUTBOX_NAME))
            resources.callback(emission.close)
            if not isinstance(store, MetadataStore):
                store = resources.enter_context(MetadataStore(DEFAULT_PATH if store is None else store))
            turns = Turns(
                graph,
                selected,
                store,
                emission,
                engine=self.engine,
                parent=RunIdentity(new_run_id(), self.namespace, job, inherited_parent()),
                config=config,
                force=self.force,
                on_progress=self.on_progress,
            )
            return self._run(turns, emission)

    def _run(self, turns: Turns, emission: Emission) -> MaterializeResult:
        began = time.monotonic()
        _tell(emission, turns, "START")
        try:
            self.engine.run(turns.order, turns.upstream, turns.take)
        except BaseException as error:
            reason = str(error) if isinstance(error, Exception) else "interrupted"
            self.engine.cancel()
            turns.abort("interrupted")
            _tell(emission, turns, "ABORT", Status.SKIPPED, reason)
            raise
        result = MaterializeResult(
            {name: turns.results[name] for name in turns.names}, turns.parent.run_id, time.monotonic() - began
        )
        _tell(emission, turns, *_ending(result))
        emission.close()
        return replace(result, events_failed=emission.failed, events_waiting=emission.waiting)


def materialize(
    assets: Assets,
    *,
    select: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
    namespace: str = DEFAULT_NAMESPACE,
    collector: str | None = None,
    store: MetadataStore | str | os.PathLike[str] | None = None,
    force: bool = False,
    name: str | None = None,
    on_event: Callable[[RunEvent], None] | None = None,
    on_progress: Callable[[AssetResult | AssetStarted], None] | None = None,
    engine: Engine | str | None = None,
    jobs: int | None = None,
    config: Mapping[str, Any] | Sequence[str] | None = None,
) -> MaterializeResult:
    """Materialize assets and return a result for each; see `DefaultExecutor` and its ``materialize``.

    A failed asset does not raise: look at ``result.succeeded``, or call ``result.raise_for_failures()``.
    """
    executor = DefaultExecutor(
        namespace=namespace,
        collector=collector,
        store=store,
        force=force,
        on_event=on_event,
        on_progress=on_progress,
        engine=engine,
        jobs=jobs,
        config=config,
    )
    return executor.materialize(assets, select=select, exclude=exclude, name=name)


def _tell(
    emission: Emission, turns: Turns, state: str, status: Status | None = None, reason: str | None = None
) -> None:
    """Emit an event of the whole materialization."""
    moment = now()

    def build() -> RunEvent:
        from emitter.events import Ending, pipeline_event

        error = MaterializationFailed(reason) if status is Status.FAILED else None
        return pipeline_event(state, moment, turns.parent, Ending(status, reason, error) if status else None)

    emission.send(build)


def _ending(result: MaterializeResult) -> tuple[str, Status, str]:
    """The parent run's last state, status and reason."""
    if failures := result.failures:
        names = ", ".join(one.name for one in failures)
        return "FAIL", Status.FAILED, f"{len(failures)} of {len(result)} assets did not succeed: {names}"
    ran = sum(one.status is Status.MATERIALIZED for one in result.values())
    status = Status.MATERIALIZED if ran else Status.UNCHANGED
    return "COMPLETE", status, f"{ran} of {len(result)} assets materialized, the rest unchanged"


def _script_name(graph: AssetGraph) -> str:
    """What a graph without a name is called: the module of its first asset, or the script's file."""
    module = getattr(next(iter(graph)).function, "__module__", None)
    if module and module != "__main__":
        return module.rpartition(".")[2]
    main = sys.modules.get("__main__")
    if (spec := getattr(main, "__spec__", None)) is not None:  # python -m package.module
        return str(spec.name).removesuffix(".__main__").rpartition(".")[2]
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "pipeline"


def _job_name(name: str, graph: AssetGraph) -> str:
    # A pipeline and an asset of one name would be one job in lineage.
    return f"{name}.pipeline" if name in graph else name
