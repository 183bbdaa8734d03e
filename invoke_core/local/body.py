"""Reading request bodies off a stream.

werkzeug's reader of chunks refuses extensions and trailers, which a recipient has to accept, and
reads lines of any length; hence these few lines.

Source:
    RFC 9112, sections 6.3, 7.1 and 8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_LIMIT_BYTES = 8192
_TRAILERS = 100
_PIECE_BYTES = 1024 * 1024


class BrokenBodyError(Exception):
    """The body is not framed as announced, or ends early."""


class TooLongError(Exception):
    """The body is longer than the limit."""


def read_exactly(stream: BufferedIOBase, length: int) -> bytes:
    """Return that many bytes.

    Raises:
        BrokenBodyError: The stream ends before.
    """
    # In pieces, so that an announced length alone takes no memory.
    pieces = []
    while length:
        piece = stream.read(min(length, _PIECE_BYTES))
        if not piece:
            raise BrokenBodyError
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def read_chunks(stream: BufferedIOBase, *, limit_bytes: int) -> bytes:
    """Return the whole of a body in chunks; extensions and trailers are read and dropped.

    Raises:
        BrokenBodyError: The framing is broken, or the stream ends early.
        TooLongError: The chunks add up to more than the limit.
    """
    pieces: list[bytes] = []
    left = limit_bytes
    while size := _read_size(stream):
        left -= size
        if left < 0:
            raise TooLongError
        pieces.append(read_exactly(stream, size))
        if stream.readline(3) not in {b"\r\n", b"\n"}:
            raise BrokenBodyError
    for _ in range(_TRAILERS):
        line = stream.readline(_LINE_LIMIT_BYTES)
        if line in {b"\r\n", b"\n"}:
            return b"".join(pieces)
        if not line.endswith(b"\n"):
            break
    raise BrokenBodyError


def _read_size(stream: BufferedIOBase) -> int:
    match = _SIZE.fullmatch(stream.readline(_LINE_LIMIT_BYTES))
    if match is None:
        raise BrokenBodyError
    return int(match[1], 16)
