"""What is known of namespaces, sources and tags: mentioned by events, and told by hand (``records.py``). Pure, but for
``put_registry``.

A mention is noted to the minute, so that a busy namespace's row is written once a minute and not once a commit: both
are functions of the set of events, and this one costs nothing.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from sqlalchemy import Table

from collector import keys, tables
from collector.decode import Body, Event
from collector.errors import RefusedEvent
from collector.facets import read
from collector.store.rows import Rows

MINUTE = 60_000_000  # microseconds
_BY_EVENT, _BY_HAND = 0, 1  # ranks of a source's stamp


class NamedFacts(msgspec.Struct):
    """A namespace, source or tag: a row of ``namespace``, ``source`` or ``tag``.

    ``updated_us`` is the newest mention, to the minute; ``record`` the JSON of the newest word on it, ``stamp`` that
    word's; ``hidden_us`` the time of the newest DELETE.
    """

    id: int
    name: str
    created_us: int
    updated_us: int
    stamp: bytes | None = None
    record: str | None = None
    hidden_us: int | None = None

    def note(self, time_us: int) -> None:
        """Take in a mention."""
        if time_us < self.created_us:
            self.created_us = time_us
        elif time_us >= self.updated_us + MINUTE:
            self.updated_us = time_us - time_us % MINUTE

    def merge(self, other: NamedFacts) -> None:
        """Take in another word on the same thing."""
        self.created_us = min(self.created_us, other.created_us)
        self.updated_us = max(self.updated_us, other.updated_us)
        if other.stamp is not None and (self.stamp is None or other.stamp > self.stamp):
            self.stamp, self.record = other.stamp, other.record
        if other.hidden_us is not None:
            self.hidden_us = max(self.hidden_us or other.hidden_us, other.hidden_us)

    def says_more(self, known: Known | None) -> bool:
        """Whether merging this into a row that says at least ``known`` could change it."""
        return (
            known is None
            or self.created_us < known[0]
            or self.updated_us > known[1]
            or (self.stamp is not None and self.stamp > known[2])
            or self.hidden_us is not None
        )

    def known(self) -> Known:
        """What to remember of a stored row."""
        return (self.created_us, self.updated_us, self.stamp or b"")


Known = tuple[int, int, bytes]  # a row's created_us, updated_us and stamp, or older ones of it: they only grow
Remembered = dict[str, dict[int, Known]]  # by table name and id


class _DataSource(msgspec.Struct):
    name: str | None = None
    uri: str | None = None


class Tag(msgspec.Struct):
    """One tag of a ``tags`` facet; ``field`` where it is a column's."""

    key: str
    value: str | None = None
    field: str | None = None

    @property
    def name(self) -> str:
        """The tag as one word: ``key``, or ``key:value`` where the value says more than that it is set."""
        return self.key if self.value in (None, "", "true") else f"{self.key}:{self.value}"


class Tags(msgspec.Struct):
    """``tags`` (dataset, job or run)."""

    tags: list[Tag] | None = None


