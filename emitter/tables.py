"""Tables, whichever library holds them: pandas, polars, Arrow, anything with Arrow's C stream, lists of dicts.

No table library is imported before a value of its own turns up, so a pipeline pays only for what it uses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

#: The classes that count as tables, by the module that must already be loaded for a value of theirs to exist.
_TABLE_CLASSES = {
    "pandas": ("DataFrame", "Series"),
    "polars": ("DataFrame", "Series"),
    "pyarrow": ("Table", "RecordBatch"),
}


def library_of(value: Any) -> str | None:
    """``pandas``, ``polars`` or ``pyarrow`` for a value of theirs that is a table or a single column, else None."""
    return next((library for library, names in _TABLE_CLASSES.items() if _is_one_of(value, library, names)), None)


def is_table(value: Any) -> bool:
    """Whether the value can be turned into an Arrow table; a list of dicts cannot (see `is_records`)."""
    return library_of(value) is not None or (
        hasattr(value, "__arrow_c_stream__") and not isinstance(value, type) and not is_lazy(value)
    )


def is_lazy(value: Any) -> bool:
    """Whether it holds no rows yet: a polars LazyFrame, or a stream of batches, which can be read only once."""
    return _is_one_of(value, "polars", ("LazyFrame",)) or _is_one_of(value, "pyarrow", ("RecordBatchReader",))


def _is_one_of(value: Any, library: str, names: tuple[str, ...]) -> bool:
    module = sys.modules.get(library)
    classes = tuple(found for name in names if isinstance(found := getattr(module, name, None), type))
    return bool(classes) and isinstance(value, classes)


def is_records(value: Any) -> bool:
    """Whether it is a list or tuple of mappings with text keys: rows, without a table library."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def to_arrow(value: Any, *, keep_index: bool = False) -> Any:
    """The value as a ``pyarrow.Table``; a single column becomes a table of one.

    A pandas index is left out unless `keep_index`. Raises ImportError where pyarrow is not installed, and pyarrow's
    own errors (ArrowInvalid, ArrowTypeError, ValueError) for columns that have no one type.
    """
    import pyarrow as pa

    library = library_of(value)
    if library == "pandas":
        if not hasattr(value, "columns"):
            value = value.to_frame(name=value.name if value.name is not None else "")
        return pa.Table.from_pandas(value, preserve_index=None if keep_index else False)
    if library == "polars":
        frame = value if hasattr(value, "columns") else value.to_frame()
        return frame.to_arrow()
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    return value if isinstance(value, pa.Table) else pa.table(value)


def row_count(value: Any) -> int | None:
    """The number of rows of a table or a list of records; None for anything else."""
    if library_of(value) is not None:
        return len(value) if not hasattr(value, "num_rows") else int(value.num_rows)
    if is_records(value) or value == []:
        return len(value)
    return None


def column_names(value: Any) -> list[str]:
    """The names of a table's columns, or of all the keys of a list of records in order of first mention."""
    if is_records(value):
        return list(dict.fromkeys(str(key) for row in value for key in row))
    names: Sequence[Any] = to_arrow(value).column_names
    return [str(name) for name in names]


def type_name(type_: Any) -> str:
    """An Arrow type's name, the same for all the ways in which Arrow lays out one and the same kind of value.

    ``string`` for large strings and string views, ``list<…>`` likewise; a dictionary is named for what it encodes.
    """
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(type_):
        return type_name(type_.value_type)
    if is_.is_run_end_encoded(type_):
        return type_name(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return f"{type_.extension_name}[{type_name(type_.storage_type)}]"
    if is_.is_string(type_) or is_.is_large_string(type_) or _is_view(type_, "string"):
        return "string"
    if (
        is_.is_binary(type_)
        or is_.is_large_binary(type_)
        or is_.is_fixed_size_binary(type_)
        or _is_view(type_, "binary")
    ):
        return "binary"
    if is_.is_fixed_size_list(type_):
        return f"list<{type_name(type_.value_type)}>[{type_.list_size}]"
    if is_.is_map(type_):
        return f"map<{type_name(type_.key_type)}, {type_name(type_.item_type)}>"
    if is_.is_list(type_) or is_.is_large_list(type_) or is_list_view(type_):
        return f"list<{type_name(type_.value_type)}>"
    if is_.is_struct(type_):
        return f"struct<{', '.join(f'{field.name}: {type_name(field.type)}' for field in type_)}>"
    return str(type_)


def is_list_view(type_: Any) -> bool:
    """Whether it is one of Arrow's list views, which older pyarrow does not know."""
    return str(type_).startswith(("list_view<", "large_list_view<"))


def _is_view(type_: Any, kind: str) -> bool:
    return str(type_) == f"{kind}_view"
