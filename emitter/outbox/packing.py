"""How bodies lie in the outbox: compressed against an earlier body. ``Packing`` is used under the store's lock.

A producer's events repeat each other: against one of its own earlier events an event of 5 KB takes about 300 bytes,
alone 1,300. So a cap of 500 MB holds a million events, and a write touches fewer pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import zstandard

_LEVEL = 1
_MAX_DICTIONARY = 64 * 1024
#: Bodies shorter than this gain nothing.
_WORTH_BYTES = 200
#: So many bodies in a row that a dictionary does not suit call for another.
_MISSES = 16
_MAX_DICTIONARIES = 64


class Packing:
    """Compression with the dictionaries of one outbox."""

    def __init__(self) -> None:
        self._plain = zstandard.ZstdCompressor(level=_LEVEL)
        # one attribute, so that a signal handler never finds half of a change
        self._current: tuple[int, zstandard.ZstdCompressor] | None = None
        self._looked = False
        self._misses = 0

    def pack(self, connection: sqlite3.Connection, body: bytes) -> tuple[int | None, bytes]:
        """The dictionary's id and the packed body."""
        if len(body) < _WORTH_BYTES:
            return None, self._plain.compress(body)
        if not self._looked:
            self._looked = True
            self._use_newest(connection)
        if self._current is None or self._misses >= _MISSES:
            self._make(connection, body)
        if self._current is None:
            return None, self._plain.compress(body)
        dictionary, compressor = self._current
        packed = compressor.compress(body)
        self._misses = self._misses + 1 if len(packed) * 4 > len(body) else 0
        return dictionary, packed

    def _use_newest(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("SELECT id, body FROM dictionary ORDER BY id DESC LIMIT 1").fetchone()
        if found is not None:
            self._use(*found)

    def _make(self, connection: sqlite3.Connection, body: bytes) -> None:
        self._misses = 0
        if connection.execute("SELECT count(*) FROM dictionary").fetchone()[0] >= _MAX_DICTIONARIES:
            return
        body = body[:_MAX_DICTIONARY]
        made = connection.execute("INSERT INTO dictionary (body) VALUES (?)", (body,)).lastrowid
        if made is not None:
            self._use(made, body)

    def _use(self, dictionary: int, body: bytes) -> None:
        self._current = dictionary, zstandard.ZstdCompressor(level=_LEVEL, dict_data=_dictionary(body))


class Unpacking:
    """The way back. For one thread at a time."""

    def __init__(self) -> None:
        self._decompressors: dict[int | None, zstandard.ZstdDecompressor] = {None: zstandard.ZstdDecompressor()}

    def load(self, connection: sqlite3.Connection, dictionaries: Iterable[int | None]) -> None:
        """Read the dictionaries that ``unpack`` will need."""
        for dictionary in dictionaries:
            if dictionary not in self._decompressors:
                found = connection.execute("SELECT body FROM dictionary WHERE id = ?", (dictionary,)).fetchone()
                if found is None:
                    raise sqlite3.DatabaseError(f"the dictionary {dictionary} is missing")
                self._decompressors[dictionary] = zstandard.ZstdDecompressor(dict_data=_dictionary(found[0]))

    def unpack(self, dictionary: int | None, packed: bytes) -> bytes:
        """What ``Packing.pack`` was given."""
        return self._decompressors[dictionary].decompress(packed)


def _dictionary(body: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(body, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
