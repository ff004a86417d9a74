"""The reference itself, on histories whose right answers anyone can see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from collector.keys import microseconds
from tests.collector.events import JSON, columns, dataset, dataset_event, facet, job_event, run_event
from tests.collector.reference_graph import Name
from tests.collector.reference_history import History, Moment, Version
from tests.collector.version_histories import moment


def data(name: str) -> Name:
    return ("data", name)


def job(name: str) -> Name:
    return ("jobs", name)


def us(second: int) -> int:
    return microseconds(moment(second))


def history(*events: JSON) -> History:
    """The events, one received each second from 100."""
    return History((us(0) + (100 + at) * 1_000_000, event) for at, event in enumerate(events))


def received(at: int) -> int:
    """When the event at that place was received."""
    return us(0) + (100 + at) * 1_000_000


def checked(name: str, checksum: str, code: str | None = None) -> JSON:
    """A dataset with a checksum, and with the code version that made it."""
    facets: dict[str, Any] = {"headwater_checksum": {"algorithm": "blake3", "value": checksum}}
    if code is not None:
        facets["headwater_assetVersion"] = {"codeVersion": code}
    return dataset(name, **facets)


def versioned(name: str, version: str) -> JSON:
    return dataset(name, version={"datasetVersion": version})


def made(
    run: int, second: int, name: str, reads: tuple[str | JSON, ...] = (), writes: tuple[str | JSON, ...] = ()
) -> list[JSON]:
    """A run that starts at the second and is through one second later."""
    return [
        run_event("START", moment(second), run=run, job=name, inputs=reads),
        run_event("COMPLETE", moment(second + 1), run=run, job=name, inputs=reads, outputs=writes),
    ]


def run_of(version: Version | None) -> int | None:
    """The number of the run that wrote a version."""
    return int(UUID(version.run)) if version is not None and version.run is not None else None


def names(nodes: Any) -> list[str]:
    """The names of datasets, sorted; with a version's they come as often as there are versions."""
    return sorted(dataset[1] for dataset, _ in nodes)


# --- versions --------------------------------------------------------------------------------------------------------


def test_start_announces_and_failure_publishes_nothing() -> None:
    now = history(
        run_event("START", moment(0), run=1, outputs=("a",)),
        run_event("START", moment(1), run=2, outputs=("a",)),
        run_event("FAIL", moment(2), run=2, outputs=("a",)),
    ).at()
    assert now.versions(data("a")) == []


def test_version_is_written_when_it_is_first_listed_after_the_start() -> None:
    events = [
        run_event("START", moment(0), run=1, outputs=("a", "b")),
        run_event("COMPLETE", moment(5), run=1, outputs=("b",)),
        run_event("RUNNING", moment(3), run=1, outputs=("b",)),
    ]
    now = history(*events).at()
    assert [version.at for version in now.versions(data("a"))] == [us(5)]  # announced, and the run completed
    assert [version.at for version in now.versions(data("b"))] == [us(3)]


def test_newest_facet_of_a_run_counts_and_the_rest_is_of_the_run() -> None:
    events = [
        run_event("COMPLETE", moment(2), run=1, outputs=(versioned("a", "v2"),)),
        run_event("RUNNING", moment(1), run=1, outputs=(versioned("a", "v1"),), job_facets={"sql": facet(query="q")}),
        run_event("COMPLETE", moment(3), run=2, outputs=(checked("a", "c", "code"),)),
    ]
    first, second = history(*events).at().versions(data("a"))
    assert (first.version, first.checksum, first.at) == ("v2", None, us(1))
    assert (first.code_evidence, (first.code or "")[:4]) == ("inferred", "sql:")
    assert (second.version, second.checksum, second.code, second.code_evidence) == (None, "blake3:c", "code", "exact")


def test_a_version_is_found_by_what_anyone_may_call_it() -> None:
    events = [
        *made(1, 0, "load", writes=(dataset("a", version={"datasetVersion": "v1"}),)),
        *made(2, 2, "load", writes=(checked("a", "abcdef0123"),)),
        *made(3, 4, "load", writes=(versioned("a", "v1"),)),
    ]
    now = history(*events).at()
    first, second, third = now.versions(data("a"))
    assert now.find(data("a"), "v1") == third  # the newest of that name
    assert now.find(data("a"), first.uuid) == first
    for text in (
        "blake3:abcdef0123",
        "abcdef0123",
        "abcdef",
        str(UUID(int=2)),
        f"@{moment(4)}",
        "@2026-01-01T00:00:04",
    ):
        assert now.find(data("a"), text) == second
    assert now.find(data("a"), "abcde") is None
    assert now.find(data("a"), f"@{moment(0)}") is None


