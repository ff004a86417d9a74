"""A history of a thousand datasets that are made anew every night, as the collector would have stored it.

LAYERS layers of WIDTH datasets, each made by its own job from two or three of the layers above; every tenth also reads
its own version of the night before, but for one night in four, when it is made from scratch. Half of the readings name
the version that they read. The newest night is not over: its last layers have not run.

The first two nights and the last two go through the collector's own ingest. Those between are copies of the second: its
rows with other times, keys, versions and checksums, written in bulk, and its events (small, but real JSON).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import orjson
import psycopg
from blake3 import blake3
from sqlalchemy import Connection, Engine, make_url, select

from benchmarks.events import FACETS, PRODUCER, SPEC, START, run_id
from collector import keys, tables
from collector.decode import decode
from collector.facts import FacetSet
from collector.ingest import Memory, ingest, prepare
from collector.packing import compress, pack_facets, unpack_facets
from collector.store.engines import open_engine, upgrade, writing
from collector.tables import INPUT

LAYERS, WIDTH = 20, 50
DATASETS = LAYERS * WIDTH
UNFINISHED = 14  # the layer before which the newest night has stopped
INCREMENTAL = 10  # every so many datasets read their own version of the night before …
AFRESH = 4  # … but for every so many nights
SAME = 5  # in every so many nights, a dataset comes out as in the night before
COLUMNS = 4
START_US = int(START.timestamp()) * 1_000_000
SECOND_US = 1_000_000
NIGHT_US = 86_400 * SECOND_US
LAYER_US = 600 * SECOND_US
RUN_US = 60 * SECOND_US
TEMPLATE = 1  # the night that is copied
ROUND = 20  # nights in one round of bulk rows

# what a copy of an event puts in the place of these
TIME, RUN, NIGHT, BEFORE, CHECKSUM = b"@time@", b"@run@", b"@night@", b"@before@", b"@checksum@"

Row = tuple[Any, ...]
Fill = Callable[[str, Sequence[str], Iterable[Row]], None]


@dataclass(frozen=True)
class History:
    """What was written."""

    database_url: str
    nights: int

    @property
    def runs(self) -> int:
        return (self.nights - 1) * DATASETS + UNFINISHED * WIDTH

    @cached_property
    def readings(self) -> int:
        return sum(len(_reads(number)) for number in range(DATASETS)) * self.nights


def node_id(number: int, night: int | None = None) -> str:
    """The dataset, or its version of a night."""
    return f"dataset:{NAMESPACE}:{_name(number)}" + ("" if night is None else f"#v{night}")


def job_node_id(number: int) -> str:
    return f"job:{JOBS}:{_name(number)}_job"


def run_number(number: int, night: int) -> int:
    """``run.id`` of the run that made a dataset in a night."""
    return night * DATASETS + number + 1


def start_us(number: int, night: int) -> int:
    """When that run started; it takes a minute."""
    layer, place = divmod(number, WIDTH)
    return START_US + night * NIGHT_US + layer * LAYER_US + place * SECOND_US


def write_history(database_url: str, nights: int) -> History:
    """Fills an empty database."""
    engine = open_engine(database_url)
    upgrade(engine)
    memory = Memory()
    for night in (0, TEMPLATE):
        _ingest_night(engine, memory, night, DATASETS)
    with engine.connect() as connection:
        template = _Template(connection)
    large = (tables.event, tables.run, tables.run_dataset)
    indexes = [index for table in large for index in table.indexes]
    with writing(engine) as connection:
        for index in indexes:
            index.drop(connection)
    engine.dispose()
    _in_bulk(database_url, template, range(TEMPLATE + 1, nights - 2))
    engine = open_engine(database_url)
    with writing(engine) as connection:
        for index in indexes:
            index.create(connection)
    _ingest_night(engine, memory, nights - 2, DATASETS)
    _ingest_night(engine, memory, nights - 1, UNFINISHED * WIDTH)
    engine.dispose()
    return History(database_url, nights)


# --- what is made of what --------------------------------------------------------------------------------------------

NAMESPACE, JOBS = "postgres://warehouse:5432", "nightly"


def _name(number: int) -> str:
    layer, place = divmod(number, WIDTH)
    return f"layer_{layer:02d}.table_{place:02d}"


@cache
def _reads(number: int) -> tuple[int, ...]:
    """Two or three datasets of the two layers above, the nearer one as a rule."""
    layer = number // WIDTH
    if not layer:
        return ()
    chooser = random.Random(number)
    found: set[int] = set()
    while len(found) < 2 + number % 2:
        above = layer - 1 if layer == 1 or chooser.random() < 0.8 else layer - 2
        found.add(above * WIDTH + chooser.randrange(WIDTH))
    return tuple(sorted(found))


def _reads_itself(number: int, night: int) -> bool:
    return number >= WIDTH and number % INCREMENTAL == 3 and night % AFRESH != 0


def _checksum(number: int, night: int) -> str:
    content = night - 1 if night % SAME == SAME - 1 else night
    return blake3(b"%d of night %d" % (number, content)).hexdigest()


# --- events ----------------------------------------------------------------------------------------------------------


def event(number: int, night: int, is_end: bool) -> bytes:
    """The START or the COMPLETE of a dataset's run in a night."""
    raw = _event_template(number, is_end, _reads_itself(number, night))
    time = keys.isoformat(start_us(number, night) + is_end * RUN_US) or ""
    raw = raw.replace(TIME, time.encode()).replace(RUN, run_id(run_number(number, night)).encode())
    raw = raw.replace(NIGHT, b"%d" % night).replace(BEFORE, b"%d" % (night - 1))
    return raw.replace(CHECKSUM, _checksum(number, night).encode()) if is_end else raw


