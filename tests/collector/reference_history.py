"""What the collector must answer by version and by time, from the list of events, in slow plain Python.

The semantics are issue 6's. Where they are silent, these are the rules:

- *Names.* A dataset that a run lists under several of its names has one version of that run, and is read once; the
  version's UUID is made of the least id among those names. A version written under an alias shows the dataset's
  canonical name.
- *Naming a version.* Producer's version, then UUID, checksum (whole, its value, six characters or more of it), run id:
  the first of these that fits anything counts, and of several versions that fit, the newest. A dataset without a
  version at the moment is asked about as a node without one: what read it before anybody wrote it is its impact.
- *A named version that does not exist* makes the reading inferred; a checksum beside it is not tried.
- *A description*, that is a DatasetEvent that names neither version nor checksum, tells nothing of the data. It is the
  newest version only where no other is there, supersedes none but descriptions of a dataset that has nothing else, and
  makes nothing stale. All other versions are *data versions*.
- *Wrote one dataset only*: no other is listed among its outputs; one that was only announced is another.
- *Explicit*: a ``lineage`` facet counts whichever side of the run lists its dataset. Sources that are jobs are no
  inputs. A statement without ``inputs`` and without fields' inputs says nothing.
- *Column*: a ``columnLineage`` without any origin (empty, deleted) is none.
- *A version that a DatasetEvent made* was made from nothing and has no code version.
- *Code version*: a ``headwater_assetVersion`` without codeVersion gives its assetVersion. Else what the run's own
  events said of their job (the newest of each facet) counts, never what was said of the job by others.
- *Depth*: versions at most ``depth`` steps away, and the steps that lead there from versions nearer than that.
- *Rebuild*: the newest versions of their datasets among those downstream (not the start), by the job that wrote them.
  A job comes after each job of the list whose rebuilt dataset it read for them, in whatever version; within a cycle
  any order will do.
- *Stale.* What counts is the newest version of each: it is stale where an input's newest version has another content
  than the one that was read (the same checksum again, after others, is the same content). An input that nobody had
  written (``unknown``) and somebody has written since is a cause with no version read. What the same run wrote does not
  make its own output stale: an incremental table is not stale for having been its own input. ``since`` of a cause is
  the time of the first of the versions with another content (of other runs) that last followed the read content.
  ``because`` are the other inputs whose newest version is stale; datasets that are stale only because of each other
  are not. ``since`` of a dataset is the earliest of its causes and of what it is stale because of.
- *Diff.* A node is there at a moment when an event by then mentions it; a start that is not there has an empty graph.
  ``version`` changes with the identity of the newest version, and ``checksum`` with it where either has one; ``code``
  is the newest version's. ``schema`` (a column is changed when its type is) and a job's ``code`` are what the newest
  teller says, of those that say anything: a run, by when it is known *today* to have begun, a JobEvent or a
  DatasetEvent by its time. Of one run the newest schema facet counts, on either side and under any name.
- *Reproducible.* The inputs that flowed into the output count, by the best evidence. An input's checksum is the one
  that the run names, else that of the version read. Outputs of no input (a load from outside), of an input of unknown
  checksum or of unknown code version are not compared.
- *No-op rebuilds* are stretches of successive data versions with one checksum that two runs or more wrote; one that a
  DatasetEvent made does not break a stretch when it has that checksum, and is not listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from collector.keys import content_hash, dataset_id, microseconds
from collector.versions import version_uuid
from lineage.nodes import dataset_node, job_node
from tests.collector.events import JSON
from tests.collector.reference_graph import (
    Arrived,
    Graph,
    Name,
    Names,
    Node,
    column_origins,
    facets_of,
    flows_of_event,
    name_of,
    newest_facet,
)

WRITING = ("RUNNING", "COMPLETE", "OTHER")
VersionNode = tuple[Name, str | None]  # dataset, and the version's UUID; None: of a dataset that was never written
CHECKSUM_CHARACTERS = 6  # at least so many of a checksum's value name it


@dataclass(frozen=True)
class Version:
    """A version of ``dataset``; ``run`` and ``job`` are None where a DatasetEvent made it."""

    dataset: Name
    at: int
    key: bytes
    uuid: str
    version: str | None
    checksum: str | None
    code: str | None = None
    code_evidence: str | None = None
    run: str | None = None
    job: Name | None = None

    @property
    def node(self) -> VersionNode:
        """Where it stands in a graph of versions."""
        return (self.dataset, self.uuid)

    @property
    def says_content(self) -> bool:
        """Whether it is a version of the data; a DatasetEvent may only describe."""
        return self.run is not None or self.version is not None or self.checksum is not None


@dataclass(frozen=True)
class Step:
    """That ``destination`` was made from ``origin``, by ``run``."""

    origin: VersionNode
    destination: VersionNode
    run: str
    version_evidence: str
    flow_evidence: str


@dataclass
class Lineage:
    """Versions by distance from the one that was asked about, and the steps between them."""

    versions: dict[VersionNode, int]
    steps: set[Step] = field(default_factory=set)


@dataclass(frozen=True)
class Cause:
    """An input that has moved on since it was read."""

    dataset: Name
    read: str | None
    newest: str
    since: int
    evidence: str


@dataclass
class Staleness:
    """Whether a dataset is older than what it was made from."""

    distance: int
    causes: set[Cause] = field(default_factory=set)
    because: set[Name] = field(default_factory=set)
    since: int | None = None

    @property
    def stale(self) -> bool:
        """Whether there is any reason."""
        return bool(self.causes or self.because)


@dataclass
class Rebuild:
    """The datasets to make again by job, and the pairs of jobs of which the first must come before the second."""

    datasets: dict[Name, set[Name]]
    before: set[tuple[Name, Name]]

    def allows(self, order: list[Name]) -> bool:
        """Whether these are the jobs, each once and after what it needs."""
        place = {job: at for at, job in enumerate(order)}
        if len(place) != len(order) or place.keys() != self.datasets.keys():
            return False
        return all(place[first] < place[then] for first, then in self.before)


@dataclass(frozen=True)
class Unreproducible:
    """Runs of a job, as (run id, checksum of what they wrote), with equal code and inputs and different outputs."""

    job: Name
    dataset: Name
    code: str
    inputs: frozenset[tuple[Name, str]]
    runs: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class NoOp:
    """Versions of successive runs with one checksum, oldest first."""

    dataset: Name
    checksum: str
    versions: tuple[str, ...]


@dataclass
class Diff:
    """What is in the graph around a node at one moment and not at another."""

    added: set[str]
    removed: set[str]
    changed: dict[str, JSON]
    edges_added: set[tuple[str, str]]
    edges_removed: set[tuple[str, str]]


class History:
    """Everything that arrived, in that order: (received, in microseconds since 1970 UTC; event)."""

    def __init__(self, arrived: Iterable[tuple[int, JSON]]) -> None:
        unique: dict[bytes, Arrived] = {}
        for received_us, event in arrived:
            one = Arrived(event, received_us)
            unique.setdefault(one.hash, one)  # the same body again says nothing new
        self.events = list(unique.values())
        self.names = Names(self.events)  # as they are known today, whatever the moment
        self.begun: dict[bytes, int] = {}  # when each run began, as is known today
        for one in self.events:
            if one.kind == "run":
                self.begun[one.key] = min(one.time_us, self.begun.get(one.key, one.time_us))

    def at(self, as_of: int | None = None, known_at: int | None = None) -> Moment:
        """As if only events of that time or before had happened, and only those received by then had arrived."""
        events = [
            one
            for one in self.events
            if (as_of is None or one.time_us <= as_of) and (known_at is None or one.received_us <= known_at)
        ]
        return Moment(events, self.names, self.begun)

    def diff(self, start: Node, before: Moment, after: Moment, granularity: str = "all", depth: int = 20) -> Diff:
        """What changed around ``start``, upstream and downstream, between two moments."""
        nodes, edges = zip(*(moment.surroundings(start, granularity, depth) for moment in (before, after)), strict=True)
        changed = {}
        for node in nodes[0] & nodes[1]:
            changes = _changes(before.described(node), after.described(node))
            if changes:
                changed[node_id(node)] = changes
        return Diff(
            {node_id(node) for node in nodes[1] - nodes[0]},
            {node_id(node) for node in nodes[0] - nodes[1]},
            changed,
            {(node_id(a), node_id(b)) for a, b in edges[1] - edges[0]},
            {(node_id(a), node_id(b)) for a, b in edges[0] - edges[1]},
        )


class Moment:
    """What some events say, under ``names``, of runs that began at the times ``begun``."""

    def __init__(self, events: list[Arrived], names: Names, begun: dict[bytes, int]) -> None:
        self.events = events
        self.names = names
        self.begun = begun
        self.runs: dict[bytes, list[Arrived]] = defaultdict(list)
        for arrived in events:
            if arrived.kind == "run":
                self.runs[arrived.key].append(arrived)

    @cached_property
    def graph(self) -> Graph:
        """The current graph of datasets and jobs."""
        return Graph(self.events, self.names)

    # --- versions ----------------------------------------------------------------------------------------------------

    @cached_property
    def _versions(self) -> dict[Name, list[Version]]:
        found: dict[Name, list[Version]] = defaultdict(list)
        for run in self.runs.values():
            for dataset in {self.names.of(one) for event in run for one in event.datasets("outputs")}:
                version = self._written(run, dataset)
                if version is not None:
                    found[dataset].append(version)
        for arrived in self.events:
            if arrived.kind == "dataset":
                version = self._told(arrived)
                found[version.dataset].append(version)
        return {dataset: sorted(some, key=lambda one: (one.at, one.key)) for dataset, some in found.items()}

    def _listed(self, run: list[Arrived], side: str, dataset: Name) -> list[tuple[Arrived, JSON]]:
        return [(event, one) for event in run for one in event.datasets(side) if self.names.of(one) == dataset]

    def _written(self, run: list[Arrived], dataset: Name) -> Version | None:
        listed = self._listed(run, "outputs", dataset)
        times = [event.time_us for event, _ in listed if event.type in WRITING]
        times += [event.time_us for event in run if event.type == "COMPLETE"]
        if not times:
            return None
        said = [(event.time_us, facets_of(one)) for event, one in listed]
        identity = min(dataset_id(*name_of(one)) for _, one in listed)
        code, evidence = _code(run, said)
        key = run[0].key
        return Version(
            dataset,
            min(times),
            key,
            version_uuid(identity, key),
            version_named(said),
            checksum_named(said),
            code,
            evidence,
            run[0].event["run"]["runId"],
            run[0].job,
        )

    def _told(self, arrived: Arrived) -> Version:
        dataset = arrived.event["dataset"]
        said = [(arrived.time_us, facets_of(dataset))]
        uuid = version_uuid(dataset_id(*name_of(dataset)), arrived.hash)
        return Version(
            self.names.of(dataset), arrived.time_us, arrived.hash, uuid, version_named(said), checksum_named(said)
        )

    def versions(self, dataset: Name) -> list[Version]:
        """The versions of a dataset, oldest first."""
        return self._versions.get(self.names[dataset], [])

    @property
    def all_versions(self) -> list[Version]:
        """Every version of every dataset."""
        return [version for some in self._versions.values() for version in some]

    def data_versions(self, dataset: Name) -> list[Version]:
        """Those that are more than a description."""
        return [one for one in self.versions(dataset) if one.says_content]

    def newest(self, dataset: Name, at: int | None = None) -> Version | None:
        """The newest version, of those that were there ``at`` a time."""
        return newest_of([one for one in self.versions(dataset) if at is None or one.at <= at])

    def superseded_at(self, version: Version) -> int | None:
        """When the next version was made."""
        candidates = self.data_versions(version.dataset) or self.versions(version.dataset)
        later = [one.at for one in candidates if (one.at, one.key) > (version.at, version.key)]
        return later[0] if later else None

    def find(self, dataset: Name, text: str) -> Version | None:
        """The version that ``text``, the part after ``#``, names."""
        newest_first = self.versions(dataset)[::-1]
        if text.startswith("@"):
            return self.newest(dataset, microseconds(text[1:]))
        for fits in (_fits_version, _fits_uuid, _fits_checksum, _fits_run):
            for version in newest_first:
                if fits(version, text):
                    return version
        return None

    # --- what runs read ----------------------------------------------------------------------------------------------

    def run_start(self, run: list[Arrived]) -> int:
        """When a run started."""
        times = [event.time_us for event in run if event.type in ("START", "RUNNING")]
        return min(times or [event.time_us for event in run])

    def read(self, key: bytes, dataset: Name) -> tuple[Version | None, str]:
        """The version of ``dataset`` that the run read, and ``exact``, ``inferred`` or ``unknown``."""
        run, dataset = self.runs[key], self.names[dataset]
        said = [(event.time_us, facets_of(one)) for event, one in self._listed(run, "inputs", dataset)]
        start = self.run_start(run)
        others = [one for one in self.versions(dataset) if one.key != key]
        version, checksum = version_named(said), checksum_named(said)
        exact: list[Version] = []
        if version is not None:
            exact = [one for one in others if one.version == version]
        elif checksum is not None:
            exact = [one for one in others if one.checksum == checksum]
        if exact:
            return ([one for one in exact if one.at <= start] or exact[:1])[-1], "exact"
        found = newest_of([one for one in others if one.at <= start])
        return (found, "inferred") if found else (None, "unknown")

    def inputs(self, key: bytes) -> set[Name]:
        """The datasets that a run read."""
        return {self.names.of(one) for event in self.runs[key] for one in event.datasets("inputs")}

    def made_from(self, version: Version) -> list[Step]:
        """What a version was made from: the readings of its run, by the best evidence there is of this output."""
        if version.run is None:
            return []
        evidence, sources = self._sources(version)
        steps = []
        for dataset in self.inputs(version.key):
            if sources is None or dataset in sources:
                read, how = self.read(version.key, dataset)
                origin = read.node if read is not None else (dataset, None)
                steps.append(Step(origin, version.node, version.run, how, evidence))
        return steps

    def _sources(self, version: Version) -> tuple[str, set[Name] | None]:
        """How the flow into a version is known, and from which datasets; None: from all that its run read."""
        run, output = self.runs[version.key], version.dataset
        stated = [
            source
            for event in run
            for (kind, target), source in flows_of_event(event)
            if kind == "d" and self.names[target] == output
        ]
        if stated:
            return "explicit", {self.names[source] for kind, source in stated if kind == "d"}
        said = [(event.time_us, facets_of(one)) for event, one in self._listed(run, "outputs", output)]
        origins = column_origins(newest_facet(said, "columnLineage"))
        if origins:
            return "column", {self.names[origin] for origin in origins}
        outputs = {self.names.of(one) for event in run for one in event.datasets("outputs")}
        return ("declared" if len(outputs) == 1 else "inferred"), None

    @cached_property
    def steps(self) -> list[Step]:
        """Every step of the graph of versions."""
        return [step for version in self.all_versions for step in self.made_from(version)]

    # --- provenance and impact ---------------------------------------------------------------------------------------

    def provenance(self, node: VersionNode, depth: int) -> Lineage:
        """What a version was made from, to any depth."""
        return self._walk(node, depth, [(step.destination, step.origin, step) for step in self.steps])

    def impact(self, node: VersionNode, depth: int) -> Lineage:
        """What was made from a version, to any depth."""
        return self._walk(node, depth, [(step.origin, step.destination, step) for step in self.steps])

    def _walk(self, node: VersionNode, depth: int, ways: list[tuple[VersionNode, VersionNode, Step]]) -> Lineage:
        found = Lineage({node: 0})
        level = {node}
        for distance in range(1, depth + 1):
            onward = [(far, step) for near, far, step in ways if near in level]
            found.steps |= {step for _, step in onward}
            level = {far for far, _ in onward} - found.versions.keys()
            found.versions |= dict.fromkeys(level, distance)
        return found

    def affected(self, node: VersionNode, by: VersionNode) -> int | None:
        """In how many steps a version was made from another (from itself: 0); None where it was not."""
        return self.impact(by, len(self.steps)).versions.get(node)

    def rebuild(self, node: VersionNode) -> Rebuild:
        """The jobs to run again when a version turns out bad."""
        downstream = self.impact(node, len(self.steps)).versions.keys() - {node}
        current = {version.dataset: version for dataset in self._versions if (version := self.newest(dataset))}
        bad = [version for version in current.values() if version.node in downstream]
        datasets: dict[Name, set[Name]] = defaultdict(set)
        for version in bad:
            assert version.job is not None  # a DatasetEvent's version is not downstream of anything
            datasets[version.job].add(version.dataset)
        needs = {
            (first, version.job)
            for version in bad
            for origin in {step.origin[0] for step in self.made_from(version)}
            for first in datasets
            if version.job is not None and first != version.job and origin in datasets[first]
        }
        reach = set(needs)
        while more := {(a, d) for a, b in reach for c, d in reach if b == c} - reach:
            reach |= more
        return Rebuild(dict(datasets), {(a, b) for a, b in needs if (b, a) not in reach})

    # --- staleness ---------------------------------------------------------------------------------------------------

    def staleness(self, dataset: Name, depth: int) -> dict[Name, Staleness]:
        """Whether a dataset, and each downstream of it in the current graph, is older than what it was made from."""
        near = self.graph.walk_datasets(self.names[dataset], "downstream", depth).nodes
        return {name: self._as_answer(name, distance) for name, distance in near.items()}

    def _as_answer(self, dataset: Name, distance: int) -> Staleness:
        since = self._stale_since
        because = {one for one in self._inputs_of(dataset) if one in since}
        return Staleness(distance, self._causes(dataset), because, since.get(dataset))

    @cached_property
    def _stale_since(self) -> dict[Name, int]:
        """When each stale dataset became so: its own causes first, then what rests on stale ones, until no more is."""
        since = {name: min(one.since for one in found) for name in self._versions if (found := self._causes(name))}
        while True:
            later = dict(since)
            for name in self._versions:
                known = [since[one] for one in (name, *self._inputs_of(name)) if one in since]
                if known:
                    later[name] = min(known)
            if later == since:
                return since
            since = later

    def _inputs_of(self, dataset: Name) -> set[Name]:
        """The other datasets that the newest version was made from."""
        newest = self.newest(dataset)
        return {step.origin[0] for step in self.made_from(newest)} - {dataset} if newest else set()

    def _causes(self, dataset: Name) -> set[Cause]:
        """The inputs of the newest version whose content has changed since it was read."""
        mine = self.newest(dataset)
        found = set()
        for step in self.made_from(mine) if mine else ():
            assert mine is not None
            origin, read = step.origin
            of_input = self.data_versions(origin)
            if not of_input or of_input[-1].key == mine.key:
                continue
            place = next((at for at, one in enumerate(of_input) if one.uuid == read), -1)
            content = of_input[place].checksum if place >= 0 else None
            fresh = place  # the last one that has the content that was read, or that the same run wrote
            for at, one in enumerate(of_input):
                if at > place and (one.key == mine.key or (content is not None and one.checksum == content)):
                    fresh = at
            if fresh < len(of_input) - 1:
                since = of_input[fresh + 1].at
                found.add(Cause(origin, read, of_input[-1].uuid, since, step.version_evidence))
        return found

    # --- what changed between two moments ----------------------------------------------------------------------------

    def surroundings(self, start: Node, granularity: str, depth: int) -> tuple[set[Node], set[tuple[Node, Node]]]:
        """The nodes and edges around a node, both ways; none where the node is not there yet."""
        start = self.graph.resolved(start)
        if start[1] not in (self.graph.datasets if start[0] == "d" else self.graph.jobs):
            return set(), set()
        if granularity == "all":
            answer = self.graph.around(start, depth)
            return set(answer.nodes), set(answer.edges)
        nodes: set[Node] = set()
        edges: set[tuple[Node, Node]] = set()
        for way in ("upstream", "downstream"):
            answer = self.graph.walk_datasets(start[1], way, depth)
            nodes |= {("d", name) for name in answer.nodes}
            edges |= {(("d", a), ("d", b)) for a, b in answer.edges}
        return nodes, edges

    def described(self, node: Node) -> JSON:
        """Version, schema and code of a node: ``version`` as (uuid, what its producer calls it)."""
        kind, name = node
        if kind == "j":
            codes = [
                _code_of_job([e for e in events if e.kind != "dataset" and e.job == name]) for events in self._tellers
            ]
            code = next((code for code in codes if code is not None), None)
            return {"code": code, "evidence": "inferred" if code else None}
        newest = self.newest(name)
        return {
            "version": (newest.uuid, newest.version) if newest else None,
            "checksum": newest.checksum if newest else None,
            "schema": {column["name"]: column.get("type") for column in self._columns(name)},
            "code": newest.code if newest else None,
            "evidence": newest.code_evidence if newest else None,
        }

    def _columns(self, dataset: Name) -> list[JSON]:
        for events in self._tellers:
            said = [
                (event.time_us, facets_of(one))
                for event in events
                for one in event.datasets()
                if self.names.of(one) == dataset and "schema" in facets_of(one)
            ]
            if said:
                return (newest_facet(said, "schema") or {}).get("fields") or []
        return []

    @cached_property
    def _tellers(self) -> list[list[Arrived]]:
        """The events of each run, and each event without a run by itself: the newest first."""
        tellers = [((self.begun[key], key), events) for key, events in self.runs.items()]
        tellers += [((one.time_us, one.hash), [one]) for one in self.events if one.kind != "run"]
        return [events for _, events in sorted(tellers, key=lambda teller: teller[0], reverse=True)]

    # --- reproducibility ---------------------------------------------------------------------------------------------

    def unreproducible(self) -> set[Unreproducible]:
        """Runs of one job with equal code and equal inputs that wrote different contents."""
        alike: dict[Any, set[tuple[str, str]]] = defaultdict(set)
        for version in self.all_versions:
            if version.run is None or version.checksum is None or version.code is None:
                continue
            sources = {step.origin[0] for step in self.made_from(version)}
            inputs = {dataset: self._content_read(version.key, dataset) for dataset in sources}
            if inputs and None not in inputs.values():
                group = (version.job, version.dataset, version.code, frozenset(inputs.items()))
                alike[group].add((version.run, version.checksum))
        return {
            Unreproducible(job, dataset, code, inputs, frozenset(runs))
            for (job, dataset, code, inputs), runs in alike.items()
            if len({checksum for _, checksum in runs}) > 1
        }

    def _content_read(self, key: bytes, dataset: Name) -> str | None:
        """The checksum of what a run read."""
        listed = self._listed(self.runs[key], "inputs", dataset)
        named = checksum_named([(event.time_us, facets_of(one)) for event, one in listed])
        version, _ = self.read(key, dataset)
        return named or (version.checksum if version else None)

    def noops(self) -> set[NoOp]:
        """Successive versions with one content that different runs wrote."""
        found = set()
        for dataset in self._versions:
            for checksum, stretch in groupby(self.data_versions(dataset), key=lambda one: one.checksum):
                uuids = tuple(one.uuid for one in stretch if one.run is not None)
                if checksum is not None and len(uuids) > 1:
                    found.add(NoOp(dataset, checksum, uuids))
        return found


