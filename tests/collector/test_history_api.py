"""Answers by version and by time over HTTP: an incident that a person can follow, what is drawn, and bad input."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from time import time_ns
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from prov.model import ProvDocument

from collector.api.store import EXTENSION
from collector.history import uses
from collector.keys import dataset_id, isoformat
from collector.versions import version_uuid
from tests.collector.answers import get, get_text
from tests.collector.events import JSON, columns, dataset, dataset_event, facet, raw, run_event, schema
from tests.collector.test_graph_api import counted
from tests.mermaid_parser import parse_all

API = "/api/v1"
PATHS = "/lineage/paths"
RAW_TO_MART = {"from": "dataset:data:raw", "to": "dataset:data:mart"}


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def at(minute: int) -> str:
    """A moment of the night of the incident."""
    return f"2026-01-01T00:{minute:02}:00.000000Z"


def made(name: str, checksum: str, code: str = "c1", *columns: str) -> JSON:
    """An output with its checksum and the version of the code that made it."""
    asset = {"assetVersion": "1", "codeVersion": code}
    said = {"headwater_checksum": {"algorithm": "sha256", "value": checksum, "hashed": "file"}}
    return dataset(name, headwater_assetVersion=asset, **said, **({"schema": schema(*columns)} if columns else {}))


class Night:
    """Runs, each with the next number and two minutes long."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.runs = 0

    def send(self, *events: JSON) -> None:
        for event in events:
            assert self.client.post(f"{API}/lineage", data=raw(event)).status_code == 201

    def run(self, minute: int, job: str, inputs: tuple[Any, ...], *outputs: Any, job_facets: JSON | None = None) -> str:
        """A run that starts at a minute and completes in the next; returns its id."""
        self.runs += 1
        kinds = (("START", minute, ()), ("COMPLETE", minute + 1, outputs))
        events = [
            run_event(kind, at(when), run=self.runs, job=job, inputs=inputs, outputs=out, job_facets=job_facets)
            for kind, when, out in kinds
        ]
        self.send(*events)
        return str(events[0]["run"]["runId"])

    def ask(self, path: str, **query: Any) -> Any:
        return get(self.client, f"{API}{path}", **query)


@pytest.fixture
def night(client: FlaskClient) -> Night:
    """raw → orders → report and mart, made once, and then raw and orders again."""
    night = Night(client)
    night.run(0, "load", (), made("raw", "aaaaaaaa"))
    night.run(2, "clean", ("raw",), made("orders", "bbbbbbbb", "c1", "id", "price"))
    night.run(4, "render", ("orders",), made("report", "cccccccc"))
    night.run(5, "mart", ("orders",), made("mart", "dddddddd"))
    night.run(10, "load", (), made("raw", "eeeeeeee"))
    night.run(12, "clean", ("raw",), made("orders", "ffffffff", "c2", "id", "total"))
    return night


def names(nodes: list[JSON]) -> list[str]:
    return [node["name"] for node in nodes]


def test_bad_load_is_found_rebuilt_and_proven_mended(night: Night) -> None:
    bad = "dataset:data:raw#sha256:aaaaaaaa"
    touched = night.ask("/impact", nodeId=bad)
    assert names(touched["versions"]) == ["raw", "orders", "mart", "report"]
    assert [bool(one["supersededAt"]) for one in touched["versions"]] == [True, True, False, False]
    assert [one["name"] for one in touched["rebuild"]] == ["mart", "render"]
    assert night.ask("/impact/affected", nodeId="dataset:data:report", by=bad)["affected"] is True
    stale = {one["name"]: one["since"] for one in night.ask("/staleness", nodeId="dataset:data:raw")["datasets"]}
    assert stale == {"raw": None, "orders": None, "mart": at(13), "report": at(13)}

    night.run(20, "render", ("orders",), made("report", "99999999"))
    night.run(20, "mart", ("orders",), made("mart", "88888888"))
    assert night.ask("/impact", nodeId=bad)["rebuild"] == []
    mended = night.ask("/impact/affected", nodeId="dataset:data:report", by=bad)
    assert (mended["affected"], mended["path"]) == (False, [])
    assert night.ask("/staleness", nodeId="dataset:data:raw")["stale"] == 0
    before = night.ask("/staleness", nodeId="dataset:data:raw", asOf=at(15))
    assert before["stale"] == 2


