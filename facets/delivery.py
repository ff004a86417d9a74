"""Which of its producer's events an event is, so that whoever keeps events can name those that never arrived."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import attr
from openlineage.client.generated.base import RunFacet
from openlineage.client.utils import RedactMixin

from facets import PRODUCER, schema_url
from facets.checks import check_choice

#: The key of this facet among a run's facets.
KEY = "headwater_delivery"

CLASS = "HeadwaterDeliveryRunFacet"
VERSION = "1-0-0"
REASONS = ("size", "age", "refused")


@attr.define
class DroppedEvents(RedactMixin):
    """Events of the same instance that its collector will not get, or has refused."""

    first: int = attr.field()
    """The number of the first of them."""

    last: int = attr.field()
    """The number of the last of them."""

    reason: str = attr.field()
    """One of `REASONS`: the outbox was full, they had waited too long, the collector refused them."""

    _skip_redact: ClassVar[list[str]] = ["first", "last", "reason"]

    @first.validator
    @last.validator
    def _number_check(self, attribute: attr.Attribute[Any], value: int) -> None:
        _check_number(attribute.name, value)

    @reason.validator
    def _reason_check(self, attribute: attr.Attribute[Any], value: str) -> None:
        check_choice(attribute.name, value, REASONS)


@attr.define
class HeadwaterDeliveryRunFacet(RunFacet):
    """The event's number among all run events of one producer instance.

    An instance numbers its run events 1, 2, 3, … for one destination, and gives no number twice.
    """

    instance: str = attr.field()
    """The producer instance, a UUID: for Headwater's outbox its file and the destination."""

    sequence: int = attr.field()
    """The event's number, from 1."""

    dropped: list[DroppedEvents] | None = None
    """Events that the instance gave up on, since it last said so."""

    _additional_skip_redact: ClassVar[list[str]] = ["instance", "sequence", "dropped"]

    def __attrs_post_init__(self) -> None:
        self._producer = self._producer or PRODUCER
        super().__attrs_post_init__()

    @staticmethod
    def _get_schema() -> str:
        return schema_url(CLASS, VERSION)

    @instance.validator
    def _instance_check(self, attribute: attr.Attribute[Any], value: str) -> None:
        try:
            UUID(value)
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"{attribute.name} is {value!r}; give a UUID") from None

    @sequence.validator
    def _sequence_check(self, attribute: attr.Attribute[Any], value: int) -> None:
        _check_number(attribute.name, value)


def _check_number(field: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{field} is {value!r}; numbers count from 1")
