"""Jobs, in Marquez's shape."""

from __future__ import annotations

from flask import Response

from collector.api.answers import json_response
from collector.api.paths import NamePaths
from collector.api.store import reader
from collector.documents.jobs import job_documents
from collector.lookup import find_job

paths = NamePaths("jobs")


@paths.route("{namespace}/jobs/{job}", summary="A job with its inputs, outputs, latest run and facets")
def get_job(namespace: str, job: str) -> Response:
    """The job as its newest runs and events show it."""
    with reader() as connection:
        job_id = find_job(connection, namespace, job)
        return json_response(job_documents(connection, [job_id])[job_id])
