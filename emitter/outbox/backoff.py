"""How long to wait before the next try. Pure, but for chance."""

from __future__ import annotations

import random

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
#: A collector may ask for a pause; nobody is believed who asks for more than this.
LONGEST_ASKED_SECONDS = 3_600.0


def pause(failures: int, asked: float | None = None) -> float:
    """Seconds until the next try, after ``failures`` in a row (from 1): exponential with full jitter.

    With ``asked`` (what ``Retry-After`` said) not less than that, and a little more, so that many do not come at once.
    """
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    jitter = random.uniform(0, ceiling)
    return jitter if asked is None else min(asked, LONGEST_ASKED_SECONDS) + min(jitter, 0.25 * asked)


def asked_pause(header: str | None) -> float | None:
    """The seconds that a ``Retry-After`` header asks for (a number or a date); None where it says nothing usable."""
    if not header:
        return None
    try:
        return max(0.0, float(Retry().parse_retry_after(header)))
    except (InvalidHeader, ValueError, OverflowError):
        return None
