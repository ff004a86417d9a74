"""The store that Marquez's calls are measured on: 15 edges a job, runs and facets, written straight into the tables.

Pipelines of PIPELINE_JOBS jobs; a job reads twelve datasets and writes three of its own. The first jobs of a pipeline
read its sources; most other reads stay in the pipeline, some go to shared dimension tables (a few of them hubs that
thousands of jobs read), a few to another pipeline. Facets are what dbt and Airflow send: schema, documentation,
dataSource and now and then ownership, tags and columnLineage of a dataset; documentation, sourceCodeLocation, jobType,
sql and ownership of a job; nominalTime, processing_engine and parent of a run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Table, text

from benchmarks.events import START, run_id
from benchmarks.walk_graph import Named
from collector import keys, tables
from collector.packing import compress, pack_facets
from collector.store.engines import open_engine, upgrade, writing
from collector.store.rows import rows_of
from collector.tables import INPUT, OUTPUT

READS, WRITES = 12, 3
EDGES_OF_JOB = READS + WRITES
PIPELINE_JOBS = 40
SHARED = 1_000  # dimension tables
SHARED_SHARE = 0.02  # of reads
OTHER_PIPELINE_SHARE = 0.005
SOURCES = 1 << 24  # the number of the first pipeline's first source
RUNS = 3  # of a job; the newest says what it read, all say what they wrote
SCHEMAS, TEXTS, TIMES = 500, 20_000, 5_000  # distinct facet bodies
LAKES, SCHEDULERS = 4, 4  # namespaces
LINEAGE_EVERY = 10  # datasets, of which one has columnLineage
FIRST_RUN = 1 << 42
CHUNK = 50_000  # rows in one statement
START_US = int(START.timestamp()) * 1_000_000

Values = dict[str, Any]  # column name → value


@dataclass(frozen=True)
class MarquezStore:
    """What was written."""

    database_url: str
    jobs: int
    edges: int

    @property
    def hub(self) -> Named:
        """The shared table that most jobs read."""
        return dataset(-1)


def dataset(number: int) -> Named:
    """Datasets 3j to 3j + 2 are written by job j; those from SOURCES are READS a pipeline; the negative are shared."""
    if number >= SOURCES:
        return _source(number - SOURCES)
    namespace, name = f"s3://lake-{number % LAKES:02d}", f"pipeline_{_pipeline(number // WRITES)}/table_{number:07d}"
    if number < 0:
        namespace, name = "postgres://warehouse:5432", f"shared.dimension_{-number:04d}"
    return Named(namespace, name, keys.dataset_id(namespace, name))


def _source(number: int) -> Named:
    namespace, name = "postgres://sources:5432", f"pipeline_{number // READS}.source_{number % READS:02d}"
    return Named(namespace, name, keys.dataset_id(namespace, name))


def job(number: int) -> Named:
    namespace, name = f"airflow-{number % SCHEDULERS:02d}", f"pipeline_{_pipeline(number)}.job_{number:07d}"
    return Named(namespace, name, keys.job_id(namespace, name))


def write_store(database_url: str, edges: int, seed: int = 7) -> MarquezStore:
    """Creates the schema and a graph of about ``edges`` edges in an empty database."""
    jobs = edges // EDGES_OF_JOB
    chooser = random.Random(seed)
    # Zipf: the first shared table is read a thousand times as often as the last
    shared = chooser.choices(range(-1, -SHARED - 1, -1), [1 / place for place in range(1, SHARED + 1)], k=READS * jobs)
    reads = [_reads(number, chooser, shared) for number in range(jobs)]
    sources = range(SOURCES, SOURCES + READS * (_pipeline(jobs - 1) + 1))
    numbers = [*range(-SHARED, 0), *range(WRITES * jobs), *sources]
    ids = {number: dataset(number).id for number in numbers}
    job_ids = [job(number).id for number in range(jobs)]

    engine = open_engine(database_url)
    upgrade(engine)
    # A table at a time, in the order of its key: a B-tree grows fastest at its end.
    for table, rows in (
        (tables.namespace, _namespaces()),
        (tables.facet_body, _bodies()),
        (tables.dataset, map(_dataset_row, numbers)),
        (tables.job, map(_job_row, range(jobs))),
        (tables.run, _run_rows(jobs)),
        (tables.run_dataset, _use_rows(reads, ids)),
        (tables.edge, _edge_rows(reads, ids, job_ids)),
        (tables.column_edge, _column_rows(reads, ids, job_ids)),
        (tables.search_text, _search_rows(numbers, jobs)),
    ):
        ordered = iter(sorted(_whole(table, rows), key=lambda row: row[:3]))
        with writing(engine) as connection:
            while chunk := list(islice(ordered, CHUNK)):
                rows_of(connection).put(table, chunk)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "PRAGMA wal_checkpoint"))
    engine.dispose()
    return MarquezStore(database_url, jobs, jobs * EDGES_OF_JOB)


def _pipeline(job_number: int) -> int:
    return job_number // PIPELINE_JOBS


def _reads(number: int, chooser: random.Random, shared: list[int]) -> list[int]:
    """Datasets that exist before the job; ``shared`` is the supply of shared tables to take from."""
    place = number % PIPELINE_JOBS
    if WRITES * place < READS:
        return list(range(SOURCES + READS * _pipeline(number), SOURCES + READS * (_pipeline(number) + 1)))
    first = WRITES * (number - place)
    found: dict[int, None] = {}
    while len(found) < READS:
        fate = chooser.random()
        if fate < SHARED_SHARE:
            one = shared[chooser.randrange(len(shared))]
        elif first and fate < SHARED_SHARE + OTHER_PIPELINE_SHARE:
            one = chooser.randrange(first)
        else:
            one = first + chooser.randrange(WRITES * place)
        found[one] = None
    return list(found)


# --- facets ----------------------------------------------------------------------------------------------------------


def _bodies() -> Iterator[Values]:
    """Bodies by kind, each kind's ids in a block of its own."""
    for number in range(SCHEMAS):
        columns = [
            {"name": f"column_{number}_{place}", "type": "varchar", "description": "A column that says a little"}
            for place in range(4 + number % 12)
        ]
        yield _body(_SCHEMA + number, fields=columns)
    for number in range(TEXTS):
        yield _body(_DOCUMENTATION + number, description=f"Number {number}: what it holds, who asks for it and why")
        url = f"https://github.com/example/pipelines/blob/main/dags/job_{number}.py"
        yield _body(_LOCATION + number, type="git", url=url)
        yield _body(_SQL + number, query=f"SELECT * FROM table_{number} JOIN other USING (id) WHERE day = CURRENT_DATE")
    for number in range(TIMES):
        yield _body(_NOMINAL + number, nominalStartTime=_iso(number), nominalEndTime=_iso(number + 1))
        parent = {"namespace": f"airflow-{number % SCHEDULERS:02d}", "name": f"pipeline_{number}"}
        yield _body(_PARENT + number, run={"runId": run_id(number)}, job=parent)
    for number in range(LAKES + 1):
        name = f"s3://lake-{number:02d}"
        yield _body(_SOURCE + number, name=name, uri=name)
    owner = {"name": "team:data", "type": "MAINTAINER"}
    yield _body(_OWNERSHIP, owners=[owner])
    yield _body(_TAGS, tags=[{"key": "pii", "value": "true", "source": "DBT"}, {"key": "gold", "value": "true"}])
    yield _body(_JOB_TYPE, processingType="BATCH", integration="AIRFLOW", jobType="TASK")
    yield _body(_ENGINE, version="2.9.1", name="Airflow", openlineageAdapterVersion="1.40.0")


