"""Dependencies between jobs as rows: what each waits for, and what it starts."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from collector.api.store import EXTENSION
from collector.rebuild import rebuild
from tests.collector.answers import get
from tests.collector.events import JSON, facet, run_event
from tests.collector.stores import state
from tests.collector.test_graph_api import store

DEPENDENCIES = "/api/v1/dependencies"


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def other(name: str, **rules: str) -> JSON:
    """One dependency."""
    return {"job": {"namespace": "jobs", "name": name}, **rules}


def ran(job: str, run: int, day: int = 1, upstream: Any = (), downstream: Any = (), **rest: Any) -> JSON:
    """A run that tells of dependencies."""
    told = facet(upstream=list(upstream), downstream=list(downstream), **rest)
    return run_event(time=f"2026-01-{day:02}T00:00:00Z", run=run, job=job, run_facets={"jobDependencies": told})


def edges(client: FlaskClient, job: str, **query: Any) -> list[str]:
    """Dependencies as ``before > after``."""
    answer = get(client, DEPENDENCIES, nodeId=f"job:jobs:{job}", **query)
    shown = {one["id"] for one in answer["jobs"]}
    assert {one[end] for one in answer["dependencies"] for end in ("upstream", "downstream")} <= shown
    return [
        f"{one['upstream'].rpartition(':')[2]} > {one['downstream'].rpartition(':')[2]}"
        for one in answer["dependencies"]
    ]


def test_job_waits_for_others_and_starts_others_with_their_rules(client: FlaskClient) -> None:
    rules = {
        "dependency_type": "DIRECT_INVOCATION",
        "sequence_trigger_rule": "FINISH_TO_START",
        "status_trigger_rule": "EXECUTE_ON_SUCCESS",
    }
    store(
        client, ran("load", 1, upstream=[other("extract", **rules)], downstream=[other("report")], trigger_rule="ALL")
    )
    answer = get(client, DEPENDENCIES, nodeId="job:jobs:load")
    assert [(one["name"], one["distance"], one["latestRunState"], one["triggerRule"]) for one in answer["jobs"]] == [
        ("load", 0, "COMPLETED", "ALL"),
        ("extract", 1, None, None),
        ("report", 1, None, None),
    ]
    assert answer["dependencies"] == [
        {
            "upstream": "job:jobs:extract",
            "downstream": "job:jobs:load",
            "dependencyType": "DIRECT_INVOCATION",
            "sequenceTriggerRule": "FINISH_TO_START",
            "statusTriggerRule": "EXECUTE_ON_SUCCESS",
            "toldBy": ["job:jobs:load"],
        },
        {
            "upstream": "job:jobs:load",
            "downstream": "job:jobs:report",
            "dependencyType": None,
            "sequenceTriggerRule": None,
            "statusTriggerRule": None,
            "toldBy": ["job:jobs:load"],
        },
    ]


def test_jobs_that_only_a_facet_names_are_there(client: FlaskClient) -> None:
    store(client, ran("load", 1, upstream=[other("extract")]))
    assert get(client, "/api/v1/namespaces/jobs/jobs/extract")["latestRun"] is None
    assert edges(client, "extract") == ["extract > load"]


def test_what_both_jobs_say_is_one_dependency_by_the_word_of_the_later(client: FlaskClient) -> None:
    store(
        client,
        ran("one", 1, downstream=[other("two", dependency_type="A", status_trigger_rule="S")]),
        ran("two", 2, upstream=[other("one", dependency_type="B")]),
    )
    (edge,) = get(client, DEPENDENCIES, nodeId="job:jobs:one")["dependencies"]
    assert (edge["dependencyType"], edge["statusTriggerRule"]) == ("B", "S")
    assert edge["toldBy"] == ["job:jobs:one", "job:jobs:two"]


def test_depth_and_direction_bound_the_walk(client: FlaskClient) -> None:
    store(client, *(ran(f"j{n}", n, upstream=[other(f"j{n - 1}")]) for n in range(1, 6)))
    assert edges(client, "j3") == ["j2 > j3", "j3 > j4"]
    assert edges(client, "j3", direction="upstream", depth=10) == ["j0 > j1", "j1 > j2", "j2 > j3"]
    assert edges(client, "j3", direction="downstream", depth=10) == ["j3 > j4", "j4 > j5"]
    answer = get(client, DEPENDENCIES, nodeId="job:jobs:j3", depth=10, limit=3)
    assert (len(answer["jobs"]), answer["truncated"]) == (3, True)
    assert edges(client, "j3", depth=0) == []


def test_circle_of_jobs_ends(client: FlaskClient) -> None:
    store(client, ran("one", 1, upstream=[other("two"), other("one")]), ran("two", 2, upstream=[other("one")]))
    assert edges(client, "one", depth=100) == ["one > two", "two > one"]


def test_newest_run_that_tells_counts_and_one_that_does_not_takes_nothing_away(client: FlaskClient) -> None:
    store(client, ran("load", 2, 2, upstream=[other("new")]), ran("load", 1, 1, upstream=[other("old")]))
    assert edges(client, "load") == ["new > load"]
    store(client, run_event("START", "2026-01-03T00:00:00Z", run=3))
    assert edges(client, "load") == ["new > load"]
    store(client, ran("load", 4, 4))
    assert edges(client, "load") == []


def test_deleted_facet_takes_all_away(client: FlaskClient) -> None:
    store(client, ran("load", 1, 1, upstream=[other("a")]), ran("load", 2, 2, upstream=[other("a")], _deleted=True))
    assert edges(client, "load") == []


def test_newest_run_found_to_have_begun_earlier_gives_way(client: FlaskClient) -> None:
    store(client, ran("load", 1, 2, upstream=[other("one")]), ran("load", 2, 3, upstream=[other("two")]))
    assert edges(client, "load") == ["two > load"]
    store(client, run_event("START", "2026-01-01T00:00:00Z", run=2))
    assert edges(client, "load") == ["one > load"]
    engine = client.application.extensions[EXTENSION].engine
    live = state(engine)
    rebuild(engine)
    assert state(engine) == live


def test_run_that_turns_out_to_be_another_jobs_takes_its_word_along(client: FlaskClient) -> None:
    store(client, ran("one", 1, 1, upstream=[other("a")]), run_event(time="2026-01-02T00:00:00Z", run=1, job="two"))
    assert edges(client, "one") == []
    assert edges(client, "two") == ["a > two"]


def test_hidden_jobs_are_left_out(client: FlaskClient) -> None:
    store(client, ran("load", 1, upstream=[other("a"), other("b")]))
    assert client.delete("/api/v1/namespaces/jobs/jobs/a").status_code == 200
    assert edges(client, "load") == ["b > load"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"nodeId": "dataset:data:a"}, 400),
        ({"nodeId": "job:jobs:none"}, 404),
        ({"nodeId": "job:jobs:load", "depth": -1}, 400),
        ({"nodeId": "job:jobs:load", "direction": "any"}, 400),
        ({"nodeId": "job:jobs:load", "limit": 0}, 400),
    ],
)
def test_bad_question_is_refused(shared: FlaskClient, query: JSON, status: int) -> None:
    response = shared.get(DEPENDENCIES, query_string=query)
    assert response.status_code == status
    assert {"code", "message"} <= set(response.json)
