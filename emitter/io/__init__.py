"""IO managers: where outputs are kept, and what they are called there."""

from __future__ import annotations

from emitter.io.files import FileIO
from emitter.io.json import JSONIO
from emitter.io.memory import MemoryIO
from emitter.io.parquet import ParquetIO
from emitter.io.pickle import PickleIO
from emitter.io.protocol import DatasetName, IOManager, Stored

__all__ = ["JSONIO", "DatasetName", "FileIO", "IOManager", "MemoryIO", "ParquetIO", "PickleIO", "Stored"]
