"""Every older schema comes up to this one with its events in it, though the process is killed on the way."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import OperationalError

from benchmarks.events import small_event
from collector import migrations, tables
from collector.errors import StoreError
from collector.rebuild import rebuild
from collector.search_index import prepare_search
from collector.store.engines import open_engine, reading, upgrade, writing
from tests.collector.real_events import DBT
from tests.collector.stores import fill_in_batches, state, stored_events

FOLDER = str(Path(next(iter(migrations.__path__))))
SCRIPT = ScriptDirectory(FOLDER)
HEAD = SCRIPT.get_current_head()
OLDER = [one.revision for one in SCRIPT.walk_revisions() if one.revision != HEAD]
KILLS = int(os.environ.get("HEADWATER_KILL_ROUNDS", "3"))
EVENTS = [*DBT.read_bytes().splitlines(), *map(small_event, range(600))]

UPGRADE = """
import sys
from collector.store.engines import open_engine, upgrade
engine = open_engine(sys.argv[1])
print("begins", flush=True)
upgrade(engine)
"""


def migrate(engine: Engine, how: Callable[[Config, str], None], revision: str) -> None:
    """Bring the schema up or down to ``revision``."""
    config = Config()
    config.set_main_option("script_location", FOLDER)
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        how(config, revision)


def revision_of(engine: Engine) -> str | None:
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def copy(source: Connection, target: Connection) -> None:
    """Every row that the older schema of ``target`` has a place for: what its own release would have stored."""
    known = inspect(target).get_table_names()
    for table in (*tables.ARRIVED, *tables.DERIVED, *tables.REMEMBERED):
        if table.name not in known:
            continue
        names = {column["name"] for column in inspect(target).get_columns(table.name)}
        columns = [column for column in table.columns if column.name in names]
        rows = [row._asdict() for row in source.execute(select(*columns))]
        if rows:
            target.execute(table.insert(), rows)


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Engine]:
    """A store of this schema, with all of the events."""
    engine = open_engine(f"sqlite:///{tmp_path / 'newest.db'}")
    upgrade(engine)
    fill_in_batches(engine, [EVENTS[at : at + 300] for at in range(0, len(EVENTS), 300)])
    yield engine
    engine.dispose()


def started(database: str) -> subprocess.Popen[str]:
    """A process that has just begun to upgrade ``database``."""
    process = subprocess.Popen(
        [sys.executable, "-c", UPGRADE, database], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == "begins\n", said + process.stdout.read()
    return process


@pytest.mark.parametrize("revision", OLDER)
def test_killed_upgrade_leaves_the_store_as_it_was_and_completes_later(
    revision: str, newest: Engine, database: str
) -> None:
    engine = open_engine(database)
    migrate(engine, command.upgrade, revision)
    with reading(newest) as source, writing(engine) as target:
        prepare_search(target)  # as every upgrade does
        copy(source, target)
    expected = state(newest)
    events = stored_events(engine)
    assert len(events) == len(set(EVENTS))
    chooser = random.Random(revision)
    longest, killed = 0.6, 0
    while killed < KILLS:
        process = started(database)
        try:
            process.wait(chooser.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        said, _ = process.communicate()
        wait_until_free(engine)
        assert stored_events(engine) == events, said
        if revision_of(engine) == HEAD:  # too late a kill: down again, which is to lose nothing either
            assert state(engine) == expected
            migrate(engine, command.downgrade, revision)
            longest *= 0.7
        assert revision_of(engine) == revision
        assert stored_events(engine) == events
    process = started(database)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert revision_of(engine) == HEAD
    assert state(engine) == expected
    rebuild(engine)
    assert state(engine) == expected
    engine.dispose()


def wait_until_free(engine: Engine) -> None:
    """Until PostgreSQL has noticed that its client is gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with writing(engine):
                return
        except OperationalError:
            assert time.monotonic() < deadline


def test_schema_of_a_newer_headwater_is_refused_and_left_alone(engine: Engine) -> None:
    fill_in_batches(engine, [EVENTS[:20]])
    before = state(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"written by a newer Headwater \(schema 9999\): upgrade Headwater"):
        upgrade(engine)
    assert revision_of(engine) == "9999"
    assert state(engine) == before
