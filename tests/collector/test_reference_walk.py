"""Every graph answer equals what a slow walk in plain Python says of the same events, on generated histories."""

from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lineage.nodes import NodeId, NodeKind, dataset_node, field_node, job_node
from tests.collector.answers import get
from tests.collector.events import JSON
from tests.collector.reference_walk import Answer, World

DATASETS = ("a", "b", "c", "d", "e", "f")
JOBS = ("p", "q", "r", "s")
COLUMNS = ("x", "y")
_numbers = itertools.count()

_origin = st.tuples(st.sampled_from(DATASETS), st.sampled_from(COLUMNS))


@st.composite
def _column_lineage(draw: st.DrawFn, space: str) -> JSON:
    def shown(origins: list[tuple[str, str]]) -> list[JSON]:
        return [{"namespace": space, "name": name, "field": column} for name, column in origins]

    origins = st.lists(_origin, max_size=2, unique=True)
    fields = draw(st.dictionaries(st.sampled_from(COLUMNS), origins, max_size=2))
    whole = draw(st.one_of(st.just([]), st.just([]), origins))
    return {
        "fields": {column: {"inputFields": shown(found)} for column, found in fields.items()},
        "dataset": shown(whole),
    }


@st.composite
def _datasets(draw: st.DrawFn, space: str, with_columns: bool) -> list[JSON]:
    found = []
    for name in draw(st.lists(st.sampled_from(DATASETS), max_size=3, unique=True)):
        facets = {"columnLineage": draw(_column_lineage(space))} if with_columns and draw(st.booleans()) else {}
        found.append({"namespace": space, "name": name, "facets": facets})
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[JSON]]:
    """A namespace that no other history has, and events in it, in any order of arrival."""
    number = next(_numbers)
    space = f"space{number}"
    kinds = draw(st.lists(st.sampled_from(["run", "run", "run", "run", "job", "dataset"]), min_size=1, max_size=10))
    events: list[JSON] = []
    for second, kind in enumerate(kinds):
        event: JSON = {"eventTime": f"2026-01-01T00:00:{second:02}Z"}
        if kind == "dataset":
            (name,) = draw(st.lists(st.sampled_from(DATASETS), min_size=1, max_size=1))
            event["dataset"] = {"namespace": space, "name": name}
            event["dataset"]["facets"] = {"columnLineage": draw(_column_lineage(space))}
        else:
            job = draw(st.sampled_from(JOBS))
            event["job"] = {"namespace": space, "name": job}
            event["inputs"] = draw(_datasets(space, False))
            event["outputs"] = draw(_datasets(space, True))
            if kind == "run":
                run = number * 1_000 + JOBS.index(job) * 10 + draw(st.integers(0, 2)) + 1
                event |= {"eventType": draw(st.sampled_from(["START", "COMPLETE", "FAIL"]))}
                event["run"] = {"runId": str(UUID(int=run))}
        events.append(event)
    return space, draw(st.permutations(events))


def assert_same(answer: JSON, expected: Answer, named: Any) -> None:
    """The answer has the nodes, distances and edges that are expected, in its promised order."""
    assert {node["id"]: node["distance"] for node in answer["nodes"]} == {
        named(n): d for n, d in expected.nodes.items()
    }
    edges = {(edge["origin"], edge["destination"]): edge["evidence"] for edge in answer["edges"]}
    assert len(edges) == len(answer["edges"])
    assert edges == {(named(a), named(b)): evidence for (a, b), evidence in expected.edges.items()}
    assert (answer["truncated"], answer["missing"]) == (False, 0)
    distances = [node["distance"] for node in answer["nodes"]]
    assert distances == sorted(distances)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), data=st.data())