@cache
def _event_template(number: int, is_end: bool, reads_itself: bool) -> bytes:
    inputs = [_input(one, NIGHT, (number + place) % 2 == 0) for place, one in enumerate(_reads(number))]
    if reads_itself:
        inputs.append(_input(number, BEFORE, True))
    document: dict[str, Any] = {
        "eventTime": TIME.decode(),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "eventType": "COMPLETE" if is_end else "START",
        "run": {"runId": RUN.decode()},
        "job": {"namespace": JOBS, "name": f"{_name(number)}_job"},
        "inputs": inputs,
    }
    if is_end:
        query = f"INSERT INTO {_name(number)} SELECT * FROM {', '.join(map(_name, _reads(number))) or 'source'}"
        document["job"]["facets"] = {"sql": _facet("SQLJobFacet", query=query)}
        document["outputs"] = [_output(number)]
    return orjson.dumps(document)


def _input(number: int, night: bytes, is_named: bool) -> dict[str, Any]:
    facets = {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=f"v{night.decode()}")}
    return {"namespace": NAMESPACE, "name": _name(number)} | ({"facets": facets} if is_named else {})


def _output(number: int) -> dict[str, Any]:
    columns = [f"column_{number}_{place}" for place in range(COLUMNS)]
    facets = {
        "schema": _facet("SchemaDatasetFacet", fields=[{"name": one, "type": "bigint"} for one in columns]),
        "version": _facet("DatasetVersionDatasetFacet", datasetVersion=f"v{NIGHT.decode()}"),
        "headwater_checksum": _facet("HeadwaterChecksum", algorithm="blake3", value=CHECKSUM.decode()),
    }
    if number % 2:
        facets["columnLineage"] = _facet("ColumnLineageDatasetFacet", fields=_column_lineage(number, columns))
    else:
        facets["headwater_assetVersion"] = _facet("HeadwaterAssetVersion", codeVersion=f"c{number}")
    return {"namespace": NAMESPACE, "name": _name(number), "facets": facets}


def _column_lineage(number: int, columns: list[str]) -> dict[str, Any]:
    origins = [
        {"namespace": NAMESPACE, "name": _name(one), "field": f"column_{one}_0"} for one in (*_reads(number), number)
    ]
    return {column: {"inputFields": origins} for column in columns}


