"""Functions that make several assets."""

from __future__ import annotations

from typing import Any

import pytest

from emitter import JSONIO, AssetGraph, MultiAsset, Out, asset, check, materialize, multi_asset
from emitter.errors import DuplicateAsset, InvalidAsset
from tests.emitter.conftest import Events
from tests.emitter.refusals import refused


def split(returned: Any = ([1, 2], [3]), runs: list[int] | None = None, **declared: Any) -> MultiAsset:
    @multi_asset(outs=declared.pop("outs", ["small", "large"]), io=JSONIO("data"), name="split", **declared)
    def split(numbers: list[int]) -> Any:
        if runs is not None:
            runs.append(1)
        return returned

    return split


@asset
def numbers() -> list[int]:
    return [1, 2, 3]


def test_one_function_makes_several_assets_in_one_run(events: Events) -> None:
    results = materialize([numbers, split()], on_event=events)
    assert results["small"].value == [1, 2] and results["large"].value == [3]
    assert results["small"].run_id == results["large"].run_id
    assert events.states("split") == ["START", "COMPLETE"]
    outputs = events.ending("split")["outputs"]
    assert [one["name"].rpartition("/")[2] for one in outputs] == ["small.json", "large.json"]
    assert outputs[0]["facets"]["version"]["datasetVersion"] == results["small"].checksum


def test_the_values_may_come_by_name_and_others_may_need_them() -> None:
    @asset
    def total(large: list[int], small: list[int]) -> int:
        return sum(large) + sum(small)

    results = materialize([split({"large": [9], "small": [1]}), numbers, total])
    assert results["total"].value == 10


def test_it_is_run_once_and_again_where_one_output_is_gone() -> None:
    runs: list[int] = []
    both = split(runs=runs)
    materialize([numbers, both])
    assert {one.status for one in materialize([numbers, both], select="small,large").values()} == {"unchanged"}
    JSONIO("data").path(both["large"]).unlink()
    results = materialize([numbers, both])
    assert (results["large"].reason, results["small"].reason) == ("output missing", "made with large: output missing")
    assert len(runs) == 2


def test_selecting_one_output_makes_all_of_them() -> None:
    assert list(materialize([numbers, split()], select="+small")) == ["numbers", "small", "large"]


def test_a_blocking_check_of_one_keeps_all_from_being_stored() -> None:
    outs = {"small": Out(), "large": Out(checks=[check(lambda value: False, name="never")])}
    results = materialize([numbers, split(outs=outs)])
    assert {results["small"].status, results["large"].status} == {"failed"}
    assert "asset 'large' was not stored, since a check failed: never" in str(results["small"].error)
    assert not JSONIO("data").directory.exists()


def test_an_output_has_a_description_tags_and_version_of_its_own() -> None:
    @multi_asset(outs={"a": Out(version="7", description="The first.", tags=["x"]), "b": Out()}, tags=["t"], group="g")
    def both() -> tuple[int, int]:
        """Both."""
        return 1, 2

    a, b = both
    assert (a.version, a.description, a.tags, a.group) == ("7", "The first.", ("t", "x"), "g")
    assert (b.version, b.description) == ("1", "Both.")
    assert both() == (1, 2) and len(both) == 2 and "both" in repr(both)
    assert [one.names for one in AssetGraph(both).steps] == [["a", "b"]]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3, "'split' makes 2 assets (small, large), but its function returned a int; return a tuple in that order"),
        ((1,), "but its function returned 1 values"),
        ({"small": 1}, "but its function returned a dict without large"),
        ({"small": 1, "large": 2, "other": 3}, "but its function returned a dict with other too"),
    ],
)
def test_values_that_are_not_one_for_each_are_refused(returned: Any, message: str) -> None:
    assert message in str(materialize([numbers, split(returned)])["small"].error)


def test_declarations_that_cannot_be_used_are_refused() -> None:
    with refused(InvalidAsset, "multi-asset 'split' at test_multi.py:", "has outs=[]; give names: outs=['orders', …]"):
        split(outs=[])
    with refused(InvalidAsset, "has outs='small'"):
        split(outs="small")
    with refused(InvalidAsset, "has 3 among its outs; give Out(…)"):
        split(outs={"a": 3})
    with refused(DuplicateAsset, "two functions are called 'split'"):
        AssetGraph([numbers, *split(), *split(outs=["c", "d"])])
