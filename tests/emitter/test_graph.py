"""The asset graph, against a brute force where a rule is for all graphs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter import Asset, AssetGraph, asset
from emitter.errors import AssetCycle, DuplicateAsset, GraphError, UnknownAsset
from lineage.errors import InvalidDepth
from lineage.nodes import NodeKind
from tests.emitter.refusals import refused
from tests.mermaid_parser import parse_all


def made(name: str, *needed: str, **declared: Any) -> Asset:
    return asset(name=name, deps=needed, **declared)(lambda: name)


@asset
def raw():
    return 1


@asset
def customers():
    return 1


@asset
def orders(raw, customers):
    return 1


@asset(deps=[orders])
def report():
    return 1


SHOP = [report, orders, customers, raw]


def names(assets: list[Asset]) -> list[str]:
    return [one.name for one in assets]


def test_upstream_is_found_by_parameter_name_and_by_deps() -> None:
    graph = AssetGraph(SHOP)
    assert graph.get_lineage_graph() == {
        "customers": [],
        "raw": [],
        "orders": ["raw", "customers"],
        "report": ["orders"],
    }


def test_upstream_and_downstream_come_nearest_first() -> None:
    graph = AssetGraph(SHOP)
    assert names(graph.get_upstream("report")) == ["orders", "customers", "raw"]
    assert names(graph.get_upstream("report", depth=1)) == ["orders"]
    assert graph.get_upstream("report", depth=0) == []
    assert names(graph.get_downstream(raw)) == ["orders", "report"]
    assert names(graph.get_downstream("raw", depth=1)) == ["orders"]


def test_a_graph_can_be_asked_for_its_assets() -> None:
    graph = AssetGraph(iter(SHOP), name="shop")
    assert graph["raw"] is raw
    assert "raw" in graph and "nothing" not in graph
    assert len(graph) == 4
    assert names(list(graph)) == ["customers", "raw", "orders", "report"]
    assert list(graph.assets) == ["report", "orders", "customers", "raw"]
    assert repr(graph) == "<AssetGraph 'shop' of 4 assets>"


def test_the_lineage_graph_has_a_dataset_node_per_asset() -> None:
    graph = AssetGraph([raw, made("sales", "raw", namespace="shop")]).to_graph()
    assert list(graph.nodes) == ["dataset:default:raw", "dataset:shop:sales"]
    assert {node.kind for node in graph.nodes.values()} == {NodeKind.DATASET}
    assert [(edge.origin, edge.destination) for edge in graph.edges] == [("dataset:default:raw", "dataset:shop:sales")]


def test_the_diagram_is_one_that_mermaid_reads() -> None:
    sideways, down = parse_all([AssetGraph(SHOP).to_mermaid(), AssetGraph(SHOP).to_mermaid(direction="TB")])
    assert sideways.ok and down.ok, (sideways.error, down.error)
    assert (sideways.direction, down.direction) == ("LR", "TB")
    labels = sideways.labels
    assert sorted((labels[origin], labels[destination]) for origin, destination in sideways.edges) == [
        ("customers", "orders"),
        ("orders", "report"),
        ("raw", "orders"),
    ]


def test_the_same_asset_twice_is_one() -> None:
    assert len(AssetGraph([raw, raw])) == 1


def test_two_assets_of_one_name_are_refused_with_both_places() -> None:
    with pytest.raises(DuplicateAsset) as refused:
        AssetGraph([raw, made("raw")])
    assert str(refused.value).startswith("two assets are called 'raw': at test_graph.py:")
    assert str(refused.value).count("test_graph.py:") == 2


def test_a_parameter_that_names_no_asset_is_refused_with_a_hint() -> None:
    @asset
    def summary(orderz):
        return 1

    with pytest.raises(UnknownAsset) as refused:
        AssetGraph([*SHOP, summary])
    assert "asset 'summary' at test_graph.py:" in str(refused.value)
    assert "needs 'orderz', which names no asset; did you mean 'orders'?" in str(refused.value)
    assert "the assets are customers, orders, raw, report, summary" in str(refused.value)


def test_every_unknown_name_is_told_at_once() -> None:
    with pytest.raises(UnknownAsset) as refused:
        AssetGraph([made("one", "two"), made("three", "four")])
    assert "'two'" in str(refused.value) and "'four'" in str(refused.value)


def test_a_cycle_is_refused_with_its_path() -> None:
    with pytest.raises(AssetCycle) as refused:
        AssetGraph([made("a", "c"), made("b", "a"), made("c", "b"), made("d", "a")])
    assert str(refused.value) == "these assets need each other: a → b → c → a; cut one of the arrows"
    assert refused.value.path == ["a", "b", "c", "a"]


def test_an_asset_that_needs_itself_is_a_cycle() -> None:
    with pytest.raises(AssetCycle, match="a → a"):
        AssetGraph([made("a", "a")])


def test_a_function_that_is_no_asset_is_refused() -> None:
    def plain():
        return 1

    with pytest.raises(GraphError, match="is no asset but a function; decorate it with @asset"):
        AssetGraph([plain])  # type: ignore[list-item]


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(GraphError, match="there is no asset in the graph"):
        AssetGraph([])


def test_an_unknown_name_and_a_negative_depth_are_refused() -> None:
    graph = AssetGraph(SHOP)
    with refused(UnknownAsset, "no asset is called 'order'; did you mean 'orders'?"):
        graph.get_upstream("order")
    with pytest.raises(UnknownAsset, match="no asset is called 'x'; the assets are customers, orders, raw, report"):
        graph["x"]
    with pytest.raises(InvalidDepth):
        graph.get_downstream("raw", depth=-1)


@st.composite
def needs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Names with what each needs; only earlier names, so there is no cycle, then named in any order."""
    count = draw(st.integers(1, 8))
    labels = draw(st.permutations([f"n{index}" for index in range(count)]))
    return {label: draw(st.sets(st.sampled_from(labels[:at]))) if at else set() for at, label in enumerate(labels)}


@given(needs())
def test_every_asset_comes_after_all_that_it_needs(needed: dict[str, set[str]]) -> None:
    order = AssetGraph([made(name, *sorted(upstream)) for name, upstream in needed.items()]).topological_order()
    assert sorted(order) == sorted(needed)
    assert all(order.index(one) < order.index(name) for name, upstream in needed.items() for one in upstream)


@given(needs(), st.integers(0, 4) | st.none())
def test_upstream_and_downstream_are_what_following_the_needs_gives(
    needed: dict[str, set[str]], depth: int | None
) -> None:
    graph = AssetGraph([made(name, *sorted(upstream)) for name, upstream in needed.items()])
    reverse = {name: {other for other, upstream in needed.items() if name in upstream} for name in needed}
    for name in needed:
        assert set(names(graph.get_upstream(name, depth))) == reached(needed, name, depth)
        assert set(names(graph.get_downstream(name, depth))) == reached(reverse, name, depth)


def reached(next_of: dict[str, set[str]], name: str, depth: int | None) -> set[str]:
    found: set[str] = set()
    level = {name}
    for _ in range(len(next_of) if depth is None else depth):
        level = {other for one in level for other in next_of[one]}
        found |= level
    return found


@given(needs())
def test_the_order_does_not_depend_on_how_the_assets_were_given(needed: dict[str, set[str]]) -> None:
    assets = [made(name, *sorted(upstream)) for name, upstream in needed.items()]
    assert AssetGraph(assets).topological_order() == AssetGraph(reversed(assets)).topological_order()
