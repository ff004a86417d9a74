"""The peer: the collector's server stack that does nothing but append each raw body, durably, to one table.

Granian, WSGI, one worker, the same handler threads. A handler puts its body into a queue and waits; one writer commits
everything that waits in one transaction (SQLite: WAL, `synchronous=FULL`) and only then is each answered 2xx. What a
collector does beyond this (decode, check, merge, index) is what its ratio to this server measures, so nothing here is
slower than it must be. `--front flask` routes through Flask; `--front wsgi` answers in front of it, which shows what
Flask's routing costs.

    python -m benchmarks.raw_append --db sqlite:////tmp/raw.db --port 5001
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import click
import flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

URL_VARIABLE = "HEADWATER_BENCHMARK_RAW_DB"
FRONT_VARIABLE = "HEADWATER_BENCHMARK_RAW_FRONT"
BLOCKING_THREADS = 64  # as `headwater serve` has
SUMMARY = b'{"status":"success","summary":{"received":1,"successful":1,"failed":0}}'


class Table(Protocol):
    """One table of raw bodies; `append` returns when all of them are durable."""

    def append(self, bodies: Sequence[bytes]) -> None: ...


class SqliteTable:
    """Opened and used by the writer's thread alone."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def append(self, bodies: Sequence[bytes]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO event (body) VALUES (?)", [(body,) for body in bodies])
        self._database.execute("COMMIT")


def open_table(url: str) -> Table:
    """The table behind a database URL. Raises click.BadParameter for an engine that has no peer yet."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite":
        raise click.BadParameter(f"no raw append for {url}: only sqlite:///path has one so far")
    return SqliteTable(path)


class Appender:
    """Group commit: `append` returns when the body is on disk."""

    def __init__(self, open_the_table: Callable[[], Table]) -> None:
        self._open_table = open_the_table
        self._waiting: deque[tuple[bytes, LockType]] = deque()
        self._work = allocate_lock()  # held while there is nothing to write
        self._work.acquire()
        self._failure: BaseException | None = None
        threading.Thread(target=self._write, name="appender", daemon=True).start()

    def append(self, body: bytes) -> None:
        done = allocate_lock()  # a bare lock wakes quicker than threading.Event
        done.acquire()
        self._waiting.append((body, done))
        if self._work.locked():
            with contextlib.suppress(RuntimeError):  # another handler was first to wake the writer
                self._work.release()
        done.acquire()
        if self._failure is not None:
            raise RuntimeError("the writer has stopped") from self._failure

    def _write(self) -> None:
        table = self._open_table()
        waiting = self._waiting
        while True:
            self._work.acquire()
            taken = [waiting.popleft() for _ in range(len(waiting))]
            if not taken:
                continue
            try:
                table.append([body for body, _ in taken])
            except BaseException as error:
                self._failure = error
                raise
            finally:
                for _, done in taken:
                    done.release()


def flask_front(appender: Appender) -> flask.Flask:
    """The two routes of OpenLineage as Flask views; a batch is one body."""
    app = flask.Flask("raw_append")

    @app.post("/api/v1/lineage")
    def single() -> flask.Response:
        appender.append(flask.request.get_data(cache=False))
        return flask.Response(status=201)

    @app.post("/api/v1/lineage/batch")
    def several() -> flask.Response:
        appender.append(flask.request.get_data(cache=False))
        return flask.Response(SUMMARY, status=200, mimetype="application/json")

    @app.get("/health/ready")
    def ready() -> flask.Response:
        return flask.Response(status=200)

    return app


def wsgi_front(appender: Appender) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """The same routes without Flask."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path != "/health/ready":
            appender.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        if path == "/api/v1/lineage":
            start_response("201 CREATED", [("Content-Length", "0")])
            return (b"",)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(SUMMARY)))])
        return (SUMMARY,)

    return app


def load() -> Any:
    """What granian's worker process calls to get its application."""
    appender = Appender(lambda: open_table(os.environ[URL_VARIABLE]))
    return flask_front(appender) if os.environ[FRONT_VARIABLE] == "flask" else wsgi_front(appender)


@click.command()
@click.option("--db", required=True, help="Where to append: sqlite:///path.")
@click.option("--port", type=int, required=True)
@click.option("--threads", type=int, default=BLOCKING_THREADS, show_default=True, help="Handler threads.")
@click.option("--front", type=click.Choice(["flask", "wsgi"]), default="flask", show_default=True)
def main(db: str, port: int, threads: int, front: str) -> None:
    """Serve the raw append until SIGTERM."""
    open_table(db)  # a wrong URL is refused here, not in the worker
    os.environ[URL_VARIABLE], os.environ[FRONT_VARIABLE] = db, front
    Granian(
        "benchmarks.raw_append",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=threads,
        log_level=LogLevels.error,
    ).serve(target_loader=load, wrap_loader=False)


if __name__ == "__main__":
    main()
