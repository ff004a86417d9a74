"""Checks that look beyond the value: at another asset, at the clock, at a pandera schema."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emitter.checks import Check, Outcome
from emitter.columns import Columns, UnknownColumn
from emitter.errors import InvalidCheck
from emitter.fingerprint import fingerprint

if TYPE_CHECKING:
    from emitter.assets import Asset

_SHOWN_PROBLEMS = 5


def foreign_key(
    column: str,
    asset: str | Asset,
    to: str | None = None,
    *,
    severity: str = "error",
    blocking: bool = True,
) -> Check:
    """Every value of the column is one of another asset's column, `to`, by default of the same name.

    Missing values do not count. The asset becomes upstream of the one that is checked.
    """
    name = asset if isinstance(asset, str) else getattr(asset, "name", None)
    if not isinstance(name, str) or not name or not isinstance(column, str) or not column:
        raise InvalidCheck(
            f"foreign_key({column!r}, {asset!r}) needs a column and an asset: "
            "foreign_key('customer', 'customers', 'id')"
        )
    other = to or column
    expected = f"one of {name}.{other}"

    def look(value: Any, referred: Any) -> Outcome:
        try:
            known = Columns(referred).distinct(other)
        except UnknownColumn as error:
            raise UnknownColumn(f"in asset '{name}' {error}") from None
        count, example = Columns(value).not_in(column, known)
        values = "1 value" if count == 1 else f"{count} values"
        return Outcome(count == 0, f"{count} others", f"{values} of '{column}' not {expected}, such as {example}")

    return Check(
        name=f"foreign_key({column} → {name}.{other})",
        assertion="foreign_key",
        look=look,
        severity=severity,
        blocking=blocking,
        column=column,
        expected=expected,
        params={"asset": name, "column": other},
        needs=name,
    )


def freshness(
    column: str,
    *,
    max_age: dt.timedelta | None = None,
    hours: float | None = None,
    days: float | None = None,
    severity: str = "error",
    blocking: bool = True,
) -> Check:
    """The newest time in the column is at most so old; times without a zone are taken as UTC.

    It is also looked at when the asset is unchanged, since time alone can break it.
    """
    given = [one for one in (max_age, hours, days) if one is not None]
    if len(given) != 1:
        raise InvalidCheck(
            f"freshness('{column}') needs one of max_age, hours and days: freshness('{column}', hours=24)"
        )
    limit = max_age if max_age is not None else dt.timedelta(hours=hours or 0, days=days or 0)
    if limit <= dt.timedelta(0):
        raise InvalidCheck(f"freshness('{column}') has a greatest age of {limit}; it must be more than nothing")

    def look(value: Any) -> Outcome:
        newest = Columns(value).newest(column)
        if newest is None:
            return Outcome(False, "no time", f"there is no time in '{column}'")
        age = _now() - newest
        return Outcome(age <= limit, f"{newest.isoformat()}", f"the newest of '{column}' is {_rounded(age)} old")

    return Check(
        name=f"freshness({column})",
        assertion="freshness",
        look=look,
        severity=severity,
        blocking=blocking,
        column=column,
        expected=f"at most {limit} old",
        params={"seconds": limit.total_seconds()},
        timed=True,
    )


def pandera_schema(schema: Any, *, severity: str = "error", blocking: bool = True) -> Check:
    """The value is valid by a pandera schema or model; in ``checks=[…]`` the schema itself may stand too."""
    if not is_pandera(schema):
        raise InvalidCheck(f"{schema!r} is no pandera schema; give a DataFrameSchema or a DataFrameModel")
    made: Any = schema.to_schema() if hasattr(schema, "to_schema") else schema
    name = made.name or (schema.__name__ if isinstance(schema, type) else "pandera")

    def look(value: Any) -> Outcome:
        validate: Callable[..., Any] = made.validate
        try:
            validate(value, lazy=True)
        except Exception as error:
            failures = getattr(error, "failure_cases", None)
            if failures is None:
                raise
            problems = _problems(failures)
            more = f" and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
            return Outcome(False, f"{len(problems)} failures", "; ".join(problems[:_SHOWN_PROBLEMS]) + more)
        return Outcome(True, "0 failures")

    return Check(
        name=f"pandera({name})",
        assertion="pandera",
        look=look,
        severity=severity,
        blocking=blocking,
        expected=_described(made),
        params={"schema": name},
    )


def is_pandera(given: Any) -> bool:
    """Whether it is a schema or model of pandera's."""
    kind = given if isinstance(given, type) else type(given)
    return hasattr(given, "validate") and any(one.__module__.startswith("pandera.") for one in kind.__mro__)


def _described(schema: Any) -> str:
    """The schema in a line, which changes with any of its columns and checks."""
    parts = []
    for name, column in schema.columns.items():
        marks = [mark for mark in ("nullable", "unique", "required", "coerce") if getattr(column, mark, False)]
        parts.append(" ".join([str(name), str(column.dtype), *marks, *map(_check_text, column.checks or [])]))
    return ", ".join([*parts, *map(_check_text, schema.checks or [])])


def _check_text(check: Any) -> str:
    function = getattr(check, "_check_fn", None)
    own = inspect.isfunction(function) and not function.__module__.startswith("pandera")
    text = str(getattr(check, "error", None) or getattr(check, "name", None) or check)
    return f"{text}#{fingerprint(function)}" if own and function is not None else text


def _problems(failures: Any) -> list[str]:
    rows = failures.to_dicts() if hasattr(failures, "to_dicts") else failures.to_dict("records")
    found: dict[str, list[Any]] = {}
    for row in rows:
        column = row.get("column") or "the table"
        found.setdefault(f"{column}: {row.get('check')}", []).append(row.get("failure_case"))
    return [f"{what} does not hold for {_few(cases)}" for what, cases in found.items()]


def _few(cases: list[Any]) -> str:
    shown = ", ".join(str(one) for one in cases[:3])
    return shown if len(cases) <= 3 else f"{shown} and {len(cases) - 3} more"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _rounded(age: dt.timedelta) -> str:
    return str(dt.timedelta(seconds=round(age.total_seconds())))
