"""Engines: in which order, and on what, the assets have their turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol


class Engine(Protocol):
    """Gives every asset its turn, each after its upstream has had its own."""

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        """Call ``turn(name)`` once for each name in `order`.

        `order` is a topological one; `upstream` gives each name's direct upstream within it. A turn does not raise for
        an asset that failed, only for what must stop everything (an interrupt), which has to reach the caller.
        """
        ...


class SequentialEngine:
    """One asset after the other, in the caller's thread."""

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        for name in order:
            turn(name)
