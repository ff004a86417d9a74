"""The UUIDs of dataset and job versions: functions of what they are versions of, so no table must be kept. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from blake3 import blake3

from collector import keys
from collector.decode import Dataset, Envelope
from collector.facets import read

Name = tuple[str, str]  # namespace and name


class SourceCodeLocation(msgspec.Struct):
    """``sourceCodeLocation`` (job)."""

    url: str | None = None


class JobSides(msgspec.Struct, array_like=True):
    """What makes a job's version: what it reads, what it writes, and where its code lies."""

    inputs: list[Name]
    outputs: list[Name]
    location: str | None


def version_uuid(dataset_id: int, key: bytes) -> str:
    """The UUID of the version that a run (its key) or a DatasetEvent (its hash) made. See ``version_key``."""
    return keys.run_uuid(_mask(dataset_id, key))


def version_key(dataset_id: int, version: bytes) -> bytes:
    """The key that the 16 bytes of a dataset version's UUID were made of."""
    return _mask(dataset_id, version)


def _mask(dataset_id: int, value: bytes) -> bytes:
    """Exclusive-or with a hash of the dataset: its own inverse, so a version needs no table to be found again."""
    return (_mask_of(dataset_id) ^ int.from_bytes(value, "big")).to_bytes(16, "big")


@lru_cache(maxsize=16_384)
def _mask_of(dataset_id: int) -> int:
    return int.from_bytes(blake3(b"version" + dataset_id.to_bytes(8, "big")).digest(16), "big")


def job_version(job_id: int, inputs: Iterable[Name], outputs: Iterable[Name], location: str | None) -> str:
    """The UUID of a job's version: a function of what it reads, what it writes and where its code lies."""
    return job_version_uuid(job_id, sides_key(JobSides(sorted(inputs), sorted(outputs), location)))


def job_version_uuid(job_id: int, key: bytes) -> str:
    """The UUID of a job's version with this key."""
    return str(uuid.UUID(bytes=blake3(b"job version" + job_id.to_bytes(8, "big") + key).digest(16), version=5))


def sides_key(sides: JobSides) -> bytes:
    """The 16 bytes that stand for what makes a version."""
    return keys.content_hash(msgspec.json.encode(sides))


def declared_version(envelope: Envelope) -> tuple[bytes, str]:
    """The key and the JSON of ``JobSides`` that a JobEvent declares."""
    facets = envelope.job.facets if envelope.job is not None else None
    body = facets.get("sourceCodeLocation") if facets else None
    location = read(body.raw, SourceCodeLocation) if body is not None else None
    sides = JobSides(_names(envelope.inputs), _names(envelope.outputs), location.url if location else None)
    return sides_key(sides), msgspec.json.encode(sides).decode().replace("\\u0000", "\\u2400")


def _names(datasets: list[Dataset] | None) -> list[Name]:
    return sorted(
        {(named.namespace, named.name) for named in (keys.named_dataset(d.namespace, d.name) for d in datasets or ())}
    )
