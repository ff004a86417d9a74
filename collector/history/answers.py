"""Provenance, impact and whether one version went into another, as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection

from collector.documents.datasets import dataset_names
from collector.errors import BadQuery, NotFound
from collector.facets import read
from collector.history import walks
from collector.history.moment import Moment
from collector.history.naming import find_version
from collector.history.uses import CODE, Run, facet_bodies
from collector.history.versions import Version, Versions, versions_at
from collector.keys import content_hash, isoformat, run_uuid
from collector.store.keyed import ask
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeId, NodeKind, dataset_node

JSON = dict[str, Any]
Job = tuple[str, str]


class _Location(msgspec.Struct):
    version: str | None = None


class _Sql(msgspec.Struct):
    query: str


class _SourceCode(msgspec.Struct):
    sourceCode: str


def provenance(connection: Connection, node_id: str, moment: Moment, depth: int, limit: int) -> JSON:
    """What a version was made from, to ``depth`` runs. Raises BadQuery, NotFound."""
    versions = versions_at(connection, moment)
    start = _start(versions, node_id)
    return _document(versions, start, walks.upstream(versions, start, depth, limit), "upstream")


def impact(connection: Connection, node_id: str, moment: Moment, depth: int, limit: int) -> JSON:
    """What was made from a version, and ``rebuild``: the jobs to run again, in order. Raises BadQuery, NotFound."""
    versions = versions_at(connection, moment)
    start = _start(versions, node_id)
    walk = walks.downstream(versions, start, depth, limit)
    document = _document(versions, start, walk, "downstream")
    document["rebuild"] = _rebuild(document, walk)
    return document


def affected(connection: Connection, node_id: str, by: str, moment: Moment, limit: int) -> JSON:
    """Whether the version ``by`` went into the version ``node_id``, and by which way. Raises BadQuery, NotFound."""
    versions = versions_at(connection, moment)
    destination, origin = _start(versions, node_id), _start(versions, by)
    try:
        path = None
        if isinstance(destination, Version):
            path = walks.path_between(versions, origin, destination, limit)
    except LookupError:
        raise BadQuery(
            f"More than {limit:,} versions lie between the two: ask about one that is nearer.",
            {"nodeId": ["too far from 'by'"]},
        ) from None
    named = Named(versions, [origin, destination, *(path or ())])
    return {
        "nodeId": named.ids[destination],
        "by": named.ids[origin],
        "affected": path is not None,
        "path": [named.ids[one] for one in path or ()],
    }


def _start(versions: Versions, node_id: str) -> walks.Made:
    """The version that is asked about; of a dataset that nobody has written, the dataset."""
    found, version = find_version(versions, node_id)
    if version is None:
        sql = "SELECT MIN(d.created_us) FROM {k} {x} dataset AS d ON d.canonical_id = k.a"
        ((first,),) = ask(versions.connection, sql, [(found.id,)])
        if first > versions.moment.as_of_us:
            raise NotFound(
                f"Nothing was known of '{found.node.name}' at that moment: "
                f"the first event about it is of {isoformat(first)}."
            )
        return found.id
    return version


class Named:
    """Names, ids, jobs and code versions of versions and unwritten datasets: a fixed number of statements."""

    def __init__(self, versions: Versions, made: Collection[walks.Made]) -> None:
        connection = versions.connection
        datasets = {one if isinstance(one, int) else one.canonical for one in made}
        self.names = dataset_names(connection, datasets)
        nodes = {dataset: str(dataset_node(*name)) for dataset, name in self.names.items()}
        self._uuids = {one: one.uuid for one in made if isinstance(one, Version)}
        self.ids: dict[walks.Made, str] = {one: nodes[one] for one in made if isinstance(one, int)}
        self.ids |= {one: f"{nodes[one.canonical]}#{uuid}" for one, uuid in self._uuids.items()}
        self.runs = versions.runs({one.run for one in made if isinstance(one, Version) and one.run})
        self.jobs = jobs_named(connection, {run.job_id for run in self.runs.values()})
        self.run_ids = {run.id: run_uuid(run.key) for run in self.runs.values()}
        self._codes = code_versions(connection, self.runs.values())

    def document(self, one: walks.Made) -> JSON:
        """A version, or a dataset that nobody wrote."""
        namespace, name = self.names[one if isinstance(one, int) else one.canonical]
        if isinstance(one, int):
            document: JSON = {"id": self.ids[one], "namespace": namespace, "name": name}
            nothing = ("uuid", "version", "checksum", "codeVersion", "codeEvidence", "createdAt", "runId", "job")
            return document | dict.fromkeys(nothing)
        run = self.runs.get(one.run)
        job = self.jobs.get(run.job_id) if run is not None else None
        code, evidence = self.code(one)
        return {
            "id": self.ids[one],
            "namespace": namespace,
            "name": name,
            "uuid": self._uuids[one],
            "version": one.version,
            "checksum": one.checksum,
            "codeVersion": code,
            "codeEvidence": evidence,
            "createdAt": isoformat(one.at_us),
            "runId": self.run_ids.get(one.run),
            "job": {"namespace": job[0], "name": job[1]} if job is not None else None,
        }

    def code(self, one: Version) -> tuple[str | None, str | None]:
        """The code version that made it, and whether that is exact or inferred."""
        if one.code_version is not None:
            return one.code_version, "exact"
        code = self._codes.get(one.run)
        return code, "inferred" if code is not None else None


def jobs_named(connection: Connection, jobs: Iterable[int]) -> dict[int, Job]:
    """Namespace and name of each job: one statement."""
    sql = "SELECT j.id, n.name, j.name FROM {k} {x} job AS j ON j.id = k.a {x} namespace AS n ON n.id = j.namespace_id"
    return {job: (ns, name) for job, ns, name in ask(connection, sql, [(job,) for job in jobs])}


def code_versions(connection: Connection, runs: Iterable[Run]) -> dict[int, str]:
    """What tells the code of each run from another's, where its job's facets say anything: one statement.

    The version in ``sourceCodeLocation``, else a hash of the text in ``sql``, else of that in ``sourceCode``.
    """
    runs = list(runs)
    raw = facet_bodies(connection, {body for run in runs for body in run.code.values() if isinstance(body, int)})
    found: dict[int, str] = {}
    for run in runs:
        told = {name: body if isinstance(body, bytes) else raw[body] for name, body in run.code.items()}
        code = next((code for name in CODE if name in told and (code := _code_in(name, told[name]))), None)
        if code is not None:
            found[run.id] = code
    return found


def _code_in(name: str, body: bytes) -> str | None:
    """The code version that one facet of ``CODE`` tells."""
    if name == "sourceCodeLocation":
        location = read(body, _Location)
        return (location.version or None) if location is not None else None
    if name == "sql":
        sql = read(body, _Sql)
        return f"sql:{_digest(sql.query)}" if sql is not None else None
    source = read(body, _SourceCode)
    return f"code:{_digest(source.sourceCode)}" if source is not None else None


def _digest(text: str) -> str:
    return content_hash(text.encode()).hex()[:12]


def _document(versions: Versions, start: walks.Made, walk: walks.VersionWalk, direction: str) -> JSON:
    named = Named(versions, list(walk.versions))
    following = versions.next([one for one in walk.versions if isinstance(one, Version)])
    nodes = []
    for one, distance in walk.versions.items():
        after = following.get(one) if isinstance(one, Version) else None
        node = named.document(one)
        node["distance"] = distance
        node["supersededAt"] = isoformat(after.at_us) if after is not None else None
        nodes.append(node)
    nodes.sort(
        key=lambda node: (node["distance"], node["namespace"], node["name"], node["createdAt"] or "", node["id"])
    )
    steps = [
        {
            "origin": named.ids[step.origin],
            "destination": named.ids[step.destination],
            "runId": named.run_ids[step.run],
            "versionEvidence": step.version_evidence,
            "flowEvidence": step.flow_evidence,
        }
        for step in walk.steps
    ]
    steps.sort(key=itemgetter("destination", "origin", "runId"))
    return {
        "nodeId": named.ids[start],
        "direction": direction,
        "versions": nodes,
        "steps": steps,
        "truncated": bool(walk.left_out),
        "missing": len(walk.left_out),
    } | _note(walk, direction)


def _note(walk: walks.VersionWalk, direction: str) -> JSON:
    if not walk.left_out:
        return {}
    return {"note": f"Cut at {len(walk.versions):,} versions: ask with a smaller depth, or about a version nearer by."}


def _rebuild(document: JSON, walk: walks.VersionWalk) -> list[JSON]:
    """The jobs whose newest outputs are among the versions, each after those whose outputs it reads."""
    current = {node["id"]: node for node in document["versions"] if node["distance"] and node["supersededAt"] is None}
    datasets: dict[Job, set[str]] = defaultdict(set)
    owner: dict[str, Job] = {}
    for node in current.values():
        if node["job"] is not None:
            job = (node["job"]["namespace"], node["job"]["name"])
            dataset = str(dataset_node(node["namespace"], node["name"]))
            datasets[job].add(dataset)
            owner[dataset] = job
    edges = []
    for step in document["steps"]:
        ends = [owner.get(step[end].rpartition("#")[0]) for end in ("origin", "destination")]
        if None not in ends and ends[0] != ends[1]:
            edges.append(Edge(_job(ends[0]), _job(ends[1])))  # type: ignore[arg-type]
    graph = Graph([Node(_job(job), NodeKind.JOB, *job) for job in datasets], edges)
    by_id = {_job(job): job for job in datasets}
    return [
        {"namespace": by_id[one][0], "name": by_id[one][1], "datasets": sorted(datasets[by_id[one]])}
        for one in graph.stable_order()
    ]


def _job(job: Job) -> str:
    return str(NodeId(NodeKind.JOB, *job))


def as_graph(document: JSON) -> Graph:
    """The versions of an answer as a graph, for diagrams; what is superseded is dimmed."""
    nodes = [
        Node(
            node["id"],
            NodeKind.DATASET,
            node["namespace"],
            node["name"],
            status="stale" if node["supersededAt"] else None,
            detail=label(node),
        )
        for node in document["versions"]
    ]
    edges = [
        Edge(step["origin"], step["destination"], "inferred" if step["versionEvidence"] != "exact" else "declared")
        for step in document["steps"]
    ]
    return Graph(nodes, edges, start=[document["nodeId"]], missing=document["missing"])


def label(node: JSON) -> str | None:
    """A short word for a version: what its producer named it, else the start of its checksum, else when it was made."""
    if node["version"] and len(node["version"]) <= 24:
        return str(node["version"])
    if node["checksum"]:
        algorithm, _, value = node["checksum"].partition(":")
        return f"{algorithm} {value[:8]}"
    return node["createdAt"][:19].replace("T", " ") if node["createdAt"] else None
