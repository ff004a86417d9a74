"""The state of a job's newest run, by which jobs are listed."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from collector.api.store import EXTENSION
from collector.rebuild import rebuild
from tests.collector.answers import get
from tests.collector.events import run_event
from tests.collector.stores import state
from tests.collector.test_graph_api import store


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def states(client: FlaskClient) -> dict[str, list[str]]:
    """Names of jobs by the state of their newest run; asked of each namespace and of all."""
    found = {}
    for one in ("NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"):
        answer = get(client, "/api/v1/jobs", lastRunStates=one)
        assert get(client, "/api/v1/namespaces/jobs/jobs", lastRunStates=one) == answer
        names = [job["name"] for job in answer["jobs"]]
        assert len(names) == answer["totalCount"]
        if names:
            found[one] = names
    return found


def test_later_event_of_the_newest_run_changes_the_state(client: FlaskClient) -> None:
    store(
        client, run_event("START", "2026-01-01T00:00:00Z"), run_event("START", "2026-01-01T00:00:00Z", run=2, job="b")
    )
    assert states(client) == {"RUNNING": ["b", "load"]}
    store(client, run_event("FAIL", "2026-01-01T00:01:00Z"))
    assert states(client) == {"RUNNING": ["b"], "FAILED": ["load"]}


def test_event_of_an_older_run_changes_nothing(client: FlaskClient) -> None:
    store(client, run_event("COMPLETE", "2026-01-02T00:00:00Z", run=2), run_event("FAIL", "2026-01-01T00:00:00Z"))
    assert states(client) == {"COMPLETED": ["load"]}


def test_newest_run_that_moves_away_leaves_the_state_of_the_one_before(client: FlaskClient) -> None:
    store(client, run_event("FAIL", "2026-01-02T00:00:00Z"), run_event("COMPLETE", "2026-01-03T00:00:00Z", run=2))
    assert states(client) == {"COMPLETED": ["load"]}
    store(client, run_event("START", "2026-01-01T00:00:00Z", run=2))
    assert states(client) == {"FAILED": ["load"]}
    store(client, run_event("ABORT", "2026-01-04T00:00:00Z", job="other"))
    assert states(client) == {"COMPLETED": ["load"], "ABORTED": ["other"]}
    engine = client.application.extensions[EXTENSION].engine
    live = state(engine)
    rebuild(engine)
    assert state(engine) == live


def test_hidden_jobs_are_in_no_state(client: FlaskClient) -> None:
    store(client, run_event("COMPLETE"), run_event("COMPLETE", run=2, job="b"))
    assert client.delete("/api/v1/namespaces/jobs/jobs/b").status_code == 200
    assert states(client) == {"COMPLETED": ["load"]}
    assert client.delete("/api/v1/namespaces/jobs").status_code == 200
    assert states(client) == {}
