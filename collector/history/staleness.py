"""Which datasets are older than what they are made from, because of what, and since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from sqlalchemy import Connection

from collector.documents.datasets import dataset_names
from collector.flow import FlowWalk, walk_datasets
from collector.history.flows import Flows
from collector.history.moment import Moment
from collector.history.past import left_out
from collector.history.readings import Read, resolve
from collector.history.uses import Run, Use
from collector.history.versions import BY_CHECKSUM, Limit, Version, Versions, versions_at
from collector.keys import isoformat
from collector.lookup import find_node
from collector.state import remembered
from collector.walk import Direction
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind, dataset_node

JSON = dict[str, Any]

_MOST_REMEMBERED = 20_000  # datasets, of about a kilobyte each


@dataclass(frozen=True, slots=True)
class Cause:
    """An input of which a newer version, with other content, came ``since_us``."""

    dataset: int
    read: Version | None  # None: nobody had written it yet
    newest: Version
    since_us: int
    evidence: str


@dataclass(slots=True)
class State:
    """How it stands with one dataset."""

    causes: list[Cause] = field(default_factory=list)
    inputs: set[int] = field(default_factory=set)  # that its newest version was made from
    because: set[int] = field(default_factory=set)  # of these, those that are stale themselves
    since_us: int | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it should be made again."""
        return self.since_us is not None


class _Outdated(NamedTuple):
    """A reading, by ``dataset``'s newest version, of what has other content now."""

    dataset: int
    run: int
    read: Version | None
    since: Version  # ``read``, or what stands for nothing at the run's start
    newest: Version
    evidence: str


def staleness(connection: Connection, graph: Connection, node_id: str, moment: Moment, depth: int, limit: int) -> JSON:
    """The dataset and those downstream of it, by their newest versions; ``graph`` holds the edges of the moment.

    A fixed number of statements for each level of the graph. Raises BadQuery, NotFound.
    """
    found = find_node(connection, node_id, (NodeKind.DATASET,))
    walk = walk_datasets(graph, [found.id], Direction.DOWNSTREAM, depth, limit)
    versions = versions_at(connection, moment)
    states = states_of(versions, walk.nodes, limit)
    return _document(connection, found.id, walk, states, walk.missing or left_out(graph))


def states_of(versions: Versions, datasets: Iterable[int], limit: int) -> dict[int, State]:
    """How it stands with each of the datasets, and with what their newest versions are made from, as far as that goes.

    At most about ``limit`` datasets are looked at beyond them. Those of now are remembered in each state of the store:
    what is upstream of one dataset is upstream of many.
    """
    known: dict[int, State] = remembered(versions.connection, "staleness", dict) if versions.moment.is_now else {}
    flows = Flows(versions.connection)
    asked = list(datasets)
    level = versions.newest(one for one in asked if one not in known)
    newest = dict(level)
    states: dict[int, State] = {}
    outdated: list[_Outdated] = []
    while level:
        states |= {dataset: State() for dataset in level}
        runs = versions.runs({one.run for one in level.values() if one.run})
        sources = flows.sources(runs.values())
        readings = [
            (dataset, runs[one.run], use)
            for dataset, one in level.items()
            if one.run in runs
            for use in sources[one.run, one.named].inputs
        ]
        further = versions.newest({use.canonical for _, _, use in readings if use.canonical not in newest})
        newest |= further
        doubtful = []
        for dataset, run, use in readings:
            states[dataset].inputs.add(use.canonical)
            if not _is_surely_fresh(run, use, newest.get(use.canonical)):
                doubtful.append((dataset, run, use))
        reads = resolve(versions, [(run, use) for _, run, use in doubtful])
        for dataset, run, use in doubtful:
            found = _outdated(dataset, run, use, reads[run.id, use.named], newest[use.canonical])
            if found is not None:
                outdated.append(found)
        level = {dataset: one for dataset, one in further.items() if dataset not in known}
        if len(states) > limit:
            break
    for one, at_us in zip(outdated, _changes(versions, outdated), strict=True):
        states[one.dataset].causes.append(Cause(one.newest.canonical, one.read, one.newest, at_us, one.evidence))
    _spread(states, known)
    found_out = {one: states.get(one) or known[one] for one in asked if one in states or one in known}
    if not level and len(known) + len(states) <= _MOST_REMEMBERED:  # each with all that is upstream of it
        known.update(states)
    return found_out


def _is_surely_fresh(run: Run, use: Use, newest: Version | None) -> bool:
    """Whether a reading was of the newest version, or of the same content, as can be told without looking it up.

    Most are; a reading that is in doubt is resolved.
    """
    # a description tells nothing of the data, and what the same run wrote is newer than what it read, and has to be
    if newest is None or not (newest.run or newest.is_named) or newest.run == run.id:
        return True
    if use.version is not None:  # the newest of that name before the run started
        return use.version == newest.version and newest.at_us <= run.start_us
    if use.checksum is not None:
        return use.checksum == newest.checksum
    return newest.at_us <= run.start_us


