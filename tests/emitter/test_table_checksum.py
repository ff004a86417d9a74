"""The checksum of a table: of its content, whatever holds it."""

from __future__ import annotations

import datetime as dt
import decimal
from itertools import pairwise
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emitter import calculate_checksum
from emitter.checksum import digest
from emitter.errors import ChecksumError
from emitter.table_checksum import BATCH_ROWS

UTC = dt.UTC
moments = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
#: A strategy for the values of each Arrow type that pandas (by Arrow), polars and Arrow share.
COLUMNS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.large_string(): st.text(max_size=8).filter(lambda text: "\0" not in text),
    pa.large_binary(): st.binary(max_size=8),
    pa.date32(): st.dates(),
    pa.timestamp("us"): moments,
    pa.timestamp("ns"): moments,
    pa.timestamp("us", "UTC"): moments.map(lambda moment: moment.replace(tzinfo=UTC)),
    pa.duration("us"): st.timedeltas(dt.timedelta(days=-1000), dt.timedelta(days=1000)),
    pa.time64("ns"): st.times(),
    pa.decimal128(12, 2): st.decimals(-(10**9), 10**9, places=2),
    pa.large_list(pa.int64()): st.lists(st.none() | st.integers(-5, 5), max_size=3),
    pa.large_list(pa.large_string()): st.lists(st.none() | st.text(max_size=3), max_size=3),
    pa.struct([("x", pa.int64()), ("y", pa.large_string())]): st.fixed_dictionaries(
        {"x": st.none() | st.integers(-5, 5), "y": st.none() | st.text(max_size=3)}
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    types = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    rows = draw(st.integers(0, 12))
    nullable = draw(st.booleans())
    columns = {}
    for number, type_ in enumerate(types):
        values = COLUMNS[type_] | st.none() if nullable else COLUMNS[type_]
        columns[f"c{number}"] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type_)
    return pa.table(columns)


@settings(deadline=None)
@given(tables())
def test_the_same_rows_are_equal_in_pandas_polars_and_arrow(table: pa.Table) -> None:
    expected = calculate_checksum(table)
    assert calculate_checksum(pl.from_arrow(table)) == expected
    assert calculate_checksum(table.to_pandas(types_mapper=pd.ArrowDtype)) == expected


@settings(deadline=None)
@given(tables(), st.lists(st.integers(0, 12), max_size=4))
def test_the_chunking_does_not_matter(table: pa.Table, cuts: list[int]) -> None:
    at = [0, *sorted(min(cut, table.num_rows) for cut in cuts), table.num_rows]
    pieces = [table.slice(start, end - start) for start, end in pairwise(at)]
    chunked = pa.concat_tables(pieces)
    # Copied one by one, so that no piece is a view into the same memory at another offset.
    copied = pa.concat_tables([pa.Table.from_pylist(piece.to_pylist(), table.schema) for piece in pieces])
    assert calculate_checksum(chunked) == calculate_checksum(copied) == calculate_checksum(table)


@settings(deadline=None)
@given(tables(), tables())
def test_other_rows_are_another_checksum(one: pa.Table, two: pa.Table) -> None:
    # repr, since NaN is not equal to itself, and -0.0 is to 0.0.
    same = one.schema == two.schema and repr(one.to_pylist()) == repr(two.to_pylist())
    assert (calculate_checksum(one) == calculate_checksum(two)) == same


def test_plain_pandas_frames_equal_arrow_and_polars() -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "price": [1.5, None, 2.5],
            "name": ["a", None, "c"],
            "kind": pd.Categorical(["x", "y", "x"]),
            "paid": [True, False, True],
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).as_unit("us"),
        }
    )
    table = pa.table(
        {
            "id": [1, 2, 3],
            "price": [1.5, None, 2.5],
            "name": ["a", None, "c"],
            "kind": ["x", "y", "x"],
            "paid": [True, False, True],
            "day": pa.array([dt.datetime(2024, 1, 1), None, dt.datetime(2024, 1, 3)], pa.timestamp("us")),
        }
    )
    assert calculate_checksum(frame) == calculate_checksum(table) == calculate_checksum(pl.from_arrow(table))


TEXTS = ["a", None, "", "a", "longer than the twelve bytes of a view"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS, pa.string()),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.compute.run_end_encode(pa.array(TEXTS)),
        pa.array(["x", *TEXTS])[1:],
        pl.Series("c", TEXTS).to_arrow(),
        pl.Series("c", TEXTS, dtype=pl.Categorical).to_arrow(),
        pa.chunked_array([pa.array(TEXTS[:2]).dictionary_encode(), pa.array(TEXTS[2:]).dictionary_encode()]),
    ],
    ids=lambda column: str(column.type),
)
def test_the_layout_of_a_column_does_not_matter(column: Any) -> None:
    assert calculate_checksum(pa.table({"c": column})) == calculate_checksum(pa.table({"c": TEXTS}))


def test_the_layout_of_nested_columns_does_not_matter() -> None:
    values = [[1, None], None, [], [3]]
    layouts = [
        pa.list_(pa.int64()),
        pa.large_list(pa.int64()),
        pa.list_view(pa.int64()),
        pa.large_list_view(pa.int64()),
    ]
    found = {calculate_checksum(pa.table({"c": pa.array(values, layout)})) for layout in layouts}
    assert len(found) == 1
    inside = [[["a"], None], [["b", None]]]
    layouts = [pa.list_(pa.list_(pa.string())), pa.large_list(pa.list_(pa.string_view()))]
    assert len({calculate_checksum(pa.table({"c": pa.array(inside, layout)})) for layout in layouts}) == 1


