"""Which of the things that a run read went into an output of it, by the best evidence that this run gave."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from collector.facets import ColumnLineage, has_name, read
from collector.history.uses import Body, Run, Use, facet_bodies
from collector.keys import named_dataset
from collector.state import state_of
from collector.statements import flows
from collector.store.keyed import ask
from collector.tables import STATED_DATASET


@dataclass(frozen=True, slots=True)
class Sources:
    """``inputs`` that went into an output, and how that is known (`lineage.graph.EVIDENCE`)."""

    inputs: tuple[Use, ...]
    evidence: str


class Flows:
    """The flows within runs; facets are read once each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw: dict[int, bytes] = {}
        self._origins = _origins_in_epoch(connection)
        self._parsed: dict[bytes, frozenset[int]] = {}  # those of facets that no row holds
        self._canonical: dict[int, int] = {}

    def sources(self, runs: Collection[Run]) -> dict[tuple[int, int], Sources]:
        """What went into each output, by (run, output as named): three statements at most."""
        self._load(runs)
        return {(run.id, output.named): self._of(run, output) for run in runs for output in run.outputs}

    def _of(self, run: Run, output: Use) -> Sources:
        stated = self._stated(run, output.canonical) if run.statements else None
        if stated is not None:
            return Sources(tuple(use for use in run.inputs if use.canonical in stated), "explicit")
        origins = self._named_in(output.columns) if output.columns is not None else ()
        if origins:  # a facet that names none tells nothing
            canonical = set(map(self._name, origins))
            return Sources(tuple(use for use in run.inputs if use.canonical in canonical), "column")
        others = any(other.canonical != output.canonical for other in run.outputs)
        return Sources(tuple(run.inputs), "inferred" if others else "declared")

    def _stated(self, run: Run, canonical: int) -> set[int] | None:
        """What the run's ``lineage`` facets name as sources of an output; None: they do not speak of it."""
        found: set[int] | None = None
        for carrier, body in run.statements:
            for flow in flows(self._bytes(body), carrier):
                kind, target = flow.target
                if kind == STATED_DATASET and self._name(target) == canonical:
                    found = set() if found is None else found
                    if flow.source[0] == STATED_DATASET:
                        found.add(self._name(flow.source[1]))
        return found

    def _load(self, runs: Collection[Run]) -> None:
        columns = {use.columns for run in runs for use in run.outputs if use.columns is not None}
        # not `columns - keys()`: that looks at every key, and there may be many
        unknown = {one for one in columns if one not in self._origins and one not in self._parsed}
        statements = {body for run in runs for _, body in run.statements}
        ids = {body for body in unknown | statements if isinstance(body, int)} - self._raw.keys()
        self._raw |= facet_bodies(self._connection, ids)
        for body in unknown:
            if isinstance(body, int):
                self._origins[body] = _origins(self._raw[body])
            else:
                self._parsed[body] = _origins(body)
        named = set().union(*map(self._named_in, columns))
        for run in runs:
            self._canonical.update((use.named, use.canonical) for use in run.inputs)  # as a rule all that is named
            for carrier, body in run.statements:
                for flow in flows(self._bytes(body), carrier):
                    named.update(one for kind, one in (flow.target, flow.source) if kind == STATED_DATASET)
        sql = "SELECT d.id, d.canonical_id FROM {k} {x} dataset AS d ON d.id = k.a"
        self._canonical.update(ask(self._connection, sql, [(one,) for one in named - self._canonical.keys()]))

    def _named_in(self, columns: Body) -> frozenset[int]:
        return self._origins[columns] if isinstance(columns, int) else self._parsed[columns]

    def _bytes(self, body: Body) -> bytes:
        return body if isinstance(body, bytes) else self._raw[body]

    def _name(self, dataset: int) -> int:
        return self._canonical.get(dataset, dataset)


_in_epochs: WeakKeyDictionary[Engine, tuple[int, dict[int, frozenset[int]]]] = WeakKeyDictionary()
_MOST_ORIGINS = 50_000  # some twenty MB of them


def _origins_in_epoch(connection: Connection) -> dict[int, frozenset[int]]:
    """The datasets that each ``columnLineage`` facet names as origins, by facet_body.id, as far as they are known.

    In one epoch of a store (``state.py``), an id stands for one body.
    """
    epoch = state_of(connection).epoch
    found = _in_epochs.get(connection.engine)
    if found is None or found[0] != epoch or len(found[1]) > _MOST_ORIGINS:
        found = _in_epochs[connection.engine] = epoch, {}
    return found[1]


def _origins(body: bytes) -> frozenset[int]:
    """The datasets, as named, that a ``columnLineage`` facet names as origins."""
    return _small_origins(body) if len(body) <= _SMALL_BYTES else _read_origins(body)


def _read_origins(body: bytes) -> frozenset[int]:
    facet = read(body, ColumnLineage)
    if facet is None:
        return frozenset()
    columns = (facet.fields or {}).values()
    found = chain(facet.dataset or (), *(column.inputFields or () for column in columns))
    return frozenset(named_dataset(origin.namespace, origin.name).id for origin in found if has_name(origin))


_SMALL_BYTES = 4_096
_small_origins = lru_cache(maxsize=8_192)(_read_origins)  # they come again and again; at most 32 MB of them
