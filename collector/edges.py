"""The current graph: a job's inputs and outputs are those of its newest run that has any, else the declared ones.

"Newest" is by the time at which the run is first heard of. Inputs and outputs are looked up apart, so a failed run
without outputs never erases a successful one's. Rows are made anew for the jobs that a commit touched, from what is
stored about them, so no order of arrival can matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from collector import tables
from collector.curation import TOLD
from collector.facet_bodies import load_bodies
from collector.facets import ColumnLineage, InputField, Transformation, has_name, read
from collector.facts import FacetSet, JobFacts
from collector.keys import FIELD_BYTES, clean_name, dataset_id
from collector.packing import facts_of, unpack_facets
from collector.store.rows import Row, Rows
from collector.tables import INPUT, OUTPUT

DESCRIBED = 0  # the "job" of column edges that a DatasetEvent gave

Uses = dict[tuple[int, int], FacetSet]  # (direction, dataset id) → its facets


class Known(NamedTuple):
    """What a commit knows of the store already, so that it need not be loaded again."""

    uses: dict[int, Uses]  # all that some runs read and write, by run id
    canonical: dict[int, int]  # of some datasets


def load_jobs(rows: Rows, wanted: Collection[int], jobs: dict[int, JobFacts]) -> None:
    """Add those of the ``wanted`` jobs to ``jobs`` that it lacks."""
    for row in rows.load(tables.job, "id", set(wanted) - jobs.keys()):
        jobs[row[0]] = facts_of(JobFacts, row)


def refresh_edges(
    rows: Rows,
    jobs: dict[int, JobFacts],
    described: Collection[int],
    stated: Iterable[tuple[int, int, int]],
    known: Known,
) -> None:
    """Make the edges of ``jobs`` anew, and the column edges of the ``described`` datasets.

    ``jobs`` are the touched jobs of this commit, with their newest runs; ``stated`` are the (job, direction, dataset)
    that statements add. Nothing is written where nothing changed.
    """
    uses = _current_uses(rows, jobs.values(), known.uses)
    for job_id, direction, dataset in stated:
        uses[job_id].setdefault((direction, dataset), {})
    datasets = {dataset for sides in uses.values() for _, dataset in sides}.union(described)
    canonical = known.canonical | _canonical(rows, datasets - known.canonical.keys())
    wanted = _wanted_edges(uses, canonical)
    stored = {row[:3]: row for row in rows.load(tables.edge, "job_id", jobs)}
    gone = [key for key in stored if key not in wanted]
    changed = [row for key, row in wanted.items() if stored.get(key) != row]
    rows.delete(tables.edge, ("job_id", "direction", "dataset_id"), gone)
    rows.put(tables.edge, changed)
    stale = [(job_id, dataset) for job_id, direction, dataset in gone if direction == OUTPUT]
    fresh: dict[tuple[int, int], int] = {}
    for job_id, direction, dataset, body in changed:
        old = stored.get((job_id, direction, dataset))
        if direction == OUTPUT and body != (old[3] if old else None):
            stale.append((job_id, dataset))
            if body is not None:
                fresh[(job_id, dataset)] = body
    for dataset, body in _described_columns(rows, {canonical[dataset] for dataset in described}).items():
        stale.append((DESCRIBED, dataset))
        fresh[(DESCRIBED, dataset)] = body
    rows.delete(tables.column_edge, ("job_id", "destination_id"), stale)
    _put_column_edges(rows, fresh)


def _current_uses(rows: Rows, jobs: Iterable[JobFacts], known: dict[int, Uses]) -> dict[int, Uses]:
    """What each job reads and writes now, by job id."""
    uses: dict[int, Uses] = {}
    readers: dict[int, list[int]] = defaultdict(list)
    writers: dict[int, list[int]] = defaultdict(list)
    declaring: list[int] = []
    jobs = list(jobs)
    outdated = _outdated_runs(rows, jobs)
    for job in jobs:
        uses[job.id] = {}
        input_run = job.input_run if job.input_run not in outdated else None
        output_run = job.output_run if job.output_run not in outdated else None
        if input_run is not None:
            readers[input_run].append(job.id)
        if output_run is not None:
            writers[output_run].append(job.id)
        if job.declared_stamp is not None and (input_run is None or output_run is None):
            declaring.append(job.id)
    by_direction = {INPUT: readers, OUTPUT: writers}
    columns = ("run", "direction", "dataset_id", "facets")
    runs = readers.keys() | writers.keys()
    sides = [
        (run, direction, dataset, unpack_facets(packed))
        for run, direction, dataset, packed in rows.load(tables.run_dataset, "run", runs - known.keys(), columns)
    ]
    sides += [(run, *side, facets) for run in runs & known.keys() for side, facets in known[run].items()]
    for run, direction, dataset, facets in sides:
        for job_id in by_direction[direction].get(run, ()):
            uses[job_id][direction, dataset] = facets
    has_run = {INPUT: {j for js in readers.values() for j in js}, OUTPUT: {j for js in writers.values() for j in js}}
    for job_id, direction, dataset, packed in rows.load(tables.declared_dataset, "job_id", declaring):
        if job_id not in has_run[direction] and dataset:
            uses[job_id][direction, dataset] = unpack_facets(packed)
    return uses


def _outdated_runs(rows: Rows, jobs: Iterable[JobFacts]) -> set[int]:
    """The runs that are older than what a legacy PUT told of their job: such a word replaces what runs did before it.

    Nothing is loaded where no job was told of.
    """
    told: dict[int, int] = {}
    for job in jobs:
        if TOLD in job.facets and job.declared_stamp is not None:
            for run in (job.input_run, job.output_run):
                if run is not None:
                    told[run] = job.facets[TOLD][0]
    runs = rows.load(tables.run, "id", told, ("id", "created_us")) if told else []
    return {run for run, created_us in runs if created_us < told[run]}


def _canonical(rows: Rows, datasets: Collection[int]) -> dict[int, int]:
    return dict(rows.load(tables.dataset, "id", datasets, ("id", "canonical_id")))


def _wanted_edges(uses: dict[int, Uses], canonical: dict[int, int]) -> dict[tuple[int, int, int], Row]:
    """Edge rows by key; where several names of one dataset carry columnLineage, the newest counts."""
    best: dict[tuple[int, int, int], tuple[int, int, int] | None] = {}
    for job_id, sides in uses.items():
        for (direction, dataset), facets in sides.items():
            key = (job_id, direction, canonical[dataset])
            columns = facets.get("columnLineage") if direction == OUTPUT else None
            old = best.get(key)
            best[key] = columns if old is None or (columns is not None and columns > old) else old
    return {key: (*key, columns[2] if columns else None) for key, columns in best.items()}


def _described_columns(rows: Rows, described: Collection[int]) -> dict[int, int]:
    """The newest columnLineage body that DatasetEvents gave of each canonical dataset, under any of its names."""
    names: dict[int, int] = dict(rows.load(tables.dataset, "canonical_id", described, ("id", "canonical_id")))
    newest: dict[int, tuple[int, int, int]] = {}
    for job_id, name, packed in rows.load(
        tables.declared_dataset, "dataset_id", names, ("job_id", "dataset_id", "facets")
    ):
        if job_id == DESCRIBED:
            columns = unpack_facets(packed).get("columnLineage")
            if columns is not None:
                newest[names[name]] = max(columns, newest.get(names[name], columns))
    return {dataset: body for dataset, (_, _, body) in newest.items()}


# --- columns ---------------------------------------------------------------------------------------------------------


def _put_column_edges(rows: Rows, fresh: dict[tuple[int, int], int]) -> None:
    """The column edges of each (job, destination dataset), from the body of its columnLineage."""
    parsed = {one: column_origins(body) for one, body in load_bodies(rows, set(fresh.values())).items()}
    canonical = _canonical(rows, {origin for origins in parsed.values() for _, origin, _, _ in origins})
    made: dict[tuple[object, ...], Row] = {}
    for (job_id, destination), body_id in fresh.items():
        for field, origin, origin_field, transformations in parsed[body_id]:
            key = (destination, job_id, field, canonical.get(origin, origin), origin_field)
            made[key] = (*key, transformations)
    rows.put(tables.column_edge, list(made.values()))


def column_origins(body: bytes) -> list[tuple[str, int, str, str]]:
    """(column, origin dataset's id, its column, transformations as JSON) of each origin in a columnLineage facet.

    Column ``''`` is the dataset as a whole (the facet's ``dataset`` list, 1-2-0).
    """
    facet = read(body, ColumnLineage)
    if facet is None:
        return []
    found = [("", *_origin(origin, None)) for origin in facet.dataset or () if has_name(origin)]
    for name, output in (facet.fields or {}).items():
        legacy = None
        if output.transformationType or output.transformationDescription:
            legacy = Transformation(type=output.transformationType, description=output.transformationDescription)
        column = clean_name(name, FIELD_BYTES)
        found.extend((column, *_origin(origin, legacy)) for origin in output.inputFields or () if has_name(origin))
    return found


def _origin(origin: InputField, legacy: Transformation | None) -> tuple[int, str, str]:
    transformations = origin.transformations or ([legacy] if legacy else [])
    origin_id = dataset_id(clean_name(origin.namespace), clean_name(origin.name))
    text = msgspec.json.encode(transformations).decode().replace("\\u0000", "\\u2400")
    return origin_id, clean_name(origin.field, FIELD_BYTES), text
