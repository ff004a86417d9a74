"""From an OpenLineage event to its JSON values, with secrets masked on the way. Pure.

The values are those that ``openlineage.client.serde.Serde`` gives. openlineage-python marks what a redactor must leave
alone (``RedactMixin.skip_redact``) and has no redactor of its own; this is one. Masked are strings whose name says that
they are secret (``password``, ``api_key``, …; an environment variable by its name), passwords in URLs, and
``password=…`` in connection strings. A dataset's namespace loses a URL's user and password altogether, so that two
users of one database meet in one node.
"""

from __future__ import annotations

import datetime
import re
import uuid
from enum import Enum
from functools import cache
from typing import Any

import attr

MASK = "***"
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|pwd$|secret|token$|api_?key|access_?key|private_?key|credential|authorization"
    r"|connection_?string|keyfile",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^\s/?#:@'\"]*):([^\s/?#'\"]+)@")
_URL_USER = re.compile(r"(://)[^\s/?#'\"]+@")
_NAMED_VALUE = re.compile(
    r"(?i)\b((?:password|passwd|pwd|secret|(?:access_|auth_)?token|api_?key|(?:secret_)?access_?key)"
    r"(?:=|\s*=\s*(?=['\"])))('[^']*'|\"[^\"]*\"|[^\s;,&'\"()]+(?=[\s;,&'\"]|$))"
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{12,}")
_SQL_LITERAL = re.compile(r"'(?:[^']|'')*'")


def to_document(event: Any, *, redact: bool = True, redact_sql: bool = False) -> dict[str, Any]:
    """The event as JSON values.

    ``redact_sql`` also masks the string literals of ``sql`` facets.
    """
    document: dict[str, Any] = (_redacted if redact else _plain)(event)
    if redact_sql:
        job = document.get("job") or {}
        sql = (job.get("facets") or {}).get("sql")
        if isinstance(sql, dict) and isinstance(sql.get("query"), str):
            sql["query"] = _SQL_LITERAL.sub(f"'{MASK}'", sql["query"])
    return document


def mask_text(text: str) -> str:
    """``text`` without the passwords in it that give themselves away."""
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    if "=" in text:
        text = _NAMED_VALUE.sub(rf"\1{MASK}", text)
    if "earer " in text:
        text = _BEARER.sub(rf"\1{MASK}", text)
    return text


def without_user(namespace: str) -> str:
    """A dataset's namespace without the user and password of its URL."""
    return _URL_USER.sub(r"\1", namespace) if "@" in namespace else namespace


@cache
def is_secret_name(name: str) -> bool:
    """Whether a value of this name is one to hide."""
    return _SECRET_NAME.search(name) is not None


@cache
def _fields(kind: Any) -> tuple[str, ...] | None:
    """Names of the attributes of an attrs class, None for any other."""
    return tuple(field.name for field in attr.fields(kind)) if attr.has(kind) else None


def _items(value: Any) -> tuple[tuple[str, Any], ...] | None:
    """The members of an object of JSON: an attrs instance, or a dictionary."""
    if isinstance(value, dict):
        return tuple(value.items())
    names = _fields(type(value))  # type: ignore[arg-type]
    return None if names is None else tuple((name, getattr(value, name)) for name in names)


def _plain(value: Any) -> Any:
    members = _items(value)
    if members is not None:
        return {name: _plain(one) for name, one in members if one is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [made for one in value if one is not None and (made := _plain(one)) != {}]
    return _scalar(value)


def _redacted(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return mask_text(value)
    members = _items(value)
    if members is not None:
        return _redacted_members(value, members)
    if isinstance(value, list | tuple | set | frozenset):
        return [made for one in value if one is not None and (made := _redacted(one)) != {}]
    return _scalar(value)


def _redacted_members(owner: Any, members: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    kept: Any = getattr(owner, "skip_redact", None) or ()
    made: dict[str, Any] = {}
    for name, value in members:
        if value is None:
            continue
        if not isinstance(value, str) or isinstance(value, Enum):
            made[name] = _redacted(value)
        elif name == "namespace":
            made[name] = without_user(value)
        elif name in kept:
            made[name] = mask_text(value) if "://" in value else value
        elif isinstance(name, str) and is_secret_name(name):
            made[name] = MASK
        else:
            made[name] = mask_text(value)
    # an environment variable, a tag or a parameter: the secret's name stands beside it
    label = made.get("name", made.get("key"))
    if isinstance(label, str) and isinstance(made.get("value"), str) and is_secret_name(label):
        made["value"] = MASK
    return made


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    return f"<<non-serializable: {type(value).__qualname__}>>"
