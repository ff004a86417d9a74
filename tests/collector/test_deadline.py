"""Work that is stopped when its time is over."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from collector.deadline import TookTooLong, _Stop, within

NAME = "within"


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    assert NAME not in {one.name for one in threading.enumerate()}


def endless() -> None:
    while True:
        pass


def test_work_in_time_gives_its_result() -> None:
    assert within(10, lambda: 42) == 42


def test_error_of_the_work_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 / 0)


def test_endless_work_is_stopped() -> None:
    start = time.monotonic()
    with pytest.raises(TookTooLong, match=r"not done within 0\.1 s"):
        within(0.1, endless)
    assert time.monotonic() - start < 10


def test_work_that_holds_every_exception_up_is_stopped() -> None:
    def stubborn() -> None:
        while True:
            with suppress(Exception):
                endless()

    with pytest.raises(TookTooLong):
        within(0.1, stubborn)


def test_stop_that_is_lost_in_a_callback_of_the_garbage_collector_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    lost: list[Any] = []

    def callback(phase: str, _: Any) -> None:
        if threading.current_thread().name == NAME and not called:
            called.append(phase)
            endless()

    def work() -> None:
        gc.collect()
        endless()

    monkeypatch.setattr(sys, "unraisablehook", lambda report: lost.append(report.exc_type))
    gc.callbacks.append(callback)
    try:
        with pytest.raises(TookTooLong):
            within(0.1, work)
    finally:
        gc.callbacks.remove(callback)
    assert (called, set(lost)) == (["start"], {_Stop})  # once as a rule: a busy machine may be told twice in there