# --- what runs read --------------------------------------------------------------------------------------------------


def readings(now: Moment) -> dict[str, tuple[int | None, str]]:
    """The run of the version that run 9 read of each dataset, and how that is known."""
    key = next(key for key in now.runs if key == UUID(int=9).bytes)
    found = {name: now.read(key, (space, name)) for space, name in now.inputs(key)}
    return {name: (run_of(version), evidence) for name, (version, evidence) in found.items()}


def test_run_read_what_it_names_else_the_newest_at_its_start() -> None:
    written = [
        event
        for number, second in ((1, 0), (2, 2), (3, 8))
        for event in made(
            number,
            second,
            "load",
            writes=(
                versioned("named", f"v{number}"),
                checked("summed", f"c{number}"),
                "plain",
                versioned("misnamed", f"v{number}"),
                versioned("later", f"v{number}"),
            ),
        )
    ]
    reads = (versioned("named", "v1"), checked("summed", "c1"), "plain", versioned("misnamed", "v9"), "nobody's")
    now = history(*written, *made(9, 5, "read", (*reads, versioned("later", "v3")))).at()
    assert readings(now) == {
        "named": (1, "exact"),
        "summed": (1, "exact"),
        "plain": (2, "inferred"),
        "misnamed": (2, "inferred"),
        "later": (3, "exact"),
        "nobody's": (None, "unknown"),
    }


def test_of_several_versions_of_one_name_the_newest_before_the_start_was_read() -> None:
    written = [
        event for n, second in ((1, 0), (2, 2), (3, 8)) for event in made(n, second, "l", (), (checked("a", "c"),))
    ]
    assert readings(history(*written, *made(9, 5, "read", (checked("a", "c"),))).at()) == {"a": (2, "exact")}
    assert readings(history(*written[2:], *made(9, 0, "read", (checked("a", "c"),))).at()) == {"a": (2, "exact")}


def test_run_never_read_its_own_output() -> None:
    events = [*made(1, 0, "grow", ("a",), ("a",)), *made(9, 2, "grow", (versioned("a", "v"),), (versioned("a", "v"),))]
    assert readings(history(*events).at()) == {"a": (1, "inferred")}


def test_description_of_a_dataset_is_read_only_where_nothing_else_is_there() -> None:
    described = [
        dataset_event("a", moment(3)),
        dataset_event("b", moment(3)),
        dataset_event(versioned("c", "v"), moment(3)),
    ]
    written = made(1, 0, "load", (), ("a", "c"))
    now = history(*written, *described, *made(9, 5, "read", ("a", "b", "c"))).at()
    assert readings(now) == {"a": (1, "inferred"), "b": (None, "inferred"), "c": (None, "inferred")}
    assert now.read(UUID(int=9).bytes, data("c"))[0] == now.newest(data("c"))


def test_description_is_newest_only_where_nothing_else_is_there_and_makes_nothing_stale() -> None:
    described = [dataset_event(dataset(name, schema={"fields": []}), moment(9)) for name in ("a", "b", "out")]
    events = [dataset_event("b", moment(0)), *made(1, 0, "load", (), ("a",)), *made(2, 5, "read", ("a", "b"), ("out",))]
    now = history(*events, *described).at()
    assert [run_of(now.newest(data(name))) for name in ("a", "out")] == [1, 2]
    first, second = now.versions(data("b"))
    assert (now.newest(data("b")), now.superseded_at(first)) == (second, us(9))
    assert stale(now, "out") == (False, [], [], None)
    now = history(*events, *described, dataset_event(versioned("b", "v"), moment(9))).at()
    assert stale(now, "out") == (True, ["b"], [], 9)


