"""Ending work that takes too long, in a thread that exists for it alone."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
_PERSISTENCE = 20  # how often a thread is told to stop before it is left to itself


class TookTooLong(Exception):
    """The work was not done within its time."""


class _Stop(BaseException):
    """Raised in the thread; no ``except Exception`` on the way holds it up."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` gives. It must be pure: it is stopped between any two steps.

    Within a callback of Python's own (of the garbage collector, or a ``__del__``) a stop is reported as unraisable and
    lost; it is told again a second later.

    Raises TookTooLong, or what ``work`` raises.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)
        except _Stop:
            pass

    thread = Thread(target=run, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    for _ in range(_PERSISTENCE):
        if not thread.is_alive() or thread.ident is None:
            break
        # CPython raises it in that thread before its next step; the thread holds nothing that this could break
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        thread.join(1.0)
    if results:
        return results[0]
    raise errors[0] if errors else TookTooLong(f"not done within {seconds:g} s")
