"""What was told by a moment of what is kept only as the newest word: the schema of a dataset, the code of a job.

The newest teller counts: a run by when it is known today to have begun, a JobEvent or a DatasetEvent by its time. Of
one run the newest facet counts, of those that were told by the moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from collector.facets import TableSchema, flat_columns, read
from collector.facts import JOB_PREFIX, FacetSet, Facts
from collector.history.answers import code_versions
from collector.history.moment import Moment
from collector.history.uses import CODE, Body, Run, events_of_runs, events_of_things, facet_bodies
from collector.packing import unpack_facets
from collector.store.engines import keep_to_indexes
from collector.store.keyed import Row, ask
from collector.tables import INPUT, OUTPUT

Columns = dict[str, str | None]  # types by column
T = TypeVar("T")
_SCHEMA = "schema"
_MORE = 8  # times as many runs are looked at each time
_CODE_OF_RUN = tuple(JOB_PREFIX + name for name in CODE)


class _Place(NamedTuple):
    """Where a run may tell of ``thing``: a row of ``run_dataset``, or, ``named`` 0, its own."""

    thing: int
    job: int
    direction: int
    named: int
    top_us: int  # no run that began later tells anything


class _Word(NamedTuple):
    """What one run told of a thing in one place: a row of an answer, by its ``number``."""

    number: int
    facets: Mapping[str, tuple[int, int, Body]]


@dataclass(frozen=True, slots=True)
class _Told(Generic[T]):
    """What a teller says; the greatest ``order`` counts: (when it began, its key, the facet's time and tie)."""

    order: tuple[int, bytes, int, int]
    value: T


def schemas(connection: Connection, datasets: Collection[int], moment: Moment) -> dict[int, Columns]:
    """The columns of each canonical dataset that anything was told of, under any of its names.

    Costs, for each job that ever touched the dataset, its runs since the newest that told.
    """
    sql = "SELECT d.canonical_id, d.id, d.facets FROM {k} {x} dataset AS d ON d.canonical_id = k.a"
    names: dict[int, int] = {}
    last: dict[int, int] = {}  # when anything was told last, ever
    for canonical, named, packed in ask(connection, sql, [(one,) for one in datasets]):
        names[named] = canonical
        entry = unpack_facets(packed).get(_SCHEMA)
        if entry is not None:
            last[canonical] = max(entry[0], last.get(canonical, entry[0]))
    names = {named: canonical for named, canonical in names.items() if canonical in last}
    sql = "SELECT t.job_id, t.direction, t.dataset_id FROM {k} {x} job_dataset AS t ON t.dataset_id = k.a"
    touching = ask(connection, sql, [(named,) for named in names])
    places = [
        _Place(names[named], job, direction, named, min(last[names[named]], moment.as_of_us))
        for job, direction, named in touching
    ]
    search = _Search(connection, moment, _OF_DATASETS, (_SCHEMA,), _schemas_in)
    for at_us, key, facts in _told_without_run(connection, {job for job, _, _ in touching} | names.keys(), moment):
        for named, dataset in facts.datasets.items():
            if named in names and _SCHEMA in dataset.facets:
                time_us, tie, digest = dataset.facets[_SCHEMA]
                body: Body = facts.bodies[digest]
                search.add(names[named], _Told((at_us, key, time_us, tie), body))
    found = {dataset: told.value for dataset, told in search.run(places).items()}
    raw = facet_bodies(connection, {body for body in found.values() if isinstance(body, int)})
    read_ = {one: read(body if isinstance(body, bytes) else raw[body], TableSchema) for one, body in found.items()}
    return {dataset: dict(flat_columns(schema.fields if schema else None)) for dataset, schema in read_.items()}


def codes(connection: Connection, jobs: Collection[int], moment: Moment) -> dict[int, str]:
    """What tells the code of each job from another's, where anything was told of it.

    Costs its runs since the newest that told.
    """
    sql = "SELECT j.id, j.facets FROM {k} {x} job AS j ON j.id = k.a"
    last = {
        job: max(known[name][0] for name in CODE if name in known)
        for job, packed in ask(connection, sql, [(job,) for job in jobs])
        if not (known := unpack_facets(packed)).keys().isdisjoint(CODE)
    }
    search = _Search(connection, moment, _OF_JOBS, _CODE_OF_RUN, _codes_in)
    for at_us, key, facts in _told_without_run(connection, last, moment):
        for job in [job for job in facts.jobs.values() if job.id in last]:
            made = Run(job.id, key, job.id, at_us, "")
            made.told_code = {name: facts.bodies[job.facets[name][2]] for name in CODE if name in job.facets}
            for code in code_versions(connection, [made]).values():
                search.add(job.id, _Told((at_us, key, 0, 0), code))
    places = [_Place(job, job, 0, 0, min(time_us, moment.as_of_us)) for job, time_us in last.items()]
    return {job: told.value for job, told in search.run(places).items()}


def _told_without_run(
    connection: Connection, things: Collection[int], moment: Moment
) -> Iterable[tuple[int, bytes, Facts]]:
    """The time, the hash and the facts of each JobEvent and DatasetEvent about these that counts."""
    for event in events_of_things(connection, things, moment):
        yield event.time_us, event.hash, Facts([event])


def _schemas_in(_: Connection, words: Iterable[_Word]) -> dict[int, tuple[int, int, Body]]:
    return {word.number: word.facets[_SCHEMA] for word in words if _SCHEMA in word.facets}


def _codes_in(connection: Connection, words: Iterable[_Word]) -> dict[int, tuple[int, int, str]]:
    made = []
    for word in words:
        run = Run(word.number, b"", 0, 0, "")
        run.told_code = {name: word.facets[JOB_PREFIX + name][2] for name in CODE if JOB_PREFIX + name in word.facets}
        made.append(run)
    return {number: (0, 0, code) for number, code in code_versions(connection, made).items()}


# where a run's word is, and the facet set that it is in
_OF_DATASETS = (
    "{x} run_dataset AS u ON u.run = i.id AND u.direction = k.c AND u.dataset_id = k.d",
    "u.facets",
)
_OF_JOBS = ("", "i.facets")


class _Search(Generic[T]):
    """Looks through the runs of each place, the newest first, for one that told by the moment."""

    def __init__(
        self,
        connection: Connection,
        moment: Moment,
        where: tuple[str, str],
        facets: Collection[str],
        tell: Callable[[Connection, Iterable[_Word]], dict[int, tuple[int, int, T]]],
    ) -> None:
        keep_to_indexes(connection)
        self._connection = connection
        self._moment = moment
        self._where = where
        self._facets = facets
        self._tell = tell
        self._found: dict[int, _Told[T]] = {}

    def add(self, thing: int, told: _Told[T]) -> None:
        """Have ``told`` count, unless something newer does."""
        known = self._found.get(thing)
        if known is None or told.order > known.order:
            self._found[thing] = told

    def run(self, places: list[_Place]) -> dict[int, _Told[T]]:
        """The newest word on each thing.

        Those who write it are asked first: most datasets are told of by these, and then only what readers told later
        is looked for.
        """
        for direction in (OUTPUT, INPUT):
            self._look([place for place in places if place.direction == direction])
        return self._found

    def _look(self, places: list[_Place]) -> None:
        below = dict.fromkeys(range(len(places)), 0)  # the run that was looked at last, by place
        top = {at: place.top_us for at, place in enumerate(places)}
        most = 1
        while below:
            asked = [
                (at, places[at].job, places[at].direction, places[at].named, self._since(places[at]), top[at], run)
                for at, run in below.items()
            ]
            rows = ask(self._connection, self._sql(most), asked, self._moment.known_id)
            rows.sort(key=lambda row: (row[3], bytes(row[2])), reverse=True)
            words = self._tell(self._connection, self._words(rows, places))
            found: set[int] = set()
            seen: dict[int, int] = defaultdict(int)
            for number, (at, run, key, created_us, *_) in enumerate(rows):
                if at in found:
                    continue
                if number in words:
                    time_us, tie, value = words[number]
                    self.add(places[at].thing, _Told((created_us, bytes(key), time_us, tie), value))
                    found.add(at)
                seen[at] += 1
                below[at], top[at] = run, created_us
            below = {at: run for at, run in below.items() if at not in found and seen[at] == most}
            most *= _MORE

    def _since(self, place: _Place) -> int:
        known = self._found.get(place.thing)
        return known.order[0] if known is not None else -(1 << 62)

    def _sql(self, most: int) -> str:
        """Each place's newest runs below the last, at most so many: the newest of all, then those that ever told there.

        Told is what bytes look like a facet's name: what it tells may be nothing, so that more are asked for each time.
        """
        join, facets = self._where
        columns = f"i.id, i.run_key, i.created_us, i.updated_us, {facets}"
        last = "(SELECT MAX(e.event_id) FROM run_event AS e WHERE e.run = i.id)" if self._moment.is_by_commit else "0"
        if most == 1:
            condition = "1 = 1"
        else:
            condition = (
                "(i.created_us, i.run_key) < (SELECT c.created_us, c.run_key FROM run AS c WHERE c.id = k.g) AND "
                f"({' OR '.join(_holds(self._connection, facets, name) for name in self._facets)})"
            )
        known = "EXISTS (SELECT 1 FROM run_event AS e WHERE e.run = i.id AND e.event_id <= ?)"
        newest = (
            f"(SELECT i.id FROM run AS i {join} WHERE i.job_id = k.b AND i.created_us >= k.e AND i.created_us <= k.f "
            f"AND {condition} AND {known} ORDER BY i.created_us DESC, i.run_key DESC LIMIT {most})"
        )
        if self._connection.dialect.name == "sqlite":
            runs = f"{{x}} run AS i ON i.id IN {newest}"
        else:
            runs = f"{{x}} LATERAL {newest} AS n ON true {{x}} run AS i ON i.id = n.id"
        return f"SELECT k.a, {columns}, {last} FROM {{k}} {runs} {join}"

    def _words(self, rows: Iterable[Row], places: list[_Place]) -> list[_Word]:
        """What each row's run had told by the moment, by the row's number: of one that was under way, by its events."""
        words: list[_Word] = []
        under_way: dict[int, tuple[int, int, bytes]] = {}
        for number, (at, run, key, _, updated_us, packed, last_id) in enumerate(rows):
            if updated_us > self._moment.as_of_us or last_id > self._moment.known_id:
                under_way[number] = at, run, bytes(key)
            else:
                words.append(_Word(number, unpack_facets(packed)))
        if under_way:
            runs = {run for _, run, _ in under_way.values()}
            facts = Facts(events_of_runs(self._connection, runs, self._moment))
            for number, (at, _, key) in under_way.items():
                words.append(_Word(number, _with_bodies(facts, _facets_at(facts, key, places[at]))))
        return words


def _facets_at(facts: Facts, key: bytes, place: _Place) -> FacetSet:
    """What the events of the run with this key tell in a place."""
    if not place.named:
        run = facts.runs.get(key)
        return run.facets if run is not None and run.job_id == place.job else {}
    use = facts.uses.get(key, {}).get((place.direction, place.named))
    return use.facets if use is not None else {}


def _with_bodies(facts: Facts, facets: FacetSet) -> dict[str, tuple[int, int, Body]]:
    return {name: (time_us, tie, facts.bodies[digest]) for name, (time_us, tie, digest) in facets.items()}


def _holds(connection: Connection, packed: str, name: str) -> str:
    """The condition that a packed facet set has a facet: its name as msgpack writes it, behind its length."""
    mark = bytes([0xA0 | len(name)]).hex() + name.encode().hex()
    if connection.dialect.name == "sqlite":
        return f"instr({packed}, x'{mark}') > 0"
    return f"position('\\x{mark}'::bytea IN {packed}) > 0"
