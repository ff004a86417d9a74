"""What an engine must be able to do: say in which order, and on what, the assets have their turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emitter.making import Made, Work


class Engine:
    """Gives every step its turn, each after its upstream has had its own, and does the work of a turn.

    A turn (the decision, the events, the metadata) always is in this process; `execute` does its work, the function and
    what it returns, wherever the engine does such work. The defaults are: one after the other, in the caller's thread.
    """

    #: Whether the work is done in other processes, so that values in memory have to be sent there and back.
    remote = False

    def run(self, order: Sequence[str], upstream: Mapping[str, Collection[str]], turn: Callable[[str], object]) -> None:
        """Call ``turn(name)`` once for each name in `order`.

        `order` is a topological one; `upstream` gives each name's direct upstream within it. A turn does not raise for
        an asset that failed, only for what must stop everything (an interrupt), which has to reach the caller.
        """
        for name in order:
            turn(name)

    def execute(self, work: Work, timeout: float | None) -> list[Made]:
        """Do the work, for at most so many seconds; it may be called from several threads at once.

        Raises what the work raises, AssetTimeout when the time is over, and Abandoned after `cancel`.
        """
        return work.do()

    def cancel(self) -> None:
        """Let go of all the work that is being done: what can be stopped is, and nothing more of it is stored."""
