"""The graph that some events tell of, and walks over it in slow plain Python: what the collector's answers are held to.

Only runs of one job each, JobEvents and DatasetEvents with times of their own, without symlinks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.collector.events import JSON

Edges = dict[tuple[Any, Any], str]  # evidence by (origin, destination)
BEST_FIRST = ("explicit", "column", "declared", "inferred")


@dataclass
class Answer:
    """Nodes by distance from the start, and edges along the data."""

    nodes: dict[Any, int] = field(default_factory=dict)
    edges: Edges = field(default_factory=dict)

    def add(self, origin: Any, destination: Any, evidence: str = "declared") -> None:
        """Take in an edge; the best evidence of it counts."""
        known = self.edges.get((origin, destination), evidence)
        self.edges[origin, destination] = min(known, evidence, key=BEST_FIRST.index)


class World:
    """What each job reads and writes now, and which columns come from which.

    Datasets are (``"d"``, name), jobs (``"j"``, name), columns (dataset name, column); column ``""`` is the whole.
    """

    def __init__(self, events: Iterable[JSON]) -> None:
        self.reads: dict[str, set[str]] = defaultdict(set)
        self.writes: dict[str, set[str]] = defaultdict(set)
        #: (job or "", destination, its column, origin, its column)
        self.columns: set[tuple[str, str, str, str, str]] = set()
        self.jobs: set[str] = set()
        self.datasets: set[str] = set()
        ordered = sorted(events, key=lambda event: event["eventTime"])
        declared = {e["job"]["name"]: e for e in ordered if "job" in e and "run" not in e}
        described = {e["dataset"]["name"]: e for e in ordered if "dataset" in e and _lineage(e["dataset"]) is not None}
        for event in ordered:
            named = [*event.get("inputs", ()), *event.get("outputs", ())] + [
                event[k] for k in ("dataset",) if k in event
            ]
            self.datasets.update(one["name"] for one in named)
            self.datasets.update(origin for one in named for _, origin, _ in _origins(_lineage(one)))
            self.jobs.update([event["job"]["name"]] if "job" in event else [])
        for job in self.jobs:
            own = [event for event in ordered if "run" in event and event["job"]["name"] == job]
            sides = {}
            for side in ("inputs", "outputs"):
                sides[side] = _newest_run(own, side) or [event for name, event in declared.items() if name == job]
            self.reads[job] = {one["name"] for event in sides["inputs"] for one in event["inputs"]}
            self.writes[job] = {one["name"] for event in sides["outputs"] for one in event["outputs"]}
            for name in self.writes[job]:
                found = [one for event in sides["outputs"] for one in event["outputs"] if one["name"] == name]
                lineage = [facet for facet in map(_lineage, found) if facet is not None]
                self.columns.update((job, name, *origin) for origin in _origins(lineage[-1] if lineage else None))
        for name, event in described.items():
            self.columns.update(("", name, *origin) for origin in _origins(_lineage(event["dataset"])))

    # --- walks -------------------------------------------------------------------------------------------------------

    def around(self, start: tuple[str, str], depth: int) -> Answer:
        """Marquez's answer: jobs at most ``depth`` jobs away, each with all of its datasets."""
        answer = Answer({start: 0})
        jobs = {start[1]} if start[0] == "j" else {job for job in self.jobs if start[1] in self._touched(job)}
        for distance in range(depth + 1):
            for job in jobs:
                answer.nodes.setdefault(("j", job), distance)
                for name in self._touched(job):
                    answer.nodes.setdefault(("d", name), distance)
                for name in self.reads[job]:
                    answer.add(("d", name), ("j", job))
                for name in self.writes[job]:
                    answer.add(("j", job), ("d", name))
            touched = {name for job in jobs for name in self._touched(job)}
            jobs = {job for job in self.jobs if ("j", job) not in answer.nodes and touched & self._touched(job)}
        return answer

    def _touched(self, job: str) -> set[str]:
        return self.reads[job] | self.writes[job]

    def directed(self, start: tuple[str, str], way: str, depth: int) -> Answer:
        """Datasets and jobs one way; a dataset and the job next to it are one step."""
        near, far = (self.writes, self.reads) if way == "upstream" else (self.reads, self.writes)
        answer = Answer({start: 0})
        level = [start]
        for half in range(2 * depth):
            found: list[tuple[str, str]] = []
            for kind, name in level:
                if kind == "d":
                    others = [("j", job) for job in sorted(self.jobs) if name in near[job]]
                else:
                    others = [("d", one) for one in sorted(far[name])]
                for other in others:
                    step = ((kind, name), other)[:: -1 if way == "upstream" else 1]
                    answer.add(*step, self._step_evidence(*step))
                    if other not in answer.nodes:
                        answer.nodes[other] = half // 2 + 1
                        found.append(other)
            level = found
        return answer

    def _step_evidence(self, origin: tuple[str, str], destination: tuple[str, str]) -> str:
        """Whether column lineage of the job names the dataset that it reads or writes."""
        if destination[0] == "j":
            is_named = any(job == destination[1] and one == origin[1] for job, _, _, one, _ in self.columns)
        else:
            is_named = any((job, one) == (origin[1], destination[1]) for job, one, *_ in self.columns)
        return "column" if is_named else "declared"

    def datasets_of(self, start: str, way: str, depth: int) -> Answer:
        """Datasets made from datasets."""
        pairs = Answer()
        for _, destination, _, origin, _ in self.columns:
            pairs.add(origin, destination, "column")
        known = {(job, destination) for job, destination, *_ in self.columns}
        for job in self.jobs:
            for destination in self.writes[job]:
                if (job, destination) not in known:
                    for origin in self.reads[job]:
                        pairs.add(origin, destination, "inferred" if len(self.writes[job]) > 1 else "declared")
        return _flow(start, way, depth, lambda: ((a, b, e) for (a, b), e in pairs.edges.items() if a != b))

    def jobs_of(self, start: str, way: str, depth: int) -> Answer:
        """Jobs that read what jobs wrote."""
        pairs = [
            (one, other, "declared")
            for one in self.jobs
            for other in self.jobs
            if one != other and self.writes[one] & self.reads[other]
        ]
        return _flow(start, way, depth, lambda: pairs)

    def columns_of(self, dataset: str, column: str | None, way: str, depth: int) -> Answer:
        """Columns made from columns, from one column or from all of a dataset's."""
        rows = {row[1:] for row in self.columns}
        made = {row[1] for row in rows if row[0] == dataset} | {row[3] for row in rows if row[2] == dataset}
        starts = [(dataset, column)] if column is not None else [(dataset, one) for one in sorted(made) or [""]]
        answer = Answer(dict.fromkeys(starts, 0))
        level = set(starts)
        for distance in range(1, depth + 1):
            found = set()
            for destination, field_, origin, origin_field in rows:
                for mine in level:
                    near, far = ((destination, field_), (origin, origin_field))[:: 1 if way == "upstream" else -1]
                    whole = near[1] == "" or (mine[1] == "" and way == "downstream")
                    if mine[0] == near[0] and (mine[1] == near[1] or whole):
                        answer.add(*((mine, far)[:: -1 if way == "upstream" else 1]), "column")
                        found.add(far)
            level = found - answer.nodes.keys()
            answer.nodes |= dict.fromkeys(level, distance)
        return answer


