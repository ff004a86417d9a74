"""How a reader wants a graph shown: what is known well enough, only some nodes, groups as one node.

All of it takes the graph of a question and gives a smaller one; SQL is asked only for what the graph does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection, select

from collector import keys, tables
from collector.column_graph import Details
from collector.flow import walk_datasets
from collector.graph_nodes import job_nodes
from collector.labelled import owned_among, tagged_among
from collector.listing import hidden_among
from collector.quality import failing_among
from collector.walk import Direction, among
from lineage.appearance import FAILING
from lineage.budget import cut, nearest_first
from lineage.collapse import by_namespace, collapse, groups_of, roots_of
from lineage.evidence import known_by
from lineage.graph import Edge, Graph, Node
from lineage.narrow import Wanted, narrow, worse
from lineage.nodes import NodeKind

#: Most pairs of an input and an output of unwanted jobs for which is looked up what flows into what.
MAX_FLOWS = 200_000


class Collapse(StrEnum):
    """What becomes one node."""

    PARENT = "parent"  # a job becomes the DAG, dbt run or Spark application that ran it
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class View:
    """What to show of a graph. Of ``namespaces``, ``kinds``, ``tags`` and ``owners`` one must fit, of these and of
    ``match`` all."""

    evidence: str = "any"
    collapse: Collapse | None = None
    namespaces: tuple[str, ...] = ()
    kinds: tuple[NodeKind, ...] = ()
    match: str | None = None
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    @property
    def is_filter(self) -> bool:
        """Whether some nodes may be left out by what they are."""
        return bool(self.namespaces or self.kinds or self.tags or self.owners) or self.match is not None

    @property
    def is_whole(self) -> bool:
        """Whether the graph is shown as it is."""
        return self == View()

    def __str__(self) -> str:
        parts = [("namespace", one) for one in self.namespaces] + [("kind", one.value) for one in self.kinds]
        parts += [("match", one) for one in (self.match,) if one is not None] + [("tag", one) for one in self.tags]
        parts += [("owner", one) for one in self.owners]
        return ", ".join(f"{name}={value!r}" for name, value in parts)


@dataclass(frozen=True, slots=True)
class Seen:
    """A graph as it is shown, what an answer says further of its nodes and edges, and what a reader should know.

    ``groups`` has the node that is shown in the place of each that became part of it, by their ids.
    """

    graph: Graph
    details: Details
    note: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


def seen(connection: Connection, graph: Graph, details: Details, view: View, direction: Direction, limit: int) -> Seen:
    """The graph as ``view`` says, without what a DELETE hides, cut to the ``limit`` nodes nearest to its start.

    Two statements, and for a view at most ten more, at any size.
    """
    graph = _without_hidden(connection, graph)
    if view.is_whole:
        return Seen(graph, details)
    graph = known_by(graph, view.evidence, either_way=direction is Direction.ANY)
    note, groups = None, {}
    if view.is_filter:
        graph, note = _filtered(connection, graph, view)
    if view.collapse is not None:
        parents = by_namespace(graph) if view.collapse is Collapse.NAMESPACE else _parents(connection, graph, details)
        details = details | _of_groups(graph, parents, details)
        groups = groups_of(graph, parents)
        graph = collapse(graph, parents)
    if len(graph.nodes) > limit:
        part = cut(graph, nearest_first(graph), limit)
        kept = part.graph
        graph = Graph(kept.nodes.values(), kept.edges, start=kept.start, missing=part.missing)
    return Seen(graph, details, note, groups)


def _ids(nodes: Iterable[Node], *, of_jobs: bool) -> dict[int, str]:
    """Node ids by the store's ids: of the jobs, or of the datasets with or of the columns."""
    if of_jobs:
        return {keys.job_id(one.namespace, one.name): one.id for one in nodes if one.kind is NodeKind.JOB}
    return {keys.dataset_id(one.namespace, one.name): one.id for one in nodes if one.kind is NodeKind.DATASET}


