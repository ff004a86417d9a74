"""Bad input gets Marquez's status and our clear message, in one JSON shape; never a 5xx."""

from __future__ import annotations

from typing import Any

import pytest

from tests.collector.events import run_event
from tests.marquez.scenario import Call

MISSING = "00000000-0000-0000-0000-00000000dead"
RUN = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def ready(call: Call) -> Call:
    """A store with a job, two datasets and a source."""
    event = run_event(run=1, inputs=("a",), outputs=("b",))
    assert call("POST", "/lineage", event)[0] == 201
    return call


NOT_FOUND = {
    "/namespaces/nothing": "Namespace 'nothing' not found.",
    "/namespaces/nothing/jobs": "Namespace 'nothing' not found.",
    "/namespaces/nothing/datasets": "Namespace 'nothing' not found.",
    "/namespaces/nothing/datasets/a": "Namespace 'nothing' not found.",
    "/namespaces/data/datasets/nothing": "Dataset 'nothing' not found.",
    "/namespaces/data/datasets/nothing/versions": "Dataset 'nothing' not found.",
    f"/namespaces/data/datasets/b/versions/{MISSING}": f"Dataset version '{MISSING}' not found.",
    "/namespaces/data/datasets/b/versions/latest": "Dataset version 'latest' not found.",
    "/namespaces/jobs/jobs/nothing": "Job 'nothing' not found.",
    "/namespaces/jobs/jobs/nothing/runs": "Job 'nothing' not found.",
    f"/namespaces/jobs/jobs/load/versions/{MISSING}": f"Job version '{MISSING}' not found.",
    f"/jobs/runs/{MISSING}": f"Run '{MISSING}' not found.",
    f"/jobs/runs/{MISSING}/facets?type=run": f"Run '{MISSING}' not found.",
    f"/runlineage/upstream?runId={MISSING}": f"Run '{MISSING}' not found.",
    "/sources/nothing": "Source 'nothing' not found.",
    "/lineage?nodeId=dataset:data:nothing": "Dataset 'nothing' not found.",
    "/lineage?nodeId=job:jobs:nothing": "Job 'nothing' not found.",
    "/column-lineage?nodeId=datasetField:data:b:nothing": "Field 'b:nothing' not found.",
    f"/column-lineage?nodeId=dataset:data:b%23{MISSING}": f"Dataset version '{MISSING}' not found.",
}


@pytest.mark.parametrize("path", NOT_FOUND)
def test_unknown_names_are_404(ready: Call, path: str) -> None:
    status, body = ready("GET", path)
    assert (status, body["code"], body["message"]) == (404, 404, NOT_FOUND[path])


LISTS = (
    "/namespaces",
    "/sources",
    "/tags",
    "/jobs",
    "/namespaces/jobs/jobs",
    "/namespaces/data/datasets",
    "/namespaces/data/datasets/b/versions",
    "/namespaces/jobs/jobs/load/versions",
    "/namespaces/jobs/jobs/load/runs",
    "/events/lineage",
    "/search?q=a",
)
BAD = ("limit=-1", "limit=x", "limit=1.5", f"limit={2**70}", "offset=-1", "offset=x", f"offset={2**70}")


@pytest.mark.parametrize("path", LISTS)
def test_bad_pages_are_400(ready: Call, path: str) -> None:
    for bad in BAD:
        status, body = ready("GET", f"{path}{'&' if '?' in path else '?'}{bad}")
        assert (status, body["code"]) == (400, 400), bad
        assert list(body["errors"]) == [bad.partition("=")[0]]
    offset = 2**62 if path != "/search?q=a" else 2**30
    status, body = ready("GET", f"{path}{'&' if '?' in path else '?'}offset={offset}")
    assert status == 200
    assert body["totalCount"] >= 0


@pytest.mark.parametrize(
    "path",
    [
        "/lineage",
        "/lineage?nodeId=nonsense",
        "/lineage?nodeId=run:1",
        "/lineage?nodeId=dataset:data:b&depth=-1",
        f"/lineage?nodeId=dataset:data:b&depth={2**70}",
        "/lineage?nodeId=dataset:data:b&aggregateToParentRun=perhaps",
        "/column-lineage",
        "/column-lineage?nodeId=x:y",
        "/column-lineage?nodeId=dataset:data:b&depth=-1",
        "/column-lineage?nodeId=dataset:data:b&withDownstream=perhaps",
        "/runlineage/upstream",
        f"/runlineage/upstream?runId={RUN}&depth=-1",
        f"/jobs/runs/{RUN}/facets",
        f"/jobs/runs/{RUN}/facets?type=dataset",
        "/jobs?lastRunStates=DONE",
        "/search",
        "/search?q=a&filter=run",
        "/search?q=a&sort=size",
        "/search?q=a&before=yesterday",
        "/search?q=a&after=2026-13-01",
        "/stats/jobs",
        "/stats/jobs?period=YEAR",
        "/stats/jobs?period=DAY&timezone=Mars/Olympus",
        "/stats/jobs?period=DAY&timezone=../../etc/passwd",
        "/stats/lineage-events?period=WEEK",
        "/events/lineage?before=soon",
        "/events/lineage?sortDirection=up",
    ],
)
def test_bad_parameters_are_400(ready: Call, path: str) -> None:
    status, body = ready("GET", path)
    assert (status, body["code"]) == (400, 400)
    assert body["message"]