_SCHEMA, _DOCUMENTATION, _LOCATION, _SQL = (block << 20 for block in range(1, 5))
_NOMINAL, _PARENT, _SOURCE = (block << 20 for block in range(5, 8))
_OWNERSHIP, _TAGS, _JOB_TYPE, _ENGINE = range(8 << 20, (8 << 20) + 4)


def _body(body_id: int, **said: Any) -> Values:
    raw = orjson.dumps({"_producer": "https://example.com/etl", "_schemaURL": "https://example.com/1", **said})
    return {"id": body_id, "hash": keys.content_hash(raw), "body": compress(raw)}


def _dataset_facets(number: int) -> bytes:
    at = _time(number)
    found = {
        "schema": (at, 0, _SCHEMA + number % SCHEMAS),
        "documentation": (at, 0, _DOCUMENTATION + number % TEXTS),
        "dataSource": (at, 0, _SOURCE + number % LAKES),
    }
    if number % 3 == 0:
        found["ownership"] = (at, 0, _OWNERSHIP)
    if number % 7 == 0:
        found["tags"] = (at, 0, _TAGS)
    return pack_facets(found)


def _job_facets(number: int) -> bytes:
    at = _time(number)
    return pack_facets(
        {
            "documentation": (at, 0, _DOCUMENTATION + number % TEXTS),
            "sourceCodeLocation": (at, 0, _LOCATION + number % TEXTS),
            "sql": (at, 0, _SQL + number % TEXTS),
            "jobType": (at, 0, _JOB_TYPE),
            "ownership": (at, 0, _OWNERSHIP),
        }
    )


def _run_facets(number: int) -> bytes:
    at = _time(number)
    return pack_facets(
        {
            "nominalTime": (at, 0, _NOMINAL + number % TIMES),
            "parent": (at, 0, _PARENT + number % TIMES),
            "processing_engine": (at, 0, _ENGINE),
        }
    )


