"""The stored state is a function of the set of events, on both engines, whatever the order, duplicates and batches."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from collector import tables
from collector.documents.datasets import dataset_documents
from collector.keys import dataset_id, microseconds, run_key
from collector.prune import prune
from collector.rebuild import rebuild
from collector.store.engines import open_engine, reading, upgrade
from tests.collector.databases import postgresql_database
from tests.collector.events import dataset, run_event
from tests.collector.events import raw as body
from tests.collector.histories import histories
from tests.collector.stores import clear, fill, fill_in_batches, state

REAL = Path(__file__).parent.parent / "e2e" / "dbt_events.ndjson"
shuffled = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """Two stores of one engine, emptied between examples."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("pair")
        urls = [f"sqlite:///{folder / name}.db" for name in ("one", "other")]
        engines = [open_engine(url) for url in urls]
        for engine in engines:
            upgrade(engine)
        yield engines[0], engines[1]
        return
    server = request.getfixturevalue("postgresql")
    with postgresql_database(server) as one, postgresql_database(server) as other:
        first, second = open_engine(one), open_engine(other)
        upgrade(first)
        upgrade(second)
        yield first, second
        first.dispose()
        second.dispose()


def split(bodies: list[bytes], chooser: random.Random) -> list[list[bytes]]:
    """``bodies`` in batches of random sizes."""
    batches: list[list[bytes]] = []
    rest = list(bodies)
    while rest:
        size = chooser.randint(1, len(rest))
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


