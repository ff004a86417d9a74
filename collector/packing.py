"""How a facet set and a compressed body lie in their columns. Pure."""

from __future__ import annotations

import msgspec
import zstandard

from collector.facts import FacetSet

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, int, int, int]]).decode
_decompressor = zstandard.ZstdDecompressor()
_compressor = zstandard.ZstdCompressor(level=3)


def pack_facets(facets: FacetSet) -> bytes:
    """A facet set as bytes: equal sets give equal bytes."""
    return _encode([(name, *facets[name]) for name in sorted(facets)])


def unpack_facets(packed: bytes) -> FacetSet:
    """The facet set in ``packed``: name → (time_us, tie, body_id)."""
    return {name: (time_us, tie, body_id) for name, time_us, tie, body_id in _decode(packed)}


def compress(body: bytes) -> bytes:
    """``body`` as it is stored."""
    return _compressor.compress(body)


def decompress(body: bytes) -> bytes:
    """What ``compress`` was given."""
    return _decompressor.decompress(body)
