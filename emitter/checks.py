"""Checks: what must hold of an asset's output.

A check is a function of the value with a name. It runs after the asset's function and before the output is stored. A
failed check of severity ``error`` (the default) fails the asset: a blocking one (the default) before anything is
stored, so that the last good output stays; one that is not blocking lets the output be stored and the downstream run,
and the materialization as a whole does not succeed. Severity ``warn`` only reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from emitter.columns import Columns, UnknownColumn
from emitter.errors import InvalidCheck
from emitter.fingerprint import fingerprint

SEVERITIES = ("error", "warn")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What looking at the value gave: whether it holds, what was found, and a sentence on what is wrong."""

    success: bool
    actual: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a check found.

    `expected` and `actual` are texts, as OpenLineage's dataQualityAssertions facet has them; `message` says what is
    wrong, and is None where the check holds.
    """

    name: str
    assertion: str
    success: bool
    severity: str = "error"
    blocking: bool = True
    column: str | None = None
    expected: str | None = None
    actual: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule for an asset's output; `look` gives the outcome of looking at a value.

    A check that `needs` another asset is given that one's value too. One that is `timed` may cease to hold although
    nothing changed, so it is also looked at when the asset does not run.
    """

    name: str
    assertion: str
    look: Callable[..., Outcome] = field(repr=False)
    severity: str = "error"
    blocking: bool = True
    column: str | None = None
    expected: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None
    timed: bool = False

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise InvalidCheck(f"check {self.name} has the severity {self.severity!r}; it must be 'error' or 'warn'")

    def run(self, value: Any, needed: Mapping[str, Any] | None = None) -> CheckResult:
        """Look at a value. A check that cannot be carried out (no such column, …) has failed, and says why.

        `needed` has the value of the asset that the check needs, by name.
        """
        try:
            outcome = self.look(value) if self.needs is None else self.look(value, (needed or {})[self.needs])
        except UnknownColumn as error:
            outcome = Outcome(False, message=str(error))
        except Exception as error:  # noqa: BLE001 - whatever the check's author raises is the check's outcome
            outcome = Outcome(False, message=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return CheckResult(
            name=self.name,
            assertion=self.assertion,
            success=outcome.success,
            severity=self.severity,
            blocking=self.blocking,
            column=self.column,
            expected=self.expected,
            actual=outcome.actual,
            message=None if outcome.success else outcome.message or "it does not hold",
        )

    def definition(self) -> str:
        """A text that changes when the check does; a changed check is a reason to run the asset again."""
        code = fingerprint(self.params["function"]) if self.assertion == "function" else ""
        return f"{self.assertion} {self.name} {self.column} {self.expected} {self.severity} {self.blocking} {code}"


def not_null(column: str, *, severity: str = "error", blocking: bool = True) -> Check:
    """No value of the column is missing (None, or NaN in pandas)."""

    def look(value: Any) -> Outcome:
        nulls = Columns(value).null_count(column)
        return Outcome(nulls == 0, f"{nulls} missing", f"{_values(nulls)} of '{column}' missing")

    return _column_check("not_null", column, look, "0 missing", {}, severity, blocking)


def unique(*columns: str, severity: str = "error", blocking: bool = True) -> Check:
    """No value of the column comes twice; with several columns, no combination. Missing values do not count."""
    if not columns:
        raise InvalidCheck("unique() needs at least one column: unique('id')")

    def look(value: Any) -> Outcome:
        count, example = Columns(value).duplicates(columns)
        return Outcome(
            count == 0,
            f"{count} duplicated",
            f"{_values(count)} of {_quoted(columns)} more than once, such as {example}",
        )

    check = _column_check("unique", columns[0], look, "0 duplicated", {"columns": list(columns)}, severity, blocking)
    if len(columns) == 1:
        return check
    return Check(
        name=f"unique({', '.join(columns)})",
        assertion="unique",
        look=look,
        severity=severity,
        blocking=blocking,
        expected="0 duplicated",
        params={"columns": list(columns)},
    )


def between(column: str, low: Any = None, high: Any = None, *, severity: str = "error", blocking: bool = True) -> Check:
    """Every value of the column is at least `low` and at most `high`; missing values do not count."""
    if low is None and high is None:
        raise InvalidCheck(f"between('{column}') needs a lower or an upper bound: between('{column}', 0, 100)")
    expected = f"at most {high}" if low is None else f"at least {low}" if high is None else f"{low} to {high}"

    def look(value: Any) -> Outcome:
        count, example = Columns(value).outside(column, low, high)
        return Outcome(
            count == 0, f"{count} outside", f"{_values(count)} of '{column}' not {expected}, such as {example}"
        )

    return _column_check("between", column, look, expected, {"low": low, "high": high}, severity, blocking)


def accepted_values(column: str, values: Iterable[Any], *, severity: str = "error", blocking: bool = True) -> Check:
    """Every value of the column is one of these; missing values do not count."""
    if isinstance(values, str | bytes):
        raise InvalidCheck(f"accepted_values('{column}') needs a list of values, not {values!r}")
    accepted = list(values)

    def look(value: Any) -> Outcome:
        count, example = Columns(value).not_among(column, accepted)
        return Outcome(
            count == 0, f"{count} others", f"{_values(count)} of '{column}' none of {accepted}, such as {example}"
        )

    return _column_check(
        "accepted_values", column, look, f"one of {accepted}", {"values": accepted}, severity, blocking
    )


def matches(column: str, pattern: str, *, severity: str = "error", blocking: bool = True) -> Check:
    """Every value of the column is a text that matches the regular expression as a whole; missing ones do not count."""
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InvalidCheck(f"matches('{column}', {pattern!r}) has no regular expression: {error}") from error

    def look(value: Any) -> Outcome:
        count, example = Columns(value).not_matching(column, compiled)
        return Outcome(
            count == 0, f"{count} others", f"{_values(count)} of '{column}' not like {pattern}, such as {example}"
        )

    return _column_check("matches", column, look, f"like {pattern}", {"pattern": pattern}, severity, blocking)


def row_count(minimum: int = 1, maximum: int | None = None, *, severity: str = "error", blocking: bool = True) -> Check:
    """There are at least `minimum` rows and at most `maximum`; by default, at least one."""
    if maximum is not None and maximum < minimum:
        raise InvalidCheck(f"row_count({minimum}, {maximum}) can never hold: the maximum is below the minimum")
    expected = f"at least {minimum} rows" if maximum is None else f"{minimum} to {maximum} rows"

    def look(value: Any) -> Outcome:
        rows = Columns(value).rows
        holds = rows >= minimum and (maximum is None or rows <= maximum)
        return Outcome(holds, f"{rows} rows", f"there are {rows} rows, not {expected}")

    return Check(
        name="row_count",
        assertion="row_count",
        look=look,
        severity=severity,
        blocking=blocking,
        expected=expected,
        params={"minimum": minimum, "maximum": maximum},
    )


@overload
def check(function: Callable[[Any], Any], /) -> Check: ...
@overload
def check(
    function: Callable[[Any], Any], /, *, name: str | None = None, severity: str = "error", blocking: bool = True
) -> Check: ...
@overload
def check(
    *, name: str | None = None, severity: str = "error", blocking: bool = True
) -> Callable[[Callable[[Any], Any]], Check]: ...
def check(
    function: Callable[[Any], Any] | None = None,
    /,
    *,
    name: str | None = None,
    severity: str = "error",
    blocking: bool = True,
) -> Check | Callable[[Callable[[Any], Any]], Check]:
    """Make a check of any function of the value; also a decorator, ``@check`` or ``@check(severity="warn")``.

    The function returns True or False, or a pair of that and a message; a failed ``assert`` in it counts as False.
    """
    if function is None:
        return lambda function: check(function, name=name, severity=severity, blocking=blocking)
    called = name or str(getattr(function, "__name__", type(function).__name__))

    def look(value: Any) -> Outcome:
        try:
            found = function(value)
        except AssertionError as error:
            return Outcome(False, message=str(error) or "an assertion in it failed")
        return _outcome(found, called)

    return Check(
        name=called,
        assertion="function",
        look=look,
        severity=severity,
        blocking=blocking,
        params={"function": function},
    )


def as_check(given: Any) -> Check:
    """The check itself, or a check made of a function or a pandera schema. Raises InvalidCheck for anything else."""
    if isinstance(given, Check):
        return given
    from emitter.relations import foreign_key, freshness, is_pandera, pandera_schema

    makers = (not_null, unique, between, accepted_values, matches, row_count, check, foreign_key, freshness)
    if is_pandera(given):
        return pandera_schema(given)
    if any(given is maker for maker in makers):
        raise InvalidCheck(f"{given.__name__} is not called; write {given.__name__}(…) in checks=[…]")
    if callable(given):
        return check(given)
    raise InvalidCheck(f"{given!r} is no check; give not_null('id'), unique('id'), …, or a function of the value")


def _outcome(found: Any, name: str) -> Outcome:
    message: str | None = None
    if isinstance(found, tuple) and len(found) == 2:
        found, message = found[0], str(found[1])
    if isinstance(found, bool) or type(found).__name__ in ("bool", "bool_"):  # numpy's, without importing numpy
        return Outcome(bool(found), message=message)
    raise InvalidCheck(
        f"check {name} returned {type(found).__name__}; return one True or False (a column of them: .all())"
    )


def _column_check(
    assertion: str,
    column: str,
    look: Callable[[Any], Outcome],
    expected: str,
    params: Mapping[str, Any],
    severity: str,
    blocking: bool,
) -> Check:
    if not isinstance(column, str) or not column:
        raise InvalidCheck(f"{assertion}({column!r}) needs the name of a column: {assertion}('id')")
    return Check(
        name=f"{assertion}({column})",
        assertion=assertion,
        look=look,
        severity=severity,
        blocking=blocking,
        column=column,
        expected=expected,
        params=params,
    )


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f"'{column}'" for column in columns)
