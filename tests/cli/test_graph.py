"""``headwater graph``: of a pipeline file, and of a node in a collector."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Headwater, failed_with


@pytest.fixture
def known(headwater: Headwater, pipeline: Path, collector: str) -> str:
    """A collector that knows the pipeline, in the namespace graph-test."""
    assert headwater("run", "pipeline.py", "--collector", collector, "--namespace", "graph-test").returncode == 0
    return collector


def test_pipeline_is_drawn_in_each_format_without_being_run(headwater: Headwater, pipeline: Path) -> None:
    mermaid = headwater("graph", "pipeline.py")
    assert mermaid.returncode == 0
    assert mermaid.stdout.startswith("flowchart LR\n") and mermaid.stdout.count(" --> ") == 2
    assert headwater("graph", "pipeline.py", "--layout", "TB").stdout.startswith("flowchart TB\n")
    assert headwater("graph", "pipeline.py", "--format", "dot").stdout.startswith("digraph lineage {")
    document = json.loads(headwater("graph", "pipeline.py", "--format", "json").stdout)
    assert [node["name"] for node in document["nodes"]] == ["raw_orders", "orders", "revenue"]
    assert not (pipeline.parent / "data").exists()


def test_node_of_a_collector_is_drawn(headwater: Headwater, known: str) -> None:
    node = ["--collector", known, "--node", "job:graph-test:orders"]
    both = headwater("graph", *node, "--granularity", "job", "--format", "json")
    assert names(both.stdout) == {"raw_orders", "orders", "revenue"}
    up = headwater("graph", *node, "--granularity", "job", "--direction", "upstream", "--format", "json")
    assert names(up.stdout) == {"raw_orders", "orders"}
    none = headwater("graph", *node, "--granularity", "job", "--depth", "0", "--format", "json")
    assert names(none.stdout) == {"orders"}
    assert headwater("graph", *node, "--layout", "TB").stdout.startswith("flowchart TB\n")
    assert headwater("graph", *node, "--format", "dot").stdout.startswith("digraph lineage {")


def test_node_that_nobody_knows(headwater: Headwater, known: str) -> None:
    message = failed_with(headwater("graph", "--collector", known, "--node", "job:graph-test:ordrs"), 1)
    assert "does not know 'job:graph-test:ordrs'" in message
    assert f"{known}/api/v1/events/lineage" in message


def test_node_id_that_is_none_is_a_usage_error(headwater: Headwater, collector: str) -> None:
    for node in ("orders", "dataset:orders", "job::", "table:a:b"):
        assert "'job:{namespace}:{name}'" in failed_with(
            headwater("graph", "--collector", collector, "--node", node), 2
        )
    message = failed_with(
        headwater("graph", "--collector", collector, "--node", "job:a:b", "--granularity", "dataset"), 2
    )
    assert "dataset" in message


def test_collector_that_is_not_there(headwater: Headwater) -> None:
    message = failed_with(headwater("graph", "--collector", "http://127.0.0.1:9", "--node", "job:a:b"), 1)
    assert message.startswith("http://127.0.0.1:9 cannot be reached (Connection refused)")
    assert "headwater serve" in message


def test_host_that_does_not_exist(headwater: Headwater) -> None:
    message = failed_with(headwater("graph", "--collector", "http://host.invalid", "--node", "job:a:b"), 1)
    assert "http://host.invalid cannot be reached" in message


def test_path_that_is_no_collectors(headwater: Headwater, collector: str) -> None:
    message = failed_with(headwater("graph", "--collector", f"{collector}/nowhere", "--node", "job:a:b"), 1)
    assert "answered 404" in message and "is the address right?" in message


def test_server_that_is_no_collector(headwater: Headwater, other_server: str) -> None:
    message = failed_with(headwater("graph", "--collector", other_server, "--node", "job:a:b"), 1)
    assert "answered 404" in message and "is the address right?" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say what to draw"),
        (["pipeline.py", "--collector", "http://127.0.0.1:9"], "one of the two"),
        (["--collector", "http://127.0.0.1:9"], "needs --node"),
        (["pipeline.py", "--node", "job:a:b"], "--node asks something of a collector"),
        (["pipeline.py", "--depth", "3"], "--depth asks something of a collector"),
        (["pipeline.py", "--format", "svg"], "--format"),
        (["--collector", "http://127.0.0.1:9", "--node", "job:a:b", "--depth", "-1"], "--depth"),
        (["--collector", "http://127.0.0.1:9", "--node", "job:a:b", "--depth", "99999999"], "--depth"),
        (["--collector", "http://127.0.0.1:9", "--node", "job:a:b", "--direction", "sideways"], "--direction"),
    ],
)
def test_options_that_do_not_fit(headwater: Headwater, pipeline: Path, arguments: list[str], message: str) -> None:
    assert message in failed_with(headwater("graph", *arguments), 2)


def names(text: str) -> set[str]:
    return {node["name"] for node in json.loads(text)["nodes"]}


class NotFound(BaseHTTPRequestHandler):
    """A web server of somebody else."""

    def do_GET(self) -> None:
        body = b"<html>Not here</html>"
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def other_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
