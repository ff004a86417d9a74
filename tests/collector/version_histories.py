"""Generated histories of versions: small worlds in a few seconds, so that ties, inversions and late words are common.

Half of what is generated is as real producers send it (a START, then a COMPLETE, versions and checksums in it), so that
long chains of versions come about; the other half is anything.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from uuid import UUID

from hypothesis import strategies as st

from collector.keys import microseconds
from tests.collector.events import JSON, columns, dataset_event, facet, job_event, run_event
from tests.collector.reference_history import History

NAMES = ("a", "b", "c", "d", "e", "f")
JOBS = ("j1", "j2", "j3", "j4")
RUNS = 8
RECEIVED_US = microseconds("2026-02-01T00:00:00Z")
#: no two begin with the same six characters
CHECKSUMS = tuple(f"{number}f{number}e{number}d" * 3 for number in range(1, 4))


@dataclass(frozen=True)
class Arrival:
    """Batches of events, each with the time of its commit (microseconds since 1970 UTC)."""

    batches: tuple[tuple[int, tuple[JSON, ...]], ...]

    @property
    def history(self) -> History:
        """What the reference makes of them."""
        return History((received_us, event) for received_us, events in self.batches for event in events)

    def __str__(self) -> str:
        """For the report of a failing example: each event after the second of its commit."""
        return "\n".join(
            f"{(us - RECEIVED_US) // 1_000_000}: {json.dumps(event)}" for us, events in self.batches for event in events
        )


def moment(second: int) -> str:
    """The time that is so many seconds after the worlds' beginning."""
    return f"2026-01-01T00:00:{second:02}Z"


seconds = st.integers(0, 9)
_few = st.integers(0, 2)


def _version(number: int) -> JSON:
    return {"version": facet(datasetVersion=f"v{number}")}


def _checksum(number: int) -> JSON:
    return {"headwater_checksum": facet(algorithm="blake3", value=CHECKSUMS[number], hashed="file")}


def _asset(number: int) -> JSON:
    return {"headwater_assetVersion": facet(assetVersion="1", codeVersion=f"code{number}")}


def _stated(names: list[str]) -> list[JSON]:
    return [{"type": "DATASET", "namespace": "data", "name": name} for name in names]


_some_names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
_said_of_output = st.fixed_dictionaries(
    {},
    optional={
        "version": _few.map(lambda number: _version(number)["version"]),
        "headwater_checksum": _few.map(lambda number: _checksum(number)["headwater_checksum"]),
        "headwater_assetVersion": st.integers(0, 1).map(lambda number: _asset(number)["headwater_assetVersion"]),
    },
)
_columns = st.lists(
    st.builds(lambda name, kind: {"name": name, "type": kind}, st.sampled_from("xyz"), st.sampled_from("st")),
    max_size=2,
    unique_by=lambda column: column["name"],
)
_schema: st.SearchStrategy[JSON] = st.one_of(
    *[st.just({})] * 5,  # most that list a dataset tell no schema
    _columns.map(lambda found: {"schema": facet(fields=found)}),
    _columns.map(lambda found: {"schema": facet(fields=found)}),
    st.just({"schema": facet(_deleted=True)}),
)
_flow_of_output: st.SearchStrategy[JSON] = st.one_of(
    st.just({}),
    st.just({}),
    _some_names.map(lambda names: {"columnLineage": facet(**columns(x=[(name, "x") for name in names]))}),
    _some_names.map(lambda names: {"lineage": facet(inputs=_stated(names))}),
    _some_names.map(lambda names: {"lineage": facet(fields={"x": {"inputs": _stated(names)}})}),
)
_said_of_input = st.one_of(
    st.just({}),
    st.just({}),
    st.integers(0, 3).map(_version),  # nobody writes v3
    _few.map(_checksum),
    st.builds(lambda one, other: {**_version(one), **_checksum(other)}, st.integers(0, 3), _few),
)
_said_of_job = st.one_of(
    st.just({}),
    st.just({}),
    st.tuples(_few, st.sampled_from(["a", "b"])).map(
        lambda said: {"sql": facet(query=f"select {said[0]}", dialect=said[1])}
    ),
    st.just({"sql": facet(_deleted=True)}),
    st.just({"sourceCodeLocation": facet(type="git", url="https://example.com")}),
    _few.map(lambda number: {"sourceCode": facet(language="python", sourceCode=f"code {number}")}),
    _few.map(lambda number: {"sourceCodeLocation": facet(type="git", url="https://example.com", version=f"g{number}")}),
    st.builds(
        lambda targets, sources: {
            "lineage": facet(entries=[{**target, "inputs": _stated(sources)} for target in _stated(targets)])
        },
        _some_names,
        _some_names,
    ),
)


def _dataset(name: str, *facets: JSON) -> JSON:
    return {"namespace": "data", "name": name, "facets": {key: body for one in facets for key, body in one.items()}}


@st.composite
def _sides(draw: st.DrawFn, names: tuple[str, ...], job: str) -> tuple[list[str], list[str]]:
    """What a run reads and writes: as a rule a later name made from an earlier one, each job in its place."""
    at = JOBS.index(job)
    shape = draw(st.sampled_from(["chain", "chain", "fan", "any"]))
    inputs = [names[at - 1]] if at else []
    if shape == "chain":
        return inputs, [names[at]]
    if shape == "fan":
        return inputs, [names[at], names[-1]][: 2 if names[at] != names[-1] else 1]
    some = st.lists(st.sampled_from(names), max_size=2, unique=True)
    return draw(some), draw(some)


