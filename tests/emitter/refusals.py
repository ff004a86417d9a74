"""Statements about error messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def refused(error: type[Exception], *texts: str) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """The block raises `error`, and its message holds each of the texts."""
    with pytest.raises(error) as raised:
        yield raised
    told = str(raised.value)
    absent = [text for text in texts if text not in told]
    assert not absent, f"{absent} are not in the message: {told}"
