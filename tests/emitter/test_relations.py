"""Checks of patterns, of other assets, of age, and by pandera."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pandera.pandas as pa_schema
import pandera.polars as pl_schema
import polars as pl
import pyarrow as pa
import pytest

from emitter import (
    JSONIO,
    PickleIO,
    asset,
    foreign_key,
    freshness,
    matches,
    materialize,
    pandera_schema,
    source_asset,
)
from emitter.errors import InvalidCheck
from tests.emitter.conftest import Events
from tests.emitter.refusals import refused

NOW = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[dt.datetime]:
    moments = [NOW]
    monkeypatch.setattr("emitter.relations._now", lambda: moments[-1])
    return moments


def tables(**columns: list[Any]) -> list[Any]:
    """The same table in every library and as a list of dicts."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), rows]


def test_matches_looks_at_the_whole_text() -> None:
    for table in tables(code=["AB1", "CD2", None]):
        assert matches("code", r"[A-Z]{2}\d").run(table).success
    for table in tables(code=["AB1", "CD22", "CD22", "x"]):
        result = matches("code", r"[A-Z]{2}\d").run(table)
        assert (result.success, result.actual) == (False, "3 others")
        assert result.message == r"3 values of 'code' not like [A-Z]{2}\d, such as 'CD22'"
        assert matches("code", r"(?!AB).*").run(table).actual == "1 others"  # Arrow's own engine cannot look ahead


def test_matches_of_what_is_no_text_is_told() -> None:
    for table in tables(code=[1, 2]):
        assert "the column 'code' holds int, not texts: 1" in (matches("code", "x").run(table).message or "")
    with refused(InvalidCheck, "matches('code', '(') has no regular expression: missing )"):
        matches("code", "(")


@asset
def customers() -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2]})


def orders(ids: list[Any], **declared: Any) -> Any:
    @asset(checks=[foreign_key("customer", customers, "id", **declared)])
    def orders() -> list[dict[str, Any]]:
        return [{"customer": one} for one in ids]

    return orders


def test_a_foreign_key_is_in_the_other_asset_which_is_upstream_of_it() -> None:
    good = orders([1, 2, 2, None])
    assert good.deps == ("customers",)
    results = materialize([good, customers])
    assert results.succeeded and list(results) == ["customers", "orders"]
    result = materialize([orders([1, 3, 3]), customers])["orders"]
    assert "foreign_key(customer → customers.id): 2 values of 'customer' not one of customers.id, such as 3" in str(
        result.error
    )
    assert materialize([orders([9], severity="warn"), customers]).succeeded


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_foreign_key_is_checked_where_the_work_is_done(engine: str) -> None:
    stored = asset(name="customers", io=PickleIO("data"))(customers.function)
    assert materialize([orders([1]), stored], engine=engine, jobs=2).succeeded
    assert "such as 7" in str(materialize([orders([7]), stored], engine=engine, jobs=2)["orders"].error)


def test_a_foreign_key_of_an_argument_is_given_the_argument() -> None:
    @asset(checks=[foreign_key("id", "customers")])
    def copies(customers: pd.DataFrame) -> pd.DataFrame:
        return customers

    assert materialize([copies, customers]).succeeded


def test_mistakes_in_a_foreign_key_are_told() -> None:
    with refused(InvalidCheck, "needs a column and an asset: foreign_key('customer', 'customers', 'id')"):
        foreign_key("customer", 3)  # type: ignore[arg-type]
    wrong = asset(name="wrong", checks=[foreign_key("x", "customers", "idd")])(lambda: [{"x": 1}])
    assert "in asset 'customers' there is no column 'idd'; did you mean 'id'?" in str(
        materialize([wrong, customers])["wrong"].error
    )
    missing = asset(name="missing", checks=[foreign_key("y", "customers", "id")])(lambda: [{"x": 1}])
    assert "there is no column 'y'; the columns are x" in str(materialize([missing, customers])["missing"].error)


def test_freshness_is_of_the_newest_time(clock: list[dt.datetime]) -> None:
    hour = dt.timedelta(hours=1)
    for old, holds in ((hour, True), (25 * hour, False)):
        for table in tables(at=[NOW - 1000 * hour, NOW - old]):
            assert freshness("at", hours=24).run(table).success is holds
        for table in tables(at=[(NOW - old).replace(tzinfo=None), None]):
            assert freshness("at", days=1).run(table).success is holds
    for table in tables(at=[NOW.date(), dt.date(2020, 1, 1)]):
        assert freshness("at", max_age=13 * hour).run(table).success
        assert freshness("at", hours=11).run(table).message == "the newest of 'at' is 12:00:00 old"
    assert freshness("at", hours=1).run([{"at": None}]).message == "there is no time in 'at'"
    for table in tables(at=["2024-06-01"]):
        assert "the column 'at' holds str" in (freshness("at", hours=1).run(table).message or "")


