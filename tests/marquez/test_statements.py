"""No answer's statements grow with what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from collector import state
from collector.api.store import EXTENSION
from collector.documents import finished
from tests.collector.events import columns, dataset, raw, run_event, schema

PATHS = {
    "/namespaces": 20,
    "/sources": 20,
    "/tags": 20,
    "/jobs": 20,
    "/jobs?lastRunStates=COMPLETED": 20,
    "/namespaces/jobs/jobs": 20,
    "/namespaces/data/datasets": 20,
    "/namespaces/jobs/jobs/j0": 25,
    "/namespaces/jobs/jobs/j0/runs": 25,
    "/namespaces/jobs/jobs/j0/versions": 35,
    "/namespaces/data/datasets/all/versions": 30,
    "/lineage?nodeId=dataset:data:all&depth=1": 30,
    "/lineage?nodeId=dataset:data:all&depth=1&aggregateToParentRun=true": 30,
    "/column-lineage?nodeId=dataset:data:all&depth=2&withDownstream=true": 30,
    "/runlineage/upstream?runId=00000000-0000-0000-0000-000000000001&depth=1": 50,
    "/search?q=o&limit=1000": 15,
    "/search?q=out&limit=1000&scope=all": 18,
    "/stats/jobs?period=DAY": 5,
    "/stats/lineage-events?period=DAY": 5,
    "/events/lineage": 5,
}


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The statements that the app's engine runs, those that go past SQLAlchemy among them; with nothing remembered."""
    seen: list[str] = []
    engine = app.extensions[EXTENSION].engine
    finished._shelves.clear()
    state._remembered.clear()
    with pytest.MonkeyPatch.context() as patch:
        if engine.dialect.name == "sqlite":

            def trace(connection: sqlite3.Connection, *_: object) -> None:
                connection.set_trace_callback(seen.append)

            def leave(connection: sqlite3.Connection, *_: object) -> None:
                connection.set_trace_callback(None)

            event.listen(engine, "checkout", trace)
            event.listen(engine, "checkin", leave)
            yield seen
            event.remove(engine, "checkout", trace)
            event.remove(engine, "checkin", leave)
            seen[:] = [one for one in seen if "search_index_" not in one]  # FTS5's own
        else:
            execute = psycopg.Cursor.execute

            def note(cursor: Any, query: Any, *rest: Any, **more: Any) -> Any:
                seen.append(str(query))
                return execute(cursor, query, *rest, **more)

            patch.setattr(psycopg.Cursor, "execute", note)
            yield seen


def grow(client: FlaskClient, first: int, last: int) -> None:
    """More jobs that read one dataset and write one, each with a run and a child."""
    for number in range(first, last):
        made = dataset(f"out{number}", schema=schema("x"), columnLineage=columns(x=[("all", "x")]))
        tagged = dataset("all", schema=schema("x"), tags={"tags": [{"key": f"t{number}"}]})
        everything = dataset("all", schema=schema("x"), columnLineage=columns(x=[(f"in{number}", "x")]))
        for body in (
            run_event(run=2 * number + 2, job=f"j{number}", inputs=(tagged,), outputs=(made,)),
            run_event(run=2 * number + 3, job="j0", inputs=(f"in{number}",), outputs=(everything,)),
            run_event(run=1_000 + number, namespace=f"n{number}", inputs=({"namespace": f"d{number}", "name": "d"},)),
        ):
            assert client.post("/api/v1/lineage", data=raw(body)).status_code == 201
    inputs = tuple(f"in{number}" for number in range(last))
    body = run_event("OTHER", run=1, job="j0", time="2026-01-02T00:00:00Z", inputs=("all", *inputs), outputs=("all",))
    assert client.post("/api/v1/lineage", data=raw(body)).status_code == 201


def test_statements_do_not_grow_with_the_answer(app: Flask, client: FlaskClient) -> None:
    grow(client, 0, 3)
    few = measure(app, client)
    grow(client, 3, 40)
    many = measure(app, client)
    assert {path: count for path, (count, _) in many.items()} == {path: count for path, (count, _) in few.items()}
    smaller = [path for path in PATHS if "stats" not in path and many[path][1] <= few[path][1]]
    assert not smaller  # the answers did grow
    assert {path: count for path, (count, _) in many.items() if count > PATHS[path]} == {}


def measure(app: Flask, client: FlaskClient) -> dict[str, tuple[int, int]]:
    """Statements and bytes of each answer."""
    found = {}
    for path in PATHS:
        with counted(app) as seen:
            answer = client.get(f"/api/v1{path}")
        assert answer.status_code == 200, (path, answer.json)
        found[path] = (len(seen), len(answer.data))
    return found


@pytest.mark.parametrize("kind", ["dataset", "job"])
def test_single_things_cost_a_fixed_number(app: Flask, client: FlaskClient, kind: str) -> None:
    grow(client, 0, 3)
    path = {"dataset": "/namespaces/data/datasets/out0", "job": f"/namespaces/jobs/jobs/{quote('j1')}"}[kind]
    with counted(app) as seen:
        assert client.get(f"/api/v1{path}").status_code == 200
    assert len(seen) <= 25
