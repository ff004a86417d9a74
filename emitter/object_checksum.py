"""The checksum of a plain Python object, over one canonical form.

Every part is written as a tag, its length and its bytes, so that no two different objects are the same bytes. Dicts and
sets go in the order of their members' digests, so that insertion order does not matter. Types matter: 1, 1.0, True,
and a list and a tuple of the same members are all different.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import struct
import sys
import uuid
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from emitter.errors import ChecksumError
from emitter.tables import is_lazy, is_table

if TYPE_CHECKING:
    from emitter.checksum import Hasher

_FORMAT = b"headwater object 1\0"
_FLUSH_BYTES = 1 << 16
_NAN = struct.pack(">d", float("nan"))


def hash_object(hasher: Hasher, value: Any, algorithm: str, *, index: bool = False) -> None:
    """Feed an object into a hasher; `index`: tables in it with their pandas index.

    Raises ChecksumError, naming the place, for a part without a stable form.
    """
    hasher.update(_FORMAT)
    try:
        writer = _Writer(hasher, algorithm, index)
        writer.write(value, "$")
        writer.flush()
    except RecursionError:
        raise ChecksumError(f"this {type(value).__name__} is nested too deeply for a checksum") from None


class _Writer:
    def __init__(self, hasher: Hasher, algorithm: str, index: bool) -> None:
        self._hasher = hasher
        self._algorithm = algorithm
        self._index = index
        self._pending = bytearray()
        self._open: set[int] = set()

    def flush(self) -> None:
        self._hasher.update(bytes(self._pending))
        self._pending.clear()

    def write(self, value: Any, place: str) -> None:
        """Write one object; `place` is where it is, for messages."""
        atom = _ATOMS.get(type(value))
        if atom is not None:
            tag, form = atom
            self._part(tag, form(value))
        elif isinstance(value, Enum):
            self._part("enum", _class_name(value))
            self._part("str", value.name.encode())
        else:
            self._guarded(value, place)

    def _part(self, tag: str, data: bytes) -> None:
        self._pending += b"%b:%d:" % (tag.encode(), len(data))
        self._pending += data
        if len(self._pending) > _FLUSH_BYTES:
            self.flush()

    def _guarded(self, value: Any, place: str) -> None:
        if id(value) in self._open:
            raise ChecksumError(f"the {type(value).__name__} at {place} contains itself, so it has no checksum")
        self._open.add(id(value))
        self._container(value, place)
        self._open.discard(id(value))

    def _container(self, value: Any, place: str) -> None:
        cls = type(value)
        if isinstance(value, list | tuple):
            named = cls not in (list, tuple)
            self._part("list" if isinstance(value, list) else "tuple", _class_name(value) if named else b"")
            self._part("length", b"%d" % len(value))
            for index, member in enumerate(value):
                self.write(member, f"{place}[{index}]")
        elif isinstance(value, dict):
            self._part("dict", b"" if cls is dict else _class_name(value))
            self._unordered(
                (self._digest(key, f"{place} key {key!r}"), self._digest(one, f"{place}[{key!r}]"))
                for key, one in value.items()
            )
        elif isinstance(value, set | frozenset):
            self._part("set", b"")
            self._unordered((self._digest(member, f"{place} member {member!r}"),) for member in value)
        elif is_table(value) and not is_lazy(value):
            self._part("table", self._table(value))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._fields(value, [field.name for field in dataclasses.fields(value)], place)
        elif hasattr(cls, "__attrs_attrs__"):
            self._fields(value, [field.name for field in cls.__attrs_attrs__], place)
        elif isinstance(value, PurePath):
            self._part("path", value.as_posix().encode("utf-8", "surrogateescape"))
        elif self._numpy(value, place):
            pass
        elif isinstance(value, int | float | str | bytes):
            self._subclass(value, place)
        else:
            raise ChecksumError(
                f"the {cls.__module__}.{cls.__qualname__} at {place} has no stable form, so it has no checksum; "
                "give the asset an IO manager that stores bytes, such as PickleIO('data/')"
            )

    def _subclass(self, value: Any, place: str) -> None:
        """A subclass of a plain type: its class, then what it is as the plain type."""
        base = next(one for one in (int, float, str, bytes) if isinstance(value, one))
        self._part("class", _class_name(value))
        self.write(str.__str__(value) if base is str else base(value), place)

    def _fields(self, value: Any, names: list[str], place: str) -> None:
        self._part("class", _class_name(value))
        for name in names:
            self._part("field", name.encode())
            self.write(getattr(value, name), f"{place}.{name}")

    def _unordered(self, members: Iterable[tuple[bytes, ...]]) -> None:
        for parts in sorted(members):
            for part in parts:
                self._part("member", part)

    def _digest(self, value: Any, place: str) -> bytes:
        from emitter.checksum import new_hasher

        inner = _Writer(new_hasher(self._algorithm), self._algorithm, self._index)
        inner._open = self._open  # one object may not contain itself through a dict either
        inner.write(value, place)
        inner.flush()
        return inner._hasher.digest()

    def _table(self, value: Any) -> bytes:
        from emitter.checksum import new_hasher
        from emitter.table_checksum import hash_table

        hasher = new_hasher(self._algorithm)
        hash_table(hasher, value, index=self._index)
        return hasher.digest()

    def _numpy(self, value: Any, place: str) -> bool:
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
            return False
        array = numpy.asarray(value)
        if isinstance(value, numpy.ma.MaskedArray):
            raise ChecksumError(f"the masked array at {place} has no checksum; fill it first: array.filled(…)")
        self._part(
            "array", f"{array.dtype.newbyteorder('=').descr if array.dtype.names else array.dtype.str[1:]}".encode()
        )
        self._part("shape", repr(tuple(map(int, array.shape))).encode())
        if array.dtype.hasobject:
            for index, member in enumerate(array.ravel().tolist()):
                self.write(member, f"{place}[{index}]")
        else:
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            self._part("data", numpy.ascontiguousarray(little).tobytes())
        return True


def _class_name(value: Any) -> bytes:
    # Not the module: it is __main__ in a script and something else when the same file is imported.
    return type(value).__qualname__.encode()


def _float(value: float) -> bytes:
    return _NAN if value != value else struct.pack(">d", value)


_ATOMS: dict[type, tuple[str, Callable[[Any], bytes]]] = {
    type(None): ("none", lambda value: b""),
    type(...): ("ellipsis", lambda value: b""),
    bool: ("bool", lambda value: b"1" if value else b"0"),
    int: ("int", lambda value: b"%x" % value),
    float: ("float", _float),
    complex: ("complex", lambda value: _float(value.real) + _float(value.imag)),
    str: ("str", lambda value: value.encode("utf-8", "surrogatepass")),
    bytes: ("bytes", lambda value: value),
    bytearray: ("bytearray", bytes),
    dt.datetime: ("datetime", lambda value: value.isoformat().encode()),
    dt.date: ("date", lambda value: value.isoformat().encode()),
    dt.time: ("time", lambda value: value.isoformat().encode()),
    dt.timedelta: ("timedelta", lambda value: b"%d %d %d" % (value.days, value.seconds, value.microseconds)),
    decimal.Decimal: ("decimal", lambda value: str(value).encode()),
    fractions.Fraction: ("fraction", lambda value: str(value).encode()),
    uuid.UUID: ("uuid", lambda value: value.bytes),
    range: ("range", lambda value: b"%d %d %d" % (value.start, value.stop, value.step)),
}
