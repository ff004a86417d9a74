"""How much runs wrote and read, as rows: statistics first, else metrics."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.collector.answers import get
from tests.collector.events import JSON, dataset, facet, run_event
from tests.collector.test_graph_api import counted, store

MEASURES = "/api/v1/quality/measures"


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def written(rows: Any, size: Any = None, files: Any = None) -> JSON:
    """What a run says of the dataset "a" that it writes."""
    said = {"rowCount": rows, "size": size, "fileCount": files}
    told = facet(**{name: value for name, value in said.items() if value is not None})
    return dataset("a") | {"outputFacets": {"outputStatistics": told}}


def metrics(rows: int, **columns: JSON) -> JSON:
    return {"dataQualityMetrics": facet(rowCount=rows, bytes=rows * 10, columnMetrics=columns)}


def measures(client: FlaskClient, name: str = "a", **query: Any) -> list[JSON]:
    answer = get(client, MEASURES, nodeId=f"dataset:data:{name}", **query)
    assert answer["totalCount"] >= len(answer["measures"])
    found: list[JSON] = answer["measures"]
    return found


def numbers(found: list[JSON]) -> list[tuple[Any, ...]]:
    return [(one["source"], one["rowCount"], one["size"], one["fileCount"]) for one in found]


def test_each_version_with_how_much_was_written_newest_first(client: FlaskClient) -> None:
    store(
        client,
        run_event(time="2026-01-01T00:00:00Z", run=1, outputs=(written(100, 2_000, 3),)),
        run_event(time="2026-01-02T00:00:00Z", run=2, outputs=(written(0),)),
        run_event(time="2026-01-03T00:00:00Z", run=3, outputs=("a",)),
    )
    newest, oldest = measures(client)
    assert numbers([newest, oldest]) == [("statistics", 0, None, None), ("statistics", 100, 2_000, 3)]
    assert (oldest["at"], oldest["job"]) == ("2026-01-01T00:00:00.000000Z", {"namespace": "jobs", "name": "load"})
    assert oldest["runId"] == "00000000-0000-0000-0000-000000000001"
    versions = get(client, "/api/v1/namespaces/data/datasets/a/versions")["versions"]
    assert [newest["version"], oldest["version"]] == [one["version"] for one in versions[1:]]
    assert oldest["columnMetrics"] is None
    assert measures(client, limit=1, offset=1) == [oldest]


def test_a_run_that_names_it_twice_wrote_one_version(client: FlaskClient) -> None:
    alias = {"symlinks": facet(identifiers=[{"namespace": "data", "name": "a", "type": "TABLE"}])}
    other = dataset("z", **alias) | {"outputFacets": {"outputStatistics": facet(rowCount=3)}}
    store(client, run_event(run=1, outputs=("a", other)), run_event(time="2026-02-01T00:00:00Z", run=2, outputs=("a",)))
    [found] = measures(client)
    versions = get(client, "/api/v1/namespaces/data/datasets/a/versions")["versions"]
    assert (found["version"], found["rowCount"]) == (versions[1]["version"], 3)
    assert measures(client, "z") == [found]


def test_deleted_facet_measures_nothing_and_columns_go_with_their_numbers(client: FlaskClient) -> None:
    gone = {"_deleted": True, "_producer": "https://example.com", "_schemaURL": "https://example.com"}
    deleted = dataset("a") | {"outputFacets": {"outputStatistics": gone}}
    store(
        client,
        run_event("RUNNING", "2026-01-01T00:00:00Z", run=1, outputs=(written(5),)),
        run_event("COMPLETE", "2026-01-02T00:00:00Z", run=1, outputs=(deleted,)),
    )
    assert measures(client) == []
    both = dataset("b", **metrics(7, x={"min": 7})) | {"inputFacets": metrics(8, x={"min": 8})}
    store(client, run_event(run=2, inputs=(both,)))
    [found] = measures(client, "b", direction="read")
    assert (found["rowCount"], found["columnMetrics"]) == (8, {"x": {"min": 8}})


def test_what_was_announced_or_failed_is_no_version(client: FlaskClient) -> None:
    store(client, run_event("START", run=1, outputs=(written(5),)), run_event("FAIL", run=2, outputs=(written(6),)))
    assert measures(client) == []


def test_readings_tell_how_much_was_read_and_what_was_measured(client: FlaskClient) -> None:
    read = dataset("a") | {"inputFacets": {"inputStatistics": facet(rowCount=70, fileCount=1)}}
    tested = dataset("a") | {"inputFacets": metrics(90, x={"nullCount": 4})}
    profiled = dataset("a", **metrics(95))
    for day, one in enumerate((read, tested, profiled, "a"), 1):
        store(client, run_event(time=f"2026-01-0{day}T00:00:00Z", run=day, job=f"j{day}", inputs=(one,)))
    found = measures(client, direction="read")
    assert numbers(found) == [("metrics", 95, 950, None), ("metrics", 90, 900, None), ("statistics", 70, None, 1)]
    assert [one["columnMetrics"] for one in found] == [{}, {"x": {"nullCount": 4}}, None]
    assert {one["version"] for one in found} == {None}
    assert measures(client, direction="written") == []


def test_statistics_count_before_metrics_and_newer_before_older_in_any_order(client: FlaskClient) -> None:
    both = dataset("a", **metrics(7)) | {"outputFacets": {"outputStatistics": facet(rowCount=8)}}
    events = [
        run_event("RUNNING", "2026-01-01T00:00:00Z", run=1, outputs=(dataset("a", **metrics(1)),)),
        run_event("RUNNING", "2026-01-02T00:00:00Z", run=1, outputs=(both,)),
        run_event("RUNNING", "2026-01-03T00:00:00Z", run=1, outputs=(written(9),)),
        run_event("COMPLETE", "2026-01-04T00:00:00Z", run=1, outputs=(dataset("a", **metrics(2)),)),
    ]
    for number, order in enumerate(itertools.permutations(events), 1):
        job = f"of {number}"
        for event in order:
            run = {**event["run"], "runId": f"00000000-0000-0000-0000-0000000001{number:02}"}
            store(client, {**event, "run": run, "job": {"namespace": "jobs", "name": job}})
    found = measures(client)
    assert set(numbers(found)) == {("statistics", 9, None, None)}
    assert len(found) == 24


@pytest.mark.parametrize("rows", ["many", -1, 1 << 70, 1.5, [], True])
def test_number_that_is_none_is_unknown_and_harms_nothing(client: FlaskClient, rows: Any) -> None:
    store(client, run_event(run=1, outputs=(written(rows, 10),)))
    [found] = measures(client)
    assert found["rowCount"] is None
    run = get(client, f"/api/v1/jobs/runs/{found['runId']}")
    assert run["outputDatasetVersions"][0]["facets"]["outputStatistics"]["size"] == 10


def test_answer_costs_the_same_statements_at_any_length(client: FlaskClient) -> None:
    counts = []
    for first, last in ((1, 3), (3, 60)):
        for run in range(first, last):
            store(client, run_event(run=run, outputs=(dataset("a", **metrics(run, x={"min": run})),)))
        with counted(client) as statements:
            assert len(measures(client)) == last - 1
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("query", "status"), [({"direction": "up"}, 400), ({"nodeId": "dataset:data:none"}, 404), ({"nodeId": "x"}, 400)]
)
def test_bad_questions_are_refused(client: FlaskClient, query: JSON, status: int) -> None:
    store(client, run_event(run=1, outputs=("a",)))
    answer = client.get(MEASURES, query_string={"nodeId": "dataset:data:a", **query})
    assert (answer.status_code, answer.json["code"]) == (status, status)
