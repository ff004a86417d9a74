"""Column edges that the SQL of a job tells of, where the job itself tells nothing of an output's columns.

SQL is read when somebody asks, which costs milliseconds a job, and what it told is kept in memory under its content:
the text, the dialect, and the names and columns of what the job reads and writes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from collector import keys, tables
from collector.deadline import TookTooLong, within
from collector.documents.bodies import Bodies
from collector.facets import TableSchema, Transformation
from collector.tables import INPUT, OUTPUT
from collector.walk import among
from lineage.errors import UnreadableSQL

log = logging.getLogger(__name__)

DESCRIPTION = "derived from SQL"
PATIENCE = 10.0  # seconds that one answer spends on SQL that was not read before; the next answer goes on from there
MAX_SECONDS = 2.0  # for one job's SQL; some that is small takes sqlglot hours
MAX_KEPT = 250_000  # column edges that are kept in memory, about 200 bytes each
_SQL = b"\xa3sql"  # the facet's name in a packed facet set

#: sqlglot's dialects by the scheme of a dataset's namespace, or by what a facet calls them where that is no name of it.
_DIALECTS = {
    "awsathena": "athena",
    "azuresynapse": "tsql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "postgresql": "postgres",
    "spark sql": "spark",
    "spark_sql": "spark",
    "sparksql": "spark",
    "sqlserver": "tsql",
}


class DerivedEdge(NamedTuple):
    """A column made from a column by a job; ``''`` is the dataset as a whole. ``transformations`` as in column_edge."""

    job: int
    destination: int
    column: str
    origin: int
    origin_column: str
    transformations: str


class _SQLFacet(msgspec.Struct):
    query: str
    dialect: str | None = None


class _Side(NamedTuple):
    """A dataset that a job reads or writes, under one of its names."""

    id: int
    direction: int
    namespace: str
    name: str
    facets: bytes


class DerivedColumns:
    """What the SQL of jobs tells of their columns, for one answer: each job is looked up once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, list[DerivedEdge]] = {}
        self._spent = 0.0

    def of_jobs(self, found: Iterable[tuple[int, int, bytes]]) -> list[DerivedEdge]:
        """The edges into each (job, output, the job's packed facets): three statements, none where no job has SQL."""
        wanted: dict[int, set[int]] = defaultdict(set)
        facets: dict[int, bytes] = {}
        for job, output, packed in found:
            if _SQL in packed:
                wanted[job].add(output)
                facets[job] = packed
        if new := wanted.keys() - self._known.keys():
            self._look_up({job: facets[job] for job in new})
        return [edge for job in sorted(wanted) for edge in self._known[job] if edge.destination in wanted[job]]

    def _look_up(self, facets: Mapping[int, bytes]) -> None:
        self._known.update((job, []) for job in facets)
        script = _script_reader()
        if script is None:
            return
        bodies = Bodies(self._connection, facets.values(), ("sql",))
        told = {job: bodies.get(packed, "sql", _SQLFacet) for job, packed in facets.items()}
        told = {job: facet for job, facet in told.items() if facet is not None and facet.query}
        if not told:
            return
        sides = _sides(self._connection, told)
        schemas = Bodies(self._connection, (one.facets for found in sides.values() for one in found), ("schema",))
        for job, facet in told.items():
            if facet is not None:
                made = self._read(script, facet, sides.get(job, ()), schemas)
                self._known[job] = [DerivedEdge(job, *edge) for edge in made]

    def _read(self, script: Any, facet: _SQLFacet, sides: Collection[_Side], schemas: Bodies) -> list[tuple[Any, ...]]:
        dialect = dialect_of(facet.dialect, sides)
        inputs, outputs = (_sql_tables(script, sides, direction, schemas) for direction in (INPUT, OUTPUT))
        key = keys.content_hash(msgspec.msgpack.encode((facet.query, dialect, inputs, outputs)))
        known = _kept.get(key)
        if known is None:
            if self._spent > PATIENCE:
                log.debug("sql=left_unread reason=patience seconds=%.1f", self._spent)
                return []
            start = monotonic()
            known = _derive(script, facet.query, dialect, inputs, outputs)
            self._spent += monotonic() - start
            _kept.put(key, known)
        return known


