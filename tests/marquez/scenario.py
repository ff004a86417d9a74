"""One scenario that touches every one of Marquez's calls, for data that came by legacy calls and by events alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from marshmallow import Schema

from collector.api import shapes
from tests.collector.events import columns, dataset, facet, run_event, schema

JSON = Any
Call = Callable[[str, str, JSON], tuple[int, JSON]]  # method, path below /api/v1, body → status, answer

NAMESPACE = "postgres://host:5432/ä %#"
TABLE = "public/orders:2026 #1%"
JOB = "load/orders: daily %"
RUN = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"
EVENT_RUN = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the operation's path in Marquez's document, what was answered, and the shape that it must have."""

    template: str
    method: str
    status: int
    body: JSON
    shape: type[Schema] | None
    many: bool = False


def url(template: str, **names: str) -> str:
    """The path with its names percent-encoded, as Marquez's clients do."""
    return template.format(**{name: quote(value, safe="") for name, value in names.items()})


def play(call: Call) -> Iterator[Answer]:
    """Every call once at least, in an order in which each finds what it needs."""
    names = {"namespace": NAMESPACE, "dataset": TABLE, "job": JOB, "tag": "PII/1", "field": "id", "source": "pg/1 %"}

    def ask(
        method: str,
        template: str,
        shape: type[Schema] | None,
        body: JSON = None,
        query: str = "",
        many: bool = False,
        **more: str,
    ) -> Answer:
        status, document = call(method, url(template, **names, **more) + query, body)
        return Answer(template, method, status, document, shape, many)

    of_dataset, of_job = "/namespaces/{namespace}/datasets/{dataset}", "/namespaces/{namespace}/jobs/{job}"
    yield ask("PUT", "/namespaces/{namespace}", shapes.NamespaceShape, {"ownerName": "me", "description": "mine"})
    yield ask(
        "PUT", "/sources/{source}", shapes.SourceShape, {"type": "POSTGRESQL", "connectionUrl": "jdbc:postgresql://h/d"}
    )
    yield ask("GET", "/sources/{source}", shapes.SourceShape)
    yield ask("PUT", "/tags/{tag}", shapes.ToldTagShape, {"description": "personal"})
    table = {
        "type": "DB_TABLE",
        "physicalName": "public.orders",
        "sourceName": "pg/1 %",
        "fields": [{"name": "id", "type": "INTEGER", "description": "the key"}, {"name": "at", "type": "TIMESTAMP"}],
        "description": "all orders",
    }
    yield ask("PUT", of_dataset, shapes.DatasetShape, table)
    stream = table | {"type": "STREAM", "schemaLocation": "http://registry.example.com/1"}
    names["dataset"] = "out"
    yield ask("PUT", of_dataset, shapes.DatasetShape, stream)
    names["dataset"] = TABLE
    job = {
        "type": "BATCH",
        "inputs": [{"namespace": NAMESPACE, "name": TABLE}],
        "outputs": [{"namespace": NAMESPACE, "name": "out"}],
        "location": "https://example.com/code",
        "context": {"sql": "SELECT 1"},
        "description": "loads",
    }
    yield ask("PUT", of_job, shapes.JobShape, job)
    body = {"id": RUN, "nominalStartTime": "2026-01-01T00:00:00Z", "args": {"a": "1"}}
    yield ask("POST", f"{of_job}/runs", shapes.RunShape, body)
    yield ask("POST", "/jobs/runs/{id}/start", shapes.RunShape, id=RUN)
    yield ask("POST", "/jobs/runs/{id}/complete", shapes.RunShape, id=RUN)
    for ending in ("fail", "abort"):
        created = ask("POST", f"{of_job}/runs", shapes.RunShape, {})
        yield created
        yield ask("POST", f"/jobs/runs/{{id}}/{ending}", shapes.RunShape, id=created.body["id"])
    event = run_event(
        run=1,
        inputs=(dataset("orders", schema=schema("id")),),
        outputs=(dataset("report", schema=schema("id"), columnLineage=columns(id=[("orders", "id")])),),
        job_facets={"sourceCodeLocation": facet(type="git", url="https://example.com/2")},
    )
    yield ask("POST", "/lineage", None, event)

    yield ask("GET", "/namespaces", shapes.NamespaceList)
    yield ask("GET", "/namespaces/{namespace}", shapes.NamespaceShape)
    yield ask("GET", "/sources", shapes.SourceList)
    yield ask("GET", "/tags", shapes.TagList)
    yield ask("GET", "/jobs", shapes.JobList, query="?lastRunStates=COMPLETED&lastRunStates=ABORTED")
    yield ask("GET", "/events/lineage", None)
    yield ask("GET", "/search", shapes.SearchResults, query="?q=orders")
    for period in ("DAY", "WEEK"):
        query = f"?period={period}&timezone=Asia/Kolkata"
        yield ask("GET", "/stats/lineage-events", shapes.EventCounts, query=query, many=True)
        for thing in ("jobs", "datasets", "sources"):
            yield ask("GET", f"/stats/{thing}", shapes.ThingCounts, query=query, many=True)

    for namespace, one, column in ((NAMESPACE, TABLE, "id"), ("data", "report", "id")):
        names |= {"namespace": namespace, "dataset": one, "field": column}
        yield ask("GET", "/namespaces/{namespace}/datasets", shapes.DatasetList)
        yield ask("GET", of_dataset, shapes.DatasetShape)
        versions = ask("GET", f"{of_dataset}/versions", shapes.DatasetVersionList)
        yield versions
        version = versions.body["versions"][0]["version"]
        yield ask("GET", f"{of_dataset}/versions/{{version}}", shapes.DatasetVersionShape, version=version)
        yield ask("POST", f"{of_dataset}/tags/{{tag}}", shapes.DatasetShape)
        yield ask("POST", f"{of_dataset}/fields/{{field}}/tags/{{tag}}", shapes.DatasetShape)
        yield ask("DELETE", f"{of_dataset}/fields/{{field}}/tags/{{tag}}", shapes.DatasetShape)
        yield ask("DELETE", f"{of_dataset}/tags/{{tag}}", shapes.DatasetShape)
        node = quote(f"dataset:{namespace}:{one}", safe="")
        yield ask("GET", "/lineage", shapes.MarquezGraph, query=f"?nodeId={node}&aggregateToParentRun=true")
        for start in (node, quote(f"datasetField:{namespace}:{one}:{column}", safe="")):
            query = f"?nodeId={start}&withDownstream=true"
            yield ask("GET", "/column-lineage", shapes.MarquezGraph, query=query)
    for namespace, one, run in ((NAMESPACE, JOB, RUN), ("jobs", "load", EVENT_RUN)):
        names |= {"namespace": namespace, "job": one}
        yield ask("GET", "/namespaces/{namespace}/jobs", shapes.JobList)
        yield ask("GET", of_job, shapes.JobShape)
        versions = ask("GET", f"{of_job}/versions", shapes.JobVersionList)
        yield versions
        version = versions.body["versions"][0]["version"]
        yield ask("GET", f"{of_job}/versions/{{version}}", shapes.JobVersionShape, version=version)
        yield ask("GET", f"{of_job}/runs", shapes.RunList)
        yield ask("POST", f"{of_job}/tags/{{tag}}", shapes.JobShape)
        yield ask("DELETE", f"{of_job}/tags/{{tag}}", shapes.JobShape)
        yield ask("GET", "/jobs/runs/{id}", shapes.RunShape, id=run)
        for kind in ("run", "job"):
            yield ask("GET", "/jobs/runs/{id}/facets", shapes.FacetsShape, query=f"?type={kind}", id=run)
        yield ask("GET", "/runlineage/upstream", shapes.RunLineageShape, query=f"?runId={run}")
        node = quote(f"job:{namespace}:{one}", safe="")
        yield ask("GET", "/lineage", shapes.MarquezGraph, query=f"?nodeId={node}")
        yield ask("GET", "/column-lineage", shapes.MarquezGraph, query=f"?nodeId={node}")
    names |= {"namespace": NAMESPACE, "job": JOB, "dataset": TABLE}
    yield ask("DELETE", of_job, shapes.JobShape)
    yield ask("DELETE", of_dataset, shapes.DatasetShape)
    yield ask("DELETE", "/namespaces/{namespace}", shapes.NamespaceShape)
