"""Headwater's emitter: Python functions as versioned, checked, traced data assets.

Importing it loads neither Flask, nor the collector, nor a table library, nor the OpenLineage client: each is
imported by the part that needs it, when it needs it.
"""

from __future__ import annotations

from emitter.assets import Asset, asset
from emitter.checks import Check, CheckResult, accepted_values, between, check, not_null, row_count, unique
from emitter.checksum import calculate_checksum
from emitter.errors import EmitterError
from emitter.executor import DefaultExecutor, materialize
from emitter.graph import AssetGraph
from emitter.io import JSONIO, IOManager, MemoryIO, ParquetIO, PickleIO
from emitter.metadata import MetadataStore
from emitter.pipeline import load_pipeline
from emitter.results import AssetResult, AssetStarted, MaterializeResult, Status

__all__ = [
    "JSONIO",
    "Asset",
    "AssetGraph",
    "AssetResult",
    "AssetStarted",
    "Check",
    "CheckResult",
    "DefaultExecutor",
    "EmitterError",
    "IOManager",
    "MaterializeResult",
    "MemoryIO",
    "MetadataStore",
    "ParquetIO",
    "PickleIO",
    "Status",
    "accepted_values",
    "asset",
    "between",
    "calculate_checksum",
    "check",
    "load_pipeline",
    "materialize",
    "not_null",
    "row_count",
    "unique",
]
