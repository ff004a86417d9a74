"""The vocabulary that both halves share: Headwater's own facets and their published JSON Schemas.

Each facet is a module (`facets.asset_version`, `facets.checksum`, `facets.materialization`) that holds its class and
the ``KEY`` it goes under; `facets.schemas` gives the schemas. This file imports neither, so it costs nothing to read.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

#: Under this, `{version}/{ClassName}.json` never changes once released; a changed facet gets a new version.
SCHEMA_BASE_URL = "https://headwater-lineage.github.io/spec/facets"


def _producer() -> str:
    try:
        tag = f"v{version('headwater')}"
    except PackageNotFoundError:  # run from a source tree that was never installed
        tag = "unknown"
    return f"https://github.com/headwater-lineage/headwater/tree/{tag}"


#: The URL that says who wrote an event or a facet, and which version of it.
PRODUCER: str = _producer()


def schema_url(name: str, schema_version: str) -> str:
    """Return the immutable URL of a facet's schema: its class name ``name`` at a version like ``1-0-0``."""
    return f"{SCHEMA_BASE_URL}/{schema_version}/{name}.json#/$defs/{name}"
