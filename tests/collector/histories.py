"""Generated histories: small worlds of few names and times, so that everything meets everything else."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from collector import legacy
from collector.keys import microseconds
from collector.records import make_record
from tests.collector.events import JSON, columns, dataset_event, facet, job_event, raw, run_event, schema

NAMES = ("a", "b", "c", "d")
_times = st.integers(0, 9).map(lambda second: f"2026-01-01T00:00:0{second}Z")
_names = st.sampled_from(NAMES)


def _version(number: int) -> JSON:
    return {"version": facet(datasetVersion=f"v{number}")}


def _asset(number: int) -> JSON:
    return {
        "headwater_checksum": facet(algorithm="blake3", value=f"{number:04x}", hashed="file"),
        "headwater_assetVersion": facet(assetVersion=str(number), codeVersion=f"code{number}"),
    }


def _symlink(name: str) -> JSON:
    return {"symlinks": facet(identifiers=[{"namespace": "data", "name": name, "type": "TABLE"}])}


def _rename(name: str) -> JSON:
    previous = {"namespace": "data", "name": name}
    return {"lifecycleStateChange": facet(lifecycleStateChange="RENAME", previousIdentifier=previous)}


def _stated(name: str) -> JSON:
    return {"type": "DATASET", "namespace": "data", "name": name}


_sources = st.one_of(
    _names.map(_stated),
    st.tuples(_names, st.sampled_from("xyz")).map(lambda origin: {**_stated(origin[0]), "field": origin[1]}),
    st.integers(1, 3).map(lambda number: {"type": "JOB", "namespace": "jobs", "name": f"j{number}"}),
    st.just({"type": "JOB"}),
)
_targets = st.one_of(
    _names.map(_stated),
    st.integers(1, 4).map(lambda number: {"type": "JOB", "namespace": "jobs", "name": f"j{number}"}),
    st.just({"type": "JOB"}),
)
_owners = st.one_of(
    st.lists(
        st.builds(lambda name, kind: {"name": name, **kind}, _names, st.sampled_from([{}, {"type": "MAINTAINER"}])),
        max_size=2,
    ).map(lambda owners: {"ownership": facet(owners=owners)}),
    st.just({"ownership": facet(_deleted=True)}),
)
_tags = st.one_of(
    st.lists(
        st.builds(
            lambda key, value, field: {"key": key, "value": value, **field},
            st.sampled_from(["PII", "t"]),
            st.sampled_from(["true", "other"]),
            st.sampled_from([{}, {"field": "x"}]),
        ),
        max_size=2,
    ).map(lambda tags: {"tags": facet(tags=tags)}),
    st.just({"tags": facet(_deleted=True)}),
)
_assertions = st.one_of(
    st.lists(
        st.builds(
            lambda one, success, rest: {"assertion": one, "success": success, **rest},
            st.sampled_from(["not_null", "unique"]),
            st.booleans(),
            st.sampled_from([{}, {"column": "x"}, {"severity": "warn"}]),
        ),
        max_size=3,
    ).map(lambda found: {"dataQualityAssertions": facet(assertions=found)}),
    st.just({"dataQualityAssertions": facet(_deleted=True)}),
)
_job_facets = st.one_of(
    st.just({}),
    _owners,
    _tags,
    st.lists(
        st.builds(lambda target, sources: {**target, "inputs": sources}, _targets, st.lists(_sources, max_size=2)),
        max_size=2,
    ).map(lambda entries: {"lineage": facet(entries=entries)}),
)

_dataset_facets = st.one_of(
    st.just({}),
    st.lists(st.sampled_from("xyz"), min_size=1, max_size=3).map(lambda names: {"schema": facet(**schema(*names))}),
    st.integers(0, 3).map(_version),
    st.integers(0, 3).map(_asset),
    _names.map(_symlink),
    _names.map(_rename),
    st.sampled_from(["CREATE", "DROP", "TRUNCATE"]).map(
        lambda change: {"lifecycleStateChange": facet(lifecycleStateChange=change)}
    ),
    st.tuples(_names, st.sampled_from("xyz")).map(lambda origin: {"columnLineage": facet(**columns(x=[origin]))}),
    st.just({"columnLineage": facet(_deleted=True)}),
    st.just({"schema": "no facet at all"}),
    _owners,
    _tags,
    _assertions,
    _assertions,
    st.builds(lambda sources: {"lineage": facet(inputs=sources)}, st.lists(_sources, max_size=2)),
    st.builds(lambda sources: {"lineage": facet(fields={"x": {"inputs": sources}})}, st.lists(_sources, max_size=2)),
)


@st.composite
def _datasets(draw: st.DrawFn) -> tuple[JSON, ...]:
    found = []
    for name in draw(st.lists(_names, max_size=3)):
        dataset: JSON = {"namespace": "data", "name": name, "facets": draw(_dataset_facets)}
        if draw(st.booleans()):
            side = draw(st.sampled_from(["inputFacets", "outputFacets"]))
            statistics = {"outputStatistics": facet(rowCount=draw(st.integers(0, 2)))}
            dataset[side] = draw(st.one_of(st.just(statistics), _assertions, _tags))
        found.append(dataset)
    return tuple(found)


def _parent(number: int) -> JSON:
    parent = {
        "run": {"runId": f"00000000-0000-0000-0000-00000000000{number}"},
        "job": {"namespace": "jobs", "name": f"j{number}"},
    }
    return {"parent": facet(**parent, root=parent)}


def _delivery(instance: int, sequence: int) -> JSON:
    dropped = [{"first": sequence + 1, "last": sequence + 2, "reason": "size"}]
    number = {"instance": f"00000000-0000-0000-0000-00000000000{instance}", "sequence": sequence}
    return {"headwater_delivery": facet(**number, **({"dropped": dropped} if sequence == 2 else {}))}


_dependency = st.builds(
    lambda number, rule: {"job": {"namespace": "jobs", "name": f"j{number}"}, **rule},
    st.integers(1, 4),
    st.sampled_from([{}, {"dependency_type": "IMPLICIT_DEPENDENCY"}, {"status_trigger_rule": "EXECUTE_ON_FAILURE"}]),
)
_dependencies = st.one_of(
    st.builds(
        lambda before, after: {"jobDependencies": facet(upstream=before, downstream=after)},
        st.lists(_dependency, max_size=2),
        st.lists(_dependency, max_size=2),
    ),
    st.just({"jobDependencies": facet(_deleted=True)}),
)
_run_facets = st.one_of(
    st.just({}),
    _dependencies,
    _dependencies,
    st.integers(1, 4).map(_parent),
    st.integers(0, 2).map(lambda day: {"nominalTime": facet(nominalStartTime=f"2026-01-0{day + 1}T00:00:00Z")}),
    st.tuples(st.integers(1, 2), st.sampled_from([1, 2, 3, 1_024, 1_025])).map(lambda number: _delivery(*number)),
)

_run_events = st.builds(
    run_event,
    st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER"]),
    _times,
    run=st.one_of(st.integers(1, 5), st.just("not-a-uuid")),
    job=st.integers(1, 3).map(lambda number: f"j{number}"),
    inputs=_datasets(),
    outputs=_datasets(),
    run_facets=_run_facets,
    job_facets=_job_facets,
)
_job_events = st.builds(
    job_event,
    _times,
    job=st.integers(1, 3).map(lambda n: f"j{n}"),
    inputs=_datasets(),
    outputs=_datasets(),
    job_facets=_job_facets,
)
_dataset_events = st.builds(
    lambda name, facets, time: dataset_event({"namespace": "data", "name": name, "facets": facets}, time),
    _names,
    _dataset_facets,
    _times,
)


# --- what Marquez's legacy calls become -------------------------------------------------------------------------------

_microseconds = st.integers(0, 9).map(lambda second: microseconds(f"2026-01-01T00:00:0{second}Z"))
_data = st.just("data")
_by_hand = st.one_of(
    st.builds(legacy.tagged, st.sampled_from(["PII", "a/b"]), st.booleans(), st.sampled_from(["", "x"])),
    st.just(legacy.hidden()),
)
_told_dataset = st.builds(
    lambda columns, text, tags, source: legacy.dataset_facets(
        {
            "type": "DB_TABLE",
            "physicalName": text or "p",
            "sourceName": source,
            "fields": [{"name": name, "type": "text", "tags": tags} for name in columns],
            "description": text,
            "tags": tags,
        },
        None,
    ),
    st.sets(st.sampled_from("xyz")),
    st.sampled_from([None, "one", "other"]),
    st.sampled_from([[], ["PII"]]),
    st.sampled_from(["s", "postgres://h"]),
)
_told_job = st.builds(
    lambda kind, location: legacy.job_facets({"type": kind, "location": location}),
    st.sampled_from(["BATCH", "STREAM"]),
    st.sampled_from([None, "https://example.com/1", "https://example.com/2"]),
)
_ids = st.lists(_names.map(lambda name: {"namespace": "data", "name": name}), max_size=2)
_legacy = st.one_of(
    st.builds(legacy.dataset_event, _data, _names, st.one_of(_by_hand, _told_dataset), _microseconds),
    st.builds(legacy.job_event, st.just("jobs"), st.sampled_from(["j1", "j2"]), _told_job, _microseconds, _ids, _ids),
    st.builds(legacy.job_event, st.just("jobs"), st.sampled_from(["j1", "j2"]), _by_hand, _microseconds),
    st.builds(
        legacy.run_event,
        st.sampled_from(["OTHER", "START", "COMPLETE", "FAIL"]),
        st.integers(1, 5).map(lambda number: f"00000000-0000-0000-0000-00000000000{number}"),
        st.just(("jobs", "j1")),
        _microseconds,
        st.just(legacy.run_facets({"args": {"a": 1}, "nominalStartTime": "2026-01-01T00:00:00Z"})),
        _ids,
        _ids,
    ),
    st.builds(
        make_record, st.just("namespace"), st.sampled_from(["data", "jobs", "n"]), _microseconds, ownerName=_names
    ),
    st.builds(
        make_record, st.just("namespace"), st.sampled_from(["data", "jobs"]), _microseconds, hidden=st.just(True)
    ),
    st.builds(
        make_record, st.just("source"), st.sampled_from(["s", "data"]), _microseconds, type=_names, connectionUrl=_names
    ),
    st.builds(
        make_record,
        st.just("tag"),
        st.sampled_from(["PII", "t"]),
        _microseconds,
        description=st.one_of(st.none(), _names),
    ),
)

events: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _run_events, _run_events, _run_events, _job_events, _dataset_events
)
bodies = st.one_of(events.map(raw), events.map(raw), events.map(raw), _legacy.map(lambda event: event.raw))
histories = st.lists(bodies, min_size=1, max_size=14)