@shuffled
@given(history=histories, seed=st.integers(0, 2**32))
def test_order_duplicates_and_batches_change_nothing(
    pair: tuple[Engine, Engine], history: list[bytes], seed: int
) -> None:
    one, other = pair
    clear(one)
    clear(other)
    chooser = random.Random(seed)
    fill(one, history)
    again = history + chooser.choices(history, k=len(history) // 2)
    chooser.shuffle(again)
    fill_in_batches(other, split(again, chooser))
    assert state(other) == state(one)


@shuffled
@given(history=histories, seed=st.integers(0, 2**32))
def test_rebuild_gives_the_live_state(pair: tuple[Engine, Engine], history: list[bytes], seed: int) -> None:
    one, _ = pair
    clear(one)
    fill_in_batches(one, split(history, random.Random(seed)))
    live = state(one)
    assert rebuild(one).unreadable == 0
    assert state(one) == live


@shuffled
@given(history=histories, second=st.integers(0, 10))
def test_pruning_leaves_the_graph_and_rebuilds(pair: tuple[Engine, Engine], history: list[bytes], second: int) -> None:
    one, _ = pair
    clear(one)
    fill(one, history)
    before = state(one)
    limit = microseconds("2026-01-01T00:00:00Z") + second * 1_000_000
    foreseen = prune(one, limit, dry_run=True)
    assert state(one) == before
    done = prune(one, limit)
    assert (done.deleted, done.kept) == (foreseen.deleted, foreseen.kept)
    after = state(one)
    may_shrink = {"run", "run_dataset", "run_event", "job_dataset", "facet_body", "source", "tag"}
    may_shrink |= {"assertion", "assertion_result"}  # the counts, and the last failure; the newest results stay
    assert {name for name in after if after[name] != before[name]} <= may_shrink
    rebuild(one)
    assert state(one) == after


def test_both_engines_hold_the_same_state(tmp_path: Path, postgresql: str) -> None:
    sqlite = open_engine(f"sqlite:///{tmp_path / 'lineage.db'}")
    upgrade(sqlite)
    bodies = REAL.read_bytes().splitlines()
    fill(sqlite, bodies)
    with postgresql_database(postgresql) as url:
        other = open_engine(url)
        upgrade(other)
        fill_in_batches(other, [[one] for one in reversed(bodies)])
        assert state(other) == state(sqlite)
        other.dispose()


def test_two_collectors_at_once_on_one_database(engine: Engine, database: str) -> None:
    bodies = [
        body(run_event(kind, run=number % 40 + 1, job=f"j{number % 7}", inputs=("a",), outputs=(f"o{number % 5}",)))
        for number in range(120)
        for kind in ("START", "COMPLETE")
    ]
    expected = bodies + REAL.read_bytes().splitlines()
    failures: list[BaseException] = []

    def work(mine: list[bytes]) -> None:
        own = open_engine(database)
        try:
            fill_in_batches(own, [mine[at : at + 7] for at in range(0, len(mine), 7)])
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            own.dispose()

    # each half sees a part of the other's events too
    halves = [expected[: len(expected) * 2 // 3], expected[len(expected) // 3 :]]
    threads = [threading.Thread(target=work, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    live = state(engine)
    rebuild(engine)
    assert state(engine) == live


def everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but those of the search index, byte for byte."""
    with reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in (*tables.ARRIVED, *tables.DERIVED)
        }


def test_replaying_the_whole_history_changes_no_row(engine: Engine) -> None:
    bodies = REAL.read_bytes().splitlines()
    fill_in_batches(engine, [bodies])
    before = everything(engine)
    fill_in_batches(engine, [[one] for one in bodies])  # by a writer that remembers nothing, one at a time
    assert everything(engine) == before


# --- the cases that other servers get wrong, by name -----------------------------------------------------------------


def run_row(engine: Engine, run: int = 1) -> tables.Table:
    with reading(engine) as connection:
        key = run_key(f"00000000-0000-0000-0000-{run:012d}")
        return connection.execute(select(tables.run).where(tables.run.c.run_key == key)).one()


def current(engine: Engine, job: str = "load") -> tuple[set[str], set[str]]:
    """Names of a job's current inputs and outputs."""
    e, d, j = tables.edge.c, tables.dataset.c, tables.job.c
    with reading(engine) as connection:
        query = select(e.direction, d.name).where(d.id == e.dataset_id, j.id == e.job_id, j.name == job)
        found = connection.execute(query).all()
    return {name for direction, name in found if direction == 0}, {name for direction, name in found if direction == 1}


def test_late_start_event_keeps_run_completed(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-01T00:01:00Z"))])
    fill(engine, [body(run_event("START", "2026-01-01T00:00:00Z"))])
    row = run_row(engine)
    assert row.state == "COMPLETED"
    assert (row.started_us, row.ended_us) == (
        microseconds("2026-01-01T00:00:00Z"),
        microseconds("2026-01-01T00:01:00Z"),
    )


def test_start_event_with_a_later_time_than_complete_keeps_run_completed(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-01T00:00:00Z"))])
    fill(engine, [body(run_event("START", "2026-01-01T00:00:01Z"))])
    assert run_row(engine).state == "COMPLETED"


def test_output_first_seen_after_the_run_ended_is_its_output(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-01T00:00:00Z", inputs=("a",)))])
    fill(engine, [body(run_event("OTHER", "2026-01-01T01:00:00Z", outputs=("late",)))])
    assert current(engine) == ({"a"}, {"late"})
    assert run_row(engine).state == "COMPLETED"


def test_parent_that_arrives_after_its_children_is_their_parent(engine: Engine) -> None:
    parent = {"run": {"runId": "00000000-0000-0000-0000-000000000009"}, "job": {"namespace": "jobs", "name": "dag"}}
    fill(engine, [body(run_event(run=1, job="dag.task", run_facets={"parent": parent}))])
    assert run_row(engine, 9).state == "NEW"
    fill(engine, [body(run_event("COMPLETE", run=9, job="dag"))])
    assert run_row(engine, 9).state == "COMPLETED"
    assert run_row(engine, 1).parent_key == run_row(engine, 9).run_key


def test_failed_run_without_outputs_erases_nothing(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-01T00:00:00Z", run=1, inputs=("a",), outputs=("b",)))])
    fill(engine, [body(run_event("FAIL", "2026-01-02T00:00:00Z", run=2, inputs=("c",)))])
    assert current(engine) == ({"c"}, {"b"})


def test_replayed_old_run_does_not_become_the_newest(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-02T00:00:00Z", run=2, outputs=("new",)))])
    fill(engine, [body(run_event("COMPLETE", "2026-01-01T00:00:00Z", run=1, outputs=("old",)))])
    assert current(engine) == (set(), {"new"})


def test_newest_run_found_to_have_begun_earlier_gives_way(engine: Engine) -> None:
    fill(engine, [body(run_event("COMPLETE", "2026-01-02T00:00:00Z", run=1, outputs=("one",)))])
    fill(engine, [body(run_event("COMPLETE", "2026-01-03T00:00:00Z", run=2, outputs=("two",)))])
    assert current(engine) == (set(), {"two"})
    fill(engine, [body(run_event("START", "2026-01-01T00:00:00Z", run=2))])
    assert current(engine) == (set(), {"one"})


def symlinked(name: str, alias: str) -> dict[str, object]:
    return dataset(name, symlinks={"identifiers": [{"namespace": "data", "name": alias, "type": "TABLE"}]})


def test_symlink_after_events_under_the_other_name_joins_them(engine: Engine) -> None:
    fill(engine, [body(run_event(run=1, job="reader", inputs=("table",)))])
    fill(engine, [body(run_event(run=2, job="writer", outputs=(symlinked("/path/table", "table"),)))])
    assert current(engine, "reader") == ({"/path/table"}, set())
    assert current(engine, "writer") == (set(), {"/path/table"})


def test_renamed_dataset_keeps_its_lineage_under_the_new_name(engine: Engine) -> None:
    fill(engine, [body(run_event(run=1, job="writer", outputs=("old",)))])
    previous = {"namespace": "data", "name": "old"}
    renamed = dataset("new", lifecycleStateChange={"lifecycleStateChange": "RENAME", "previousIdentifier": previous})
    fill(engine, [body(run_event(run=2, job="renamer", outputs=(renamed,)))])
    assert current(engine, "writer") == (set(), {"new"})


def test_facet_of_an_older_event_does_not_replace_a_newer_one(engine: Engine) -> None:
    newer, older = (
        dataset("a", documentation={"description": "new"}),
        dataset("a", documentation={"description": "old"}),
    )
    fill(engine, [body(run_event(time="2026-01-02T00:00:00Z", run=1, outputs=(newer,)))])
    fill(engine, [body(run_event(time="2026-01-01T00:00:00Z", run=2, outputs=(older,)))])
    with reading(engine) as connection:
        [document] = dataset_documents(connection, [dataset_id("data", "a")]).values()
    assert document["description"] == "new"


def test_deleted_facet_is_gone_until_a_newer_one(engine: Engine) -> None:
    said = [("2026-01-01", {"description": "first"}), ("2026-01-02", {"_deleted": True})]
    for number, (day, content) in enumerate(said, 1):
        one = dataset("a", documentation=content)
        fill(engine, [body(run_event(time=f"{day}T00:00:00Z", run=number, outputs=(one,)))])
    with reading(engine) as connection:
        [document] = dataset_documents(connection, [dataset_id("data", "a")]).values()
    assert document["description"] is None
    assert "documentation" not in document["facets"]


def test_events_that_differ_only_in_a_facet_both_count(engine: Engine) -> None:
    events = [run_event("OTHER", run_facets={name: {"_producer": "p", "_schemaURL": "s"}}) for name in ("one", "two")]
    fill(engine, [body(one) for one in events])
    with reading(engine) as connection:
        assert len(connection.execute(select(tables.event)).all()) == 2
    assert json.dumps(events[0]) != json.dumps(events[1])
