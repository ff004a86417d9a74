"""Which run of a job is its newest, its newest that read, that wrote, and that wrote or stated its lineage.

The newest run is the one first heard of last: the greatest (created_us, run_key). Each job keeps its four; a commit
compares them with the runs that it touched, so a job of a million runs costs no more than one of two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from collector import tables
from collector.facts import JobFacts, RunFacts
from collector.store.rows import Rows

# the job's column, and which runs may stand in it
_CHOICES: tuple[tuple[str, Callable[[RunFacts], bool], str], ...] = (
    ("latest_run", lambda run: True, ""),
    ("input_run", lambda run: bool(run.has_inputs), " AND has_inputs"),
    ("output_run", lambda run: bool(run.has_outputs), " AND has_outputs"),
    (
        "statement_run",
        lambda run: bool(run.has_outputs or run.has_statements),
        " AND (has_outputs OR has_statements)",
    ),
)

Key = tuple[int, bytes]


def choose_newest_runs(
    rows: Rows, jobs: dict[int, JobFacts], runs: dict[int, RunFacts], moved: Collection[int]
) -> None:
    """Set each job's four newest runs, and the state of the newest.

    ``runs`` are those that this commit touched, merged and stored, by id; ``moved`` those of them that turned out to
    have begun earlier than was known, or to be another job's.
    """
    of_job: dict[int, list[int]] = defaultdict(list)
    for run_id, run in runs.items():
        of_job[run.job_id].append(run_id)
    standing = {getattr(job, name) for job in jobs.values() for name, _, _ in _CHOICES} - {None}
    keys = _keys(rows, standing - runs.keys()) | {run_id: (run.created_us, run.run_key) for run_id, run in runs.items()}
    elsewhere: dict[int, JobFacts] = {}  # jobs by a newest run that this commit did not touch
    for job in jobs.values():
        before = job.latest_run
        for name, fits, condition in _CHOICES:
            old = getattr(job, name)
            candidates = [run_id for run_id in of_job[job.id] if fits(runs[run_id])]
            if old is not None and old in runs and (runs[old].job_id != job.id or old in moved):
                setattr(job, name, _look_up(rows, job.id, condition))
            elif candidates:
                if old is not None:
                    candidates.append(old)
                setattr(job, name, max(candidates, key=keys.__getitem__))
        if job.latest_run is None:
            job.latest_state = None
        elif job.latest_run in runs:
            job.latest_state = runs[job.latest_run].state
        elif job.latest_run != before:
            elsewhere[job.latest_run] = job
    for run_id, state in rows.load(tables.run, "id", elsewhere, ("id", "state")):
        elsewhere[run_id].latest_state = state


def _keys(rows: Rows, runs: Iterable[int]) -> dict[int, Key]:
    found = rows.load(tables.run, "id", runs, ("id", "created_us", "run_key"))
    return {run_id: (created_us, run_key) for run_id, created_us, run_key in found}


def _look_up(rows: Rows, job_id: int, condition: str) -> int | None:
    """The newest by the index, where a run that stood has moved back in time or to another job."""
    found = rows.fetch(
        f"SELECT id FROM run WHERE job_id = {job_id:d}{condition} ORDER BY created_us DESC, run_key DESC LIMIT 1"
    )
    return found[0][0] if found else None
