"""Questions that checks ask of a column, of tables through Arrow and of lists of dicts in plain Python."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from emitter.errors import EmitterError, did_you_mean
from emitter.tables import column_names, is_records, is_table, to_arrow, type_name

if TYPE_CHECKING:
    import pyarrow as pa


class UnknownColumn(EmitterError):
    """A column that the value does not have."""


class Columns:
    """A value seen as columns. Raises EmitterError for a value that is neither a table nor a list of dicts."""

    def __init__(self, value: Any) -> None:
        self._records: Sequence[Any] | None = None
        self._table: pa.Table | None = None
        if is_records(value) or (isinstance(value, list | tuple) and not value):
            self._records = value
        elif is_table(value):
            self._table = to_arrow(value)
        else:
            raise EmitterError(
                f"a {type(value).__name__} has no rows to look at; "
                "return a table or a list of dicts, or check it by a function"
            )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self._records or ()) if self._table is None else int(self._table.num_rows)

    def null_count(self, column: str) -> int:
        """How many values are missing."""
        if self._table is None:
            return sum(one is None for one in self._values(column))
        return int(self._arrow(column).null_count)

    def duplicates(self, columns: Sequence[str]) -> tuple[int, Any]:
        """How many different values come more than once, and one of them; rows with a missing value do not count."""
        if self._table is None:
            values = [self._values(column) for column in columns]
            counts = Counter(row for row in zip(*values, strict=True) if None not in row)
            repeated = [row for row, count in counts.items() if count > 1]
            return len(repeated), (_shown(repeated[0]) if repeated else None)
        import pyarrow.compute as pc

        for column in columns:
            self._arrow(column)
        table = self._table.select(list(columns)).drop_null().combine_chunks()
        counted = table.group_by(list(columns)).aggregate([([], "count_all")])
        repeated_rows = counted.filter(pc.greater(counted["count_all"], 1))
        if not repeated_rows.num_rows:
            return 0, None
        first = repeated_rows.slice(0, 1).to_pylist()[0]
        return repeated_rows.num_rows, _shown(tuple(first[column] for column in columns))

    def outside(self, column: str, low: Any, high: Any) -> tuple[int, Any]:
        """How many values are below `low` or above `high` (None: no bound) or NaN, and one of them."""
        if self._table is None:
            values = [one for one in self._values(column) if one is not None]
            found = [one for one in values if not ((low is None or one >= low) and (high is None or one <= high))]
            return len(found), (found[0] if found else None)
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._arrow(column)
        inside = pc.is_valid(array)
        if low is not None:
            inside = pc.and_kleene(inside, pc.greater_equal(array, pa.scalar(low)))
        if high is not None:
            inside = pc.and_kleene(inside, pc.less_equal(array, pa.scalar(high)))
        return _rejected(array, inside)

    def not_among(self, column: str, accepted: Collection[Any]) -> tuple[int, Any]:
        """How many values are none of the accepted ones, and one of them."""
        if self._table is None:
            found = [one for one in self._values(column) if one is not None and one not in accepted]
            return len(found), (found[0] if found else None)
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._arrow(column)
        return _rejected(array, pc.is_in(array, value_set=pa.array(list(accepted), type=array.type)))

    def not_matching(self, column: str, pattern: re.Pattern[str]) -> tuple[int, Any]:
        """How many values do not match the pattern as a whole, and one of them. Raises EmitterError if not texts.

        By Python's own engine for tables too (each different value once), so that a pattern means one thing.
        """
        count, example = 0, None
        for value, times in self._counted(column):
            if not isinstance(value, str):
                raise EmitterError(f"the column '{column}' holds {type(value).__name__}, not texts: {value!r}")
            if not pattern.fullmatch(value):
                count, example = count + times, _shown((value,)) if example is None else example
        return count, example

    def distinct(self, column: str) -> set[Any]:
        """The different values, without what is missing."""
        return {value for value, _ in self._counted(column)}

    def not_in(self, column: str, known: Collection[Any]) -> tuple[int, Any]:
        """How many values are none of the known ones, and one of them; of whatever types."""
        others = [(value, times) for value, times in self._counted(column) if value not in known]
        return sum(times for _, times in others), (_shown((others[0][0],)) if others else None)

    def newest(self, column: str) -> dt.datetime | None:
        """The latest time, in UTC; None if there is none. Raises EmitterError for a column of something else."""
        if self._table is None:
            values = [one for one in self._values(column) if one is not None]
        else:
            import pyarrow.compute as pc

            array = self._arrow(column)
            kind = str(array.type)
            if not kind.startswith(("timestamp", "date")) and array.null_count < len(array):
                raise EmitterError(f"the column '{column}' holds {type_name(array.type)}, not times")
            latest = pc.max(array).cast("timestamp[us]" if "[" not in kind or "tz=" not in kind else array.type).as_py()
            values = [] if latest is None else [latest]
        odd = next((one for one in values if not isinstance(one, dt.date)), None)
        if odd is not None:
            raise EmitterError(f"the column '{column}' holds {type(odd).__name__}, not times: {odd!r}")
        return max(map(_in_utc, values), default=None)

    def _counted(self, column: str) -> list[tuple[Any, int]]:
        """Each different value that is not missing, and how often it comes."""
        if self._table is None:
            return list(Counter(one for one in self._values(column) if one is not None).items())
        counts = self._arrow(column).value_counts()
        pairs = zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)
        return [(value, times) for value, times in pairs if value is not None]

    def _values(self, column: str) -> list[Any]:
        records = self._records or []
        if records and not any(column in row for row in records):
            raise self._unknown(column, column_names(records))
        return [row.get(column) for row in records]

    def _arrow(self, column: str) -> pa.ChunkedArray:
        import pyarrow as pa

        assert self._table is not None
        if column not in self._table.column_names:
            raise self._unknown(column, self._table.column_names)
        array = self._table.column(column)
        if pa.types.is_dictionary(array.type):
            array = pa.chunked_array([chunk.dictionary_decode() for chunk in array.chunks], array.type.value_type)
        return array

    @staticmethod
    def _unknown(column: str, names: Sequence[str]) -> UnknownColumn:
        hint = did_you_mean(column, names) or f"; the columns are {', '.join(names)}"
        return UnknownColumn(f"there is no column '{column}'{hint}")


def _in_utc(moment: dt.date) -> dt.datetime:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _rejected(array: pa.ChunkedArray, holds: pa.ChunkedArray) -> tuple[int, Any]:
    """Count the values for which it does not hold; missing ones are not counted."""
    import pyarrow.compute as pc

    rejected = array.filter(pc.and_(pc.is_valid(array), pc.invert(pc.fill_null(holds, False))))
    return len(rejected), (_shown((rejected[0].as_py(),)) if len(rejected) else None)


def _shown(row: tuple[Any, ...]) -> Any:
    text = repr(row[0] if len(row) == 1 else row)
    return text if len(text) <= 80 else f"{text[:79]}…"
