"""Jobs and their runs, in Marquez's shape."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy import Connection

from collector import keys, legacy
from collector.api.answers import json_response
from collector.api.documentation import documented
from collector.api.paths import NamePaths
from collector.api.query import JobBody, JobsPage, Page, RunBody, load_body, load_query
from collector.api.shapes import JobList, JobShape, JobVersionList, JobVersionShape, RunList, RunShape
from collector.api.store import reader
from collector.api.writing import commit
from collector.documents.job_versions import job_version, job_versions
from collector.documents.jobs import full_job_document, job_sides, listed_jobs
from collector.documents.runs import full_run_documents, jobs_of_runs, run_rows
from collector.errors import BadQuery, NotFound
from collector.legacy import clock
from collector.listing import page_of_jobs, page_of_runs
from collector.lookup import find_datasets, find_job, find_namespace, find_run
from collector.records import make_record

paths = NamePaths("jobs")
blueprint = Blueprint("all-jobs", __name__, url_prefix="/api/v1", description="Jobs of every namespace")

_JOB = "{namespace}/jobs/{job}"


@blueprint.route("/jobs")
@blueprint.doc(**documented("Jobs of every namespace by name", JobList, query=JobsPage))
def list_all_jobs() -> Response:
    """Without those that are hidden."""
    return _list(None)


@paths.route("{namespace}/jobs", **documented("Jobs by name", JobList, query=JobsPage))
def list_jobs(namespace: str) -> Response:
    """A namespace's jobs, without those that are hidden."""
    return _list(namespace)


def _list(namespace: str | None) -> Response:
    query = load_query(JobsPage, "lastRunStates")
    with reader() as connection:
        namespace_id = find_namespace(connection, namespace) if namespace is not None else None
        states = query["lastRunStates"]
        found, total = page_of_jobs(connection, namespace_id, states, query["limit"], query["offset"])
        documents = listed_jobs(connection, found)
    return json_response({"jobs": [documents[one].fragment for one in found], "totalCount": total})


@paths.route(_JOB, **documented("A job with its inputs, outputs, latest runs and facets", JobShape))
def get_job(namespace: str, job: str) -> Response:
    """The job as its newest runs and events show it."""
    with reader() as connection:
        return json_response(full_job_document(connection, find_job(connection, namespace, job)))


@paths.route(_JOB, "PUT", **documented("Tell of a job", JobShape, body=JobBody))
def put_job(namespace: str, job: str) -> Response:
    """Becomes a JobEvent; with ``runId``, a RunEvent that reads and writes the same as well."""
    body = load_body(JobBody)
    inputs, outputs = body["inputs"] or [], body["outputs"] or []
    with reader() as connection:
        find_namespace(connection, namespace)
        find_datasets(connection, [(one["namespace"], one["name"]) for one in (*inputs, *outputs)])
        if body["runId"]:
            found = find_run(connection, body["runId"])
            if jobs_of_runs(connection, [found])[found] != (namespace, job):
                message = f"Run '{body['runId']}' is not a run of job '{job}' in namespace '{namespace}'."
                raise BadQuery(message, {"runId": [message]})
    events = [legacy.job_event(namespace, job, legacy.job_facets(body), clock.now(), inputs, outputs)]
    if body["runId"]:
        events.append(
            legacy.run_event("OTHER", body["runId"], (namespace, job), clock.now(), inputs=inputs, outputs=outputs)
        )
    commit(*events)
    return get_job(namespace, job)


@paths.route(_JOB, "DELETE", **documented("Hide a job", JobShape))
def delete_job(namespace: str, job: str) -> Response:
    """Until a newer event or PUT mentions it; answers with the job as it was."""
    with reader() as connection:
        document = full_job_document(connection, find_job(connection, namespace, job))
    at = max(clock.now(), keys.microseconds(document["updatedAt"]))  # as for datasets
    commit(legacy.job_event(namespace, job, legacy.hidden(), at))
    return json_response(document)


@paths.route(f"{_JOB}/tags/{{tag}}", "POST", **documented("Tag a job", JobShape))
def tag_job(namespace: str, job: str, tag: str) -> Response:
    """Survives every later event."""
    return _tag(namespace, job, tag, True)


@paths.route(f"{_JOB}/tags/{{tag}}", "DELETE", **documented("Take a tag away", JobShape))
def untag_job(namespace: str, job: str, tag: str) -> Response:
    """For good, even where a producer goes on giving it."""
    return _tag(namespace, job, tag, False)


