"""CSV, text and bytes, files wherever fsspec reaches, and what they are called."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from emitter import (
    CSVIO,
    JSONIO,
    Asset,
    BytesIO,
    FileIO,
    ParquetIO,
    PickleIO,
    TextIO,
    asset,
    calculate_checksum,
    materialize,
    source_asset,
)
from emitter.errors import OutputMissing, StorageError, UnsupportedValue
from emitter.io import Stored
from emitter.io.naming import name_of_table, name_of_url
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]


@asset
def orders() -> None: ...


def kept(io: FileIO, value: Any) -> Any:
    io.save(orders, value)
    return io.load(orders)


def test_texts_and_bytes_are_kept_as_they_are(workdir: Path) -> None:
    assert kept(TextIO(workdir), "ä\r\nb\n") == "ä\r\nb\n"
    assert kept(BytesIO(workdir, suffix=".png"), b"\x00\xff") == b"\x00\xff"
    assert sorted(os.listdir(workdir)) == ["orders.png", "orders.txt"]
    assert kept(TextIO(workdir, file="notes.md"), "x") == "x" and (workdir / "notes.md").read_text() == "x"
    with refused(UnsupportedValue, "asset 'orders' returned a bytes, and TextIO keeps a text; return a str"):
        TextIO(workdir).save(orders, b"x")
    with refused(UnsupportedValue, "asset 'orders' returned a str, and BytesIO keeps bytes; return bytes"):
        BytesIO(workdir).save(orders, "x")
    with refused(UnsupportedValue, "returned a text that is none: surrogates not allowed at position 0"):
        TextIO(workdir).save(orders, "\ud800")


TABLE = pa.table(
    {
        "id": pa.array([1, 2], pa.int64()),
        "text": ['a,b\n"c"', ""],
        "price": [1.5, None],
        "day": pa.array([dt.date(2024, 1, 1), None], pa.date32()),
        "good": [True, False],
    }
)


def test_a_csv_gives_back_what_it_was_given(workdir: Path) -> None:
    assert kept(CSVIO(workdir, returns="pyarrow"), TABLE).equals(TABLE)
    frame = pd.DataFrame({"a": [1, 2], "t": ["x", None]})
    pd.testing.assert_frame_equal(kept(CSVIO(workdir), frame), frame)
    assert kept(CSVIO(workdir, returns="polars", delimiter=";"), pl.DataFrame({"a": [1]})).equals(
        pl.DataFrame({"a": [1]})
    )
    assert kept(CSVIO(workdir, returns="records"), [{"a": 1}, {"a": 2}]) == [{"a": 1}, {"a": 2}]
    codes = pa.table({"zip": ["007", "42"]})
    assert kept(CSVIO(workdir, returns="pyarrow", types={"zip": "string"}), codes).equals(codes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            pa.table({"zip": ["007"]}),
            "has a column 'zip' of type string that would come back as int64; say its type, CSVIO(",
        ),
        (pa.table({"a": [[1]]}), "returned a table that CSV cannot hold"),
        (pa.table({"a": pa.array([1], pa.int8())}), "'a' of type int8 that would come back as int64"),
        (3, "returned a int that CSV cannot hold: it is neither a table nor a list of dicts"),
    ],
)
def test_what_csv_would_change_is_refused_and_the_old_file_stays(workdir: Path, value: Any, message: str) -> None:
    (workdir / "orders.csv").write_text("old")
    with refused(UnsupportedValue, f"asset 'orders' {message}" if message.startswith("has") else message):
        CSVIO(workdir).save(orders, value)
    assert os.listdir(workdir) == ["orders.csv"] and (workdir / "orders.csv").read_text() == "old"


def test_a_csv_of_others_can_be_a_source(workdir: Path) -> None:
    (workdir / "sales 2024.csv").write_text("id,amount\n1,2.5\n")
    sales = source_asset("sales", io=CSVIO(workdir, file="sales 2024.csv", returns="records"))

    @asset
    def total(sales: list[dict[str, Any]]) -> float:
        return float(sum(row["amount"] for row in sales))

    assert materialize([sales, total])["total"].value == 2.5


def test_csv_refuses_options_that_are_none() -> None:
    with refused(StorageError, "CSVIO cannot return 'dict'; give one of pandas"):
        CSVIO("data", returns="dict")
    with refused(StorageError, "CSVIO has the delimiter ';;'; give one character"):
        CSVIO("data", delimiter=";;")
    Path("orders.csv").write_text("a\n1\n")
    with refused(StorageError, "CSVIO has types={'a': 'number'}"):
        CSVIO(".", types={"a": "number"}).load(orders)


PLACES = ["memory://shop/data", "local://{workdir}/elsewhere", "file://{workdir}/here"]


@pytest.mark.parametrize("place", PLACES)
def test_files_are_kept_wherever_fsspec_reaches(place: str, workdir: Path) -> None:
    url = place.format(workdir=workdir)
    frame = pd.DataFrame({"a": [1, 2]})
    for io, value in ((ParquetIO(url), frame), (CSVIO(url), frame)):
        pd.testing.assert_frame_equal(kept(io, value), frame)
    for other, plain in ((JSONIO(url), [1]), (PickleIO(url), {2}), (TextIO(url), "x"), (BytesIO(url), b"y")):
        assert other.stored(asset(name="missing")(lambda: 1)) is None
        assert kept(other, plain) == plain
    assert TextIO(url).stored(orders) == Stored(calculate_checksum(b"x"), 1)
    with refused(OutputMissing, "asset 'missing' has no output at"):
        TextIO(url).load(asset(name="missing")(lambda: 1))


def test_a_write_elsewhere_that_fails_leaves_the_old_file_and_nothing_else(workdir: Path) -> None:
    for url in ("memory://failing", f"local://{workdir}/elsewhere"):
        io = JSONIO(url)
        io.save(orders, [1])
        with refused(UnsupportedValue, "JSON cannot hold"):
            io.save(orders, {1})
        assert io.load(orders) == [1]
    assert os.listdir(workdir / "elsewhere") == ["orders.json"]


def test_a_store_that_refuses_is_told(workdir: Path) -> None:
    (workdir / "file").write_text("")
    with refused(StorageError, f"local://{workdir}/file/orders.txt cannot be written: "):
        TextIO(f"local://{workdir}/file").save(orders, "x")
    with refused(StorageError, "nonsense://x cannot be reached: Protocol not known: nonsense"):
        TextIO("nonsense://x").save(orders, "x")


def test_what_is_in_the_memory_of_this_process_is_sent_to_others() -> None:
    @asset(io=PickleIO("memory://sent"))
    def first() -> list[int]:
        return [1]

    @asset(io=PickleIO("memory://sent"))
    def second(first: list[int]) -> list[int]:
        return [*first, os.getpid()]

    results = materialize([first, second], engine="processes", jobs=1)
    assert results["second"].value[0] == 1 and results["second"].value[1] != os.getpid()
    assert fsspec.filesystem("memory").exists("/sent/second.pkl")


@pytest.mark.parametrize(
    ("url", "namespace", "name"),
    [
        ("s3://bucket/folder", "s3://bucket", "folder/orders.json"),
        ("s3a://bucket/", "s3://bucket", "orders.json"),
        ("gcs://bucket/a/b", "gs://bucket", "a/b/orders.json"),
        ("abfss://box@account.dfs.core.windows.net/a", "abfss://box@account.dfs.core.windows.net", "a/orders.json"),
        ("hdfs://node:8020/a", "hdfs://node:8020", "/a/orders.json"),
        ("sftp://me:secret@host:22/a", "sftp://host:22", "a/orders.json"),
        ("memory://a", "memory", "a/orders.json"),
    ],
)
def test_a_file_is_called_by_openlineages_naming_for_its_store(url: str, namespace: str, name: str) -> None:
    io = JSONIO(url)
    assert io.dataset(orders) == (namespace, name)
    assert "secret" not in repr(io)


def test_names_of_urls_and_tables() -> None:
    assert name_of_url("/a/b.csv") == name_of_url("file:///a/b.csv") == ("file", "/a/b.csv")
    assert name_of_table("postgresql", "db", None, "shop", None, "orders") == (
        "postgres://db:5432",
        "shop.public.orders",
    )
    assert name_of_table("mysql", "db", 3307, "shop", None, "orders") == ("mysql://db:3307", "shop.orders")
    assert name_of_table("sqlite", None, None, "/d/shop.db", None, "orders") == ("sqlite:///d/shop.db", "orders")


def test_the_io_manager_in_the_documentation_works(workdir: Path) -> None:
    """Runs the example of docs/io.md as it stands there."""
    text = (ROOT / "docs" / "io.md").read_text()
    (example,) = (one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class " in one)
    assert len([line for line in example.split("\n\n")[1].splitlines() if line.strip()]) <= 10
    names: dict[str, Any] = {}
    exec(example, names)
    made = [one for one in names.values() if isinstance(one, Asset)]
    first = materialize(made)
    first.raise_for_failures()
    assert {one.status for one in materialize(made).values()} == {"unchanged"}
