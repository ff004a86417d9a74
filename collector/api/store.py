"""What one app holds: its engine, its writer and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Connection, Engine

from collector.body import MAX_BODY
from collector.intake import Intake
from collector.store.engines import reading
from collector.writer import Writer

EXTENSION = "headwater"


@dataclass(frozen=True, slots=True)
class Store:
    """The parts that requests share. ``max_body`` is in bytes, ``max_nodes`` bounds one graph answer."""

    engine: Engine
    writer: Writer
    intake: Intake
    max_body: int = MAX_BODY
    max_nodes: int = 10_000

    def most_nodes(self, wanted: int | None) -> int:
        """How many nodes an answer may have: as ``wanted``, within ``max_nodes``."""
        return min(wanted or self.max_nodes, self.max_nodes)


def store() -> Store:
    """The current app's."""
    found: Store = current_app.extensions[EXTENSION]
    return found


@contextmanager
def reader() -> Iterator[Connection]:
    """A read transaction on the current app's store."""
    with reading(store().engine) as connection:
        yield connection
