"""Outputs as CSV."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from emitter.checksum import calculate_checksum
from emitter.errors import StorageError, UnsupportedValue
from emitter.io.files import FileIO
from emitter.io.tables import LIBRARIES, as_arrow, returned, without_pyarrow
from emitter.tables import type_name

if TYPE_CHECKING:
    import pyarrow as pa

    from emitter.assets import Asset


class CSVIO(FileIO):
    """Keeps tables and lists of dicts, as ``{directory}/{asset}.csv``, with a header.

    CSV has no types: they are guessed when it is read. What would come back as something else (the text ``007`` as a
    number, an empty text as a missing one) is refused when it is saved, with the column's name; `types` says what a
    column is, for reading too.

    Args:
        directory, file, storage_options: as of FileIO.
        types: the types of columns, as Arrow calls them: ``{"zip": "string", "day": "date32"}``.
        returns: ``pandas``, ``polars``, ``pyarrow`` or ``records``: what `load` gives, pandas by default.
        delimiter: one character.
    """

    suffix = ".csv"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        types: Mapping[str, str] | None = None,
        returns: str = "pandas",
        delimiter: str = ",",
        file: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(directory, file=file, storage_options=storage_options)
        if returns not in LIBRARIES:
            raise StorageError(f"CSVIO cannot return {returns!r}; give one of {', '.join(LIBRARIES)}")
        if len(delimiter) != 1:
            raise StorageError(f"CSVIO has the delimiter {delimiter!r}; give one character")
        self.types = dict(types or {})
        self.returns = returns
        self.delimiter = delimiter

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        table, _ = as_arrow(value, asset, "CSV")
        try:
            import pyarrow.csv as pc
        except ImportError as error:
            raise without_pyarrow("CSV") from error
        try:
            pc.write_csv(table, file, pc.WriteOptions(delimiter=self.delimiter))
        except (NotImplementedError, TypeError, ValueError) as error:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a table that CSV cannot hold: {error}; use ParquetIO('data/')"
            ) from error
        file.flush()
        self._refuse_what_differs(file, table, asset)

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        return returned(self._table(file), self.returns)

    def _table(self, file: Any) -> pa.Table:
        try:
            import pyarrow as pa
            import pyarrow.csv as pc
        except ImportError as error:
            raise without_pyarrow("CSV") from error
        try:
            types = {column: pa.type_for_alias(name) for column, name in self.types.items()}
        except ValueError as error:
            raise StorageError(f"CSVIO has types={self.types!r}: {error}") from error
        # an empty text is written in quotes, and what is missing without
        options = pc.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
        return pc.read_csv(file, parse_options=pc.ParseOptions(delimiter=self.delimiter), convert_options=options)

    def _refuse_what_differs(self, file: IO[bytes], table: pa.Table, asset: Asset) -> None:
        try:
            with open(file.name, "rb") as written:
                back = self._table(written)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise UnsupportedValue(f"asset '{asset.name}' returned a table that CSV cannot hold: {error}") from error
        for name in table.column_names:
            if name not in back.column_names:
                raise UnsupportedValue(f"asset '{asset.name}' has a column {name!r} that CSV cannot hold by that name")
            before, after = type_name(table[name].type), type_name(back[name].type)
            one, other = table.select([name]), back.select([name])
            if before != after or calculate_checksum(one) != calculate_checksum(other):
                what = f"as {after}" if before != after else "with other values"
                raise UnsupportedValue(
                    f"asset '{asset.name}' has a column '{name}' of type {before} that would come back {what}; say its "
                    f"type, CSVIO(types={{'{name}': '{before}'}}), or use ParquetIO('data/')"
                )
