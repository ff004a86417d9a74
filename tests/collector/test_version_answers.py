"""Every answer by version and by time equals what slow plain Python says, on generated histories and both engines."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from time import time_ns
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from collector.api.store import EXTENSION
from collector.ingest import Memory, ingest, prepare
from collector.keys import isoformat, microseconds
from collector.store.engines import writing
from collector.store.rows import rows_of
from collector.tables import store_fact
from tests.collector.answers import get
from tests.collector.events import JSON, raw
from tests.collector.reference_graph import Name, Node, name_of
from tests.collector.reference_history import (
    Lineage,
    Moment,
    Version,
    VersionNode,
    node_id,
    version_id,
)
from tests.collector.stores import clear, read
from tests.collector.test_reference_walk import assert_same
from tests.collector.version_histories import RECEIVED_US, Arrival, arrivals, moment

BEGIN_US = microseconds(moment(0))
SECOND = 1_000_000
DEPTHS = st.sampled_from([0, 1, 2, 20, 20, 20])


@pytest.fixture(autouse=True)
def outdone(monkeypatch: pytest.MonkeyPatch) -> None:
    """DatasetEvents of which newer ones say all again are left out, as they are of many."""
    monkeypatch.setattr("collector.history.uses.MANY", 0)


def compared(examples: int) -> settings:
    """As many histories, each against a store that is emptied first."""
    some = examples if os.environ.get("HEADWATER_EXPLORE") else examples // 3
    return settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=some)


def store(client: FlaskClient, arrival: Arrival) -> None:
    """Put the batches in an empty store, each in one commit of its own time."""
    note(f"{arrival}")
    engine = client.application.extensions[EXTENSION].engine
    clear(engine)
    with writing(engine) as connection:
        rows_of(connection).put(store_fact, [("epoch", time_ns())])
    memory = Memory()
    for received_us, events in arrival.batches:
        with writing(engine) as connection:
            ingest(connection, prepare([read(raw(event)) for event in events]), memory, received_us)


Clocks = dict[str, str]


@st.composite
def moments(draw: st.DrawFn, arrival: Arrival) -> tuple[Moment, Clocks]:
    """A moment, and the query parameters that ask for it."""
    as_of = draw(st.one_of(st.none(), st.none(), st.integers(0, 11).map(lambda one: BEGIN_US + one * SECOND)))
    batch = st.integers(0, len(arrival.batches) - 1)
    known_at = draw(st.one_of(st.none(), st.none(), batch.map(lambda one: RECEIVED_US + one * SECOND)))
    clocks = {"asOf": isoformat(as_of), "knownAt": isoformat(known_at)}
    return arrival.history.at(as_of, known_at), {name: text for name, text in clocks.items() if text is not None}


@st.composite
def spelt(draw: st.DrawFn, now: Moment, version: Version) -> str:
    """A node id that means the version, in one of the ways that there are."""
    node = node_id(("d", version.dataset))
    ways = [version.uuid]
    if version.run is not None:
        ways.append(version.run)
    if version.version is not None:
        ways.append(version.version)
    if version.checksum is not None:
        value = version.checksum.partition(":")[2]
        ways += [version.checksum, value, value[:6]]
    time = f"@{isoformat(version.at)}"
    found = [f"{node}#{way}" for way in ways if now.find(version.dataset, way) == version]
    if now.find(version.dataset, time) == version:
        found += [node + time, f"{node}#{time}"]
    if now.newest(version.dataset) == version:
        found.append(node)
    return draw(st.sampled_from(found))


class Codes:
    """Code versions that are hashes: which hash is not said, but what is equal must be, and nothing else."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def same(self, answered: str | None, expected: str | None) -> bool:
        """Whether an answer says what is expected."""
        prefix = next((one for one in ("sql:", "code:") if expected is not None and expected.startswith(one)), None)
        if prefix is None or answered is None or expected is None:
            return answered == expected
        known = self._seen.setdefault(expected, answered) == answered
        return known and answered.startswith(prefix) and len(set(self._seen.values())) == len(self._seen)


# --- provenance and impact -------------------------------------------------------------------------------------------