def test_provenance_tells_versions_runs_code_and_checksums(night: Night) -> None:
    found = night.ask("/provenance", nodeId="dataset:data:report")
    report, orders, source = found["versions"]
    assert (report["checksum"], report["codeVersion"], report["codeEvidence"]) == ("sha256:cccccccc", "c1", "exact")
    assert (orders["checksum"], orders["supersededAt"]) == ("sha256:bbbbbbbb", at(13))
    assert (source["job"], source["createdAt"]) == ({"namespace": "jobs", "name": "load"}, at(1))
    assert {(one["versionEvidence"], one["flowEvidence"]) for one in found["steps"]} == {("inferred", "declared")}


def test_version_goes_by_each_of_its_names(night: Night) -> None:
    first = night.ask("/provenance", nodeId="dataset:data:raw@" + at(5))["versions"][0]
    names_of_it = [first["uuid"], first["runId"], "sha256:aaaaaaaa", "aaaaaaaa", "aaaaaa", "@" + at(5)]
    for name in names_of_it:
        assert night.ask("/provenance", nodeId=f"dataset:data:raw#{name}")["nodeId"] == first["id"], name


def test_a_reading_that_names_its_version_is_exact(night: Night) -> None:
    night.run(30, "audit", (made("raw", "aaaaaaaa"),), made("audited", "77777777"))
    found = night.ask("/provenance", nodeId="dataset:data:audited")
    assert [one["checksum"] for one in found["versions"]] == ["sha256:77777777", "sha256:aaaaaaaa"]
    assert found["steps"][0]["versionEvidence"] == "exact"
    assert "audited" in names(night.ask("/impact", nodeId="dataset:data:raw#aaaaaaaa")["versions"])
    assert "audited" not in names(night.ask("/impact", nodeId="dataset:data:raw#eeeeeeee")["versions"])


def test_a_bulk_job_makes_each_table_from_its_own_source_where_columns_say_so(night: Night) -> None:
    tables = [f"t{number}" for number in range(10)]
    outputs = [
        dataset(
            f"copy_{name}",
            columnLineage={"fields": {"x": {"inputFields": [{"namespace": "data", "name": name, "field": "x"}]}}},
        )
        for name in tables
    ]
    night.run(30, "bulk", tuple(tables), *outputs)
    for name in tables:
        found = night.ask("/provenance", nodeId=f"dataset:data:copy_{name}")
        assert [(one["origin"], one["flowEvidence"]) for one in found["steps"]] == [(f"dataset:data:{name}", "column")]


def test_source_that_nobody_writes_has_an_impact_too(night: Night) -> None:
    night.run(30, "enrich", ("weather", "raw"), made("enriched", "13131313"))
    assert night.ask("/provenance", nodeId="dataset:data:weather")["steps"] == []
    found = night.ask("/impact", nodeId="dataset:data:weather")
    assert (found["nodeId"], names(found["versions"])) == ("dataset:data:weather", ["weather", "enriched"])
    query = {"nodeId": "dataset:data:enriched", "by": "dataset:data:weather"}
    assert night.ask("/impact/affected", **query)["affected"] is True


