"""The published JSON Schemas of Headwater's facets, as files in the wheel: ``{version}/{ClassName}.json``.

A released file never changes; a facet that changes gets a file under a new version beside it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _names() -> tuple[str, ...]:
    versions = [folder for folder in files(__name__).iterdir() if folder.is_dir() and folder.name[:1].isdigit()]
    return tuple(
        f"{folder.name}/{file.name.removesuffix('.json')}"
        for folder in sorted(versions, key=lambda folder: _version_key(folder.name))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    )


def names() -> list[str]:
    """Return every schema as ``{version}/{ClassName}``, oldest version first."""
    return list(_names())


def load(name: str) -> dict[str, Any]:
    """Return a schema: one of `names`, or a bare class name for its newest version.

    Raises:
        LookupError: there is no such schema.
    """
    found = [held for held in _names() if name in (held, held.partition("/")[2])]
    if not found:
        raise LookupError(f"no schema {name!r}; there are {', '.join(_names())}")
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{found[-1]}.json").read_bytes())
    return schema


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-"))