def newest_of(versions: list[Version]) -> Version | None:
    """The newest of some versions in their order: a description only where there is nothing else."""
    found = [one for one in versions if one.says_content] or versions
    return found[-1] if found else None


# --- what facets name ------------------------------------------------------------------------------------------------

Said = list[tuple[int, JSON]]  # (time, facets)


def version_named(said: Said) -> str | None:
    """The newest ``version`` facet's."""
    found = (newest_facet(said, "version") or {}).get("datasetVersion")
    return found if isinstance(found, str) else None


def checksum_named(said: Said) -> str | None:
    """The newest checksum facet's, as ``algorithm:value``."""
    found = newest_facet(said, "headwater_checksum") or {}
    return f"{found['algorithm']}:{found['value']}" if "algorithm" in found and "value" in found else None


def _code(run: list[Arrived], said: Said) -> tuple[str | None, str | None]:
    """The code version of a run's output, and how it is known."""
    asset = newest_facet(said, "headwater_assetVersion") or {}
    told = asset.get("codeVersion") or asset.get("assetVersion")
    if told is not None:
        return told, "exact"
    of_job = _code_of_job(run)
    return of_job, "inferred" if of_job is not None else None


def _code_of_job(events: list[Arrived]) -> str | None:
    """What the facets of a job, in these events, say of its code."""
    said = [(event.time_us, facets_of(event.event["job"])) for event in events]
    location = (newest_facet(said, "sourceCodeLocation") or {}).get("version")
    if location:
        return str(location)
    for name, text, prefix in (("sql", "query", "sql"), ("sourceCode", "sourceCode", "code")):
        code = (newest_facet(said, name) or {}).get(text)
        if isinstance(code, str):
            return f"{prefix}:{content_hash(code.encode()).hex()}"
    return None


