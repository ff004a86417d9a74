"""How a facet set and a compressed body lie in their columns. Pure."""

from __future__ import annotations

import msgspec
import zstandard

from collector.facts import FacetSet

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(dict[str, tuple[int, int, int]]).decode
_decompressor = zstandard.ZstdDecompressor()
_compressor = zstandard.ZstdCompressor(level=3)


def pack_facets(facets: FacetSet) -> bytes:
    """A facet set as bytes: equal sets give equal bytes."""
    return _encode(facets)


def unpack_facets(packed: bytes) -> FacetSet:
    """The facet set in ``packed``: name → (time_us, tie, body_id)."""
    return _decode(packed)


def compress(body: bytes) -> bytes:
    """``body`` as it is stored."""
    return _compressor.compress(body)


def decompress(body: bytes) -> bytes:
    """What ``compress`` was given."""
    return _decompressor.decompress(body)
