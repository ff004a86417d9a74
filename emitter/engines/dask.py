"""A Dask cluster: the work of each step is a task there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emitter.engines.threads import ThreadEngine
from emitter.errors import AssetTimeout, EngineError, WorkerDied

if TYPE_CHECKING:
    from distributed import Client

    from emitter.making import Made, Work

_CONNECT_SECONDS = 10
#: Larger work is put on the cluster first, as Dask asks for.
_SCATTER_BYTES = 1_000_000


class DaskEngine(ThreadEngine):
    """Steps run as tasks of a Dask cluster, at most `jobs` at once: by default as many as its workers have threads.

    The workers need headwater and what the pipeline imports. Outputs in files are read and written by the workers, so
    they must see the same files; what is kept in memory comes back to this process and is sent to who needs it. Classes
    whose values are pickled to files must be in a module that the workers can import, not in the script itself.

    Args:
        address: ``dask://host:port`` of the scheduler; or
        client: a client that is connected already; it is left open.
    """

    remote = True

    def __init__(self, address: str | None = None, *, client: Client | None = None, jobs: int | None = None) -> None:
        super().__init__(jobs or 1)
        self._limit = jobs
        self._address = _checked(address) if client is None else None
        self._given = client
        self._client: Any = None
        self._futures: set[Any] = set()
        self._guard = threading.Lock()

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        self._client = self._given or self._connect()
        try:
            threads = sum(self._client.nthreads().values())
            if not threads:
                raise EngineError(f"the Dask scheduler at {self._address} has no workers; start some: dask worker")
            self.jobs = self._limit or threads
            super().run(order, upstream, turn)
        finally:
            if self._given is None:
                self._client.close()
            self._client = None

    def execute(self, work: Work, timeout: float | None) -> list[Made]:
        from distributed import CancelledError, KilledWorker

        from emitter.engines.transfer import do_packed, pack, unpack
        from emitter.making import Abandoned

        payload: Any = pack(work)
        if len(payload) > _SCATTER_BYTES:
            payload = self._client.scatter(payload, hash=False)
        with self._attempt() as abandoned:
            future = self._client.submit(do_packed, payload, key=f"{work.step}-{work.run.run_id}", pure=False)
            with self._guard:
                self._futures.add(future)
            try:
                answer = future.result(timeout)
            except TimeoutError:
                future.cancel()
                raise AssetTimeout(
                    f"asset '{work.step}' took longer than its timeout of {timeout:g} s; what the Dask worker has "
                    "begun of it cannot be stopped"
                ) from None
            except KilledWorker as error:
                raise WorkerDied(f"the Dask worker that made '{work.step}' died: {error}") from error
            except (CancelledError, AttributeError) as error:
                if abandoned.is_set() or self._client is None:
                    raise Abandoned from None
                raise WorkerDied(f"the Dask cluster lost the work on '{work.step}': {error}") from error
            except ImportError as error:
                raise EngineError(
                    f"a Dask worker cannot import what it needs: {error}; install it there too"
                ) from error
            finally:
                with self._guard:
                    self._futures.discard(future)
        return unpack(answer)

    def cancel(self) -> None:
        super().cancel()
        with self._guard:
            futures = list(self._futures)
        if futures and self._client is not None:
            self._client.cancel(futures, force=True)

    def _connect(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise EngineError("Dask is not installed: pip install 'headwater[dask]'") from error
        try:
            return Client(self._address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except OSError as error:  # TimeoutError is one
            raise EngineError(
                f"no Dask scheduler answers at {self._address}: {error}; start one: dask scheduler"
            ) from error


def _checked(address: str | None) -> str:
    """The scheduler's address as Dask has it."""
    try:
        parts = urlsplit(address or "")
        good = parts.scheme in ("dask", "tcp", "tls") and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        good = False
    if not good:
        raise EngineError(f"{address!r} is no Dask scheduler's address; write it like dask://127.0.0.1:8786")
    return f"{'tcp' if parts.scheme == 'dask' else parts.scheme}://{parts.netloc}"
