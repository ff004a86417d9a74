"""``GET /runlineage/upstream``: which runs made what a run read, and what those read, by exact versions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from collector import keys
from collector.documents.reads import Reading, versions_read
from collector.documents.runs import full_run_documents, run_rows, uses_of_runs
from collector.tables import INPUT

JSON = dict[str, Any]


def upstream_runs(connection: Connection, run: int, depth: int, limit: int) -> list[JSON]:
    """The run and those upstream of it, nearest first: a fixed number of statements a level, at most ``limit`` runs."""
    found: list[JSON] = []
    seen = {run}
    level = [run]
    for _ in range(depth + 1):
        if not level:
            break
        entries, producers = _level(connection, level)
        found.extend(entries)
        level = [one for one in dict.fromkeys(producers) if one not in seen][: max(0, limit - len(seen))]
        seen.update(level)
    return found


def _level(connection: Connection, runs: list[int]) -> tuple[list[JSON], list[int]]:
    """The entries of ``runs``, and the runs that made what they read."""
    rows = {row.id: row for row in run_rows(connection, runs)}
    documents = full_run_documents(connection, runs)
    uses = uses_of_runs(connection, runs)
    readings = versions_read(
        connection,
        [
            Reading(
                run, u.dataset_id, u.canonical_id, u.version, u.checksum, rows[run].started_us or rows[run].created_us
            )
            for run in runs
            for u in uses[run]
            if u.direction == INPUT
        ],
    )
    entries, producers = [], []
    for run in runs:
        document = documents[run]
        inputs = []
        for use in uses[run]:
            if use.direction != INPUT:
                continue
            read = readings[run, use.dataset_id]
            if read.run is not None:
                producers.append(read.run)
            inputs.append(
                {
                    "namespace": use.namespace,
                    "name": use.name,
                    "version": read.uuid,
                    "producedByRunId": keys.run_uuid(read.run_key) if read.run_key is not None else None,
                    "evidence": read.evidence,
                }
            )
        entries.append(
            {
                "job": document["jobVersion"],
                "run": {
                    "id": document["id"],
                    "start": document["startedAt"],
                    "end": document["endedAt"],
                    "status": document["state"],
                },
                "inputs": inputs,
            }
        )
    return entries, producers
