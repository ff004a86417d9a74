"""The other limit: one thread that writes the collector's kind of rows with plain sqlite3, and nothing around it.

No server, no checks, no merges beyond an upsert: decode, compress, hash, look ids up in a cache, and `executemany` in
transactions of 100 (WAL, `synchronous=FULL`). What the collector's batch route reaches is measured against this.

    echo '{"folder": "/tmp", "shape": "small", "seconds": 3}' | python -m benchmarks.prototype
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import zstandard
from blake3 import blake3

from benchmarks.events import SHAPES

TRANSACTION = 100  # events
INPUT, OUTPUT = 0, 1

SCHEMA = """
CREATE TABLE event (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, event_type TEXT,
                    time_us INTEGER NOT NULL, received_us INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX ix_event_time ON event (time_us);
CREATE TABLE namespace (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE dataset (id INTEGER PRIMARY KEY, namespace_id INTEGER NOT NULL, name TEXT NOT NULL,
                      created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, facets BLOB NOT NULL);
CREATE INDEX ix_dataset_name ON dataset (namespace_id, name);
CREATE TABLE job (id INTEGER PRIMARY KEY, namespace_id INTEGER NOT NULL, name TEXT NOT NULL,
                  created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, latest_run INTEGER);
CREATE INDEX ix_job_name ON job (namespace_id, name);
CREATE TABLE run (id INTEGER PRIMARY KEY, run_key BLOB NOT NULL UNIQUE, job_id INTEGER NOT NULL,
                  created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, state TEXT NOT NULL,
                  started_us INTEGER, ended_us INTEGER, facets BLOB NOT NULL);
CREATE INDEX ix_run_newest ON run (job_id, created_us, run_key);
CREATE TABLE run_dataset (run INTEGER NOT NULL, direction INTEGER NOT NULL, dataset_id INTEGER NOT NULL,
                          first_us INTEGER NOT NULL, facets BLOB NOT NULL,
                          PRIMARY KEY (run, direction, dataset_id)) WITHOUT ROWID;
CREATE INDEX ix_run_dataset ON run_dataset (dataset_id, direction, first_us);
CREATE TABLE edge (job_id INTEGER NOT NULL, direction INTEGER NOT NULL, dataset_id INTEGER NOT NULL,
                   PRIMARY KEY (job_id, direction, dataset_id)) WITHOUT ROWID;
CREATE INDEX ix_edge_dataset ON edge (dataset_id, direction, job_id);
CREATE TABLE column_edge (destination_id INTEGER NOT NULL, destination_field TEXT NOT NULL,
                          origin_id INTEGER NOT NULL, origin_field TEXT NOT NULL,
                          PRIMARY KEY (destination_id, destination_field, origin_id, origin_field)) WITHOUT ROWID;
CREATE TABLE facet_body (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
"""

STATES = {"START": "RUNNING", "COMPLETE": "COMPLETED"}


class Named(msgspec.Struct):
    namespace: str
    name: str
    facets: dict[str, msgspec.Raw] = {}


class Run(msgspec.Struct):
    runId: str
    facets: dict[str, msgspec.Raw] = {}


class RunEvent(msgspec.Struct):
    eventTime: str
    eventType: str
    run: Run
    job: Named
    inputs: list[Named] = []
    outputs: list[Named] = []


class ColumnLineage(msgspec.Struct):
    fields: dict[str, dict[str, Any]] = {}


class Prototype:
    """An open SQLite file and the ids that are known already."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("PRAGMA wal_autocheckpoint=4000")  # a sixth quicker here than the default of 1000
        self.database.executescript(SCHEMA)
        self.decode = msgspec.json.Decoder(RunEvent).decode
        self.decode_lineage = msgspec.json.Decoder(ColumnLineage).decode
        self.compress = zstandard.ZstdCompressor(level=3).compress
        self.ids: dict[tuple[str, ...], int] = {}
        self.bodies: dict[bytes, int] = {}
        self.edges: set[tuple[int, int, int]] = set()
        self.runs: dict[bytes, int] = {}
        self.events = 0

    def write(self, bodies: list[bytes]) -> None:
        """All of `bodies` in one transaction; they are durable when this returns."""
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in INSERTS}
        received = time.time_ns() // 1000
        self.newest: dict[int, tuple[int, bytes, int]] = {}  # one update a dataset and transaction is enough
        for body in bodies:
            self._add(body, received)
        self.rows["dataset_time"] = list(self.newest.values())
        self.database.execute("BEGIN IMMEDIATE")
        for name, rows in self.rows.items():
            if rows:
                self.database.executemany(INSERTS[name], rows)
        self.database.execute("COMMIT")

    def _add(self, body: bytes, received: int) -> None:
        event = self.decode(body)
        moment = datetime.fromisoformat(event.eventTime)
        time_us = int(moment.timestamp() * 1_000_000)
        self.events += 1
        digest = blake3(body).digest(16)
        row = (self.events, digest, "run", event.eventType, time_us, received, self.compress(body))
        self.rows["event"].append(row)
        job = self._id("job", event.job, time_us)
        key = UUID(event.run.runId).bytes
        run = self.runs.setdefault(key, len(self.runs) + 1)
        state = STATES[event.eventType]
        started, ended = (time_us, None) if state == "RUNNING" else (None, time_us)
        self.rows["run"].append((run, key, job, time_us, time_us, state, started, ended, self._facets(event.run)))
        self.rows["job_time"].append((time_us, run, job))
        for direction, datasets in ((INPUT, event.inputs), (OUTPUT, event.outputs)):
            for dataset in datasets:
                number = self._id("dataset", dataset, time_us)
                facets = self._facets(dataset)
                self.rows["run_dataset"].append((run, direction, number, time_us, facets))
                self.newest[number] = (time_us, facets, number)
                edge = (job, direction, number)
                if edge not in self.edges:
                    self.edges.add(edge)
                    self.rows["edge"].append(edge)
                    if "columnLineage" in dataset.facets:
                        self._add_columns(number, dataset.facets["columnLineage"], time_us)

    def _add_columns(self, destination: int, facet: msgspec.Raw, time_us: int) -> None:
        for field, origins in self.decode_lineage(facet).fields.items():
            for origin in origins["inputFields"]:
                number = self._id("dataset", Named(origin["namespace"], origin["name"]), time_us)
                self.rows["column_edge"].append((destination, field, number, origin["field"]))

    def _id(self, kind: str, named: Named, time_us: int) -> int:
        known = self.ids.get((kind, named.namespace, named.name))
        if known is not None:
            return known
        namespace = self.ids.get(("namespace", named.namespace))
        if namespace is None:
            namespace = self.ids[("namespace", named.namespace)] = len(self.ids) + 1
            self.rows["namespace"].append((namespace, named.namespace))
        number = self.ids[(kind, named.namespace, named.name)] = len(self.ids) + 1
        more = (b"",) if kind == "dataset" else (None,)
        self.rows[kind].append((number, namespace, named.name, time_us, time_us, *more))
        return number

    def _facets(self, holder: Named | Run) -> bytes:
        """The facet set as the ids of its bodies; a body that is new becomes a row."""
        found = []
        for name, raw in holder.facets.items():
            digest = blake3(raw).digest(16)
            number = self.bodies.get(digest)
            if number is None:
                number = self.bodies[digest] = len(self.bodies) + 1
                self.rows["facet_body"].append((number, digest, self.compress(bytes(raw))))
            found.append((name, number))
        return msgspec.msgpack.encode(found)


INSERTS = {
    "event": "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
    "namespace": "INSERT INTO namespace VALUES (?, ?)",
    "dataset": "INSERT INTO dataset VALUES (?, ?, ?, ?, ?, ?)",
    "job": "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?)",
    "facet_body": "INSERT INTO facet_body VALUES (?, ?, ?)",
    "run": "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_key) DO UPDATE SET "
    "updated_us = excluded.updated_us, state = excluded.state, ended_us = excluded.ended_us",
    "run_dataset": "INSERT INTO run_dataset VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "edge": "INSERT INTO edge VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "column_edge": "INSERT INTO column_edge VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "dataset_time": "UPDATE dataset SET updated_us = ?, facets = ? WHERE id = ?",
    "job_time": "UPDATE job SET updated_us = ?, latest_run = ? WHERE id = ?",
}


@dataclass(frozen=True)
class Written:
    """What one round of the prototype came to."""

    events: int
    elapsed: float  # seconds
    database_bytes: int

    @property
    def events_per_second(self) -> float:
        return self.events / self.elapsed


def measure(folder: Path, shape: str, seconds: float) -> Written:
    """Writes new events of `shape` into a new file for about `seconds`, building them outside the clock."""
    path = folder / f"prototype_{shape}.db"
    for old in folder.glob(f"{path.name}*"):
        old.unlink()
    make = SHAPES[shape]
    prototype = Prototype(path)
    spent = 0.0
    while spent < seconds:
        bodies = [make(index) for index in range(prototype.events, prototype.events + TRANSACTION)]
        begin = time.perf_counter()
        prototype.write(bodies)
        spent += time.perf_counter() - begin
    prototype.database.close()
    return Written(prototype.events, spent, path.stat().st_size)


def run(folder: Path, shape: str, seconds: float) -> Written:
    """`measure` in a process of its own. Raises CalledProcessError when that process fails."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.prototype"],
        input=json.dumps({"folder": str(folder), "shape": shape, "seconds": seconds}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Written(**json.loads(done.stdout))


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    json.dump(asdict(measure(Path(wanted["folder"]), wanted["shape"], wanted["seconds"])), sys.stdout)
