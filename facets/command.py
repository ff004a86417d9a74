"""How a command that was run ended: what no standard facet carries."""

from __future__ import annotations

from typing import Any, ClassVar

import attr
from openlineage.client.generated.base import RunFacet

from facets import PRODUCER, schema_url

#: The key of this facet among a run's facets.
KEY = "headwater_command"


@attr.define
class HeadwaterCommandRunFacet(RunFacet):
    """A command of an operating system: what was run, how long, and how it ended."""

    command: str
    """The program, without its arguments: these may hold secrets."""

    exitCode: int | None = None
    """The exit code; None while it runs, and where a signal ended it."""

    signal: str | None = None
    """The signal that ended it, like ``SIGKILL``."""

    seconds: float | None = attr.field(default=None)
    """How long it has run."""

    _additional_skip_redact: ClassVar[list[str]] = ["exitCode", "signal", "seconds"]

    def __attrs_post_init__(self) -> None:
        self._producer = self._producer or PRODUCER
        super().__attrs_post_init__()

    @staticmethod
    def _get_schema() -> str:
        return schema_url("HeadwaterCommandRunFacet", "1-0-0")

    @seconds.validator
    def _seconds_check(self, attribute: attr.Attribute[Any], value: float | None) -> None:
        if value is not None and value < 0:
            raise ValueError(f"{attribute.name} is {value}; a duration cannot be negative")
