"""Engines: what runs the assets. One interface for threads, processes and a Dask cluster."""

from __future__ import annotations

from emitter.engines.protocol import Engine
from emitter.engines.threads import ThreadEngine
from emitter.errors import EngineError, did_you_mean

__all__ = ["Engine", "ThreadEngine", "engine_for"]

_NAMES = ("threads", "processes")


def engine_for(engine: Engine | str | None, jobs: int | None = None) -> Engine:
    """The engine that is meant: itself, ``threads``, ``processes`` or ``dask://host:port``.

    None is one asset after the other, or threads where `jobs` is given. Raises EngineError for another name.
    """
    if engine is None:
        return ThreadEngine(1 if jobs is None else jobs)
    if not isinstance(engine, str):
        return engine
    if engine == "threads":
        return ThreadEngine(jobs)
    if engine == "processes":
        from emitter.engines.processes import ProcessEngine

        return ProcessEngine(jobs)
    if engine.startswith("dask:") or "://" in engine:
        from emitter.engines.dask import DaskEngine

        return DaskEngine(engine, jobs=jobs)
    hint = did_you_mean(engine, _NAMES) or "; it is 'threads', 'processes' or 'dask://host:port'"
    raise EngineError(f"no engine is called {engine!r}{hint}")
