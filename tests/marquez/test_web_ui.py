"""What Marquez's web UI (0.51) reads: the collector gives nothing that it breaks on, or shows nothing for."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from collector.api.store import EXTENSION
from tests.collector.events import columns, dataset, dataset_event, facet, job_event, run_event, schema
from tests.marquez.scenario import Call
from tests.marquez.test_statements import counted


@pytest.fixture
def filled(call: Call) -> Call:
    """A run that makes a table of another, a job that never ran, a dataset that nobody wrote."""
    lineage = columns(id=[("orders", "id")])
    made = dataset("report", schema=schema("id"), columnLineage=lineage)
    events = (
        run_event(
            run=1, time="2026-01-01T00:00:00Z", inputs=(dataset("orders", schema=schema("id")),), outputs=(made,)
        ),
        job_event(job="planned", time="2026-01-02T00:00:00Z"),
        dataset_event("told", time="2026-01-03T00:00:00Z"),
    )
    for one in events:
        assert call("POST", "/lineage", one)[0] == 201
    assert call("PUT", "/tags/pii", {})[0] == 200  # a record of our own
    return call


def events(call: Call, query: str = "") -> tuple[list[Any], int]:
    found = call("GET", f"/events/lineage?{query}")[1]
    return found["events"], found["totalCount"]


def test_events_page_gets_events_of_runs_alone(filled: Call) -> None:
    found, total = events(filled)
    assert [one["run"]["runId"][-1] for one in found] == ["1"]
    assert total == 1


def test_events_of_other_kinds_are_had_by_name(filled: Call) -> None:
    for kind, count in (("run", 1), ("job", 1), ("dataset", 1), ("all", 3)):
        found, total = events(filled, f"kind={kind}")
        assert (len(found), total) == (count, count), kind
    assert "dataset" in events(filled, "kind=dataset")[0][0]
    assert events(filled, "kind=job&before=2026-01-02T00:00:00Z") == ([], 0)
    assert events(filled, "kind=all&after=2026-01-02T00:00:00Z&limit=1&sortDirection=asc")[1] == 2
    assert filled("GET", "/events/lineage?kind=tag")[0] == 400


def test_page_of_events_reads_no_more_than_it_gives(app: Flask, filled: Call) -> None:
    engine = app.extensions[EXTENSION].engine
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's plans follow its statistics")
    for kind in ("run", "job", "dataset", "all"):
        with counted(app) as seen:
            events(filled, f"kind={kind}&limit=5")
        [page] = [one for one in seen if "ORDER BY" in one]
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {page}").all()
        assert not [step for *_, step in plan if step == "USE TEMP B-TREE FOR ORDER BY"], (kind, plan)


def test_job_without_runs_has_no_list_of_them(filled: Call) -> None:
    listed = {one["name"]: one for one in filled("GET", "/jobs")[1]["jobs"]}
    asked = {name: filled("GET", f"/namespaces/jobs/jobs/{name}")[1] for name in ("load", "planned")}
    for jobs in (listed, asked):
        assert (jobs["planned"]["latestRun"], jobs["planned"]["latestRuns"]) == (None, None)
        assert [one["id"] for one in jobs["load"]["latestRuns"]] == [jobs["load"]["latestRun"]["id"]]


def test_dataset_without_column_lineage_has_no_list_of_it(filled: Call) -> None:
    listed = {one["name"]: one for one in filled("GET", "/namespaces/data/datasets")[1]["datasets"]}
    assert listed["orders"]["columnLineage"] is None
    assert filled("GET", "/namespaces/data/datasets/orders")[1]["columnLineage"] is None
    assert [one["name"] for one in listed["report"]["columnLineage"]] == ["id"]


def test_dataset_that_nobody_wrote_has_the_version_that_was_read(filled: Call) -> None:
    found = filled("GET", "/namespaces/data/datasets/orders/versions")[1]
    [version] = found["versions"]
    assert found["totalCount"] == 1
    assert ([one["name"] for one in version["fields"]], version["createdByRun"]) == (["id"], None)
    [run] = filled("GET", "/namespaces/jobs/jobs/load/runs")[1]["runs"]
    assert run["inputDatasetVersions"][0]["datasetVersionId"] == version["id"]
    assert filled("GET", f"/namespaces/data/datasets/orders/versions/{version['version']}")[1] == version
    assert filled("GET", "/namespaces/data/datasets/orders/versions?offset=1")[1] == {"versions": [], "totalCount": 1}


def test_column_edges_lead_from_the_column_to_its_origin(filled: Call) -> None:
    node = "datasetField:data:report:id"
    graph = filled("GET", f"/column-lineage?nodeId={node}&depth=2&withDownstream=true")[1]["graph"]
    by_id = {one["id"]: one for one in graph}
    origin = "datasetField:data:orders:id"
    assert by_id[node]["inEdges"] == [{"origin": node, "destination": origin}]
    assert by_id[origin]["outEdges"] == [{"origin": origin, "destination": node}]


@pytest.mark.parametrize(
    ("path", "query"),
    [("/search", "q=o&sort=UPDATE_AT&limit=100&filter=DATASET"), ("/lineage", "nodeId=dataset:data:orders&depth=2")],
)
def test_path_may_end_with_a_slash_as_older_uis_ask(filled: Call, path: str, query: str) -> None:
    status, answer = filled("GET", f"{path}/?{query}")
    assert status == 200
    assert any(answer.values())
    assert answer == filled("GET", f"{path}?{query}")[1]


def test_current_version_has_what_its_readers_found_out(filled: Call) -> None:
    def quality(success: bool) -> Any:
        return {"dataQualityAssertions": facet(assertions=[{"assertion": "not_null", "success": success}])}

    def shown(name: str) -> list[bool | None]:
        versions = filled("GET", f"/namespaces/data/datasets/{name}/versions")[1]["versions"]
        found = [one["facets"].get("dataQualityAssertions") for one in versions]
        return [one["assertions"][0]["success"] if one else None for one in found]

    def event(run: int, day: int, job: str, **sides: Any) -> None:
        filled("POST", "/lineage", run_event(run=run, time=f"2026-01-0{day}T00:00:00Z", job=job, **sides))

    tested = tuple(dataset(name) | {"inputFacets": quality(True)} for name in ("orders", "report"))
    event(2, 2, "test", inputs=tested)
    assert (shown("orders"), shown("report")) == ([True], [True])
    event(3, 3, "load", outputs=("report",))
    assert shown("report") == [None, None]  # nobody tested the new one
    event(4, 4, "test", inputs=(dataset("report") | {"inputFacets": quality(False)},))
    assert shown("report") == [False, None]


def test_search_box_gets_all_that_it_shows_of_a_hit(app: Flask, filled: Call) -> None:
    client = app.test_client()

    def search(kind: str, text: str) -> tuple[list[Any], list[Any]]:
        answer = client.get(f"/api/v2beta/search/{kind}", query_string={"q": text})
        assert answer.status_code == 200
        return answer.json["hits"], answer.json["highlights"]

    engine, code = facet(name="spark", version="3"), facet(language="python", sourceCode="1")
    event = run_event(
        "FAIL", run=7, job="A+ load", run_facets={"processing_engine": engine}, job_facets={"sourceCode": code}
    )
    filled("POST", "/lineage", event)
    [hit], [marked] = search("jobs", "a+")
    assert marked == {"name": ["<em>A+</em> load"]}
    assert (hit["name"], hit["namespace"], hit["type"], hit["eventType"]) == ("A+ load", "jobs", "BATCH", "FAIL")
    assert (hit["run_id"], hit["runFacets"]) == (event["run"]["runId"], {"processing_engine": engine})
    assert hit["facets"]["sourceCode"]["language"] == "python"
    [planned], _ = search("jobs", "planned")
    assert (planned["run_id"], planned["eventType"], planned["runFacets"]) == (None, None, {})
    [orders], [marked] = search("datasets", "orders")
    assert [one["name"] for one in orders["facets"]["schema"]["fields"]] == ["id"]
    assert marked == {"name": ["<em>orders</em>"]}
    assert search("datasets", "told")[0][0]["facets"] == {}


def test_search_box_gets_no_facet_that_it_breaks_on(app: Flask, call: Call) -> None:
    nameless = {"processing_engine": facet(version="3")}
    assert call("POST", "/lineage", run_event(run_facets=nameless, job_facets={"sourceCode": facet()}))[0] == 201
    [hit] = app.test_client().get("/api/v2beta/search/jobs?q=load").json["hits"]
    assert (hit["runFacets"], hit["facets"]) == ({}, {})
