"""Tables as IO managers take and give them: whichever library holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emitter.errors import StorageError, UnsupportedValue
from emitter.tables import column_names, is_lazy, is_records, is_table, library_of, to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from emitter.assets import Asset

LIBRARIES = ("pandas", "polars", "pyarrow", "records")


def as_arrow(value: Any, asset: Asset, store: str, *, keep_index: bool = False) -> tuple[pa.Table, str]:
    """The value as an Arrow table, and what kind of table it was.

    Raises UnsupportedValue for what is none, and StorageError without pyarrow; `store` says what cannot hold it.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise without_pyarrow(store) from error

    problem = "it is neither a table nor a list of dicts; use PickleIO('data/') or JSONIO('data/')"
    try:
        if is_lazy(value):
            problem = "it holds no rows yet; collect() it first"
        elif is_records(value):
            return pa.table({name: [row.get(name) for row in value] for name in column_names(value)}), "records"
        elif is_table(value) and (library_of(value) is None or not _is_column(value)):
            return to_arrow(value, keep_index=keep_index), library_of(value) or "pyarrow"
    except (NotImplementedError, TypeError, ValueError) as error:
        problem = " ".join(str(one) for one in error.args)
    raise UnsupportedValue(
        f"asset '{asset.name}' returned a {type(value).__name__} that {store} cannot hold: {problem}"
    )


def returned(table: pa.Table, library: str) -> Any:
    """An Arrow table as a table of a library, or as a list of dicts."""
    if library == "pandas":
        return table.to_pandas()
    if library == "polars":
        import polars

        return polars.from_arrow(table)
    return table.to_pylist() if library == "records" else table


def without_pyarrow(store: str) -> StorageError:
    """What to say where pyarrow is not installed."""
    return StorageError(f"{store} needs pyarrow, which is not installed: pip install 'headwater[pyarrow]'")


def _is_column(value: Any) -> bool:
    return type(value).__name__ == "Series"
