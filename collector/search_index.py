"""What search looks through: one row a dataset and job, with its name and the words that describe it.

On SQLite an FTS5 index of trigrams lies on the rows, kept by triggers; on PostgreSQL two GIN indexes of ``pg_trgm``,
or, where that extension is not to be had, of arrays of trigrams. Without FTS5, search reads the rows. Many hits are
read in the order of an index of the names. A row is a function of the thing's name and newest facets, so it is made
anew only when one of those is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from collector import tables
from collector.curation import is_curated, read_curated
from collector.facet_bodies import load_bodies
from collector.facets import SchemaField, TableSchema, read
from collector.facts import DatasetFacts, FacetSet, JobFacts, brings_new
from collector.registry import Tags
from collector.store.rows import Rows

MAX_WORDS = 8_000  # characters of description, columns and tags of one thing


class _Documentation(msgspec.Struct):
    description: str | None = None


_SEARCHED = frozenset(("schema", "documentation", "tags"))

_BY_NAME = {
    "sqlite": ("CREATE INDEX IF NOT EXISTS ix_search_by_name ON search_text (lower(name), name, is_job)",),
    "postgresql": (  # in the order of bytes: only there lie names of one beginning together
        "DROP INDEX IF EXISTS ix_search_by_name",
        "CREATE INDEX IF NOT EXISTS ix_search_by_bytes ON search_text"
        ' (lower(name) COLLATE "C", name COLLATE "C", is_job)',
    ),
}
_SQLITE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS search_index USING fts5"
    "(name, words, content='search_text', content_rowid='id', tokenize='trigram')",
    "CREATE TRIGGER IF NOT EXISTS search_text_added AFTER INSERT ON search_text BEGIN"
    " INSERT INTO search_index(rowid, name, words) VALUES (new.id, new.name, new.words); END",
    "CREATE TRIGGER IF NOT EXISTS search_text_gone AFTER DELETE ON search_text BEGIN"
    " INSERT INTO search_index(search_index, rowid, name, words) VALUES ('delete', old.id, old.name, old.words); END",
    "CREATE TRIGGER IF NOT EXISTS search_text_changed AFTER UPDATE ON search_text BEGIN"
    " INSERT INTO search_index(search_index, rowid, name, words) VALUES ('delete', old.id, old.name, old.words);"
    " INSERT INTO search_index(rowid, name, words) VALUES (new.id, new.name, new.words); END",
)
_FROM_ROWS = "INSERT INTO search_index(search_index) VALUES ('rebuild')"
_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS ix_search_name ON search_text USING gin (lower(name) gin_trgm_ops)",
    "CREATE INDEX IF NOT EXISTS ix_search_words ON search_text USING gin (lower(words) gin_trgm_ops)",
)
#: The trigrams of a text as an array, where there is no ``pg_trgm``: PostgreSQL can index arrays by itself.
TRIGRAMS = "headwater_trigrams"
_POSTGRESQL_ALONE = (
    f"CREATE OR REPLACE FUNCTION {TRIGRAMS}(words text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS "
    "$$ SELECT array_agg(DISTINCT substr(words, place, 3)) FROM generate_series(1, length(words) - 2) AS place $$",
    f"CREATE INDEX IF NOT EXISTS ix_search_name_parts ON search_text USING gin ({TRIGRAMS}(lower(name)))",
    f"CREATE INDEX IF NOT EXISTS ix_search_words_parts ON search_text USING gin ({TRIGRAMS}(lower(words)))",
)


def prepare_search(connection: Connection) -> bool:
    """Make the index where the database can hold one; whether it can. Search is slower without, and right."""
    engine = connection.dialect.name
    for statement in _BY_NAME[engine]:
        connection.execute(text(statement))
    if engine != "sqlite":
        return _made(connection, _POSTGRESQL) or _made(connection, _POSTGRESQL_ALONE)
    known = connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'search_index'")).first()
    # rows may be there already, of a SQLite that had no FTS5
    return _made(connection, _SQLITE if known else (*_SQLITE, _FROM_ROWS))


def _made(connection: Connection, statements: Iterable[str]) -> bool:
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.execute(text(statement))
    except DBAPIError:  # no FTS5 in this SQLite; no right to make the extension, or none to be had
        return False
    return True


def is_reworded(stored: FacetSet, incoming: FacetSet) -> bool:
    """Whether ``incoming`` brings a facet that search looks through with another body than ``stored``."""
    return brings_new(stored, incoming, lambda name: name in _SEARCHED or is_curated(name))


def refresh_search(rows: Rows, datasets: Iterable[DatasetFacts], jobs: Iterable[JobFacts]) -> None:
    """Make the rows of things anew whose name or words are new; nothing is written where nothing changed."""
    things = [(False, one.id, one.name, one.facets) for one in datasets]
    things += [(True, one.id, one.name, one.facets) for one in jobs]
    if not things:
        return
    ids = {
        entry[2]
        for _, _, _, facets in things
        for name, entry in facets.items()
        if name in _SEARCHED or is_curated(name)
    }
    bodies = load_bodies(rows, ids)
    wanted = {one: (one, is_job, name, _words(facets, bodies)) for is_job, one, name, facets in things}
    for row in rows.load(tables.search_text, "id", wanted):
        if wanted[row[0]] == (row[0], bool(row[1]), *row[2:]):
            del wanted[row[0]]
    rows.put(tables.search_text, list(wanted.values()))


def _words(facets: FacetSet, bodies: Mapping[int, bytes]) -> str:
    """Description, columns and tags, a line each."""
    curated = read_curated((name, bodies[entry[2]]) for name, entry in facets.items() if is_curated(name))
    schema = read(bodies[facets["schema"][2]], TableSchema) if "schema" in facets else None
    documentation = read(bodies[facets["documentation"][2]], _Documentation) if "documentation" in facets else None
    tags = read(bodies[facets["tags"][2]], Tags) if "tags" in facets else None
    by_field: dict[str, list[str]] = {"": []}
    for tag in (tags.tags if tags else None) or ():
        by_field.setdefault(tag.field or "", []).append(tag.name)
    lines = [documentation.description if documentation else None, *curated.descriptions.values()]
    lines.extend(_columns((schema.fields if schema else None) or ()))
    for field in by_field.keys() | curated.tags.keys():
        lines.extend(curated.tagged(field, by_field.get(field, ())))
    known = sorted({line for line in lines if line})
    return "\n".join(known)[:MAX_WORDS].replace("\x00", "\u2400")


def _columns(fields: Iterable[SchemaField]) -> Iterator[str]:
    for field in fields:
        yield field.name
        if field.description:
            yield field.description
        yield from _columns(field.fields or ())