TABLE = {"type": "DB_TABLE", "physicalName": "a", "sourceName": "data"}
WRITES: list[tuple[str, Any, int]] = [
    ("/namespaces/n", {}, 422),
    ("/namespaces/n", {"ownerName": 7}, 422),
    ("/namespaces/n", [], 422),
    ("/namespaces/n", "text", 422),
    ("/sources/s", {"type": "X"}, 422),
    ("/sources/s", {"type": "X", "connectionUrl": None}, 422),
    ("/tags/t", {"description": []}, 422),
    ("/namespaces/data/datasets/x", {}, 422),
    ("/namespaces/data/datasets/x", TABLE | {"type": "VIEW"}, 422),
    ("/namespaces/data/datasets/x", TABLE | {"fields": "id"}, 422),
    ("/namespaces/data/datasets/x", TABLE | {"fields": [{"type": "INT"}]}, 422),
    ("/namespaces/data/datasets/x", TABLE | {"sourceName": "nothing"}, 404),
    ("/namespaces/data/datasets/x", TABLE | {"runId": MISSING}, 404),
    ("/namespaces/nothing/datasets/x", TABLE, 404),
    ("/namespaces/jobs/jobs/x", {}, 422),
    ("/namespaces/jobs/jobs/x", {"type": "BATCH", "inputs": ["a"]}, 422),
    ("/namespaces/jobs/jobs/x", {"type": "BATCH", "inputs": [{"namespace": "data", "name": "nothing"}]}, 404),
    ("/namespaces/jobs/jobs/x", {"type": "BATCH", "runId": MISSING}, 404),
    ("/namespaces/jobs/jobs/x", {"type": "BATCH", "runId": RUN}, 400),
    ("/namespaces/nothing/jobs/x", {"type": "BATCH"}, 404),
]


@pytest.mark.parametrize(("path", "body", "expected"), WRITES)
def test_bad_bodies_are_refused(ready: Call, path: str, body: Any, expected: int) -> None:
    before = ready("GET", "/events/lineage?kind=all&limit=0")[1]["totalCount"]
    status, answer = ready("PUT", path, body)
    assert (status, answer["code"]) == (expected, expected)
    assert ready("GET", "/events/lineage?kind=all&limit=0")[1]["totalCount"] == before


def test_bad_runs_are_refused(ready: Call) -> None:
    runs = "/namespaces/jobs/jobs/load/runs"
    assert ready("POST", runs, {"id": "no-uuid"})[0] == 400
    assert ready("POST", runs, {"id": RUN})[0] == 400  # already there
    assert ready("POST", runs, {"nominalStartTime": "soon"})[0] == 422
    assert ready("POST", runs, {"args": []})[0] == 422
    assert ready("POST", "/namespaces/jobs/jobs/nothing/runs", {})[0] == 404
    assert ready("POST", f"/jobs/runs/{MISSING}/start")[0] == 404
    assert ready("POST", f"/jobs/runs/{RUN}/start?at=soon")[0] == 400
    assert ready("POST", f"/jobs/runs/{RUN}/finish")[0] == 404
    assert ready("GET", f"/jobs/runs/{RUN}/start")[0] == 405


def test_run_that_has_ended_stays_ended(ready: Call) -> None:
    assert ready("POST", f"/jobs/runs/{RUN}/start")[1]["state"] == "COMPLETED"
    status, run = ready("POST", f"/jobs/runs/{RUN}/complete")
    assert (status, run["state"]) == (200, "COMPLETED")
    assert ready("POST", f"/jobs/runs/{RUN}/fail")[1]["state"] == "FAILED"  # the later word


def test_own_records_are_refused_as_events(ready: Call) -> None:
    record = {"headwater": "namespace", "eventTime": "2026-01-01T00:00:00Z", "name": "n"}
    assert ready("POST", "/lineage", record)[0] == 422
