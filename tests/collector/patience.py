"""Clients that come again where a busy machine could not commit in time, as producers do.

Any test of something else than the 503 itself sends by one of these: a machine's disk may stand still for seconds.
"""

from __future__ import annotations

import time
from typing import Any

import requests
from flask.testing import FlaskClient
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from werkzeug.test import TestResponse

TIMES = 20
SECONDS = 0.3


class PatientClient(FlaskClient):
    """Of a collector in this process. Asks again on 503 with ``Retry-After``, TIMES at most."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        for _ in range(TIMES):
            if response.status_code != 503 or "Retry-After" not in response.headers:
                break
            time.sleep(SECONDS)
            response = super().open(*args, **kwargs)
        return response


def patient_session() -> requests.Session:
    """For a collector in a process of its own; likewise."""
    again = Retry(TIMES, connect=0, status_forcelist=[503], allowed_methods=None, respect_retry_after_header=True)
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session
