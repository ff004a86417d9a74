"""A client that comes again where a busy machine could not commit in time, as producers do."""

from __future__ import annotations

import time
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

TIMES = 10
SECONDS = 0.2


class PatientClient(FlaskClient):
    """Asks again on 503 with ``Retry-After``, for two seconds at most."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        for _ in range(TIMES):
            if response.status_code != 503 or "Retry-After" not in response.headers:
                break
            time.sleep(SECONDS)
            response = super().open(*args, **kwargs)
        return response
