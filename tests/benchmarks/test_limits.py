"""What the collector is measured against does the work that it claims."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import zstandard

from benchmarks.events import SHAPES, SPARK_COLUMNS, small_event
from benchmarks.prototype import Prototype
from benchmarks.report import Figure, Target, amount, median
from benchmarks.walk import bare_walk
from benchmarks.walk_graph import PIPELINE_JOBS, dataset, write_graph
from collector.store.engines import open_engine, reading
from collector.walk import Direction, walk


def test_prototype_writes_every_kind_of_row(tmp_path: Path) -> None:
    prototype = Prototype(tmp_path / "prototype.db")
    prototype.write([small_event(index) for index in range(20)])

    count = {
        table: prototype.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("event", "run", "job", "run_dataset", "edge")
    }
    assert count == {"event": 20, "run": 10, "job": 10, "run_dataset": 40, "edge": 40}
    states = prototype.database.execute("SELECT DISTINCT state FROM run WHERE started_us < ended_us").fetchall()
    assert states == [("COMPLETED",)]
    body = prototype.database.execute("SELECT body FROM event WHERE id = 8").fetchone()[0]
    assert zstandard.ZstdDecompressor().decompress(body) == small_event(7)


def test_prototype_writes_column_lineage_of_a_spark_event(tmp_path: Path) -> None:
    prototype = Prototype(tmp_path / "prototype.db")
    prototype.write([SHAPES["spark"](0), SHAPES["spark"](1)])
    assert prototype.database.execute("SELECT count(*) FROM column_edge").fetchone() == (SPARK_COLUMNS,)


@pytest.mark.parametrize("direction", [Direction.UPSTREAM, Direction.DOWNSTREAM, Direction.ANY])
def test_bare_walk_finds_what_the_collector_finds(tmp_path: Path, direction: Direction) -> None:
    graph = write_graph(f"sqlite:///{tmp_path / 'walk.db'}", 4 * 5 * PIPELINE_JOBS)
    database = sqlite3.connect(tmp_path / "walk.db")
    edges = database.execute("SELECT count(*) FROM edge").fetchone()[0]
    assert edges == graph.edges == 4 * 5 * PIPELINE_JOBS

    engine = open_engine(graph.database_url)
    for number in (0, 77, 150, 399, -1):
        start = dataset(number).id
        with reading(engine) as connection:
            found = walk(connection, datasets=(start,), direction=direction, depth=3, limit=10_000)
        assert bare_walk(database, start, direction, 3) == found.size
    engine.dispose()


def test_target_is_met_by_ratio_where_there_is_one() -> None:
    assert Figure("b", "w", 10.0, "ms", ratio=0.8, target=Target(0.75)).is_met is True
    assert Figure("b", "w", 10.0, "ms", ratio=0.7, target=Target(0.75)).is_met is False
    assert Figure("b", "w", 10.0, "ms", target=Target(15, at_most=True)).is_met is True
    assert Figure("b", "w", 10.0, "ms").is_met is None


def test_amounts_are_short() -> None:
    assert [amount(value) for value in (12_345.6, 123.4, 45.67, 0.1234)] == ["12,346", "123", "45.7", "0.123"]
    assert median([]) == 0.0
    assert median([3, 1, 2]) == 2
