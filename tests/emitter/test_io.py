"""IO managers: what is read is what was returned, and a file is whole or as it was."""

from __future__ import annotations

import math
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter import JSONIO, Asset, IOManager, MemoryIO, ParquetIO, PickleIO, asset, calculate_checksum
from emitter.errors import OutputMissing, StorageError, UnsupportedValue
from emitter.io import FileIO, Stored
from emitter.io.protocol import dataset_of, stored_of
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]


@asset
def orders() -> None: ...


def kept(io: IOManager, value: Any) -> Any:
    """The value after it was saved and loaded."""
    io.save(orders, value)
    return io.load(orders)


def test_memory_gives_back_the_object_itself() -> None:
    value = object()
    assert kept(MemoryIO(), value) is value


def test_every_manager_is_an_io_manager(workdir: Path) -> None:
    for io in (MemoryIO(), PickleIO(workdir), JSONIO(workdir), ParquetIO(workdir)):
        assert isinstance(io, IOManager)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_json_gives_back_what_it_was_given(value: Any) -> None:
    try:
        found = kept(JSONIO("json"), value)
    except UnsupportedValue as error:
        assert "lone surrogate" in str(error)
    else:
        assert repr(found) == repr(value)


def test_pickle_gives_back_what_it_was_given(workdir: Path) -> None:
    value = {"a": (1, {2}), "path": Path("x")}
    assert kept(PickleIO(workdir), value) == value


def test_parquet_gives_back_the_same_kind_of_table(workdir: Path) -> None:
    io = ParquetIO(workdir)
    frame = pd.DataFrame({"a": [1, 2], "t": ["x", None]}, index=pd.Index(["p", "q"], name="key"))
    pd.testing.assert_frame_equal(kept(io, frame), frame)
    polars_frame = pl.DataFrame({"a": [1, None], "t": ["x", "y"], "l": [[1], []]})
    assert kept(io, polars_frame).equals(polars_frame)
    table = pa.table({"a": [1, 2]}, metadata={"mine": "yes"})
    assert kept(io, table).equals(table, check_metadata=True)
    assert kept(io, [{"a": 1}, {"a": 2, "b": "x"}]) == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]


def test_parquet_keeps_the_checksum_of_the_content(workdir: Path) -> None:
    for value in (pd.DataFrame({"a": [1.5, None], "t": ["x", "y"]}), pl.DataFrame({"c": ["x"]}), pa.table({"a": [1]})):
        assert calculate_checksum(kept(ParquetIO(workdir), value)) == calculate_checksum(value)


@pytest.mark.parametrize(("library", "kind"), [("polars", pl.DataFrame), ("pyarrow", pa.Table), ("records", list)])
def test_parquet_can_return_another_kind_of_table(workdir: Path, library: str, kind: type) -> None:
    ParquetIO(workdir).save(orders, pd.DataFrame({"a": [1]}))
    assert isinstance(ParquetIO(workdir, returns=library).load(orders), kind)


