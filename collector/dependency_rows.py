"""What jobs wait for and what they start, as rows.

A job's rows are those of its newest run that carries the ``jobDependencies`` facet, so that a run which says nothing of
it takes nothing away, and one that says it is deleted, or that there are none, takes all. Nothing is asked or written
where neither the facet came nor a run that carries it moved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from collector import tables
from collector.dependencies import FACET, Dependencies, read_dependencies
from collector.facet_bodies import load_bodies
from collector.facts import Facts, RunFacts
from collector.packing import unpack_facets
from collector.store.rows import Row, Rows, primary_key
from collector.tables import TOLD_BY

_PAGE = 100  # runs looked through at a time


def refresh_dependencies(
    rows: Rows, facts: Facts, jobs: Collection[int], runs: Mapping[int, RunFacts], moved: Collection[int]
) -> None:
    """Make anew the rows of those of the touched ``jobs`` whose newest run that carries the facet is among ``runs``.

    ``runs`` are those that this commit touched, merged and stored, by id; ``moved`` those of them that turned out to
    have begun earlier than was known, or to be another job's.
    """
    told = {
        one
        for one, run in runs.items()
        if FACET in run.facets and (one in moved or FACET in facts.runs[run.run_key].facets)
    }
    if not told:
        return
    stored: dict[int, set[Row]] = {}
    for row in rows.load(tables.job_dependency, "job_id", jobs):
        stored.setdefault(row[0], set()).add(tuple(row))
    standing = {job: next(iter(found))[3] for job, found in stored.items()}
    chosen = _choose(rows, told, runs, moved, standing)
    wanted_runs = {run for run in chosen.values() if run is not None}
    facets = {run: runs[run].facets for run in wanted_runs if run in runs}
    loaded = rows.load(tables.run, "id", wanted_runs - facets.keys(), ("id", "facets"))
    facets |= {run: unpack_facets(packed) for run, packed in loaded}
    ids = {run: found[FACET][2] for run, found in facets.items()}
    said = {one: read_dependencies(body) for one, body in load_bodies(rows, set(ids.values())).items()}
    gone: list[Row] = []
    new: list[Row] = []
    for job, run in chosen.items():
        wanted = set(_rows_of(job, run, said[ids[run]])) if run is not None else set()
        gone += [row[:3] for row in stored.get(job, set()) - wanted]
        new += sorted(wanted - stored.get(job, set()), key=lambda row: row[:3])
    rows.delete(tables.job_dependency, primary_key(tables.job_dependency), gone)
    rows.put(tables.job_dependency, new)


def _rows_of(job: int, run: int, said: Dependencies) -> Iterable[Row]:
    yield job, TOLD_BY, 0, run, None, None, said.rule
    for one in said.others:
        if one.other.id != job:
            yield job, one.direction, one.other.id, run, *one[2:]


def _choose(
    rows: Rows,
    told: Collection[int],
    runs: Mapping[int, RunFacts],
    moved: Collection[int],
    standing: Mapping[int, int],
) -> dict[int, int | None]:
    """The run whose word counts, by job, for each job that one of the ``told`` runs belongs or belonged to."""
    candidates: dict[int, list[int]] = {runs[run].job_id: [] for run in told}
    for run in told:
        candidates[runs[run].job_id].append(run)
    for job, run in standing.items():
        if run in told:
            candidates.setdefault(job, [])
    others = {standing[job] for job in candidates if job in standing} - runs.keys()
    known = rows.load(tables.run, "id", others, ("id", "created_us", "run_key"))
    order = {run: (created_us, bytes(run_key)) for run, created_us, run_key in known}
    order |= {run: (said.created_us, bytes(said.run_key)) for run, said in runs.items()}
    chosen: dict[int, int | None] = {}
    for job, found in candidates.items():
        old = standing.get(job)
        if old is not None and old in moved:
            chosen[job] = _look_up(rows, job)
        else:
            chosen[job] = max([*found, *([old] if old is not None else [])], key=order.__getitem__)
    return chosen


def _look_up(rows: Rows, job: int) -> int | None:
    """The newest run of a job that carries the facet, where the one that stood has moved: the runs, newest first."""
    offset = 0
    while True:
        page = rows.fetch(
            f"SELECT id, facets FROM run WHERE job_id = {job:d} "
            f"ORDER BY created_us DESC, run_key DESC LIMIT {_PAGE} OFFSET {offset:d}"
        )
        for run, packed in page:
            if FACET in unpack_facets(packed):
                return int(run)
        if len(page) < _PAGE:
            return None
        offset += _PAGE
