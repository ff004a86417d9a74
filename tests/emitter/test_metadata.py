"""The metadata store, in real SQLite files and several processes."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from emitter import CheckResult, MetadataStore
from emitter.errors import MetadataStoreCorrupt, MetadataStoreError
from emitter.metadata import Materialization
from emitter.schema import Field
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]
MORNING = dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC)


def made(asset: str = "orders", at: dt.datetime = MORNING, **changes: Any) -> Materialization:
    values: dict[str, Any] = {
        "namespace": "default",
        "asset": asset,
        "run_id": "0190a0b0-0000-7000-8000-000000000000",
        "version": "1",
        "code_version": "c0de",
        "checks_version": "c4ec",
        "checksum": "blake3:aa",
        "hashed": "table",
        "stored_checksum": "blake3:bb",
        "reason": "first materialization",
        "created_at": at,
        "updated_at": at,
    }
    return Materialization(**(values | changes))


def test_a_store_remembers_every_materialization(workdir: Path) -> None:
    full = made(
        rows=3,
        bytes=100,
        duration=1.5,
        lineage={"raw": {"version": "2", "checksum": "blake3:cc"}},
        checks=(CheckResult(name="unique(id)", assertion="unique", success=False, column="id", message="twice"),),
        fields=(Field("id", "int64"), Field("who", "struct", "whose", (Field("name", "string"),))),
    )
    with MetadataStore("sub/metadata.db") as store:
        assert store.latest("default", "orders") is None
        assert store.record(full) == full
    with MetadataStore("sub/metadata.db") as store:
        assert store.latest("default", "orders") == full
        assert store.assets() == [("default", "orders")]


def test_created_at_stays_and_updated_at_moves() -> None:
    evening = MORNING + dt.timedelta(hours=9)
    with MetadataStore() as store:
        store.record(made())
        second = store.record(made(at=evening, checksum="blake3:dd"))
        assert (second.created_at, second.updated_at) == (MORNING, evening)
        assert second.previous_checksum == "blake3:aa"
        assert store.latest("default", "orders") == second
        assert [one.checksum for one in store.history("default", "orders")] == ["blake3:dd", "blake3:aa"]
        assert [one.checksum for one in store.history("default", "orders", limit=1)] == ["blake3:dd"]
    assert Path(".headwater/metadata.db").is_file()


def test_assets_of_one_name_in_two_namespaces_are_two() -> None:
    with MetadataStore() as store:
        store.record(made(namespace="a"))
        store.record(made(namespace="b", checksum="blake3:ff"))
        found = [store.latest(namespace, "orders") for namespace in ("a", "b")]
        assert [one.checksum for one in found if one] == ["blake3:aa", "blake3:ff"]


def test_times_come_back_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=5))
    with MetadataStore() as store:
        store.record(made(at=MORNING.astimezone(east)))
        found = store.latest("default", "orders")
        assert found is not None and found.created_at == MORNING and found.created_at.utcoffset() == dt.timedelta(0)


def test_threads_share_a_store() -> None:
    with MetadataStore() as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.record(made(f"a{number % 4}", checksum=f"blake3:{number}")), range(80)))
        assert sum(len(store.history("default", f"a{number}")) for number in range(4)) == 80


def test_processes_share_a_store(workdir: Path) -> None:
    script = (
        "import sys\n"
        "from tests.emitter.test_metadata import made, MetadataStore\n"
        "with MetadataStore(sys.argv[1]) as store:\n"
        "    for number in range(40):\n"
        "        store.record(made('shared', checksum=f'blake3:{number}'))\n"
    )
    path = workdir / "metadata.db"
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    with MetadataStore(path) as store:
        assert len(store.history("default", "shared")) == 160


def test_what_was_recorded_survives_the_death_of_the_process(workdir: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.emitter.test_metadata import made, MetadataStore\n"
        "MetadataStore(sys.argv[1]).record(made())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = workdir / "metadata.db"
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, check=False)
    with MetadataStore(path) as store:
        assert store.latest("default", "orders") == made()


def test_a_file_that_is_no_database_is_refused_and_kept(workdir: Path) -> None:
    path = workdir / "metadata.db"
    path.write_bytes(b"this is not a database, but a diary " * 100)
    before = path.read_bytes()
    with refused(
        MetadataStoreCorrupt, f"the metadata store {path} is damaged: file is not a database", "put back a copy"
    ):
        MetadataStore(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_refused_and_kept(workdir: Path) -> None:
    path = workdir / "metadata.db"
    with MetadataStore(path) as store:
        for number in range(200):
            store.record(made(f"asset_{number}"))
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with refused(MetadataStoreCorrupt, "is damaged", "Nothing was changed in it"), MetadataStore(path) as store:
        store.latest("default", "asset_7")
    assert path.read_bytes() == data


def test_a_database_of_something_else_is_refused(workdir: Path) -> None:
    path = workdir / "shop.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE orders (id)")
    other.close()
    with refused(MetadataStoreCorrupt, f"{path} is a SQLite database of something else", "choose another path"):
        MetadataStore(path)


def test_a_store_of_a_newer_headwater_is_refused(workdir: Path) -> None:
    path = workdir / "metadata.db"
    MetadataStore(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with refused(MetadataStoreCorrupt, "written by a newer Headwater (store version 99, this one knows 2)"):
        MetadataStore(path)


def test_a_row_that_makes_no_sense_is_told(workdir: Path) -> None:
    path = workdir / "metadata.db"
    with MetadataStore(path) as store:
        store.record(made())
    with sqlite3.connect(path) as editor:
        editor.execute("UPDATE materializations SET lineage = '{'")
    editor.close()
    with refused(MetadataStoreCorrupt, "is damaged"), MetadataStore(path) as store:
        store.latest("default", "orders")


def test_a_place_where_no_file_can_be_is_told(workdir: Path) -> None:
    (workdir / "file").write_text("")
    with refused(MetadataStoreError, "file/metadata.db cannot be opened: "):
        MetadataStore(workdir / "file" / "metadata.db")
    with refused(MetadataStoreError, "cannot be opened: unable to open database file"):
        MetadataStore(workdir)


def test_a_closed_store_says_so() -> None:
    store = MetadataStore()
    store.close()
    with refused(MetadataStoreError, "cannot be read: Cannot operate on a closed database"):
        store.latest("default", "orders")


@pytest.mark.parametrize("column", ["checksum", "version", "run_id"])
def test_a_half_record_is_not_kept(column: str) -> None:
    with MetadataStore() as store:
        with pytest.raises(MetadataStoreError):
            store.record(made(**{column: None}))
        assert store.latest("default", "orders") is None


def test_a_store_of_the_first_version_is_upgraded_and_keeps_what_it_has(workdir: Path) -> None:
    from emitter import metadata

    MetadataStore("new.db").close()
    old = sqlite3.connect("old.db")
    old.executescript(metadata._SCHEMA)
    row = metadata._to_row(made())
    for name in ("config", "config_version", "columns", "pipeline"):
        del row[name]
    old.execute(
        f"INSERT INTO materializations ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
    )
    old.execute(f"PRAGMA application_id = {metadata._APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with MetadataStore("old.db") as store, MetadataStore("new.db") as other:
        assert store.latest("default", "orders") == made()
        assert len(store.key) == 32 and store.key != other.key
        key = store.key
    with MetadataStore("old.db") as store:
        assert store.key == key


def test_a_store_without_its_key_is_damaged(workdir: Path) -> None:
    MetadataStore("metadata.db").close()
    with sqlite3.connect("metadata.db") as broken:
        broken.execute("DELETE FROM settings")
    broken.close()
    with refused(MetadataStoreCorrupt, "metadata.db is damaged: its key is not there"):
        MetadataStore("metadata.db")
