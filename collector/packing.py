"""How a facet set and a compressed body lie in their columns. Pure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import zstandard

from collector.facts import DatasetFacts, FacetSet, JobFacts, RunFacts, UseFacts

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(dict[str, tuple[int, int, int]]).decode


class _Zstd(threading.local):
    """One of each a thread: they let go of the GIL while they work, and two threads in one corrupt the memory."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=3).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def pack_facets(facets: FacetSet) -> bytes:
    """A facet set as bytes: equal sets give equal bytes."""
    return _encode(facets)


def unpack_facets(packed: bytes) -> FacetSet:
    """The facet set in ``packed``: name → (time_us, tie, body_id)."""
    return _decode(packed)


def facts_of(kind: Callable[..., T], values: Sequence[Any]) -> T:
    """The facts in a row's ``values``, which end in the packed facet set. Mirrored by ``row_of``."""
    return kind(*values[:-1], unpack_facets(values[-1]))


def row_of(facts: DatasetFacts | JobFacts | RunFacts | UseFacts) -> tuple[Any, ...]:
    """``facts`` as the values of a row, the facet set packed."""
    return (*msgspec.structs.astuple(facts)[:-1], pack_facets(facts.facets))


def compress(body: bytes) -> bytes:
    """``body`` as it is stored."""
    return _zstd.compress(body)


def decompress(body: bytes) -> bytes:
    """What ``compress`` was given."""
    return _zstd.decompress(body)
