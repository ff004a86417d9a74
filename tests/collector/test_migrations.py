"""Databases of earlier schemas: upgraded with their rows filled, or left as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, func, inspect, select

import collector
from collector import tables
from collector.search import SearchQuery, search
from collector.store.engines import open_engine, reading, upgrade, writing
from collector.store.rows import rows_of
from tests.collector.events import dataset, dataset_event, facet, raw, run_event
from tests.collector.stores import fill_in_batches, state

NEW = (tables.owner, tables.tagged, tables.assertion, tables.assertion_result, tables.job_dependency)

OWNED = {"ownership": facet(owners=[{"name": "jo"}])}
TAGGED = {"tags": facet(tags=[{"key": "pii", "value": "true", "field": "x"}])}
ASSERTED = {"dataQualityAssertions": facet(assertions=[{"assertion": "unique", "success": False}])}
BODIES = [
    raw(
        run_event(
            inputs=(dataset("a") | {"inputFacets": ASSERTED},),
            outputs=(dataset("b") | {"facets": TAGGED},),
            run_facets={"jobDependencies": facet(upstream=[{"job": {"namespace": "jobs", "name": "before"}}])},
            job_facets=OWNED,
        )
    ),
    raw(dataset_event(dataset("c") | {"facets": OWNED | ASSERTED})),
]


def alembic(engine: Engine, to: str, *, down: bool = False) -> None:
    """Bring the schema to a revision, and nothing else."""
    config = Config()
    config.set_main_option("script_location", str(Path(collector.__file__).parent / "migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, to)


def revision(engine: Engine) -> tuple[str, ...]:
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_heads()


def counts(engine: Engine) -> dict[str, int]:
    """Rows of each table that 0002 brought."""
    with reading(engine) as connection:
        return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in NEW}


def test_database_of_0001_comes_out_with_the_new_rows_filled(engine: Engine) -> None:
    fill_in_batches(engine, [[one] for one in BODIES])
    live = state(engine)
    assert min(counts(engine).values()) > 0
    alembic(engine, "0001", down=True)
    assert not {table.name for table in NEW} & set(inspect(engine).get_table_names())
    upgrade(engine)
    assert revision(engine) == ("0003",)
    assert state(engine) == live
    fill_in_batches(engine, [BODIES])  # nothing in it is new
    assert state(engine) == live


def test_events_of_an_old_program_say_what_they_say_to_a_new_one(database: str, engine: Engine) -> None:
    fill_in_batches(engine, [BODIES])
    live = state(engine)
    with reading(engine) as connection:
        events = [tuple(row) for row in connection.execute(select(tables.event))]
    with writing(engine) as connection:
        tables.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    old = open_engine(database)
    alembic(old, "0001")
    with writing(old) as connection:
        rows_of(connection).put(tables.event, events)
    upgrade(old)
    assert state(old) == live
    old.dispose()


def test_empty_database_needs_no_rebuild(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.rebuild.rebuild_in", lambda connection: pytest.fail("rebuilt"))
    engine = open_engine(database)
    upgrade(engine)
    upgrade(engine)
    assert set(counts(engine).values()) == {0}
    engine.dispose()


def test_upgrade_that_fails_leaves_the_database_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_in_batches(engine, [BODIES])
    live = state(engine)
    alembic(engine, "0001", down=True)

    def fail(connection: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("collector.rebuild.rebuild_in", fail)
        with pytest.raises(KeyboardInterrupt):
            upgrade(engine)
    assert revision(engine) == ("0001",)
    assert not {table.name for table in NEW} & set(inspect(engine).get_table_names())
    upgrade(engine)
    assert state(engine) == live


def test_rows_of_a_sqlite_without_fts5_are_found_once_there_is_one(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'lineage.db'}")
    upgrade(engine)
    fill_in_batches(engine, [[one] for one in BODIES])
    live = state(engine)
    with writing(engine) as connection:  # as such a SQLite leaves it
        for trigger in ("added", "gone", "changed"):
            connection.exec_driver_sql(f"DROP TRIGGER search_text_{trigger}")
        connection.exec_driver_sql("DROP TABLE search_index")
    alembic(engine, "0001", down=True)
    upgrade(engine)  # makes every row anew: an index that lacks them would be taken for a malformed database
    assert state(engine) == live
    with reading(engine) as connection:
        assert search(connection, SearchQuery("before"))[1] == 1
    engine.dispose()
