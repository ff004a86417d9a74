"""What the outbox costs a job, and how fast events go in and out: `python -m benchmarks.outbox`.

In: the time of one emit (event given, redacted, packed, stored), beside a bare `INSERT` of the same bytes into a bare
SQLite file in the same mode, in turns in one run. Out: events a second into a collector of its own process, beside
the same events in the same batches sent from memory with nothing between.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import requests
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import schema_dataset, sql_job
from openlineage.client.serde import Serde

from benchmarks.processes import collector
from emitter.outbox import OutboxConfig, OutboxTransport
from emitter.outbox.inspection import existing, status

PRODUCER = "https://example.com/benchmarks"


def event(number: int) -> RunEvent:
    """About 1.6 KB: one of 200 jobs that come back, two inputs and an output with a schema, SQL."""
    job = number % 200
    fields = [schema_dataset.SchemaDatasetFacetFields(f"column_{n}", "VARCHAR") for n in range(8)]
    schema = schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
    return RunEvent(
        eventType=RunState.COMPLETE if number % 2 else RunState.START,
        eventTime="2026-01-01T00:00:00.000000Z",
        producer=PRODUCER,
        run=Run(str(UUID(int=number // 2 + 1))),
        job=Job("bench", f"job_{job}", {"sql": sql_job.SQLJobFacet(f"select * from a_{job}", producer=PRODUCER)}),
        inputs=[InputDataset("postgres://db:5432", f"shop.in_{job}_{n}") for n in range(2)],
        outputs=[OutputDataset("postgres://db:5432", f"shop.out_{job}", facets={"schema": schema})],
    )


def timed(action: Callable[[Any], None], items: list[Any]) -> list[float]:
    """Seconds of each call."""
    found = []
    for item in items:
        began = time.perf_counter()
        action(item)
        found.append(time.perf_counter() - began)
    return found


def bare_insert(path: Path, synchronous: str) -> Callable[[bytes], None]:
    """Stores bytes in a bare table, each in a transaction of its own."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, body BLOB)")

    def insert(body: bytes) -> None:
        db.execute("INSERT INTO event (body) VALUES (?)", (body,))

    return insert


def measure_in(folder: Path, events: int, rounds: int, synchronous: str) -> dict[str, float]:
    """Emit beside the bare insert, in turns: p50 and p99 in milliseconds, and events a second."""
    made = [event(number) for number in range(events)]
    raw = [Serde.to_json(one).encode() for one in made]
    gc.collect()
    gc.freeze()  # these events lie in memory for the benchmark alone; to collect garbage among them is no cost of ours
    config = {"url": "http://127.0.0.1:9", "path": folder / f"in-{synchronous}.db", "synchronous": synchronous}
    transport = OutboxTransport(OutboxConfig.from_dict(config))
    insert = bare_insert(folder / f"bare-{synchronous}.db", synchronous)
    transport.emit(made[0])
    ours: list[float] = []
    theirs: list[float] = []
    for part in range(rounds):
        chosen = slice(part * events // rounds, (part + 1) * events // rounds)
        ours += timed(transport.emit, made[chosen])
        theirs += timed(insert, raw[chosen])
    transport.close(0)
    assert transport.failed == 0
    return {
        "emit_p50_ms": 1e3 * statistics.median(ours),
        "emit_p99_ms": 1e3 * statistics.quantiles(ours, n=100)[98],
        "bare_insert_p50_ms": 1e3 * statistics.median(theirs),
        "bare_insert_p99_ms": 1e3 * statistics.quantiles(theirs, n=100)[98],
        "events_per_second_in": len(ours) / sum(ours),
        "bytes_per_event_raw": statistics.mean(map(len, raw)),
        "bytes_per_event_kept": status(existing(folder / f"in-{synchronous}.db")).bytes / (events + 1),
    }


def measure_out(folder: Path, events: int, rounds: int, url: str) -> dict[str, float]:
    """Events that wait, sent to a collector; and as many of the same kind from memory in the same batches, in turns."""
    transport = OutboxTransport(OutboxConfig.from_dict({"url": url, "path": folder / "out.db", "linger": 3_600}))
    ours = theirs = 0.0
    size = events // rounds
    with requests.Session() as session:
        for part in range(-1, rounds):  # one round to warm up
            made = [event(number) for number in range((part + 2) * size)][-size:]
            raw = [Serde.to_json(one).encode().replace(b"/benchmarks", b"/benchmarks/memory") for one in made]
            began = time.perf_counter()
            for at in range(0, size, 500):
                body = b"[" + b",".join(raw[at : at + 500]) + b"]"
                answer = session.post(f"{url}/api/v1/lineage/batch", data=body)
                assert answer.status_code == 200, answer.text
            theirs += (time.perf_counter() - began) * (part >= 0)
            for one in made:
                transport.emit(one)
            began = time.perf_counter()
            assert transport.flush(600)
            ours += (time.perf_counter() - began) * (part >= 0)
    transport.close(0)
    return {"events_per_second_out": size * rounds / ours, "events_per_second_from_memory": size * rounds / theirs}


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=10_000, show_default=True, help="Events of each side.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns of each side.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True), help="Where files go: a real disk.")
def main(events: int, rounds: int, directory: Path | None) -> None:
    """Measure the outbox; the figures are printed as JSON."""
    os.environ.pop("OPENLINEAGE_DISABLED", None)
    with tempfile.TemporaryDirectory(prefix="headwater-bench-", dir=directory) as name:
        folder = Path(name)
        figures: dict[str, Any] = {mode: measure_in(folder, events, rounds, mode) for mode in ("normal", "full")}
        with collector(folder) as server:
            figures["out"] = measure_out(folder, events, rounds, server.url)
        figures["load_average"] = os.getloadavg()[0]
        click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