@st.composite
def _run(
    draw: st.DrawFn, number: int, job: str, sides: tuple[list[str], list[str]], in_turn: bool, steady: bool
) -> list[JSON]:
    """The events of one run: its outputs on the first event, on the last, or on all.

    ``in_turn``: it starts about when the runs of lower numbers are through; ``steady``: by one code, with checksums.
    """
    inputs, outputs = sides
    always = [_asset(0)] if steady else []
    if draw(st.integers(0, 3)):
        start = number + draw(st.integers(-1, 1)) if in_turn else draw(seconds)
        times = [start, start + draw(_few)]
        kinds = ["START", draw(st.sampled_from(["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]))]
    else:
        kinds = draw(
            st.lists(
                st.sampled_from(["START", "RUNNING", "COMPLETE", "COMPLETE", "FAIL", "OTHER"]), min_size=1, max_size=3
            )
        )
        times = [draw(seconds) for _ in kinds]
    where = draw(st.sampled_from(["first", "last", "all"]))
    said_of_job = draw(_said_of_job)
    # what a run says of one dataset's version it says once or all along, and never otherwise
    said = {
        name: [draw(_said_of_output), *([_checksum(draw(st.integers(0, 1)))] if steady else [])] for name in outputs
    }
    said_of_inputs = {name: draw(_said_of_input) for name in inputs}
    events = []
    for at, (kind, second) in enumerate(zip(kinds, times, strict=True)):
        lists = where == "all" or at == (0 if where == "first" else len(kinds) - 1)
        told = (
            {
                name: [
                    *draw(st.sampled_from([said[name], said[name], []])),
                    draw(_flow_of_output),
                    draw(_schema),
                    *always,
                ]
                for name in outputs
            }
            if lists
            else {}
        )
        events.append(
            run_event(
                kind,
                moment(second),
                run=_run_id(number),
                job=job,
                inputs=tuple(_dataset(name, said_of_inputs[name], draw(_schema)) for name in inputs),
                outputs=tuple(_dataset(name, *facets) for name, facets in told.items()),
                job_facets=said_of_job if draw(st.booleans()) else draw(_said_of_job),
            )
        )
    return events


def _run_id(number: int) -> str:
    """UUIDs whose order is neither that of the runs nor always before a DatasetEvent's hash."""
    return str(UUID(int=((number * 7) % 16) << 124 | number))


@st.composite
def _static(draw: st.DrawFn, names: tuple[str, ...]) -> JSON:
    """A DatasetEvent or a JobEvent."""
    if draw(st.booleans()):
        facets = [draw(_said_of_output), draw(_flow_of_output), draw(_schema)]
        return dataset_event(_dataset(draw(st.sampled_from(names)), *facets), moment(draw(seconds)))
    listed = [draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) for _ in range(2)]
    return job_event(
        moment(draw(seconds)),
        job=draw(st.sampled_from(JOBS)),
        inputs=tuple(_dataset(name, draw(_schema)) for name in listed[0]),
        outputs=tuple(_dataset(name, draw(_flow_of_output), draw(_schema)) for name in listed[1]),
        job_facets=draw(_said_of_job),
    )


def _tie(draw: st.DrawFn, events: list[JSON]) -> None:
    """Let one of the events say that the dataset that it lists has another name too."""
    listed: list[JSON] = [one for event in events for one in (*event.get("inputs", ()), *event.get("outputs", ()))]
    listed += [event["dataset"] for event in events if "dataset" in event]
    if not listed:
        return
    one = draw(st.sampled_from(listed))
    other = {"namespace": "data", "name": draw(st.sampled_from([name for name in NAMES if name != one["name"]]))}
    if draw(st.booleans()):
        _list_both(draw, events, one["name"], other["name"])
    if draw(st.booleans()):
        one["facets"]["symlinks"] = facet(identifiers=[{**other, "type": "TABLE"}])
    else:
        one["facets"]["lifecycleStateChange"] = facet(lifecycleStateChange="RENAME", previousIdentifier=other)


def _list_both(draw: st.DrawFn, events: list[JSON], name: str, other: str) -> None:
    """Let runs that list a dataset list it under its other name too, in some of their events."""
    said: dict[tuple[str, str], JSON] = {}
    for event in [event for event in events if "run" in event]:
        for side, facets in (("inputs", _said_of_input), ("outputs", _said_of_output)):
            listed = {dataset["name"] for dataset in event[side]}
            if (name in listed) != (other in listed) and draw(st.booleans()):
                key = (event["run"]["runId"], side)
                said.setdefault(key, draw(facets))
                more = {} if side == "inputs" else draw(_flow_of_output)
                event[side].append(_dataset(other if name in listed else name, said[key], more))


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """Some events of a small world in any order, committed in batches."""
    names = NAMES[: draw(st.integers(4, len(NAMES)))]
    runs = draw(st.sampled_from((2, 5, RUNS)))
    in_turn, steady = draw(st.booleans()), draw(st.booleans())
    any_jobs = st.lists(st.sampled_from(JOBS), min_size=runs, max_size=runs)
    job_of = [JOBS[run % len(JOBS)] for run in range(runs)] if in_turn else draw(any_jobs)
    events: list[JSON] = []
    habits = {job: draw(_sides(names, job)) for job in JOBS}
    for number, job in enumerate(job_of, 1):
        sides = habits[job] if draw(st.integers(0, 3)) else draw(_sides(names, job))
        events += draw(_run(number, job, sides, in_turn, steady))
    events += draw(st.lists(_static(names), max_size=3))
    if draw(st.integers(0, 3)) == 0:
        _tie(draw, events)
    if draw(st.booleans()):
        events = draw(st.permutations(events))
    cuts = sorted(draw(st.sets(st.integers(1, len(events)), max_size=4)) | {0, len(events)})
    return Arrival(
        tuple(
            (RECEIVED_US + at * 1_000_000, tuple(events[one:other]))
            for at, (one, other) in enumerate(itertools.pairwise(cuts))
        )
    )
