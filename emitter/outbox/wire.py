"""The HTTP side: one request at a time to one collector, with openlineage-python's own ways to authenticate."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - what a thread would import later could hold its lock across a fork
import gzip
import netrc  # noqa: F401 - the same
import os
import re
import time
import weakref
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import requests
from openlineage.client.transport.http import TokenProvider
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from emitter.outbox.backoff import asked_pause
from emitter.outbox.verdict import Answer

_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Address:
    """Where events go and how: the URL of the single call, seconds to wait for an answer, credentials, TLS."""

    url: str
    timeout: float = 5.0
    auth: TokenProvider = field(default_factory=lambda: TokenProvider({}))
    headers: dict[str, str] = field(default_factory=dict)
    gzip: bool = False
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None

    @property
    def batch_url(self) -> str:
        """The URL of the batch call."""
        return self.url.rstrip("/") + "/batch"


class Unreachable(Exception):
    """No usable answer came: refused, reset, no such host, no answer in time. ``slow``: it took its time."""

    def __init__(self, message: str, slow: bool) -> None:
        super().__init__(message)
        self.slow = slow


class Wire:
    """Requests to one collector over a connection that is kept. For one thread at a time."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: requests.Session | None = None

    def post(self, url: str, body: bytes) -> Answer:
        """Post JSON. Raises Unreachable."""
        began = time.monotonic()
        slow_after = min(0.5, self.address.timeout / 2)
        try:
            return self._post(url, body, began + 2 * self.address.timeout)
        except Exception as error:
            self.close()
            raise Unreachable(_told(error), time.monotonic() - began > slow_after) from error

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def abandon(self) -> None:
        """In a forked child: forget the parent's connection without a word on it."""
        self._session = None

    def _post(self, url: str, body: bytes, deadline: float) -> Answer:
        headers = {"Content-Type": "application/json", **self.address.headers}
        bearer = self.address.auth.get_bearer()
        if bearer:
            headers["Authorization"] = bearer
        if self.address.gzip:
            body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=3), "gzip"
        response = self._opened().post(
            url,
            data=body,
            headers=headers,
            timeout=self.address.timeout,
            verify=self.address.verify,
            cert=self.address.cert,
            allow_redirects=False,  # a redirected POST becomes a GET
            stream=True,
            auth=_as_given if bearer else None,  # else a .netrc would replace the bearer
        )
        with closing(response):
            parts: list[bytes] = []
            size = 0
            for part in response.iter_content(65_536):
                parts.append(part)
                size += len(part)
                if size > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise TimeoutError("the answer does not end")
        headers_in = response.headers
        return Answer(
            response.status_code,
            b"".join(parts),
            headers_in.get("Content-Type", ""),
            asked_pause(headers_in.get("Retry-After")),
            headers_in.get("Location"),
        )

    def _opened(self) -> requests.Session:
        if self._session is None:
            self._session = requests.Session()
            for prefix in ("http://", "https://"):
                self._session.mount(prefix, _Adapter(max_retries=0, pool_connections=1, pool_maxsize=1))
        return self._session


def without_credentials(url: str) -> str:
    """``url`` without a user and password in it: what may be kept and shown."""
    return re.sub(r"://[^/?#]*@", "://", url)


def close_inherited_sockets() -> None:
    """In a forked child: close its copies of the parent's sockets, saying nothing on them (no TLS farewell)."""
    for connection in list(_connections):
        sock = getattr(connection, "sock", None)
        if sock is not None:
            try:
                os.close(sock.detach())
            except OSError:
                continue
    _connections.clear()


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _HttpConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _connections.add(self)


class _HttpsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _connections.add(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _Adapter(HTTPAdapter):
    """An adapter whose sockets are known, so that a forked child can close its copies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager


def _told(error: BaseException) -> str:
    """The system's own words: HTTP libraries wrap them several layers deep."""
    if "Timeout" in type(error).__name__:
        return "no answer in time"
    seen = error
    while inner := seen.__cause__ or seen.__context__:
        seen = inner
    told = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return str(told)[:300].lower() if isinstance(seen, ConnectionError) else str(told)[:300]
