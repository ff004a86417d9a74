"""Collectors that the tests of one module share: a new database a test costs more than most tests do."""

from __future__ import annotations

from collections.abc import Iterator
from time import time_ns

import pytest
from flask.testing import FlaskClient

from collector import create_app
from collector.api.store import EXTENSION
from collector.store.engines import writing
from collector.store.rows import rows_of
from collector.tables import store_fact
from tests.collector.databases import postgresql_database
from tests.collector.patience import PatientClient
from tests.collector.stores import clear
from tests.conftest import ENGINES
from tests.e2e.servers import running_collector


@pytest.fixture(scope="module", params=ENGINES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of a collector in this process, on each engine, with whatever the module's other tests stored in it."""
    if request.param == "sqlite":
        yield from _client(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'lineage.db'}")
    else:
        with postgresql_database(request.getfixturevalue("postgresql")) as url:
            yield from _client(url)


def _client(database: str) -> Iterator[FlaskClient]:
    app = create_app(database, TESTING=True)
    app.test_client_class = PatientClient
    yield app.test_client()
    held = app.extensions[EXTENSION]
    held.writer.close()
    held.engine.dispose()


@pytest.fixture
def emptied(shared: FlaskClient) -> FlaskClient:
    """The shared collector with nothing in it: as good as a new one, in a tenth of the time."""
    engine = shared.application.extensions[EXTENSION].engine
    clear(engine)
    with writing(engine) as connection:
        rows_of(connection).put(store_fact, [("epoch", time_ns())])  # its writer forgets the ids that it remembers
    return shared


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a collector in a process of its own, as `headwater serve` starts it."""
    with running_collector(tmp_path_factory.mktemp("served")) as url:
        yield url
