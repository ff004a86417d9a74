"""OpenLineage's explicit lineage (the ``lineage`` facet): its rules, in the answers that people see."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from tests.collector.events import JSON, columns, dataset, dataset_event, facet, job_event, raw, run_event


def post(client: FlaskClient, *events: JSON) -> None:
    for event in events:
        answer = client.post("/api/v1/lineage", data=raw(event))
        assert answer.status_code == 201, answer.json


def edges(
    client: FlaskClient, name: str, way: str = "upstream", granularity: str = "dataset", kind: str = "dataset"
) -> Any:
    """{(origin, destination): evidence} by the names of the nodes."""
    namespace = "data" if kind == "dataset" else "jobs"
    query = {"nodeId": f"{kind}:{namespace}:{name}", "granularity": granularity}
    answer = client.get(f"/api/v1/lineage/{way}", query_string=query)
    assert answer.status_code == 200, answer.json
    names = {
        node["id"]: node["name"] + (f".{node['field']}" if "field" in node else "") for node in answer.json["nodes"]
    }
    return {(names[e["origin"]], names[e["destination"]]): e["evidence"] for e in answer.json["edges"]}


def stated(*sources: str) -> JSON:
    """The content of a dataset's ``lineage`` facet: entity-level inputs."""
    return {"inputs": [{"type": "DATASET", "namespace": "data", "name": name} for name in sources]}


def entry(target: JSON, *sources: JSON) -> JSON:
    return {"lineage": facet(entries=[{**target, "inputs": list(sources)}])}


def of_dataset(name: str) -> JSON:
    return {"type": "DATASET", "namespace": "data", "name": name}


def of_job(name: str) -> JSON:
    return {"type": "JOB", "namespace": "jobs", "name": name}


def test_stated_origins_take_the_place_of_all_inputs(client: FlaskClient) -> None:
    output = dataset("out", lineage=stated("a"))
    post(client, run_event(inputs=("a", "b"), outputs=(output,)))
    assert edges(client, "out") == {("a", "out"): "explicit"}
    assert edges(client, "b", "downstream") == {}


def test_stated_origins_take_the_place_of_column_lineage(client: FlaskClient) -> None:
    output = dataset("out", lineage=stated("a"), columnLineage=columns(x=[("b", "x")]))
    post(client, run_event(inputs=("a", "b"), outputs=(output,)))
    assert edges(client, "out") == {("a", "out"): "explicit"}


def test_bulk_job_over_ten_tables_shows_ten_edges(client: FlaskClient) -> None:
    outputs = tuple(dataset(f"out{n}", lineage=stated(f"in{n}")) for n in range(10))
    post(client, run_event(inputs=tuple(f"in{n}" for n in range(10)), outputs=outputs))
    for n in range(10):
        assert edges(client, f"out{n}") == {(f"in{n}", f"out{n}"): "explicit"}


def test_statements_of_one_run_add_up(client: FlaskClient) -> None:
    for kind, source in (("RUNNING", "a"), ("COMPLETE", "b")):
        post(client, run_event(kind, inputs=("a", "b", "c"), outputs=(dataset("out", lineage=stated(source)),)))
    assert edges(client, "out") == {("a", "out"): "explicit", ("b", "out"): "explicit"}


def test_newer_run_replaces_what_an_older_one_stated(client: FlaskClient) -> None:
    for day, run, source in (("01", 1, "a"), ("02", 2, "b")):
        output = dataset("out", lineage=stated(source))
        post(client, run_event(time=f"2026-01-{day}T00:00:00Z", run=run, inputs=("a", "b"), outputs=(output,)))
    assert edges(client, "out") == {("b", "out"): "explicit"}


