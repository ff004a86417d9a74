"""Fewer, larger nodes: jobs drawn as what ran them (a DAG, a dbt run, a Spark application), a namespace as one node."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lineage.graph import Graph, Node
from lineage.nodes import NodeKind

_WORDS = {NodeKind.FIELD: "column"}  # where it is not the kind's own


def collapse(graph: Graph, parents: Mapping[str, Node]) -> Graph:
    """Return the graph with each node drawn as its root: the parent of its parent, and so on up.

    Edges within a group vanish; of those that come to lie between the same two nodes the one with the best evidence
    stays. A root without a detail of its own says how many nodes it stands for. What the graph was asked about is drawn
    as its root.

    Args:
        parents: the parent of a node by the node's id; parents need not be in the graph. Nodes whose parents go round
            in a circle stay as they are.
    """
    roots = roots_of(graph, parents)
    members: dict[str, list[Node]] = defaultdict(list)
    for id_, root in roots.items():
        members[root.id].append(graph.nodes[id_])
    groups = {root.id: graph.nodes.get(root.id, root) for root in roots.values()}
    nodes = [node for id_, node in graph.nodes.items() if id_ not in roots and id_ not in groups]
    nodes += [replace(node, detail=node.detail or _count(members[id_])) for id_, node in groups.items()]
    drawn = {id_: roots[id_].id if id_ in roots else id_ for id_ in graph.nodes}
    edges = [
        edge
        if drawn[edge.origin] == edge.origin and drawn[edge.destination] == edge.destination
        else replace(edge, origin=drawn[edge.origin], destination=drawn[edge.destination])
        for edge in graph.edges
        if drawn[edge.origin] != drawn[edge.destination] or drawn[edge.origin] not in groups
    ]
    return Graph(nodes, edges, start=[drawn[id_] for id_ in graph.start], missing=graph.missing)


def by_namespace(graph: Graph) -> dict[str, Node]:
    """Return each node's namespace as its parent, for `collapse`; runs have none."""
    groups = {
        name: Node(f"{NodeKind.NAMESPACE}:{name}", NodeKind.NAMESPACE, name, name)
        for name in {node.namespace for node in graph.nodes.values()}
        if name
    }
    return {id_: groups[node.namespace] for id_, node in graph.nodes.items() if node.namespace}


def roots_of(graph: Graph, parents: Mapping[str, Node]) -> dict[str, Node]:
    """Return the root of each node that has one, as `collapse` draws it; every parent is looked at once."""
    known: dict[str, Node | None] = {}
    for id_ in graph.nodes:
        path: dict[str, Node] = {}
        at, root = id_, None
        while at in parents and at not in known and at not in path:
            path[at] = root = parents[at]
            at = root.id
        if at in path:
            root = None  # a circle
        elif at in parents:
            root = known[at]
        known |= dict.fromkeys(path, root)
        known.setdefault(id_, None)
    return {id_: root for id_ in graph.nodes if (root := known[id_]) is not None}


def groups_of(graph: Graph, parents: Mapping[str, Node]) -> dict[str, str]:
    """Return the id of the root that each node is drawn as: nodes of the graph, and the parents between them and it."""
    groups: dict[str, str] = {}
    for id_, root in roots_of(graph, parents).items():
        at = id_
        while at != root.id and at not in groups:
            groups[at] = root.id
            at = parents[at].id
    return groups


def _count(members: Iterable[Node]) -> str:
    """Return ``2 datasets, 1 job``."""
    kinds = Counter(node.kind for node in members)
    words = ((count, _WORDS.get(kind, kind.value)) for kind, count in sorted(kinds.items()))
    return ", ".join(f"{count:,} {word}{'s' if count != 1 else ''}" for count, word in words)
