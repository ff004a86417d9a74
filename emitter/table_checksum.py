"""The checksum of a table's content, over Arrow's columnar buffers.

The rows are taken in batches of a fixed size, whatever the chunking. Of each batch, column after column, goes in: which
rows are null, and the values in one form per type: offsets gone, null slots zeroed, dictionaries decoded, strings as
lengths and bytes, every NaN as the same NaN. Values without nulls are hashed where they lie, without a copy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emitter.errors import ChecksumError
from emitter.tables import is_list_view, library_of, to_arrow, type_name

if TYPE_CHECKING:
    import pyarrow as pa

    from emitter.checksum import Hasher

BATCH_ROWS = 65_536
_FORMAT = b"headwater table 1\0"
#: The bits of the quiet NaN, by the width of the float in bytes.
_NAN_BITS = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8000000000000}


def hash_table(hasher: Hasher, value: Any, *, index: bool = False) -> int:
    """Feed a table (or a single column) into a hasher and return its number of rows; `index`: with a pandas index.

    Raises ChecksumError where pyarrow is missing, or where a column has no one Arrow type or one without a stable form.
    """
    table = _arrow(value, index)
    hasher.update(_FORMAT)
    schema = [[field.name, type_name(field.type)] for field in table.schema]
    hasher.update(json.dumps(schema, ensure_ascii=True).encode())
    for start in range(0, table.num_rows, BATCH_ROWS):
        batch = table.slice(start, BATCH_ROWS)
        hasher.update(batch.num_rows.to_bytes(8, "little"))
        for name, column in zip(batch.column_names, batch.columns, strict=True):
            try:
                _hash_array(hasher, _one_array(column))
            except (NotImplementedError, TypeError, ValueError) as error:
                raise ChecksumError(
                    f"column '{name}' of type {column.type} has no checksum: {error}; cast it to a plainer type"
                ) from error
    hasher.update(table.num_rows.to_bytes(8, "little"))
    return int(table.num_rows)


def _arrow(value: Any, index: bool) -> pa.Table:
    if library_of(value) == "polars":
        _refuse_objects(value)
    try:
        return to_arrow(value, keep_index=index)
    except ImportError as error:
        raise ChecksumError(
            "the checksum of a table needs pyarrow, which is not installed: pip install 'headwater[pyarrow]'"
        ) from error
    except (NotImplementedError, TypeError, ValueError) as error:
        detail = " ".join(str(one) for one in error.args)
        raise ChecksumError(
            f"this {type(value).__name__} has no checksum, since not every column holds values of one type: {detail}"
        ) from error


def _refuse_objects(value: Any) -> None:
    import polars as pl

    # polars exports a column of Python objects as their addresses, which change from run to run.
    fields = value.schema.items() if isinstance(value, pl.DataFrame) else [(value.name, value.dtype)]
    for name, dtype in fields:
        if dtype == pl.Object:
            raise ChecksumError(
                f"column '{name}' holds Python objects, which have no checksum; cast it to a plainer type"
            )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    chunks = [_plain(chunk) for chunk in column.chunks]
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else _plain(pa.array([], column.type))


def _plain(array: pa.Array) -> pa.Array:
    """The array in the one layout of its kind; where it has that layout already, itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = array.type
    is_ = pa.types
    if is_.is_dictionary(type_):
        return _plain(array.dictionary_decode())
    if is_.is_run_end_encoded(type_):
        return _plain(pc.run_end_decode(array))
    if isinstance(type_, pa.BaseExtensionType):
        return _plain(array.storage)
    if is_.is_string(type_) or str(type_) == "string_view":
        return array.cast(pa.large_string())
    if is_.is_binary(type_) or is_.is_fixed_size_binary(type_) or str(type_) == "binary_view":
        return array.cast(pa.large_binary())
    if is_.is_map(type_):
        entry = pa.struct([("key", type_.key_type), ("value", type_.item_type)])
        return array.cast(pa.list_(entry)).cast(pa.large_list(entry))
    if is_.is_list(type_):
        return array.cast(pa.large_list(type_.value_type))
    return array


def _hash_array(hasher: Hasher, array: pa.Array) -> None:
    """Feed an array that `_plain` gave into the hasher."""
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = array.type
    is_ = pa.types
    if is_.is_null(type_):
        return
    if is_.is_union(type_):
        raise NotImplementedError("a union has several types")
    _hash_validity(hasher, array)
    if is_.is_struct(type_):
        for child in array.flatten():
            _hash_array(hasher, _plain(child))
    elif is_.is_large_list(type_) or is_list_view(type_):  # casting a view with nulls to a list gives wrong offsets
        _hash_values(hasher, pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()), 8)
        _hash_array(hasher, _plain(array.flatten()))
    elif is_.is_fixed_size_list(type_):
        _hash_array(hasher, _plain(array.flatten()))
    elif is_.is_large_string(type_) or is_.is_large_binary(type_):
        _hash_texts(hasher, array)
    elif is_.is_boolean(type_):
        _hash_values(hasher, pc.fill_null(array, False).cast(pa.uint8()), 1)
    else:
        _hash_fixed(hasher, array)


def _hash_validity(hasher: Hasher, array: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count == 0:
        hasher.update(b"\0")
    else:
        hasher.update(b"\1")
        _hash_values(hasher, pc.is_valid(array).cast(pa.uint8()), 1)


def _hash_texts(hasher: Hasher, array: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count:
        # A null slot may still own bytes; filling it drops them.
        array = pc.fill_null(array, pa.scalar("" if pa.types.is_large_string(array.type) else b"", array.type))
    _hash_values(hasher, pc.binary_length(array), 8)
    _, offsets, data = array.buffers()
    if data is not None and len(array):
        ends = memoryview(offsets).cast("q")
        first, last = ends[array.offset], ends[array.offset + len(array)]
        hasher.update(memoryview(data)[first:last])


def _hash_fixed(hasher: Hasher, array: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    width = array.type.bit_width // 8
    raw_type = {1: pa.int8(), 2: pa.int16(), 4: pa.int32(), 8: pa.int64()}.get(width, pa.binary(width))
    zero = 0 if width <= 8 else bytes(width)
    raw = array.view(raw_type)
    if pa.types.is_floating(array.type):
        nan = pc.fill_null(pc.is_nan(array), False)
        if pc.any(nan).as_py():
            raw = pc.if_else(nan, pa.scalar(_NAN_BITS[width], raw_type), raw)
    if raw.null_count:
        raw = pc.fill_null(raw, pa.scalar(zero, raw_type))
    _hash_values(hasher, raw, width)


def _hash_values(hasher: Hasher, array: pa.Array, width: int) -> None:
    """Feed an array of fixed width and without nulls into the hasher, from the memory where it lies."""
    data = array.buffers()[1]
    if data is not None and len(array):
        hasher.update(memoryview(data)[array.offset * width : (array.offset + len(array)) * width])
