"""What the answers say: versions, lineage of columns and runs, search in its order, counts in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from collector.event_counts import intervals
from tests.collector.events import columns, dataset, facet, run_event, schema
from tests.marquez.scenario import Call


def node_ids(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [node["id"] for node in document["graph"]]


def test_run_completed_by_calls_is_in_the_graph(call: Call) -> None:
    call("POST", "/lineage", run_event(run=9, job="other", inputs=("a",), outputs=("b",)))
    sides = {"inputs": [{"namespace": "data", "name": "a"}], "outputs": [{"namespace": "data", "name": "b"}]}
    call("PUT", "/namespaces/jobs/jobs/mine", {"type": "BATCH", **sides})
    run = call("POST", "/namespaces/jobs/jobs/mine/runs", {})[1]["id"]
    call("POST", f"/jobs/runs/{run}/start")
    call("POST", f"/jobs/runs/{run}/complete")
    graph = call("GET", "/lineage?nodeId=dataset:data:b&depth=1")[1]["graph"]
    assert [node["id"] for node in graph] == ["dataset:data:a", "dataset:data:b", "job:jobs:mine", "job:jobs:other"]
    [mine] = [node for node in graph if node["id"] == "job:jobs:mine"]
    assert mine["data"]["latestRun"]["state"] == "COMPLETED"
    assert mine["inEdges"] == [{"origin": "dataset:data:a", "destination": "job:jobs:mine"}]
    versions = call("GET", "/namespaces/data/datasets/b/versions")[1]
    assert versions["versions"][0]["createdByRun"]["id"] == run


def test_direction_and_roll_up_of_the_graph(call: Call) -> None:
    parent = facet(run={"runId": "00000000-0000-0000-0000-000000000009"}, job={"namespace": "jobs", "name": "dag"})
    for number, (job, read, written) in enumerate((("dag.one", "a", "b"), ("dag.two", "b", "c")), 1):
        event = run_event(run=number, job=job, inputs=(read,), outputs=(written,), run_facets={"parent": parent})
        call("POST", "/lineage", event)
    upstream = call("GET", "/lineage?nodeId=dataset:data:b&direction=upstream")[1]
    assert node_ids(upstream) == ["dataset:data:a", "dataset:data:b", "job:jobs:dag.one"]
    rolled = call("GET", "/lineage?nodeId=dataset:data:b&aggregateToParentRun=true")[1]
    assert node_ids(rolled) == ["dataset:data:a", "dataset:data:b", "dataset:data:c", "job:jobs:dag"]
    [dag] = [node for node in rolled["graph"] if node["type"] == "JOB"]
    assert len(dag["inEdges"]) == len(dag["outEdges"]) == 2
    assert call("GET", "/namespaces/jobs/jobs/dag.one")[1]["simpleName"] == "one"


def made(name: str, origin: str, column: str = "x") -> dict[str, object]:
    return dataset(name, schema=schema(column), columnLineage=columns(**{column: [(origin, "x")]}))


def test_column_lineage_up_and_down(call: Call) -> None:
    for number, (name, origin) in enumerate((("b", "a"), ("c", "b"), ("d", "c")), 1):
        event = run_event(run=number, job=f"make_{name}", inputs=(origin,), outputs=(made(name, origin),))
        call("POST", "/lineage", event)
    path = "/column-lineage?nodeId={}&depth={}&withDownstream={}"
    every = [f"datasetField:data:{name}:x" for name in "abcd"]
    assert node_ids(call("GET", path.format("dataset:data:c", 20, "false"))[1]) == every[:3]
    assert node_ids(call("GET", path.format("dataset:data:c", 1, "false"))[1]) == every[1:3]
    assert node_ids(call("GET", path.format("datasetField:data:b:x", 20, "true"))[1]) == every
    assert node_ids(call("GET", path.format("job:jobs:make_c", 1, "false"))[1]) == every[1:3]
    [a, b] = call("GET", path.format("dataset:data:b", 20, "false"))[1]["graph"]
    assert a["outEdges"] == [{"origin": a["id"], "destination": b["id"]}]
    assert b["data"]["fieldType"] == "text"
    assert [one["dataset"] for one in b["data"]["inputFields"]] == ["a"]
    assert call("GET", path.format("dataset:data:a", 20, "false"))[0] == 200


def test_column_lineage_at_a_version(call: Call) -> None:
    for number, origin in enumerate(("old", "new"), 1):
        event = run_event(
            run=number, time=f"2026-01-0{number}T00:00:00Z", inputs=(origin,), outputs=(made("t", origin),)
        )
        call("POST", "/lineage", event)
    newest, oldest = call("GET", "/namespaces/data/datasets/t/versions")[1]["versions"]
    for version, origin in ((newest, "new"), (oldest, "old")):
        for start in ("dataset:data:t", "datasetField:data:t:x"):
            graph = call("GET", f"/column-lineage?nodeId={start}%23{version['version']}")[1]
            assert node_ids(graph) == sorted([f"datasetField:data:{origin}:x", "datasetField:data:t:x"])
    versions = call("GET", "/namespaces/jobs/jobs/load/versions")[1]["versions"]
    [old] = [one["version"] for one in versions if one["inputs"][0]["name"] == "old"]
    assert "datasetField:data:old:x" in node_ids(call("GET", f"/column-lineage?nodeId=job:jobs:load%23{old}")[1])


def run_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def test_run_lineage_by_exact_versions(call: Call) -> None:
    def version(name: str, number: int) -> dict[str, object]:
        return dataset(name, version={"datasetVersion": str(number)})

    call("POST", "/lineage", run_event(run=1, job="make", time="2026-01-01T00:00:00Z", outputs=(version("a", 1),)))
    call("POST", "/lineage", run_event(run=2, job="make", time="2026-01-02T00:00:00Z", outputs=(version("a", 2),)))
    reads = run_event("START", run=3, job="use", time="2026-01-03T00:00:00Z", inputs=(version("a", 1), "never"))
    call("POST", "/lineage", reads)
    call("POST", "/lineage", run_event(run=4, job="use", time="2026-01-03T00:00:00Z", inputs=("a",)))
    for run, producer, evidence in ((3, 1, "exact"), (4, 2, "inferred")):
        runs = call("GET", f"/runlineage/upstream?runId={run_id(run)}")[1]["runs"]
        assert [one["run"]["id"] for one in runs] == [run_id(run), run_id(producer)]
        assert runs[0]["inputs"][0]["producedByRunId"] == run_id(producer)
        assert runs[0]["inputs"][0]["evidence"] == evidence
        document = call("GET", f"/jobs/runs/{run_id(run)}")[1]
        [written] = call("GET", f"/jobs/runs/{run_id(producer)}")[1]["outputDatasetVersions"]
        assert document["inputDatasetVersions"][0]["datasetVersionId"] == written["datasetVersionId"]
    [_, never] = call("GET", f"/jobs/runs/{run_id(3)}")[1]["inputDatasetVersions"]
    assert never["evidence"] == "unknown"
    version_id = never["datasetVersionId"]
    found = call("GET", f"/namespaces/data/datasets/never/versions/{version_id['version']}")[1]
    assert found["createdByRun"] is None
    assert len(call("GET", f"/runlineage/upstream?runId={run_id(3)}&depth=0")[1]["runs"]) == 1


def test_facets_of_a_run_and_of_its_job_then(call: Call) -> None:
    for number in (1, 2):
        event = run_event(
            run=number,
            time=f"2026-01-0{number}T00:00:00Z",
            job_facets={"sourceCodeLocation": facet(type="git", url=f"https://example.com/{number}")},
            run_facets={"nominalTime": facet(nominalStartTime="2026-01-01T00:00:00Z")},
        )
        call("POST", "/lineage", event)
        facets = call("GET", f"/jobs/runs/{run_id(number)}/facets?type=job")[1]["facets"]
        assert facets["sourceCodeLocation"]["url"] == f"https://example.com/{number}"
    assert list(call("GET", f"/jobs/runs/{run_id(1)}/facets?type=run")[1]["facets"]) == ["nominalTime"]
    first, second = call("GET", "/namespaces/jobs/jobs/load/versions")[1]["versions"]
    assert (first["location"], second["location"]) == ("https://example.com/2", "https://example.com/1")


def test_versions_of_a_job_are_those_of_all_its_runs(call: Call) -> None:
    def event(number: int) -> Any:
        time = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        located = {"sourceCodeLocation": facet(type="git", url=f"https://example.com/{number // 1_000}")}
        return run_event(run=number + 1, time=time, inputs=("a", "b"), outputs=("c",), job_facets=located)

    for first in range(0, 2_200, 550):
        status, answer = call("POST", "/lineage/batch", [event(number) for number in range(first, first + 550)])
        assert (status, answer["summary"]["successful"]) == (200, 550)
    path = "/namespaces/jobs/jobs/load/versions"
    found = call("GET", path)[1]
    assert found["totalCount"] == 3
    assert [(one["location"][-1], one["createdAt"][11:19]) for one in found["versions"]] == [
        ("2", "00:33:20"),
        ("1", "00:16:40"),
        ("0", "00:00:00"),
    ]
    assert [UUID(one["latestRun"]["id"]).int for one in found["versions"]] == [2_200, 2_000, 1_000]
    assert [one["name"] for one in found["versions"][2]["inputs"]] == ["a", "b"]
    assert call("GET", f"{path}?limit=1&offset=1")[1] == {"versions": found["versions"][1:2], "totalCount": 3}
    assert call("GET", f"{path}/{found['versions'][2]['version']}")[1] == found["versions"][2]


def test_version_of_a_job_is_one_whatever_names_its_datasets_have(call: Call) -> None:
    also = dataset("new", symlinks={"identifiers": [{"namespace": "data", "name": "old", "type": "TABLE"}]})
    events = (
        run_event(run=1, time="2026-01-01T00:00:00Z", inputs=("old",), outputs=("b",)),
        run_event(run=2, time="2026-01-02T00:00:00Z", inputs=(also,), outputs=("b",)),
        run_event(run=3, time="2026-01-03T00:00:00Z", inputs=("old", "new"), outputs=("b",)),
    )
    for one in events:
        assert call("POST", "/lineage", one)[0] == 201
    found = call("GET", "/namespaces/jobs/jobs/load/versions")[1]
    [version] = found["versions"]
    assert (version["createdAt"][:10], version["latestRun"]["id"]) == ("2026-01-01", run_id(3))
    assert [one["name"] for one in version["inputs"]] == ["new"]


def test_search_is_ranked(call: Call) -> None:
    names = ("orders", "orders_daily", "raw.orders", "reorders", "Orders2")
    event = run_event(run=1, job="load_orders", inputs=names, outputs=("other", "100% ä/ö"))
    call("POST", "/lineage", event)
    found = call("GET", "/search?q=ORDERS")[1]
    assert found["totalCount"] == 6
    assert [hit["name"] for hit in found["results"]] == [
        "orders",
        *sorted(["Orders2", "orders_daily"]),
        *sorted(["load_orders", "raw.orders"]),
        "reorders",
    ]
    assert found["results"][0]["nodeId"] == "dataset:data:orders"
    assert [hit["name"] for hit in call("GET", "/search?q=orders&filter=JOB")[1]["results"]] == ["load_orders"]
    assert call("GET", "/search?q=orders&limit=2&offset=4")[1]["results"][-1]["name"] == "reorders"
    assert call("GET", "/search?q=%25")[1]["totalCount"] == 1  # a sign, not a pattern
    assert call("GET", "/search?q=100%25%20%C3%A4/")[1]["totalCount"] == 1
    assert call("GET", "/search?q=o")[1]["totalCount"] == 7
    assert call("GET", "/search?q=orders&namespace=jobs")[1]["totalCount"] == 1
    assert call("GET", "/search?q=orders&before=2026-01-01")[1]["totalCount"] == 0
    assert call("GET", "/search?q=orders&after=2026-01-01&sort=UPDATE_AT")[1]["totalCount"] == 6
    for hostile in ('"', "' OR 1=1", "name : x", "a AND b", "*", "\\", "%00x"):
        assert call("GET", f"/search?q={hostile}&scope=all")[0] == 200


def test_many_hits_are_those_of_few(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("orders", "orders_daily", "raw.orders", "reorders", "Orders2", "x_orders", "xorders", "b orders", "order")
    scrambled = "ily_daers.ord"  # the parts of another name, in another order
    described = dataset("z", documentation={"description": "of orders"})
    call("POST", "/lineage", run_event(run=1, job="load_orders", inputs=names, outputs=("other", described, scrambled)))
    call("DELETE", "/namespaces/data/datasets/xorders")
    paths = [
        f"/search?q={q}&scope={scope}&limit={limit}&offset={offset}{more}"
        for q in ("orders", "ord", "or", "r", "RS", "daily", "none", "orders_daily")
        for scope in ("name", "all")
        for limit, offset in ((1, 0), (3, 2), (100, 0), (100, 4))
        for more in ("", "&filter=job", "&filter=dataset")
    ]
    few = [call("GET", path) for path in paths]
    for most, glance in ((0, 2_000), (2, 2_000), (0, 3), (2, 3)):
        call("POST", "/lineage", run_event(run=2, job=f"{most}-{glance}"))  # and nothing is remembered
        monkeypatch.setattr("collector.search.FEW", most)
        monkeypatch.setattr("collector.search.GLANCE", glance)
        assert [call("GET", path) for path in paths] == few
    assert {hit["name"] for hit in few[6][1]["results"]} == {*names, "load_orders"} - {"xorders", "order"}


def test_search_looks_through_descriptions_columns_and_tags_when_asked(call: Call) -> None:
    one = dataset("t", schema=schema("customer_email"), documentation={"description": "Every invoice"})
    call("POST", "/lineage", run_event(run=1, outputs=(one,)))
    call("POST", "/namespaces/data/datasets/t/tags/confidential")
    for word in ("email", "invoice", "confidential"):
        assert call("GET", f"/search?q={word}")[1]["totalCount"] == 0
        assert [hit["name"] for hit in call("GET", f"/search?q={word}&scope=all")[1]["results"]] == ["t"]
    assert call("GET", "/search?q=t")[1]["results"][0]["name"] == "t"


def test_counts_are_of_the_events_and_zero_filled(call: Call) -> None:
    now = datetime.now(UTC).isoformat()
    for number, kind in enumerate(("START", "COMPLETE", "START"), 1):
        call("POST", "/lineage", run_event(kind, now, run=number, outputs=("a",)))
    day = call("GET", "/stats/lineage-events?period=DAY")[1]
    week = call("GET", "/stats/lineage-events?period=WEEK&timezone=Asia/Kolkata")[1]
    assert (len(day), len(week)) == (24, 7)
    for rows in (day, week):
        assert sum(row["start"] for row in rows) == 2
        assert sum(row["complete"] for row in rows) == 1
    jobs = call("GET", "/stats/jobs?period=WEEK&timezone=UTC")[1]
    assert [row["count"] for row in jobs] == [0, 0, 0, 0, 0, 0, 1]


def test_days_follow_the_clock_of_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    borders = intervals("WEEK", berlin, datetime(2026, 3, 30, 12, tzinfo=UTC))
    lengths = [(b - a.astimezone(UTC)).total_seconds() / 3600 for a, b in pairwise(borders)]
    assert len(borders) == 8
    assert sorted(set(lengths)) == [23, 24]
    hours = intervals("DAY", ZoneInfo("Asia/Kolkata"), datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert {border.minute for border in hours} == {0}
    assert (
        len({border.astimezone(UTC) for border in intervals("DAY", berlin, datetime(2026, 3, 29, 5, tzinfo=UTC))}) == 25
    )


@pytest.mark.parametrize("listing", ["/jobs", "/namespaces/jobs/jobs", "/namespaces/data/datasets"])
def test_pages_in_any_order_are_parts_of_one_list(call: Call, listing: str) -> None:
    names = [f"n{number:02}" for number in range(0, 30, 2)]
    for number, name in enumerate(names):
        call("POST", "/lineage", run_event(run=number, job=name, outputs=(name, f"{name} 2")))
    what = listing.rpartition("/")[2]
    for change in (
        lambda: None,
        lambda: call("DELETE", "/namespaces/data/datasets/n04") and call("DELETE", "/namespaces/jobs/jobs/n04"),
        lambda: call("POST", "/lineage", run_event(run=99, job="n01", outputs=("n01",))),
    ):
        change()
        whole = call("GET", f"{listing}?limit=1000")[1]
        shown = [one["name"] for one in whole[what]]
        assert len(shown) == whole["totalCount"] == len(set(shown))
        for offset in (0, 4, 8, 10, 4, 3, 0, 12, 100):
            page = call("GET", f"{listing}?limit=4&offset={offset}")[1]
            assert [one["name"] for one in page[what]] == shown[offset : offset + 4]
            assert page["totalCount"] == len(shown)
