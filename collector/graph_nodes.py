"""The nodes of a graph answer: datasets with their newest version, jobs with the state of their latest run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from collector import tables
from collector.column_graph import Details
from collector.documents.datasets import Version, dataset_names, newest_versions
from collector.lookup import find_node
from collector.walk import among
from lineage.graph import Node
from lineage.nodes import NodeKind, dataset_node, field_node, job_node

JSON = dict[str, Any]

# Names are not escaped in Marquez's node ids, so two things may have one id: "a:b" in "x", and "b" in "x:a". The one
# that the walk met first then stands for both, with the edges of both.


def dataset_nodes(connection: Connection, found: dict[int, int]) -> tuple[dict[int, str], list[Node], Details]:
    """Datasets (canonical ids by distance): node ids, nodes, and what an answer says further; three statements."""
    names = dataset_names(connection, found)
    versions = newest_versions(connection, found)
    ids: dict[int, str] = {}
    nodes: list[Node] = []
    details: Details = {}
    for dataset, distance in found.items():
        ids[dataset] = node_id = str(dataset_node(*names[dataset]))
        if node_id not in details:
            version = versions.get(dataset)
            nodes.append(Node(node_id, NodeKind.DATASET, *names[dataset], detail=_version_label(version)))
            details[node_id] = {"distance": distance} | _version(version)
    return ids, nodes, details


def job_nodes(connection: Connection, found: dict[int, int]) -> tuple[dict[int, str], list[Node], Details]:
    """Jobs, likewise; one statement."""
    j, n, run = tables.job, tables.namespace, tables.run
    query = (
        select(j.c.id, n.c.name, j.c.name, run.c.state)
        .join(n, n.c.id == j.c.namespace_id)
        .outerjoin(run, run.c.id == j.c.latest_run)
        .where(among(connection, j.c.id, found))
    )
    ids: dict[int, str] = {}
    nodes: list[Node] = []
    details: Details = {}
    rows = {job: (namespace, name, state) for job, namespace, name, state in connection.execute(query)}
    for job, distance in found.items():
        if job not in rows:  # a parent that nothing else was ever heard of
            continue
        namespace, name, state = rows[job]
        ids[job] = node_id = str(job_node(namespace, name))
        if node_id in details:
            continue
        status = "failed" if state in ("FAILED", "ABORTED") else None
        nodes.append(Node(node_id, NodeKind.JOB, namespace, name, status=status))
        details[node_id] = {"distance": distance, "latestRunState": state}
    return ids, nodes, details


def find_shown(connection: Connection, text: str, kinds: Collection[NodeKind]) -> tuple[int, str]:
    """The id of the node that ``text`` names, by any of its names, and the node id that a graph has for it.

    Raises BadQuery, NotFound.
    """
    found = find_node(connection, text, kinds)
    if found.node.kind is NodeKind.JOB:
        return found.id, str(job_node(found.node.namespace, found.node.name))
    names = dataset_names(connection, [found.id])[found.id]
    return found.id, str(dataset_node(*names) if found.node.field is None else field_node(*names, found.node.field))


def _version(version: Version | None) -> JSON:
    if version is None:
        return {"version": None, "checksum": None, "codeVersion": None, "runId": None}
    return {
        "version": version.version or version.uuid,
        "checksum": version.checksum,
        "codeVersion": version.code_version,
        "runId": version.run_id,
    }


def _version_label(version: Version | None) -> str | None:
    """A second line for diagrams: the start of the checksum, else a short version that somebody named."""
    if version is None:
        return None
    if version.checksum:
        algorithm, _, value = version.checksum.partition(":")
        return f"{algorithm} {value[:8]}"
    return version.version if version.version and len(version.version) <= 24 else None
