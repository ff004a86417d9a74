"""The checks of values that several facets share; each raises ValueError with the field's name."""

from __future__ import annotations

from datetime import datetime


def check_instant(field: str, value: str) -> None:
    """Raise ValueError unless ``value`` is a date and time of day with an offset, in ISO-8601."""
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None or "T" not in value:
        raise ValueError(f"{field} is {value!r}; give ISO-8601 in UTC, like '2024-05-01T12:00:00.123456Z'")


def check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{field} is {value!r}; it must be one of {', '.join(choices)}")


def check_count(field: str, value: int | None) -> None:
    """Raise ValueError unless ``value`` is None or 0 or more."""
    if value is not None and value < 0:
        raise ValueError(f"{field} is {value}; it counts something, so it cannot be negative")
