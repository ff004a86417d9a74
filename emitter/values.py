"""The values that later steps still need: held while they do, dropped when they do not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from emitter.errors import StorageError
from emitter.graph import AssetGraph
from emitter.io.protocol import stored_of
from emitter.metadata import Materialization


class Values:
    """The outputs that are passed on in this process; `passed` has the assets whose values each step needs.

    Several threads may use it at once.
    """

    def __init__(self, graph: AssetGraph, passed: Mapping[str, Sequence[str]]) -> None:
        self._graph = graph
        self._passed = passed
        self._readers = Counter(needed for each in passed.values() for needed in each)
        self._held: dict[str, Any] = {}
        self._lock = threading.Lock()

    def are_needed(self, name: str) -> bool:
        """Whether a step that has not had its turn needs the asset's value."""
        return self._readers[name] > 0

    def hold(self, name: str, value: Any) -> None:
        """Keep a value that was just made, if someone needs it."""
        with self._lock:
            if self._readers[name]:
                self._held[name] = value

    def value(self, name: str, version: Materialization, made_now: Collection[str]) -> Any:
        """An asset's output: the one held, or the stored one if it still is what was recorded.

        `made_now` are the assets that had their turn: what they have stored is not looked at again.
        """
        with self._lock:
            if name in self._held:
                return self._held[name]
        if name not in made_now:
            self.refuse_changed(name, version)
        asset = self._graph[name]
        value = asset.io.load(asset)
        with self._lock:
            if self._readers[name] > 1:
                self._held[name] = value
        return value

    def refuse_changed(self, name: str, version: Materialization) -> None:
        """Raise StorageError for a stored output that is not what was recorded."""
        found = stored_of(self._graph[name])
        if found is not None and found.checksum != version.stored_checksum:
            raise StorageError(
                f"the stored output of '{name}' is not what was materialized, something else changed it; "
                f"select '{name}' too, to make it again"
            )

    def release(self, step: str) -> None:
        """Note that a step had its turn: drop the values that no later one needs."""
        with self._lock:
            for needed in self._passed[step]:
                self._readers[needed] -= 1
                if not self._readers[needed]:
                    self._held.pop(needed, None)
