"""One commit: merge what some events say into the stored rows, and recompute what rests on them.

Runs inside a transaction that alone may write (``engines.writing``), so it can load rows, merge in Python and put back
those that changed. Costs a fixed number of statements, whatever the number of events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import time_ns

from sqlalchemy import Connection

from collector import keys, tables
from collector.assertions import Told, assertion_entries, is_assertive, refresh_assertions
from collector.decode import Event
from collector.delivery import put_deliveries
from collector.dependency_rows import refresh_dependencies
from collector.edges import DESCRIBED, Known, Uses, load_jobs, refresh_edges
from collector.errors import RefusedEvent
from collector.facts import DatasetFacts, Facts, JobFacts, RunFacts, UseFacts, earliest, facet_entries, merge_facets
from collector.labels import is_relabelled, refresh_labels
from collector.names import refresh_names
from collector.newest import choose_newest_runs
from collector.packing import compress, facts_of, pack_facets, row_of, unpack_facets
from collector.registry import Remembered, put_registry
from collector.search_index import is_reworded, refresh_search
from collector.stated import refresh_statements, stated_sides
from collector.store.rows import Row, Rows, rows_of
from collector.tables import INPUT, OUTPUT


class Memory:
    """What a writer remembers between commits: only what can never change while ``epoch`` stands.

    What is noted of namespaces, sources and tags, the ids of facet bodies by content hash, and the rows of
    ``job_dataset``, oldest use first.
    """

    BODIES = 200_000
    PAIRS = 200_000

    def __init__(self) -> None:
        self.epoch = -1
        self.has_statements = True  # whether there is any explicit lineage, so that it need not be asked for
        self.names: Remembered = {}
        self.bodies: OrderedDict[bytes, int] = OrderedDict()
        self.pairs: OrderedDict[Row, None] = OrderedDict()

    def forget(self) -> None:
        """Start over: a commit that failed may have left ids here that are not in the store."""
        self.epoch = -1
        self.names.clear()
        self.bodies.clear()
        self.pairs.clear()

    def forget_if_older(self, epoch: int) -> None:
        """Start over where ids have been given anew since (a rebuild, a prune)."""
        if epoch != self.epoch:
            self.forget()
            self.epoch = epoch

    def remember_bodies(self, ids: Iterable[tuple[bytes, int]]) -> None:
        """Keep the newest BODIES of them."""
        self.bodies.update(ids)
        while len(self.bodies) > self.BODIES:
            self.bodies.popitem(last=False)

    def new_pairs(self, pairs: Iterable[Row]) -> list[Row]:
        """Those of the rows of ``job_dataset`` that are not known to be stored; they are from now on."""
        new = [pair for pair in pairs if pair not in self.pairs]
        self.pairs.update(dict.fromkeys(new))
        while len(self.pairs) > self.PAIRS:
            self.pairs.popitem(last=False)
        return new


@dataclass(frozen=True, slots=True)
class Prepared:
    """Events with all that can be done of their commit without the store: it may not be used twice."""

    events: dict[tuple[int, bytes], Event]  # by (time_us, hash): each once
    bodies: list[bytes]  # compressed, in the order of ``events``
    facts: Facts


def prepare(events: Sequence[Event]) -> Prepared:
    """What ``ingest`` needs of ``events``; made before the transaction, in which no other writer could work."""
    unique = {(event.time_us, event.hash): event for event in events}
    return Prepared(unique, [compress(event.raw) for event in unique.values()], Facts(unique.values()))


def ingest(connection: Connection, prepared: Prepared, memory: Memory, received_us: int | None = None) -> int:
    """Store events and what they say; returns how many were new. Those that are stored already change nothing.

    ``received_us`` is the time to record, now by default. Raises RefusedEvent where an event's name collides with
    another's hashed id; nothing of the commit may then be kept.
    """
    rows = rows_of(connection)
    with rows.pipelined():
        return _ingest(rows, prepared, memory, received_us)


def _ingest(rows: Rows, prepared: Prepared, memory: Memory, received_us: int | None) -> int:
    _foresee(rows, prepared.facts)
    (epoch, next_event, next_body, next_run, memory.has_statements) = rows.fetch(
        "SELECT COALESCE((SELECT value FROM store_fact WHERE name = 'epoch'), 0), "
        "COALESCE((SELECT MAX(id) FROM event), 0), COALESCE((SELECT MAX(id) FROM facet_body), 0), "
        "COALESCE((SELECT MAX(id) FROM run), 0), "
        "EXISTS (SELECT 1 FROM stated_edge) OR EXISTS (SELECT 1 FROM run_statement)"
    )[0]
    memory.forget_if_older(epoch)
    known = set(rows.load_pairs(tables.event, ("time_us", "hash"), prepared.events))
    new = [
        (e, body) for (key, e), body in zip(prepared.events.items(), prepared.bodies, strict=True) if key not in known
    ]
    if not new:
        return 0
    now = time_ns() // 1_000 if received_us is None else received_us
    rows.add(
        tables.event,
        [
            (next_event + n, e.hash, e.kind, e.event_type, e.time_us, now, len(e.raw), body)
            for n, (e, body) in enumerate(new, 1)
        ],
    )
    numbered = [(next_event + n, e) for n, (e, _) in enumerate(new, 1)]
    apply(rows, prepared.facts, memory, numbered, next_body + 1, next_run + 1)
    return len(new)


def _foresee(rows: Rows, facts: Facts) -> None:
    """The loads of ``merge`` whose keys the events themselves give."""
    rows.foresee(
        (tables.dataset, "id", facts.datasets),
        (tables.run, "run_key", facts.runs),
        (tables.job, "id", facts.jobs),
        (tables.edge, "job_id", () if facts.aliases else facts.jobs),  # names may take edges away
    )


def apply(
    rows: Rows, facts: Facts, memory: Memory, events: Sequence[tuple[int, Event]], next_body: int, next_run: int
) -> None:
    """Merge ``facts`` into the derived tables; new bodies and runs get the ids from ``next_body``, ``next_run``.

    ``events`` are those that are new, with their ids.
    """
    reworded_datasets, reworded_jobs = merge(rows, facts, memory, events, next_body, next_run)
    refresh_search(rows, reworded_datasets, reworded_jobs)
    put_deliveries(rows, facts.deliveries, facts.delivery_drops)


def merge(
    rows: Rows, facts: Facts, memory: Memory, events: Sequence[tuple[int, Event]], next_body: int, next_run: int
) -> tuple[list[DatasetFacts], list[JobFacts]]:
    """``apply`` but for search and deliveries; returns the datasets and jobs whose words are new to search."""
    body_ids = _name_bodies(rows, facts, memory, next_body)
    put_registry(rows, facts.registry, memory.names)
    reworded_datasets, relabelled_datasets, canonical = _put_datasets(rows, facts)
    runs, touched, moved = _put_runs(rows, facts, next_run)
    run_ids = {run.run_key: run_id for run_id, run in runs.items()}
    told = Told()
    uses = _put_uses(rows, facts, runs, run_ids, next_run, told)
    _put_statements(rows, facts, run_ids, body_ids)
    _put_event_ids(rows, events, run_ids)
    rows.add(tables.job_dataset, memory.new_pairs(facts.ever))
    jobs, before, reworded_jobs, relabelled_jobs = _merge_jobs(rows, facts, touched)
    _put_declared(rows, facts, jobs)
    _tell_of_versions(rows, facts, told)
    _put_versions(rows, facts)
    refresh_assertions(rows, told)
    choose_newest_runs(rows, jobs, runs, moved)
    refresh_dependencies(rows, facts, jobs.keys(), runs, moved)
    renamed, called_otherwise = refresh_names(rows, facts.aliases)
    refresh_labels(rows, relabelled_datasets | called_otherwise, relabelled_jobs)
    described = set(facts.described)
    if DESCRIBED in renamed:
        described.update(
            dataset for (dataset,) in rows.load(tables.declared_dataset, "job_id", (DESCRIBED,), ("dataset_id",))
        )
    load_jobs(rows, renamed - {DESCRIBED}, jobs)
    sides: list[tuple[int, int, int]] = []
    if memory.has_statements or facts.statements or facts.declared or described:
        load_jobs(rows, refresh_statements(rows, jobs, described), jobs)
        sides.extend(stated_sides(rows, jobs))
    refresh_edges(rows, jobs, described, sides, Known(uses, {} if facts.aliases else canonical))
    _put_jobs(rows, jobs, before)
    return reworded_datasets, reworded_jobs


# --- facet bodies ----------------------------------------------------------------------------------------------------


def _name_bodies(rows: Rows, facts: Facts, memory: Memory, next_body: int) -> dict[bytes, int]:
    """Store each new facet body once, and let every facet set refer to bodies by id; returns the ids by digest."""
    ids: dict[bytes, int] = {}
    unknown = []
    for digest in facts.bodies:
        known = memory.bodies.get(digest)
        if known is None:
            unknown.append(digest)
        else:
            ids[digest] = known
    if unknown:
        stored = {
            bytes(digest): body_id for body_id, digest in rows.load(tables.facet_body, "hash", unknown, ("id", "hash"))
        }
        new = [digest for digest in unknown if digest not in stored]
        rows.add(
            tables.facet_body,
            [(next_body + n, digest, compress(facts.bodies[digest])) for n, digest in enumerate(new)],
        )
        stored.update((digest, next_body + n) for n, digest in enumerate(new))
        memory.remember_bodies(stored.items())
        ids.update(stored)
    for facets in facet_entries(facts):
        for name, (time_us, tie, digest) in facets.items():
            facets[name] = (time_us, tie, ids[digest])
    return ids


# --- things by name --------------------------------------------------------------------------------------------------


def _put_datasets(rows: Rows, facts: Facts) -> tuple[list[DatasetFacts], set[int], dict[int, int]]:
    """Returns those whose words are new to search, the ids of those with new owners or tags, and the canonical id of
    each by its id."""
    new = dict(facts.datasets)
    reworded: list[DatasetFacts] = []
    relabelled: set[int] = set()
    changed: list[tuple[Row, Row]] = []
    canonical = {one.id: one.canonical_id for one in facts.datasets.values()}
    for row in rows.load(tables.dataset, "id", facts.datasets):
        stored = facts_of(DatasetFacts, row)
        incoming = new.pop(stored.id)
        _check_same(stored.name, incoming.name, stored.namespace_id == incoming.namespace_id)
        if is_reworded(stored.facets, incoming.facets):
            reworded.append(stored)
        if is_relabelled(stored.facets, incoming.facets):
            relabelled.add(stored.id)
        stored.merge(incoming)
        canonical[stored.id] = stored.canonical_id
        changed.append((row, row_of(stored)))
    rows.replace(tables.dataset, [pair for pair in changed if pair[0] != pair[1]])
    rows.add(tables.dataset, [row_of(facts) for facts in new.values()])
    relabelled.update(one.id for one in new.values() if is_relabelled({}, one.facets))
    return [*reworded, *new.values()], relabelled, canonical


def _merge_jobs(
    rows: Rows, facts: Facts, touched: set[int]
) -> tuple[dict[int, JobFacts], dict[int, Row], list[JobFacts], list[JobFacts]]:
    """The jobs of ``facts`` merged with what is stored, and the ``touched`` ones; put later, with their newest runs.

    Also the rows of those that are stored, by id, those whose words are new to search, and those with new owners or
    tags.
    """
    jobs = dict(facts.jobs)
    reworded: list[JobFacts] = []
    relabelled: list[JobFacts] = []
    before: dict[int, Row] = {}
    for row in rows.load(tables.job, "id", facts.jobs.keys() | touched):
        before[row[0]] = row
        stored = facts_of(JobFacts, row)
        incoming = facts.jobs.get(stored.id, stored)
        _check_same(stored.name, incoming.name, stored.namespace_id == incoming.namespace_id)
        previous = stored.declared_stamp
        if is_reworded(stored.facets, incoming.facets):
            reworded.append(stored)
        if is_relabelled(stored.facets, incoming.facets):
            relabelled.append(stored)
        stored.merge(incoming)
        jobs[stored.id] = stored
        if stored.id in facts.declared and previous is not None and previous >= facts.declared[stored.id][0]:
            del facts.declared[stored.id]  # an older JobEvent than the one that stands
    new = [job for job_id, job in facts.jobs.items() if job_id not in before]
    relabelled.extend(job for job in new if is_relabelled({}, job.facets))
    return jobs, before, [*reworded, *new], relabelled


def _put_jobs(rows: Rows, jobs: dict[int, JobFacts], before: dict[int, Row]) -> None:
    after = {job_id: row_of(job) for job_id, job in jobs.items()}
    rows.replace(tables.job, [(before[one], row) for one, row in after.items() if one in before and before[one] != row])
    rows.put(tables.job, [row for one, row in after.items() if one not in before])


def _check_same(stored: str, name: str, same_namespace: bool = True) -> None:
    if stored != name or not same_namespace:
        raise RefusedEvent(f"The names {stored[:200]!r} and {name[:200]!r} hash to one id: rename one of the two.")


# --- runs and what they read and wrote -------------------------------------------------------------------------------


def _put_runs(rows: Rows, facts: Facts, next_run: int) -> tuple[dict[int, RunFacts], set[int], set[int]]:
    """Returns the merged runs of ``facts`` by their ids, the jobs that they belong to or did before, and the ids of the
    runs that turned out to have begun earlier than was known, or to be another job's."""
    runs: dict[int, RunFacts] = {}
    changed: list[tuple[Row, Row]] = []
    new = dict(facts.runs)
    touched: set[int] = set()
    moved: set[int] = set()
    for row in rows.load(tables.run, "run_key", facts.runs):
        run_id = row[0]
        runs[run_id] = stored = facts_of(RunFacts, row[1:])
        touched.add(stored.job_id)
        incoming = new.pop(stored.run_key)
        before = stored.job_id, stored.created_us
        stored.merge(incoming)
        if before != (stored.job_id, stored.created_us):
            moved.add(run_id)
        changed.append((row, (run_id, *row_of(stored))))
    rows.replace(tables.run, [pair for pair in changed if pair[0] != pair[1]])
    numbered = dict(enumerate(new.values(), next_run))
    runs |= numbered
    rows.add(tables.run, [(run_id, *row_of(run)) for run_id, run in numbered.items()])
    touched.update(run.job_id for run in runs.values())
    return runs, touched, moved


