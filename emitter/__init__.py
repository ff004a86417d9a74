"""Headwater's emitter: Python functions as versioned, checked, traced data assets.

Importing it loads neither Flask, nor the collector, nor a table library, nor the OpenLineage client: each is
imported by the part that needs it, when it needs it.
"""

from __future__ import annotations

from emitter.assets import Asset, asset
from emitter.checks import Check, CheckResult, accepted_values, between, check, matches, not_null, row_count, unique
from emitter.checksum import calculate_checksum
from emitter.config import Secret
from emitter.engines import Engine
from emitter.errors import EmitterError
from emitter.executor import DefaultExecutor, materialize
from emitter.graph import AssetGraph
from emitter.io import CSVIO, JSONIO, BytesIO, FileIO, IOManager, MemoryIO, ParquetIO, PickleIO, SQLTableIO, TextIO
from emitter.metadata import MetadataStore
from emitter.multi import MultiAsset, Out, multi_asset
from emitter.pipeline import load_pipeline
from emitter.relations import foreign_key, freshness, pandera_schema
from emitter.results import AssetResult, AssetStarted, MaterializeResult, Status
from emitter.retry import Retry
from emitter.sources import SourceAsset, source_asset
from emitter.sql import sql_asset

__all__ = [
    "CSVIO",
    "JSONIO",
    "Asset",
    "AssetGraph",
    "AssetResult",
    "AssetStarted",
    "BytesIO",
    "Check",
    "CheckResult",
    "DefaultExecutor",
    "EmitterError",
    "Engine",
    "FileIO",
    "IOManager",
    "MaterializeResult",
    "MemoryIO",
    "MetadataStore",
    "MultiAsset",
    "Out",
    "ParquetIO",
    "PickleIO",
    "Retry",
    "SQLTableIO",
    "Secret",
    "SourceAsset",
    "Status",
    "TextIO",
    "accepted_values",
    "asset",
    "between",
    "calculate_checksum",
    "check",
    "foreign_key",
    "freshness",
    "load_pipeline",
    "matches",
    "materialize",
    "multi_asset",
    "not_null",
    "pandera_schema",
    "row_count",
    "source_asset",
    "sql_asset",
    "unique",
]
