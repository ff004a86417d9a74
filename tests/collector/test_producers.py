"""What real producers sent, loaded whole: the graph has the datasets that they describe, and what flows between."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.collector.real_events import real_events

HDFS = "hdfs://dataproc-producer-test-m"
WAREHOUSE = "/user/hive/warehouse"
# each scenario: the dataset made, and what it is made from
SCENARIOS = {
    "simple run event": (("bigquery", "test.table.output"), {("bigquery", "test.table.input")}),
    "Spark reads BigQuery and writes files": (
        ("file", "/tmp/outputs/1729097570970"),
        {("bigquery", "bigquery-public-data.samples.shakespeare")},
    ),
    "Spark copies a Hive table": ((HDFS, f"{WAREHOUSE}/t2"), {(HDFS, f"{WAREHOUSE}/t1")}),
}


@pytest.fixture
def loaded(client: FlaskClient) -> FlaskClient:
    """A collector that took every event at hand."""
    for name, body in real_events().items():
        answer = client.post("/api/v1/lineage", data=body)
        assert answer.status_code == 201, (name, answer.json)
    return client


def upstream(client: FlaskClient, node: str, granularity: str) -> Any:
    query = {"nodeId": node, "granularity": granularity}
    answer = client.get("/api/v1/lineage/upstream", query_string=query)
    assert answer.status_code == 200, answer.json
    return answer.json["nodes"]


def test_graph_holds_the_datasets_that_producers_describe(loaded: FlaskClient) -> None:
    for scenario, ((namespace, name), origins) in SCENARIOS.items():
        nodes = upstream(loaded, f"dataset:{namespace}:{name}", "dataset")
        found = {(node["namespace"], node["name"]) for node in nodes if node["distance"] == 1}
        assert found == origins, scenario


def test_columns_that_spark_reports_lead_to_their_origins(loaded: FlaskClient) -> None:
    nodes = upstream(loaded, f"datasetField:{HDFS}:{WAREHOUSE}/t2:a", "column")
    assert [(node["name"], node["field"]) for node in nodes if node["distance"] == 1] == [(f"{WAREHOUSE}/t1", "a")]


def test_table_is_found_by_the_name_that_spark_gives_as_a_symlink(loaded: FlaskClient) -> None:
    [start, *_] = upstream(loaded, "dataset:hive://dataproc-producer-test-m:9083:default.t2", "dataset")
    assert (start["namespace"], start["name"]) == (HDFS, f"{WAREHOUSE}/t2")
