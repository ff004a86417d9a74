"""What runs read and wrote, as it was at a moment.

A run that was over by the moment is read from its rows. One that was under way is put together again from those of its
events that count: few runs are, so this costs what they cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, select

from collector import tables
from collector.assertions import is_assertive
from collector.decode import Event
from collector.errors import CollectorError
from collector.facts import Facts, RunFacts, UseFacts, earliest, under_one_name
from collector.history.moment import Moment
from collector.packing import decompress, unpack_facets
from collector.records import read_stored
from collector.store.keyed import ask
from collector.store.rows import chunks
from collector.tables import OUTPUT
from collector.walk import among

Body = int | bytes  # a facet's facet_body.id, or its raw JSON


class Use(NamedTuple):
    """A dataset that a run read or wrote."""

    named: int  # the dataset's id under the name that the event gave, the least where it gave several
    canonical: int
    version: str | None
    checksum: str | None
    code_version: str | None
    written_us: int | None  # of an output: when this version was there, None if it never was
    columns: Body | None  # its columnLineage


@dataclass(slots=True)
class Run:
    """A run as it was at a moment; ``start_us`` is its first START or RUNNING, else its first event."""

    id: int
    key: bytes
    job_id: int
    start_us: int
    state: str
    inputs: list[Use] = field(default_factory=list)
    outputs: list[Use] = field(default_factory=list)
    statements: list[tuple[int, Body]] = field(default_factory=list)  # (dataset that carries it or 0, lineage facet)
    told_code: dict[str, Body] | None = None
    facets: bytes = b""  # the row's, where ``told_code`` is None

    @property
    def code(self) -> dict[str, Body]:
        """The facets of its job that tell code versions apart, by name; most questions do not ask."""
        if self.told_code is None:
            known = unpack_facets(self.facets) if b"^s" in self.facets else {}  # as each of CODE begins there
            self.told_code = {name: known[f"^{name}"][2] for name in CODE if f"^{name}" in known}
        return self.told_code


MANY = 200  # JobEvents and DatasetEvents
_ANY, _NAMED = "\n", "\n\n"  # no facet's name
CODE = ("sourceCodeLocation", "sql", "sourceCode")  # best first


def runs_at(connection: Connection, runs: Collection[int], moment: Moment) -> dict[int, Run]:
    """Those of ``runs`` that were known at the moment, by id: three statements, and two for those under way."""
    if not runs:
        return {}
    found: dict[int, Run] = {}
    under_way: set[int] = set()
    wanted = [(run,) for run in runs]
    columns = "r.id, r.run_key, r.job_id, r.created_us, r.started_us, r.updated_us, r.state, r.has_statements, r.facets"
    if moment.is_by_commit:
        first, last = (f"(SELECT {end}(e.event_id) FROM run_event AS e WHERE e.run = r.id)" for end in ("MIN", "MAX"))
    else:
        first = last = "0"
    sql = f"SELECT {columns}, {first}, {last} FROM {{k}} {{x}} run AS r ON r.id = k.a"
    stating: list[tuple[int]] = []
    for run, key, job, created, started, updated, state, states, facets, first_id, last_id in ask(
        connection, sql, wanted
    ):
        if created > moment.as_of_us or (first_id or 0) > moment.known_id:
            continue
        if updated > moment.as_of_us or (last_id or 0) > moment.known_id:
            under_way.add(run)
            continue
        start = created if started is None else started
        found[run] = Run(run, bytes(key), job, start, state, facets=facets)
        if states:
            stating.append((run,))
    _add_rows(connection, found)
    for run, carrier, body in ask(
        connection,
        "SELECT s.run, s.dataset_id, s.body_id FROM {k} {x} run_statement AS s ON s.run = k.a",
        stating,
    ):
        found[run].statements.append((carrier, body))
    if under_way:
        found |= _from_events(connection, under_way, moment)
    return found


def _add_rows(connection: Connection, found: dict[int, Run]) -> None:
    sql = (
        "SELECT u.run, u.direction, u.dataset_id, d.canonical_id, u.version, u.checksum, u.code_version, u.written_us, "
        "u.facets FROM {k} {x} run_dataset AS u ON u.run = k.a {x} dataset AS d ON d.id = u.dataset_id"
    )
    rows = ask(connection, sql, [(run,) for run in found])
    for run, direction, named, canonical, version, checksum, code, written, facets in rows:
        has_columns = direction == OUTPUT and b"columnLineage" in facets
        columns = unpack_facets(facets).get("columnLineage") if has_columns else None
        use = Use(named, canonical, version, checksum, code, written, columns[2] if columns else None)
        (found[run].outputs if direction == OUTPUT else found[run].inputs).append(use)
    several: dict[int, list[_Word]] = {
        run.id: []
        for run in found.values()
        if (len(run.inputs) > 1 or len(run.outputs) > 1) and _lists_one_twice(run.inputs, run.outputs)
    }
    for run, direction, named, canonical, version, checksum, code, written, facets in rows if several else ():
        if run in several:
            facts = UseFacts.of(0, version, checksum, code, written, unpack_facets(facets))
            several[run].append((direction, named, canonical, facts))
    for run, words in several.items():
        found[run].inputs, found[run].outputs = _joined(words, {})


_Word = tuple[int, int, int, UseFacts]  # direction, dataset as named, canonical


def _lists_one_twice(*sides: list[Use]) -> bool:
    return any(len({use.canonical for use in uses}) < len(uses) for uses in sides)


def _joined(words: Iterable[_Word], bodies: Mapping[bytes, bytes]) -> tuple[list[Use], list[Use]]:
    """What a run read and wrote, each dataset once: what is said of several of its names is said of the least id.

    ``bodies``: of facets that are known by their hash.
    """
    known = under_one_name(((direction, canonical), named, facts) for direction, named, canonical, facts in words)
    sides: tuple[list[Use], list[Use]] = ([], [])
    for (direction, canonical), (named, facts) in known.items():
        entry = facts.facets.get("columnLineage") if direction == OUTPUT else None
        columns = bodies.get(entry[2], entry[2]) if entry else None
        said = (facts.version, facts.checksum, facts.code_version, facts.written_us)
        sides[direction].append(Use(named, canonical, *said, columns))
    return sides


def _from_events(connection: Connection, runs: Collection[int], moment: Moment) -> dict[int, Run]:
    """Runs under way, from those of their events that count."""
    facts = Facts(events_of_runs(connection, runs, moment))
    r, d = tables.run.c, tables.dataset.c
    ids = {
        bytes(key): run for run, key in connection.execute(select(r.id, r.run_key).where(among(connection, r.id, runs)))
    }
    named = {dataset for sides in facts.uses.values() for _, dataset in sides}
    canonical = dict(connection.execute(select(d.id, d.canonical_id).where(among(connection, d.id, named))).all())
    found: dict[int, Run] = {}
    for key, run_id in ids.items():
        run = facts.runs.get(key)
        if run is None:
            continue
        made = found[run_id] = Run(run_id, key, run.job_id, earliest_start(run), run.state)
        made.told_code = {n: facts.bodies[run.facets[f"^{n}"][2]] for n in CODE if f"^{n}" in run.facets}
        made.statements = [(carrier, facts.bodies[digest]) for carrier, digest in facts.statements.get(key, ())]
        words: list[_Word] = []
        for (direction, dataset), use in facts.uses.get(key, {}).items():
            if direction == OUTPUT:
                use.written_us = earliest(use.written_us, run.completed_us)
            words.append((direction, dataset, canonical.get(dataset, dataset), use))
        made.inputs, made.outputs = _joined(words, facts.bodies)
    return found


def earliest_start(run: RunFacts) -> int:
    """When a run started, as far as is known."""
    return run.created_us if run.started_us is None else run.started_us


def facet_bodies(connection: Connection, ids: Iterable[int]) -> dict[int, bytes]:
    """The raw JSON of facets, by facet_body.id."""
    sql = "SELECT b.id, b.body FROM {k} {x} facet_body AS b ON b.id = k.a"
    return {one: decompress(body) for one, body in ask(connection, sql, [(one,) for one in ids])}


def events_of_runs(connection: Connection, runs: Iterable[int], moment: Moment) -> list[Event]:
    """The stored events of ``runs`` that count at the moment."""
    sql = "SELECT s.event_id FROM {k} {x} run_event AS s ON s.run = k.a"
    return _events(connection, [one for (one,) in ask(connection, sql, [(run,) for run in runs])], moment)


def events_of_things(connection: Connection, things: Collection[int], moment: Moment) -> list[Event]:
    """The stored JobEvents and DatasetEvents about these jobs and datasets that count at the moment.

    Of many, without those DatasetEvents of which newer ones say all again: a crawler tells the same every night.
    """
    keyed = [(thing,) for thing in things]
    sql = "SELECT s.event_id FROM {k} {x} static_event AS s ON s.thing_id = k.a"
    ids = [one for (one,) in ask(connection, sql, keyed)]
    if len(ids) > MANY:
        outdone = _outdone(connection, keyed, moment)
        ids = [one for one in ids if one not in outdone]
    return _events(connection, ids, moment)


def _outdone(connection: Connection, datasets: Sequence[tuple[int]], moment: Moment) -> set[int]:
    """The ids of DatasetEvents each of whose facets a newer one gives; what assertions found adds up, so these stay."""
    sql = (
        "SELECT v.dataset_id, v.created_us, v.version IS NOT NULL OR v.checksum IS NOT NULL, v.facets, e.id "
        "FROM {k} {x} dataset_version AS v ON v.dataset_id = k.a "
        "{x} event AS e ON e.time_us = v.created_us AND e.hash = v.key WHERE v.created_us <= ? AND e.id <= ?"
    )
    rows = ask(connection, sql, datasets, moment.as_of_us, moment.known_id)
    newest: dict[tuple[int, str], int] = {}  # when each facet of a dataset was given last, and what tells of its data
    outdone = set()
    for dataset, at_us, is_named, packed, event_id in sorted(rows, key=lambda row: row[1], reverse=True):
        facets = unpack_facets(packed)
        words = [*facets, _ANY, *([_NAMED] if is_named else [])]
        last = [newest.setdefault((dataset, word), at_us) for word in words]
        if min(last) > at_us and not is_assertive(facets):
            outdone.add(event_id)
    return outdone


def _events(connection: Connection, ids: Sequence[int], moment: Moment) -> list[Event]:
    sql = "SELECT e.kind, e.body FROM {k} {x} event AS e ON e.id = k.a WHERE e.time_us <= ? AND e.id <= ?"
    found: list[Event] = []
    for chunk in chunks([(one,) for one in ids], 1_000):
        for kind, body in ask(connection, sql, chunk, moment.as_of_us, moment.known_id):
            try:
                found.append(read_stored(kind, decompress(body)))
            except CollectorError:  # accepted by an older version's rules: a rebuild counts them
                continue
    return found