def _put_uses(
    rows: Rows, facts: Facts, runs: dict[int, RunFacts], run_ids: dict[bytes, int], next_run: int, told: Told
) -> dict[int, Uses]:
    """Returns all that each run reads and writes that this commit says anything about, by the run's id.

    ``told`` takes in what is new of assertions.
    """
    uses = {
        (run_ids[run_key], direction, dataset_id): use
        for run_key, sides in facts.uses.items()
        for (direction, dataset_id), use in sides.items()
    }
    asserted = {(run, dataset) for (run, _, dataset), use in uses.items() if is_assertive(use.facets)}
    changed: list[tuple[Row, Row]] = []
    # a COMPLETE writes what was announced before it, too
    completed = {run_ids[key] for key, run in facts.runs.items() if run.completed_us is not None}
    touched = completed.union(run for run, _, _ in uses)
    found: dict[int, Uses] = {run: {} for run in touched}
    for row in rows.load(tables.run_dataset, "run", [run for run in touched if run < next_run]):
        incoming = uses.pop(row[:3], None)
        stored = facts_of(UseFacts, row[3:])
        found[row[0]][row[1:3]] = stored.facets
        if (row[0], row[2]) in asserted:
            told.before[runs[row[0]].run_key, row[2]].extend(assertion_entries(stored.facets))
        if incoming is not None or (row[1] == OUTPUT and row[0] in completed):
            if incoming is not None:
                stored.merge(incoming)
            _write(stored, row[1], runs[row[0]])
            changed.append((row, (*row[:3], *row_of(stored))))
    for (run, direction, dataset), use in uses.items():
        _write(use, direction, runs[run])
        found[run][direction, dataset] = use.facets
    for run, dataset in asserted:
        for direction in (INPUT, OUTPUT):
            facets = found[run].get((direction, dataset), {})
            told.after[runs[run].run_key, dataset].extend(assertion_entries(facets))
    rows.replace(tables.run_dataset, [pair for pair in changed if pair[0] != pair[1]])
    rows.add(tables.run_dataset, [(*key, *row_of(use)) for key, use in uses.items()])
    return found


