"""Selections."""

from __future__ import annotations

from typing import Any

import pytest

from emitter import AssetGraph, asset
from emitter.errors import SelectionError, UnknownAsset
from tests.emitter.refusals import refused


def made(name: str, *needed: str, **declared: Any) -> Any:
    return asset(name=name, deps=needed, **declared)(lambda: name)


#  raw → stg_orders → orders → report
#  raw → stg_items  ↗        → export
GRAPH = AssetGraph(
    [
        made("raw", tags=["hourly"]),
        made("stg_orders", "raw", tags=["daily"]),
        made("stg_items", "raw"),
        made("orders", "stg_orders", "stg_items", tags=["daily"]),
        made("report", "orders"),
        made("export", "orders"),
    ]
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (None, ["raw", "stg_items", "stg_orders", "orders", "export", "report"]),
        ("orders", ["orders"]),
        ("+orders", ["raw", "stg_items", "stg_orders", "orders"]),
        ("orders+", ["orders", "export", "report"]),
        ("+stg_items+", ["raw", "stg_items", "orders", "export", "report"]),
        ("1+orders", ["stg_items", "stg_orders", "orders"]),
        ("raw+1", ["raw", "stg_items", "stg_orders"]),
        ("tag:daily", ["stg_orders", "orders"]),
        ("tag:daily+", ["stg_orders", "orders", "export", "report"]),
        ("stg_*", ["stg_items", "stg_orders"]),
        ("report, raw", ["raw", "report"]),
        (["report", "raw,export"], ["raw", "export", "report"]),
        ("*", ["raw", "stg_items", "stg_orders", "orders", "export", "report"]),
    ],
)
def test_a_selection_means_these_assets_in_order(expression: Any, expected: list[str]) -> None:
    assert GRAPH.select(expression) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "the selection is empty; write the name of an asset"),
        (" , ", "the selection is empty"),
        ([], "the selection is empty"),
        ("+", "the selection '+' cannot be read"),
        ("a+b+c", "the selection 'a+b+c' cannot be read; write '+orders', 'orders+', '2+orders' or 'tag:daily'"),
        ("tag:dialy", "no asset has the tag 'dialy'; did you mean 'daily'?"),
        ("tag:x", "no asset has the tag 'x'; the tags are daily, hourly"),
        ("mart_*", "no asset's name matches 'mart_*'"),
    ],
)
def test_a_selection_that_means_nothing_is_refused(expression: Any, message: str) -> None:
    with pytest.raises(SelectionError) as refused:
        GRAPH.select(expression)
    assert message in str(refused.value)


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    with refused(UnknownAsset, "no asset is called 'ordrs'; did you mean 'orders'?"):
        GRAPH.select("+ordrs")