def test_freshness_is_looked_at_although_nothing_changed(clock: list[dt.datetime], events: Events) -> None:
    @asset(io=PickleIO("data"), checks=[freshness("at", hours=24)])
    def visits() -> list[dict[str, Any]]:
        return [{"at": NOW}]

    materialize(visits).raise_for_failures()
    clock.append(NOW + dt.timedelta(hours=23))
    assert materialize(visits)["visits"].status == "unchanged"
    clock.append(NOW + dt.timedelta(hours=25))
    result = materialize(visits, on_event=events)["visits"]
    assert result.status == "failed"
    assert "the stored output of 'visits' is not as it must be: freshness(at)" in str(result.error)
    assert events.states("visits") == ["START", "FAIL"]


def test_a_source_that_grows_old_is_told(clock: list[dt.datetime], workdir: Any) -> None:
    JSONIO("in").save(asset(name="clicks")(lambda: 1), [{"at": "x"}])

    class Times(JSONIO):
        def load(self, asset: Any) -> Any:
            return [{"at": NOW}]

    clicks = source_asset("clicks", io=Times("in"), checks=[freshness("at", hours=24, blocking=False)])
    assert materialize(clicks).succeeded
    clock.append(NOW + dt.timedelta(days=2))
    results = materialize(clicks)
    assert results["clicks"].status == "unchanged" and not results.succeeded


def test_a_freshness_that_can_never_or_always_hold_is_refused() -> None:
    with refused(InvalidCheck, "freshness('at') needs one of max_age, hours and days: freshness('at', hours=24)"):
        freshness("at")
    with refused(InvalidCheck, "needs one of max_age"):
        freshness("at", hours=1, days=1)
    with refused(InvalidCheck, "has a greatest age of 0:00:00; it must be more than nothing"):
        freshness("at", hours=0)


class Orders(pa_schema.DataFrameModel):
    id: int = pa_schema.Field(unique=True)
    amount: float = pa_schema.Field(ge=0)


def test_a_pandera_schema_is_a_check() -> None:
    good, bad = pd.DataFrame({"id": [1, 2], "amount": [1.0, 0.0]}), pd.DataFrame({"id": [1, 1], "amount": [-1.0, 2.0]})
    for schema in (Orders, Orders.to_schema(), pandera_schema(Orders)):
        assert materialize(asset(name="orders", checks=[schema])(lambda: good)).succeeded
        error = materialize(asset(name="orders", checks=[schema])(lambda: bad))["orders"].error
        assert "pandera(Orders): " in str(error)
        assert "amount: greater_than_or_equal_to(0) does not hold for -1.0" in str(error)
        assert "id: field_uniqueness does not hold for 1" in str(error)
    missing = asset(name="orders", checks=[Orders])(lambda: pd.DataFrame({"id": [1]}))
    assert "column_in_dataframe does not hold for amount" in str(materialize(missing)["orders"].error)


def test_a_pandera_schema_of_polars_is_one_too() -> None:
    schema = pl_schema.DataFrameSchema({"a": pl_schema.Column(int, pl_schema.Check.gt(0))}, name="positive")
    assert pandera_schema(schema).run(pl.DataFrame({"a": [1]})).success
    result = pandera_schema(schema, severity="warn").run(pl.DataFrame({"a": [0]}))
    assert (result.success, result.severity, result.name) == (False, "warn", "pandera(positive)")
    assert "a: greater_than(0) does not hold for 0" in (result.message or "")


def test_a_changed_pandera_schema_is_a_changed_check() -> None:
    one, other = (pa_schema.DataFrameSchema({"a": pa_schema.Column(int, pa_schema.Check.gt(low))}) for low in (0, 1))
    assert pandera_schema(one).definition() != pandera_schema(other).definition()

    def own(limit: int) -> Any:
        return pa_schema.DataFrameSchema({"a": pa_schema.Column(int, pa_schema.Check(lambda column: column > limit))})

    assert pandera_schema(own(1)).definition() != pandera_schema(own(2)).definition()
    assert pandera_schema(own(1)).definition() == pandera_schema(own(1)).definition()
    with refused(InvalidCheck, "is no pandera schema; give a DataFrameSchema or a DataFrameModel"):
        pandera_schema(3)


def test_a_value_that_pandera_cannot_look_at_is_told() -> None:
    assert "check" not in (result := pandera_schema(Orders).run([1])).name and not result.success