def test_two_clocks(night: Night) -> None:
    before = isoformat(time_ns() // 1_000)
    night.run(6, "late", ("raw",), made("late", "66666666"))  # it happened long ago, and is told now
    assert "late" in names(night.ask("/lineage/downstream", nodeId="dataset:data:raw", asOf=at(8))["nodes"])
    known = night.ask("/lineage/downstream", nodeId="dataset:data:raw", asOf=at(8), knownAt=before)["nodes"]
    assert "late" not in names(known) and "report" in names(known)
    assert names(night.ask("/lineage/downstream", nodeId="dataset:data:raw", asOf=at(3))["nodes"]) == [
        "raw",
        "orders",
        "clean",
    ]
    then = night.ask("/lineage", nodeId="dataset:data:orders", asOf=at(8))["graph"]
    orders = next(node for node in then if node["id"] == "dataset:data:orders")["data"]
    assert [column["name"] for column in orders["fields"]] == ["id", "price"]
    diagram = get_text(night.client, f"{API}/lineage/diagram.mmd", nodeId="dataset:data:raw", asOf=at(3))
    assert "orders" in diagram and "report" not in diagram


def paths(night: Night, origin: str, destination: str, **query: Any) -> list[str]:
    ends = {"from": f"dataset:data:{origin}", "to": f"dataset:data:{destination}"}
    found = night.ask(PATHS, **ends, granularity="dataset", **query)
    return [" ".join(node.removeprefix("dataset:data:") for node in path["nodes"]) for path in found["paths"]]


def test_paths_are_those_of_the_moment(night: Night) -> None:
    before = isoformat(time_ns() // 1_000)
    night.run(6, "late", ("raw",), made("late", "66666666"))  # it happened long ago, and is told now
    night.run(20, "render", ("late",), made("report", "99999999"))
    assert paths(night, "raw", "report") == paths(night, "raw", "report", asOf=at(30)) == ["raw late report"]
    assert paths(night, "raw", "report", asOf=at(8)) == ["raw orders report"]
    assert paths(night, "raw", "report", knownAt=before) == ["raw orders report"]
    assert paths(night, "raw", "late", asOf=at(8)) == ["raw late"]
    ends = {"from": "dataset:data:raw", "to": "dataset:data:report"}
    diagram = get_text(night.client, API + PATHS, **ends, format="mermaid", asOf=at(8))
    assert "orders" in diagram and "late" not in diagram


@pytest.mark.parametrize("clock", [{}, {"asOf": at(15)}, {"knownAt": "2040-01-01T00:00:00Z"}])
def test_no_path_is_an_answer_at_any_moment(night: Night, clock: JSON) -> None:
    for origin, destination in (("report", "raw"), ("report", "mart")):
        assert paths(night, origin, destination, **clock) == []
    assert paths(night, "raw", "raw", **clock) == ["raw"]
    query = {"from": "dataset:data:report", "to": "job:jobs:load", **clock}
    assert night.ask(PATHS, **query)["found"] is False


def test_difference_tells_versions_schemas_and_code(night: Night) -> None:
    sql = {"sql": facet(query="select 2")}
    night.run(14, "render", ("orders", "raw"), made("report", "12121212"), job_facets=sql)
    found = night.ask("/lineage/diff", nodeId="dataset:data:raw", **{"from": at(9), "to": at(20)})
    changes = {one["id"]: one for one in found["nodes"]["changed"]}
    orders = changes["dataset:data:orders"]
    assert orders["code"] == {"from": "c1", "to": "c2", "evidence": "exact"}
    assert orders["schema"] == {"added": ["total"], "removed": ["price"], "changed": []}
    assert changes["job:jobs:render"]["code"]["to"].startswith("sql:")
    assert found["edges"]["added"] == [{"origin": "dataset:data:raw", "destination": "job:jobs:render"}]
    early = night.ask("/lineage/diff", nodeId="dataset:data:report", **{"from": at(3), "to": at(9)})
    assert {"dataset:data:report", "job:jobs:render"} <= set(early["nodes"]["added"])


def test_what_is_not_reproducible_and_what_was_made_for_nothing(night: Night) -> None:
    source = made("raw", "eeeeeeee")
    night.run(30, "clean", (source,), made("orders", "abababab", "c2"))
    night.run(32, "load", (), made("raw", "eeeeeeee"))
    found = night.ask("/reproducibility")
    (one,) = found["unreproducible"]
    assert (one["job"]["name"], one["dataset"], one["codeVersion"]) == ("clean", "dataset:data:orders", "c2")
    assert [run["checksum"] for run in one["runs"]] == ["sha256:ffffffff", "sha256:abababab"]
    assert [(again["dataset"], again["checksum"]) for again in found["noops"]] == [
        ("dataset:data:raw", "sha256:eeeeeeee")
    ]
    assert night.ask("/reproducibility", nodeId="job:jobs:load")["unreproducible"] == []


def test_description_of_a_dataset_makes_nothing_stale(night: Night) -> None:
    night.send(dataset_event(dataset("orders", documentation={"description": "cleaned"}), at(40)))
    night.run(20, "render", ("orders",), made("report", "99999999"))
    states = {one["name"]: one["stale"] for one in night.ask("/staleness", nodeId="dataset:data:report")["datasets"]}
    assert states == {"report": False}


@pytest.fixture
def two_names(client: FlaskClient) -> Night:
    """raw is known as table too; one run writes it under both names, in different events, and one reads it so."""
    night = Night(client)
    tie = {"symlinks": {"identifiers": [{"namespace": "data", "name": "table", "type": "TABLE"}]}}
    by_name = made("table", "aaaaaaaa", "c1", "id")
    by_path = dataset("raw", **tie)
    night.run(0, "load", (), by_path, by_name)
    night.run(2, "clean", (made("raw", "aaaaaaaa"), "table"), made("orders", "bbbbbbbb"))
    night.send(run_event("RUNNING", at(10), run=9, job="load", outputs=(by_path,)))
    night.send(run_event("COMPLETE", at(12), run=9, job="load", outputs=(made("table", "aaaaaaaa"),)))
    night.run(20, "clean", ("table", "raw"), made("orders", "cccccccc"))
    return night


def test_run_that_writes_one_dataset_under_two_names_makes_one_version_of_it(two_names: Night) -> None:
    for name in ("raw", "table"):
        versions = two_names.ask(f"/namespaces/data/datasets/{name}/versions")
        assert (versions["totalCount"], len(versions["versions"])) == (2, 2)
        newest, first = versions["versions"]
        assert (newest["createdAt"], [column["name"] for column in first["fields"]]) == (at(10), ["id"])
        assert two_names.ask(f"/namespaces/data/datasets/{name}")["currentVersion"] == newest["version"]
        (one,) = two_names.ask("/provenance", nodeId=f"dataset:data:{name}")["versions"]
        assert (one["uuid"], one["createdAt"], one["checksum"]) == (newest["version"], at(10), "sha256:aaaaaaaa")
        (one,) = two_names.ask("/provenance", nodeId=f"dataset:data:{name}", asOf=at(5))["versions"]
        assert (one["uuid"], one["checksum"]) == (first["version"], "sha256:aaaaaaaa")
        shown = two_names.ask(f"/namespaces/data/datasets/{name}/versions/{first['version']}")
        assert shown["version"] == first["version"]
        (output,) = shown["createdByRun"]["outputDatasetVersions"]
        assert output["datasetVersionId"]["version"] == first["version"]
    (noop,) = two_names.ask("/reproducibility")["noops"]
    assert noop["versions"] == [first["version"], newest["version"]]


def test_columns_of_a_version_are_told_under_any_of_its_names(client: FlaskClient) -> None:
    night = Night(client)
    tie = {"symlinks": {"identifiers": [{"namespace": "data", "name": "raw", "type": "TABLE"}]}}
    night.run(0, "name", (dataset("table", **tie),))
    night.run(2, "load", (), dataset("raw", columnLineage=columns(id=[("source", "id")])))
    for name in ("raw", "table"):
        (version,) = night.ask(f"/namespaces/data/datasets/{name}/versions")["versions"]
        found = night.ask("/column-lineage", nodeId=f"dataset:data:{name}#{version['version']}")["graph"]
        made_of = {node["data"]["dataset"]: [one["dataset"] for one in node["data"]["inputFields"]] for node in found}
        assert made_of["table"] == ["source"]


def test_each_name_of_a_version_of_two_finds_the_one(two_names: Night) -> None:
    newest = two_names.ask("/namespaces/data/datasets/raw/versions")["versions"][0]
    run_key = UUID(newest["createdByRun"]["id"]).bytes
    for name in ("raw", "table"):
        uuid = version_uuid(dataset_id("data", name), run_key)
        assert two_names.ask(f"/namespaces/data/datasets/raw/versions/{uuid}") == newest
        found = two_names.ask("/provenance", nodeId=f"dataset:data:raw#{uuid}")
        assert found["versions"][0]["uuid"] == newest["version"]


def test_run_that_reads_one_dataset_under_two_names_read_it_once(two_names: Night) -> None:
    newest, first = two_names.ask("/namespaces/data/datasets/raw/versions")["versions"]
    made_of = two_names.ask("/provenance", nodeId="dataset:data:orders#bbbbbbbb")
    assert [(step["origin"].partition("#")[2], step["versionEvidence"]) for step in made_of["steps"]] == [
        (first["version"], "exact")
    ]
    run = two_names.ask(f"/jobs/runs/{made_of['versions'][0]['runId']}")
    assert [one["datasetVersionId"]["version"] for one in run["inputDatasetVersions"]] == [first["version"]]
    (step,) = two_names.ask("/impact", nodeId=f"dataset:data:raw#{newest['version']}")["steps"]
    assert step["versionEvidence"] == "inferred"


def test_version_tells_at_a_moment_what_its_run_had_told_by_then(client: FlaskClient) -> None:
    night = Night(client)
    for run, (minute, job, inputs, output) in enumerate(
        ((0, "load", (), "raw"), (2, "clean", ("raw",), "orders"), (4, "render", ("orders",), "report")), 1
    ):
        night.send(run_event("RUNNING", at(minute), run=run, job=job, inputs=inputs, outputs=(output,)))
        night.send(run_event("COMPLETE", at(9), run=run, job=job, outputs=(made(output, f"{output}{output}"),)))
    for moment, checksums in (
        (at(5), {None}),
        (at(9), {"sha256:rawraw", "sha256:ordersorders", "sha256:reportreport"}),
    ):
        for way, node in (("provenance", "report"), ("impact", "raw")):
            found = night.ask(f"/{way}", nodeId=f"dataset:data:{node}", asOf=moment)
            assert set(names(found["versions"])) == {"raw", "orders", "report"}
            assert {one["checksum"] for one in found["versions"]} == checksums
    assert client.get(f"{API}/impact?nodeId=dataset:data:raw%23sha256:rawraw&asOf={at(5)}").status_code == 404


def test_dataset_is_known_since_any_of_its_names_is(client: FlaskClient) -> None:
    night = Night(client)
    tie = {"symlinks": {"identifiers": [{"namespace": "data", "name": "table", "type": "TABLE"}]}}
    night.run(0, "clean", ("table",), made("orders", "aaaaaaaa"))
    night.run(9, "clean", (dataset("raw", **tie),), made("orders", "bbbbbbbb"))
    for name in ("raw", "table"):
        for path in ("/provenance", "/impact", "/lineage/downstream"):
            assert night.ask(path, nodeId=f"dataset:data:{name}", asOf=at(2))["nodeId"] == "dataset:data:raw"


def test_description_supersedes_no_other_where_a_version_of_the_data_is_known(client: FlaskClient) -> None:
    night = Night(client)
    night.send(dataset_event(dataset("raw", version={"datasetVersion": "v1"}), at(0)))
    for minute in (1, 2):
        night.send(dataset_event(dataset("raw", documentation={"description": f"{minute}"}), at(minute)))
    versions = night.ask("/namespaces/data/datasets/raw/versions")["versions"]
    found = [night.ask("/provenance", nodeId=f"dataset:data:raw#{one['version']}")["versions"][0] for one in versions]
    assert [(one["createdAt"], one["supersededAt"]) for one in found] == [(at(2), None), (at(1), None), (at(0), None)]


def test_what_an_older_run_stated_holds_in_the_past_though_a_newer_one_did_nothing(client: FlaskClient) -> None:
    origin = {"type": "DATASET", "namespace": "data", "name": "b"}
    stated = facet(entries=[{"type": "DATASET", "namespace": "data", "name": "a", "inputs": [origin]}])
    older = run_event("START", at(0), run=1, job="states", job_facets={"lineage": stated})
    newer = run_event("START", at(1), run=2, job="states")
    for event in (older, newer):
        assert client.post(f"{API}/lineage", data=raw(event)).status_code == 201
    for clock in ({}, {"asOf": at(5)}, {"knownAt": "2040-01-01T00:00:00Z"}):
        found = get(client, f"{API}/lineage/downstream", nodeId="dataset:data:b", granularity="dataset", **clock)
        assert names(found["nodes"]) == ["b", "a"]


def changes_between(night: Night, node: str, marks: list[str], clock: str) -> list[JSON]:
    """What changed of the node from each of the moments to the next."""
    found = []
    for before, after in itertools.pairwise(marks):
        answer = night.ask("/lineage/diff", nodeId=node, clock=clock, **{"from": before, "to": after})
        changed = {one["id"]: one for one in answer["nodes"]["changed"]}.get(node, {})
        found.append({kind: change for kind, change in changed.items() if kind in ("schema", "code")})
    return found


@pytest.mark.parametrize("clock", ["happened", "known"])
def test_what_an_older_run_told_holds_until_a_newer_one_tells_another(client: FlaskClient, clock: str) -> None:
    night = Night(client)
    marks = []
    for minute, told, query in ((0, ("id", "price"), 1), (2, (), None), (4, ("id",), 2)):
        sql = {} if query is None else {"sql": facet(query=f"select {query}")}
        night.run(minute, "clean", ("raw",), made("orders", f"{minute:08}", "c1", *told), job_facets=sql)
        marks.append(at(minute + 1) if clock == "happened" else isoformat(time_ns() // 1_000))
        time.sleep(0.002)
    nothing, removed = changes_between(night, "dataset:data:orders", marks, clock)
    assert (nothing, removed["schema"]) == ({}, {"added": [], "removed": ["price"], "changed": []})
    nothing, other = changes_between(night, "job:jobs:clean", marks, clock)
    assert (nothing, other["code"]["from"][:4], other["code"]["to"][:4]) == ({}, "sql:", "sql:")


def test_schema_of_a_source_is_what_its_newest_reader_tells(client: FlaskClient) -> None:
    night = Night(client)
    for minute, job, column in ((0, "one", "price"), (2, "other", "total"), (4, "one", "total")):
        night.run(minute, job, (dataset("raw", schema=schema("id", column)),), "orders")
    first, then = changes_between(night, "dataset:data:raw", [at(1), at(3), at(5)], "happened")
    assert (first["schema"]["added"], first["schema"]["removed"], then) == (["total"], ["price"], {})


def test_same_sql_from_a_newer_producer_is_no_new_code(client: FlaskClient) -> None:
    night = Night(client)
    for minute in (0, 2):
        sql = {**facet(query="select 1"), "_producer": f"https://example.com/{minute}"}
        night.run(minute, "clean", ("raw",), "orders", job_facets={"sql": sql})
    assert changes_between(night, "job:jobs:clean", [at(1), at(3)], "happened") == [{}]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/provenance", {"nodeId": "dataset:data:report"}),
        ("/impact", {"nodeId": "dataset:data:raw#aaaaaa"}),
        ("/staleness", {"nodeId": "dataset:data:raw"}),
        ("/lineage/diff", {"nodeId": "dataset:data:orders", "from": at(3), "to": at(20)}),
    ],
)
def test_every_answer_can_be_drawn(night: Night, path: str, query: JSON) -> None:
    mermaid = get_text(night.client, API + path, format="mermaid", **query)
    (parsed,) = parse_all([mermaid])
    assert len(parsed.nodes) >= 3
    assert get_text(night.client, API + path, format="dot", **query).startswith("digraph")
    assert get_text(night.client, API + path, format="svg", **query).lstrip().startswith(("<?xml", "<svg"))


def test_provenance_is_w3c_prov(night: Night) -> None:
    found = night.ask("/provenance", nodeId="dataset:data:report", format="prov")
    document = ProvDocument.deserialize(content=json.dumps(found))
    kinds = [type(record).__name__ for record in document.get_records()]
    assert kinds.count("ProvEntity") == kinds.count("ProvActivity") == kinds.count("ProvGeneration") == 3
    assert kinds.count("ProvDerivation") == kinds.count("ProvUsage") == 2


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        ("/provenance", {"nodeId": "dataset:data:orders#nope"}, 404, "has no version 'nope'"),
        ("/provenance", {"nodeId": "dataset:data:nothing"}, 404, "Dataset 'nothing' not found."),
        ("/provenance", {"nodeId": "dataset:data:orders@2025-01-01T00:00:00Z"}, 404, "had no version at"),
        ("/provenance", {"nodeId": "dataset:data:orders#@yesterday"}, 400, "is not an ISO-8601 time"),
        ("/provenance", {"nodeId": "job:jobs:load"}, 400, "is not asked for here"),
        ("/provenance", {"nodeId": "dataset:data:orders", "asOf": "soon"}, 400, "asOf"),
        ("/provenance", {"nodeId": "dataset:data:orders", "asOf": at(1)}, 404, "Nothing was known of 'orders'"),
        ("/provenance", {"nodeId": "dataset:data:orders", "depth": -1}, 400, "depth"),
        ("/impact", {"nodeId": "dataset:data:orders", "limit": 0}, 400, "limit"),
        ("/impact/affected", {"nodeId": "dataset:data:orders"}, 400, "by"),
        ("/impact/affected", {"nodeId": "dataset:data:orders", "by": "dataset:data:x"}, 404, "not found"),
        ("/staleness", {"nodeId": "job:jobs:load"}, 400, "is not asked for here"),
        (
            "/staleness",
            {"nodeId": "dataset:data:raw", "asOf": "2020-01-01T00:00:00Z"},
            404,
            "Nothing was known of 'raw'",
        ),
        ("/lineage", {"nodeId": "dataset:data:raw", "knownAt": "2020-01-01T00:00:00Z"}, 404, "Nothing was known"),
        (PATHS, {**RAW_TO_MART, "asOf": at(3)}, 404, "Nothing was known of 'mart' at that moment"),
        (PATHS, {**RAW_TO_MART, "knownAt": "2020-01-01T00:00:00Z"}, 404, "Nothing was known of 'raw'"),
        (PATHS, {**RAW_TO_MART, "to": "dataset:data:nothing", "asOf": at(3)}, 404, "Dataset 'nothing' not found."),
        (PATHS, {**RAW_TO_MART, "to": "nothing", "asOf": at(3)}, 400, "'nothing'"),
        (PATHS, {**RAW_TO_MART, "asOf": "soon"}, 400, "asOf"),
        ("/lineage/diff", {"nodeId": "dataset:data:raw"}, 400, "from"),
        ("/lineage/diff", {"nodeId": "dataset:data:raw", "from": "x"}, 400, "from"),
        ("/reproducibility", {"nodeId": "run:1"}, 400, "is not asked for here"),
        ("/reproducibility", {"limit": 10**9}, 400, "limit"),
    ],
)
def test_bad_input_is_told(night: Night, path: str, query: JSON, status: int, message: str) -> None:
    response = night.client.get(API + path, query_string=query)
    assert response.status_code == status, response.text
    assert response.json is not None and response.json["code"] == status
    assert message in response.json["message"]


