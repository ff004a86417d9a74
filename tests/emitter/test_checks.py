"""Checks, on every kind of rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from emitter import Check, CheckResult, accepted_values, between, check, not_null, row_count, unique
from emitter.errors import InvalidCheck
from tests.emitter.refusals import refused

ROWS = {
    "id": [1, 2, 2, None],
    "price": [0.5, None, 9.5, 3.0],
    "kind": ["a", "b", "c", None],
    "day": [dt.date(2024, 1, 1), dt.date(2024, 6, 1), None, dt.date(2025, 1, 1)],
}
KINDS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "records": lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
}


@pytest.fixture(params=list(KINDS))
def rows(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param](ROWS)


def said(result: CheckResult) -> tuple[bool, str | None]:
    return result.success, result.message


def test_missing_values_are_found(rows: Any) -> None:
    assert said(not_null("kind").run(rows)) == (False, "1 value of 'kind' missing")


def test_values_that_come_twice_are_found(rows: Any) -> None:
    success, message = said(unique("id").run(rows))
    assert not success and message is not None
    assert message.removesuffix(".0") == "1 value of 'id' more than once, such as 2"
    assert unique("kind").run(rows).success
    assert unique("id", "kind").run(rows).success
    assert unique("id", "kind").run(rows).column is None


def test_values_outside_are_found(rows: Any) -> None:
    assert said(between("price", 0, 5).run(rows)) == (False, "1 value of 'price' not 0 to 5, such as 9.5")
    assert between("price", 0).run(rows).success
    assert between("price", high=9.5).run(rows).success
    assert not between("price", low=1).run(rows).success
    assert between("day", dt.date(2024, 1, 1), dt.date(2025, 1, 1)).run(rows).success
    assert not between("day", high=dt.date(2024, 12, 31)).run(rows).success


def test_values_that_are_not_accepted_are_found(rows: Any) -> None:
    assert accepted_values("kind", ["a", "b", "c"]).run(rows).success
    success, message = said(accepted_values("kind", ["a", "b"]).run(rows))
    assert not success and "1 value of 'kind' none of ['a', 'b'], such as" in str(message)


def test_rows_are_counted(rows: Any) -> None:
    assert row_count().run(rows).success
    assert row_count(4, 4).run(rows).success
    assert said(row_count(5).run(rows)) == (False, "there are 4 rows, not at least 5 rows")
    assert said(row_count(0, 3).run(rows)) == (False, "there are 4 rows, not 0 to 3 rows")


def test_a_column_that_is_not_there_is_told(rows: Any) -> None:
    assert said(not_null("prise").run(rows)) == (False, "there is no column 'prise'; did you mean 'price'?")
    assert said(unique("x").run(rows)) == (False, "there is no column 'x'; the columns are id, price, kind, day")


@pytest.mark.parametrize("one", [not_null("a"), unique("a"), between("a", 0), accepted_values("a", [])])
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_rows_are_no_failure(one: Check, kind: str) -> None:
    assert one.run(KINDS[kind]({"a": []})).success


def test_categories_and_nan_are_seen_as_what_they_are() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b", "a"])})
    assert not unique("c").run(frame).success
    assert accepted_values("c", ["a", "b"]).run(frame).success
    assert not not_null("v").run(pd.DataFrame({"v": [1.0, np.nan]})).success
    assert not between("v", 0, 1).run(pl.DataFrame({"v": [float("nan")]})).success


def test_bounds_of_another_type_fail_with_the_reason() -> None:
    result = between("kind", 0, 5).run(pa.table(ROWS))
    assert not result.success and result.message is not None and "string" in result.message


def test_a_value_without_rows_fails_a_check_of_rows() -> None:
    success, message = said(not_null("a").run(42))
    assert not success and message is not None
    assert "a int has no rows to look at; return a table or a list of dicts, or check it by a function" in message


def test_any_function_is_a_check() -> None:
    def positive(value: int) -> bool:
        return value > 0

    assert check(positive).run(1) == CheckResult(name="positive", assertion="function", success=True)
    assert said(check(positive, name="above zero").run(-1)) == (False, "it does not hold")
    assert said(check(lambda value: (value > 0, f"{value} is not positive")).run(-1)) == (False, "-1 is not positive")
    assert check(lambda value: np.bool_(True)).run(1).success
    assert check(lambda frame: (frame.id > 0).all()).run(pd.DataFrame({"id": [1, 2]})).success


def test_check_is_a_decorator_too() -> None:
    @check
    def plain(value: Any) -> bool:
        return True

    @check(severity="warn", name="soft")
    def warned(value: Any) -> bool:
        return False

    assert isinstance(plain, Check) and plain.name == "plain"
    assert (warned.name, warned.severity, warned.run(1).severity) == ("soft", "warn", "warn")


def test_an_assertion_in_a_check_fails_it() -> None:
    def asserting(value: int) -> bool:
        if value <= 0:
            raise AssertionError("must be positive")  # pytest rewrites what `assert` says
        return True

    assert check(asserting).run(1).success
    assert said(check(asserting).run(-1)) == (False, "must be positive")


def test_a_check_that_raises_has_failed_with_the_error() -> None:
    assert said(check(lambda value: value["x"] > 1).run({})) == (False, "KeyError: 'x'")


@pytest.mark.parametrize("answer", [None, 1, "yes", pd.Series([True])])
def test_a_check_that_gives_no_answer_has_failed(answer: Any) -> None:
    result = check(lambda value: answer, name="odd").run(1)
    assert not result.success
    assert f"check odd returned {type(answer).__name__}; return one True or False" in str(result.message)


def test_a_result_has_what_openlineage_wants_to_know() -> None:
    result = between("price", 0, 5, severity="warn", blocking=False).run(pa.table(ROWS))
    assert result == CheckResult(
        name="between(price)",
        assertion="between",
        success=False,
        severity="warn",
        blocking=False,
        column="price",
        expected="0 to 5",
        actual="1 outside",
        message="1 value of 'price' not 0 to 5, such as 9.5",
    )


def test_a_checks_definition_changes_with_it() -> None:
    checks = [
        not_null("a"),
        not_null("b"),
        not_null("a", severity="warn"),
        not_null("a", blocking=False),
        between("a", 0, 1),
        between("a", 0, 2),
        accepted_values("a", [1]),
        accepted_values("a", [2]),
        unique("a"),
        unique("a", "b"),
        row_count(1),
        row_count(2),
        check(lambda value: value > 0),
        check(lambda value: value > 1),
    ]
    assert len({one.definition() for one in checks}) == len(checks)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: not_null("a", severity="fatal"), "has the severity 'fatal'; it must be 'error' or 'warn'"),
        (lambda: not_null(""), "not_null('') needs the name of a column"),
        (lambda: not_null(3), "not_null(3) needs the name of a column"),  # type: ignore[arg-type]
        (lambda: unique(), "unique() needs at least one column: unique('id')"),
        (lambda: between("a"), "between('a') needs a lower or an upper bound: between('a', 0, 100)"),
        (lambda: accepted_values("a", "abc"), "accepted_values('a') needs a list of values, not 'abc'"),
        (lambda: row_count(3, 2), "row_count(3, 2) can never hold: the maximum is below the minimum"),
    ],
)
def test_a_check_that_can_never_be_carried_out_is_refused(declare: Callable[[], Check], message: str) -> None:
    with refused(InvalidCheck, message):
        declare()
