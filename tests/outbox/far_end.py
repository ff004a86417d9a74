"""Far ends of every kind: a collector that works, one without the batch call, and all that may stand in its place."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Event = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes]


class FarEnd:
    """An HTTP server that keeps the events it accepted, in order.

    ``batch``: whether it has the batch call. ``answer(event)`` gives the status of one event; ``reply(path, body)``, if
    set, the whole answer to a request.
    """

    def __init__(self, *, batch: bool = True, port: int = 0) -> None:
        self.batch = batch
        self.events: list[Event] = []
        self.requests: list[tuple[str, dict[str, str], int]] = []  # path, headers, events
        self.answer: Callable[[Event], int] = lambda event: 201
        self.reply: Callable[[str, bytes], Reply | None] | None = None
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = outer._reply(self.path, dict(self.headers), body)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> FarEnd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def numbers(self) -> list[int]:
        """The numbers of the events that came, in order."""
        return [event["run"]["facets"]["headwater_delivery"]["sequence"] for event in self.events]

    def jobs(self) -> list[str]:
        return [event["job"]["name"] for event in self.events]

    def _reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if self.reply is not None and (made := self.reply(path, body)) is not None:
            self.requests.append((path, headers, 0))
            return made
        is_batch = path.endswith("/batch")
        if is_batch and not self.batch:
            return 404, {}, b'{"code":404,"message":"HTTP 404 Not Found"}'
        with self._lock:
            events = json.loads(body)
            events = events if is_batch else [events]
            self.requests.append((path, headers, len(events)))
            answers = [self.answer(event) for event in events]
            if not (is_batch and max(answers) >= 500):
                self.events += [event for event, status in zip(events, answers, strict=True) if status < 300]
        if not is_batch:
            return answers[0], {}, b"" if answers[0] < 300 else b'{"message": "no"}'
        if max(answers) >= 500:
            return max(answers), {}, b""
        failed = [
            {"index": index, "reason": "no", "retriable": False}
            for index, status in enumerate(answers)
            if status >= 300
        ]
        good = len(events) - len(failed)
        summary = {"received": len(events), "successful": good, "failed": len(failed)}
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps({"status": "success", "summary": summary, "failed_events": failed}).encode(),
        )


@contextlib.contextmanager
def hanging() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def resetting() -> Iterator[str]:
    """Accepts connections and resets each at once."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    stopping = threading.Event()

    def reset() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                accepted.close()

    thread = threading.Thread(target=reset, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()
        listener.close()


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until something holds; what it gave. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return found
