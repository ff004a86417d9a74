"""Outputs as tables of real databases: SQLite, and PostgreSQL where it can be started."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from emitter import SQLTableIO, asset, materialize, source_asset
from emitter.errors import OutputMissing, StorageError, UnsupportedValue
from tests.collector.databases import postgresql_database, postgresql_server
from tests.emitter.refusals import refused

TABLE = pa.table(
    {
        "id": pa.array([1, 2], pa.int64()),
        "small": pa.array([1, None], pa.int16()),
        "name": ["a", None],
        "price": [0.1, None],
        "good": [True, None],
        "day": pa.array([dt.date(2024, 1, 2), None], pa.date32()),
        "at": pa.array([dt.datetime(2024, 1, 2, 3, 4, 5, 6), None], pa.timestamp("us")),
        "cost": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
        "raw": pa.array([b"\x00", None], pa.binary()),
    }
)


@asset
def orders() -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        with postgresql_database(request.getfixturevalue("server")) as database:
            yield database


def test_a_table_comes_back_as_it_was_saved(url: str) -> None:
    io = SQLTableIO(url, returns="pyarrow")
    assert io.stored(orders) is None
    with refused(OutputMissing, "asset 'orders' has no table 'orders' in SQLTableIO("):
        io.load(orders)
    io.save(orders, TABLE)
    assert io.load(orders).equals(TABLE)
    io.save(orders, TABLE.slice(0, 1))
    assert io.load(orders).num_rows == 1
    assert SQLTableIO(url, returns="records").load(orders)[0]["name"] == "a"
    assert isinstance(SQLTableIO(url).load(orders), pd.DataFrame)


def test_an_empty_table_keeps_its_columns(url: str) -> None:
    io = SQLTableIO(url, returns="pyarrow")
    io.save(orders, TABLE.slice(0, 0))
    assert io.load(orders).schema.equals(TABLE.schema)


def test_assets_in_a_database_are_unchanged_until_something_changes_them(url: str) -> None:
    io = SQLTableIO(url, returns="records")

    @asset(io=io)
    def items() -> list[dict[str, Any]]:
        return [{"id": 2, "name": "b"}, {"id": 1, "name": "a"}]

    @asset(io=io)
    def count(items: list[dict[str, Any]]) -> list[dict[str, int]]:
        return [{"n": len(items)}]

    materialize([items, count]).raise_for_failures()
    assert {one.status for one in materialize([items, count]).values()} == {"unchanged"}
    with sa.create_engine(io._url).begin() as connection:
        connection.execute(sa.text("UPDATE items SET name = 'changed' WHERE id = 1"))
    results = materialize([items, count])
    assert (results["items"].reason, results["count"].status) == ("output changed on disk", "unchanged")
    assert materialize([items, count], engine="processes", jobs=1, force=True).succeeded


def test_a_write_that_fails_leaves_the_old_table_and_no_other(url: str) -> None:
    io = SQLTableIO(url, returns="records")
    io.save(orders, [{"id": 1}])
    with refused(
        UnsupportedValue, "has a column 'list' of type list<item: int64>, which a database's table cannot hold"
    ):
        io.save(orders, [{"list": [1]}])
    with refused(UnsupportedValue, "a database's table cannot hold: it is neither a table nor a list of dicts"):
        io.save(orders, 3)
    if "postgres" in url:  # met only when the second row is inserted
        with refused(StorageError, "asset 'orders' cannot be written to", "NUL"):
            io.save(orders, [{"id": "fine"}, {"id": "a zero \x00 byte"}])
    assert io.load(orders) == [{"id": 1}]
    engine = sa.create_engine(io._url)
    assert sa.inspect(engine).get_table_names() == ["orders"]
    engine.dispose()


def test_a_reader_sees_the_old_table_or_the_new_one(url: str) -> None:
    io = SQLTableIO(url, returns="records")
    first, second = [{"version": 1}] * 300, [{"version": 2}] * 300
    io.save(orders, first)
    seen: set[tuple[int, ...]] = set()
    over = threading.Event()

    def read() -> None:
        mine = SQLTableIO(url, returns="records")
        while not over.is_set():
            try:
                seen.add((len(rows := mine.load(orders)), *sorted({row["version"] for row in rows})))
            except StorageError:  # PostgreSQL: the table was replaced between looking and reading
                continue

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(5):
        io.save(orders, second)
        io.save(orders, first)
    over.set()
    thread.join()
    assert seen <= {(300, 1), (300, 2)}


def test_a_table_is_called_by_openlineages_naming(tmp_path: Path) -> None:
    assert SQLTableIO("postgresql://me:secret@db/shop").dataset(orders) == ("postgres://db:5432", "shop.public.orders")
    assert SQLTableIO("postgresql+psycopg://db:5433/shop", schema="raw", table="o").dataset(orders) == (
        "postgres://db:5433",
        "shop.raw.o",
    )
    assert SQLTableIO(f"sqlite:///{tmp_path}/shop.db").dataset(orders) == (f"sqlite://{tmp_path}/shop.db", "orders")
    assert "secret" not in repr(SQLTableIO("postgresql://me:secret@db/shop"))


def test_a_table_of_others_can_be_a_source(workdir: Path) -> None:
    with sqlite3.connect("shop.db") as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, amount REAL)")
        connection.execute("INSERT INTO sales VALUES (1, 2.5)")
    connection.close()
    sales = source_asset("sales", io=SQLTableIO("sqlite:///shop.db", returns="records"))

    @asset
    def total(sales: list[dict[str, Any]]) -> float:
        return float(sum(row["amount"] for row in sales))

    assert materialize([sales, total])["total"].value == 2.5


def test_it_goes_to_other_processes_without_its_connection(url: str) -> None:
    io = SQLTableIO(url, returns="records")
    io.save(orders, [{"id": 1}])
    assert pickle.loads(pickle.dumps(io)).load(orders) == [{"id": 1}]
    assert SQLTableIO("sqlite://").in_process and not io.in_process


def test_databases_that_cannot_be_used_are_told(workdir: Path) -> None:
    with refused(StorageError, "'shop.db' is no database's URL; write it like sqlite:///shop.db"):
        SQLTableIO("shop.db")
    with refused(
        StorageError, "asset 'orders' cannot be read from SQLTableIO('nosql://x'): SQLAlchemy knows no database"
    ):
        SQLTableIO("nosql://x").load(orders)
    with refused(StorageError, "SQLTableIO cannot return 'list'"):
        SQLTableIO("sqlite:///shop.db", returns="list")
    with refused(StorageError, "asset 'orders' cannot be read from", "refused"):
        SQLTableIO("postgresql://127.0.0.1:9/shop?connect_timeout=2").load(orders)
    os.mkdir("folder")
    with refused(StorageError, "asset 'orders' cannot be written to", "unable to open database file"):
        SQLTableIO("sqlite:///folder").save(orders, [{"id": 1}])