def test_late_start_moves_what_was_read() -> None:
    written = [*made(1, 0, "load", (), ("a",)), *made(2, 4, "load", (), ("a",))]
    events = [*written, run_event("COMPLETE", moment(9), run=9, job="read", inputs=("a",))]
    late = run_event("START", moment(2), run=9, job="read")
    assert readings(history(*events).at()) == {"a": (2, "inferred")}
    told = history(*events, late)
    assert readings(told.at()) == {"a": (1, "inferred")}
    assert readings(told.at(known_at=received(len(events) - 1))) == {"a": (2, "inferred")}


# --- flows -----------------------------------------------------------------------------------------------------------


def flows(now: Moment, name: str) -> dict[str, str]:
    """How each origin of the newest version of a dataset is known to flow into it."""
    version = now.newest(data(name))
    return {step.origin[0][1]: step.flow_evidence for step in now.made_from(version)} if version else {}


def test_best_evidence_in_the_run_counts_for_each_output() -> None:
    entries = [{"type": "DATASET", "namespace": "data", "name": "stated_by_job"}]
    origin = {"type": "DATASET", "namespace": "data", "name": "a"}
    elsewhere = {**origin, "name": "elsewhere"}
    outputs = (
        dataset("stated", lineage={"inputs": [origin, elsewhere]}, columnLineage=columns(x=[("b", "x")])),
        dataset("columns", columnLineage=columns(x=[("b", "x"), ("elsewhere", "x")])),
        dataset("nothing", lineage={"inputs": []}),
        dataset("empty", columnLineage=columns()),
        "stated_by_job",
        "plain",
    )
    facets = {"lineage": facet(entries=[{**entry, "inputs": [origin]} for entry in entries])}
    now = history(run_event(job="bulk", inputs=("a", "b"), outputs=outputs, job_facets=facets)).at()
    assert flows(now, "stated") == {"a": "explicit"}
    assert flows(now, "columns") == {"b": "column"}
    assert flows(now, "nothing") == {}
    assert flows(now, "stated_by_job") == {"a": "explicit"}
    assert flows(now, "empty") == flows(now, "plain") == {"a": "inferred", "b": "inferred"}
    assert flows(history(run_event(inputs=("a", "b"), outputs=("c",))).at(), "c") == {"a": "declared", "b": "declared"}


def test_names_are_one_dataset_whenever_that_was_said() -> None:
    tied = dataset("table", symlinks={"identifiers": [{"namespace": "data", "name": "alias", "type": "TABLE"}]})
    told = history(
        *made(1, 0, "load", (), ("alias",)), *made(2, 2, "read", ("table",), ("out",)), dataset_event(tied, moment(9))
    )
    now = told.at(as_of=us(5), known_at=received(3))
    assert [run_of(version) for version in now.versions(data("table"))] == [1]
    assert [version.dataset for version in now.versions(data("alias"))] == [data("table")]
    version = now.newest(data("out"))
    assert version is not None
    assert names(now.provenance(version.node, 9).versions) == ["out", "table"]


# --- provenance, impact, rebuilding ----------------------------------------------------------------------------------


def diamond() -> list[JSON]:
    """raw → left, right → both; twice."""
    events = []
    for turn in (0, 1):
        run, second = 10 * turn, 10 * turn
        events += made(run + 1, second, "load", (), ("raw",))
        events += made(run + 2, second + 2, "left", ("raw",), ("left",))
        events += made(run + 3, second + 2, "right", ("raw",), ("right",))
        events += made(run + 4, second + 4, "join", ("left", "right"), ("both",))
    return events


def test_provenance_is_of_one_version() -> None:
    now = history(*diamond()).at()
    first, second = now.versions(data("both"))
    for version, runs in ((first, {1, 2, 3, 4}), (second, {11, 12, 13, 14})):
        found = now.provenance(version.node, 20)
        assert {run_of(one) for one in now.all_versions if one.node in found.versions} == runs
        assert sorted(found.versions.values()) == [0, 1, 1, 2]
        assert len(found.steps) == 4
    near = now.provenance(first.node, 1)
    assert (names(near.versions), len(near.steps)) == (["both", "left", "right"], 2)
    assert now.superseded_at(first) == second.at == us(15)


