"""Outputs in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emitter.errors import OutputMissing
from emitter.io.protocol import IOManager

if TYPE_CHECKING:
    from emitter.assets import Asset


class MemoryIO(IOManager):
    """Keeps values as they are, for as long as this object lives; a new process starts with nothing.

    Everyone gets the same object, so a function that changes its argument in place changes the stored output: the next
    materialization notices ("output changed") and runs the asset again.
    """

    in_process = True

    def __init__(self) -> None:
        self._values: dict[tuple[str | None, str], Any] = {}

    def save(self, asset: Asset, value: Any) -> None:
        self._values[asset.namespace, asset.name] = value

    def load(self, asset: Asset) -> Any:
        try:
            return self._values[asset.namespace, asset.name]
        except KeyError:
            raise OutputMissing(
                f"asset '{asset.name}' has no output in memory; materialize it in this process"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        # another process is sent the values that it needs, not all of them
        return {"_values": {}}
