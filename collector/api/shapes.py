"""The shapes of Marquez's answers, as marshmallow schemas: they make the OpenAPI document, and tests hold every answer
to them, field by field."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from collector.schemas import Text


def _text(**metadata: Any) -> Text:
    return Text(required=True, metadata=metadata)


def _maybe(**metadata: Any) -> Text:
    return Text(required=True, allow_none=True, metadata=metadata)


def _time() -> Text:
    return Text(required=True, validate=validate.Regexp(r"^\d{4}-.*Z$"), metadata={"format": "date-time"})


def _maybe_time() -> Text:
    return Text(
        required=True,
        allow_none=True,
        validate=validate.Regexp(r"\d{4}-.*"),
        metadata={"format": "date-time"},
    )


def _uuid(allow_none: bool = False) -> Text:
    pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"  # as JavaScript writes it: it goes into the document
    return Text(required=True, allow_none=allow_none, validate=validate.Regexp(pattern), metadata={"format": "uuid"})


def _facets() -> fields.Dict:
    return fields.Dict(keys=Text(), required=True, metadata={"description": "facets by name, as they came"})


def _total() -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": "of all rows, not of the page"})


def _many(shape: type[Schema]) -> fields.List:
    return fields.List(fields.Nested(shape), required=True)


class NamespaceShape(Schema):
    """A namespace."""

    name = _text()
    createdAt = _time()
    updatedAt = _time()
    ownerName = _text()
    description = _maybe()
    isHidden = fields.Boolean(required=True)


class NamespaceList(Schema):
    """A page of namespaces."""

    namespaces = _many(NamespaceShape)
    totalCount = _total()


class SourceShape(Schema):
    """A source."""

    type = _text()
    name = _text()
    createdAt = _time()
    updatedAt = _time()
    connectionUrl = _text()
    description = _maybe()


class SourceList(Schema):
    """A page of sources."""

    sources = _many(SourceShape)
    totalCount = _total()


class TagShape(Schema):
    """A tag."""

    name = _text()
    description = _maybe()


class ToldTagShape(TagShape):
    """A tag that was told of, and the list of it."""

    tags = _many(TagShape)


class TagList(Schema):
    """A page of tags."""

    tags = _many(TagShape)
    totalCount = _total()


class NameShape(Schema):
    """A dataset's or job's identity."""

    namespace = _text()
    name = _text()


class VersionIdShape(NameShape):
    """A version's identity."""

    version = _uuid()


class DatasetVersionUse(Schema):
    """A version that a run wrote."""

    datasetVersionId = fields.Nested(VersionIdShape, required=True)
    facets = _facets()


class DatasetVersionRead(DatasetVersionUse):
    """A version that a run read."""

    evidence = Text(
        required=True,
        validate=validate.OneOf(["exact", "inferred", "unknown"]),
        metadata={"description": "exact: the run named it; inferred: the newest at its start; unknown: none was there"},
    )


class RunShape(Schema):
    """A run."""

    id = _uuid()
    createdAt = _time()
    updatedAt = _time()
    nominalStartTime = _maybe_time()
    nominalEndTime = _maybe_time()
    state = Text(required=True, validate=validate.OneOf(["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"]))
    startedAt = _maybe_time()
    endedAt = _maybe_time()
    durationMs = fields.Integer(required=True, allow_none=True, strict=True)
    args = fields.Dict(keys=Text(), required=True)
    jobVersion = fields.Nested(VersionIdShape, required=True, allow_none=True)
    inputDatasetVersions = fields.List(fields.Nested(DatasetVersionRead), required=True)
    outputDatasetVersions = fields.List(fields.Nested(DatasetVersionUse), required=True)
    facets = _facets()


class RunList(Schema):
    """A page of runs, newest first."""

    runs = _many(RunShape)
    totalCount = _total()


class FieldShape(Schema):
    """A column."""

    name = _text()
    type = _maybe()
    tags = fields.List(Text(), required=True)
    description = _maybe()


class InputFieldShape(Schema):
    """A column that another is made of."""

    namespace = _text()
    dataset = _text()
    field = _text()
    transformationDescription = _maybe()
    transformationType = _maybe()


class ColumnShape(Schema):
    """The origins of one column."""

    name = _text()
    inputFields = _many(InputFieldShape)


class _DatasetBase(Schema):
    type = Text(required=True, validate=validate.OneOf(["DB_TABLE", "STREAM"]))
    name = _text()
    physicalName = _text()
    createdAt = _time()
    namespace = _text()
    sourceName = _text()
    fields_ = fields.List(fields.Nested(FieldShape), required=True, data_key="fields")
    tags = fields.List(Text(), required=True)
    description = _maybe()
    facets = _facets()
    schemaLocation = Text(allow_none=True, metadata={"description": "of a STREAM"})


class DatasetShape(_DatasetBase):
    """A dataset."""

    id = fields.Nested(NameShape, required=True)
    updatedAt = _time()
    lastModifiedAt = _maybe_time()
    lastLifecycleState = _maybe()
    currentVersion = _uuid(allow_none=True)
    columnLineage = fields.List(fields.Nested(ColumnShape), required=True, allow_none=True)
    deleted = fields.Boolean(required=True)


