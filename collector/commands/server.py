"""The collector on granian, a WSGI server: what is checked before it starts, how it says it is ready, how it stops."""

from __future__ import annotations

import ctypes
import errno
import gc
import importlib
import ipaddress
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from collector.errors import StoreError
from collector.store.engines import open_engine, upgrade, writing
from lineage.errors import HeadwaterError

if TYPE_CHECKING:
    from flask import Flask

#: Requests that wait for one group commit sit in threads, so there are many; they cost little while they wait.
THREADS = 64
#: granian holds a permit for as long as a connection is open, an idle one too: many producers keep theirs.
CONNECTIONS = 1024
#: A request is answered within a second; a worker that needs longer than this to stop hangs.
STOP_SECONDS = 5
READY_SECONDS = 30.0
_M_ARENA_MAX = -8  # malloc.h


class CannotListen(HeadwaterError):
    """The address and port cannot be listened on, or must not be."""


def run_server(
    database: str,
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    log_level: str = "warning",
    insecure: bool = False,
    announce: Callable[[str], Any] = print,
) -> None:
    """Serve the collector until SIGTERM or Ctrl-C; then requests under way are answered and this returns.

    Args:
        database: a database URL, see `collector.store.engines.open_engine`.
        host: a name or address; ``port`` 0 takes a free one.
        workers: processes.
        log_level: debug, info, warning or error.
        insecure: whether other machines may reach an address without authentication.
        announce: given one line, with the URL, once the collector answers.

    Raises:
        CannotListen: the port is taken, there is no such address, or it is not this machine's own and not ``insecure``.
        StoreError: the database cannot be used.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until granian takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    address = _checked_address(host, insecure)
    importlib.import_module("collector.app")  # before the fork, so that it is loaded once and what fails is seen here
    shown = prepare_database(database)
    port = _free_port(address, port)
    _raise_file_limit()
    server = _Server(
        "collector",  # for granian's log only: the app comes from the loader
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=THREADS,
        backpressure=CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels(log_level),
        log_access=log_level in ("debug", "info"),
        log_access_format="client=%(addr)s method=%(method)s path=%(path)r status=%(status)d ms=%(dt_ms).1f",
        log_dictconfig=_log_config(log_level),
    )
    url = f"http://{f'[{address}]' if ':' in address else address}:{port}"
    server.when_ready(
        f"{_own_address(url, address)}/health/ready",
        lambda: announce(f"Headwater collects on {url} (documentation {url}/docs, database {shown}); Ctrl-C stops it."),
    )
    server.serve(target_loader=partial(load_app, database, os.getpid()), wrap_loader=False)


def prepare_database(database: str) -> str:
    """Open the database, bring its schema up to date, see that it takes writes; returns its URL without password.

    Raises StoreError where it cannot be used.
    """
    engine = open_engine(database)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        upgrade(engine)
        with writing(engine) as connection:  # SQLite lets one begin on a file that it may only read
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except DBAPIError as error:
        # a collector that commits to it at this moment is no reason not to start
        if not any(word in str(error.orig) for word in ("locked", "lock timeout")):
            raise StoreError(f"The database {shown} cannot be written: {error.orig}") from error
    finally:
        engine.dispose()  # no connection may be open when the workers are forked
    return shown


def load_app(database: str, parent: int) -> Flask:
    """The app, in a worker process that ends when the process ``parent`` does."""
    if os.getpid() != parent:
        # Ctrl-C reaches the whole process group; only the parent may act on it, and then stop its workers in order
        os.setpgrp()
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
        ):  # the parent's handlers, which would swallow them until granian's
            signal.signal(number, lambda *_: os._exit(0))
        threading.Thread(target=_end_with_parent, name="headwater-parent-watch", daemon=True).start()
    _share_arenas()
    from collector import create_app

    app = create_app(database)
    # what is loaded by now stays; requests make tens of thousands of objects and, as a rule, no cycles among them
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    return app


def _share_arenas() -> None:
    """Let the threads share two of glibc's memory arenas: of one each, what a busy minute took is never given back."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


class _Server(Server):  # type: ignore[misc, valid-type]
    """granian's server, and a call once it answers."""

    def when_ready(self, url: str, call: Callable[[], Any]) -> None:
        """Call once ``url`` answers after the start."""
        self._ready = (url, call)

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        super().startup(spawn_target, target_loader)
        # after the fork: a thread that lived before it would be lost in the workers, with what it holds
        threading.Thread(target=self._await_ready, name="headwater-ready", daemon=True).start()

    def _await_ready(self) -> None:
        url, call = self._ready
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and not self.main_loop_interrupt.is_set():
            try:
                opener.open(url, timeout=2).close()
            except OSError:
                time.sleep(0.02)
            else:
                call()
                return
        if not self.main_loop_interrupt.is_set():
            logging.getLogger("headwater.serve").error("no answer from %s in %d s, stopping", url, READY_SECONDS)
            self.interrupt_children.append(0)  # makes it exit with 1
            self.main_loop_interrupt.set()


def _checked_address(host: str, insecure: bool) -> str:
    """The IP address of ``host``."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise CannotListen(
            f"{host!r} is no address of this machine: use 127.0.0.1, or another of its addresses."
        ) from None
    address = str(found[0][4][0])
    if not insecure and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise CannotListen(
            f"{host} can be reached from other machines, and the collector does not ask who is calling yet: anyone "
            "there could read all lineage and write false lineage. Listen on 127.0.0.1 and put a proxy with a login in "
            "front, or say --insecure if the network itself is trusted."
        )
    return address


def _free_port(address: str, port: int) -> int:
    """The port, or a free one for 0. granian shares a taken port silently (SO_REUSEPORT), so it is tried here."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotListen(
                    f"Port {port} on {address} is taken already: stop what listens there, or choose another with "
                    f"--port {port + 1 if port < 65535 else port - 1} (--port 0 takes a free one)."
                ) from None
            raise CannotListen(f"Cannot listen on {address} port {port}: {error.strerror}.") from None
        return int(probe.getsockname()[1])


def _own_address(url: str, address: str) -> str:
    """Where this machine itself reaches a server that listens on every address."""
    return (
        url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        if address in ("0.0.0.0", "::")
        else url
    )


def _raise_file_limit() -> None:
    """Each connection is an open file, and 1,024 of them is a usual limit for one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


class ThreadsAreMeant(logging.Filter):
    """granian warns of as many threads as this; see THREADS."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Python threads" not in record.getMessage()


def _log_config(log_level: str) -> dict[str, Any]:
    """granian's and the collector's log on stderr, as key=value."""
    formatter = {"format": "time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"}
    handler = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stderr",
        "formatter": "keys",
        "filters": ["threads"],
    }
    level = logging.getLevelName(log_level.upper())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"keys": formatter},
        "filters": {"threads": {"()": ThreadsAreMeant}},
        "handlers": {"stderr": handler},
        "loggers": {
            "_granian": {"handlers": ["stderr"], "level": level, "propagate": False},
            "granian.access": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        },
        "root": {"handlers": ["stderr"], "level": level},
    }