def _write(use: UseFacts, direction: int, run: RunFacts) -> None:
    if direction == OUTPUT:
        use.written_us = earliest(use.written_us, run.completed_us)


def _put_event_ids(rows: Rows, events: Sequence[tuple[int, Event]], run_ids: dict[bytes, int]) -> None:
    of_runs: list[Row] = []
    of_things: list[Row] = []
    for event_id, event in events:
        envelope = event.envelope
        if event.kind == "run":
            assert envelope.run is not None
            of_runs.append((run_ids[keys.run_identity(envelope.run.runId)[0]], event_id))
        elif event.kind == "job":
            assert envelope.job is not None
            of_things.append((keys.named_job(envelope.job.namespace, envelope.job.name).id, event_id))
        elif event.kind == "dataset":
            assert envelope.dataset is not None
            of_things.append((keys.named_dataset(envelope.dataset.namespace, envelope.dataset.name).id, event_id))
    rows.add(tables.run_event, of_runs)
    rows.add(tables.static_event, of_things)


def _put_statements(rows: Rows, facts: Facts, run_ids: dict[bytes, int], body_ids: dict[bytes, int]) -> None:
    stated = [
        (run_ids[key], dataset, body_ids[digest]) for key, one in facts.statements.items() for dataset, digest in one
    ]
    rows.put(tables.run_statement, stated)


