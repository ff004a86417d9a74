"""What changed in the graph around a node between two moments: nodes, edges, versions, schemas, code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from collector import keys
from collector.errors import NotFound
from collector.history.answers import Named
from collector.history.moment import Moment
from collector.history.past import graph_at
from collector.history.told import codes as codes_told
from collector.history.told import schemas as schemas_told
from collector.history.versions import versions_at
from collector.lineage_graph import Question, diagram
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

JSON = dict[str, Any]
Code = tuple[str | None, str | None]  # code version and evidence


@dataclass(slots=True)
class Side:
    """The graph at one of the two moments, and what is told of its datasets, by node id."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    start: tuple[str, ...] = ()
    missing: int = 0
    versions: dict[str, str] = field(default_factory=dict)  # the newest version's UUID
    checksums: dict[str, str | None] = field(default_factory=dict)  # that version's
    codes: dict[str, Code] = field(default_factory=dict)
    schemas: dict[str, dict[str, str | None]] = field(default_factory=dict)  # types by column


def difference(connection: Connection, question: Question, before: Moment, after: Moment) -> tuple[JSON, Graph]:
    """What changed, as JSON and as one graph with each node's and edge's part in it.

    Where the node was not known at one of the moments, its graph was empty then. Raises BadQuery, NotFound.
    """
    sides: list[Side] = []
    refusals: list[NotFound] = []
    for moment in (before, after):
        try:
            sides.append(_side(connection, question, moment))
        except NotFound as refusal:
            refusals.append(refusal)
            sides.append(Side())
    if len(refusals) == len(sides):
        raise refusals[-1]
    old, new = sides
    changed = {one: change for one in old.nodes.keys() & new.nodes.keys() if (change := _change(old, new, one))}
    added, removed = new.nodes.keys() - old.nodes.keys(), old.nodes.keys() - new.nodes.keys()
    came, went = new.edges.keys() - old.edges.keys(), old.edges.keys() - new.edges.keys()
    start = (new.start or old.start)[0]
    missing = max(old.missing, new.missing)
    document = {
        "nodeId": start,
        "nodes": {
            "added": sorted(added),
            "removed": sorted(removed),
            "changed": [{"id": one, **changed[one]} for one in sorted(changed)],
        },
        "edges": {"added": _pairs(came), "removed": _pairs(went)},
        "truncated": missing > 0,
        "missing": missing,
    }
    status = dict.fromkeys(added, "added") | dict.fromkeys(removed, "removed") | dict.fromkeys(changed, "changed")
    both = old.nodes | new.nodes
    nodes = [
        Node(one, node.kind, node.namespace, node.name, node.field, status.get(one), _detail(changed.get(one)))
        for one, node in both.items()
    ]
    words = dict.fromkeys(came, "added") | dict.fromkeys(went, "removed")
    edges = [
        Edge(edge.origin, edge.destination, edge.evidence, label=words.get(ends))
        for ends, edge in (old.edges | new.edges).items()
    ]
    return document, Graph(nodes, edges, start=[start], missing=missing)


def _side(connection: Connection, question: Question, moment: Moment) -> Side:
    with graph_at(
        connection,
        moment,
        question.node_id,
        direction=question.direction,
        depth=question.depth,
        limit=question.limit,
    ) as past:
        graph = diagram(past, question)
        # a node bears the names of the dataset that stands for all, whose id is their hash
        ids = {
            keys.dataset_id(node.namespace, node.name): node.id
            for node in graph.nodes.values()
            if node.kind is NodeKind.DATASET
        }
    jobs = {
        keys.job_id(node.namespace, node.name): node.id for node in graph.nodes.values() if node.kind is NodeKind.JOB
    }
    codes: dict[str, Code] = {
        jobs[job]: (code, "inferred") for job, code in codes_told(connection, jobs, moment).items()
    }
    versions = versions_at(connection, moment)
    newest = versions.newest(ids)
    named = Named(versions, list(newest.values()))
    return Side(
        {one: Node(one, node.kind, node.namespace, node.name, node.field) for one, node in graph.nodes.items()},
        {(edge.origin, edge.destination): edge for edge in graph.edges},
        graph.start,
        graph.missing,
        {ids[dataset]: one.uuid for dataset, one in newest.items()},
        {ids[dataset]: one.checksum for dataset, one in newest.items()},
        codes | {ids[dataset]: named.code(one) for dataset, one in newest.items()},
        {ids[dataset]: columns for dataset, columns in schemas_told(connection, ids, moment).items()},
    )


def _change(old: Side, new: Side, one: str) -> JSON:
    change: JSON = {}
    if old.versions.get(one) != new.versions.get(one):
        change["version"] = {"from": old.versions.get(one), "to": new.versions.get(one)}
        before_sum, after_sum = old.checksums.get(one), new.checksums.get(one)
        if before_sum is not None or after_sum is not None:  # the same one: the new version is the old data again
            change["checksum"] = {"from": before_sum, "to": after_sum}
    before, after = old.schemas.get(one, {}), new.schemas.get(one, {})
    if before != after:
        change["schema"] = {
            "added": sorted(after.keys() - before.keys()),
            "removed": sorted(before.keys() - after.keys()),
            "changed": [
                {"column": name, "from": before[name], "to": after[name]}
                for name in sorted(before.keys() & after.keys())
                if before[name] != after[name]
            ],
        }
    was, now = (side.codes.get(one, (None, None)) for side in (old, new))
    if was[0] != now[0]:
        change["code"] = {"from": was[0], "to": now[0], "evidence": now[1] or was[1]}
    return change


def _detail(change: JSON | None) -> str | None:
    """What changed, in a word for a diagram."""
    return None if not change else ", ".join(f"new {what}" for what in change if what != "checksum")


def _pairs(edges: Any) -> list[JSON]:
    return [{"origin": origin, "destination": destination} for origin, destination in sorted(edges)]
