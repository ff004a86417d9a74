"""The transport's configuration, as openlineage-python reads it: a file's mapping, or environment variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import attr
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpCompression,
    HttpConfig,
    HttpSslContextConfig,
    TokenProvider,
    create_token_provider,
)
from openlineage.client.transport.transport import Config

from emitter.outbox.wire import Address

log = logging.getLogger(__name__)

DEFAULT_PATH = Path(".headwater/outbox.db")
DEFAULT_ENDPOINT = "api/v1/lineage"
MAX_BYTES = 500 * 1024 * 1024
MAX_DAYS = 7.0
FLUSH_SECONDS = 2.0
#: camelCase, as the Java client's configuration has it, and what the environment's lower-casing makes of it.
_ALIASES = {"customheaders": "custom_headers", "sslcontext": "ssl_context"}


@attr.define
class OutboxConfig(Config):
    """What an OutboxTransport needs to know; ``url`` alone is required.

    ``endpoint``, ``auth``, ``timeout`` (seconds), ``verify``, ``compression``, ``custom_headers`` and ``ssl_context``
    are those of openlineage-python's http transport. ``path`` is the outbox's file, bounded by ``max_bytes`` and
    ``max_days``; ``flush_seconds`` is what the end of a process may take; ``wait``, seconds for which each emit waits
    for delivery, is for processes that end without warning; ``linger``, seconds to gather a batch of ``batch_events``;
    ``synchronous`` is
    ``normal``, or ``full`` to survive a loss of power too; ``redact`` masks secrets, ``redact_sql`` the string literals
    of SQL. ``problem`` says why the configuration cannot be used: lineage fails no job, so it is not raised.
    """

    url: str = ""
    endpoint: str = DEFAULT_ENDPOINT
    path: Path = DEFAULT_PATH
    auth: TokenProvider = attr.field(factory=lambda: TokenProvider({}))
    timeout: float = 5.0
    verify: bool | str = True
    compression: HttpCompression | None = None
    custom_headers: dict[str, str] = attr.field(factory=dict)
    ssl_context: HttpSslContextConfig | None = None
    max_bytes: int = MAX_BYTES
    max_days: float = MAX_DAYS
    flush_seconds: float = FLUSH_SECONDS
    wait: float = 0.0
    linger: float = 0.1
    batch_events: int = 500
    synchronous: str = "normal"
    redact: bool = True
    redact_sql: bool = False
    problem: str | None = None

    @classmethod
    def from_dict(cls, params: Mapping[str, Any]) -> OutboxConfig:
        """The configuration in a mapping; never raises: what is wrong with it is its ``problem``."""
        try:
            return cls(**_checked(dict(params)))
        except Exception as error:  # noqa: BLE001 - a token provider may raise anything; told by the transport
            told = error.args[0] if isinstance(error, KeyError) and error.args else error
            return cls(problem=str(told) or type(error).__name__)

    @classmethod
    def from_http(cls, http: HttpConfig, path: Path | None = None) -> OutboxConfig:
        """An outbox in front of what an http transport is configured for."""
        return cls(
            url=http.url,
            endpoint=http.endpoint,
            path=outbox_path(path),
            auth=http.auth,
            timeout=http.timeout,
            verify=http.verify,
            compression=http.compression,
            custom_headers=http.custom_headers,
            ssl_context=http.ssl_context,
        )

    @property
    def address(self) -> Address:
        """Where and how to send."""
        ssl = self.ssl_context
        return Address(
            url=lineage_url(self.url, self.endpoint),
            timeout=self.timeout,
            auth=self.auth,
            headers=dict(self.custom_headers),
            gzip=self.compression is HttpCompression.GZIP,
            verify=ssl.ca_cert_path if ssl and ssl.ca_cert_path else self.verify,
            cert=ssl.as_requests_cert() if ssl else None,
        )


def lineage_url(url: str, endpoint: str = DEFAULT_ENDPOINT) -> str:
    """The URL to post events to: openlineage-python joins ``url`` and ``endpoint`` in the same way."""
    return urljoin(url.strip(), endpoint)


def outbox_path(path: str | os.PathLike[str] | None) -> Path:
    """The outbox's file as an absolute path, by default ``.headwater/outbox.db`` in the working directory."""
    return Path(os.path.abspath(os.path.expanduser(path or DEFAULT_PATH)))


def environment_auth() -> TokenProvider:
    """The credentials that the environment gives: ``OPENLINEAGE_API_KEY``, or none."""
    key = os.environ.get("OPENLINEAGE_API_KEY")
    return ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({})


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    known = {field.name for field in attr.fields(OutboxConfig)} - {"problem"}
    params = {_ALIASES.get(str(name).lower(), str(name)): value for name, value in given.items()}
    unknown = sorted(set(params) - known - {"type", "name", "priority"})
    if unknown:
        log.info("outbox configuration ignored keys=%s", ",".join(unknown))
    made: dict[str, Any] = {name: value for name, value in params.items() if name in known and value is not None}
    made["url"] = _checked_url(made.get("url") or os.environ.get("OPENLINEAGE_URL") or "")
    made["path"] = outbox_path(made.get("path"))
    auth = made.get("auth")
    made["auth"] = (
        auth if isinstance(auth, TokenProvider) else create_token_provider(auth) if auth else environment_auth()
    )
    if made.get("compression"):
        made["compression"] = HttpCompression(made["compression"])
    if isinstance(made.get("ssl_context"), Mapping):
        made["ssl_context"] = HttpSslContextConfig.from_dict(dict(made["ssl_context"]))
    for name in ("timeout", "max_days", "flush_seconds", "wait", "linger"):
        if name in made:
            made[name] = _number(name, made[name], float, positive=name in ("timeout", "max_days"))
    for name in ("max_bytes", "batch_events"):
        if name in made:
            made[name] = _number(name, made[name], int, positive=True)
    for name in ("redact", "redact_sql", "verify"):
        if isinstance(made.get(name), str) and made[name].lower() in ("true", "false"):
            made[name] = made[name].lower() == "true"
    if str(made.get("synchronous", "normal")).lower() not in ("normal", "full"):
        raise ValueError(f"synchronous is {made['synchronous']!r}; it is 'normal' or 'full'")
    return made


def _checked_url(url: Any) -> str:
    text = str(url).strip()
    if not text:
        raise ValueError("there is no url; give the collector's, like http://127.0.0.1:5000")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the url {text!r} is no collector's address; write it like http://127.0.0.1:5000")
    return text


def _number(name: str, value: Any, kind: type, *, positive: bool) -> Any:
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < float("inf") or (positive and not number):
        raise ValueError(f"{name} is {value!r}; give a number {'above' if positive else 'from'} 0")
    return number
