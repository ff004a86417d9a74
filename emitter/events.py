"""OpenLineage events of a materialization: functions from values to events, which touch nothing.

This module imports the OpenLineage client, which takes a moment: import it only where events are wanted.
"""

from __future__ import annotations

import functools
import platform
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    ownership_dataset,
    ownership_job,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_job,
    source_code_location_job,
    sql_job,
    tags_dataset,
    tags_job,
)
from openlineage.client.generated import test_run

from emitter.assets import Asset
from emitter.checks import CheckResult
from emitter.column_lineage import WHOLE, ColumnOrigin
from emitter.config import HIDDEN
from emitter.git import git_location
from emitter.io import DatasetName
from emitter.metadata import Materialization
from emitter.observation import DECLARED
from emitter.runs import RunIdentity, instant
from emitter.schema import Field
from facets import PRODUCER
from facets.asset_version import HeadwaterAssetVersionDatasetFacet
from facets.checksum import HeadwaterChecksumDatasetFacet
from facets.materialization import HeadwaterMaterializationRunFacet

_INTEGRATION = "HEADWATER"
_MAX_MESSAGE_CHARACTERS = 8_000
_MAX_STACK_CHARACTERS = 32_000
_F = TypeVar("_F")

#: What a run reads: each upstream asset's dataset and version, by the asset's name.
Inputs = Mapping[str, tuple[DatasetName, Materialization]]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: a status and reason of the headwater_materialization facet, and the error if there was one.

    `hidden` are texts that must not be in the event: secrets, which an error may well show.
    """

    status: str
    reason: str | None = None
    error: BaseException | None = None
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """A dataset that is there after a run: its version, what its checks found, and whether the run wrote it."""

    asset: Asset
    name: DatasetName
    version: Materialization
    checks: Sequence[CheckResult] = ()
    written: bool = False


def pipeline_event(state: str, at: datetime, run: RunIdentity, ending: Ending | None = None) -> RunEvent:
    """An event of the whole materialization: `state` is START, COMPLETE, FAIL or ABORT."""
    facets: dict[str, JobFacet] = {"jobType": _facet(job_type_job.JobTypeJobFacet, "BATCH", _INTEGRATION, "PIPELINE")}
    return RunEvent(
        eventType=RunState[state],
        eventTime=instant(at),
        producer=PRODUCER,
        run=Run(run.run_id, _run_facets(ending) | (parent_facet(run.parent) if run.parent else {})),
        job=Job(run.namespace, run.job, facets),
    )


def asset_event(
    state: str,
    at: datetime,
    run: RunIdentity,
    parent: RunIdentity,
    assets: Sequence[Asset],
    *,
    inputs: Inputs | None = None,
    outputs: Sequence[Output] = (),
    checks: Sequence[CheckResult] = (),
    ending: Ending | None = None,
) -> RunEvent:
    """An event of one step's run: of one asset, or of the several that one function makes.

    `inputs` carry the version that was read, or is to be. An output is named once it is there, so only COMPLETE has
    one, since consumers take an output for a version that the run wrote: the version that was made, or for an
    unchanged asset the one that stays, so that the event says that after this run the dataset is at that version, and
    claims no new one. Only a run that wrote has output statistics. What a failed run's checks found is in its ``test``
    facet; a run that never began, because its upstream failed, names no dataset at all.
    """
    inputs = inputs or {}
    run_facets = _run_facets(ending) | parent_facet(parent)
    if checks:
        run_facets["test"] = _facet(test_run.TestRunFacet, [_test(check) for check in checks])
    return RunEvent(
        eventType=RunState[state],
        eventTime=instant(at),
        producer=PRODUCER,
        run=Run(run.run_id, run_facets),
        job=Job(run.namespace, run.job, dict(_job_facets_of(tuple(assets)))),
        inputs=[InputDataset(*name, facets=_version_facets(version)) for name, version in inputs.values()],
        outputs=[_output(one, inputs) for one in outputs],
    )


def _facet(cls: Callable[..., _F], *args: Any, **fields: Any) -> _F:
    return cls(*args, producer=PRODUCER, **fields)


# Facets that many events have alike are made once: the client's classes check the producer's and the schema's URL each
# time, which is most of what an event costs. Nobody changes a facet that was made.


@functools.cache
def _processing_engine() -> RunFacet:
    return _facet(
        processing_engine_run.ProcessingEngineRunFacet,
        version=platform.python_version(),
        name="Python",
        openlineageAdapterVersion=PRODUCER.rpartition("/")[2].removeprefix("v"),
    )


@functools.lru_cache(maxsize=64)
def _materialization(status: str, reason: str | None) -> RunFacet:
    return HeadwaterMaterializationRunFacet(status, reason)


def _run_facets(ending: Ending | None) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {"processing_engine": _processing_engine()}
    if ending is not None:
        facets["headwater_materialization"] = _materialization(ending.status, ending.reason)
        if ending.error is not None:
            facets["errorMessage"] = _error_facet(ending.error, ending.hidden)
    return facets


def _error_facet(error: BaseException, hidden: Iterable[str]) -> RunFacet:
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    stack = "".join(traceback.format_exception(error))
    for secret in filter(None, hidden):
        message, stack = message.replace(secret, HIDDEN), stack.replace(secret, HIDDEN)
    return _facet(
        error_message_run.ErrorMessageRunFacet,
        message=message[:_MAX_MESSAGE_CHARACTERS],
        programmingLanguage="PYTHON",
        # The end says what happened; a deep recursion's middle does not matter.
        stackTrace=stack[-_MAX_STACK_CHARACTERS:],
    )


def parent_facet(parent: RunIdentity) -> dict[str, RunFacet]:
    """The ``parent`` facet of a run that ``parent`` started, by its key."""
    return {"parent": _parent(parent)}


@functools.lru_cache(maxsize=64)
def _parent(parent: RunIdentity) -> RunFacet:
    first = parent.root
    root = parent_run.Root(parent_run.RootRun(first.run_id), parent_run.RootJob(first.namespace, first.job))
    run, job = parent_run.Run(parent.run_id), parent_run.Job(parent.namespace, parent.job)
    return _facet(parent_run.ParentRunFacet, run, job, root)


@functools.cache
def _job_type() -> JobFacet:
    return _facet(job_type_job.JobTypeJobFacet, "BATCH", _INTEGRATION, "ASSET")


@functools.lru_cache(maxsize=64)
def _job_facets_of(assets: tuple[Asset, ...]) -> dict[str, JobFacet]:
    asset = assets[0]
    facets: dict[str, JobFacet] = {"jobType": _job_type()}
    if asset.description:
        facets["documentation"] = _facet(documentation_job.DocumentationJobFacet, asset.description)
    if owners := dict.fromkeys(owner for one in assets for owner in one.owners):
        facets["ownership"] = _facet(ownership_job.OwnershipJobFacet, [ownership_job.Owner(owner) for owner in owners])
    if tags := dict.fromkeys(tag for one in assets for tag in _tags(one)):
        facets["tags"] = _facet(
            tags_job.TagsJobFacet, [tags_job.TagsJobFacetFields(key, value, "USER") for key, value in tags]
        )
    if asset.sql is not None:
        facets["sql"] = _facet(sql_job.SQLJobFacet, asset.sql, asset.dialect)
    elif asset.source:
        facets["sourceCode"] = _facet(source_code_job.SourceCodeJobFacet, "PYTHON", asset.source)
    if asset.location.path and (place := git_location(asset.location.path)):
        facets["sourceCodeLocation"] = _facet(
            source_code_location_job.SourceCodeLocationJobFacet,
            type="git",
            url=f"{place.url}#L{asset.location.line}",
            repoUrl=place.repository,
            path=place.path,
            version=place.version,
            branch=place.branch,
            tag=place.tag,
        )
    return facets


def _tags(asset: Asset) -> list[tuple[str, str]]:
    return [(tag, "true") for tag in asset.tags] + ([("group", asset.group)] if asset.group else [])


def _output(output: Output, inputs: Inputs) -> OutputDataset:
    made = output.version
    facets = _described(output.asset) | _version_facets(made)
    if made.fields:
        facets["schema"] = _facet(schema_dataset.SchemaDatasetFacet, _schema_fields(made.fields))
    if made.columns and (lineage := _column_lineage(made, inputs)) is not None:
        facets["columnLineage"] = lineage
    if output.checks:
        # The class derives from InputDatasetFacet, for a run that tests what it reads. These checks are of what the run
        # wrote, so the facet goes among the dataset's own, where the spec allows any: an input would be a false edge.
        assertions = [_assertion(check) for check in output.checks]
        facets["dataQualityAssertions"] = _facet(
            data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet, assertions
        )
    statistics: dict[str, OutputDatasetFacet] = {}
    if output.written:
        statistics["outputStatistics"] = _facet(
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet, rowCount=made.rows, size=made.bytes
        )
    return OutputDataset(*output.name, facets=facets, outputFacets=statistics)


def _column_lineage(made: Materialization, inputs: Inputs) -> DatasetFacet | None:
    """The columnLineage facet; a column of an asset that is not among the inputs is left out."""

    def fields(origins: Iterable[ColumnOrigin]) -> list[column_lineage_dataset.InputField]:
        return [
            column_lineage_dataset.InputField(
                *inputs[one.asset][0],
                one.column,
                [column_lineage_dataset.Transformation(one.type, one.subtype)] if one.type else [],
            )
            for one in origins
            if one.asset in inputs
        ]

    columns = {name: fields(origins) for name, origins in made.columns.items()}
    whole = columns.pop(WHOLE, [])
    found = {name: column_lineage_dataset.Fields(each) for name, each in columns.items() if each}
    if not found and not whole:
        return None
    return _facet(column_lineage_dataset.ColumnLineageDatasetFacet, found, whole)


def _described(asset: Asset) -> dict[str, Any]:
    facets: dict[str, DatasetFacet] = {}
    if asset.description:
        facets["documentation"] = _facet(documentation_dataset.DocumentationDatasetFacet, asset.description)
    if asset.owners:
        owners = [ownership_dataset.Owner(owner) for owner in asset.owners]
        facets["ownership"] = _facet(ownership_dataset.OwnershipDatasetFacet, owners)
    if asset.tags or asset.group:
        tags = [tags_dataset.TagsDatasetFacetFields(key, value, "USER") for key, value in _tags(asset)]
        facets["tags"] = _facet(tags_dataset.TagsDatasetFacet, tags)
    return facets


def _version_facets(version: Materialization) -> dict[str, Any]:
    if version.hashed == DECLARED:  # nothing is known of the data itself
        return {}
    known = _version_facets_of(
        version.version,
        version.created_at,
        version.updated_at,
        version.code_version,
        version.checksum,
        version.previous_checksum,
        version.hashed,
        version.bytes if version.hashed == "file" else None,
        version.rows,
    )
    return dict(known)


@functools.lru_cache(maxsize=1024)
def _version_facets_of(
    version: str,
    created_at: datetime,
    updated_at: datetime,
    code_version: str,
    checksum: str,
    previous_checksum: str | None,
    hashed: str,
    size: int | None,
    rows: int | None,
) -> dict[str, Any]:
    algorithm, _, value = checksum.partition(":")
    return {
        "version": _facet(dataset_version_dataset.DatasetVersionDatasetFacet, checksum),
        "headwater_assetVersion": HeadwaterAssetVersionDatasetFacet(
            assetVersion=version,
            createdAt=instant(created_at),
            updatedAt=instant(updated_at),
            codeVersion=code_version,
            dataVersion=checksum,
            previousDataVersion=previous_checksum,
        ),
        "headwater_checksum": HeadwaterChecksumDatasetFacet(
            algorithm=algorithm, value=value, hashed=hashed, sizeBytes=size, rows=rows
        ),
    }


def _schema_fields(fields: Iterable[Field]) -> list[schema_dataset.SchemaDatasetFacetFields]:
    return [
        schema_dataset.SchemaDatasetFacetFields(
            one.name, one.type, one.description, ordinal_position=position, fields=_schema_fields(one.fields)
        )
        for position, one in enumerate(fields, start=1)
    ]


def _assertion(check: CheckResult) -> data_quality_assertions_dataset.Assertion:
    return data_quality_assertions_dataset.Assertion(
        assertion=check.assertion,
        success=check.success,
        column=check.column,
        severity=check.severity,
        name=check.name,
        description=check.message,
        expected=check.expected,
        actual=check.actual,
        params=None,
    )


def _test(check: CheckResult) -> test_run.TestExecution:
    return test_run.TestExecution(
        name=check.name,
        status="pass" if check.success else "fail",
        severity=check.severity,
        type=check.assertion,
        description=check.message,
        expected=check.expected,
        actual=check.actual,
        params=None,
    )
