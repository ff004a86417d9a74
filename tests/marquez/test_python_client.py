"""Marquez's own Python client, unchanged, through a full scenario against a running collector."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from marquez_client import MarquezClient
from marquez_client.errors import APIError
from marquez_client.models import DatasetId, DatasetType, JobType

from tests.collector.patience import patient_session
from tests.collector.processes import Collector

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NAMESPACES = ("shop", "postgres://db.example.com:5432", "s3://bücket/ä b#1%", "a:b/c")


@pytest.fixture
def collector(database: str, tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path, database) as collector:
        yield collector


def test_full_scenario(collector: Collector) -> None:
    client = MarquezClient(collector.url)
    for namespace in NAMESPACES:
        play(client, collector.url, namespace)
    assert [one["name"] for one in client.list_namespaces()["namespaces"]] == sorted(NAMESPACES)
    assert len(client.list_namespaces(limit=1, offset=1)["namespaces"]) == 1
    assert client.list_tags()["tags"] == [
        {"name": "PII", "description": "personal"},
        {"name": "gold", "description": None},
        {"name": "when", "description": None},
    ]


def play(client: MarquezClient, address: str, namespace: str) -> None:
    assert client.create_namespace(namespace, "me", "mine")["ownerName"] == "me"
    assert client.get_namespace(namespace)["description"] == "mine"
    source = f"{namespace}/db"
    client.create_source(source, "POSTGRESQL", "jdbc:postgresql://localhost:5432/test", "a database")
    assert client.get_source(source)["connectionUrl"] == "jdbc:postgresql://localhost:5432/test"
    assert source in [one["name"] for one in client.list_sources()["sources"]]
    client.create_tag("PII", "personal")

    fields = [{"name": "id", "type": "INTEGER", "tags": ["PII"]}, {"name": "at", "type": "TIMESTAMP"}]
    table, report = "public.orders", "reports/daily: 100%"
    created = client.create_dataset(
        namespace, table, DatasetType.DB_TABLE, table, source, "orders", fields=fields, tags=["PII"]
    )
    assert created["currentVersion"] is not None
    client.create_dataset(
        namespace, report, DatasetType.STREAM, report, source, schema_location="http://example.com/schema"
    )
    found = client.get_dataset(namespace, table)
    assert (found["description"], found["tags"]) == ("orders", ["PII"])
    assert [(one["name"], one["type"], one["tags"]) for one in found["fields"]] == [
        ("id", "INTEGER", ["PII"]),
        ("at", "TIMESTAMP", []),
    ]
    assert client.get_dataset(namespace, report)["schemaLocation"] == "http://example.com/schema"
    assert client.list_datasets(namespace)["totalCount"] == 2
    assert client.tag_dataset(namespace, table, "gold")["tags"] == ["PII", "gold"]
    assert client.tag_dataset_field(namespace, table, "at", "when")["fields"][1]["tags"] == ["when"]
    for number, one in enumerate((table, report)):
        versions = client.list_dataset_versions(namespace, one)["versions"]
        assert len(versions) == 1, number
        assert client.get_dataset_version(namespace, one, versions[0]["version"]) == versions[0]

    job = "load/orders"
    sides = {"inputs": [DatasetId(namespace, table)], "outputs": [DatasetId(namespace, report)]}
    client.create_job(namespace, job, JobType.BATCH, "https://example.com/1", description="loads", **sides)
    assert client.get_job(namespace, job)["latestRun"] is None
    assert client.list_jobs(namespace)["totalCount"] == 1
    run_id = str(uuid.uuid4())
    run = client.create_job_run(
        namespace, job, run_id, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", {"retries": "1"}
    )
    assert (run["id"], run["state"], run["args"]) == (run_id, "NEW", {"retries": "1"})
    assert run["nominalStartTime"] == "2026-01-01T00:00:00Z"
    assert client.mark_job_run_as_started(run_id)["state"] == "RUNNING"
    done = client.mark_job_run_as_completed(run_id)
    assert done["state"] == "COMPLETED"
    assert done["durationMs"] >= 0
    [read], [written] = done["inputDatasetVersions"], done["outputDatasetVersions"]
    assert read["datasetVersionId"]["version"] == client.get_dataset(namespace, table)["currentVersion"]
    assert written["datasetVersionId"]["version"] == client.get_dataset(namespace, report)["currentVersion"]
    assert client.get_job_run(run_id)["jobVersion"]["version"] == client.get_job(namespace, job)["currentVersion"]
    for mark, state in ((client.mark_job_run_as_failed, "FAILED"), (client.mark_job_run_as_aborted, "ABORTED")):
        other = client.create_job_run(namespace, job, mark_as_running=True)
        assert other["state"] == "RUNNING"
        assert mark(other["id"])["state"] == state
    states = [one["state"] for one in client.list_job_runs(namespace, job)["runs"]]
    assert states == ["ABORTED", "FAILED", "COMPLETED"]

    node = quote(f"dataset:{namespace}:{report}", safe="")
    graph = requests.get(f"{address}/api/v1/lineage?nodeId={node}", timeout=5).json()["graph"]
    assert {one["type"] for one in graph} == {"DATASET", "JOB"}
    assert len(graph) == 3
    event = {
        "eventType": "COMPLETE",
        "eventTime": "2027-01-01T00:00:00Z",
        "run": {"runId": str(uuid.uuid4())},
        "job": {"namespace": namespace, "name": job},
        "producer": "https://example.com",
        "inputs": [{"namespace": namespace, "name": table}],
        "outputs": [{"namespace": namespace, "name": report, "facets": {"columnLineage": columns(namespace, table)}}],
    }
    assert patient_session().post(f"{address}/api/v1/lineage", json=event, timeout=5).status_code == 201
    by_dataset = client.get_column_lineage_by_dataset(namespace, report, depth=2)["graph"]
    assert by_dataset == client.get_column_lineage_by_dataset_field(namespace, report, "id", depth=2)["graph"]
    assert by_dataset == client.get_column_lineage_by_job(namespace, job, depth=2)["graph"]
    assert len(by_dataset) == 2
    version = client.get_dataset(namespace, report)["currentVersion"]
    at_version = client.get_column_lineage_by_dataset(namespace, report, version=version)["graph"]
    assert [one["id"] for one in at_version] == [one["id"] for one in by_dataset]
    with pytest.raises(APIError):
        client.get_dataset(namespace, "nothing")


def columns(namespace: str, table: str) -> dict[str, object]:
    origin = {"namespace": namespace, "name": table, "field": "id"}
    return {"_producer": "p", "_schemaURL": "s", "fields": {"id": {"inputFields": [origin]}}}
