"""The collector: an OpenLineage server that stores events, reconstructs the asset graph and answers questions of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    # late, so that the parts below can be used without Flask
    if name == "create_app":
        from collector.app import create_app

        return create_app
    raise AttributeError(f"module 'collector' has no attribute {name!r}")
