"""What people say by hand survives what producers say later; DELETE hides, and a newer word brings back."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from collector.api.store import EXTENSION
from collector.rebuild import rebuild
from tests.collector.events import dataset, dataset_event, job_event, run_event, schema
from tests.collector.stores import state
from tests.marquez.scenario import Call

TABLE = "/namespaces/data/datasets/t"
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def told(call: Call) -> Call:
    """A source, and a table whose producer gives it a tag and a description."""
    one = dataset(
        "t",
        schema=schema("x", "y"),
        documentation={"description": "by its producer"},
        tags={"tags": [{"key": "raw"}, {"key": "old", "field": "x"}]},
    )
    assert call("POST", "/lineage", run_event(run=1, outputs=(one,)))[0] == 201
    return call


def body(**more: Any) -> dict[str, Any]:
    return {"type": "DB_TABLE", "physicalName": "phys", "sourceName": "data", **more}


def tags(document: Any) -> tuple[list[str], list[str]]:
    return document["tags"], document["fields"][0]["tags"]


def test_tags_and_descriptions_survive_later_events(told: Call) -> None:
    told("POST", f"{TABLE}/tags/PII")
    told("POST", f"{TABLE}/fields/x/tags/key")
    told("DELETE", f"{TABLE}/tags/raw")
    told("PUT", TABLE, body(description="by hand"))
    again = dataset(
        "t", schema=schema("x", "y"), documentation={"description": "newer"}, tags={"tags": [{"key": "raw"}]}
    )
    told("POST", "/lineage", run_event(run=2, time=LATER, outputs=(again,)))
    document = told("GET", TABLE)[1]
    assert document["description"] == "by hand"
    assert document["physicalName"] == "phys"
    assert tags(document) == (["PII"], ["key"])
    assert all(not name.startswith("headwater_curated") for name in document["facets"])


def test_tag_that_is_taken_away_can_be_set_again(told: Call) -> None:
    for method, expected in (("DELETE", []), ("POST", ["raw"]), ("DELETE", [])):
        assert tags(told(method, f"{TABLE}/tags/raw")[1])[0] == expected


def test_tags_of_jobs_change_neither_inputs_nor_outputs(call: Call) -> None:
    call("POST", "/lineage", job_event(inputs=("a",), outputs=("b",)))
    document = call("POST", "/namespaces/jobs/jobs/load/tags/nightly")[1]
    assert document["tags"] == ["nightly"]
    assert [one["name"] for one in document["inputs"] + document["outputs"]] == ["a", "b"]
    assert call("DELETE", "/namespaces/jobs/jobs/load/tags/nightly")[1]["tags"] == []


def test_tags_need_a_field_that_is_there(told: Call) -> None:
    assert told("POST", f"{TABLE}/fields/z/tags/PII")[1]["message"] == "Field 'z' not found."


def test_put_of_a_job_replaces_what_its_runs_did_before(call: Call) -> None:
    call("POST", "/lineage", run_event(run=1, inputs=("a",), outputs=("b",)))
    call("POST", "/lineage", dataset_event("c"))
    sides = {"inputs": [{"namespace": "data", "name": "c"}], "outputs": []}
    document = call("PUT", "/namespaces/jobs/jobs/load", {"type": "BATCH", **sides})[1]
    assert ([one["name"] for one in document["inputs"]], document["outputs"]) == (["c"], [])
    call("POST", "/lineage", run_event(run=2, time=LATER, inputs=("d",), outputs=("b",)))
    document = call("GET", "/namespaces/jobs/jobs/load")[1]
    assert [one["name"] for one in document["inputs"]] == ["d"]
    assert len(call("GET", "/namespaces/jobs/jobs/load/versions")[1]["versions"]) == 3


def names(call: Call, path: str, key: str) -> tuple[list[str], int]:
    document = call("GET", path)[1]
    return [one["name"] for one in document[key]], document["totalCount"]


@pytest.mark.parametrize("kind", ["datasets", "jobs"])
def test_delete_hides_until_a_later_event(call: Call, kind: str) -> None:
    space, name = {"datasets": ("data", "t"), "jobs": ("jobs", "load")}[kind]
    one = f"/namespaces/{space}/{kind}/{name}"
    node = f"{kind[:-1]}:{space}:{name}"
    call("POST", "/lineage", run_event(run=1, inputs=("a",), outputs=("t",)))
    assert call("DELETE", one)[0] == 200
    assert call("GET", one)[0] == 404
    assert call("DELETE", one)[0] == 404
    assert call("GET", f"/lineage?nodeId={node}")[0] == 404
    assert name not in names(call, f"/namespaces/{space}/{kind}", kind)[0]
    assert names(call, f"/namespaces/{space}/{kind}", kind)[1] == (1 if kind == "datasets" else 0)
    assert name not in [hit["name"] for hit in call("GET", f"/search?q={name}")[1]["results"]]
    seen = {node["id"] for node in call("GET", "/lineage?nodeId=dataset:data:a")[1]["graph"]}
    assert node not in seen
    call("POST", "/lineage", run_event(run=2, time="2020-01-01T00:00:00Z", inputs=("a",), outputs=("t",)))
    assert call("GET", one)[0] == 404  # an older word
    call("POST", "/lineage", run_event(run=3, time=LATER, inputs=("a",), outputs=("t",)))
    assert call("GET", one)[0] == 200
    assert name in names(call, f"/namespaces/{space}/{kind}", kind)[0]


def test_delete_of_a_dataset_hides_it_until_a_put(told: Call) -> None:
    told("DELETE", TABLE)
    assert told("GET", TABLE)[0] == 404
    assert told("PUT", TABLE, body())[0] == 200
    assert told("GET", TABLE)[0] == 200


def test_delete_of_a_namespace_hides_all_in_it(call: Call) -> None:
    call("POST", "/lineage", run_event(run=1, namespace="data", inputs=("a",), outputs=("b",)))
    assert call("DELETE", "/namespaces/data")[1]["isHidden"]
    for path in ("/namespaces/data/datasets/a", "/namespaces/data/jobs/load"):
        assert call("GET", path)[0] == 404
    assert names(call, "/namespaces/data/datasets", "datasets") == ([], 0)
    assert names(call, "/jobs", "jobs") == ([], 0)
    assert call("GET", "/search?q=a")[1]["totalCount"] == 0
    call("POST", "/lineage", run_event(run=2, time=LATER, namespace="data", inputs=("a",), outputs=("c",)))
    assert not call("GET", "/namespaces/data")[1]["isHidden"]
    assert names(call, "/namespaces/data/datasets", "datasets") == (["a", "c"], 2)
    assert names(call, "/jobs", "jobs") == (["load"], 1)


def test_put_brings_a_namespace_back_and_keeps_its_owner(call: Call) -> None:
    call("PUT", "/namespaces/n", {"ownerName": "me"})
    hidden = call("DELETE", "/namespaces/n")[1]
    assert (hidden["isHidden"], hidden["ownerName"]) == (True, "me")
    assert not call("PUT", "/namespaces/n", {"ownerName": "you"})[1]["isHidden"]
    assert call("GET", "/namespaces/n")[1]["ownerName"] == "you"


def test_dropped_dataset_is_not_listed(call: Call) -> None:
    dropped = dataset("t", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    call("POST", "/lineage", run_event(run=1, inputs=("a",), outputs=(dropped,)))
    assert names(call, "/namespaces/data/datasets", "datasets") == (["a"], 1)
    assert call("GET", TABLE)[1]["deleted"]


def test_sources_and_tags_come_from_events_too(told: Call) -> None:
    one = dataset("u", dataSource={"name": "warehouse", "uri": "postgres://db:5432/warehouse"})
    told("POST", "/lineage", run_event(run=2, outputs=(one,)))
    source = told("GET", "/sources/warehouse")[1]
    assert (source["type"], source["connectionUrl"]) == ("POSTGRESQL", "postgres://db:5432/warehouse")
    assert [one["name"] for one in told("GET", "/sources")[1]["sources"]] == ["data", "warehouse"]
    assert [one["name"] for one in told("GET", "/tags")[1]["tags"]] == ["old", "raw"]
    told("PUT", "/sources/warehouse", {"type": "mysql", "connectionUrl": "jdbc:mysql://x"})
    told("POST", "/lineage", run_event(run=3, time=LATER, outputs=(one,)))
    assert told("GET", "/sources/warehouse")[1]["connectionUrl"] == "jdbc:mysql://x"


def test_all_of_it_can_be_rebuilt(app: Flask, call: Call) -> None:
    from tests.marquez.scenario import play

    for _ in play(call):
        pass
    engine = app.extensions[EXTENSION].engine
    live = state(engine)
    assert rebuild(engine).unreadable == 0
    assert state(engine) == live
