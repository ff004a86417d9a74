"""Assets by SQL, and column lineage from SQL and from declarations."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from emitter import AssetGraph, ParquetIO, asset, materialize, sql_asset
from emitter.column_lineage import WHOLE
from emitter.errors import EmitterError, InvalidAsset
from emitter.sql_lineage import lineage_of_sql
from tests.emitter.conftest import Events
from tests.emitter.refusals import refused

REVENUE = """
    -- what each customer paid
    select c.name, sum(o.amount) as total
    from orders o join customers c on o.customer = c.id
    where o.amount > 0
    group by c.name
    order by c.name
"""


@asset
def orders() -> pd.DataFrame:
    return pd.DataFrame({"customer": [1, 1, 2], "amount": [10.0, 5.0, 7.0]})


@asset
def customers() -> list[dict[str, Any]]:
    return [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]


def test_sql_is_run_over_upstream_assets_whatever_holds_them() -> None:
    revenue = sql_asset("revenue", REVENUE, returns="records")
    assert revenue.parameters == ("orders", "customers")
    results = materialize([orders, customers, revenue])
    assert results["revenue"].value == [{"name": "Ann", "total": 15.0}, {"name": "Bob", "total": 7.0}]


@pytest.mark.parametrize(
    ("returns", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("pyarrow", pa.Table)]
)
def test_it_returns_the_table_that_is_wanted(returns: str, kind: type) -> None:
    results = materialize([orders, sql_asset("copy", "from orders", returns=returns)])
    assert isinstance(results["copy"].value, kind)


def test_only_a_change_of_what_the_sql_means_is_a_change_of_code() -> None:
    def version(sql: str, **declared: Any) -> str:
        return sql_asset("x", sql, **declared).code_version

    one = version("select amount from orders")
    assert version("SELECT  amount\nFROM orders -- all of them") == one
    assert version("select amount from orders where true") != one
    assert version("select 'a' from orders") != version("select 'A' from orders")
    assert version("select amount from orders", returns="pandas") != one


def test_events_have_the_sql_and_the_column_lineage(events: Events) -> None:
    materialize([orders, customers, sql_asset("revenue", REVENUE, io=ParquetIO("data"))], on_event=events)
    ending = events.ending("revenue")
    assert ending["job"]["facets"]["sql"]["query"].startswith("-- what each customer paid")
    assert ending["job"]["facets"]["sql"]["dialect"] == "duckdb" and "sourceCode" not in ending["job"]["facets"]
    facet = ending["outputs"][0]["facets"]["columnLineage"]
    (total,) = facet["fields"]["total"]["inputFields"]
    assert (total["namespace"], total["name"], total["field"]) == ("default", "orders", "amount")
    assert (total["transformations"][0]["type"], total["transformations"][0]["subtype"]) == ("DIRECT", "AGGREGATION")
    whole = {(one["name"], one["field"], one["transformations"][0]["subtype"]) for one in facet["dataset"]}
    assert whole == {
        ("orders", "amount", "FILTER"),
        ("orders", "customer", "JOIN"),
        ("customers", "id", "JOIN"),
        ("customers", "name", "GROUP_BY"),
        ("customers", "name", "SORT"),
    }


def test_an_unchanged_asset_still_has_its_column_lineage(events: Events) -> None:
    assets = [orders, customers, sql_asset("revenue", REVENUE, io=ParquetIO("data"))]
    materialize(assets)
    materialize(assets, on_event=events)
    assert events.ending("revenue")["run"]["facets"]["headwater_materialization"]["status"] == "unchanged"
    assert "columnLineage" in events.ending("revenue")["outputs"][0]["facets"]


TABLES = {"orders": ["id", "Amount", "customer"], "customers": ["id", "name"]}


def told(sql: str, upstream: Any = None) -> dict[str, set[str]]:
    found = lineage_of_sql(sql, "duckdb", TABLES if upstream is None else upstream)
    return {
        name: {f"{one.asset}.{one.column} {one.subtype}" for one in origins}
        for name, origins in found.items()
        if name != WHOLE
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select id from orders", {"id": {"orders.id IDENTITY"}}),
        ("select ID as key from Orders", {"key": {"orders.id IDENTITY"}}),
        ("select amount from orders", {"amount": {"orders.Amount IDENTITY"}}),
        ("select amount * 2 as x, 1 as one from orders", {"x": {"orders.Amount TRANSFORMATION"}}),
        (
            "select * from customers",
            {"id": {"customers.id IDENTITY"}, "name": {"customers.name IDENTITY"}},
        ),
        (
            "with big as (select id, amount + 1 as more from orders) select max(more) as top, id from big group by id",
            {"top": {"orders.Amount AGGREGATION"}, "id": {"orders.id IDENTITY"}},
        ),
        (
            "select x.n from (select name as n from customers union all select customer from orders) x",
            {"n": {"customers.name IDENTITY", "orders.customer IDENTITY"}},
        ),
        (
            "select name, (select sum(amount) from orders o where o.customer = c.id) as spent from customers c",
            {
                "name": {"customers.name IDENTITY"},
                "spent": {"orders.Amount AGGREGATION", "orders.customer AGGREGATION", "customers.id AGGREGATION"},
            },
        ),
        ("select coalesce(name, 'none') as who from customers", {"who": {"customers.name TRANSFORMATION"}}),
        ("select 1 as one", {}),
    ],
)
def test_column_lineage_follows_the_sql(sql: str, expected: dict[str, set[str]]) -> None:
    assert told(sql) == expected


def test_what_cannot_be_followed_has_no_column_lineage() -> None:
    assert told("select * from orders", {"orders": []}) == {}
    assert told("select id from orders", {"orders": []}) == {"id": {"orders.id IDENTITY"}}
    assert told("this is no sql at all (") == {}


def test_declared_mappings_become_column_lineage(events: Events) -> None:
    @asset(columns={"total": ["orders.amount"], "who": "customers.name"})
    def revenue(orders: pd.DataFrame, customers: Any) -> list[dict[str, Any]]:
        return [{"total": 1.0, "who": "Ann"}]

    materialize([orders, customers, revenue], on_event=events)
    fields = events.ending("revenue")["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert [(one["name"], one["field"]) for one in fields["total"]["inputFields"]] == [("orders", "amount")]
    assert [(one["name"], one["field"]) for one in fields["who"]["inputFields"]] == [("customers", "name")]


def test_a_declared_mapping_of_a_column_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    revenue = asset(name="revenue", deps=["orders"], columns={"total": "orders.amuont"})(lambda: 1)
    assert materialize([orders, revenue]).succeeded
    assert "its column 'total' is made from orders.amuont, but there is no such column; did you mean 'amount'?" in (
        caplog.text
    )


def test_mistakes_in_declared_mappings_are_refused() -> None:
    def declared(columns: Any) -> AssetGraph:
        return AssetGraph([orders, asset(name="top", deps=["orders"], columns=columns)(lambda: 1)])

    with refused(InvalidAsset, "makes the column 'total' of 'order.amount', but 'order' is not upstream", "'orders'?"):
        declared({"total": ["order.amount"]})
    with refused(InvalidAsset, "makes the column 'total' of 'amount'; write the upstream asset and its column"):
        declared({"total": ["amount"]})
    with refused(InvalidAsset, "has columns=['total']; give a dict"):
        declared(["total"])


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select from where", "the SQL of asset 'x' at test_sql.py:"),
        ("select a b c\nfrom orders", "cannot be read (line 1, column "),
        ("drop table orders", "must be one SELECT, not DROP: its result is the asset"),
        ("select 1; select 2", "must be one SELECT, not 2 statements"),
        ("select * from raw.orders", "reads raw.orders; a table is an upstream asset, named without a schema"),
    ],
)
def test_sql_that_cannot_be_used_is_refused(sql: str, message: str) -> None:
    with refused(InvalidAsset, message):
        sql_asset("x", sql)


def test_other_mistakes_are_told() -> None:
    with refused(InvalidAsset, "asset 'x' at test_sql.py:", "cannot return 'panda'; did you mean 'pandas'?"):
        sql_asset("x", "select 1", returns="panda")
    number = asset(name="number")(lambda: 3)
    error = materialize([number, sql_asset("x", "select * from number")])["x"].error
    assert isinstance(error, EmitterError) and "reads 'number', which is a int; it must be a table" in str(error)
    error = materialize([orders, sql_asset("x", "select amuont from orders")])["x"].error
    assert "amuont" in str(error)