def _facet(schema: str, **body: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/1-0-0/{schema}.json", **body}


# --- nights that are ingested ----------------------------------------------------------------------------------------


def _night(night: int, datasets: int) -> Iterator[tuple[int, bytes]]:
    """The events of a night, START and COMPLETE of each run, with the times at which they are received."""
    for number in range(datasets):
        for is_end in (False, True):
            # sent when the run is over, so that what is received is in the order of its numbers
            yield start_us(number, night) + RUN_US + is_end, event(number, night, is_end)


def _ingest_night(engine: Engine, memory: Memory, night: int, datasets: int) -> None:
    events = list(_night(night, datasets))
    for first in range(0, len(events), WIDTH * 2):
        some = events[first : first + WIDTH * 2]
        prepared = prepare([decode(raw) for _, raw in some])
        with writing(engine) as connection:
            ingest(connection, prepared, memory, some[-1][0])


# --- nights in bulk --------------------------------------------------------------------------------------------------


class _Template:
    """The rows of one ingested night, by dataset."""

    def __init__(self, connection: Connection) -> None:
        r, u = tables.run, tables.run_dataset
        first = run_number(0, TEMPLATE)
        runs = connection.execute(select(r).where(r.c.id >= first).order_by(r.c.id)).all()
        self.runs = [dict(row._mapping) for row in runs]
        self.uses: list[list[dict[str, Any]]] = [[] for _ in runs]
        for row in connection.execute(select(u).where(u.c.run >= first)):
            use = dict(row._mapping)
            use["facets"] = unpack_facets(use["facets"])
            self.uses[use["run"] - first].append(use)
        self.datasets = {keys.dataset_id(NAMESPACE, _name(number)): number for number in range(DATASETS)}


def _in_bulk(database_url: str, template: _Template, nights: range) -> None:
    fill, close = _filler(database_url)
    with closing(close):
        for first in range(nights.start, nights.stop, ROUND):
            some = range(first, min(first + ROUND, nights.stop))
            fill("run", tables.run.columns.keys(), _run_rows(template, some))
            fill("run_dataset", tables.run_dataset.columns.keys(), _use_rows(template, some))
            fill("event", tables.event.columns.keys(), _event_rows(some))
            fill("run_event", ("run", "event_id"), _run_event_rows(some))


def _runs(nights: range) -> Iterator[tuple[int, int, int]]:
    for night in nights:
        for number in range(DATASETS):
            yield night, number, run_number(number, night)


def _run_rows(template: _Template, nights: range) -> Iterator[Row]:
    times = [column.name for column in tables.run.columns if column.name.endswith("_us")]
    for night, number, run in _runs(nights):
        row = template.runs[number]
        later = (night - TEMPLATE) * NIGHT_US
        facets = unpack_facets(row["facets"])
        changed = {name: row[name] + later for name in times if row[name] is not None} | {
            "id": run,
            "run_key": keys.run_key(run_id(run)),
            "job_stamp": _shifted(row["job_stamp"], later),
            "state_stamp": _shifted(row["state_stamp"], later),
            "facets": _facets(facets, later),
        }
        yield tuple([changed.get(name, value) for name, value in row.items()])


def _use_rows(template: _Template, nights: range) -> Iterator[Row]:
    for night, number, run in _runs(nights):
        later = (night - TEMPLATE) * NIGHT_US
        for use in template.uses[number]:
            is_input = use["direction"] == INPUT
            read = template.datasets[use["dataset_id"]]
            if is_input and read == number and not _reads_itself(number, night):
                continue
            version = checksum = None
            if use["version"] is not None:
                version = f"v{night - 1}" if is_input and read == number else f"v{night}"
            if use["checksum"] is not None:
                checksum = f"blake3:{_checksum(number, night)}"
            changed = {
                "run": run,
                "first_us": use["first_us"] + later,
                "version": version,
                "checksum": checksum,
                "written_us": None if use["written_us"] is None else use["written_us"] + later,
                "version_key": keys.text_key(version),
                "checksum_key": keys.text_key(checksum),
                "facets": _facets(use["facets"], later),
            }
            yield tuple([changed.get(name, value) for name, value in use.items()])


def _event_rows(nights: range) -> Iterator[Row]:
    for night in nights:
        for place, (received, raw) in enumerate(_night(night, DATASETS), 2 * night * DATASETS + 1):
            number, is_end = divmod((place - 1) % (2 * DATASETS), 2)
            time_us = start_us(number, night) + is_end * RUN_US
            kind = ("run", "COMPLETE" if is_end else "START")
            yield (place, keys.content_hash(raw), *kind, time_us, received, len(raw), compress(raw))


def _run_event_rows(nights: range) -> Iterator[Row]:
    return ((run, 2 * run - 1 + is_end) for _, _, run in _runs(nights) for is_end in (0, 1))


def _facets(facets: FacetSet, later: int) -> bytes:
    """The set at a later time. The bodies of a version and of a checksum stay the template's: nothing asks for them."""
    return pack_facets({name: (time_us + later, tie, body) for name, (time_us, tie, body) in facets.items()})


def _shifted(stamp: bytes, later: int) -> bytes:
    return stamp[:-16] + (int.from_bytes(stamp[-16:-8], "big") + later).to_bytes(8, "big") + stamp[-8:]


def _filler(database_url: str) -> tuple[Fill, Any]:
    """How to put rows into a table as fast as the engine takes them, and what to close in the end."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite_filler(str(url.database))
    return _postgres_filler(url.set(drivername="postgresql").render_as_string(hide_password=False))


def _sqlite_filler(path: str) -> tuple[Fill, Any]:
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-262144")

    def fill(table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with database:
            database.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)

    return fill, database


def _postgres_filler(url: str) -> tuple[Fill, Any]:
    database = psycopg.connect(url, autocommit=True)

    def fill(table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        with database.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    return fill, database
