"""Declaring assets."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from emitter import Asset, MemoryIO, PickleIO, asset, not_null
from emitter.errors import InvalidAsset, InvalidCheck


def test_a_bare_decorator_makes_an_asset_of_the_functions_name() -> None:
    @asset
    def orders(raw_orders):
        """The orders."""
        return [*raw_orders, 1]

    assert isinstance(orders, Asset)
    assert (orders.name, orders.version, orders.namespace) == ("orders", "1", None)
    assert orders.parameters == ("raw_orders",)
    assert orders.description == "The orders."
    assert (orders.created_at, orders.updated_at, orders.checksum) == (None, None, None)


def test_an_asset_is_still_the_function() -> None:
    @asset
    def double(number):
        """Twice."""
        return 2 * number

    assert double(21) == 42
    assert (double.__name__, double.__doc__) == ("double", "Twice.")


def test_everything_can_be_declared() -> None:
    @asset
    def source():
        return 1

    @asset(
        name="daily.orders",
        version=3,
        namespace="shop",
        deps=[source, "other"],
        description="What was ordered",
        owners=["team:data"],
        tags=["daily", "pii", "daily"],
        metadata={"cost": 3},
        checks=[not_null("id"), lambda value: True],
    )
    def function():
        return []

    assert function.name == "daily.orders"
    assert function.version == "3"
    assert function.namespace == "shop"
    assert function.deps == ("source", "other")
    assert function.description == "What was ordered"
    assert function.owners == ("team:data",)
    assert function.tags == ("daily", "pii")
    assert function.metadata == {"cost": 3}
    assert [check.assertion for check in function.checks] == ["not_null", "function"]


def test_each_asset_has_a_memory_of_its_own_unless_it_is_given_a_store() -> None:
    @asset
    def one():
        return 1

    @asset
    def two():
        return 2

    assert isinstance(one.io, MemoryIO) and isinstance(two.io, MemoryIO) and one.io is not two.io


def test_a_parameter_with_a_default_is_upstream_only_where_it_names_an_asset() -> None:
    @asset
    def orders(raw, limit=10):
        return raw

    assert orders.upstream_names(["raw", "orders"]) == ("raw",)
    assert orders.upstream_names(["raw", "orders", "limit"]) == ("raw", "limit")


def test_partials_and_wrapped_functions_can_be_assets() -> None:
    def load(table: str) -> str:
        """Load it."""
        return table

    loaded = asset(name="customers")(functools.partial(load, table="customers"))
    assert loaded() == "customers"
    assert loaded.description == "Load it."


class _Half:
    def save(self, asset: Asset, value: Any) -> None: ...


async def _async() -> None: ...


def _yields():
    yield 1


def _stars(*args): ...


def _double_stars(**kwargs): ...


def _plain(): ...


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: asset(3), "an asset is made from a function, not from int 3"),
        (lambda: asset(lambda: 1), "has no name of its own; give one: asset(name='orders')"),
        (lambda: asset(name="../etc/passwd")(_plain), "'../etc/passwd' at test_assets.py:"),
        (lambda: asset(name="")(_plain), "'' at test_assets.py:"),
        (lambda: asset(name="a b")(_plain), "use letters, digits, '_', '-' and '.'"),
        (lambda: asset(name="a\n")(_plain), "cannot name an asset"),
        (lambda: asset(version=1.5)(_plain), "asset '_plain' at test_assets.py:"),
        (lambda: asset(version=1.5)(_plain), "has the version 1.5; give a text like '2'"),
        (lambda: asset(version="")(_plain), "has the version ''"),
        (lambda: asset(namespace=" ")(_plain), "has the namespace ' '; give a name"),
        (lambda: asset(deps="raw")(_plain), "has deps='raw'; give a list: deps=[…]"),
        (lambda: asset(deps=[3])(_plain), "has 3 among its deps; give assets or their names"),
        (lambda: asset(tags="daily")(_plain), "has tags='daily'; give a list: tags=[…]"),
        (lambda: asset(owners=[None])(_plain), "has None among its owners; give texts"),
        (lambda: asset(checks=not_null("id"))(_plain), "give a list: checks=[…]"),
        (lambda: asset(io="data/")(_plain), "has io='data/', no IO manager: it has no method save nor load"),
        (lambda: asset(io=PickleIO)(_plain), "has io=the class PickleIO, no IO manager: make an instance of it"),
        (lambda: asset(io=_Half())(_plain), "it has no method load"),
        (lambda: asset(_async), "is async; make it a plain function and call asyncio.run inside"),
        (lambda: asset(_yields), "yields; return the whole value (a table, a list) instead"),
        (lambda: asset(_stars), "takes *args; name each upstream asset as a parameter of its own"),
        (lambda: asset(_double_stars), "takes **kwargs"),
        (lambda: asset(asset(_plain)), "is an asset already; decorate the plain function once"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused(declare: Any, message: str) -> None:
    with pytest.raises(InvalidAsset) as refused:
        declare()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (not_null, "not_null is not called; write not_null(…) in checks=[…]"),
        ("id", "'id' is no check; give not_null('id'), unique('id'), …, or a function of the value"),
    ],
)
def test_a_check_that_is_none_is_refused(check: Any, message: str) -> None:
    with pytest.raises(InvalidCheck) as refused:
        asset(checks=[check])(_plain)
    assert message in str(refused.value)