def test_enormous_answer_is_cut_and_says_how_to_narrow_it(night: Night) -> None:
    found = night.ask("/impact", nodeId="dataset:data:raw#aaaaaa", limit=2)
    assert (len(found["versions"]), found["truncated"]) == (2, True)
    assert found["missing"] >= 1 and "smaller depth" in found["note"]


@pytest.mark.parametrize("moment", [{"asOf": at(50)}, {"knownAt": "2040-01-01T00:00:00Z"}])
def test_past_of_more_jobs_than_are_looked_at_says_that_it_is_cut(
    night: Night, monkeypatch: pytest.MonkeyPatch, moment: JSON
) -> None:
    for number in range(8):
        night.run(30, f"writer {number}", (), "all")
    asked = {"nodeId": "dataset:data:all", "granularity": "dataset", **moment}
    assert not night.ask("/lineage/upstream", **asked)["truncated"]
    extensions = night.client.application.extensions
    monkeypatch.setitem(extensions, EXTENSION, replace(extensions[EXTENSION], max_nodes=5))
    for path in ("/lineage/upstream", "/staleness"):
        found = night.ask(path, **asked) if path != "/staleness" else night.ask(path, nodeId=asked["nodeId"], **moment)
        assert (found["truncated"], found["missing"]) == (True, 3), path


