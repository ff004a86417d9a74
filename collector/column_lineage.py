"""``GET /column-lineage``: columns made from columns, from a dataset, a column or a job, each also at one version."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, select

from collector import keys, tables
from collector.documents.bodies import Bodies
from collector.documents.datasets import dataset_names, newest_versions, transformation_summary
from collector.documents.job_versions import job_version
from collector.documents.runs import uses_of_runs
from collector.edges import column_origins
from collector.errors import NotFound
from collector.facets import TableSchema, flat_columns
from collector.flow import FlowWalk, columns_derived_of, columns_known, walk_columns
from collector.history.uses import facet_bodies
from collector.lookup import Found, find_node, names_of
from collector.packing import unpack_facets
from collector.tables import OUTPUT
from collector.versions import version_key, version_uuid
from collector.walk import Direction, among
from lineage.nodes import NodeKind, field_node

JSON = dict[str, Any]
Column = tuple[int, str]  # dataset id (canonical), column


def column_graph(connection: Connection, node_id: str, depth: int, *, with_downstream: bool, limit: int) -> list[JSON]:
    """The columns upstream of a node, and downstream where asked, as Marquez's nodes sorted by id.

    A fixed number of statements for each of ``depth`` levels. Raises BadQuery, NotFound.
    """
    start = find_node(connection, node_id, (NodeKind.DATASET, NodeKind.FIELD, NodeKind.JOB))
    told: dict[Column, list[tuple[Column, str]]] = {}  # origins as they were at the version
    versions: dict[int, str] = {}
    if start.node.version is not None:
        told, versions = _at_version(connection, start)
        starts = sorted(told)
    elif start.node.kind is NodeKind.JOB:
        starts = _columns_of_job(connection, start.id)
    elif start.node.field is not None:
        starts = [(start.id, start.node.field)]
    else:
        starts = [(start.id, column) for column in columns_known(connection, start.id) if column]
    if start.node.field is not None:
        starts = [one for one in starts if one[1] == start.node.field] or [(start.id, start.node.field)]
    if told:
        origins = sorted({origin for one in starts for origin, _ in told.get(one, ())} - set(starts))
        found = walk_columns(connection, origins, Direction.UPSTREAM, max(0, depth - 1), limit)
        found.nodes |= dict.fromkeys(starts, 0)
        for one in starts:
            for origin, text in told.get(one, ()):
                found.edges[origin, one], found.transformations[origin, one] = "column", text
    else:
        found = walk_columns(connection, starts, Direction.UPSTREAM, depth, limit)
    if with_downstream:
        down = walk_columns(connection, starts, Direction.DOWNSTREAM, depth, limit)
        ways = found.transformations | down.transformations
        found = FlowWalk(found.nodes | down.nodes, found.edges | down.edges, transformations=ways)
    columns = {node for node in found.nodes if node[1]}
    edges = {(a, b) for a, b in found.edges if a in columns and b in columns}
    if not edges and start.node.kind is not NodeKind.FIELD:
        return []
    return _documents(connection, columns, edges, found.transformations, versions)


def _documents(
    connection: Connection,
    columns: set[Column],
    edges: set[tuple[Column, Column]],
    ways: dict[tuple[Column, Column], str],
    versions: dict[int, str],
) -> list[JSON]:
    datasets = {dataset for dataset, _ in columns}
    names = dataset_names(connection, datasets)
    newest = {dataset: version.uuid for dataset, version in newest_versions(connection, datasets).items()} | versions
    types = _types(connection, datasets)
    ids = {column: str(field_node(*names[column[0]], column[1])) for column in columns}
    into: dict[Column, list[Column]] = defaultdict(list)
    out_of: dict[Column, list[Column]] = defaultdict(list)
    for origin, destination in sorted(edges, key=lambda edge: (ids[edge[0]], ids[edge[1]])):
        into[destination].append(origin)
        out_of[origin].append(destination)
    nodes: dict[str, JSON] = {}
    for column in columns:
        namespace, name = names[column[0]]
        inputs = []
        for origin in into[column]:
            kind, description = transformation_summary(ways[origin, column])
            inputs.append(
                {
                    "namespace": names[origin[0]][0],
                    "dataset": names[origin[0]][1],
                    "datasetVersion": newest.get(origin[0]),
                    "field": origin[1],
                    "transformationDescription": description,
                    "transformationType": kind,
                }
            )
        direct = (one for one in inputs if not (one["transformationType"] or "").startswith("INDIRECT"))
        first = next(direct, inputs[0] if inputs else None)
        nodes[ids[column]] = {
            "id": ids[column],
            "type": "DATASET_FIELD",
            "data": {
                "namespace": namespace,
                "dataset": name,
                "datasetVersion": newest.get(column[0]),
                "field": column[1],
                "fieldType": types.get(column),
                "transformationDescription": first["transformationDescription"] if first else None,
                "transformationType": first["transformationType"] if first else None,
                "inputFields": inputs,
            },
            # as Marquez does it, from this column to its origin: its UI looks for the origin there
            "inEdges": [{"origin": ids[column], "destination": ids[origin]} for origin in into[column]],
            "outEdges": [{"origin": ids[column], "destination": ids[to]} for to in out_of[column]],
        }
    return [nodes[one] for one in sorted(nodes)]


def _types(connection: Connection, datasets: Iterable[int]) -> dict[Column, str | None]:
    """The type of each column, by the newest schema: two statements."""
    d = tables.dataset.c
    rows = connection.execute(select(d.canonical_id, d.facets).where(among(connection, d.canonical_id, datasets))).all()
    bodies = Bodies(connection, (facets for _, facets in rows), ("schema",))
    found: dict[Column, str | None] = {}
    for dataset, packed in rows:
        schema = bodies.get(packed, "schema", TableSchema)
        for name, kind in flat_columns(schema.fields if schema else None):
            found.setdefault((dataset, keys.clean_name(name, keys.FIELD_BYTES)), kind)
    return found


def _columns_of_job(connection: Connection, job: int) -> list[Column]:
    """The columns that a job makes, as its runs, its own ``lineage`` facet or its SQL say."""
    c = tables.column_edge.c
    query = select(c.destination_id, c.destination_field).where(c.job_id.in_((job, -job))).distinct()
    found = {(dataset, column) for dataset, column in connection.execute(query) if column}
    return sorted(found.union(columns_derived_of(connection, job)))


def _at_version(connection: Connection, start: Found) -> tuple[dict[Column, list[tuple[Column, str]]], dict[int, str]]:
    """The columns that a version of a dataset, or a job's newest run of a version, made: origins by column, and the
    version of each dataset that it wrote. Raises NotFound."""
    version = start.node.version or ""
    run_keys: list[bytes] = []
    r, d = tables.run.c, tables.dataset
    if start.node.kind is NodeKind.JOB:
        one = job_version(connection, start.id, version)
        if one is not None and one["latestRun"] is not None:
            run_keys = [keys.run_key(one["latestRun"]["id"])]
        title = "Job version"
    else:
        title = "Dataset version"
        names = names_of(connection, start.id)
        with suppress(ValueError):
            run_keys = [version_key(name, uuid.UUID(version).bytes) for name in names]
    runs = {run: bytes(key) for run, key in connection.execute(select(r.id, r.run_key).where(r.run_key.in_(run_keys)))}
    outputs = [
        use
        for found in uses_of_runs(connection, runs).values()
        for use in found
        if use.direction == OUTPUT and (start.node.kind is NodeKind.JOB or use.canonical_id == start.id)
    ]
    if not outputs:
        raise NotFound(f"{title} '{version}' not found.")
    written = [(use.canonical_id, unpack_facets(use.facets)) for use in outputs]
    ids = {facets["columnLineage"][2] for _, facets in written if "columnLineage" in facets}
    raw = facet_bodies(connection, ids)
    told: dict[Column, list[tuple[Column, str]]] = defaultdict(list)
    versions = {use.canonical_id: version_uuid(use.dataset_id, runs[use.run]) for use in outputs}
    origins = {
        dataset: column_origins(raw[facets["columnLineage"][2]])
        for dataset, facets in written
        if "columnLineage" in facets
    }
    named = {origin for found in origins.values() for _, origin, _, _ in found}
    canonical: dict[int, int] = dict(
        connection.execute(select(d.c.id, d.c.canonical_id).where(among(connection, d.c.id, named))).all()
    )
    for dataset, found in origins.items():
        for column, origin, origin_column, text in found:
            if column:
                told[dataset, column].append(((canonical.get(origin, origin), origin_column), text))
    return dict(told), versions