def document(now: Moment, node: VersionNode, distance: int) -> JSON:
    """A version of an answer, but for its code version."""
    dataset, uuid = node
    found: JSON = dict.fromkeys(("uuid", "version", "checksum", "codeEvidence", "createdAt", "runId", "job"))
    found |= {"id": version_id(node), "namespace": dataset[0], "name": dataset[1], "distance": distance}
    found["supersededAt"] = None
    if uuid is not None:
        version = version_at(now, node)
        found |= {
            "uuid": uuid,
            "version": version.version,
            "checksum": version.checksum,
            "codeEvidence": version.code_evidence,
            "createdAt": isoformat(version.at),
            "runId": version.run,
            "job": {"namespace": version.job[0], "name": version.job[1]} if version.job else None,
            "supersededAt": isoformat(now.superseded_at(version)),
        }
    return found


def version_at(now: Moment, node: VersionNode) -> Version:
    return next(one for one in now.versions(node[0]) if one.node == node)


def assert_lineage(answer: JSON, now: Moment, start: VersionNode, expected: Lineage) -> None:
    """The answer has the versions and steps that are expected, nearest first."""
    codes = Codes()
    assert answer["nodeId"] == version_id(start)
    answered = {one["id"]: one for one in answer["versions"]}
    assert len(answered) == len(answer["versions"])
    assert answered.keys() == {version_id(node) for node in expected.versions}
    for node, distance in expected.versions.items():
        shown = dict(answered[version_id(node)])
        code = version_at(now, node).code if node[1] is not None else None
        assert codes.same(shown.pop("codeVersion"), code), (shown, code)
        assert shown == document(now, node, distance)
    steps = [
        (one["origin"], one["destination"], one["runId"], one["versionEvidence"], one["flowEvidence"])
        for one in answer["steps"]
    ]
    assert sorted(steps) == sorted(
        (version_id(one.origin), version_id(one.destination), one.run, one.version_evidence, one.flow_evidence)
        for one in expected.steps
    )
    assert (answer["truncated"], answer["missing"]) == (False, 0)
    distances = [one["distance"] for one in answer["versions"]]
    assert distances == sorted(distances)


def drawn_version(data: st.DataObject, now: Moment) -> Version:
    versions = sorted(now.all_versions, key=lambda one: (one.dataset, one.at, one.key))
    assume(versions)
    return data.draw(st.sampled_from(versions), label="version")