def test_parquet_of_others_can_be_read(workdir: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(workdir / "orders.parquet")
    assert ParquetIO(workdir).load(orders).to_pydict() == {"a": [1]}


@pytest.mark.parametrize(("io", "suffix"), [(PickleIO, "pkl"), (JSONIO, "json"), (ParquetIO, "parquet")])
def test_a_file_is_called_by_openlineages_naming(workdir: Path, io: type[FileIO], suffix: str) -> None:
    manager = io("data/")
    expected = ("file", f"{workdir}/data/orders.{suffix}")
    assert dataset_of(asset(io=manager)(orders.function), "ns") == expected
    os.chdir("/")
    assert dataset_of(asset(io=manager)(orders.function), "ns") == expected


def test_a_directory_may_be_in_the_home(workdir: Path) -> None:
    assert JSONIO("~/data").path(orders) == Path(os.environ["HOME"]) / "data" / "orders.json"


def test_what_is_in_memory_is_called_by_the_assets_own_name() -> None:
    assert dataset_of(orders, "shop") == ("shop", "orders")


def test_what_is_stored_has_the_files_checksum_and_size(workdir: Path) -> None:
    io = JSONIO(workdir)
    assert io.stored(orders) is None
    io.save(orders, [1])
    path = workdir / "orders.json"
    assert io.stored(orders) == Stored(calculate_checksum(path), path.stat().st_size)


def test_a_new_file_has_the_usual_permissions_and_no_other_file_stays(workdir: Path) -> None:
    old = os.umask(0o022)
    try:
        JSONIO(workdir / "a" / "b").save(orders, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE((workdir / "a" / "b" / "orders.json").stat().st_mode) == 0o644
    assert os.listdir(workdir / "a" / "b") == ["orders.json"]


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("this cannot be pickled")


@pytest.mark.parametrize(
    ("io", "value", "message"),
    [
        (
            PickleIO,
            Unpicklable(),
            "asset 'orders' returned a Unpicklable that cannot be pickled: this cannot be pickled",
        ),
        (PickleIO, lambda: 1, "or keep it in memory with MemoryIO()"),
        (JSONIO, {"a": [(1, 2)]}, "asset 'orders' returned what JSON cannot hold: $['a'][0] is a tuple; return a list"),
        (JSONIO, {1: 2}, "the key 1 at $ is a int; JSON's keys are texts"),
        (JSONIO, [math.nan], "$[0] is nan; use None for what is missing"),
        (JSONIO, {"a": {1, 2}}, "$['a'] is a set; turn it into texts and numbers, or use PickleIO('data/')"),
        (JSONIO, pd.DataFrame({"a": [1]}), "$ is a table (pandas DataFrame); use ParquetIO('data/')"),
        (JSONIO, "\ud800", "the text at $ has a lone surrogate"),
        (
            ParquetIO,
            3,
            "asset 'orders' returned a int that Parquet cannot hold: it is neither a table nor a list of dicts",
        ),
        (ParquetIO, pd.Series([1]), "returned a Series that Parquet cannot hold"),
        (ParquetIO, pl.LazyFrame({"a": [1]}), "it holds no rows yet; collect() it first"),
        (ParquetIO, pd.DataFrame({"a": [1, "x"]}), "returned a DataFrame that Parquet cannot hold: Could not convert"),
        (ParquetIO, [{"a": 1}, {"a": "x"}], "returned a list that Parquet cannot hold"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_value_that_cannot_be_held_is_refused_and_the_old_file_stays(
    workdir: Path, io: type[FileIO], value: Any, message: str
) -> None:
    manager = io(workdir)
    manager.path(orders).write_bytes(b"old")
    with refused(UnsupportedValue, message):
        manager.save(orders, value)
    assert manager.path(orders).read_bytes() == b"old"
    assert os.listdir(workdir) == [manager.path(orders).name]


def test_a_value_that_contains_itself_is_refused_by_json(workdir: Path) -> None:
    value: list[Any] = []
    value.append(value)
    with refused(UnsupportedValue, "contains itself or is nested too deeply"):
        JSONIO(workdir).save(orders, value)


@pytest.mark.parametrize("kind", [MemoryIO, JSONIO, PickleIO, ParquetIO])
def test_an_output_that_is_not_there_is_told(kind: type[IOManager]) -> None:
    io = kind("data") if issubclass(kind, FileIO) else kind()
    with refused(OutputMissing, "asset 'orders' has no output"):
        io.load(orders)
    assert io.stored(orders) is None


@pytest.mark.parametrize("io", [JSONIO, PickleIO, ParquetIO])
def test_a_damaged_file_is_told(workdir: Path, io: type[FileIO]) -> None:
    manager = io(workdir)
    manager.path(orders).write_bytes(b"\x93broken{")
    with refused(StorageError, str(manager.path(orders)), "the output of asset 'orders', cannot be read: "):
        manager.load(orders)


def test_a_directory_that_cannot_be_made_is_told(workdir: Path) -> None:
    (workdir / "data").write_text("a file")
    with refused(StorageError, "data/sub/orders.json cannot be written: Not a directory"):
        JSONIO(workdir / "data" / "sub").save(orders, 1)


def test_parquet_refuses_to_return_what_it_does_not_know() -> None:
    with refused(StorageError, "cannot return 'duckdb'; give one of pandas, polars, pyarrow, records"):
        ParquetIO("data", returns="duckdb")


def test_an_io_manager_of_ones_own_needs_only_save_and_load(workdir: Path) -> None:
    class TextIO(IOManager):
        def save(self, asset: Asset, value: str) -> None:
            Path(f"{asset.name}.txt").write_text(value)

        def load(self, asset: Asset) -> str:
            return Path(f"{asset.name}.txt").read_text()

    class Duck:
        save = TextIO.save
        load = TextIO.load

    for io in (TextIO(), Duck()):
        mine = asset(io=io)(orders.function)  # type: ignore[arg-type]
        Path("orders.txt").unlink(missing_ok=True)
        assert stored_of(mine) is None
        mine.io.save(mine, "hello")
        assert stored_of(mine) == Stored(calculate_checksum("hello"))
        assert dataset_of(mine, "ns") == ("ns", "orders")


WRITER = """
import os, signal, sys
from emitter import JSONIO, asset
from emitter.io import FileIO

class Slow(FileIO):
    suffix = ".bin"
    def write(self, file, value, asset):
        file.write(b"half of the new output")
        file.flush()
        print("writing", flush=True)
        signal.pause()

@asset
def orders(): ...

Slow(sys.argv[1]).save(orders, None)
"""


def test_a_write_that_is_killed_leaves_the_old_file(workdir: Path) -> None:
    (workdir / "orders.bin").write_bytes(b"the old output")
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(workdir)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"writing\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert (workdir / "orders.bin").read_bytes() == b"the old output"
    (partial,) = (one for one in workdir.iterdir() if one.name != "orders.bin")
    assert partial.name.startswith(".orders.bin.") and partial.read_bytes() == b"half of the new output"


def test_what_a_killed_write_left_is_cleared_a_day_later(workdir: Path) -> None:
    fresh, old, other = (workdir / f".{name}.partial" for name in ("orders.json.1", "orders.json.2", "items.json.3"))
    for path in (fresh, old, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 100_000,) * 2)
    JSONIO(workdir).save(orders, 1)
    assert sorted(os.listdir(workdir)) == sorted([fresh.name, other.name, "orders.json"])


def test_a_write_that_raises_leaves_nothing(workdir: Path) -> None:
    class Failing(FileIO):
        def write(self, file: Any, value: Any, asset: Asset) -> None:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Failing(workdir).save(orders, 1)
    assert os.listdir(workdir) == []


def test_a_full_disk_is_told_and_the_old_file_stays(workdir: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from emitter import PickleIO, asset\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "@asset\ndef orders(): ...\n"
        "PickleIO(sys.argv[1]).save(orders, b'x' * 100_000)\n"
    )
    (workdir / "orders.pkl").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, str(workdir)], cwd=ROOT, capture_output=True, text=True)
    assert "emitter.errors.StorageError: " in done.stderr and "cannot be written: File too large" in done.stderr
    assert (workdir / "orders.pkl").read_bytes() == b"old"
    assert os.listdir(workdir) == ["orders.pkl"]