def test_maps_fixed_sizes_and_rarer_types_have_checksums() -> None:
    pairs = pa.array([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.string(), pa.int64()))
    columns = {
        "map": pairs,
        "fixed": pa.array([[1, 2], None, [3, None], [5, 6]], pa.list_(pa.int64(), 2)),
        "half": pa.array([1.5, None, float("nan"), 0.0], pa.float16()),
        "bytes": pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
        "big": pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2), decimal.Decimal(3)], pa.decimal256(40, 2)),
        "interval": pa.array([(1, 2, 3), None, (0, 0, 0), (1, 1, 1)], pa.month_day_nano_interval()),
        "nothing": pa.nulls(4),
        "id": pa.array([b"0" * 16, None, b"1" * 16, b"2" * 16], pa.uuid()),
    }
    for name, column in columns.items():
        whole = calculate_checksum(pa.table({name: column}))
        pieces = pa.chunked_array([column.slice(0, 1), column.slice(1)])
        assert calculate_checksum(pa.table({name: pieces})) == whole, name
        if name != "nothing":
            assert calculate_checksum(pa.table({name: column.take(pa.array([3, 2, 1, 0]))})) != whole, name


def test_what_lies_under_a_null_does_not_matter() -> None:
    hidden = pa.Array.from_buffers(
        pa.int64(),
        3,
        [pa.py_buffer(bytes([0b101])), pa.py_buffer(b"".join(n.to_bytes(8, "little") for n in (1, 7, 3)))],
    )
    assert hidden.to_pylist() == [1, None, 3]
    assert calculate_checksum(pa.table({"c": hidden})) == calculate_checksum(pa.table({"c": [1, None, 3]}))
    offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 1, 4, 5)))
    texts = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(bytes([0b101])), offsets, pa.py_buffer(b"axyzb")])
    assert texts.to_pylist() == ["a", None, "b"]
    assert calculate_checksum(pa.table({"c": texts})) == calculate_checksum(pa.table({"c": ["a", None, "b"]}))


def test_every_nan_is_the_same_and_is_not_null() -> None:
    other_nan = pa.array([0x7FF8000000000001, 0], pa.int64()).view(pa.float64())
    nan = pa.array([float("nan"), 0.0])
    assert calculate_checksum(pa.table({"c": other_nan})) == calculate_checksum(pa.table({"c": nan}))
    assert calculate_checksum(pa.table({"c": nan})) != calculate_checksum(pa.table({"c": pa.array([None, 0.0])}))


@pytest.mark.parametrize(
    "other",
    [
        pa.table({"a": [1, 2], "b": ["x", "z"]}),
        pa.table({"a": [2, 1], "b": ["y", "x"]}),
        pa.table({"b": ["x", "y"], "a": [1, 2]}),
        pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]}),
        pa.table({"a": [1, 2], "B": ["x", "y"]}),
        pa.table({"a": [1, 2]}),
        pa.table({"a": [1, 2, 2], "b": ["x", "y", "y"]}),
        pa.table({"a": [1, None], "b": ["x", "y"]}),
        pa.table({"a": [1, 2], "b": ["xy", ""]}),
    ],
)
def test_values_order_types_names_and_columns_matter(other: pa.Table) -> None:
    assert calculate_checksum(other) != calculate_checksum(pa.table({"a": [1, 2], "b": ["x", "y"]}))


@pytest.mark.parametrize("rows", [BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS + 3])
def test_tables_of_several_batches_do_not_depend_on_the_chunks(rows: int) -> None:
    table = pa.table({"id": pa.array(range(rows)), "text": [str(number % 7) for number in range(rows)]})
    pieces = pa.concat_tables([table.slice(0, 10), table.slice(10, BATCH_ROWS), table.slice(BATCH_ROWS + 10)])
    assert calculate_checksum(pieces) == calculate_checksum(table)
    changed = table.set_column(0, "id", pa.array([*range(rows - 1), -1]))
    assert calculate_checksum(changed) != calculate_checksum(table)


def test_the_index_does_not_matter_unless_it_is_asked_for() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    dated = frame.set_axis(pd.Index(["x", "y"], name="key"))
    assert calculate_checksum(frame) == calculate_checksum(dated)
    assert calculate_checksum(frame, index=True) != calculate_checksum(dated, index=True)
    assert calculate_checksum(frame, index=True) == calculate_checksum(frame)


def test_a_column_is_a_table_of_one() -> None:
    table = calculate_checksum(pa.table({"a": [1, 2]}))
    assert calculate_checksum(pd.Series([1, 2], name="a")) == table
    assert calculate_checksum(pl.Series("a", [1, 2])) == table
    assert calculate_checksum(pa.record_batch({"a": [1, 2]})) == table


def test_anything_with_arrows_stream_is_a_table() -> None:
    class Held:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    assert calculate_checksum(Held()) == calculate_checksum(pa.table({"a": [1, 2]}))


def test_the_digest_says_what_was_hashed() -> None:
    found = digest(pl.DataFrame({"a": [1, 2, 3]}))
    assert (found.hashed, found.rows, found.algorithm) == ("table", 3, "blake3")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            pd.DataFrame({"a": [1, "x"]}),
            "this DataFrame has no checksum, since not every column holds values of one type",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names found"),
        (pl.DataFrame({"a": [object()]}), "column 'a' holds Python objects, which have no checksum"),
        (pl.Series("a", [object()]), "column 'a' holds Python objects"),
        (pl.LazyFrame({"a": [1]}), "a LazyFrame holds no rows yet, so it has no checksum; collect() it"),
        (pa.table({"a": [1]}).to_reader(), "collect() it, or read_all() a stream"),
        (
            pa.table({"u": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
            "column 'u' of type sparse_union<0: int64=0> has no checksum: a union has several types",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tables_without_a_stable_form_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ChecksumError) as refused:
        calculate_checksum(value)
    assert message in str(refused.value)