@compared(150)
@given(arrival=arrivals(), data=st.data())
def test_provenance(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    version = drawn_version(data, now)
    store(shared, arrival)
    for depth in {data.draw(DEPTHS), 20}:
        node = data.draw(spelt(now, version), label="nodeId")
        answer = get(shared, "/api/v1/provenance", nodeId=node, depth=depth, **clocks)
        assert_lineage(answer, now, version.node, now.provenance(version.node, depth))


@compared(150)
@given(arrival=arrivals(), data=st.data())
def test_impact_and_what_to_rebuild(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    version = drawn_version(data, now)
    store(shared, arrival)
    for depth in {data.draw(DEPTHS), 20}:
        node = data.draw(spelt(now, version), label="nodeId")
        answer = get(shared, "/api/v1/impact", nodeId=node, depth=depth, **clocks)
        assert_lineage(answer, now, version.node, now.impact(version.node, depth))
    expected = now.rebuild(version.node)
    rebuilt = {name_of(one): {text.partition("#")[0] for text in one["datasets"]} for one in answer["rebuild"]}
    assert rebuilt == {job: {node_id(("d", one)) for one in datasets} for job, datasets in expected.datasets.items()}
    assert expected.allows([name_of(one) for one in answer["rebuild"]]), expected.before


@compared(60)
@given(arrival=arrivals(), data=st.data())
def test_what_read_a_dataset_that_nobody_wrote(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    unwritten = sorted({step.origin[0] for step in now.steps if not now.versions(step.origin[0])})
    assume(unwritten)
    dataset = data.draw(st.sampled_from(unwritten))
    store(shared, arrival)
    start = (dataset, None)
    for way, walk in (("provenance", now.provenance), ("impact", now.impact)):
        answer = get(shared, f"/api/v1/{way}", nodeId=version_id(start), **clocks)
        assert_lineage(answer, now, start, walk(start, 20))


@compared(40)
@given(arrival=arrivals(), data=st.data())
def test_limited_answer_is_the_nearest_part(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    version = drawn_version(data, now)
    store(shared, arrival)
    for way in ("provenance", "impact"):
        query: dict[str, Any] = {"nodeId": version_id(version.node), **clocks}
        whole = get(shared, f"/api/v1/{way}", **query)
        everything = {one["id"]: one["distance"] for one in whole["versions"]}
        for limit in range(1, len(everything) + 2):
            part = get(shared, f"/api/v1/{way}", limit=limit, **query)
            held = {one["id"]: one["distance"] for one in part["versions"]}
            assert held.items() <= everything.items()
            assert len(held) == min(limit, len(everything))
            assert max(held.values()) <= min((d for one, d in everything.items() if one not in held), default=99)
            assert part["truncated"] == (len(held) < len(everything)) == (part["missing"] > 0)
            assert part["missing"] <= len(everything) - len(held)
            assert [step for step in part["steps"] if step not in whole["steps"]] == []
            assert {end for step in part["steps"] for end in (step["origin"], step["destination"])} <= held.keys()


@compared(150)
@given(arrival=arrivals(), data=st.data())
def test_whether_one_version_went_into_another(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    version = drawn_version(data, now)
    store(shared, arrival)
    made_of = sorted(node for node in now.provenance(version.node, 99).versions if node[1] and node != version.node)
    others = [version_at(now, node) for node in made_of] + [drawn_version(data, now)]
    ways = {(version_id(step.origin), version_id(step.destination)) for step in now.steps}
    for by in others:
        if by == version:
            continue
        node, origin = data.draw(spelt(now, version)), data.draw(spelt(now, by))
        answer = get(shared, "/api/v1/impact/affected", nodeId=node, by=origin, **clocks)
        distance = now.affected(version.node, by.node)
        assert answer["affected"] == (distance is not None)
        path = answer["path"]
        if distance is None:
            assert path == []
            continue
        assert (path[0], path[-1], len(path)) == (version_id(by.node), version_id(version.node), distance + 1)
        assert set(itertools.pairwise(path)) <= ways


# --- staleness -------------------------------------------------------------------------------------------------------


@compared(150)
@given(arrival=arrivals(), data=st.data())
def test_staleness(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    datasets = sorted(now.graph.datasets)
    assume(datasets)
    store(shared, arrival)
    for dataset in data.draw(st.lists(st.sampled_from(datasets), min_size=1, max_size=3, unique=True)):
        depth = data.draw(DEPTHS)
        answer = get(shared, "/api/v1/staleness", nodeId=node_id(("d", dataset)), depth=depth, **clocks)
        assert answer["nodeId"] == node_id(("d", dataset))
        expected = {
            node_id(("d", name)): {
                "distance": one.distance,
                "stale": one.stale,
                "since": isoformat(one.since),
                "causes": {
                    (node_id(("d", cause.dataset)), cause.read, cause.newest, isoformat(cause.since), cause.evidence)
                    for cause in one.causes
                },
                "because": {node_id(("d", name)) for name in one.because},
            }
            for name, one in now.staleness(dataset, depth).items()
        }
        answered = {
            one["id"]: {
                "distance": one["distance"],
                "stale": one["stale"],
                "since": one["since"],
                "causes": {
                    (
                        cause["id"],
                        cause["readVersion"],
                        cause["newestVersion"],
                        cause["since"],
                        cause["versionEvidence"],
                    )
                    for cause in one["causes"]
                },
                "because": set(one["because"]),
            }
            for one in answer["datasets"]
        }
        assert answered == expected
        assert len(answered) == len(answer["datasets"])


# --- the graph at a moment, and what changed -------------------------------------------------------------------------


@compared(150)
@given(arrival=arrivals(), data=st.data())
def test_lineage_at_a_moment(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    graph = now.graph
    starts: list[Node] = [("d", name) for name in sorted(graph.datasets)] + [("j", name) for name in sorted(graph.jobs)]
    assume(starts)
    store(shared, arrival)
    for start in data.draw(st.lists(st.sampled_from(starts), min_size=1, max_size=3, unique=True)):
        for way in ("upstream", "downstream"):
            depth = data.draw(DEPTHS)
            query: dict[str, Any] = {"nodeId": node_id(start), "depth": depth, **clocks}
            answer = get(shared, f"/api/v1/lineage/{way}", granularity="all", **query)
            assert_same(answer, graph.walk(start, way, depth), node_id)
            if start[0] == "d":
                answer = get(shared, f"/api/v1/lineage/{way}", granularity="dataset", **query)
                assert_same(answer, graph.walk_datasets(start[1], way, depth), named_dataset)


def named_dataset(name: Name) -> str:
    return node_id(("d", name))


@compared(200)
@given(arrival=arrivals(), data=st.data())
def test_diff(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    history = arrival.history
    seconds = st.integers(0, 11).map(lambda second: BEGIN_US + second * SECOND)
    batches = st.integers(0, len(arrival.batches) - 1).map(lambda batch: RECEIVED_US + batch * SECOND)
    clock = data.draw(st.sampled_from(["happened", "known"]))
    moving, still = (seconds, batches) if clock == "happened" else (batches, seconds)
    ends = sorted([data.draw(moving), data.draw(moving)])
    held = data.draw(st.one_of(st.none(), st.none(), still))
    before, after = (history.at(*((end, held) if clock == "happened" else (held, end))) for end in ends)
    starts: list[Node] = [("d", name) for name in sorted(before.graph.datasets | after.graph.datasets)]
    starts += [("j", name) for name in sorted(before.graph.jobs | after.graph.jobs)]
    assume(starts)
    start = data.draw(st.sampled_from(starts))
    store(shared, arrival)
    query: dict[str, Any] = {"nodeId": node_id(start), "clock": clock}
    query |= {"from": isoformat(ends[0]), "to": isoformat(ends[1])}
    if held is not None:
        query["knownAt" if clock == "happened" else "asOf"] = isoformat(held)
    codes = Codes()
    for granularity in ("all", "dataset") if start[0] == "d" else ("all",):
        answer = get(shared, "/api/v1/lineage/diff", granularity=granularity, **query)
        expected = history.diff(start, before, after, granularity)
        nodes, edges = answer["nodes"], answer["edges"]
        assert (sorted(nodes["added"]), sorted(nodes["removed"])) == (sorted(expected.added), sorted(expected.removed))
        for answered, wanted in (("added", expected.edges_added), ("removed", expected.edges_removed)):
            assert sorted((one["origin"], one["destination"]) for one in edges[answered]) == sorted(wanted)
        changed = {one["id"]: one for one in nodes["changed"]}
        assert changed.keys() == expected.changed.keys()
        assert len(changed) == len(nodes["changed"])
        for one, changes in expected.changed.items():
            assert_changes(changed[one], changes, codes.same)


def assert_changes(answered: JSON, expected: JSON, same_code: Callable[[str | None, str | None], bool]) -> None:
    """The same kinds of change, and the same values: a version by its UUID or by what its producer calls it."""
    assert answered.keys() - {"id"} == expected.keys(), (answered, expected)
    assert answered.get("checksum") == expected.get("checksum")
    for end in ("from", "to"):
        if "version" in expected:
            assert answered["version"][end] in (expected["version"][end] or (None,))
        if "code" in expected:
            assert same_code(answered["code"][end], expected["code"][end])
    if "code" in expected:
        assert answered["code"]["evidence"] == expected["code"]["evidence"]
    if "schema" in expected:
        shown, wanted = answered["schema"], expected["schema"]
        assert (set(shown["added"]), set(shown["removed"])) == (wanted["added"], wanted["removed"])
        assert {one["column"] for one in shown["changed"]} == wanted["changed"]


# --- reproducibility -------------------------------------------------------------------------------------------------


@compared(200)
@given(arrival=arrivals(), data=st.data())
def test_reproducibility(shared: FlaskClient, arrival: Arrival, data: st.DataObject) -> None:
    now, clocks = data.draw(moments(arrival))
    store(shared, arrival)
    one = data.draw(st.sampled_from([None, *sorted(now.graph.datasets)]))
    query = clocks | ({"nodeId": node_id(("d", one))} if one is not None else {})
    answer = get(shared, "/api/v1/reproducibility", **query)
    expected = {found for found in now.unreproducible() if one in (None, found.dataset)}
    answered = {
        (
            name_of(found["job"]),
            found["dataset"],
            frozenset((run["runId"], run["checksum"]) for run in found["runs"]),
        ): found["codeVersion"]
        for found in answer["unreproducible"]
    }
    wanted = {(found.job, node_id(("d", found.dataset)), found.runs): found.code for found in expected}
    assert answered.keys() == wanted.keys()
    assert len(answered) == len(answer["unreproducible"])
    codes = Codes()
    assert all(codes.same(answered[key], code) for key, code in wanted.items())
    noops = sorted((one["dataset"], one["checksum"], tuple(one["versions"])) for one in answer["noops"])
    assert noops == sorted(
        (node_id(("d", found.dataset)), found.checksum, found.versions)
        for found in now.noops()
        if one in (None, found.dataset)
    )
