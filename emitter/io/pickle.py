"""Outputs as pickles."""

from __future__ import annotations

import pickle
from typing import IO, TYPE_CHECKING, Any

from emitter.errors import UnsupportedValue
from emitter.io.files import FileIO

if TYPE_CHECKING:
    from emitter.assets import Asset

#: Fixed, so that a newer Python does not write the same value as other bytes.
_PROTOCOL = 5


class PickleIO(FileIO):
    """Keeps any picklable value, as ``{directory}/{asset}.pkl``.

    Reading a pickle runs code that it holds: read only directories that you alone can write.
    """

    suffix = ".pkl"

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        try:
            pickle.dump(value, file, protocol=_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a {type(value).__name__} that cannot be pickled: {error}; "
                "return what it is made from, or keep it in memory with MemoryIO()"
            ) from error

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        return pickle.load(file)
