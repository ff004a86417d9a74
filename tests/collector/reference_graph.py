"""Events as they arrived, and the current graph that some of them tell of, in slow plain Python.

The rules are those in the docstrings of the collector's ``edges``, ``stated``, ``names``, ``flow`` and
``step_evidence``; beside ``reference_walk.World`` this knows symlinks, explicit lineage and events of one time.
Datasets and jobs are known by (namespace, name); a node of the mixed graph is (``"d"`` or ``"j"``, that).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from collector.decode import Body
from collector.keys import content_hash, dataset_id, microseconds, run_key
from tests.collector.events import JSON
from tests.collector.reference_walk import Answer

Name = tuple[str, str]  # namespace and name
Node = tuple[str, Name]  # "d" or "j", and which
NOTHING = ("", ("", ""))  # the source of what is stated to have none


@dataclass(frozen=True, eq=False)
class Arrived:
    """An event, and when it was received (microseconds since 1970 UTC)."""

    event: JSON
    received_us: int

    @cached_property
    def raw(self) -> bytes:
        """The body that was sent."""
        return json.dumps(self.event).encode()

    @cached_property
    def hash(self) -> bytes:
        """What tells it from any other."""
        return content_hash(self.raw)

    @cached_property
    def time_us(self) -> int:
        """When it says that it happened."""
        return microseconds(self.event["eventTime"])

    @property
    def kind(self) -> str:
        """``run``, ``job`` or ``dataset``."""
        return next(kind for kind in ("run", "dataset", "job") if kind in self.event)

    @property
    def type(self) -> str:
        """A run event's type; one without is an OTHER."""
        return (self.event.get("eventType") or "OTHER").upper()

    @property
    def key(self) -> bytes:
        """The run's key."""
        return run_key(self.event["run"]["runId"])

    @property
    def job(self) -> Name:
        """The job of a run's or a job's event."""
        return name_of(self.event["job"])

    def datasets(self, *sides: str) -> Iterator[JSON]:
        """The datasets that it lists: ``inputs``, ``outputs``, or the one ``dataset`` that it is about."""
        for side in sides or ("inputs", "outputs", "dataset"):
            found = self.event.get(side) or ()
            yield from [found] if isinstance(found, dict) else found


def name_of(thing: JSON) -> Name:
    """Which dataset or job it is."""
    return (thing["namespace"], thing["name"])


def newest_facet(said: Iterable[tuple[int, JSON]], name: str) -> JSON | None:
    """Of (time, facets), the facet ``name`` with the greatest (time, content hash); None where that is no facet."""
    found = [
        (time_us, Body.of(json.dumps(facets[name]).encode()).tie, facets[name])
        for time_us, facets in said
        if name in facets
    ]
    newest = max(found, key=lambda one: one[:2])[2] if found else None
    return newest if isinstance(newest, dict) else None


def facets_of(thing: JSON) -> JSON:
    """Its facets; none where it has no such field."""
    return thing.get("facets") or {}


# --- names -----------------------------------------------------------------------------------------------------------


class Names:
    """Which names are one dataset: those that symlinks and renames in any of the events tie together."""

    def __init__(self, events: Iterable[Arrived]) -> None:
        pairs = {
            (name_of(dataset), alias)
            for arrived in events
            for dataset in arrived.datasets()
            for alias in _aliases(facets_of(dataset))
            if alias != name_of(dataset)
        }
        aliases = {alias for _, alias in pairs}
        self._canonical: dict[Name, Name] = {}
        for name in {name for pair in pairs for name in pair}:
            members = {name}
            while more := {other for pair in pairs if members & set(pair) for other in pair} - members:
                members |= more
            # never given *as* another name if there is such a one, then the first by name
            self._canonical[name] = min(members, key=lambda one: (one in aliases, one[1], dataset_id(*one)))

    def __getitem__(self, name: Name) -> Name:
        """The name that stands for all of the dataset's."""
        return self._canonical.get(name, name)

    def of(self, thing: JSON) -> Name:
        """Which dataset it is."""
        return self[name_of(thing)]