# --- rows ------------------------------------------------------------------------------------------------------------


def _namespaces() -> Iterator[Values]:
    names = {dataset(number).namespace for number in (-1, SOURCES, *range(LAKES))}
    names |= {job(number).namespace for number in range(SCHEDULERS)}
    return ({"id": keys.namespace_id(name), "name": name} for name in names)


def _dataset_row(number: int) -> Values:
    named = dataset(number)
    return {
        "id": named.id,
        "canonical_id": named.id,
        "namespace_id": keys.namespace_id(named.namespace),
        "name": named.name,
        "created_us": _time(number),
        "updated_us": _time(number) + 1,
        "facets": _dataset_facets(number),
    }


def _job_row(number: int) -> Values:
    named = job(number)
    newest = number * RUNS + RUNS
    return {
        "id": named.id,
        "namespace_id": keys.namespace_id(named.namespace),
        "name": named.name,
        "created_us": _time(number),
        "updated_us": _time(newest),
        "latest_run": newest,
        "input_run": newest,
        "output_run": newest,
        "statement_run": newest,
        "latest_state": _state(newest),
        "facets": _job_facets(number),
    }


def _run_rows(jobs: int) -> Iterator[Values]:
    for number in range(jobs):
        for run in range(number * RUNS + 1, number * RUNS + RUNS + 1):
            at = _time(run)
            yield {
                "id": run,
                "run_key": keys.run_key(run_id(FIRST_RUN + run)),
                "job_id": job(number).id,
                "job_stamp": keys.stamp(at, b"\0" * 16, 1),
                "created_us": at,
                "updated_us": at + 61_000_000,
                "state": _state(run),
                "state_stamp": keys.stamp(at, b"\0" * 16, 1),
                "started_us": at,
                "ended_us": at + 61_000_000,
                "nominal_start": _iso(run % TIMES),
                "nominal_end": _iso(run % TIMES + 1),
                "has_inputs": True,
                "has_outputs": True,
                "facets": _run_facets(run),
            }


def _state(run: int) -> str:
    return "FAILED" if run % 10 == 0 else "COMPLETED"


def _use_rows(reads: list[list[int]], ids: dict[int, int]) -> Iterator[Values]:
    for number, inputs in enumerate(reads):
        for run in range(number * RUNS + 1, number * RUNS + RUNS + 1):
            at = _time(run)
            for direction, one in _uses(number, inputs if run % RUNS == 0 else []):
                written = at + 61_000_000 if direction == OUTPUT else None
                ends = {"run": run, "direction": direction, "dataset_id": ids[one]}
                yield {**ends, "first_us": at, "written_us": written, "facets": _EMPTY}


def _edge_rows(reads: list[list[int]], ids: dict[int, int], job_ids: list[int]) -> Iterator[Values]:
    for number, inputs in enumerate(reads):
        for direction, one in _uses(number, inputs):
            yield {"job_id": job_ids[number], "direction": direction, "dataset_id": ids[one]}


def _uses(number: int, inputs: list[int]) -> Iterator[tuple[int, int]]:
    for one in inputs:
        yield INPUT, one
    for one in range(WRITES * number, WRITES * number + WRITES):
        yield OUTPUT, one


def _column_rows(reads: list[list[int]], ids: dict[int, int], job_ids: list[int]) -> Iterator[Values]:
    for number in range(0, WRITES * len(reads), LINEAGE_EVERY):
        for place in range(4):
            origin = reads[number // WRITES][place]
            yield {
                "destination_id": ids[number],
                "job_id": job_ids[number // WRITES],
                "destination_field": f"column_{number % SCHEMAS}_{place}",
                "origin_id": ids[origin],
                "origin_field": f"column_{origin % SCHEMAS}_0",
                "transformations": '[{"type":"DIRECT","subtype":"IDENTITY"}]',
            }


def _search_rows(numbers: list[int], jobs: int) -> Iterator[Values]:
    for number in numbers:
        named = dataset(number)
        yield {"id": named.id, "is_job": False, "name": named.name, "words": f"Number {number}: what it holds"}
    for number in range(jobs):
        named = job(number)
        yield {"id": named.id, "is_job": True, "name": named.name, "words": f"Number {number}: who asks for it"}


_EMPTY = pack_facets({})


def _time(number: int) -> int:
    return START_US + abs(number) % SOURCES * 1_000_123


def _iso(number: int) -> str:
    return keys.isoformat(START_US + number * 3_600_000_000) or ""


def _whole(table: Table, rows: Iterable[Values]) -> list[tuple[Any, ...]]:
    """Rows in the table's column order; what is not given is NULL, or the type's empty value where that may not be."""
    blanks = {column.name: None if column.nullable else column.type.python_type() for column in table.columns}
    return [tuple([row.get(name, blank) for name, blank in blanks.items()]) for row in rows]
