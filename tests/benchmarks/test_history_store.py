"""The history that is written in bulk is the one that the collector would have stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, select

from benchmarks.history_store import DATASETS, UNFINISHED, WIDTH, _ingest_night, write_history
from collector import tables
from collector.digest import table_digests
from collector.ingest import Memory
from collector.packing import unpack_facets
from collector.store.engines import open_engine, reading, upgrade

NIGHTS = 7  # with a night of each sort among those in bulk
RESTING_ON_BODIES = ("run", "run_dataset", "facet_body")  # those of versions and checksums are not copied


def test_nights_in_bulk_are_as_if_ingested(tmp_path: Path) -> None:
    history = write_history(f"sqlite:///{tmp_path / 'bulk.db'}", NIGHTS)
    written = open_engine(history.database_url)
    ingested = open_engine(f"sqlite:///{tmp_path / 'ingested.db'}")
    upgrade(ingested)
    memory = Memory()
    for night in range(NIGHTS):
        _ingest_night(ingested, memory, night, DATASETS if night < NIGHTS - 1 else UNFINISHED * WIDTH)
    for table in (tables.event, tables.run, tables.run_dataset):
        assert _rows(written, table) == _rows(ingested, table)
    assert len(_rows(written, tables.run)) == history.runs
    with reading(written) as one, reading(ingested) as other:
        digests, expected = table_digests(one), table_digests(other)
    assert {name for name in digests if digests[name] != expected[name]} <= set(RESTING_ON_BODIES)


def _rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    """The rows in order; of stamps and facets, what is not a hash of the event's."""
    with reading(engine) as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
    for row in rows:
        row.pop("received_us", None)  # of those ingested, that of their batch
        for stamp in row.keys() & {"job_stamp", "state_stamp"}:
            row[stamp] = row[stamp][:-8]
        if "facets" in row:
            row["facets"] = {name: entry[0] for name, entry in unpack_facets(row["facets"]).items()}
    return rows
