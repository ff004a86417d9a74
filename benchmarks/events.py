"""Realistic OpenLineage events as raw JSON bytes, deterministic by index: event 7 is the same bytes in every process.

Two shapes. ``small`` is what most producers send: about 1.5 KB, START and COMPLETE of a run with two inputs and two
outputs that have schemas. ``spark`` is what a wide Spark job sends: about 60 KB of properties, logical plan, schemas
and column lineage. As in life, jobs and datasets come back and their schemas repeat, while run ids, times and the
ids inside a Spark plan are new with every run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

PRODUCER = "https://example.com/etl/1.4.0"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"
START = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=40)  # between two events: about two million events a day

SMALL_JOBS = 2_000  # two datasets written by each
SPARK_JOBS = 40
SPARK_COLUMNS = 200
SPARK_PLAN_NODES = 24
SPARK_RUNS = 1 << 40  # the number of Spark's first run: never that of a small event's
PARENT_RUNS = 1 << 41
RUNS_OF_PARENT = 20

# Marks in a job's template that an event's own values take the place of.
TIME, TYPE, RUN, PARENT = b"@@time@@", b"@@type@@", b"@@run@@", b"@@parent@@"

EventMaker = Callable[[int], bytes]


def small_event(index: int) -> bytes:
    """The index-th event of about 1.5 KB; events 2r and 2r + 1 are START and COMPLETE of run r."""
    return _fill(_small_template(index // 2 % SMALL_JOBS), index, 0)


def spark_event(index: int) -> bytes:
    """The index-th event of about 60 KB; events 2r and 2r + 1 are START and COMPLETE of run r."""
    return _fill(_spark_template(index // 2 % SPARK_JOBS), index, SPARK_RUNS)


SHAPES: dict[str, EventMaker] = {"small": small_event, "spark": spark_event}


def batch(make: EventMaker, first: int, size: int) -> bytes:
    """A JSON array of `size` events, as POST /api/v1/lineage/batch takes it."""
    return b"[" + b",".join(make(index) for index in range(first, first + size)) + b"]"


def run_id(number: int) -> str:
    """A version 7 UUID as openlineage-python makes them: ordered by time, then spread by a mix of the number."""
    milliseconds = int(START.timestamp() * 1000) + number * 80
    mixed = (number + 1) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFF_FFFF_FFFF_FFFF
    text = f"{milliseconds:012x}7{mixed >> 52:03x}8{mixed & 0xFFF_FFFF_FFFF_FFFF:015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _fill(template: tuple[bytes, ...], index: int, first_run: int) -> bytes:
    run, phase = divmod(index, 2)
    time = (START + STEP * index).isoformat(timespec="microseconds").replace("+00:00", "Z")
    values = {
        TIME: time.encode(),
        TYPE: (b"START", b"COMPLETE")[phase],
        RUN: run_id(first_run + run).encode(),
        PARENT: run_id(PARENT_RUNS + run // RUNS_OF_PARENT).encode(),
    }
    return b"".join([values.get(part, part) for part in template])


def _split(event: dict[str, Any]) -> tuple[bytes, ...]:
    """The event's JSON cut at its marks, so that an event is one join."""
    parts = [orjson.dumps(event)]
    for mark in (TIME, TYPE, RUN, PARENT):
        cut: list[bytes] = []
        for part in parts:
            for piece in part.split(mark):
                cut += (piece, mark)
            cut.pop()
        parts = cut
    return tuple(parts)


