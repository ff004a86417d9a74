"""Runs of one job that should have given the same data and did not, and new versions that are the old data again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from collector import tables
from collector.documents.datasets import dataset_names
from collector.errors import BadQuery
from collector.history.answers import code_versions, jobs_named
from collector.history.flows import Flows
from collector.history.moment import Moment
from collector.history.readings import resolve
from collector.history.uses import Run
from collector.history.versions import Version, Versions, version_of, versions_at
from collector.keys import isoformat, run_uuid
from collector.lookup import find_node, names_of
from lineage.nodes import NodeKind, dataset_node

JSON = dict[str, Any]

# what a run made of what: (job, output dataset, code version, [(input dataset, checksum)])
_Recipe = tuple[int, int, str, tuple[tuple[int, str], ...]]


def reproducibility(connection: Connection, node_id: str | None, moment: Moment, limit: int) -> JSON:
    """Of a job, of a dataset, or of all: looks through the newest ``limit`` runs that wrote something with a checksum.

    Raises BadQuery, NotFound.
    """
    versions = versions_at(connection, moment)
    runs, dataset, is_cut = _runs(versions, node_id, limit)
    made = [
        (run, version)
        for run in runs
        for use in run.outputs
        if (version := version_of(run, use)) is not None and dataset in (None, version.canonical)
    ]
    recipes = _recipes(versions, runs)
    groups: dict[_Recipe, list[tuple[Run, Version]]] = defaultdict(list)
    for run, version in made:
        recipe = recipes.get((run.id, version.named))
        if recipe is not None and version.checksum is not None:
            groups[recipe].append((run, version))
    differing = {recipe: group for recipe, group in groups.items() if len({v.checksum for _, v in group}) > 1}
    noops = _noops(versions, [version for _, version in made])
    datasets = {dataset for _, output, _, inputs in differing for dataset in (output, *(one for one, _ in inputs))}
    names = dataset_names(connection, datasets | {version.canonical for group in noops for version in group})
    ids = {dataset: str(dataset_node(*name)) for dataset, name in names.items()}
    jobs = jobs_named(connection, {recipe[0] for recipe in differing})
    unreproducible = [
        {
            "job": {"namespace": jobs[job][0], "name": jobs[job][1]},
            "dataset": ids[output],
            "codeVersion": code,
            "inputs": [{"id": ids[one], "checksum": checksum} for one, checksum in inputs],
            "runs": [
                {
                    "runId": run_uuid(run.key),
                    "uuid": version.uuid,
                    "checksum": version.checksum,
                    "createdAt": isoformat(version.at_us),
                }
                for run, version in sorted(group, key=lambda one: one[1].order)
            ],
        }
        for (job, output, code, inputs), group in differing.items()
    ]
    unreproducible.sort(
        key=lambda one: (str(one["dataset"]), str(one["job"]), str(one["codeVersion"]), str(one["inputs"]))
    )
    again = [
        {"dataset": ids[group[0].canonical], "checksum": group[0].checksum, "versions": [one.uuid for one in group]}
        for group in noops
    ]
    again.sort(key=lambda one: (str(one["dataset"]), str(one["checksum"]), str(one["versions"])))
    document: JSON = {"unreproducible": unreproducible, "noops": again, "runs": len(runs), "truncated": is_cut}
    if is_cut:
        document["note"] = f"Only the newest {limit:,} runs were looked at: ask about one job or dataset with nodeId."
    return document


def _runs(versions: Versions, node_id: str | None, limit: int) -> tuple[list[Run], int | None, bool]:
    """The newest runs of the node, the dataset where it is one, and whether there are more runs."""
    connection = versions.connection
    r, u = tables.run.c, tables.run_dataset.c
    query = select(r.id).where(r.has_outputs, r.created_us <= versions.moment.as_of_us)
    dataset: int | None = None
    if node_id is not None:
        found = find_node(connection, node_id, (NodeKind.JOB, NodeKind.DATASET))
        if found.node.version is not None:
            raise BadQuery("nodeId: a job or a dataset, without a version.", {"nodeId": ["without a version"]})
        if found.node.kind is NodeKind.JOB:
            query = query.where(r.job_id == found.id)
        else:
            dataset = found.id
            names = names_of(versions.connection, dataset)
            query = query.where(r.id.in_(select(u.run).where(u.dataset_id.in_(names), u.written_us.is_not(None))))
    ids = list(connection.execute(query.order_by(r.id.desc()).limit(limit + 1)).scalars())
    return list(versions.runs(ids[:limit]).values()), dataset, len(ids) > limit


def _recipes(versions: Versions, runs: list[Run]) -> dict[tuple[int, int], _Recipe]:
    """By (run, output as named): what made it, where its code and every input have a version that tells data apart."""
    codes = code_versions(versions.connection, runs)
    sources = Flows(versions.connection).sources(runs)
    by_id = {run.id: run for run in runs}
    reads = resolve(versions, [(by_id[run], use) for (run, _), found in sources.items() for use in found.inputs])
    recipes: dict[tuple[int, int], _Recipe] = {}
    for run in runs:
        for output in run.outputs:
            code = output.code_version or codes.get(run.id)
            inputs: set[tuple[int, str]] = set()
            for use in sources[run.id, output.named].inputs:
                version = reads[run.id, use.named].version
                checksum = use.checksum or (version.checksum if version is not None else None)
                if checksum is None:
                    break
                inputs.add((use.canonical, checksum))
            else:
                if code is not None and inputs:  # a load from outside may well give other data each time
                    recipe = (run.job_id, output.canonical, code, tuple(sorted(inputs)))
                    recipes[run.id, output.named] = recipe
    return recipes


def _noops(versions: Versions, made: Iterable[Version]) -> list[list[Version]]:
    """Successive versions of one dataset with one checksum, under different runs.

    A DatasetEvent's may stand between them, and breaks the row where it names another.
    """
    of: dict[int, list[Version]] = defaultdict(list)
    for version in made:
        of[version.canonical].append(version)
    found: list[list[Version]] = []
    for dataset, history in of.items():
        history += [one for one in versions.told(dataset) if one.is_named]
        history.sort(key=lambda one: one.order)
        for checksum, stretch in groupby(history, key=lambda one: one.checksum):
            written = [one for one in stretch if one.run]
            if checksum is not None and len(written) > 1:
                found.append(written)
    return found
