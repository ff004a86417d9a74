"""PostgreSQL arrays in the binary format, for psycopg: its own way is text, a regular expression for each value.

The format is that of PostgreSQL's ``array_send``: dimensions, whether there are NULLs, the elements' type, then for
each dimension its length and lower bound, then each element's length (-1: NULL) and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from struct import pack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

_NULL = pack(">i", -1)

# by PostgreSQL's name: the type's oid (pg_type.dat), and one value with its length before it
_KINDS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "bigint": (20, lambda value: pack(">iq", 8, value)),
    "smallint": (21, lambda value: pack(">ih", 2, value)),
    "boolean": (16, lambda value: pack(">i?", 1, value)),
    "text": (25, lambda value: _sized(value.encode())),
    "bytea": (17, lambda value: _sized(value)),
}


@dataclass(frozen=True, slots=True)
class Array:
    """Values of one type, None among them or not: a parameter of a statement. ``kind`` is a key of _KINDS."""

    kind: str
    values: Sequence[Any]

    def packed(self) -> bytes:
        """As PostgreSQL receives it."""
        oid, element = _KINDS[self.kind]
        parts = [_NULL if value is None else element(value) for value in self.values]
        head = pack(">iiIii", 1, any(part is _NULL for part in parts), oid, len(parts), 1)
        return head + b"".join(parts)


def enable_arrays(connection: Connection[Any]) -> None:
    """Let ``connection`` take an Array as a parameter."""
    connection.adapters.register_dumper(Array, _dumper())


@cache
def _dumper() -> type:
    from psycopg.adapt import Dumper  # late: psycopg is an extra
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Array) -> bytes:
            return obj.packed()

    return ArrayDumper


def _sized(value: bytes) -> bytes:
    return pack(">i", len(value)) + value
