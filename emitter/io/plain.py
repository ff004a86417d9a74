"""Outputs that are text or bytes already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from emitter.errors import UnsupportedValue
from emitter.io.files import FileIO

if TYPE_CHECKING:
    from emitter.assets import Asset


class BytesIO(FileIO):
    """Keeps bytes as they are, as ``{directory}/{asset}{suffix}``."""

    suffix = ".bin"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        suffix: str | None = None,
        file: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(directory, file=file, storage_options=storage_options)
        self.suffix = self.suffix if suffix is None else suffix

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        if type(value) is not bytes:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a {type(value).__name__}, and {type(self).__name__} keeps bytes; "
                "return bytes, or use TextIO('data/') for a text"
            )
        file.write(value)

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        return file.read()


class TextIO(BytesIO):
    """Keeps a text, as ``{directory}/{asset}{suffix}`` in UTF-8, its line ends as they are."""

    suffix = ".txt"

    def write(self, file: IO[bytes], value: Any, asset: Asset) -> None:
        if type(value) is not str:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a {type(value).__name__}, and {type(self).__name__} keeps a text; "
                "return a str, or use BytesIO('data/') for bytes"
            )
        try:
            file.write(value.encode())
        except UnicodeEncodeError as error:
            raise UnsupportedValue(
                f"asset '{asset.name}' returned a text that is none: {error.reason} at position {error.start}"
            ) from error

    def read(self, file: IO[bytes], asset: Asset) -> Any:
        return file.read().decode()
