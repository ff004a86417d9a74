"""The facets that identity, graph, versions and times rest on, read from their raw JSON. Pure.

A known facet with a wrong type says nothing here and is kept as it came: a producer's slip must not lose the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec

from collector.curation import HIDDEN
from collector.decode import Body, Job, Run
from collector.keys import clean_name

FacetsByName = Mapping[str, Body] | None

# Most datasets carry none of these, and one look says so.
IDENTIFYING = frozenset(
    (
        "version",
        "headwater_checksum",
        "headwater_assetVersion",
        "symlinks",
        "lifecycleStateChange",
        "columnLineage",
        HIDDEN,
    )
)


class _Deletable(msgspec.Struct):
    deleted: bool = msgspec.field(name="_deleted", default=False)


class NominalTime(msgspec.Struct):
    """``nominalTime`` (run): the schedule's times, as sent."""

    nominalStartTime: str | None = None
    nominalEndTime: str | None = None


class Measures(msgspec.Struct):
    """``outputStatistics``, ``inputStatistics`` or ``dataQualityMetrics``: how much was written or read."""

    rowCount: int | None = None
    size: int | None = None
    bytes: int | None = None  # the size, in ``dataQualityMetrics``
    fileCount: int | None = None


class Root(msgspec.Struct):
    """The root run and job of a ``parent`` facet."""

    run: Run
    job: Job


class Parent(msgspec.Struct):
    """``parent`` (run): the run that started this one."""

    run: Run
    job: Job
    root: Root | None = None


class _Version(msgspec.Struct):
    datasetVersion: str


class _Checksum(msgspec.Struct):
    algorithm: str
    value: str


class _AssetVersion(msgspec.Struct):
    codeVersion: str | None = None
    assetVersion: str | None = None


class _Identifier(msgspec.Struct):
    namespace: str
    name: str


class _Symlinks(msgspec.Struct):
    identifiers: list[_Identifier]


class Lifecycle(msgspec.Struct):
    """``lifecycleStateChange`` (dataset)."""

    lifecycleStateChange: str
    previousIdentifier: _Identifier | None = None


class Transformation(msgspec.Struct, omit_defaults=True):
    """How a column came from another."""

    type: str | None = None
    subtype: str | None = None
    description: str | None = None
    masking: bool | None = None


class InputField(msgspec.Struct):
    """A column that another was made from."""

    namespace: str
    name: str
    field: str
    transformations: list[Transformation] | None = None


class OutputField(msgspec.Struct):
    """The origins of one column."""

    inputFields: list[InputField] | None = None
    transformationDescription: str | None = None
    transformationType: str | None = None


class ColumnLineage(msgspec.Struct):
    """``columnLineage`` (dataset): origins by column; ``dataset``: those that affect every row."""

    fields: dict[str, OutputField] | None = None
    dataset: list[InputField] | None = None


class SchemaField(msgspec.Struct):
    """One column of a ``schema`` facet."""

    name: str
    type: str | None = None
    description: str | None = None
    fields: list[SchemaField] | None = None


class TableSchema(msgspec.Struct):
    """``schema`` (dataset)."""

    fields: list[SchemaField] | None = None


T = TypeVar("T")
_decoders: dict[type, msgspec.json.Decoder] = {}