def test_impact_goes_the_other_way_and_answers_whether_a_version_was_affected() -> None:
    now = history(*diamond()).at()
    old, new = now.versions(data("raw"))
    first, second = now.versions(data("both"))
    assert now.impact(old.node, 20).versions.keys() & {first.node, second.node} == {first.node}
    assert now.affected(second.node, new.node) == 2
    assert now.affected(first.node, new.node) is None
    assert now.rebuild(old.node).datasets == {}  # all that came of it has been made again
    rebuild = now.rebuild(new.node)
    assert rebuild.datasets == {job("left"): {data("left")}, job("right"): {data("right")}, job("join"): {data("both")}}
    assert rebuild.allows([job("right"), job("left"), job("join")])
    assert not rebuild.allows([job("right"), job("join"), job("left")])
    assert not rebuild.allows([job("right"), job("left")])


def test_jobs_that_feed_each_other_may_be_rebuilt_in_any_order() -> None:
    events = [
        *made(1, 0, "load", (), ("raw",)),
        *made(2, 2, "a", ("raw",), ("a",)),
        *made(3, 4, "b", ("a",), ("b",)),
        *made(4, 6, "a", ("raw", "b"), ("a",)),
        *made(5, 8, "after", ("a",), ("c",)),
    ]
    now = history(*events).at()
    raw = now.newest(data("raw"))
    assert raw is not None
    rebuild = now.rebuild(raw.node)
    assert rebuild.before == {(job("a"), job("after"))}


def test_what_read_a_dataset_that_nobody_wrote_is_its_impact() -> None:
    now = history(*made(1, 0, "read", ("file",), ("a",))).at()
    assert names(now.impact((data("file"), None), 20).versions) == ["a", "file"]
    version = now.newest(data("a"))
    assert version is not None
    assert now.provenance(version.node, 20).versions == {version.node: 0, (data("file"), None): 1}


# --- staleness -------------------------------------------------------------------------------------------------------


def stale(now: Moment, name: str) -> tuple[bool, list[str], list[str], int | None]:
    found = now.staleness(data(name), 0)[data(name)]
    causes = sorted(cause.dataset[1] for cause in found.causes)
    since = None if found.since is None else (found.since - us(0)) // 1_000_000
    return found.stale, causes, sorted(name for _, name in found.because), since


def test_stale_is_what_was_made_of_older_content_and_all_that_rests_on_it() -> None:
    events = [
        *made(1, 0, "load", (), (checked("raw", "c1"),)),
        *made(2, 2, "clean", ("raw",), (checked("clean", "c2"),)),
        *made(3, 4, "report", ("clean",), ("report",)),
    ]
    fresh: tuple[bool, list[str], list[str], int | None] = (False, [], [], None)
    assert stale(history(*events).at(), "report") == fresh
    again = made(4, 6, "load", (), (checked("raw", "c1"),))
    assert stale(history(*events, *again).at(), "report") == fresh  # the same content
    changed = made(5, 8, "load", (), (checked("raw", "other"),))
    now = history(*events, *again, *changed).at()
    assert stale(now, "raw") == fresh
    assert stale(now, "clean") == (True, ["raw"], [], 9)
    assert stale(now, "report") == (True, [], ["clean"], 9)
    [cause] = now.staleness(data("clean"), 0)[data("clean")].causes
    read, _, newest = now.versions(data("raw"))
    assert (cause.read, cause.newest, cause.evidence) == (read.uuid, newest.uuid, "inferred")
    assert {name: one.distance for (_, name), one in now.staleness(data("raw"), 20).items()} == {
        "raw": 0,
        "clean": 1,
        "report": 2,
    }
    back = made(6, 10, "load", (), (checked("raw", "c1"),))
    assert stale(history(*events, *changed, *back).at(), "report") == fresh
    mended = [
        *made(7, 12, "clean", ("raw",), (checked("clean", "c3"),)),
        *made(8, 14, "report", ("clean",), ("report",)),
    ]
    assert stale(history(*events, *changed, *mended).at(), "report") == fresh


def test_incremental_table_is_not_stale_for_having_been_its_own_input() -> None:
    now = history(*made(1, 0, "grow", ("a",), ("a",)), *made(2, 2, "grow", ("a",), ("a", "log"))).at()
    assert stale(now, "a") == stale(now, "log") == (False, [], [], None)