def _aliases(facets: JSON) -> list[Name]:
    found = list(facets.get("symlinks", {}).get("identifiers", ()))
    change = facets.get("lifecycleStateChange", {})
    if change.get("lifecycleStateChange", "").upper() == "RENAME" and change.get("previousIdentifier"):
        found.append(change["previousIdentifier"])
    return [name_of(one) for one in found]


# --- what facets say of origins --------------------------------------------------------------------------------------


def column_origins(lineage: JSON | None) -> set[Name]:
    """The datasets that a columnLineage facet names as origins."""
    if lineage is None:
        return set()
    found = list(lineage.get("dataset") or ())
    for column in (lineage.get("fields") or {}).values():
        found += column.get("inputFields") or ()
    return {name_of(one) for one in found}


def stated_flows(facets: JSON, carrier: Name | None, owner: Name | None) -> Iterator[tuple[Node, Node]]:
    """(target, source) of what the ``lineage`` facet among the facets of the dataset ``carrier`` (None: of the job)
    states; ``owner`` is the job that a nameless JOB means, None for a DatasetEvent."""
    statement = facets.get("lineage")
    if not isinstance(statement, dict):
        return
    entries = [{"type": "DATASET", "namespace": carrier[0], "name": carrier[1], **statement}] if carrier else None
    for entry in statement.get("entries") or () if entries is None else entries:
        target = _thing(entry, owner)
        sources = list(entry.get("inputs") or ())
        for field in (entry.get("fields") or {}).values():
            sources += field.get("inputs") or ()
        if target is None:
            continue
        if entry.get("inputs") == [] and not entry.get("fields"):
            yield target, NOTHING
        for source in sources:
            thing = _thing(source, owner)
            if thing is not None:
                yield target, thing


def _thing(one: JSON, owner: Name | None) -> Node | None:
    if one.get("type") == "JOB" and not one.get("namespace") and not one.get("name"):
        return ("j", owner) if owner else None
    if not one.get("namespace") or not one.get("name"):
        return None
    return {"DATASET": ("d", name_of(one)), "JOB": ("j", name_of(one))}.get(one["type"])


def flows_of_event(arrived: Arrived) -> Iterator[tuple[Node, Node]]:
    """Every flow that the ``lineage`` facets of one event state."""
    owner = arrived.job if arrived.kind != "dataset" else None
    if owner:
        yield from stated_flows(facets_of(arrived.event["job"]), None, owner)
    for dataset in arrived.datasets():
        yield from stated_flows(facets_of(dataset), name_of(dataset), owner)


# --- the graph -------------------------------------------------------------------------------------------------------