def _fits_version(version: Version, text: str) -> bool:
    return version.version == text


def _fits_uuid(version: Version, text: str) -> bool:
    return version.uuid == text


def _fits_checksum(version: Version, text: str) -> bool:
    if version.checksum is None:
        return False
    value = version.checksum.partition(":")[2]
    return text == version.checksum or (len(text) >= CHECKSUM_CHARACTERS and value.startswith(text))


def _fits_run(version: Version, text: str) -> bool:
    return version.run == text


def _changes(before: JSON, after: JSON) -> JSON:
    found: JSON = {}
    if _uuid(before) != _uuid(after):
        found["version"] = {"from": before["version"], "to": after["version"]}
        if before["checksum"] is not None or after["checksum"] is not None:
            found["checksum"] = {"from": before["checksum"], "to": after["checksum"]}
    if before["code"] != after["code"]:
        evidence = after["evidence"] or before["evidence"]
        found["code"] = {"from": before["code"], "to": after["code"], "evidence": evidence}
    old, new = before.get("schema", {}), after.get("schema", {})
    if old != new:
        both = old.keys() & new.keys()
        found["schema"] = {
            "added": new.keys() - old.keys(),
            "removed": old.keys() - new.keys(),
            "changed": {column for column in both if old[column] != new[column]},
        }
    return found


def _uuid(described: JSON) -> str | None:
    return (described.get("version") or (None,))[0]


# --- ids -------------------------------------------------------------------------------------------------------------


def node_id(node: Node) -> str:
    """The id of a dataset or job."""
    return str(dataset_node(*node[1]) if node[0] == "d" else job_node(*node[1]))


def version_id(node: VersionNode) -> str:
    """The id of a version; of a dataset that was never written, the dataset's."""
    dataset, uuid = node
    return str(dataset_node(*dataset)) + (f"#{uuid}" if uuid else "")
