"""An outbox file in an empty directory, no OpenLineage settings, and a far end that works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emitter.outbox import outbox as outboxes
from tests.outbox.far_end import FarEnd


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "work"
    for outbox in list(outboxes._outboxes.values()):  # this process has many outboxes, one a test
        for route in outbox.routes.values():
            route.end()
    outboxes._outboxes.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the outbox's file is to be."""
    return tmp_path / "outbox.db"


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    with FarEnd() as server:
        yield server
