"""W3C PROV-JSON of a provenance answer: versions are entities, runs are activities, jobs are their plans' agents."""

from __future__ import annotations

import json
from typing import Any

from prov.constants import PROV_LABEL, PROV_TYPE
from prov.model import ProvDocument

JSON = dict[str, Any]


def to_prov(answer: JSON) -> JSON:
    """A ``provenance`` answer as PROV-JSON (W3C Member Submission 2013): wasGeneratedBy, used, wasDerivedFrom."""
    document = ProvDocument()
    document.add_namespace("dataset", "urn:headwater:dataset:")
    document.add_namespace("run", "urn:headwater:run:")
    document.add_namespace("headwater", "urn:headwater:")
    entities = {}
    names = {}
    for place, version in enumerate(answer["versions"]):
        names[version["id"]] = f"dataset:v{place}" if version["uuid"] is None else f"dataset:{version['uuid']}"
        said: dict[Any, Any] = {
            "headwater:nodeId": version["id"],
            PROV_LABEL: version["name"],
            PROV_TYPE: "headwater:DatasetVersion",
        }
        for key in ("namespace", "version", "checksum", "codeVersion", "createdAt"):
            if version[key] is not None:
                said[f"headwater:{key}"] = version[key]
        entities[version["id"]] = document.entity(names[version["id"]], said)
    activities = {}
    for version in answer["versions"]:
        run, job = version["runId"], version["job"]
        if run is None:
            continue
        if run not in activities:
            ran: dict[Any, Any] = {PROV_TYPE: "headwater:Run"}
            if job is not None:
                ran |= {PROV_LABEL: job["name"], "headwater:jobNamespace": job["namespace"]}
            activities[run] = document.activity(f"run:{run}", other_attributes=ran)
        document.wasGeneratedBy(entities[version["id"]], activities[run], time=version["createdAt"])
    used = set()
    for step in answer["steps"]:
        run = step["runId"]
        if run in activities and (run, step["origin"]) not in used:
            used.add((run, step["origin"]))
            document.used(activities[run], entities[step["origin"]])
        document.wasDerivedFrom(
            entities[step["destination"]],
            entities[step["origin"]],
            activity=activities.get(run),
            other_attributes={
                "headwater:versionEvidence": step["versionEvidence"],
                "headwater:flowEvidence": step["flowEvidence"],
            },
        )
    found: JSON = json.loads(document.serialize(format="json") or "{}")
    return found
