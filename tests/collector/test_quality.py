"""Assertions as rows: the newest result of each, and what fails now."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from collector.api.store import EXTENSION
from collector.keys import microseconds
from collector.prune import prune
from tests.collector.answers import get, get_text
from tests.collector.events import JSON, columns, dataset, dataset_event, facet, run_event
from tests.collector.stores import state
from tests.collector.test_graph_api import LINEAGE, counted, store

FAILING = "/api/v1/quality/failing"


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def asserted(**success: bool) -> JSON:
    """The content of a ``dataQualityAssertions`` facet: ``sort`` or ``sort__column``, and whether it held."""
    found = []
    for name, held in success.items():
        sort, _, column = name.partition("__")
        found.append({"assertion": sort, "success": held} | ({"column": column} if column else {}))
    return {"assertions": found}


def checked(day: int, run: int, name: str = "a", **success: bool) -> JSON:
    """A run that reads a dataset and tests it."""
    one = dataset(name) | {"inputFacets": {"dataQualityAssertions": facet(**asserted(**success))}}
    return run_event(time=f"2026-01-{day:02}T00:00:00Z", run=run, job="test", inputs=(one,))


def quality(client: FlaskClient, name: str = "a") -> dict[str, bool]:
    """Whether each assertion holds, by sort and column."""
    answer = get(client, "/api/v1/quality", nodeId=f"dataset:data:{name}")
    found = {f"{one['assertion']}__{one['column']}": one["success"] for one in answer["assertions"]}
    assert answer["failing"] == sum(not held for held in found.values())
    return found


def failing(client: FlaskClient, **query: Any) -> list[str]:
    """Names of the failing datasets, the newest failure first."""
    answer = get(client, FAILING, **query)
    assert answer["totalCount"] >= len(answer["datasets"])
    return [one["name"] for one in answer["datasets"]]


def test_newest_result_of_each_assertion_with_its_last_failure_and_counts(client: FlaskClient) -> None:
    store(
        client,
        checked(1, 1, not_null__id=False, unique__id=True),
        checked(2, 2, not_null__id=False),
        checked(3, 3, not_null__id=True),
    )
    answer = get(client, "/api/v1/quality", nodeId="dataset:data:a")
    assert answer["assertions"] == [
        {
            "assertion": "not_null",
            "name": None,
            "column": "id",
            "success": True,
            "severity": None,
            "at": "2026-01-03T00:00:00.000000Z",
            "runId": "00000000-0000-0000-0000-000000000003",
            "lastFailure": {
                "at": "2026-01-02T00:00:00.000000Z",
                "runId": "00000000-0000-0000-0000-000000000002",
            },
            "results": 3,
            "failures": 2,
        },
        {
            "assertion": "unique",
            "name": None,
            "column": "id",
            "success": True,
            "severity": None,
            "at": "2026-01-01T00:00:00.000000Z",
            "runId": "00000000-0000-0000-0000-000000000001",
            "lastFailure": None,
            "results": 1,
            "failures": 0,
        },
    ]
    assert get(client, "/api/v1/quality", nodeId="dataset:data:a", limit=1)["totalCount"] == 2


def test_result_that_arrives_late_does_not_become_the_newest(client: FlaskClient) -> None:
    store(client, checked(2, 2, row_count=True), checked(1, 1, row_count=False))
    assert quality(client) == {"row_count__None": True}
    assert failing(client) == []


def test_facet_of_the_dataset_and_of_its_output_count_too(client: FlaskClient) -> None:
    own = dataset("a", dataQualityAssertions=asserted(unique=False))
    output = dataset("b") | {"outputFacets": {"dataQualityAssertions": facet(**asserted(not_null=False))}}
    store(client, run_event(outputs=(own, output)))
    assert (quality(client), quality(client, "b")) == ({"unique__None": False}, {"not_null__None": False})


def test_dataset_event_tells_results_without_a_run(client: FlaskClient) -> None:
    store(client, dataset_event(dataset("a", dataQualityAssertions=asserted(unique=False))))
    (one,) = get(client, "/api/v1/quality", nodeId="dataset:data:a")["assertions"]
    assert (one["success"], one["runId"], one["lastFailure"]["runId"]) == (False, None, None)


def test_assertions_that_differ_in_name_are_two_and_the_severity_is_kept(client: FlaskClient) -> None:
    found = [
        {"assertion": "custom_sql", "name": name, "success": name != "one", "severity": "warn"}
        for name in ("one", "two")
    ]
    store(client, dataset_event(dataset("a", dataQualityAssertions={"assertions": found})))
    answer = get(client, "/api/v1/quality", nodeId="dataset:data:a")
    assert [(one["name"], one["success"], one["severity"]) for one in answer["assertions"]] == [
        ("one", False, "warn"),
        ("two", True, "warn"),
    ]


def test_of_two_results_of_one_assertion_in_one_facet_the_failure_counts(client: FlaskClient) -> None:
    both = {"assertions": [{"assertion": "unique", "success": held} for held in (True, False, True)]}
    store(client, dataset_event(dataset("a", dataQualityAssertions=both)))
    (one,) = get(client, "/api/v1/quality", nodeId="dataset:data:a")["assertions"]
    assert (one["success"], one["results"], one["failures"]) == (False, 1, 1)


def test_later_event_of_the_same_run_replaces_what_it_told(client: FlaskClient) -> None:
    store(client, checked(1, 1, unique=False, not_null=True), checked(2, 1, unique=True))
    assert quality(client) == {"unique__None": True}
    (one,) = get(client, "/api/v1/quality", nodeId="dataset:data:a")["assertions"]
    assert (one["results"], one["failures"], one["lastFailure"]) == (1, 0, None)


def test_deleted_facet_ends_the_results_before_it(client: FlaskClient) -> None:
    gone = dataset("a", dataQualityAssertions={"_deleted": True})
    store(client, checked(1, 1, unique=False), checked(3, 3, not_null=False))
    store(client, dataset_event(gone, "2026-01-02T00:00:00Z"))
    assert quality(client) == {"not_null__None": False}
    (one,) = get(client, FAILING)["datasets"]
    assert (one["failing"], [it["assertion"] for it in one["assertions"]]) == (1, ["not_null"])
    store(client, checked(1, 4, row_count=False))  # arrives late
    assert quality(client) == {"not_null__None": False}


def test_failing_datasets_newest_first_and_of_one_namespace(client: FlaskClient) -> None:
    other = dataset("c", dataQualityAssertions=asserted(unique=False)) | {"namespace": "other"}
    store(
        client,
        checked(1, 1, "a", unique=False),
        checked(3, 2, "b", unique=False),
        checked(4, 3, "good", unique=True),
        dataset_event(other, "2026-01-02T00:00:00Z"),
    )
    assert failing(client) == ["b", "c", "a"]
    assert failing(client, namespace="data") == ["b", "a"]
    assert failing(client, limit=1, offset=1) == ["c"]
    assert get(client, FAILING, limit=0)["totalCount"] == 3
    store(client, checked(5, 4, "b", unique=True))
    assert failing(client) == ["c", "a"]
    assert client.get(FAILING, query_string={"namespace": "nowhere"}).status_code == 404


def test_names_of_one_dataset_share_their_results(client: FlaskClient) -> None:
    link = {"identifiers": [{"namespace": "data", "name": "table", "type": "TABLE"}]}
    store(
        client,
        checked(1, 1, "table", unique=False, not_null=False),
        checked(2, 2, "/path", unique=True),
        dataset_event(dataset("/path", symlinks=link), "2026-01-03T00:00:00Z"),
    )
    assert quality(client, "table") == quality(client, "/path")
    assert quality(client, "/path") == {"not_null__None": False, "unique__None": True}
    (one,) = get(client, FAILING)["datasets"]
    assert (one["nodeId"], one["failing"]) == ("dataset:data:/path", 1)
    (unique,) = (
        one
        for one in get(client, "/api/v1/quality", nodeId="dataset:data:table")["assertions"]
        if one["assertion"] == "unique"
    )
    assert (unique["results"], unique["failures"], unique["lastFailure"]["at"][:10]) == (2, 1, "2026-01-01")


def test_hidden_and_dropped_datasets_do_not_fail(client: FlaskClient) -> None:
    store(client, checked(1, 1, "a", unique=False), checked(1, 2, "b", unique=False))
    assert client.delete("/api/v1/namespaces/data/datasets/a").status_code == 200
    dropped = dataset("b", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    store(client, dataset_event(dropped, "2026-01-02T00:00:00Z"))
    assert failing(client) == []
    assert client.get("/api/v1/quality?nodeId=dataset:data:a").status_code == 404


def test_results_of_all_runs_newest_first(client: FlaskClient) -> None:
    store(client, checked(1, 1, unique=False), checked(2, 2, unique=True, not_null=True))
    answer = get(client, "/api/v1/quality/results", nodeId="dataset:data:a")
    found = [(one["at"][:10], one["assertion"], one["success"]) for one in answer["results"]]
    assert found == [
        ("2026-01-02", "not_null", True),
        ("2026-01-02", "unique", True),
        ("2026-01-01", "unique", False),
    ]
    assert (
        get(client, "/api/v1/quality/results", nodeId="dataset:data:a", limit=1, offset=2)["results"]
        == (answer["results"][2:])
    )


def test_prune_keeps_the_newest_result_of_each_assertion(client: FlaskClient) -> None:
    store(
        client,
        checked(1, 1, unique=False, not_null=False),
        checked(2, 2, unique=False),
        checked(3, 3, unique=True),
        run_event(time="2026-01-05T00:00:00Z", run=5, job="test", inputs=("a",)),
    )
    engine = client.application.extensions[EXTENSION].engine
    before = quality(client)
    assert prune(engine, microseconds("2026-01-04T00:00:00Z")).runs == 1
    assert quality(client) == before == {"not_null__None": False, "unique__None": True}
    assert state(engine)


def test_diagram_marks_what_fails(client: FlaskClient) -> None:
    one = dataset("a", dataQualityAssertions=asserted(unique__x=False))
    made = dataset("b", columnLineage=columns(y=[("a", "x")], z=[("a", "other")]))
    store(client, run_event(inputs=(one,), outputs=(made,)))
    query = {"nodeId": "dataset:data:b", "format": "json"}
    drawn = get(client, f"{LINEAGE}/diagram", **query)
    assert {node["name"]: node.get("status") for node in drawn["nodes"]} == {"a": "failing", "b": None, "load": None}
    drawn = get(client, f"{LINEAGE}/diagram", granularity="column", **query)
    assert {node["field"] for node in drawn["nodes"] if node.get("status") == "failing"} == {"x"}
    assert "class" in get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:b")
    assert "failing" in get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:b")
    store(client, checked(9, 9, unique__x=True))
    assert "failing" not in get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:b")


def test_diagram_at_a_moment_marks_what_failed_then(client: FlaskClient) -> None:
    store(client, run_event(time="2026-01-01T00:00:00Z", run=9, job="load", outputs=("a",)))
    store(client, checked(2, 1, unique=True), checked(4, 2, unique=False))
    query = {"nodeId": "dataset:data:a", "direction": "both"}
    assert "failing" in get_text(client, f"{LINEAGE}/diagram", **query)
    assert "failing" not in get_text(client, f"{LINEAGE}/diagram", asOf="2026-01-03T00:00:00Z", **query)
    assert "failing" in get_text(client, f"{LINEAGE}/diagram", asOf="2026-01-05T00:00:00Z", **query)


@pytest.mark.parametrize("path", ["/api/v1/quality", "/api/v1/quality/results"])
@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"nodeId": "job:jobs:load"}, 400), ({"nodeId": "dataset:data:none"}, 404), ({"limit": -1}, 400)],
)
def test_bad_question_is_refused(shared: FlaskClient, path: str, query: JSON, status: int) -> None:
    response = shared.get(path, query_string=query)
    assert response.status_code == status
    assert {"code", "message"} <= set(response.json)


def test_list_costs_the_same_statements_at_any_size(client: FlaskClient) -> None:
    counts = []
    for first, size in ((0, 2), (100, 60)):
        store(client, *(checked(1, first + n + 1, f"d{first + n}", unique=False) for n in range(size)))
        with counted(client) as statements:
            assert len(failing(client)) >= size
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 10