def dialect_of(told: str | None, sides: Collection[_Side]) -> str | None:
    """sqlglot's name of the dialect that the facet tells, else that of what the job writes, else reads; None: any."""
    from sqlglot.dialects.dialect import Dialect

    names = [told] if told else []
    for direction in (OUTPUT, INPUT):
        names += sorted({one.namespace.partition(":")[0] for one in sides if one.direction == direction})
    for name in names:
        word = name.strip().lower()
        word = _DIALECTS.get(word, word)
        if word and word.isidentifier() and Dialect.get(word) is not None:
            return word
    return None


def _sides(connection: Connection, jobs: Collection[int]) -> dict[int, list[_Side]]:
    """What each job reads and writes now, under every name: one statement."""
    e, d, n = tables.edge.c, tables.dataset, tables.namespace
    query = (
        select(e.job_id, e.dataset_id, e.direction, n.c.name, d.c.name, d.c.facets)
        .select_from(tables.edge)
        .join(d, d.c.canonical_id == e.dataset_id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(among(connection, e.job_id, jobs))
    )
    found: dict[int, list[_Side]] = defaultdict(list)
    for job, *side in connection.execute(query):
        found[job].append(_Side(*side))
    return found


def _sql_tables(script: Any, sides: Iterable[_Side], direction: int, schemas: Bodies) -> list[Any]:
    """The datasets of a side as SQL sees them, in the order of their ids."""
    names: dict[int, set[str]] = defaultdict(set)
    columns: dict[int, tuple[str, ...]] = {}
    for one in sorted(sides):
        if one.direction == direction:
            names[one.id].add(one.name)
            schema = schemas.get(one.facets, "schema", TableSchema)
            told = (schema.fields if schema else None) or ()
            found = tuple(keys.clean_name(column.name, keys.FIELD_BYTES) for column in told if column.name)
            columns[one.id] = max(columns.get(one.id, ()), found, key=len)
    return [script.SQLTable(dataset, tuple(sorted(names[dataset])), columns[dataset]) for dataset in names]


def _derive(script: Any, sql: str, dialect: str | None, inputs: list[Any], outputs: list[Any]) -> list[tuple[Any, ...]]:
    """(destination, column, origin, its column, transformations) of each edge that the SQL tells of."""
    try:
        found = within(MAX_SECONDS, lambda: script.edges_of_script(sql, dialect, inputs, outputs))
    except (UnreadableSQL, TookTooLong) as error:
        log.debug("sql=not_followed reason=%r", str(error))
        return []
    except Exception:  # whatever sqlglot trips over in SQL that anybody may send: no reader may fail for it
        log.debug("sql=not_followed", exc_info=True)
        return []
    ways: dict[tuple[Any, ...], list[Transformation]] = defaultdict(list)
    for edge in found:
        key = (edge.destination, _name(edge.column), edge.origin, _name(edge.origin_column))
        ways[key].append(Transformation(type=edge.type, subtype=edge.subtype, description=DESCRIPTION, masking=False))
    return [(*key, msgspec.json.encode(told).decode()) for key, told in ways.items()]


def _name(column: str) -> str:
    return keys.clean_name(column, keys.FIELD_BYTES)


def _script_reader() -> Any:
    """The module that reads SQL; None where sqlglot is not installed."""
    try:
        from collector import sql_script
    except ImportError:
        log.debug("sql=not_followed reason='sqlglot is not installed: pip install headwater[sql]'")
        return None
    # it warns of each statement that it does not know, with the statement: an answer is no place for that
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return sql_script


class _Kept:
    """What SQL has told, by a hash of all that it depends on; the longest unused goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._found: OrderedDict[bytes, list[tuple[Any, ...]]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> list[tuple[Any, ...]] | None:
        """What is kept under ``key``."""
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def put(self, key: bytes, edges: list[tuple[Any, ...]]) -> None:
        """Keep ``edges``, in the place of what was not asked for the longest time."""
        with self._lock:
            if key not in self._found:
                self._found[key] = edges
                self._size += len(edges) + 1
            while self._size > self._most and len(self._found) > 1:
                _, gone = self._found.popitem(last=False)
                self._size -= len(gone) + 1


_kept = _Kept(MAX_KEPT)
