"""What a process keeps of its answers is what it would answer without."""

from __future__ import annotations

from typing import Any

from flask import Flask

from collector import state
from collector.api.store import EXTENSION
from collector.documents import finished
from collector.documents.finished import Finished, Shelf
from collector.rebuild import rebuild
from tests.collector.events import columns, dataset, facet, run_event, schema
from tests.marquez.scenario import Call

PATHS = (
    "/lineage?nodeId=dataset:data:b&depth=5",
    "/lineage?nodeId=dataset:data:b&depth=5&aggregateToParentRun=true",
    "/lineage?nodeId=job:jobs:load&direction=upstream",
    "/namespaces/data/datasets",
    "/namespaces/data/datasets?limit=1&offset=1",
    "/namespaces/jobs/jobs",
    "/jobs",
    "/jobs?lastRunStates=COMPLETED",
    "/namespaces/jobs/jobs/load/runs",
    "/search?q=o",
)


def answers(call: Call) -> list[Any]:
    return [call("GET", path) for path in PATHS]


def check(call: Call) -> list[Any]:
    kept = answers(call)
    assert answers(call) == kept
    finished._shelves.clear()
    state._remembered.clear()
    assert answers(call) == kept
    return kept


def test_every_change_shows_at_once(app: Flask, call: Call) -> None:
    parent = facet(run={"runId": "00000000-0000-0000-0000-000000000009"}, job={"namespace": "jobs", "name": "dag"})
    nominal = {"nominalTime": facet(nominalStartTime="2026-01-01T00:00:00Z")}
    also_c = {"namespace": "data", "name": "c", "type": "TABLE"}
    made = dataset("b", schema=schema("x"), columnLineage=columns(x=[("a", "x")]))
    changes: list[tuple[str, str, Any]] = [
        ("POST", "/lineage", run_event("START", run=1, inputs=("a",))),
        ("POST", "/lineage", run_event(run=1, inputs=("a",), outputs=(made,))),
        ("POST", "/lineage", run_event("FAIL", run=2, inputs=("a",), outputs=("b",), time="2026-02-01T00:00:00Z")),
        (
            "POST",
            "/lineage",
            run_event(run=3, job="next", inputs=("b",), outputs=("c",), run_facets={"parent": parent}),
        ),
        ("POST", "/lineage", run_event(run=1, run_facets=nominal)),
        (
            "POST",
            "/lineage",
            run_event(run=4, outputs=(dataset("b", schema=schema("y")),), time="2026-03-01T00:00:00Z"),
        ),
        ("POST", "/namespaces/data/datasets/b/tags/pii", None),
        ("POST", "/namespaces/jobs/jobs/load/tags/gold", None),
        ("POST", "/lineage", run_event(run=5, inputs=(dataset("a", symlinks={"identifiers": [also_c]}),))),
        ("DELETE", "/namespaces/data/datasets/a", None),
        ("DELETE", "/namespaces/jobs/jobs/load", None),
        ("POST", "/lineage", run_event(run=6, inputs=("a",), outputs=("b",), time="2099-01-01T00:00:00Z")),
    ]
    before: list[Any] = []
    for method, path, body in changes:
        status, _ = call(method, path, body)
        assert status in (200, 201)
        after = check(call)
        assert after != before, (method, path)
        before = after
    rebuild(app.extensions[EXTENSION].engine)
    assert check(call) == before


def test_a_document_is_used_for_the_rows_that_it_was_made_from() -> None:
    shelf = Shelf()
    shelf.put("job", 1, Finished((1,), "a", "b", b"{}"), 7)
    assert shelf.still("job", [1, 2], 7).keys() == {1}
    assert not shelf.still("dataset", [1], 7)
    assert not shelf.still("job", [1], 8)
    assert not shelf.same("job", {1: (2,)}, 8)
    assert shelf.same("job", {1: (1,)}, 8).keys() == {1}
    assert shelf.still("job", [1], 8).keys() == {1}


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    size = 100 + finished.ENTRY
    shelf = Shelf(limit=3 * size)
    for number in (1, 2, 3):
        shelf.put("job", number, Finished((), "a", "b", b"x" * 100), 0)
    shelf.still("job", [1], 0)
    shelf.put("job", 4, Finished((), "a", "b", b"x" * 100), 0)
    assert shelf.still("job", range(5), 0).keys() == {1, 3, 4}
    shelf.put("job", 4, Finished((), "a", "b", b"x" * (3 * size)), 0)
    assert not shelf.still("job", range(5), 0)
