"""Reading a request's body: bounded, gzip accepted, bombs refused. Pure but for the stream it is given."""

from __future__ import annotations

import zlib
from typing import Protocol

from collector.errors import RefusedBody

MAX_BODY = 10 * 1024 * 1024  # bytes on the wire
MAX_INFLATED = 20 * 1024 * 1024  # bytes after gzip
RATIO_FREE = 1024 * 1024  # below this many inflated bytes any ratio goes: repetitive JSON packs well
MAX_RATIO = 200
MAX_MEMBERS = 10_000  # gzip streams, one after the other; each costs a new inflater
_STEP = 64 * 1024


class Stream(Protocol):
    """What WSGI gives a body as."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes."""


def read_body(stream: Stream, length: int | None, limit: int = MAX_BODY) -> bytes:
    """The body as it came; ``length`` is Content-Length in bytes, None where the body comes in chunks.

    Raises RefusedBody (413) over ``limit``.
    """
    if length is not None and length > limit:
        raise _too_large(limit)
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def decode_body(body: bytes, encoding: str) -> bytes:
    """``body`` inflated where ``encoding`` (Content-Encoding) is gzip or deflate.

    Raises RefusedBody: 413 for a bomb, 415 for another encoding, 400 for bytes that are not what the encoding says.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return inflate(body, 16 + zlib.MAX_WBITS)
        case "deflate":
            return inflate(body, zlib.MAX_WBITS)
        case other:
            raise RefusedBody(f"Content-Encoding {other[:40]!r} is not read here: send gzip, or none.", status=415)


def inflate(body: bytes, window_bits: int, limit: int = MAX_INFLATED) -> bytes:
    """``body`` inflated step by step, so that a bomb costs no more memory than ``limit``."""
    parts: list[bytes] = []
    size = members = at = 0
    pending = b""
    try:
        while True:  # a gzip stream may be several, one after the other, with zeros between them
            while not pending and at < len(body):
                pending = body[at : at + _STEP].lstrip(b"\0")
                at += _STEP
            if not pending:
                break
            members += 1
            if members > MAX_MEMBERS:
                raise RefusedBody(
                    f"The body is more than {MAX_MEMBERS:,} gzip streams in one: send it as one.", status=413
                )
            inflater = zlib.decompressobj(window_bits)
            while not inflater.eof:
                if not pending:  # in slices: what a stream leaves over is copied, and there may be many streams
                    pending = body[at : at + _STEP]
                    at += _STEP
                ends = not pending
                part = inflater.decompress(pending, _STEP)
                size += len(part)
                if size > limit or (size > RATIO_FREE and size > MAX_RATIO * len(body)):
                    raise RefusedBody(
                        f"The body inflates to more than {limit:,} bytes, or more than {MAX_RATIO} times its size: "
                        "send smaller batches.",
                        status=413,
                    )
                parts.append(part)
                pending = inflater.unconsumed_tail
                if ends and not part and not inflater.eof:
                    raise RefusedBody("The body ends in the middle of its gzip stream: send it again.")
            pending = inflater.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise RefusedBody(f"The body is not the gzip that Content-Encoding says it is ({error}).") from None
    return b"".join(parts)


def _too_large(limit: int) -> RefusedBody:
    return RefusedBody(f"The body is larger than {limit:,} bytes: send fewer events in one request.", status=413)