def _put_declared(rows: Rows, facts: Facts, jobs: dict[int, JobFacts]) -> None:
    """What JobEvents and DatasetEvents declare; the latter under job 0, which is nobody's."""
    rows.delete(tables.declared_dataset, ("job_id",), [(job_id,) for job_id in facts.declared])
    rows.put(
        tables.declared_dataset,
        [
            (job_id, direction, dataset_id, pack_facets(facets))
            for job_id, (_, sides) in facts.declared.items()
            for (direction, dataset_id), facets in sides.items()
        ],
    )
    for job_id, _, dataset_id, packed in rows.load(tables.declared_dataset, "dataset_id", facts.described):
        if job_id == DESCRIBED:
            merge_facets(facts.described[dataset_id], unpack_facets(packed))
    rows.put(
        tables.declared_dataset,
        [(DESCRIBED, OUTPUT, dataset_id, pack_facets(facets)) for dataset_id, facets in facts.described.items()],
    )


def _tell_of_versions(rows: Rows, facts: Facts, told: Told) -> None:
    """Have ``told`` take in what DatasetEvents that are not stored yet tell of assertions."""
    said = {key: facets for key, (*_, facets) in facts.dataset_versions.items() if is_assertive(facets)}
    known = rows.load_pairs(tables.dataset_version, ("dataset_id", "key"), said) if said else []
    for dataset, key in said.keys() - {(dataset, bytes(key)) for dataset, key in known}:
        told.after[key, dataset].extend(assertion_entries(said[dataset, key]))


def _put_versions(rows: Rows, facts: Facts) -> None:
    """The versions that DatasetEvents and JobEvents make, beside those that runs do."""
    rows.add(
        tables.dataset_version,
        [
            (dataset_id, key, *said, pack_facets(facets))
            for (dataset_id, key), (*said, facets) in facts.dataset_versions.items()
        ],
    )
    if facts.job_versions:
        for job_id, key, *stored in rows.load(tables.job_version, "job_id", facts.job_versions):
            known = facts.job_versions[job_id]
            if key in known:
                known[key] = min(known[key], (stored[0], stored[1]))
        rows.put(
            tables.job_version,
            [(job_id, key, *said) for job_id, known in facts.job_versions.items() for key, said in known.items()],
        )
