"""Reading a request body that comes in chunks.

werkzeug's own reader refuses chunk extensions and trailers, which a recipient has to accept, and
reads lines of any length; hence these few lines.

Source:
    RFC 9112, section 7.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_LIMIT_BYTES = 8192
_TRAILERS = 100


class ChunksError(Exception):
    """The body is not framed as chunks are."""


class TooLongError(Exception):
    """The body is longer than the limit."""


def read_chunks(stream: BufferedIOBase, *, limit_bytes: int) -> bytes:
    """Return the whole body; trailers are read and dropped.

    Raises:
        ChunksError: The framing is broken, or the stream ends early.
        TooLongError: The chunks add up to more than the limit.
    """
    pieces: list[bytes] = []
    left = limit_bytes
    while size := _read_size(stream):
        left -= size
        if left < 0:
            raise TooLongError
        piece = stream.read(size)
        if len(piece) < size or stream.readline(3) not in {b"\r\n", b"\n"}:
            raise ChunksError
        pieces.append(piece)
    for _ in range(_TRAILERS):
        line = stream.readline(_LINE_LIMIT_BYTES)
        if line in {b"\r\n", b"\n"}:
            return b"".join(pieces)
        if not line.endswith(b"\n"):
            break
    raise ChunksError


def _read_size(stream: BufferedIOBase) -> int:
    match = _SIZE.fullmatch(stream.readline(_LINE_LIMIT_BYTES))
    if match is None:
        raise ChunksError
    return int(match[1], 16)