def flat_columns(columns: Iterable[SchemaField] | None, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """(name, type) of each column of a schema, those within others after them and named ``outer.inner``."""
    for column in columns or ():
        yield prefix + column.name, column.type
        yield from flat_columns(column.fields, f"{prefix}{column.name}.")


def is_deleted(raw: bytes) -> bool:
    """Whether a facet body says that the facet is no longer (``"_deleted": true``)."""
    if b'"_deleted"' not in raw:
        return False
    flag = read(raw, _Deletable)
    return flag is not None and flag.deleted


def read(raw: bytes, kind: type[T]) -> T | None:
    """The facet body as ``kind``; None where it has another shape or is deleted (``"_deleted": true``)."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _facet(facets: FacetsByName, name: str, kind: type[T]) -> T | None:
    body = facets.get(name) if facets else None
    return None if body is None else read(body.raw, kind)


def nominal_time_of(facets: FacetsByName) -> NominalTime | None:
    """The run's ``nominalTime``."""
    nominal = _facet(facets, "nominalTime", NominalTime)
    if nominal is not None:
        for name in ("nominalStartTime", "nominalEndTime"):
            value = getattr(nominal, name)
            setattr(nominal, name, clean_name(value, 64) if value is not None else None)
    return nominal


def parent_of(facets: FacetsByName) -> Parent | None:
    """The run's ``parent``, where it names both run and job."""
    parent = _facet(facets, "parent", Parent)
    if parent is None:
        return None
    if parent.root is not None and not _complete(parent.root.run, parent.root.job):
        parent.root = None
    return parent if _complete(parent.run, parent.job) else None


def _complete(run: Run, job: Job) -> bool:
    return bool(run.runId and job.namespace and job.name)


def version_of(facets: FacetsByName) -> str | None:
    """The dataset's ``version``."""
    version = _facet(facets, "version", _Version)
    return clean_name(version.datasetVersion) if version is not None else None


def checksum_of(facets: FacetsByName) -> str | None:
    """``algorithm:value`` of ``headwater_checksum``."""
    checksum = _facet(facets, "headwater_checksum", _Checksum)
    return clean_name(f"{checksum.algorithm}:{checksum.value}") if checksum is not None else None


def code_version_of(facets: FacetsByName) -> str | None:
    """The code version of ``headwater_assetVersion``, else its declared one."""
    version = _facet(facets, "headwater_assetVersion", _AssetVersion)
    if version is None:
        return None
    text = version.codeVersion or version.assetVersion
    return clean_name(text) if text is not None else None


def measures_of(facets: FacetsByName, name: str) -> tuple[int | None, int | None, int | None]:
    """Rows, bytes and files, as the facet of this name says; None for what it does not, or no column can hold."""
    found = _facet(facets, name, Measures) or Measures()
    size = found.bytes if found.size is None else found.size
    rows, size, files = (
        one if one is not None and 0 <= one < 1 << 63 else None for one in (found.rowCount, size, found.fileCount)
    )
    return rows, size, files


def lifecycle_of(facets: FacetsByName) -> str | None:
    """The ``lifecycleStateChange``, upper case."""
    change = _facet(facets, "lifecycleStateChange", Lifecycle)
    return change.lifecycleStateChange.upper()[:16].replace("\x00", "\u2400") if change is not None else None


def aliases_of(facets: FacetsByName) -> list[tuple[str, str]]:
    """Other (namespace, name) of the dataset: its ``symlinks``, and the name before a RENAME."""
    symlinks = _facet(facets, "symlinks", _Symlinks)
    identifiers = list(symlinks.identifiers) if symlinks is not None else []
    change = _facet(facets, "lifecycleStateChange", Lifecycle)
    if change is not None and change.lifecycleStateChange.upper() == "RENAME" and change.previousIdentifier:
        identifiers.append(change.previousIdentifier)
    return [(one.namespace, one.name) for one in identifiers if one.namespace and one.name]


def origins_of(facets: FacetsByName) -> frozenset[tuple[str, str]]:
    """(namespace, name) of every dataset that the dataset's ``columnLineage`` names as an origin."""
    body = facets.get("columnLineage") if facets else None
    return _origins(body) if body is not None else frozenset()


@lru_cache(maxsize=128)  # one facet comes with every event of a run, and with every run of a job
def _origins(body: Body) -> frozenset[tuple[str, str]]:
    lineage = read(body.raw, ColumnLineage)
    if lineage is None:
        return frozenset()
    origins = [*(lineage.dataset or ())]
    for output in (lineage.fields or {}).values():
        origins.extend(output.inputFields or ())
    return frozenset((origin.namespace, origin.name) for origin in origins if has_name(origin))


def has_name(origin: InputField) -> bool:
    """Whether an origin can be given a place in the graph."""
    return bool(origin.namespace and origin.name)
