"""How well each step of a graph of datasets and jobs is known: that a job reads a dataset, that it writes one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from collector.store.compiled import Among, statement
from collector.tables import STATED_DATASET, STATED_NOTHING, column_edge, stated_edge

Steps = dict[tuple[int, int], str]


@statement
def _stated(among: Among) -> Any:
    s = stated_edge.c
    return select(s.owner_id, s.target_kind, s.target_id, s.source_kind, s.source_id).where(among(s.owner_id))


@statement
def _by_column(among: Among) -> Any:
    c = column_edge.c
    return select(c.job_id, c.destination_id, c.origin_id).where(among(c.job_id)).distinct()


def step_evidence(connection: Connection, jobs: Iterable[int]) -> tuple[Steps, Steps]:
    """The evidence of what ``jobs`` read, by (dataset, job), and of what they write, by (job, dataset).

    ``explicit`` is what a job states in ``lineage`` facets, ``column`` what its column lineage names, unless the job
    states where that output comes from. What is in neither is only declared. Two statements, which cost what the jobs
    state and their column lineage is long.
    """
    jobs = list(jobs)
    read: Steps = {}
    written: Steps = {}
    told: set[tuple[int, int]] = set()
    for job, target_kind, target, source_kind, source in _stated(connection, jobs):
        if target_kind == STATED_DATASET:
            told.add((job, target))
            if source_kind != STATED_NOTHING:
                written[job, target] = "explicit"
        if source_kind == STATED_DATASET:
            read[source, job] = "explicit"
    for job, destination, origin in _by_column(connection, jobs):
        if (job, destination) not in told:
            written[job, destination] = "column"
            read.setdefault((origin, job), "column")
    return read, written
