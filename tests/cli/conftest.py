"""Real processes of the command line, and a real collector."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.servers import running_collector

SECONDS = 60
Headwater = Callable[..., subprocess.CompletedProcess[str]]

PIPELINE = '''
import pandas as pd
from emitter import ParquetIO, asset, not_null

stored = ParquetIO("data")

@asset(io=stored)
def raw_orders() -> pd.DataFrame:
    """Orders as they came."""
    return pd.DataFrame({"id": [1, 2, 3], "amount": [10, 20, 30]})

@asset(version="2", io=stored, checks=[not_null("id")], tags=["daily"])
def orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
    return raw_orders

@asset(io=stored)
def revenue(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[["amount"]].sum().to_frame("amount")
'''


@pytest.fixture
def headwater(tmp_path: Path) -> Headwater:
    """Runs ``headwater …`` in ``tmp_path``, outputs captured as text; OpenLineage is configured by nothing."""

    def run(*arguments: str, text_input: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE")}
        return subprocess.run(
            [sys.executable, "-m", "headwater", *arguments],
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), **environment},
            input=text_input,
            stdin=subprocess.DEVNULL if text_input is None else None,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    return run


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline of three assets, in ``tmp_path``."""
    path = tmp_path / "pipeline.py"
    path.write_text(PIPELINE)
    return path


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A collector for all of these tests; each uses names of its own."""
    with running_collector(tmp_path_factory.mktemp("collector")) as url:
        yield url


def failed_with(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The message of a command that failed as it should: on stderr, without a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Error: " in done.stderr
    return done.stderr.partition("Error: ")[2]
