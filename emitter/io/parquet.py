"""Outputs as Parquet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from emitter.errors import StorageError, UnsupportedValue
from emitter.io.files import FileIO
from emitter.io.tables import LIBRARIES, as_arrow, returned, without_pyarrow

if TYPE_CHECKING:
    from emitter.assets import Asset

_LIBRARY_KEY = b"headwater.library"


class ParquetIO(FileIO):
    """Keeps pandas, polars and Arrow tables and lists of dicts, as ``{directory}/{asset}.parquet``.

    A list of dicts comes back with every key in every row, None where a row had none.

    Args:
        directory, file, storage_options: as of FileIO.
        returns: ``pandas``, ``polars``, ``pyarrow`` or ``records``: what `load` gives; by default what was saved.
        compression: as pyarrow names it.
    """

    suffix = ".parquet"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        returns: str | None = None,
        compression: str = "zstd",
        file: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(directory, file=file, storage_options=storage_options)
        if returns is not None and returns not in LIBRARIES:
            raise StorageError(f"ParquetIO cannot return {returns!r}; give one of {', '.join(LIBRARIES)}")
        self.returns = returns
        self.compression = compression

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise without_pyarrow("Parquet") from error
        table, library = as_arrow(value, asset, "Parquet", keep_index=True)
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
            raise without_pyarrow("Parquet") from error
        table = pq.read_table(file)
        metadata = dict(table.schema.metadata or {})
        saved = metadata.pop(_LIBRARY_KEY, b"pyarrow").decode()
        table = table.replace_schema_metadata(metadata or None)
        return returned(table, self.returns or saved)
