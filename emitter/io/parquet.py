"""Outputs as Parquet."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from emitter.errors import StorageError, UnsupportedValue
from emitter.io.files import FileIO
from emitter.tables import column_names, is_lazy, is_records, is_table, library_of, to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from emitter.assets import Asset

_LIBRARY_KEY = b"headwater.library"
_LIBRARIES = ("pandas", "polars", "pyarrow", "records")


class ParquetIO(FileIO):
    """Keeps pandas, polars and Arrow tables and lists of dicts, as ``{directory}/{asset}.parquet``.

    A list of dicts comes back with every key in every row, None where a row had none.

    Args:
        directory: where the files go.
        returns: ``pandas``, ``polars``, ``pyarrow`` or ``records``: what `load` gives; by default what was saved.
        compression: as pyarrow names it.
    """

    suffix = ".parquet"

    def __init__(self, directory: Any, *, returns: str | None = None, compression: str = "zstd") -> None:
        super().__init__(directory)
        if returns is not None and returns not in _LIBRARIES:
            raise StorageError(f"ParquetIO cannot return {returns!r}; give one of {', '.join(_LIBRARIES)}")
        self.returns = returns
        self.compression = compression

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise _without_pyarrow() from error
        table, library = _table(value, asset)
        metadata = {**(table.schema.metadata or {}), _LIBRARY_KEY: library.encode()}
        try:
            pq.write_table(table.replace_schema_metadata(metadata), file, compression=self.compression)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a table that Parquet cannot hold: {error}"
            ) from error

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise _without_pyarrow() from error
        table = pq.read_table(file)
        metadata = dict(table.schema.metadata or {})
        saved = metadata.pop(_LIBRARY_KEY, b"pyarrow").decode()
        table = table.replace_schema_metadata(metadata or None)
        return _returned(table, self.returns or saved)


def _table(value: Any, asset: Asset) -> tuple[pa.Table, str]:
    """The value as an Arrow table, and what kind of table it was."""
    import pyarrow as pa

    problem = "it is neither a table nor a list of dicts; use PickleIO('data/') or JSONIO('data/')"
    try:
        if is_lazy(value):
            problem = "it holds no rows yet; collect() it first"
        elif is_records(value):
            return pa.table({name: [row.get(name) for row in value] for name in column_names(value)}), "records"
        elif is_table(value) and (library_of(value) is None or not _is_column(value)):
            return to_arrow(value, keep_index=True), library_of(value) or "pyarrow"
    except (NotImplementedError, TypeError, ValueError) as error:
        problem = " ".join(str(one) for one in error.args)
    raise UnsupportedValue(
        f"asset '{asset.name}' returned a {type(value).__name__} that Parquet cannot hold: {problem}"
    )


def _is_column(value: Any) -> bool:
    return type(value).__name__ == "Series"


def _returned(table: pa.Table, library: str) -> Any:
    if library == "pandas":
        return table.to_pandas()
    if library == "polars":
        import polars

        return polars.from_arrow(table)
    return table.to_pylist() if library == "records" else table


def _without_pyarrow() -> StorageError:
    return StorageError("Parquet needs pyarrow, which is not installed: pip install 'headwater[pyarrow]'")