def test_newer_run_that_states_nothing_falls_back_to_its_inputs(client: FlaskClient) -> None:
    post(client, run_event(run=1, inputs=("a", "b"), outputs=(dataset("out", lineage=stated("a")),)))
    post(client, run_event(time="2026-01-02T00:00:00Z", run=2, inputs=("a", "b"), outputs=("out",)))
    assert edges(client, "out") == {("a", "out"): "declared", ("b", "out"): "declared"}


def test_declared_statement_replaces_the_one_before(client: FlaskClient) -> None:
    post(client, job_event(job_facets=entry(of_dataset("out"), of_dataset("a"))))
    post(client, job_event("2026-01-02T00:00:00Z", job_facets=entry(of_dataset("out"), of_dataset("b"))))
    assert edges(client, "out") == {("b", "out"): "explicit"}


def test_observed_statement_stands_beside_the_declared_one(client: FlaskClient) -> None:
    post(client, job_event(job_facets=entry(of_dataset("out"), of_dataset("a"))))
    post(client, run_event(job_facets=entry(of_dataset("out"), of_dataset("b"))))
    assert edges(client, "out") == {("a", "out"): "explicit", ("b", "out"): "explicit"}


def test_empty_inputs_state_that_there_is_no_source(client: FlaskClient) -> None:
    post(client, run_event(inputs=("a",), outputs=(dataset("out", lineage={"inputs": []}),)))
    assert edges(client, "out") == {}
    assert edges(client, "out", granularity="all") == {("a", "load"): "declared", ("load", "out"): "declared"}


def test_job_to_job_statement_is_an_edge_between_jobs(client: FlaskClient) -> None:
    post(client, run_event(job="orchestrator", job_facets=entry(of_job("load"), of_job("transform"))))
    assert edges(client, "load", granularity="job", kind="job") == {("transform", "load"): "explicit"}
    assert edges(client, "load", granularity="all", kind="job") == {("transform", "load"): "explicit"}
    shown = client.get("/api/v1/lineage", query_string={"nodeId": "job:jobs:load"}).json["graph"]
    assert [node["id"] for node in shown] == ["job:jobs:load", "job:jobs:transform"]
    assert shown[0]["inEdges"] == [{"origin": "job:jobs:transform", "destination": "job:jobs:load"}]


def test_orchestrator_states_what_other_jobs_read_and_write(client: FlaskClient) -> None:
    entries = [
        {**of_job("load"), "inputs": [of_dataset("staging")]},
        {**of_dataset("summary"), "inputs": [of_job("load")]},
    ]
    post(client, run_event(job="orchestrator", job_facets={"lineage": facet(entries=entries)}))
    assert edges(client, "summary", granularity="all") == {
        ("staging", "load"): "declared",
        ("load", "summary"): "declared",
    }


def test_dataset_derived_with_no_job(client: FlaskClient) -> None:
    post(client, dataset_event(dataset("copy", lineage=stated("original"))))
    assert edges(client, "copy") == {("original", "copy"): "explicit"}
    assert edges(client, "copy", granularity="all") == {("original", "copy"): "explicit"}
    post(client, dataset_event(dataset("copy", lineage=stated("other")), "2026-01-02T00:00:00Z"))
    assert edges(client, "copy") == {("other", "copy"): "explicit"}


def test_stated_columns_are_column_lineage(client: FlaskClient) -> None:
    source = {**of_dataset("a"), "field": "id", "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}]}
    output = dataset("out", lineage={"fields": {"key": {"inputs": [source]}}})
    post(client, run_event(inputs=("a",), outputs=(output,)))
    assert edges(client, "out", granularity="column") == {("a.id", "out.key"): "explicit"}


def test_statement_under_an_alias_is_about_the_dataset(client: FlaskClient) -> None:
    post(client, dataset_event(dataset("copy", lineage=stated("alias"))))
    symlinks = {"identifiers": [{"namespace": "data", "name": "alias", "type": "TABLE"}]}
    post(client, run_event(outputs=(dataset("table", symlinks=symlinks),)))
    assert edges(client, "copy") == {("table", "copy"): "explicit"}
