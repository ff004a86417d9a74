"""Explicit lineage in force, as rows: what a job's newest run and its newest JobEvent state, and DatasetEvents.

Within a run statements add up; a newer run that wrote anything replaces an older one's; a JobEvent's replace the
JobEvent's before it and stand beside what the run observed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from collector import tables
from collector.facet_bodies import load_bodies
from collector.facts import JobFacts
from collector.packing import unpack_facets
from collector.statements import STATEMENT, Flow, Thing, flows
from collector.store.rows import Row, Rows, primary_key
from collector.tables import INPUT, OUTPUT, STATED_DATASET, STATED_JOB, STATED_NOTHING

NOBODY = 0  # the owner of what DatasetEvents state

Statements = dict[int, set[tuple[int, int]]]  # by owner: (dataset that carries it or 0, facet body's id)


def column_owner(owner: int) -> int:
    """The ``job_id`` under which an owner's stated column edges lie."""
    return -owner or -1


def refresh_statements(rows: Rows, jobs: dict[int, JobFacts], described: Collection[int]) -> set[int]:
    """Make what the touched ``jobs`` state, and what DatasetEvents state of the ``described`` datasets, anew.

    Returns the jobs that a statement which came or went is about: their edges must be made anew too.
    """
    stored = rows.load(tables.stated_edge, "owner_id", jobs)
    statements = _statements_of_jobs(rows, jobs)
    names: dict[int, int] = {}
    if described:
        own = rows.load(tables.dataset, "id", described, ("id", "canonical_id"))
        names = dict(rows.load(tables.dataset, "canonical_id", {one for _, one in own}, ("id", "canonical_id")))
        statements |= _statements_of_datasets(rows, names)
        known = rows.load(tables.stated_edge, "target_id", names)  # under any name: one may have stood for all till now
        stored += [row for row in known if row[0] == NOBODY and row[1] == STATED_DATASET]
    if not stored and not statements:
        return set()
    edges, columns = _rows(rows, statements)
    gone, new = set(stored) - edges, edges - set(stored)
    rows.delete(tables.stated_edge, primary_key(tables.stated_edge), [row[:5] for row in gone])
    rows.put(tables.stated_edge, sorted(new))
    stated = {(column_owner(row[0]), row[2]) for row in (*stored, *edges)}
    found = rows.load(tables.column_edge, "job_id", {owner for owner, _ in stated})
    old_columns = {row for row in found if (row[1], row[0]) in stated}
    rows.delete(tables.column_edge, primary_key(tables.column_edge), [row[:5] for row in old_columns - columns])
    rows.put(tables.column_edge, sorted(columns - old_columns))
    return {thing for row in gone | new for kind, thing in ((row[1], row[2]), (row[3], row[4])) if kind == STATED_JOB}


def stated_sides(rows: Rows, jobs: Collection[int]) -> Iterator[tuple[int, int, int]]:
    """(job, INPUT or OUTPUT, dataset) that statements add to what ``jobs`` read and write."""
    for owner, target_kind, target, source_kind, source, _ in rows.load(tables.stated_edge, "owner_id", jobs):
        if target_kind == STATED_DATASET and source_kind != STATED_JOB:
            yield owner, OUTPUT, target  # the owner makes it, of a source or of nothing
            if source_kind == STATED_DATASET:
                yield owner, INPUT, source
    for _, target_kind, target, source_kind, source, _ in rows.load(tables.stated_edge, "target_id", jobs):
        if target_kind == STATED_JOB and source_kind == STATED_DATASET:
            yield target, INPUT, source
    for _, target_kind, target, source_kind, source, _ in rows.load(tables.stated_edge, "source_id", jobs):
        if source_kind == STATED_JOB and target_kind == STATED_DATASET:
            yield source, OUTPUT, target


def _statements_of_jobs(rows: Rows, jobs: dict[int, JobFacts]) -> Statements:
    found: Statements = defaultdict(set)
    owners = {job.statement_run: job.id for job in jobs.values() if job.statement_run is not None}
    for run, dataset, body in rows.load(tables.run_statement, "run", owners):
        found[owners[run]].add((dataset, body))
    declaring = [job.id for job in jobs.values() if job.declared_stamp is not None]
    for job, _, dataset, packed in rows.load(tables.declared_dataset, "job_id", declaring):
        entry = unpack_facets(packed).get(STATEMENT)
        if entry is not None:
            found[job].add((dataset, entry[2]))
    return found


def _statements_of_datasets(rows: Rows, names: Iterable[int]) -> Statements:
    """What DatasetEvents state of the datasets with these ``names``, under owner NOBODY."""
    columns = ("job_id", "dataset_id", "facets")
    found: set[tuple[int, int]] = set()
    for job, dataset, packed in rows.load(tables.declared_dataset, "dataset_id", names, columns):
        entry = unpack_facets(packed).get(STATEMENT)
        if job == NOBODY and entry is not None:
            found.add((dataset, entry[2]))
    return {NOBODY: found} if found else {}


def _rows(rows: Rows, statements: Statements) -> tuple[set[Row], set[Row]]:
    """The rows of ``stated_edge`` and those of ``column_edge`` that the statements make."""
    ids = {body for one in statements.values() for _, body in one}
    bodies = load_bodies(rows, ids)
    made = [
        (owner, flow)
        for owner, one in statements.items()
        for carrier, body in one
        for flow in flows(bodies[body], carrier)
    ]
    things = {thing for _, flow in made for kind, thing in (flow.target, flow.source) if kind == STATED_DATASET}
    canonical: dict[int, int] = dict(rows.load(tables.dataset, "id", things, ("id", "canonical_id")))

    def resolve(owner: int, thing: Thing) -> Thing:
        kind, one = thing
        if kind == STATED_JOB:
            return (kind, one or owner)
        return (kind, canonical.get(one, one))

    edges: set[Row] = set()
    columns: dict[tuple[object, ...], Row] = {}
    for owner, flow in made:
        target, source = resolve(owner, flow.target), resolve(owner, flow.source)
        if 0 in (target[1], source[1]) and source[0] != STATED_NOTHING:
            continue  # "the job that states", in a DatasetEvent
        edges.add((owner, *target, *source, _is_direct(owner, target, source)))
        if target[0] == source[0] == STATED_DATASET and (flow.field or flow.source_field):
            _add_column(columns, owner, target[1], source[1], flow)
    return edges, set(columns.values())


def _add_column(columns: dict[tuple[object, ...], Row], owner: int, target: int, source: int, flow: Flow) -> None:
    key = (target, column_owner(owner), flow.field, source, flow.source_field)
    row = (*key, flow.transformations)
    columns[key] = max(row, columns.get(key, row))  # of two wordings of one flow, the same one always


def _is_direct(owner: int, target: Thing, source: Thing) -> bool:
    if target[0] == source[0] == STATED_JOB:
        return True
    return owner == NOBODY and target[0] == source[0] == STATED_DATASET
