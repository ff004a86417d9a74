"""The benchmarks' events are what the figures claim they are."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from benchmarks.events import SHAPES, SPARK_COLUMNS, batch, run_id, small_event, spark_event


@pytest.mark.parametrize(("shape", "least", "most"), [("small", 1_400, 1_700), ("spark", 57_000, 68_000)])
def test_events_have_the_size_that_the_figures_name(shape: str, least: int, most: int) -> None:
    sizes = [len(SHAPES[shape](index)) for index in (0, 1, 2, 79, 3_999, 1_000_000)]
    assert least <= min(sizes) <= max(sizes) <= most


def test_small_event_has_two_inputs_and_two_outputs_with_schemas() -> None:
    event = json.loads(small_event(40))
    assert len(event["inputs"]) == len(event["outputs"]) == 2
    for dataset in event["inputs"] + event["outputs"]:
        assert dataset["facets"]["schema"]["fields"]
    assert not {one["name"] for one in event["inputs"]} & {one["name"] for one in event["outputs"]}


def test_spark_event_has_lineage_of_every_column() -> None:
    event = json.loads(spark_event(3))
    (output,) = event["outputs"]
    columns = [field["name"] for field in output["facets"]["schema"]["fields"]]
    assert len(set(columns)) == SPARK_COLUMNS
    assert list(output["facets"]["columnLineage"]["fields"]) == columns
    read = {(one["name"], field["name"]) for one in event["inputs"] for field in one["facets"]["schema"]["fields"]}
    for origins in output["facets"]["columnLineage"]["fields"].values():
        assert {(one["name"], one["field"]) for one in origins["inputFields"]} <= read


@pytest.mark.parametrize("shape", SHAPES)
def test_events_come_in_pairs_of_start_and_complete(shape: str) -> None:
    first, second, third = (json.loads(SHAPES[shape](index)) for index in (6, 7, 8))
    assert (first["eventType"], second["eventType"]) == ("START", "COMPLETE")
    assert first["run"]["runId"] == second["run"]["runId"] != third["run"]["runId"]
    assert first["job"] == second["job"]
    assert first["eventTime"] < second["eventTime"] < third["eventTime"]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_events_are_the_same(shape: str) -> None:
    events = {SHAPES[shape](index) for index in range(500)}
    assert len(events) == 500
    assert SHAPES[shape](7) in events  # and the same index gives the same bytes


def test_run_ids_are_different_uuids_in_order_of_time() -> None:
    ids = [run_id(number) for number in range(1_000)]
    assert len(set(ids)) == 1_000
    assert ids == sorted(ids)
    assert {UUID(one).version for one in ids} == {7}


def test_batch_is_an_array_of_the_same_events() -> None:
    assert json.loads(batch(small_event, 10, 3)) == [json.loads(small_event(index)) for index in (10, 11, 12)]