def test_column_that_was_dropped_is_asked_about_at_a_time_that_had_it(night: Night) -> None:
    night.run(30, "keep", (), made("t", "a1", "c1", "id", "price"))
    night.run(40, "keep", (), made("t", "a2", "c2", "id"))
    asked = {"nodeId": "datasetField:data:t:price", "granularity": "column"}
    assert [one["field"] for one in night.ask("/lineage/upstream", **asked, asOf=at(35))["nodes"]] == ["price"]
    for query in (asked, {**asked, "asOf": at(45)}, {**asked, "nodeId": "datasetField:data:t:never", "asOf": at(35)}):
        answer = night.client.get(f"{API}/lineage/upstream", query_string=query)
        assert (answer.status_code, "not found" in answer.json["message"]) == (404, True), query


def test_crawler_that_tells_the_same_every_night_costs_the_past_little(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = dataset_event(dataset("all", columnLineage=columns(x=[("raw", "x")])), time="2020-01-01T00:00:00Z")
    crawled = [
        dataset_event(
            dataset("all", schema=schema("x", *(["y"] if n % 2 else []))), time=f"2020-02-01T00:00:00.{n:06}Z"
        )
        for n in range(300)
    ]
    answer = night.client.post(f"{API}/lineage/batch", json=[flow, *crawled])
    assert answer.json["summary"]["failed"] == 0
    events: list[Any] = []
    read = uses.read_stored
    monkeypatch.setattr(uses, "read_stored", lambda *of: (events.append(of), read(*of))[1])
    asked = {"nodeId": "dataset:data:all", "asOf": "2020-02-01T00:00:00.000100Z"}
    found = night.ask("/lineage/upstream", **asked, granularity="dataset")
    assert [one["name"] for one in found["nodes"]] == ["all", "raw"]
    assert len(events) == 2  # the flow, and the newest schema
    changed = night.ask(
        "/lineage/diff", nodeId=asked["nodeId"], **{"from": "2020-02-01T00:00:00.000001Z", "to": asked["asOf"]}
    )
    assert [one["schema"]["removed"] for one in changed["nodes"]["changed"]] == [["y"]]


def test_code_that_tells_no_version_is_passed_over_in_few_statements(night: Night) -> None:
    told = {"sourceCodeLocation": facet(type="git", url="https://example.com", version="v1")}
    silent = {"sourceCodeLocation": facet(type="git", url="https://example.com")}
    times = {"from": at(0), "to": at(20)}
    counts = []
    night.run(1, "quiet", (), "zz", job_facets=told)
    for runs in (4, 40):
        for _ in range(runs):
            night.run(5, "quiet", (), "zz", job_facets=silent)
        with counted(night.client) as statements:
            found = night.ask("/lineage/diff", nodeId="job:jobs:quiet", granularity="all", **times)
        counts.append(len(statements))
        assert found["nodes"]["added"] == ["dataset:data:zz", "job:jobs:quiet"]
    assert counts[1] <= counts[0] + 8