class Graph:
    """What each job reads and writes now, what is stated of it, and which datasets its outputs' columns come from."""

    def __init__(self, events: Iterable[Arrived], names: Names) -> None:
        self.names = names
        self.jobs: set[Name] = set()
        self.datasets: set[Name] = set()
        self.reads: dict[Name, set[Name]] = defaultdict(set)
        self.writes: dict[Name, set[Name]] = defaultdict(set)
        #: (owner, target, source); owner None: a DatasetEvent states it
        self.stated: set[tuple[Name | None, Node, Node]] = set()
        #: origins by (job, destination); job None: a DatasetEvent says so
        self.columns: dict[tuple[Name | None, Name], set[Name]] = {}
        events = list(events)
        self._note_names(events)
        by_job: dict[Name, list[Arrived]] = defaultdict(list)
        for arrived in events:
            if arrived.kind != "dataset":
                by_job[arrived.job].append(arrived)
        for job, own in by_job.items():
            self._add_job(job, own)
        self._add_described([arrived for arrived in events if arrived.kind == "dataset"])
        self._add_stated_sides()

    def _note_names(self, events: list[Arrived]) -> None:
        for arrived in events:
            if arrived.kind != "dataset":
                self.jobs.add(arrived.job)
            for dataset in arrived.datasets():
                facets = facets_of(dataset)
                named = {name_of(dataset), *_aliases(facets), *column_origins(facets.get("columnLineage"))}
                self.datasets |= {self.names[name] for name in named}
            for flow in flows_of_event(arrived):
                self.jobs |= {name for kind, name in flow if kind == "j"}
                self.datasets |= {self.names[name] for kind, name in flow if kind == "d"}

    def _add_job(self, job: Name, own: list[Arrived]) -> None:
        runs: dict[bytes, list[Arrived]] = defaultdict(list)
        for arrived in own:
            if arrived.kind == "run":
                runs[arrived.key].append(arrived)
        newest_first = [
            run for _, run in sorted(runs.items(), key=lambda one: (min(e.time_us for e in one[1]), one[0]))
        ][::-1]
        declared = sorted((e for e in own if e.kind == "job"), key=lambda e: (e.time_us, e.hash))[-1:]

        def newest(*sides: str, or_statement: bool = False) -> list[Arrived]:
            for run in newest_first:
                if any(any(e.datasets(*sides)) or (or_statement and any(_lineage_facets(e))) for e in run):
                    return run
            return []

        reading, writing = newest("inputs") or declared, newest("outputs") or declared
        self.reads[job] = {self.names.of(one) for e in reading for one in e.datasets("inputs")}
        self.writes[job] = {self.names.of(one) for e in writing for one in e.datasets("outputs")}
        for output in self.writes[job]:
            said = [(e.time_us, facets_of(one)) for e in writing for one in e.datasets("outputs")
                    if self.names.of(one) == output]  # fmt: skip
            origins = column_origins(newest_facet(said, "columnLineage"))
            if origins:
                self.columns[job, output] = {self.names[name] for name in origins}
        for arrived in [*newest("outputs", or_statement=True), *declared]:
            self._state(job, flows_of_event(arrived))

    def _add_described(self, events: list[Arrived]) -> None:
        said: dict[Name, list[tuple[int, JSON]]] = defaultdict(list)  # by name as given
        of_all: dict[Name, list[tuple[int, JSON]]] = defaultdict(list)  # by dataset
        for arrived in events:
            dataset = arrived.event["dataset"]
            word = (arrived.time_us, facets_of(dataset))
            said[name_of(dataset)].append(word)
            of_all[self.names.of(dataset)].append(word)
        for name, words in said.items():
            self._state(None, stated_flows({"lineage": newest_facet(words, "lineage")}, name, None))
        for dataset, words in of_all.items():
            origins = column_origins(newest_facet(words, "columnLineage"))
            if origins:
                self.columns[None, dataset] = {self.names[name] for name in origins}

    def _state(self, owner: Name | None, flows: Iterable[tuple[Node, Node]]) -> None:
        self.stated.update((owner, self.resolved(target), self.resolved(source)) for target, source in flows)

    def resolved(self, node: Node) -> Node:
        """The node under the name that stands for all of a dataset's."""
        return ("d", self.names[node[1]]) if node[0] == "d" else node

    def _add_stated_sides(self) -> None:
        """What is stated is read and written too."""
        for owner, (kind, target), (source_kind, source) in self.stated:
            if kind == "d" and source_kind != "j" and owner is not None:
                self.writes[owner].add(target)
                if source_kind == "d":
                    self.reads[owner].add(source)
            if kind == "j" and source_kind == "d":
                self.reads[target].add(source)
            if kind == "d" and source_kind == "j":
                self.writes[source].add(target)

    # --- edges and walks ---------------------------------------------------------------------------------------------

    def dataset_edges(self) -> dict[tuple[Name, Name], str]:
        """Evidence of each (origin, destination): the best of each job counts."""
        found = Answer()
        spoken_for = {(owner, target) for owner, (kind, target), _ in self.stated if kind == "d"}
        for _, (kind, target), (source_kind, source) in self.stated:
            if kind == source_kind == "d":
                found.add(source, target, "explicit")
        for (job, destination), origins in self.columns.items():
            if (job, destination) not in spoken_for:
                for origin in origins:
                    found.add(origin, destination, "column")
        for job in self.jobs:
            for destination in self.writes[job]:
                if (job, destination) not in spoken_for and (job, destination) not in self.columns:
                    for origin in self.reads[job]:
                        found.add(origin, destination, "inferred" if len(self.writes[job]) > 1 else "declared")
        return {(a, b): evidence for (a, b), evidence in found.edges.items() if a != b}

    def walk_datasets(self, start: Name, way: str, depth: int) -> Answer:
        """Datasets made from datasets, one way."""
        pairs = self.dataset_edges()
        answer = Answer({start: 0})
        level: set[Any] = {start}
        for distance in range(1, depth + 1):
            found = set()
            for (origin, destination), evidence in pairs.items():
                near, far = (destination, origin) if way == "upstream" else (origin, destination)
                if near in level:
                    answer.add(origin, destination, evidence)
                    found.add(far)
            level = found - answer.nodes.keys()
            answer.nodes |= dict.fromkeys(level, distance)
        return answer

    def walk(self, start: Node, way: str, depth: int) -> Answer:
        """Datasets and jobs one way; a dataset and the job next to it are one step."""
        answer = Answer({start: 0})
        datasets: set[Node] = {start} if start[0] == "d" else set()
        jobs: set[Node] = {start} if start[0] == "j" else set()
        pairs = self._mixed_edges()
        for distance in range(1, depth + 1):
            for to_datasets in (start[0] == "j", start[0] != "j"):
                # over what joins the two kinds, and straight to the next of the kind that is sought
                kind = "d" if to_datasets else "j"
                reached = set()
                for (origin, destination), evidence in pairs.items():
                    near, far = (destination, origin) if way == "upstream" else (origin, destination)
                    if far[0] == kind and near in (jobs | datasets) and near != far:
                        answer.add(origin, destination, evidence)
                        reached.add(far)
                new = reached - answer.nodes.keys()
                answer.nodes |= dict.fromkeys(new, distance)
                if to_datasets:
                    datasets = new
                else:
                    jobs = new
        return answer

    def around(self, start: Node, depth: int) -> Answer:
        """Upstream and downstream together."""
        up, down = self.walk(start, "upstream", depth), self.walk(start, "downstream", depth)
        nodes = up.nodes | {node: min(one, up.nodes.get(node, one)) for node, one in down.nodes.items()}
        return Answer(nodes, up.edges | down.edges)

    def _mixed_edges(self) -> dict[tuple[Node, Node], str]:
        found = Answer()
        for job in self.jobs:
            stated = [(target, source) for owner, target, source in self.stated if owner == job]
            targets, sources = {target for target, _ in stated}, {source for _, source in stated}
            made_of_something = {target for target, source in stated if source != NOTHING}
            by_column = {made: origins for (owner, made), origins in self.columns.items() if owner == job}
            origins = {one for made, some in by_column.items() if ("d", made) not in targets for one in some}
            for name in self.reads[job]:
                known = "explicit" if ("d", name) in sources else "column" if name in origins else "declared"
                found.add(("d", name), ("j", job), known)
            for name in self.writes[job]:
                by_its_columns = name in by_column and ("d", name) not in targets
                known = "column" if by_its_columns else "declared"
                known = "explicit" if ("d", name) in made_of_something else known
                found.add(("j", job), ("d", name), known)
        for owner, target, source in self.stated:
            is_direct = target[0] == source[0] == "j" or (owner is None and target[0] == source[0] == "d")
            if is_direct and target != source:
                found.add(source, target, "explicit")
        return found.edges


def _lineage_facets(arrived: Arrived) -> Iterator[Any]:
    for thing in (arrived.event["job"], *arrived.datasets()):
        if "lineage" in facets_of(thing):
            yield thing
