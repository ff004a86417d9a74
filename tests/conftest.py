"""Fixtures that many tests share: databases of both engines, and collectors on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from sqlalchemy import Engine

from collector import create_app
from collector.api.store import EXTENSION
from collector.store.engines import open_engine, upgrade
from tests.collector.databases import postgresql_database, postgresql_server
from tests.collector.patience import PatientClient

# The same examples every time: a run says whether this change broke something. HEADWATER_EXPLORE=1 tries others.
settings.register_profile("steady", derandomize=True, database=None)
if not os.environ.get("HEADWATER_EXPLORE"):
    settings.load_profile("steady")

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a running PostgreSQL server."""
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'lineage.db'}"
    else:
        with postgresql_database(request.getfixturevalue("postgresql")) as url:
            yield url


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An engine on a new database with the schema in place."""
    engine = open_engine(database)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def app(database: str) -> Iterator[Flask]:
    """A collector in this process, on each engine; its test clients come again where it was busy."""
    app = create_app(database, TESTING=True)
    app.test_client_class = PatientClient
    yield app
    held = app.extensions[EXTENSION]
    held.writer.close()
    held.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of that collector."""
    return app.test_client()
