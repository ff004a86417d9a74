"""Storing the events that a legacy call became."""

from __future__ import annotations

from collector.api.store import store
from collector.decode import Event


def commit(*events: Event) -> None:
    """Store ``events`` durably, like any that are posted. Raises what ``Writer.submit`` does, and their refusals."""
    refusals = store().writer.submit(events)
    for refusal in refusals.values():
        raise refusal
