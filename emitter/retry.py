"""Trying again: how often, and how long to wait in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emitter.errors import ChecksFailed, ChecksumError, ConfigError, InvalidAsset, NotTransferable, UnsupportedValue

#: What the same value will meet again: trying again cannot help.
_FINAL = (ChecksFailed, ChecksumError, ConfigError, NotTransferable, UnsupportedValue)


@dataclass(frozen=True, slots=True)
class Retry:
    """Up to `times` further attempts, `delay` seconds after the first failure, `factor` times as long each time.

    No wait is longer than `longest` seconds. A share of each, up to `jitter`, is left to chance, so that many assets
    that failed at once do not come back at once.
    """

    times: int = 3
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 60.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if isinstance(self.times, bool) or not isinstance(self.times, int) or self.times < 0:
            raise InvalidAsset(f"Retry has times={self.times!r}; give the number of further attempts, such as 3")
        if min(self.delay, self.longest) < 0 or self.factor < 1 or not 0 <= self.jitter <= 1:
            raise InvalidAsset(f"{self!r} cannot be waited by: no time is negative, factor ≥ 1, jitter 0 to 1")

    def waits(self) -> Iterator[float]:
        """The seconds to wait before each further attempt."""
        wait = self.delay
        for _ in range(self.times):
            yield min(wait, self.longest) * (1 - self.jitter * random.random())
            wait *= self.factor


def as_retry(given: Any, where: str) -> Retry:
    """A Retry, or one of a number of attempts."""
    if isinstance(given, Retry):
        return given
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise InvalidAsset(f"{where} has retries={given!r}; give a number, or Retry(times=3, delay=1.0)")
    return Retry(times=given)


def may_help(error: BaseException) -> bool:
    """Whether what failed so may succeed another time."""
    return isinstance(error, Exception) and not isinstance(error, _FINAL)