class DatasetList(Schema):
    """A page of datasets by name."""

    datasets = _many(DatasetShape)
    totalCount = _total()


class DatasetVersionShape(_DatasetBase):
    """A version of a dataset."""

    id = fields.Nested(VersionIdShape, required=True)
    version = _uuid()
    lifecycleState = _maybe()
    currentSchemaVersion = _uuid(allow_none=True)
    createdByRun = fields.Nested(RunShape, required=True, allow_none=True)


class DatasetVersionList(Schema):
    """A page of a dataset's versions, newest first."""

    versions = _many(DatasetVersionShape)
    totalCount = _total()


class JobShape(Schema):
    """A job."""

    id = fields.Nested(NameShape, required=True)
    type = Text(required=True, validate=validate.OneOf(["BATCH", "STREAM", "SERVICE"]))
    name = _text()
    simpleName = _text()
    parentJobName = _maybe()
    parentJobUuid = _uuid(allow_none=True)
    createdAt = _time()
    updatedAt = _time()
    namespace = _text()
    inputs = _many(NameShape)
    outputs = _many(NameShape)
    location = _maybe()
    description = _maybe()
    latestRun = fields.Nested(RunShape, required=True, allow_none=True)
    latestRuns = fields.List(
        fields.Nested(RunShape), required=True, allow_none=True, validate=validate.Length(min=1, max=10)
    )
    facets = _facets()
    currentVersion = _uuid(allow_none=True)
    labels = fields.List(Text(), required=True)
    tags = fields.List(Text(), required=True)


class JobList(Schema):
    """A page of jobs by name."""

    jobs = _many(JobShape)
    totalCount = _total()


class JobVersionShape(Schema):
    """A version of a job."""

    id = fields.Nested(VersionIdShape, required=True)
    name = _text()
    version = _uuid()
    createdAt = _time()
    namespace = _text()
    inputs = _many(NameShape)
    outputs = _many(NameShape)
    location = _maybe()
    latestRun = fields.Nested(RunShape, required=True, allow_none=True)
    facets = _facets()


class JobVersionList(Schema):
    """A page of a job's versions, newest first."""

    versions = _many(JobVersionShape)
    totalCount = _total()


class FacetsShape(Schema):
    """The facets of a run, or of its job in that run."""

    runId = _uuid()
    facets = _facets()


class MarquezEdge(Schema):
    """An edge along the data; of a column's ``inEdges``, one from it to its origin."""

    origin = _text()
    destination = _text()


class MarquezNode(Schema):
    """A node of a graph."""

    id = _text()
    type = Text(required=True, validate=validate.OneOf(["JOB", "DATASET", "DATASET_FIELD", "RUN"]))
    data = fields.Dict(keys=Text(), required=True, allow_none=True)
    inEdges = _many(MarquezEdge)
    outEdges = _many(MarquezEdge)


class MarquezGraph(Schema):
    """A graph, its nodes by id."""

    graph = _many(MarquezNode)


class ColumnInputShape(InputFieldShape):
    """A column that a column node is made of."""

    datasetVersion = _uuid(allow_none=True)


class ColumnNodeData(Schema):
    """``data`` of a DATASET_FIELD node."""

    namespace = _text()
    dataset = _text()
    datasetVersion = _uuid(allow_none=True)
    field = _text()
    fieldType = _maybe()
    transformationDescription = _maybe()
    transformationType = _maybe()
    inputFields = _many(ColumnInputShape)


class RunLineageRun(Schema):
    """A run of a run lineage."""

    id = _uuid()
    start = _maybe_time()
    end = _maybe_time()
    status = _text()


class RunLineageInput(VersionIdShape):
    """A version that a run read, and the run that wrote it."""

    producedByRunId = _uuid(allow_none=True)
    evidence = _text()


class RunLineageEntry(Schema):
    """A run, its job and what it read."""

    job = fields.Nested(VersionIdShape, required=True)
    run = fields.Nested(RunLineageRun, required=True)
    inputs = _many(RunLineageInput)


class RunLineageShape(Schema):
    """The runs upstream of a run, itself first."""

    runs = _many(RunLineageEntry)


class SearchResult(Schema):
    """A hit."""

    type = Text(required=True, validate=validate.OneOf(["DATASET", "JOB"]))
    name = _text()
    updatedAt = _time()
    namespace = _text()
    nodeId = _text()


class SearchResults(Schema):
    """Hits, best first."""

    totalCount = _total()
    results = _many(SearchResult)


class EventCounts(Schema):
    """Events in an interval, by type."""

    startInterval = _text()
    endInterval = _text()
    fail = fields.Integer(required=True)
    start = fields.Integer(required=True)
    complete = fields.Integer(required=True)
    abort = fields.Integer(required=True)


class ThingCounts(Schema):
    """How many there were at the end of an interval."""

    startInterval = _text()
    endInterval = _text()
    count = fields.Integer(required=True)
