"""Processes of this machine: each takes one step's work after the other, and is killed when that takes too long."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from emitter.engines.threads import ThreadEngine
from emitter.errors import AssetTimeout, EngineError, WorkerDied

if TYPE_CHECKING:
    from emitter.making import Made, Work

_READY = b"ready"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


class ProcessEngine(ThreadEngine):
    """At most `jobs` steps at once, each in a process of its own.

    Processes are spawned, not forked: a fork copies locks that threads of table libraries hold, and hangs. So a script
    calls `materialize` under ``if __name__ == "__main__":``. Outputs in files are read by the process that needs them;
    what is kept in memory is sent between the processes.
    """

    remote = True

    def __init__(self, jobs: int | None = None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # A worker that imports an unguarded script comes here again. It says nothing: the parent tells.
            sys.stderr = None
            raise SystemExit(1)
        super().__init__(jobs)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._cancelled = False
        self._workers = threading.Lock()

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        self._cancelled = False
        try:
            super().run(order, upstream, turn)
        except BaseException:
            self.cancel()
            raise
        finally:
            with self._workers:
                idle, self._idle = self._idle, []
            for one in idle:
                one.stop()

    def execute(self, work: Work, timeout: float | None) -> list[Made]:
        from emitter.engines.transfer import pack, unpack
        from emitter.making import Abandoned

        payload = pack(work, main_by_name=True)
        with self._attempt() as abandoned, self._worker() as worker:
            try:
                answer = worker.ask(payload, timeout, work.step)
            except WorkerDied:
                if self._cancelled or abandoned.is_set():
                    raise Abandoned from None
                raise
        return unpack(answer)

    def cancel(self) -> None:
        super().cancel()
        with self._workers:
            self._cancelled = True
            for one in self._busy:
                one.kill()

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        """An idle worker, or a new one; one that failed is not used again."""
        with self._workers:
            one = self._idle.pop() if self._idle else None
        one = one or _Worker()
        with self._workers:
            self._busy.add(one)
        try:
            yield one
        except BaseException:
            one.kill()
            raise
        else:
            with self._workers:
                self._idle.append(one)
        finally:
            with self._workers:
                self._busy.discard(one)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        to_stderr = sys.stdout is sys.stderr  # as it is under --json
        self._process = context.Process(target=_serve, args=(theirs, to_stderr), name="headwater-worker")
        self._process.start()
        theirs.close()
        self._ready = False

    def ask(self, payload: bytes, timeout: float | None, step: str) -> bytes:
        """Have the work done. Raises AssetTimeout and WorkerDied; after either the worker is of no more use."""
        self._wait_until_ready()
        try:
            self._pipe.send_bytes(payload)
            if not self._pipe.poll(timeout):
                self.kill()
                raise AssetTimeout(
                    f"asset '{step}' took longer than its timeout of {timeout:g} s; its process was killed"
                )
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise WorkerDied(f"the process that made '{step}' died: {self._death()}") from None

    def stop(self) -> None:
        """Let it end, and kill it where it does not."""
        self._pipe.close()
        self._process.join(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it now."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _wait_until_ready(self) -> None:
        if self._ready:
            return
        try:
            if self._pipe.poll(_START_SECONDS) and self._pipe.recv_bytes() == _READY:
                self._ready = True
                return
        except (EOFError, OSError):
            pass
        raise EngineError(
            "a worker process did not start. In a script, call materialize(…) under if __name__ == '__main__': the "
            f"worker imports the script too ({self._death()})"
        )

    def _death(self) -> str:
        self._process.join(_STOP_SECONDS)
        code = self._process.exitcode
        if code is not None and code < 0:
            reason = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            return f"killed by {signal.Signals(-code).name}{reason}"
        return f"it ended with exit code {code}"


def _serve(pipe: Connection, to_stderr: bool) -> None:
    """The worker's side: take work, do it, answer, until the pipe is closed."""
    # Ctrl-C goes to every process of the terminal; the one that began the run decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if to_stderr:
        sys.stdout = sys.stderr
    from emitter.engines.transfer import do_packed

    try:
        pipe.send_bytes(_READY)
        while True:
            pipe.send_bytes(do_packed(pipe.recv_bytes()))
    except (EOFError, OSError):
        return
