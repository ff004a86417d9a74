"""``/metrics``: what this process did, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response
from flask_smorest import Blueprint
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.api.store import store
from collector.writer import Writer

blueprint = Blueprint("metrics", __name__, description="For Prometheus")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _WriterMetrics(Collector):
    """Read from the writer when asked, so that counting costs a commit nothing."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        writer = self._writer
        yield CounterMetricFamily("headwater_events_committed", "Events durably stored", writer.committed)
        yield CounterMetricFamily("headwater_commits", "Transactions that stored them", writer.commits)
        yield CounterMetricFamily("headwater_refused", "Bodies kept in quarantine", writer.refused)
        yield CounterMetricFamily("headwater_commit_failures", "Requests that no commit took", writer.failures)
        yield GaugeMetricFamily("headwater_events_waiting", "Events that wait for a commit", writer.waiting)


@blueprint.route("/metrics")
@blueprint.doc(summary="Counters of this process", responses={"200": {"description": "Prometheus text format"}})
def metrics() -> Response:
    """Each worker process counts for itself."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_WriterMetrics(store().writer))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)
