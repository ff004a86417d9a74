"""The validator that the emitter's tests lean on: it must see faults, and must not invent any."""

from __future__ import annotations

import copy
import uuid

import pytest
from openlineage.client.generated import nominal_time_run, schema_dataset
from openlineage.client.generated.base import EventType, Job, OutputDataset, Run, RunEvent
from openlineage.client.serde import Serde

from facets import PRODUCER, checksum, materialization
from facets.checksum import HeadwaterChecksumDatasetFacet
from facets.materialization import HeadwaterMaterializationRunFacet
from tests.openlineage_schema import validate_event


@pytest.fixture
def event() -> dict:
    fields = [schema_dataset.SchemaDatasetFacetFields("id", "BIGINT")]
    return Serde.to_dict(
        RunEvent(
            eventTime="2024-05-01T12:00:00.000000Z",
            eventType=EventType.COMPLETE,
            producer=PRODUCER,
            run=Run(
                str(uuid.uuid4()),
                {
                    "nominalTime": nominal_time_run.NominalTimeRunFacet("2024-05-01T00:00:00Z"),
                    materialization.KEY: HeadwaterMaterializationRunFacet("materialized"),
                },
            ),
            job=Job("default", "orders"),
            outputs=[
                OutputDataset(
                    "file",
                    "/data/orders.parquet",
                    facets={
                        "schema": schema_dataset.SchemaDatasetFacet(fields),
                        checksum.KEY: HeadwaterChecksumDatasetFacet("blake3", "af13", "file"),
                    },
                )
            ],
        )
    )


def test_good_event_passes(event):
    validate_event(event)


def test_facets_of_other_producers_are_only_checked_as_facets(event):
    event["run"]["facets"]["spark_properties"] = {"_producer": PRODUCER, "_schemaURL": PRODUCER, "anything": [1]}
    validate_event(event)
    del event["run"]["facets"]["spark_properties"]["_producer"]
    with pytest.raises(AssertionError, match=r"run\.facets\.spark_properties: '_producer' is a required property"):
        validate_event(event)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("eventTime", "2024-05-01", r"^eventTime: .*'date-time'"),
        ("eventTime", "2024-05-01T12:00:00", r"^eventTime: .*'date-time'"),
        ("eventType", "DONE", r"^eventType: 'DONE' is not one of"),
        ("producer", "headwater", r"^producer: .*'uri'"),
        ("run.runId", "run-1", r"^run\.runId: .*'uuid'"),
        (
            "run.facets.nominalTime.nominalStartTime",
            "noon",
            r"^run\.facets\.nominalTime\.nominalStartTime: .*'date-time'",
        ),
        (
            "run.facets.headwater_materialization.status",
            "ok",
            r"^run\.facets\.headwater_materialization\.status: 'ok' is",
        ),
        ("run.facets.headwater_materialization._schemaURL", PRODUCER, r"materialization\._schemaURL: .* is none of"),
        ("run.facets.headwater_checksum", {"_producer": PRODUCER, "_schemaURL": PRODUCER}, r"no RunFacet of ours"),
        ("outputs.0.facets.headwater_checksum.rows", "3", r"^outputs\[0\]\.facets\.headwater_checksum\.rows: '3'"),
        ("outputs.0.facets.schema.fields", {}, r"^outputs\[0\]\.facets\.schema\.fields: \{\} is not"),
        ("outputs.0.name", None, r"^outputs\[0\]\.name: None is not of type 'string'"),
        ("job", {}, r"^job: 'namespace' is a required property"),
    ],
)
def test_fault_is_reported_with_its_path(event, path, value, fault):
    event = copy.deepcopy(event)
    *parents, last = path.split(".")
    holder = event
    for part in parents:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    holder[last] = value
    with pytest.raises(AssertionError, match=f"(?m){fault}"):
        validate_event(event)


def test_dataset_and_job_events_are_told_apart():
    envelope = {"eventTime": "2024-05-01T12:00:00Z", "producer": PRODUCER, "schemaURL": PRODUCER}
    validate_event(envelope | {"dataset": {"namespace": "file", "name": "a"}})
    validate_event(envelope | {"job": {"namespace": "default", "name": "a"}, "inputs": []})
    with pytest.raises(AssertionError, match="'job' is a required property"):
        validate_event(envelope)