def _outdated(dataset: int, run: Run, use: Use, read: Read, newest: Version) -> _Outdated | None:
    """A reading, where what it was of has other content now."""
    since = read.version or _nothing(use.canonical, run.start_us)
    if newest.order <= since.order or _is_same(read.version, newest):
        return None
    return _Outdated(dataset, run.id, read.version, since, newest, read.evidence)


def _nothing(dataset: int, at_us: int) -> Version:
    """What stands, in the order of versions, for a reading of a dataset that nobody had written."""
    return Version(dataset, dataset, 0, b"", at_us, "", None, None)


def _is_same(one: Version | None, other: Version) -> bool:
    return one is not None and one.checksum is not None and one.checksum == other.checksum


def _changes(versions: Versions, outdated: list[_Outdated]) -> list[int]:
    """Since when each input has had other content than was read, for the last time."""
    at_us = versions.moment.as_of_us
    again = [
        (Limit(one.newest.canonical, at_us, one.run), BY_CHECKSUM, one.read.checksum)
        if one.read is not None and one.read.checksum is not None
        else None
        for one in outdated
    ]
    same = versions.named({one for one in again if one is not None})
    last: dict[int, Version] = {}
    for place, (one, name) in enumerate(zip(outdated, again, strict=True)):
        last[place] = max(one.since, same.get(name, one.since) if name else one.since, key=lambda v: v.order)
    found = [one.newest.at_us for one in outdated]
    while last:  # more than once only where the reader itself wrote what came next
        following = versions.next(set(last.values()))
        after = {place: following[one] for place, one in last.items() if one in following}
        last = {place: version for place, version in after.items() if version.run == outdated[place].run}
        found = [after[n].at_us if n in after and n not in last else at for n, at in enumerate(found)]
    return found


def _spread(states: dict[int, State], known: Mapping[int, State]) -> None:
    """Let what is made from something stale be stale: the earliest reasons first, so that each is looked at once."""
    readers: dict[int, list[int]] = defaultdict(list)
    queue: list[tuple[int, int]] = []
    for dataset, state in states.items():
        if state.causes:
            queue.append((min(cause.since_us for cause in state.causes), dataset))
        for one in state.inputs:
            if one in states:
                if one != dataset:
                    readers[one].append(dataset)
            elif one in known and (since_us := known[one].since_us) is not None:
                state.because.add(one)
                queue.append((since_us, dataset))
    heapify(queue)
    while queue:
        since_us, dataset = heappop(queue)
        state = states[dataset]
        if state.since_us is not None:
            continue
        state.since_us = since_us
        for reader in readers[dataset]:
            states[reader].because.add(dataset)
            if states[reader].since_us is None:
                heappush(queue, (since_us, reader))


def _document(connection: Connection, start: int, walk: FlowWalk, states: dict[int, State], missing: int) -> JSON:
    shown = [states[dataset] for dataset in walk.nodes if dataset in states]
    named = walk.nodes.keys() | {cause.dataset for state in shown for cause in state.causes}
    named |= {one for state in shown for one in state.because}
    names = dataset_names(connection, named)
    ids = {dataset: str(dataset_node(*name)) for dataset, name in names.items()}
    datasets = []
    for dataset, distance in walk.nodes.items():
        state = states.get(dataset, State())
        datasets.append(
            {
                "id": ids[dataset],
                "namespace": names[dataset][0],
                "name": names[dataset][1],
                "distance": distance,
                "stale": state.is_stale,
                "since": isoformat(state.since_us),
                "causes": [
                    {
                        "id": ids[cause.dataset],
                        "readVersion": cause.read.uuid if cause.read is not None else None,
                        "readChecksum": cause.read.checksum if cause.read is not None else None,
                        "newestVersion": cause.newest.uuid,
                        "newestChecksum": cause.newest.checksum,
                        "since": isoformat(cause.since_us),
                        "versionEvidence": cause.evidence,
                    }
                    for cause in sorted(state.causes, key=lambda cause: (cause.since_us, ids[cause.dataset]))
                ],
                "because": sorted(ids[one] for one in state.because),
            }
        )
    datasets.sort(key=lambda one: (one["distance"], one["namespace"], one["name"]))
    edges = [{"origin": ids[a], "destination": ids[b], "evidence": e} for (a, b), e in walk.edges.items()]
    return {
        "nodeId": ids[start],
        "stale": sum(one["stale"] for one in datasets),
        "datasets": datasets,
        "edges": sorted(edges, key=lambda edge: (edge["origin"], edge["destination"])),
        "truncated": missing > 0,
        "missing": missing,
    }


def as_graph(document: JSON) -> Graph:
    """The datasets of an answer as a graph, the stale ones marked."""
    nodes = [
        Node(
            one["id"],
            NodeKind.DATASET,
            one["namespace"],
            one["name"],
            status="stale" if one["stale"] else None,
            detail=f"stale since {one['since'][:16].replace('T', ' ')}" if one["stale"] else None,
        )
        for one in document["datasets"]
    ]
    edges = [Edge(edge["origin"], edge["destination"], edge["evidence"]) for edge in document["edges"]]
    return Graph(nodes, edges, start=[document["nodeId"]], missing=document["missing"])
