"""What a run did about its asset, and why."""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.generated.base import RunFacet

from facets import PRODUCER, schema_url
from facets.checks import check_choice

#: The key of this facet among a run's facets.
KEY = "headwater_materialization"

STATUSES = ("materialized", "unchanged", "failed", "skipped", "upstream_failed")


@attr.define
class HeadwaterMaterializationRunFacet(RunFacet):
    """The end of an asset's run: materialized, unchanged, failed, skipped or upstream_failed."""

    status: str = attr.field()
    """One of `STATUSES`."""

    reason: str | None = None
    """Why it ran or why it did not, for a person to read."""

    # `reason` may quote a user's error, so it stays open to redaction.
    _additional_skip_redact: ClassVar[list[str]] = ["status"]

    def __attrs_post_init__(self) -> None:
        self._producer = self._producer or PRODUCER
        super().__attrs_post_init__()

    @staticmethod
    def _get_schema() -> str:
        return schema_url("HeadwaterMaterializationRunFacet", "1-0-0")

    @status.validator
    def _status_check(self, attribute: attr.Attribute[Any], value: str) -> None:
        check_choice(attribute.name, value, STATUSES)
