"""The checksum of what a dataset held when it was read or written."""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.generated.base import DatasetFacet

from facets import PRODUCER, schema_url
from facets.checks import check_choice, check_count

#: The key of this facet among a dataset's facets.
KEY = "headwater_checksum"

HASHED = ("file", "directory", "table", "object", "bytes")


@attr.define
class HeadwaterChecksumDatasetFacet(DatasetFacet):
    """A checksum: two datasets with the same algorithm, kind and value held the same content."""

    algorithm: str
    """The hash function, in lower case, like ``blake3``."""

    value: str
    """The digest, in lower-case hexadecimal."""

    hashed: str = attr.field()
    """What was hashed: a file's bytes, a directory's files, a table's content, a Python object, or bytes in memory."""

    sizeBytes: int | None = attr.field(default=None)
    """The size of what was hashed, in bytes."""

    rows: int | None = attr.field(default=None)
    """The number of rows, of a table."""

    _additional_skip_redact: ClassVar[list[str]] = ["algorithm", "value", "hashed", "sizeBytes", "rows"]

    def __attrs_post_init__(self) -> None:
        self._producer = self._producer or PRODUCER
        super().__attrs_post_init__()

    @staticmethod
    def _get_schema() -> str:
        return schema_url("HeadwaterChecksumDatasetFacet", "1-0-0")

    @hashed.validator
    def _hashed_check(self, attribute: attr.Attribute[Any], value: str) -> None:
        check_choice(attribute.name, value, HASHED)

    @sizeBytes.validator
    @rows.validator
    def _count_check(self, attribute: attr.Attribute[Any], value: int | None) -> None:
        check_count(attribute.name, value)
