"""OpenLineage's explicit lineage (the ``lineage`` facet, 1-0-0) read from its raw JSON. Pure.

A dataset's facet states what flows into that dataset; a job's facet states it for any targets, datasets or jobs. An
``inputs`` that is there and empty states that the target has no tracked source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from collector import keys
from collector.decode import Body
from collector.facets import Transformation, read
from collector.tables import STATED_DATASET, STATED_JOB, STATED_NOTHING

STATEMENT = "lineage"  # the facet's name


class _Source(msgspec.Struct):
    type: str
    namespace: str | None = None
    name: str | None = None
    field: str | None = None
    transformations: list[Transformation] | None = None


class _Field(msgspec.Struct):
    inputs: list[_Source] | None = None


class _Entry(msgspec.Struct):
    type: str | None = None
    namespace: str | None = None
    name: str | None = None
    inputs: list[_Source] | None = None
    fields: dict[str, _Field] | None = None
    entries: list[_Entry] | None = None  # only at the top of a job's facet


Thing = tuple[int, int]  # (STATED_DATASET or STATED_JOB, id); an id of 0 is the job that states


@dataclass(frozen=True, slots=True)
class Flow:
    """One stated flow. ``field`` and ``source_field`` are columns, ``''`` the whole; transformations are JSON."""

    target: Thing
    field: str
    source: Thing  # (STATED_NOTHING, 0): the target has no tracked source
    source_field: str
    transformations: str


@dataclass(frozen=True, slots=True)
class Names:
    """(namespace, name) of everything that a statement names."""

    datasets: frozenset[tuple[str, str]]
    jobs: frozenset[tuple[str, str]]


@lru_cache(maxsize=128)  # one facet comes with every event of a run, and with every run of a job
def named_in_statement(body: Body) -> Names:
    """What a ``lineage`` facet names; all of it has a place in the graph."""
    names: dict[str, set[tuple[str, str]]] = {"DATASET": set(), "JOB": set()}
    top = read(body.raw, _Entry)
    for entry in _all_entries(top):
        fields = (entry.fields or {}).values()
        for one in (entry, *(entry.inputs or ()), *(source for field in fields for source in field.inputs or ())):
            if one.type in names and one.namespace and one.name:
                names[one.type].add((one.namespace, one.name))
    return Names(frozenset(names["DATASET"]), frozenset(names["JOB"]))


def flows(raw: bytes, carrier: int) -> Iterator[Flow]:
    """The flows that a facet's raw JSON states; ``carrier`` is the id of the dataset that carries it, 0 for a job."""
    top = read(raw, _Entry)
    if top is None:
        return
    if carrier:
        yield from _flows_into((STATED_DATASET, carrier), top)
        return
    for entry in top.entries or ():
        target = _thing(entry)
        if target is not None:
            yield from _flows_into(target, entry)


def _all_entries(top: _Entry | None) -> Iterator[_Entry]:
    if top is not None:
        yield top
        yield from top.entries or ()


def _flows_into(target: Thing, entry: _Entry) -> Iterator[Flow]:
    if entry.inputs is not None and not entry.inputs and not entry.fields:
        yield Flow(target, "", (STATED_NOTHING, 0), "", "[]")
    for source in entry.inputs or ():
        yield from _flow(target, "", source)
    for name, field in (entry.fields or {}).items():
        for source in field.inputs or ():
            yield from _flow(target, keys.clean_name(name, keys.FIELD_BYTES), source)


def _flow(target: Thing, field: str, source: _Source) -> Iterator[Flow]:
    thing = _thing(source)
    if thing is not None:
        transformations = msgspec.json.encode(source.transformations or []).decode().replace("\\u0000", "\\u2400")
        source_field = keys.clean_name(source.field or "", keys.FIELD_BYTES)
        yield Flow(target, field, thing, source_field, transformations)


def _thing(one: _Entry | _Source) -> Thing | None:
    """What an entry or a source names; a JOB without a name is the job that states."""
    if one.type == "JOB" and not one.namespace and not one.name:
        return (STATED_JOB, 0)
    if not one.namespace or not one.name:
        return None
    if one.type == "JOB":
        return (STATED_JOB, keys.named_job(one.namespace, one.name).id)
    return (STATED_DATASET, keys.named_dataset(one.namespace, one.name).id) if one.type == "DATASET" else None
