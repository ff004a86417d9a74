"""Threads of this process: one after the other with one job, otherwise as many as there are jobs."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from emitter.engines.protocol import Engine
from emitter.errors import AssetTimeout, EngineError

if TYPE_CHECKING:
    from emitter.making import Made, Work

_Finished = SimpleQueue[tuple[str, BaseException | None]]


class ThreadEngine(Engine):
    """At most `jobs` steps at once, each in a thread; with one job, one after the other in the caller's thread.

    A thread cannot be stopped: what takes longer than its timeout, or is cancelled, runs on until it ends by itself,
    and stores nothing then.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = checked_jobs(jobs)
        self._live: set[threading.Event] = set()
        self._lock = threading.Lock()

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        if self.jobs == 1 or len(order) < 2:
            super().run(order, upstream, turn)
            return
        tasks: SimpleQueue[str | None] = SimpleQueue()
        finished: _Finished = SimpleQueue()
        threads = [
            # Daemons: one that cannot be stopped must not keep the process from its end.
            threading.Thread(target=_serve, args=(tasks, finished, turn), name=f"headwater-{number}", daemon=True)
            for number in range(min(self.jobs, len(order)))
        ]
        for one in threads:
            one.start()
        try:
            _hand_out(order, upstream, tasks, finished, len(threads))
        except BaseException:
            self.cancel()
            raise
        finally:
            for _ in threads:
                tasks.put(None)
        for one in threads:
            one.join()

    def execute(self, work: Work, timeout: float | None) -> list[Made]:
        with self._attempt() as abandoned:
            return work.do(abandoned.is_set) if timeout is None else _within(work, timeout, abandoned)

    def cancel(self) -> None:
        with self._lock:
            for one in self._live:
                one.set()

    @contextmanager
    def _attempt(self) -> Iterator[threading.Event]:
        abandoned = threading.Event()
        with self._lock:
            self._live.add(abandoned)
        try:
            yield abandoned
        except BaseException:
            abandoned.set()
            raise
        finally:
            with self._lock:
                self._live.discard(abandoned)


def checked_jobs(jobs: int | None) -> int:
    """A number of jobs; as many as there are processors for None."""
    if jobs is None:
        return os.cpu_count() or 1
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise EngineError(f"jobs is {jobs!r}; give the number of assets to run at once, such as 4")
    return jobs


def _serve(tasks: SimpleQueue[str | None], finished: _Finished, turn: Callable[[str], object]) -> None:
    while (name := tasks.get()) is not None:
        try:
            turn(name)
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            finished.put((name, error))
        else:
            finished.put((name, None))


def _hand_out(
    order: Sequence[str],
    upstream: Mapping[str, Collection[str]],
    tasks: SimpleQueue[str | None],
    finished: _Finished,
    free: int,
) -> None:
    """Give each step to a thread once its upstream is done and a thread is free, the first in the order first."""
    position = {name: index for index, name in enumerate(order)}
    missing = {name: len(set(upstream[name])) for name in order}
    downstream: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        for needed in set(upstream[name]):
            downstream[needed].append(name)
    ready = [position[name] for name in order if not missing[name]]
    for _ in order:
        while ready and free:
            tasks.put(order[heapq.heappop(ready)])
            free -= 1
        name, error = finished.get()
        if error is not None:
            raise error
        free += 1
        for one in downstream[name]:
            missing[one] -= 1
            if not missing[one]:
                heapq.heappush(ready, position[one])


def _within(work: Work, timeout: float, abandoned: threading.Event) -> list[Made]:
    """Do the work in a thread of its own, and wait for it no longer than `timeout` seconds."""
    outcome: SimpleQueue[list[Made] | BaseException] = SimpleQueue()

    def do() -> None:
        try:
            outcome.put(work.do(abandoned.is_set))
        except BaseException as error:  # noqa: BLE001 - it is raised in the waiting thread
            outcome.put(error)

    thread = threading.Thread(target=do, name=f"headwater-{work.step}", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise AssetTimeout(
            f"asset '{work.step}' took longer than its timeout of {timeout:g} s. Its thread cannot be stopped and runs "
            "on, storing nothing; with --engine processes it is killed"
        )
    found = outcome.get()
    if isinstance(found, BaseException):
        raise found
    return found
