"""A lineage graph of a large company, written straight into the collector's tables through its own migrations.

Pipelines of PIPELINE_JOBS jobs; a job reads two datasets and writes two of its own. Most reads stay in the pipeline,
some go to shared dimension tables (a few of them hubs that thousands of jobs read), a few to another pipeline. Every
job has a run and every dataset a schema, so that answers in full have something to say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Table

from benchmarks.events import START, run_id
from collector import keys, tables
from collector.packing import compress, pack_facets
from collector.store.engines import open_engine, upgrade, writing
from collector.store.rows import rows_of
from collector.tables import INPUT, OUTPUT

PIPELINE_JOBS = 40
SHARED = 1_000  # dimension tables
SHARED_SHARE = 0.10  # of reads
OTHER_PIPELINE_SHARE = 0.02
SCHEMAS = 500  # distinct schemas
EDGES_OF_JOB = 4
FIRST_RUN = 1 << 42
NAMESPACES = 50
START_US = int(START.timestamp()) * 1_000_000

Values = dict[str, Any]  # column name → value


@dataclass(frozen=True)
class Named:
    """A node as the API and the tables know it."""

    namespace: str
    name: str
    id: int


@dataclass(frozen=True)
class Graph:
    """What was written: how much, and where to begin walks."""

    edges: int
    jobs: int
    database_url: str

    @property
    def hub(self) -> Named:
        """The shared table that most jobs read."""
        return dataset(-1)


def dataset(number: int) -> Named:
    """Datasets 2j and 2j + 1 are written by job j; the negative ones are shared."""
    if number < 0:
        return _named(keys.dataset_id, "postgres://warehouse:5432", f"shared.dimension_{-number:04d}")
    name = f"pipeline_{number // (2 * PIPELINE_JOBS)}/table_{number:07d}"
    return _named(keys.dataset_id, f"s3://lake-{number % NAMESPACES:02d}", name)


def job(number: int) -> Named:
    name = f"pipeline_{number // PIPELINE_JOBS}.job_{number:07d}"
    return _named(keys.job_id, f"airflow-{number % NAMESPACES:02d}", name)


def write_graph(database_url: str, edges: int, seed: int = 7) -> Graph:
    """Creates the schema and a graph of about `edges` edges in an empty database."""
    jobs = edges // EDGES_OF_JOB
    chooser = random.Random(seed)
    # Zipf: the first shared table is read a thousand times as often as the last
    shared = chooser.choices(range(-1, -SHARED - 1, -1), [1 / place for place in range(1, SHARED + 1)], k=2 * jobs)
    reads = [_reads(number, chooser, shared) for number in range(jobs)]
    datasets = {number: dataset(number).id for number in range(-SHARED, 2 * jobs) if number}
    datasets[0] = dataset(0).id
    job_ids = [job(number).id for number in range(jobs)]

    engine = open_engine(database_url)
    upgrade(engine)
    # A table at a time, in the order of its key: a B-tree grows fastest at its end.
    for table, rows in (
        (tables.namespace, _namespace_rows()),
        (tables.facet_body, _schema_rows()),
        (tables.dataset, map(_dataset_row, datasets)),
        (tables.job, map(_job_row, range(jobs))),
        (tables.run, map(_run_row, range(jobs))),
        (tables.run_dataset, _run_dataset_rows(reads, datasets)),
        (tables.edge, _edge_rows(reads, datasets, job_ids)),
    ):
        with writing(engine) as connection:
            rows_of(connection).put(table, sorted(_ordered(table, rows), key=lambda row: row[:3]))
    engine.dispose()
    return Graph(jobs * EDGES_OF_JOB, jobs, database_url)


def _reads(number: int, chooser: random.Random, shared: list[int]) -> tuple[int, int]:
    """Two datasets that exist before the job; `shared` is the supply of shared tables to take from."""
    place = number % PIPELINE_JOBS
    first = 2 * (number - place)
    found: list[int] = []
    while len(found) < 2:
        fate = chooser.random()
        if place == 0 or fate < SHARED_SHARE:
            one = shared[chooser.randrange(len(shared))]
        elif first and fate < SHARED_SHARE + OTHER_PIPELINE_SHARE:
            one = chooser.randrange(first)
        else:
            one = first + chooser.randrange(2 * place)
        if one not in found:
            found.append(one)
    return found[0], found[1]


def _namespace_rows() -> Iterator[Values]:
    names = {dataset(number).namespace for number in (-1, *range(NAMESPACES))}
    names |= {job(number).namespace for number in range(NAMESPACES)}
    return ({"id": keys.namespace_id(name), "name": name} for name in sorted(names))


def _schema_rows() -> Iterator[Values]:
    for number in range(SCHEMAS):
        fields = [{"name": f"column_{number}_{place}", "type": "varchar"} for place in range(4 + number % 12)]
        raw = orjson.dumps(
            {"_producer": "https://example.com", "_schemaURL": "https://example.com/1", "fields": fields}
        )
        yield {"id": number + 1, "hash": keys.content_hash(raw), "body": compress(raw)}


def _edge_rows(reads: list[tuple[int, int]], datasets: dict[int, int], job_ids: list[int]) -> Iterator[Values]:
    for number, inputs in enumerate(reads):
        for direction, one in _uses(number, inputs):
            yield {"job_id": job_ids[number], "direction": direction, "dataset_id": datasets[one]}


def _run_dataset_rows(reads: list[tuple[int, int]], datasets: dict[int, int]) -> Iterator[Values]:
    for number, inputs in enumerate(reads):
        first_us = _time(number)
        for direction, one in _uses(number, inputs):
            ends = {"run": number + 1, "direction": direction, "dataset_id": datasets[one]}
            yield {**ends, "first_us": first_us, "facets": _schema(one)}


def _uses(number: int, inputs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return (INPUT, inputs[0]), (INPUT, inputs[1]), (OUTPUT, 2 * number), (OUTPUT, 2 * number + 1)


def _dataset_row(number: int) -> Values:
    named = dataset(number)
    return {
        "id": named.id,
        "canonical_id": named.id,
        "namespace_id": keys.namespace_id(named.namespace),
        "name": named.name,
        "created_us": _time(number),
        "updated_us": _time(number),
        "facets": _schema(number),
    }


def _job_row(number: int) -> Values:
    named = job(number)
    return {
        "id": named.id,
        "namespace_id": keys.namespace_id(named.namespace),
        "name": named.name,
        "created_us": _time(number),
        "updated_us": _time(number),
        "latest_run": number + 1,
        "input_run": number + 1,
        "output_run": number + 1,
        "statement_run": number + 1,
        "facets": pack_facets({}),
    }


def _run_row(number: int) -> Values:
    time_us = _time(number)
    return {
        "id": number + 1,
        "run_key": keys.run_key(run_id(FIRST_RUN + number)),
        "job_id": job(number).id,
        "job_stamp": keys.stamp(time_us, b"\0" * 16, 1),
        "created_us": time_us,
        "updated_us": time_us + 1_000_000,
        "state": "COMPLETED",
        "state_stamp": keys.stamp(time_us, b"\0" * 16, 1),
        "started_us": time_us,
        "ended_us": time_us + 1_000_000,
        "has_inputs": True,
        "has_outputs": True,
        "facets": pack_facets({}),
    }


def _named(identify: Callable[[str, str], int], namespace: str, name: str) -> Named:
    return Named(namespace, name, identify(namespace, name))


def _schema(number: int) -> bytes:
    return pack_facets({"schema": (_time(number), 0, number % SCHEMAS + 1)})


def _time(number: int) -> int:
    return START_US + abs(number) * 1_000


def _ordered(table: Table, rows: Iterable[Values]) -> list[tuple[Any, ...]]:
    """Rows in the table's column order; what is not given is NULL, or the type's empty value where that may not be."""
    blanks = {column.name: None if column.nullable else column.type.python_type() for column in table.columns}
    return [tuple([row.get(name, blank) for name, blank in blanks.items()]) for row in rows]
