"""The graph over HTTP: Marquez's answer, upstream, downstream and diagrams, and which edges there are."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event

from collector.api.store import EXTENSION
from lineage.nodes import dataset_node, field_node, job_node
from tests.collector.answers import get, get_text, parsed, read_strictly
from tests.collector.events import JSON, columns, dataset, dataset_event, facet, job_event, raw, run_event, schema
from tests.collector.patience import patient_session
from tests.collector.real_events import DBT

LINEAGE = "/api/v1/lineage"


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def store(client: FlaskClient, *events: JSON) -> None:
    """Each event in a request of its own, in this order."""
    for one in events:
        assert client.post(LINEAGE, data=raw(one)).status_code == 201


def flow(*names: str, first: int = 1) -> list[JSON]:
    """Runs that make each dataset of ``names`` from the one before it, by the job ``{one}-{other}``."""
    pairs = pairwise(names)
    return [
        run_event(run=number, job=f"{one}-{other}", inputs=(one,), outputs=(other,))
        for number, (one, other) in enumerate(pairs, first)
    ]


def ids(nodes: list[JSON]) -> list[str]:
    """Node ids, shortened: ``a`` for a dataset in ``data``, ``job`` for a job, ``a.x`` for a column."""
    return [short(node["id"]) for node in nodes]


def short(node_id: str) -> str:
    kind, _, rest = node_id.partition(":")
    return rest.partition(":")[2].replace(":", ".") if kind == "datasetField" else rest.partition(":")[2]


def walk(client: FlaskClient, way: str, node: str, granularity: str = "dataset", **query: Any) -> list[str]:
    """The ids of an answer, the start left out, by distance and name."""
    answer = get(client, f"{LINEAGE}/{way}", nodeId=node, granularity=granularity, **query)
    return ids([node for node in answer["nodes"] if node["distance"]])


def edges(client: FlaskClient, way: str, node: str, granularity: str = "dataset", **query: Any) -> dict[str, str]:
    """Evidence by ``origin > destination``."""
    answer = get(client, f"{LINEAGE}/{way}", nodeId=node, granularity=granularity, **query)
    return {f"{short(e['origin'])} > {short(e['destination'])}": e["evidence"] for e in answer["edges"]}


def marquez(client: FlaskClient, node: str, **query: Any) -> list[JSON]:
    graph: list[JSON] = get(client, LINEAGE, nodeId=node, **query)["graph"]
    return graph


# --- Marquez's answer ------------------------------------------------------------------------------------------------


def test_marquez_graph_has_nodes_by_id_and_edges_along_the_data(client: FlaskClient) -> None:
    store(client, *flow("a", "b", "c"))
    graph = marquez(client, "job:jobs:b-c")
    assert [node["id"] for node in graph] == [
        "dataset:data:a", "dataset:data:b", "dataset:data:c", "job:jobs:a-b", "job:jobs:b-c",
    ]  # fmt: skip
    assert [node["type"] for node in graph] == ["DATASET"] * 3 + ["JOB"] * 2
    by_id = {node["id"]: node for node in graph}
    into, out = (
        {"origin": "job:jobs:a-b", "destination": "dataset:data:b"},
        {"origin": "dataset:data:b", "destination": "job:jobs:b-c"},
    )
    assert (by_id["dataset:data:b"]["inEdges"], by_id["dataset:data:b"]["outEdges"]) == ([into], [out])
    assert (into in by_id["job:jobs:a-b"]["outEdges"]) and (out in by_id["job:jobs:b-c"]["inEdges"])
    assert by_id["dataset:data:a"]["inEdges"] == [] == by_id["dataset:data:c"]["outEdges"]
    assert marquez(client, "dataset:data:b") == graph


def test_marquez_nodes_carry_the_job_with_its_latest_run_and_the_dataset_without_facets(client: FlaskClient) -> None:
    made = dataset("b", schema=schema("x", "y"), documentation={"description": "of b"})
    store(client, run_event(inputs=("a",), outputs=(made,), job_facets={"documentation": facet(description="loads")}))
    _, b, job = (node["data"] for node in marquez(client, "job:jobs:load"))
    assert (b["id"], b["namespace"], b["name"]) == ({"namespace": "data", "name": "b"}, "data", "b")
    assert [column["name"] for column in b["fields"]] == ["x", "y"]
    assert (b["type"], b["description"], b["deleted"]) == ("DB_TABLE", "of b", False)
    assert b["currentVersion"]
    assert not b.get("facets")
    assert job["id"] == {"namespace": "jobs", "name": "load"}
    assert (job["inputs"], job["outputs"]) == (
        [{"namespace": "data", "name": "a"}],
        [{"namespace": "data", "name": "b"}],
    )
    assert (job["type"], job["simpleName"], job["description"]) == ("BATCH", "load", "loads")
    assert job["latestRun"]["state"] == "COMPLETED"
    assert not job.get("facets")


def test_marquez_depth_counts_jobs_both_ways(client: FlaskClient) -> None:
    store(client, *flow("a", "b", "c", "d", "e", "f"))

    def jobs(node: str, depth: int) -> list[str]:
        return [short(one["id"]) for one in marquez(client, node, depth=depth) if one["type"] == "JOB"]

    assert jobs("job:jobs:c-d", 0) == ["c-d"]
    assert jobs("job:jobs:c-d", 1) == ["b-c", "c-d", "d-e"]
    assert jobs("job:jobs:c-d", 2) == ["a-b", "b-c", "c-d", "d-e", "e-f"]
    assert jobs("dataset:data:c", 0) == ["b-c", "c-d"]
    assert jobs("dataset:data:c", 1) == ["a-b", "b-c", "c-d", "d-e"]
    assert jobs("dataset:data:c", 20) == ["a-b", "b-c", "c-d", "d-e", "e-f"]
    assert [short(one["id"]) for one in marquez(client, "job:jobs:c-d", depth=0)] == ["c", "d", "c-d"]


def test_marquez_graph_reaches_siblings_that_neither_feed_nor_follow(client: FlaskClient) -> None:
    store(client, *flow("a", "b"), *flow("a", "c", first=9))
    assert ids(marquez(client, "dataset:data:b")) == ["a", "b", "c", "a-b", "a-c"]
    assert ids(marquez(client, "dataset:data:b", direction="both")) == ["a", "b", "a-b"]


def test_dataset_without_jobs_is_a_graph_of_one_node(client: FlaskClient) -> None:
    store(client, dataset_event("alone"))
    (node,) = marquez(client, "dataset:data:alone")
    assert (node["id"], node["inEdges"], node["outEdges"]) == ("dataset:data:alone", [], [])
    for granularity in ("all", "dataset", "column"):
        assert walk(client, "upstream", "dataset:data:alone", granularity) == []
    (drawn,) = parsed([get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:alone")])
    assert (drawn.ok, len(drawn.nodes), drawn.edges) == (True, 1, [])


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        (LINEAGE, {"nodeId": "dataset:data:nothing"}, "Dataset 'nothing' not found."),
        (LINEAGE, {"nodeId": "job:jobs:nothing"}, "Job 'nothing' not found."),
        (f"{LINEAGE}/upstream", {"nodeId": "dataset:data:nothing"}, "Dataset 'nothing' not found."),
        (f"{LINEAGE}/diagram.mmd", {"nodeId": "job:jobs:nothing"}, "Job 'nothing' not found."),
        (
            f"{LINEAGE}/upstream",
            {"nodeId": "datasetField:data:b:nothing", "granularity": "column"},
            "Field 'b:nothing' not found.",
        ),
        ("/api/v1/namespaces/data/datasets/nothing", {}, "Dataset 'nothing' not found."),
        ("/api/v1/namespaces/jobs/jobs/nothing", {}, "Job 'nothing' not found."),
        ("/api/v1/namespaces/jobs/datasets/a", {}, "Dataset 'a' not found."),
    ],
)
def test_unknown_node_is_404_in_the_words_of_marquez(
    shared: FlaskClient, path: str, query: dict[str, str], message: str
) -> None:
    store(shared, *flow("a", "b"))
    response = shared.get(path, query_string=query)
    assert response.status_code == 404
    assert response.json == {"code": 404, "message": message}


# --- upstream and downstream -----------------------------------------------------------------------------------------


def test_walk_goes_as_far_as_its_depth(client: FlaskClient) -> None:
    store(client, *flow("a", "b", "c", "d"))
    assert walk(client, "upstream", "dataset:data:d", depth=0) == []
    assert walk(client, "upstream", "dataset:data:d", depth=1) == ["c"]
    assert walk(client, "upstream", "dataset:data:d", depth=2) == ["c", "b"]
    assert walk(client, "upstream", "dataset:data:d") == ["c", "b", "a"]
    assert walk(client, "downstream", "dataset:data:a", depth=2) == ["b", "c"]
    assert walk(client, "upstream", "dataset:data:d", "all", depth=1) == ["c", "c-d"]
    assert walk(client, "downstream", "job:jobs:a-b", "all", depth=1) == ["b", "b-c"]
    assert walk(client, "upstream", "job:jobs:c-d", "job") == ["b-c", "a-b"]
    assert walk(client, "downstream", "job:jobs:a-b", "job", depth=1) == ["b-c"]


def test_answer_says_what_was_asked_and_what_each_node_is(client: FlaskClient) -> None:
    checksum = {"algorithm": "blake3", "value": "00ff", "hashed": "file"}
    made = dataset(
        "b",
        headwater_checksum=checksum,
        headwater_assetVersion={"assetVersion": "2", "codeVersion": "c0de"},
        version={"datasetVersion": "v7"},
    )
    store(client, run_event("COMPLETE", inputs=("a",), outputs=(made,)))
    answer = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:b", depth=3)
    run = "00000000-0000-0000-0000-000000000001"
    assert answer == {
        "nodeId": "dataset:data:b",
        "direction": "upstream",
        "depth": 3,
        "granularity": "all",
        "truncated": False,
        "missing": 0,
        "nodes": [
            {"id": "dataset:data:b", "kind": "dataset", "namespace": "data", "name": "b", "distance": 0,
             "version": "v7", "checksum": "blake3:00ff", "codeVersion": "c0de", "runId": run},
            {"id": "dataset:data:a", "kind": "dataset", "namespace": "data", "name": "a", "distance": 1,
             "version": None, "checksum": None, "codeVersion": None, "runId": None},
            {"id": "job:jobs:load", "kind": "job", "namespace": "jobs", "name": "load", "distance": 1,
             "latestRunState": "COMPLETED"},
        ],
        "edges": [
            {"origin": "dataset:data:a", "destination": "job:jobs:load", "evidence": "declared"},
            {"origin": "job:jobs:load", "destination": "dataset:data:b", "evidence": "declared"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_newest_of_two_versions_of_one_moment_is_the_same_in_any_order(client: FlaskClient, order: list[int]) -> None:
    runs = [
        run_event(run=number, job=f"j{number}", outputs=(dataset("d", version={"datasetVersion": f"v{number}"}),))
        for number in (1, 2)
    ]
    store(client, *(runs[index] for index in order))
    (node,) = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:d", depth=0)["nodes"]
    assert node["version"] == "v2"  # the greater run id, since the moments say nothing


def test_cycle_is_walked_once(client: FlaskClient) -> None:
    store(client, *flow("a", "b", "c", "a"), run_event(run=9, job="self", inputs=("a",), outputs=("a",)))
    assert walk(client, "upstream", "dataset:data:a") == ["c", "b"]
    assert walk(client, "downstream", "dataset:data:a") == ["b", "c"]
    assert edges(client, "downstream", "dataset:data:a") == {
        "a > b": "declared",
        "b > c": "declared",
        "c > a": "declared",
    }
    assert set(walk(client, "upstream", "dataset:data:a", "all")) == {"a-b", "b", "b-c", "c", "c-a", "self"}
    assert len(marquez(client, "dataset:data:a")) == 7
    assert walk(client, "upstream", "job:jobs:a-b", "job") == ["c-a", "self", "b-c"]


def test_limited_answer_says_how_much_is_missing(client: FlaskClient) -> None:
    store(client, run_event(inputs=tuple("abcdefghij"), outputs=("z",)))
    answer = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:z", granularity="dataset", limit=4)
    assert (len(answer["nodes"]), answer["truncated"], answer["missing"]) == (4, True, 7)
    answer = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:z", granularity="dataset", limit=11)
    assert (len(answer["nodes"]), answer["truncated"], answer["missing"]) == (11, False, 0)
    text = get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:z", granularity="dataset", limit=4)
    (drawn,) = parsed([text])
    assert drawn.ok, drawn.error
    assert "… +7 more" in drawn.labels.values()


# --- which inputs and outputs a job has now --------------------------------------------------------------------------


def sides(client: FlaskClient, job: str = "load") -> tuple[list[str], list[str]]:
    found = get(client, f"/api/v1/namespaces/jobs/jobs/{job}")
    inputs, outputs = ([one["name"] for one in found[side]] for side in ("inputs", "outputs"))
    node = next(one for one in marquez(client, f"job:jobs:{job}", depth=0) if one["type"] == "JOB")
    assert sorted(short(edge["origin"]) for edge in node["inEdges"]) == inputs
    assert sorted(short(edge["destination"]) for edge in node["outEdges"]) == outputs
    return inputs, outputs


def test_newest_run_replaces_what_an_older_one_read_and_wrote(client: FlaskClient) -> None:
    store(
        client,
        run_event(time="2026-01-02T00:00:00Z", run=2, inputs=("c",), outputs=("d",)),
        run_event(time="2026-01-01T00:00:00Z", run=1, inputs=("a",), outputs=("b",)),  # late: older by its event time
    )
    assert sides(client) == (["c"], ["d"])
    assert walk(client, "upstream", "dataset:data:b") == []


def test_events_of_one_run_add_up(client: FlaskClient) -> None:
    store(
        client,
        run_event("START", "2026-01-01T00:00:00Z", inputs=("a",)),
        run_event("COMPLETE", "2026-01-01T00:00:09Z", outputs=("c",)),
        run_event("RUNNING", "2026-01-01T00:00:05Z", inputs=("b",)),
    )
    assert sides(client) == (["a", "b"], ["c"])


def test_failed_run_without_outputs_erases_nothing(client: FlaskClient) -> None:
    store(
        client,
        run_event(time="2026-01-01T00:00:00Z", run=1, inputs=("a",), outputs=("b",)),
        run_event("FAIL", "2026-01-02T00:00:00Z", run=2, inputs=("c",)),
        run_event("START", "2026-01-03T00:00:00Z", run=3),
    )
    assert sides(client) == (["c"], ["b"])
    assert get(client, "/api/v1/namespaces/jobs/jobs/load")["latestRun"]["id"].endswith("3")


def test_job_event_declares_what_no_run_has_shown(client: FlaskClient) -> None:
    declared = job_event("2026-01-05T00:00:00Z", inputs=("a", "b"), outputs=("c",))
    store(client, declared)
    assert sides(client) == (["a", "b"], ["c"])
    store(client, run_event(time="2026-01-01T00:00:00Z", outputs=("d",)))
    assert sides(client) == (["a", "b"], ["d"])
    store(client, run_event(time="2026-01-01T00:00:00Z", run=2, inputs=("e",)))
    assert sides(client) == (["e"], ["d"])


def test_newest_job_event_replaces_the_ones_before_it(client: FlaskClient) -> None:
    store(
        client,
        job_event("2026-01-02T00:00:00Z", inputs=("new",), outputs=("c",)),
        job_event("2026-01-01T00:00:00Z", inputs=("old",), outputs=("b",)),
    )
    assert sides(client) == (["new"], ["c"])
    store(client, job_event("2026-01-03T00:00:00Z"))
    assert sides(client) == ([], [])


# --- evidence --------------------------------------------------------------------------------------------------------


def test_only_a_job_of_several_outputs_is_guessed_about(client: FlaskClient) -> None:
    store(
        client,
        run_event(inputs=("a", "b"), outputs=("c",)),
        run_event(run=2, job="split", inputs=("c",), outputs=("d", "e")),
    )
    assert edges(client, "upstream", "dataset:data:d") == {
        "c > d": "inferred", "a > c": "declared", "b > c": "declared",
    }  # fmt: skip
    assert edges(client, "downstream", "dataset:data:c") == {"c > d": "inferred", "c > e": "inferred"}
    assert set(edges(client, "upstream", "dataset:data:d", "all").values()) == {"declared"}


def test_column_lineage_counts_before_all_to_all(client: FlaskClient) -> None:
    made = dataset("c", columnLineage=columns(x=[("a", "x")]))
    store(client, run_event(inputs=("a", "b"), outputs=(made, "d")))
    assert edges(client, "upstream", "dataset:data:c") == {"a > c": "column"}
    assert edges(client, "upstream", "dataset:data:d") == {"a > d": "inferred", "b > d": "inferred"}
    assert edges(client, "downstream", "dataset:data:b") == {"b > d": "inferred"}


def test_column_lineage_of_one_job_leaves_another_job_alone(client: FlaskClient) -> None:
    made = dataset("c", columnLineage=columns(x=[("a", "x")]))
    store(
        client,
        run_event(inputs=("a", "b"), outputs=(made,)),
        run_event(run=2, job="too", inputs=("b", "e"), outputs=("c",)),
    )
    assert edges(client, "upstream", "dataset:data:c") == {"a > c": "column", "b > c": "declared", "e > c": "declared"}


def test_column_lineage_that_is_deleted_or_misshapen_says_nothing(client: FlaskClient) -> None:
    for number, wrong in enumerate([facet(_deleted=True), facet(fields=[]), "text"], 1):
        made = {"namespace": "data", "name": f"c{number}", "facets": {"columnLineage": wrong}}
        store(client, run_event(run=number, job=f"j{number}", inputs=("a",), outputs=(made,)))
        assert edges(client, "upstream", f"dataset:data:c{number}") == {f"a > c{number}": "declared"}


def test_dataset_event_tells_of_columns_without_any_job(client: FlaskClient) -> None:
    store(client, dataset_event(dataset("c", columnLineage=columns(x=[("a", "y")])), "2026-01-02T00:00:00Z"))
    store(client, dataset_event(dataset("c", columnLineage=columns(x=[("old", "y")])), "2026-01-01T00:00:00Z"))
    assert edges(client, "upstream", "dataset:data:c") == {"a > c": "column"}
    assert edges(client, "downstream", "datasetField:data:a:y", "column") == {"a.y > c.x": "column"}
    assert edges(client, "upstream", "dataset:data:c", "all") == {}


def test_explicit_lineage_counts_before_all_other(client: FlaskClient) -> None:
    stated = {"inputs": [{"type": "DATASET", "namespace": "data", "name": "b"}]}
    made = dataset("c", columnLineage=columns(x=[("a", "x")]), lineage=stated)
    store(client, run_event(inputs=("a", "b"), outputs=(made,)))
    assert edges(client, "upstream", "dataset:data:c") == {"b > c": "explicit"}


# --- columns ---------------------------------------------------------------------------------------------------------


def test_columns_are_walked_both_ways(client: FlaskClient) -> None:
    made = columns(m=[("a", "x"), ("a", "y")], n=[("a", "y")])
    store(
        client,
        run_event(inputs=("a",), outputs=(dataset("b", columnLineage=made),)),
        run_event(run=2, job="two", inputs=("b",), outputs=(dataset("c", columnLineage=columns(z=[("b", "m")])),)),
    )
    assert walk(client, "upstream", "datasetField:data:c:z", "column") == ["b.m", "a.x", "a.y"]
    assert walk(client, "upstream", "datasetField:data:c:z", "column", depth=1) == ["b.m"]
    assert walk(client, "downstream", "datasetField:data:a:y", "column") == ["b.m", "b.n", "c.z"]
    assert walk(client, "upstream", "dataset:data:b", "column") == ["a.x", "a.y"]
    assert edges(client, "upstream", "datasetField:data:b:m", "column") == {
        "a.x > b.m": "column",
        "a.y > b.m": "column",
    }


def test_what_shapes_the_whole_dataset_shapes_each_of_its_columns(client: FlaskClient) -> None:
    lineage = columns(m=[("a", "x")]) | {"dataset": [{"namespace": "data", "name": "a", "field": "filter"}]}
    store(
        client,
        run_event(inputs=("a",), outputs=(dataset("b", columnLineage=lineage),)),
        run_event(run=2, job="two", inputs=("b",), outputs=(dataset("c", columnLineage=columns(z=[("b", "m")])),)),
    )
    assert walk(client, "upstream", "datasetField:data:c:z", "column") == ["b.m", "a.filter", "a.x"]
    assert walk(client, "downstream", "datasetField:data:a:filter", "column") == ["b", "c.z"]


def test_column_without_lineage_is_a_node_alone(client: FlaskClient) -> None:
    store(client, run_event(outputs=(dataset("a", schema=schema("x")),)))
    answer = get(client, f"{LINEAGE}/upstream", nodeId="datasetField:data:a:x", granularity="column")
    assert (ids(answer["nodes"]), answer["edges"]) == (["a.x"], [])


# --- several names, one dataset --------------------------------------------------------------------------------------

SYMLINK = dataset("physical", symlinks={"identifiers": [{"namespace": "data", "name": "logical", "type": "TABLE"}]})
WRITES = run_event("COMPLETE", "2026-01-01T00:00:00Z", job="writes", inputs=("a",), outputs=("logical",))
READS = run_event("COMPLETE", "2026-01-02T00:00:00Z", run=2, job="reads", inputs=(SYMLINK,), outputs=("b",))


@pytest.mark.parametrize("order", [[WRITES, READS], [READS, WRITES]], ids=["symlink last", "symlink first"])
def test_symlink_makes_two_names_one_dataset(client: FlaskClient, order: list[JSON]) -> None:
    store(client, *order)
    assert walk(client, "upstream", "dataset:data:b") == ["physical", "a"]
    assert walk(client, "downstream", "dataset:data:a") == ["physical", "b"]
    for name in ("logical", "physical"):
        assert get(client, f"/api/v1/namespaces/data/datasets/{name}")["name"] == "physical"
        assert get(client, f"{LINEAGE}/upstream", nodeId=f"dataset:data:{name}")["nodeId"] == "dataset:data:physical"
    assert "logical" not in ids(marquez(client, "job:jobs:writes"))
    assert get(client, "/api/v1/namespaces/jobs/jobs/writes")["outputs"] == [{"namespace": "data", "name": "physical"}]


def test_what_was_said_under_each_name_is_said_of_the_one_dataset(client: FlaskClient) -> None:
    named = dataset("logical", schema=schema("x"), columnLineage=columns(x=[("a", "y")]))
    store(client, run_event(inputs=("a",), outputs=(named,)), READS)
    found = get(client, "/api/v1/namespaces/data/datasets/physical")
    assert [column["name"] for column in found["fields"]] == ["x"]
    assert set(found["facets"]) >= {"schema", "symlinks"}
    assert found["currentVersion"]
    assert walk(client, "upstream", "datasetField:data:logical:x", "column") == ["a.y"]
    assert walk(client, "upstream", "datasetField:data:physical:x", "column") == ["a.y"]


def test_renamed_dataset_keeps_what_came_before(client: FlaskClient) -> None:
    change = {"lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": "data", "name": "old"}}
    renamed = dataset("new", lifecycleStateChange=change)
    store(
        client,
        run_event(time="2026-01-01T00:00:00Z", inputs=("a",), outputs=("old",)),
        run_event(time="2026-01-02T00:00:00Z", run=2, job="rename", outputs=(renamed,)),
        run_event(time="2026-01-03T00:00:00Z", run=3, job="reads", inputs=("new",), outputs=("b",)),
    )
    assert walk(client, "upstream", "dataset:data:b") == ["new", "a"]
    assert get(client, "/api/v1/namespaces/data/datasets/old")["name"] == "new"
    assert get(client, "/api/v1/namespaces/data/datasets/new")["lastLifecycleState"] == "RENAME"


def test_dataset_events_under_two_names_tell_the_newest_columns(client: FlaskClient) -> None:
    store(
        client,
        dataset_event(dataset("logical", columnLineage=columns(x=[("new", "y")])), "2026-01-03T00:00:00Z"),
        dataset_event(SYMLINK, "2026-01-01T00:00:00Z"),
        dataset_event(dataset("physical", columnLineage=columns(x=[("old", "y")])), "2026-01-02T00:00:00Z"),
    )
    assert edges(client, "upstream", "dataset:data:physical") == {"new > physical": "column"}


# --- diagrams --------------------------------------------------------------------------------------------------------


def test_every_diagram_is_read_by_mermaid_as_the_json_says(client: FlaskClient) -> None:
    for line in DBT.read_bytes().splitlines():
        assert client.post(LINEAGE, data=line).status_code == 201
    store(
        client,
        *flow("a", "b", "c", "a"),
        run_event("FAIL", run=8, job="split", inputs=("a", "c"), outputs=("d", "e")),
        run_event(run=9, job="columns", inputs=("d",), outputs=(dataset("f", columnLineage=columns(x=[("d", "y")])),)),
    )
    starts = [("dataset:data:f", ("all", "dataset", "column")), ("job:jobs:a-b", ("all", "job"))]
    starts += [("dataset:data:a", ("all", "dataset")), ("datasetField:data:d:y", ("column",))]
    dbt = json.loads(DBT.read_bytes().splitlines()[-1])["job"]
    starts.append((str(job_node(dbt["namespace"], dbt["name"])), ("all", "job")))
    queries = [
        {"nodeId": node, "granularity": granularity, "direction": direction, "depth": depth, "layout": layout}
        for node, granularities in starts
        for granularity in granularities
        for direction in ("upstream", "downstream", "both", "any")
        for depth, layout in ((0, "LR"), (1, "TB"), (20, "RL"))
        if direction != "any" or granularity == "all"
    ]
    drawn = parsed(get_text(client, f"{LINEAGE}/diagram", **query) for query in queries)
    assert len(drawn) > 50
    for query, one in zip(queries, drawn, strict=True):
        expected = get(client, f"{LINEAGE}/diagram", format="json", **query)
        assert one.ok, (query, one.error)
        assert len(one.nodes) == len(expected["nodes"]), query
        assert len(one.edges) == len(expected["edges"]), query
        dotted = [edge for edge in expected["edges"] if edge["evidence"] == "inferred"]
        assert sum(arrow["stroke"] == "dotted" for arrow in one.arrows) == len(dotted), query
        assert one.direction == query["layout"]
        names = sorted(node.get("field") or node["name"] for node in expected["nodes"])
        assert sorted(label.split("\n")[0] for label in one.labels.values()) == names, query


def test_both_ways_is_upstream_and_downstream_together(client: FlaskClient) -> None:
    store(client, *flow("a", "b", "c", "d"), *flow("a", "x", first=9))
    for granularity, node in (("all", "dataset:data:b"), ("dataset", "dataset:data:b"), ("job", "job:jobs:b-c")):
        up, down, both = (
            get(client, f"{LINEAGE}/diagram", nodeId=node, granularity=granularity, direction=way, format="json")
            for way in ("upstream", "downstream", "both")
        )
        nodes = {one["id"] for one in (*up["nodes"], *down["nodes"])}
        assert {one["id"] for one in both["nodes"]} == nodes
        assert len(both["edges"]) == len(up["edges"]) + len(down["edges"])


def test_diagram_has_its_formats_by_parameter_and_by_suffix(shared: FlaskClient) -> None:
    store(shared, *flow("a", "b"))
    query = {"nodeId": "dataset:data:b", "layout": "TB", "title": "what b needs"}
    mermaid, dot = (shared.get(f"{LINEAGE}/diagram.{suffix}", query_string=query) for suffix in ("mmd", "dot"))
    assert mermaid.data == shared.get(f"{LINEAGE}/diagram", query_string=query).data
    assert mermaid.data == shared.get(f"{LINEAGE}/diagram", query_string=query | {"format": "mermaid"}).data
    assert dot.data == shared.get(f"{LINEAGE}/diagram", query_string=query | {"format": "dot"}).data
    assert mermaid.text.startswith("flowchart TB")
    assert "what b needs" in mermaid.text
    assert dot.text.startswith("digraph")
    assert mermaid.mimetype == "text/plain"
    assert dot.mimetype == "text/vnd.graphviz"
    for response in (mermaid, dot):
        assert response.headers["Content-Security-Policy"] == "default-src 'none'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"format": "pdf"}, "format"),
        ({"layout": "sideways"}, "layout"),
        ({"direction": "sideways"}, "direction"),
        ({"title": "x" * 201}, "title"),
        ({"granularity": "job"}, "nodeId"),
        ({"nodeId": "datasetField:data:b:x"}, "nodeId"),
    ],
)
def test_bad_diagram_query_is_refused_by_its_field(shared: FlaskClient, query: dict[str, str], path: str) -> None:
    store(shared, *flow("a", "b"))
    response = shared.get(f"{LINEAGE}/diagram", query_string={"nodeId": "dataset:data:b"} | query)
    assert response.status_code == 400
    assert list(response.json["errors"]) == [path]


def test_large_diagram_is_cut_at_its_far_end(client: FlaskClient) -> None:
    store(
        client,
        run_event(run=1, inputs=tuple(f"i{n}" for n in range(700)), outputs=("near",)),
        *flow("near", "end", first=2),
    )
    text = get_text(client, f"{LINEAGE}/diagram", nodeId="dataset:data:end")
    (drawn,) = parsed([text])
    assert drawn.ok, drawn.error
    assert len(drawn.edges) <= 500
    assert {"end", "near", "near-end", "load"} <= {label.split("\n")[0] for label in drawn.labels.values()}
    (more,) = (label for label in drawn.labels.values() if label.startswith("… +"))
    assert int(more.split("+")[1].split()[0]) == 704 - (len(drawn.nodes) - 1)


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    "postgres://db.example:5432", "a/b/c.parquet", "a//b", "/tmp/x", "x#y", "x#1", "50%", "%2F", "%25", "two words",
    " edge ", "ünïcode 日本 😀", "a+b", "q?x=1&y=2", "semi;colon", "dots/../up", "..", "datasets", "jobs/x/datasets",
    "a:b:c", "quote\"'`", "back\\slash", "{curly}", "<tag>", "tab\tnew\nline", "@version", "~", "s3://bucket/key=1/",
]  # fmt: skip


def named_events() -> list[JSON]:
    found = []
    for number, name in enumerate(NAMES, 1):
        made = {"namespace": name, "name": name, "facets": {"columnLineage": columns(**{name: [("origin", name)]})}}
        found.append(run_event(run=number, job=name, namespace=name, inputs=("origin",), outputs=(made,)))
    return found


def paths_of(name: str) -> Iterator[tuple[str, JSON]]:
    """Every path that has ``name`` in it, percent-encoded, and what must be in its answer."""
    part = quote(name, safe="")
    yield f"/api/v1/namespaces/{part}/datasets/{part}", {"namespace": name, "name": name}
    yield f"/api/v1/namespaces/{part}/jobs/{part}", {"namespace": name, "name": name}


def queries_of(name: str) -> Iterator[tuple[str, str]]:
    for node, granularity in (
        (str(dataset_node(name, name)), "dataset"),
        (str(job_node(name, name)), "job"),
        (str(field_node(name, name, name)), "column"),
    ):
        yield node, f"{LINEAGE}/upstream?{urlencode({'nodeId': node, 'granularity': granularity})}"
    for node in (str(dataset_node(name, name)), str(job_node(name, name))):
        yield node, f"{LINEAGE}/upstream?{urlencode({'nodeId': node})}"


def test_odd_names_are_found_by_path_and_node_id(client: FlaskClient) -> None:
    assert client.post(f"{LINEAGE}/batch", data=json.dumps(named_events()).encode()).json["failed_events"] == []
    for name in NAMES:
        for path, expected in paths_of(name):
            assert expected.items() <= get(client, path).items(), path
        for node, path in queries_of(name):
            assert get(client, path)["nodeId"] == node
    texts = [
        get_text(client, f"{LINEAGE}/diagram", nodeId=str(dataset_node("data", "origin")), granularity=granularity)
        for granularity in ("all", "dataset", "column")
    ]
    for drawn in parsed(texts):
        assert drawn.ok, drawn.error
        assert len(drawn.nodes) >= len(NAMES)


def test_odd_names_are_found_over_a_real_server(served: str) -> None:
    assert patient_session().post(f"{served}{LINEAGE}/batch", json=named_events()).json()["failed_events"] == []
    connection = http.client.HTTPConnection(urlsplit(served).netloc)

    def ask(path: str) -> Any:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (path, response.status, body)
        return read_strictly(body)

    for name in NAMES:
        for path, expected in paths_of(name):
            assert expected.items() <= ask(path).items(), path
        for node, path in queries_of(name):
            assert ask(path)["nodeId"] == node
    connection.close()


def test_names_that_could_be_read_two_ways_are_found_as_they_are_stored(client: FlaskClient) -> None:
    pairs = [("a", "b/datasets/c"), ("x/datasets/y", "z"), ("n:1", "o"), ("p", "q:2"), ("v", "w#3"), ("v", "u")]
    for number, (namespace, name) in enumerate(pairs, 1):
        store(client, run_event(run=number, job=f"j{number}", outputs=({"namespace": namespace, "name": name},)))
    for namespace, name in pairs:
        found = get(client, f"/api/v1/namespaces/{quote(namespace, safe='')}/datasets/{quote(name, safe='')}")
        assert found["id"] == {"namespace": namespace, "name": name}
        (node, _) = get(client, f"{LINEAGE}/upstream", nodeId=f"dataset:{namespace}:{name}")["nodes"]
        assert (node["namespace"], node["name"]) == (namespace, name)
    assert get(client, f"{LINEAGE}/upstream", nodeId="dataset:v:u#some-version")["nodeId"] == "dataset:v:u"


# --- cost ------------------------------------------------------------------------------------------------------------


@contextmanager
def counted(client: FlaskClient) -> Iterator[list[str]]:
    """The SQL statements that run meanwhile, counted at the driver: many do not pass through SQLAlchemy."""
    statements: list[str] = []
    engine = client.application.extensions[EXTENSION].engine
    if engine.dialect.name == "sqlite":

        def trace(connection: Any, *_: Any) -> None:
            connection.set_trace_callback(statements.append)

        sqlalchemy_event.listen(engine, "checkout", trace)
        try:
            yield statements
        finally:
            sqlalchemy_event.remove(engine, "checkout", trace)
            with engine.connect() as connection:  # the pool hands out the last one again first
                connection.connection.driver_connection.set_trace_callback(None)
    else:
        execute = psycopg.Cursor.execute

        def note(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
            statements.append(str(query))
            return execute(self, query, *rest, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", note)
            yield statements


def star(name: str, size: int) -> Iterator[JSON]:
    """``size`` datasets, with what documents quote, that a job reads; each was written by a job of its own."""
    inputs = [dataset(f"{name}-{number}", schema=schema("x", "y")) for number in range(size)]
    for number, one in enumerate(inputs):
        yield run_event(run=f"{name}-{number}", job=f"{name}-{number}", outputs=(one,))
    made = dataset(f"{name}-end", columnLineage=columns(z=[(one["name"], "x") for one in inputs]))
    yield run_event(run=name, job=name, inputs=tuple(inputs), outputs=(made,))


@pytest.mark.parametrize(
    "path",
    [
        f"{LINEAGE}?nodeId=job:jobs:NAME",
        f"{LINEAGE}?nodeId=dataset:data:NAME-end",
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end",
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end&granularity=dataset",
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end&granularity=column",
        f"{LINEAGE}/upstream?nodeId=job:jobs:NAME&granularity=job",
        f"{LINEAGE}/diagram?nodeId=dataset:data:NAME-end",
        "/api/v1/namespaces/jobs/jobs/NAME",
    ],
)
def test_answer_costs_the_same_statements_at_any_size(shared: FlaskClient, path: str) -> None:
    counts = {}
    for name, size in (("little", 3), ("large", 300)):
        events = json.dumps(list(star(name, size))).encode()
        while shared.post(f"{LINEAGE}/batch", data=events).status_code == 503:
            pass
        with counted(shared) as statements:
            response = shared.get(path.replace("NAME", name))
        assert response.status_code == 200
        counts[name] = len(statements)
    assert 0 < counts["large"] <= counts["little"] <= 40  # fewer where the first answer left something to remember
