"""Which version of an asset a dataset holds: its declared version, its code's and its data's."""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.generated.base import DatasetFacet

from facets import PRODUCER, schema_url
from facets.checks import check_instant

#: The key of this facet among a dataset's facets.
KEY = "headwater_assetVersion"


@attr.define
class HeadwaterAssetVersionDatasetFacet(DatasetFacet):
    """The version of an asset's output.

    The versions are opaque: compare them for equality only. The times are ISO-8601 in UTC with ``Z``.
    """

    assetVersion: str
    """The version that the asset's author declared."""

    createdAt: str = attr.field()
    """When the asset was first materialized; stays through all later versions."""

    updatedAt: str = attr.field()
    """When this data version was materialized."""

    codeVersion: str | None = None
    """The version of the code: a fingerprint of the asset's own function."""

    dataVersion: str | None = None
    """The version of the data: its checksum."""

    previousDataVersion: str | None = None
    """The data version that this one replaced; None for the first."""

    _additional_skip_redact: ClassVar[list[str]] = [
        "assetVersion",
        "createdAt",
        "updatedAt",
        "codeVersion",
        "dataVersion",
        "previousDataVersion",
    ]

    def __attrs_post_init__(self) -> None:
        self._producer = self._producer or PRODUCER
        super().__attrs_post_init__()

    @staticmethod
    def _get_schema() -> str:
        return schema_url("HeadwaterAssetVersionDatasetFacet", "1-0-0")

    @createdAt.validator
    @updatedAt.validator
    def _instant_check(self, attribute: attr.Attribute[Any], value: str) -> None:
        check_instant(attribute.name, value)
