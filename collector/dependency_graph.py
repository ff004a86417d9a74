"""What a job waits for and what it starts, and these in turn: a walk over ``job_dependency``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from collector import tables
from collector.graph_nodes import job_nodes
from collector.listing import hidden_among
from collector.tables import NEEDS, TOLD_BY, TRIGGERS
from collector.walk import Direction, among

JSON = dict[str, Any]

_RULES = {
    "dependencyType": "dependency_type",
    "sequenceTriggerRule": "sequence_rule",
    "statusTriggerRule": "status_rule",
}


@dataclass(slots=True)
class _Walk:
    distances: dict[int, int]
    limit: int
    # (the job before, the job after): what the later one says of it, and what the earlier one does
    edges: dict[tuple[int, int], dict[int, Row[Any]]] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)


def dependencies(connection: Connection, job: int, direction: Direction, depth: int, limit: int) -> JSON:
    """The jobs within ``depth`` steps, at most ``limit``, nearest first, and what each waits for among them.

    Two statements a step each way, and three.
    """
    found = _Walk({job: 0}, limit)
    for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        if direction in (way, Direction.BOTH):
            _go(connection, found, job, way, depth)
    ids, nodes, details = job_nodes(connection, found.distances)
    rules = _rules(connection, found.distances)
    by_id = {node.id: node for node in nodes}
    jobs = {
        ids[one]: {
            "id": ids[one],
            "namespace": by_id[ids[one]].namespace,
            "name": by_id[ids[one]].name,
            **details[ids[one]],
            "triggerRule": rules.get(one),
        }
        for one in found.distances
        if one in ids
    }
    edges = [
        _edge(ids[before], ids[after], said)
        for (before, after), said in found.edges.items()
        if before in ids and after in ids
    ]
    return {
        "nodeId": ids[job],
        "direction": direction.value,
        "depth": depth,
        "jobs": sorted(jobs.values(), key=lambda one: (one["distance"], one["namespace"], one["name"])),
        "dependencies": sorted(edges, key=lambda one: (one["upstream"], one["downstream"])),
        "truncated": bool(found.left_out),
        "missing": len(found.left_out),
    }


def _go(connection: Connection, found: _Walk, start: int, way: Direction, depth: int) -> None:
    frontier, seen = {start}, {start}
    for distance in range(1, depth + 1):
        rows = _around(connection, frontier, way)
        ends = {before if way is Direction.UPSTREAM else after for before, after, _ in rows}
        new = ends - seen
        hidden = hidden_among(connection, tables.job, new) if new else set()
        new -= hidden
        unknown = sorted(new - found.distances.keys())
        room = max(0, found.limit - len(found.distances))
        found.left_out.update(unknown[room:])
        found.distances.update(dict.fromkeys(unknown[:room], distance))
        for before, after, row in rows:
            if before in found.distances and after in found.distances:
                found.edges.setdefault((before, after), {})[row.direction] = row
        frontier = new & found.distances.keys()
        seen |= new
        if not frontier:
            return


def _around(connection: Connection, jobs: Collection[int], way: Direction) -> list[tuple[int, int, Row[Any]]]:
    """(job before, job after, row) of what the ``jobs`` wait for (upstream) or start, by either one's word."""
    t = tables.job_dependency
    own, others = (NEEDS, TRIGGERS) if way is Direction.UPSTREAM else (TRIGGERS, NEEDS)
    rows = list(connection.execute(select(t).where(among(connection, t.c.job_id, jobs), t.c.direction == own)))
    rows += connection.execute(select(t).where(among(connection, t.c.other_id, jobs), t.c.direction == others))
    return [
        (row.other_id, row.job_id, row) if row.direction == NEEDS else (row.job_id, row.other_id, row) for row in rows
    ]


def _rules(connection: Connection, jobs: Collection[int]) -> dict[int, str]:
    """The rule for all that each job waits for."""
    t = tables.job_dependency.c
    query = select(t.job_id, t.status_rule).where(among(connection, t.job_id, jobs), t.direction == TOLD_BY)
    return dict(connection.execute(query.where(t.status_rule.is_not(None))).all())


def _edge(upstream: str, downstream: str, said: dict[int, Row[Any]]) -> JSON:
    """By the word of the job that waits, where it says anything of a rule, else of the one that it waits for."""
    rows = [said[direction] for direction in (NEEDS, TRIGGERS) if direction in said]
    rules = {
        name: next((value for row in rows if (value := getattr(row, column)) is not None), None)
        for name, column in _RULES.items()
    }
    told_by = [node for direction, node in ((TRIGGERS, upstream), (NEEDS, downstream)) if direction in said]
    return {"upstream": upstream, "downstream": downstream, **rules, "toldBy": told_by}