def _facet(name: str, /, **content: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/1-1-1/{name}.json#/$defs/{name}", **content}


def _event(job: dict[str, Any], run_facets: dict[str, Any], inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
    return {
        "eventTime": TIME.decode(),
        "eventType": TYPE.decode(),
        "run": {"runId": RUN.decode(), "facets": run_facets},
        "job": job,
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": SPEC,
    }


@cache
def _small_template(job: int) -> tuple[bytes, ...]:
    """A job writes its own two datasets and reads two that jobs before it write: an acyclic graph with hubs."""
    chooser = random.Random(job)
    reads: list[int] = [] if job else [0, 1]
    while len(reads) < 2:
        number = int(2 * job * chooser.random() ** 2)
        if number not in reads:
            reads.append(number)
    inputs = [_small_dataset(number) for number in reads]
    outputs = [_small_dataset(number) for number in (2 * job + 2, 2 * job + 3)]
    name = {"namespace": f"airflow-{job % 12:02d}", "name": f"shop_daily.load_{job:05d}", "facets": {}}
    return _split(_event(name, {}, inputs, outputs))


def _small_dataset(number: int) -> dict[str, Any]:
    types = ("bigint", "varchar", "timestamp", "decimal(12,2)")
    fields = [{"name": f"c{number % 7}_{place}", "type": types[(number + place) % 4]} for place in range(2)]
    return {
        "namespace": f"postgres://db{number % 5}:5432",
        "name": f"shop.sales.table_{number:05d}",
        "facets": {"schema": _facet("SchemaDatasetFacet", fields=fields)},
    }


@cache
def _spark_template(job: int) -> tuple[bytes, ...]:
    namespace = "s3://lake"
    columns = _column_names(random.Random(job))
    sources = [f"bronze/s_{job:03d}_{side}" for side in "ab"]
    halves = (columns[: SPARK_COLUMNS // 2], columns[SPARK_COLUMNS // 2 :])
    inputs = [_spark_dataset(namespace, name, half, {}) for name, half in zip(sources, halves, strict=True)]
    lineage = {
        column: {
            "inputFields": [
                {
                    "namespace": namespace,
                    "name": sources[place // (SPARK_COLUMNS // 2)],
                    "field": column,
                    "transformations": [{"type": "DIRECT", "subtype": ("IDENTITY", "TRANSFORMATION")[place % 3 == 0]}],
                }
            ]
        }
        for place, column in enumerate(columns)
    }
    outputs = [
        _spark_dataset(
            namespace,
            f"silver/customers/wide_{job:03d}",
            columns,
            {"columnLineage": _facet("ColumnLineageDatasetFacet", fields=lineage, dataset=[])},
        )
    ]
    run_facets = {
        "parent": _facet(
            "ParentRunFacet",
            run={"runId": PARENT.decode()},
            job={"namespace": "spark", "name": f"nightly_{job % 8}"},
        ),
        "spark_properties": _facet("SparkPropertyFacet", properties=_spark_properties(job)),
        "processing_engine": _facet("ProcessingEngineRunFacet", version="3.5.1", name="spark"),
        "spark.logicalPlan": _facet("LogicalPlanFacet", plan=_logical_plan(columns)),
    }
    name = {
        "namespace": "spark",
        "name": f"nightly_{job % 8}.execute_insert_into_hadoop_fs_relation_command.wide_{job:03d}",
        "facets": {"jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="SPARK", jobType="JOB")},
    }
    return _split(_event(name, run_facets, inputs, outputs))


def _column_names(chooser: random.Random) -> list[str]:
    """SPARK_COLUMNS different names of the kind that wide tables have."""
    words = ("id", "code", "region", "price", "amount", "status", "source", "first", "last", "net", "gross", "day")
    pairs = [f"{left}_{right}" for left in words for right in words]
    return [f"{chooser.choice(pairs)}_{number:03d}" for number in range(SPARK_COLUMNS)]


def _spark_dataset(namespace: str, name: str, columns: list[str], more: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {"name": column, "type": ("string", "long", "decimal(18,2)", "timestamp")[len(column) % 4]}
        for column in columns
    ]
    return {
        "namespace": namespace,
        "name": name,
        "facets": {
            "dataSource": _facet("DatasourceDatasetFacet", name=namespace, uri=namespace),
            "schema": _facet("SchemaDatasetFacet", fields=fields),
            **more,
        },
    }


def _spark_properties(job: int) -> dict[str, str]:
    return {f"spark.example.setting{number:02d}.value": f"{(job + 3) * 7919 % 977}m" for number in range(40)}


def _logical_plan(columns: list[str]) -> list[dict[str, Any]]:
    """Spark's plan as it serializes it: a flat list of nodes, each attribute with an id of this JVM's run."""
    return [
        {
            "class": "org.apache.spark.sql.catalyst.expressions.AttributeReference",
            "num-children": 0,
            "name": columns[number * 8],
            "dataType": "string",
            "nullable": True,
            "metadata": {},
            "exprId": {
                "product-class": "org.apache.spark.sql.catalyst.expressions.ExprId",
                "id": 100 + number,
                "jvmId": RUN.decode(),
            },
            "qualifier": ["spark_catalog", "silver", "customers"],
        }
        for number in range(SPARK_PLAN_NODES)
    ]