def _tag(namespace: str, job: str, tag: str, is_set: bool) -> Response:
    with reader() as connection:
        find_job(connection, namespace, job)
    events = [legacy.job_event(namespace, job, legacy.tagged(tag, is_set), clock.now())]
    if is_set:
        events.append(make_record("tag", tag, 0))
    commit(*events)
    return get_job(namespace, job)


# --- versions --------------------------------------------------------------------------------------------------------


@paths.route(f"{_JOB}/versions", **documented("Versions, newest first", JobVersionList, query=Page))
def list_versions(namespace: str, job: str) -> Response:
    """A version is what the job reads, what it writes and where its code lies."""
    query = load_query(Page)
    with reader() as connection:
        job_id = find_job(connection, namespace, job)
        found, total = job_versions(connection, job_id, query["limit"], query["offset"])
    return json_response({"versions": found, "totalCount": total})


@paths.route(f"{_JOB}/versions/{{version}}", **documented("A version of a job", JobVersionShape))
def get_version(namespace: str, job: str, version: str) -> Response:
    """With the newest run of it."""
    with reader() as connection:
        found = job_version(connection, find_job(connection, namespace, job), version)
    if found is None:
        raise NotFound(f"Job version '{version}' not found.")
    return json_response(found)


# --- runs ------------------------------------------------------------------------------------------------------------


@paths.route(f"{_JOB}/runs", **documented("Runs, newest first", RunList, query=Page))
def list_runs(namespace: str, job: str) -> Response:
    """With the versions that each read and wrote."""
    query = load_query(Page)
    with reader() as connection:
        job_id = find_job(connection, namespace, job)
        found, total = page_of_runs(connection, job_id, query["limit"], query["offset"])
        documents = full_run_documents(connection, found)
    return json_response({"runs": [documents[one] for one in found], "totalCount": total})


@paths.route(f"{_JOB}/runs", "POST", **documented("Create a run", RunShape, body=RunBody, status=201))
def create_run(namespace: str, job: str) -> Response:
    """Its id is the body's, or a new one."""
    body = load_body(RunBody)
    run_id = body["id"] or str(uuid.uuid4())
    try:
        run_id = str(uuid.UUID(run_id))
    except ValueError:
        message = f"{run_id[:80]!r} is not a UUID."
        raise BadQuery(message, {"id": [message]}) from None
    with reader() as connection:
        find_job(connection, namespace, job)
        try:
            find_run(connection, run_id)
        except NotFound:
            pass
        else:
            message = f"Run '{run_id}' already exists."
            raise BadQuery(message, {"id": [message]})
    commit(legacy.run_event("OTHER", run_id, (namespace, job), clock.now(), legacy.run_facets(body)))
    with reader() as connection:
        found = find_run(connection, run_id)
        response = json_response(full_run_documents(connection, [found])[found], 201)
    response.headers["Location"] = f"/api/v1/jobs/runs/{run_id}"
    return response


def mark_run(run_id: str, event_type: str, at_us: int | None) -> dict[str, Any]:
    """Store that a run started or ended; returns the run. What has ended stays ended, whatever starts it again.

    The event reads and writes what the job does now, where the run has not said otherwise: a run completed this way is
    in the graph like any other.
    """
    with reader() as connection:
        found = find_run(connection, run_id)
        [row] = run_rows(connection, [found])
        inputs, written = job_sides(connection, row.job_id)
        if row.has_inputs:
            inputs = []
        is_announced = event_type == "COMPLETE" and not row.has_outputs
        outputs = _described(connection, written) if is_announced else []
        job = jobs_of_runs(connection, [found])[found]
    time_us = clock.now() if at_us is None else at_us
    key = keys.run_uuid(row.run_key)
    commit(legacy.run_event(event_type, row.run_id or key, job, time_us, inputs=inputs, outputs=outputs))
    with reader() as connection:
        return full_run_documents(connection, [found])[found]


def _described(connection: Connection, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs with the facets that describe them now, so that the version which the run writes has columns."""
    from collector.documents.datasets import SHOWN, dataset_documents

    ids = {(one["namespace"], one["name"]): keys.named_dataset(one["namespace"], one["name"]).id for one in outputs}
    documents = dataset_documents(connection, ids.values())
    return [
        {
            **one,
            "facets": {k: v for k, v in documents[ids[one["namespace"], one["name"]]]["facets"].items() if k in SHOWN},
        }
        for one in outputs
    ]
