"""IO managers: where outputs are kept, and what they are called there."""

from __future__ import annotations

from emitter.io.csv import CSVIO
from emitter.io.files import FileIO
from emitter.io.json import JSONIO
from emitter.io.memory import MemoryIO
from emitter.io.naming import DatasetName
from emitter.io.parquet import ParquetIO
from emitter.io.pickle import PickleIO
from emitter.io.plain import BytesIO, TextIO
from emitter.io.protocol import IOManager, Stored
from emitter.io.sql_table import SQLTableIO

__all__ = [
    "CSVIO",
    "JSONIO",
    "BytesIO",
    "DatasetName",
    "FileIO",
    "IOManager",
    "MemoryIO",
    "ParquetIO",
    "PickleIO",
    "SQLTableIO",
    "Stored",
    "TextIO",
]
