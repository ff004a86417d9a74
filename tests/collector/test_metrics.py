"""``/metrics`` counts what the writer did."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.collector.events import raw, run_event


def test_metrics_count_what_was_stored_and_refused(client: FlaskClient) -> None:
    assert client.post("/api/v1/lineage", data=raw(run_event())).status_code == 201
    assert client.post("/api/v1/lineage", data=b"{").status_code == 400
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain")
    found = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(found["headwater_events_committed_total"]) == 1
    assert float(found["headwater_refused_total"]) == 1
    assert float(found["headwater_events_waiting"]) == 0