def test_input_written_only_after_it_was_read_makes_stale() -> None:
    now = history(*made(1, 0, "read", ("raw",), ("a",)), *made(2, 5, "load", (), ("raw",))).at()
    assert stale(now, "a") == (True, ["raw"], [], 6)
    [cause] = now.staleness(data("a"), 0)[data("a")].causes
    assert (cause.read, cause.evidence) == (None, "unknown")


# --- moments and changes ---------------------------------------------------------------------------------------------


def test_two_clocks() -> None:
    events = [
        *made(1, 0, "load", (), ("raw",)),
        *made(2, 4, "clean", ("raw",), ("clean",)),
        *made(3, 2, "load", (), ("raw",)),  # came late
    ]
    told = history(*events)

    def origin(now: Moment) -> int | None:
        version = now.newest(data("clean"))
        if version is None:
            return None
        [step] = now.made_from(version)
        return run_of(now.find(data("raw"), step.origin[1] or ""))

    assert origin(told.at()) == 3
    assert origin(told.at(known_at=received(3))) == 1  # what was believed then
    assert origin(told.at(as_of=us(4))) is None
    assert told.at(as_of=us(4)).newest(data("raw")) == told.at().newest(data("raw"))


def test_diff_tells_what_came_what_went_and_what_changed() -> None:
    columns_then = {"fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}]}
    columns_now = {"fields": [{"name": "x", "type": "text"}, {"name": "z", "type": "int"}]}
    code = {"headwater_assetVersion": {"codeVersion": "1"}}
    events = [
        run_event(
            "COMPLETE", moment(1), run=1, inputs=("a", "b"), outputs=(dataset("out", schema=columns_then, **code),)
        ),
        run_event(
            "COMPLETE", moment(2), run=2, inputs=("a", "c"), outputs=(dataset("out", schema=columns_now, **code),)
        ),
    ]
    told = history(*events)
    before, after = told.at(as_of=us(1)), told.at()
    out = ("d", data("out"))
    found = told.diff(out, before, after, "dataset")
    assert (found.added, found.removed) == ({"dataset:data:c"}, {"dataset:data:b"})
    assert found.edges_added == {("dataset:data:c", "dataset:data:out")}
    assert found.edges_removed == {("dataset:data:b", "dataset:data:out")}
    assert found.changed.keys() == {"dataset:data:out"}
    changes = found.changed["dataset:data:out"]
    assert changes["schema"] == {"added": {"z"}, "removed": {"y"}, "changed": {"x"}}
    assert changes.keys() == {"schema", "version"}
    mixed = told.diff(out, before, after)
    assert mixed.edges_added == {("dataset:data:c", "job:jobs:load")}
    nothing = told.diff(out, told.at(as_of=us(0)), before)
    assert nothing.added == {"dataset:data:a", "dataset:data:b", "dataset:data:out", "job:jobs:load"}


def test_graph_of_a_moment() -> None:
    events = [
        *made(1, 0, "load", ("a",), ("b",)),
        job_event(moment(3), job="plan", inputs=("b",), outputs=("c",)),
        *made(2, 5, "load", ("a", "x"), ("b",)),
    ]
    told = history(*events)
    assert told.at(as_of=us(2)).graph.walk_datasets(data("b"), "upstream", 9).nodes == {data("b"): 0, data("a"): 1}
    now = told.at().graph
    assert now.dataset_edges() == {
        (data("a"), data("b")): "declared",
        (data("x"), data("b")): "declared",
        (data("b"), data("c")): "declared",
    }
    assert now.walk(("d", data("c")), "upstream", 9).nodes == {
        ("d", data("c")): 0,
        ("j", job("plan")): 1,
        ("d", data("b")): 1,
        ("j", job("load")): 2,
        ("d", data("a")): 2,
        ("d", data("x")): 2,
    }


# --- reproducibility -------------------------------------------------------------------------------------------------


def test_equal_code_and_inputs_with_different_outputs_are_not_reproducible() -> None:
    source = checked("file", "in")  # nobody wrote it; the run says what it read
    events = [
        *made(1, 0, "train", (source,), (checked("model", "m1", "code1"),)),
        *made(2, 2, "train", (source,), (checked("model", "m2", "code1"),)),
        *made(3, 4, "train", (source,), (checked("model", "m3", "code2"),)),  # other code
        *made(4, 6, "train", (checked("file", "other"),), (checked("model", "m4", "code1"),)),
        *made(5, 8, "train", (), (checked("model", "m5", "code1"),)),  # of unknown inputs
        *made(6, 10, "train", ("file",), (checked("model", "m6", "code1"),)),
    ]
    [found] = history(*events).at().unreproducible()
    assert (found.job, found.dataset, found.code) == (job("train"), data("model"), "code1")
    assert found.inputs == {(data("file"), "blake3:in")}
    assert {(int(UUID(run)), checksum) for run, checksum in found.runs} == {(1, "blake3:m1"), (2, "blake3:m2")}


def test_rebuild_to_the_same_content_is_a_noop() -> None:
    contents = ("one", "one", "two", "one", "one", "one")
    events = [e for n, c in enumerate(contents, 1) for e in made(n, 2 * n, "load", (), (checked("a", c),))]
    now = history(*events, *made(9, 50, "load", (), ("b",)), *made(10, 52, "load", (), ("b",))).at()
    uuids = [version.uuid for version in now.versions(data("a"))]
    assert {(one.dataset, one.versions) for one in now.noops()} == {
        (data("a"), tuple(uuids[:2])),
        (data("a"), tuple(uuids[3:])),
    }


# --- the story -------------------------------------------------------------------------------------------------------


def test_bad_load_of_raw_orders_found_rebuilt_and_mended() -> None:
    def night(turn: int, orders: str) -> list[JSON]:
        run, at = 100 * turn, 10 * turn
        return [
            *made(run + 1, at, "load_orders", (), (checked("raw_orders", orders),)),
            *made(run + 2, at, "load_rates", (), (checked("rates", "rates"),)),
            *made(run + 3, at + 2, "clean", ("raw_orders",), (checked("orders", f"clean {orders}"),)),
            *made(run + 4, at + 4, "sum", ("orders", "rates"), (checked("revenue", f"revenue {orders}"),)),
            *made(run + 5, at + 4, "convert", ("rates",), (checked("prices", "prices"),)),
        ]

    monday, tuesday = night(0, "good"), night(1, "bad")
    told = history(*monday, *tuesday)
    bad = told.at().find(data("raw_orders"), "bad")
    assert bad is None  # three characters name no content
    bad = told.at().find(data("raw_orders"), "blake3:bad")
    assert bad is not None

    # what did last night's orders touch?
    touched = told.at().impact(bad.node, 20)
    assert names(touched.versions) == ["orders", "raw_orders", "revenue"]
    rebuild = told.at().rebuild(bad.node)
    assert rebuild.allows([job("clean"), job("sum")])
    assert not rebuild.allows([job("sum"), job("clean")])
    prices = told.at().newest(data("prices"))
    assert prices is not None
    assert told.at().affected(prices.node, bad.node) is None

    # the source is loaded again: what was made of the bad load is stale
    loaded = [*monday, *tuesday, *made(201, 20, "load_orders", (), (checked("raw_orders", "good"),))]
    now = history(*loaded).at()
    assert stale(now, "orders") == (True, ["raw_orders"], [], 21)
    assert stale(now, "revenue") == (True, [], ["orders"], 21)
    assert stale(now, "prices") == (False, [], [], None)

    # rebuilt in order, it is mended
    rebuilt = [
        *loaded,
        *made(203, 22, "clean", ("raw_orders",), (checked("orders", "clean good"),)),
        *made(204, 24, "sum", ("orders", "rates"), (checked("revenue", "revenue good"),)),
    ]
    now = history(*rebuilt).at()
    assert not any(one.stale for one in now.staleness(data("raw_orders"), 20).values())
    assert now.rebuild(bad.node).datasets == {}
    revenue = now.newest(data("revenue"))
    assert revenue is not None
    assert revenue.checksum == "blake3:revenue good"
    assert now.affected(revenue.node, bad.node) is None
    # and what was believed on the morning of the bad load can still be asked
    then = history(*rebuilt).at(known_at=received(len(monday) + len(tuesday) - 1))
    believed = then.newest(data("revenue"))
    assert believed is not None
    assert then.affected(believed.node, bad.node) == 2