class Registry:
    """The namespaces, sources and tags of a set of events, by id."""

    def __init__(self) -> None:
        self.namespaces: dict[int, NamedFacts] = {}
        self.sources: dict[int, NamedFacts] = {}
        self.tags: dict[int, NamedFacts] = {}

    def mention(self, named: keys.Named, time_us: int) -> None:
        """Note the namespace of a thing that an event names."""
        known = self.namespaces.get(named.namespace_id)
        if known is None:
            self.namespaces[named.namespace_id] = _mentioned(named.namespace_id, named.namespace, time_us)
        else:
            known.note(time_us)

    def add(self, event: Event) -> None:
        """Note the sources and tags that an event of OpenLineage's kinds speaks of."""
        envelope, time_us = event.envelope, event.time_us
        if envelope.job is not None and envelope.job.facets and "tags" in envelope.job.facets:
            self._note_tags(envelope.job.facets["tags"], time_us)
        for datasets in (envelope.inputs, envelope.outputs, (envelope.dataset,) if envelope.dataset else None):
            for dataset in datasets or ():
                facets = dataset.facets
                if facets and "tags" in facets:
                    self._note_tags(facets["tags"], time_us)
                source = _source_of(facets["dataSource"]) if facets and "dataSource" in facets else None
                if source is None:
                    source = _default_source(dataset.namespace)
                source_id, name, record, tie = source
                known = self.sources.get(source_id)
                if known is None:
                    known = self.sources[source_id] = _mentioned(source_id, name, time_us)
                else:
                    known.note(time_us)
                if record is not None:
                    stamp = keys.stamp(time_us - time_us % MINUTE, tie, _BY_EVENT)
                    if known.stamp is None or stamp > known.stamp:
                        known.stamp, known.record = stamp, record

    def add_record(self, event: Event) -> None:
        """Merge in what was told by hand."""
        record = event.record
        name = keys.clean_name(record.name)
        things = {"namespace": self.namespaces, "source": self.sources, "tag": self.tags}[event.kind]
        facts = _mentioned(keys.hashed_id(event.kind, name), name, event.time_us)
        if record.hidden:
            facts.hidden_us = event.time_us
        else:
            facts.stamp = keys.stamp(event.time_us, event.hash, _BY_HAND)
            said = {"ownerName", "description", "type", "connectionUrl"}
            kept = {key: value for key, value in msgspec.to_builtins(record).items() if key in said}
            facts.record = _json(kept)
        known = things.get(facts.id)
        if known is None:
            things[facts.id] = facts
        else:
            known.merge(facts)

    def _note_tags(self, body: Body, time_us: int) -> None:
        for one, name in _tags_of(body):
            known = self.tags.get(one)
            if known is None:
                self.tags[one] = _mentioned(one, name, time_us)
            else:
                known.note(time_us)


def source_id(name: str) -> int:
    """The id of a source (clean name)."""
    return keys.hashed_id("source", name)


def tag_id(name: str) -> int:
    """The id of a tag (clean name)."""
    return keys.hashed_id("tag", name)


def put_registry(rows: Rows, registry: Registry, remembered: Remembered) -> None:
    """Merge ``registry`` into its tables; ``remembered`` is what this writer knows to be there, kept up to date."""
    for table, things in (
        (tables.namespace, registry.namespaces),
        (tables.source, registry.sources),
        (tables.tag, registry.tags),
    ):
        known = remembered.setdefault(table.name, {})
        new = {one: facts for one, facts in things.items() if facts.says_more(known.get(one))}
        if new:
            _put(rows, table, new)
            known.update({one: facts.known() for one, facts in new.items()})


def _put(rows: Rows, table: Table, new: dict[int, NamedFacts]) -> None:
    changed = dict(new)
    width = len(table.columns)
    for row in rows.load(table, "id", new):
        stored, incoming = NamedFacts(*row), new[row[0]]
        if stored.name != incoming.name:
            message = f"The names {stored.name[:200]!r} and {incoming.name[:200]!r} hash to one id: rename one."
            raise RefusedEvent(message)
        stored.merge(incoming)
        changed[stored.id] = new[stored.id] = stored
        if msgspec.structs.astuple(stored)[:width] == tuple(row):
            del changed[stored.id]
    rows.put(table, [msgspec.structs.astuple(facts)[:width] for facts in changed.values()])


def _mentioned(one: int, name: str, time_us: int) -> NamedFacts:
    return NamedFacts(one, name, time_us, time_us - time_us % MINUTE)


@lru_cache(maxsize=65_536)
def _default_source(namespace: str) -> tuple[int, str, str | None, bytes]:
    """A dataset that names no source has its namespace for one."""
    name = keys.clean_name(namespace)
    return source_id(name), name, None, b""


@lru_cache(maxsize=4_096)
def _source_of(body: Body) -> tuple[int, str, str | None, bytes] | None:
    """(id, name, what is said of it as JSON, tie) of a ``dataSource`` facet."""
    source = read(body.raw, _DataSource)
    if source is None or not source.name:
        return None
    name = keys.clean_name(source.name)
    record = _json({"connectionUrl": source.uri}) if source.uri else None
    return source_id(name), name, record, keys.content_hash((record or "").encode())


@lru_cache(maxsize=4_096)
def _tags_of(body: Body) -> tuple[tuple[int, str], ...]:
    facet = read(body.raw, Tags)
    names = {keys.clean_name(tag.name) for tag in (facet.tags if facet else None) or ()} - {""}
    return tuple((tag_id(name), name) for name in sorted(names))


def _json(document: dict[str, str]) -> str:
    return msgspec.json.encode(document).decode().replace("\\u0000", "\\u2400")