def _datasets(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """The nodes of each dataset: itself or its columns."""
    found: dict[int, list[Node]] = {}
    for node in nodes:
        if node.kind in (NodeKind.DATASET, NodeKind.FIELD):
            found.setdefault(keys.dataset_id(node.namespace, node.name), []).append(node)
    return found


def _without_hidden(connection: Connection, graph: Graph) -> Graph:
    """Without what a DELETE hides: two statements."""
    jobs, datasets = _ids(graph.nodes.values(), of_jobs=True), _datasets(graph.nodes.values())
    hidden = {jobs[one] for one in hidden_among(connection, tables.job, jobs)}
    hidden |= {node.id for one in hidden_among(connection, tables.dataset, datasets) for node in datasets[one]}
    return graph.subgraph(graph.nodes.keys() - hidden) if hidden else graph


# --- filters ---------------------------------------------------------------------------------------------------------


def _filtered(connection: Connection, graph: Graph, view: View) -> tuple[Graph, str | None]:
    carriers = _carriers(connection, graph, view)
    wanted = Wanted(view.namespaces or None, view.kinds or None, view.match, carriers).among(graph)
    note = None if wanted else f"No node matches {view}: only the start is shown."
    unwanted = {
        id_
        for id_, node in graph.nodes.items()
        if node.kind is NodeKind.JOB and id_ not in wanted and id_ not in graph.start
    }
    if unwanted:
        graph = _with_flows(connection, graph, unwanted)
    return narrow(graph, wanted), note


def _with_flows(connection: Connection, graph: Graph, jobs: set[str]) -> Graph:
    """With what flows from dataset to dataset through ``jobs``, by the best evidence, and no other way through them.

    That a job reads two datasets and writes two does not mean that each flows into each.
    """
    if sum(len(graph.parents(job)) * len(graph.children(job)) for job in jobs) > MAX_FLOWS:
        return graph
    ids = _ids(graph.nodes.values(), of_jobs=False)
    flows = walk_datasets(connection, ids, Direction.UPSTREAM, 1, len(ids)).edges
    through = {id_: jobs.intersection(graph.children(id_)) for id_ in ids.values()}
    edges = [
        Edge(ids[a], ids[b], evidence)
        for (a, b), evidence in flows.items()
        if not through[ids[a]].isdisjoint(graph.parents(ids[b]))
    ]
    leaving: dict[str, list[Edge]] = {}  # from such a job straight to another: that takes in all that the job reads
    for edge in graph.edges:
        if edge.origin in jobs and graph.nodes[edge.destination].kind is NodeKind.JOB:
            leaving.setdefault(edge.origin, []).append(edge)
    for edge in graph.edges:
        if edge.destination not in jobs or graph.nodes[edge.origin].kind is NodeKind.JOB:
            edges.append(edge)
        else:
            edges += [Edge(edge.origin, on.destination, worse(edge, on)) for on in leaving.get(edge.destination, ())]
    return Graph(graph.nodes.values(), edges, start=graph.start, missing=graph.missing)


def _carriers(connection: Connection, graph: Graph, view: View) -> set[str] | None:
    """The nodes that carry one of the view's tags and have one of its owners; None where it asks for neither.

    A dataset carries its columns' tags too, and a column its dataset's tags and owners: a statement each.
    """
    if not view.tags and not view.owners:
        return None
    datasets, jobs = _datasets(graph.nodes.values()), _ids(graph.nodes.values(), of_jobs=True)
    things: dict[int, list[Node]] = datasets | {job: [graph.nodes[id_]] for job, id_ in jobs.items()}
    found = set(graph.nodes)
    if view.tags:
        tagged = tagged_among(connection, things, view.tags)
        found &= {
            node.id
            for thing, field in tagged
            for node in things[thing]
            if not field or node.field is None or node.field == field
        }
    if view.owners:
        found &= {node.id for thing in owned_among(connection, things, view.owners) for node in things[thing]}
    return found


def with_failing(connection: Connection, graph: Graph) -> Graph:
    """The graph with the status ``failing`` at each dataset of which an assertion fails now, and each such column: one
    statement."""
    datasets = _datasets(graph.nodes.values())
    failing = failing_among(connection, datasets) if datasets else set()
    ids = {
        node.id
        for dataset, field in failing
        for node in datasets[dataset]
        if node.status is None and node.field in (None, field)
    }
    if not ids:
        return graph
    nodes = [replace(node, status=FAILING) if node.id in ids else node for node in graph.nodes.values()]
    return Graph(nodes, graph.edges, start=graph.start, missing=graph.missing)


# --- groups ----------------------------------------------------------------------------------------------------------


def _parents(connection: Connection, graph: Graph, details: Details) -> dict[str, Node]:
    """The parent of each job, and of each of these, by node id: two statements."""
    j = tables.job
    jobs = _ids(graph.nodes.values(), of_jobs=True)
    first = select(j.c.id, j.c.parent_id).where(among(connection, j.c.id, jobs), j.c.parent_id.is_not(None))
    above = first.cte("above", recursive=True)
    further = select(j.c.id, j.c.parent_id).join(above, j.c.id == above.c.parent_id).where(j.c.parent_id.is_not(None))
    above = above.union(further)
    parents: dict[int, int] = dict(connection.execute(select(above.c.id, above.c.parent_id)).all())
    ids, nodes, found = job_nodes(connection, dict.fromkeys({*parents, *parents.values()}, 0))
    by_id = {node.id: node for node in nodes}
    for node_id, said in found.items():
        details.setdefault(node_id, {key: value for key, value in said.items() if key != "distance"})
    known = ((ids[job], ids[parent]) for job, parent in parents.items() if job in ids and parent in ids)
    return {job: by_id[parent] for job, parent in known if job != parent}


def _of_groups(graph: Graph, parents: dict[str, Node], details: Details) -> Details:
    """What is said of each root: how near the nearest of its members is."""
    found: Details = {}
    for id_, root in roots_of(graph, parents).items():
        near = min(details[one]["distance"] for one in (id_, root.id) if "distance" in details.get(one, {}))
        known = found.get(root.id) or details.get(root.id, {})
        found[root.id] = known | {"distance": min(near, found.get(root.id, {}).get("distance", near))}
    return found