def test_answers_equal_a_slow_walk(shared: FlaskClient, history: tuple[str, list[JSON]], data: st.DataObject) -> None:
    space, events = history
    answer = shared.post("/api/v1/lineage/batch", data=json.dumps(events).encode())
    assert answer.json["failed_events"] == []
    world = World(events)

    def named(node: tuple[str, str]) -> str:
        return str(NodeId(NodeKind.DATASET if node[0] == "d" else NodeKind.JOB, space, node[1]))

    def dataset_id(name: str) -> str:
        return str(dataset_node(space, name))

    def column_id(node: tuple[str, str]) -> str:
        return str(field_node(space, *node)) if node[1] else dataset_id(node[0])

    def walked(way: str, node: str, granularity: str, depth: int) -> JSON:
        found: JSON = get(shared, f"/api/v1/lineage/{way}", nodeId=node, granularity=granularity, depth=depth)
        assert (found["direction"], found["depth"], found["granularity"]) == (way, depth, granularity)
        assert {one["id"] for one in found["nodes"] if one["distance"] == 0} >= {found["nodeId"]}
        return found

    starts = [("d", name) for name in sorted(world.datasets)] + [("j", name) for name in sorted(world.jobs)]
    for start in data.draw(st.lists(st.sampled_from(starts), min_size=1, max_size=3, unique=True)):
        depth = data.draw(st.sampled_from([0, 1, 2, 3, 20]))
        graph = get(shared, "/api/v1/lineage", nodeId=named(start), depth=depth)["graph"]
        expected = world.around(start, depth)
        assert [node["id"] for node in graph] == sorted(map(named, expected.nodes))
        edges = sorted((named(a), named(b)) for a, b in expected.edges)
        assert sorted((e["origin"], e["destination"]) for node in graph for e in node["inEdges"]) == edges
        assert sorted((e["origin"], e["destination"]) for node in graph for e in node["outEdges"]) == edges
        for way in ("upstream", "downstream"):
            assert_same(walked(way, named(start), "all", depth), world.directed(start, way, depth), named)
            if start[0] == "j":
                expected = world.jobs_of(start[1], way, depth)
                assert_same(walked(way, named(start), "job", depth), expected, lambda name: str(job_node(space, name)))
                continue
            assert_same(
                walked(way, named(start), "dataset", depth), world.datasets_of(start[1], way, depth), dataset_id
            )
            columns = world.columns_of(start[1], None, way, depth)
            assert {node["id"]: node["distance"] for node in walked(way, named(start), "column", depth)["nodes"]} == {
                column_id(node): distance for node, distance in columns.nodes.items()
            }
            for column in COLUMNS:
                if any((start[1], column) in (row[1:3], row[3:5]) for row in world.columns):
                    node = str(field_node(space, start[1], column))
                    expected = world.columns_of(start[1], column, way, depth)
                    assert_same(walked(way, node, "column", depth), expected, column_id)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), data=st.data())
def test_limited_answer_is_the_nearest_part_and_says_what_is_missing(
    shared: FlaskClient, history: tuple[str, list[JSON]], data: st.DataObject
) -> None:
    space, events = history
    shared.post("/api/v1/lineage/batch", data=json.dumps(events).encode())
    names = sorted(World(events).datasets)
    assume(names)
    node = str(dataset_node(space, data.draw(st.sampled_from(names))))
    granularity = data.draw(st.sampled_from(["all", "dataset", "column"]))
    for call in ("upstream", "downstream", "diagram"):
        query: dict[str, Any] = {"nodeId": node, "granularity": granularity}
        if call == "diagram":
            query["format"] = "json"
        whole = get(shared, f"/api/v1/lineage/{call}", **query)
        everything = {one["id"]: one.get("distance") for one in whole["nodes"]}
        for limit in range(1, len(everything) + 2):
            part = get(shared, f"/api/v1/lineage/{call}", limit=limit, **query)
            held = {one["id"]: one.get("distance") for one in part["nodes"]}
            assert len(held) <= limit
            assert held.items() <= everything.items()
            assert part["truncated"] == (held != everything) == (part["missing"] > 0)
            assert part["missing"] <= len(everything) - len(held)
            assert [edge for edge in part["edges"] if edge not in whole["edges"]] == []
            if held != everything and call != "diagram":
                assert len(held) == limit
