"""A way to call a collector in this process as the scenario does."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.marquez.scenario import Call


@pytest.fixture
def call(app: Flask) -> Call:
    """A call of the API below ``/api/v1``: status and JSON."""
    client = app.test_client()

    def calling(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = client.open(f"/api/v1{path}", method=method, json=body)
        return answer.status_code, answer.json if answer.data else None

    return calling