def _flow(start: Any, way: str, depth: int, pairs: Callable[[], Iterable[tuple[Any, Any, str]]]) -> Answer:
    answer = Answer({start: 0})
    level = {start}
    for distance in range(1, depth + 1):
        found = set()
        for origin, destination, evidence in pairs():
            near, far = (destination, origin) if way == "upstream" else (origin, destination)
            if near in level:
                answer.add(origin, destination, evidence)
                found.add(far)
        level = found - answer.nodes.keys()
        answer.nodes |= dict.fromkeys(level, distance)
    return answer


def _newest_run(events: list[JSON], side: str) -> list[JSON]:
    """The events of the run that was first heard of last, of those that have anything on ``side``."""
    by_run: dict[str, list[JSON]] = {}
    for event in events:
        by_run.setdefault(event["run"]["runId"], []).append(event)
    fitting = [run for run in by_run.values() if any(event[side] for event in run)]
    return fitting[-1] if fitting else []  # in the order in which they were first heard of


def _lineage(dataset: JSON) -> JSON | None:
    lineage: JSON | None = dataset.get("facets", {}).get("columnLineage")
    return lineage


def _origins(lineage: JSON | None) -> list[tuple[str, str, str]]:
    """(column, origin, its column) of each origin in a columnLineage facet."""
    if lineage is None:
        return []
    found = [("", one["name"], one["field"]) for one in lineage.get("dataset", ())]
    for column, output in lineage.get("fields", {}).items():
        found += [(column, one["name"], one["field"]) for one in output["inputFields"]]
    return found
