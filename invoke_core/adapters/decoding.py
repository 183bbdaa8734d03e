"""Content encodings undone, a bounded piece at a time.

A few kilobytes can inflate to gigabytes. Every decoder here hands out pieces of at most 64 KiB and
asks for more input only when one is taken, so whoever counts the pieces can stop at any point.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

PIECE_BYTES: Final = 64 * 1024
_MOST_CODINGS: Final = 3

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_RAW_WBITS: Final = -zlib.MAX_WBITS

_UNREAD: Final = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "lz4"})
"""Encodings that are called by name. Any other may be what the target was sent, in small letters,
by which nobody would recognise it as a secret."""

Filter = Callable[[Iterator[bytes]], Iterator[bytes]]


class DecodingError(Exception):
    """A body is not in the encoding its headers name; the message is part of a sentence."""


def decoded(pieces: Iterator[bytes], codings: Iterable[str], *, bounded: Filter) -> Iterator[bytes]:
    """Undo the content encodings of a body.

    Args:
        pieces: The body as received.
        codings: Values of its Content-Encoding headers, in order.
        bounded: Passes on what each decoder makes, and raises where it becomes too much.

    Returns:
        The pieces of the plain body.

    Raises:
        DecodingError: An encoding is unknown, or, while iterating, does not decode.
    """
    names = [name.strip().lower() for value in codings for name in value.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if len(names) > _MOST_CODINGS:
        raise DecodingError(f"its body has {len(names)} content encodings on top of each other")
    for name in reversed(names):
        undo = _CODINGS.get(name)
        if undo is None:
            which = f"the content encoding '{name}'" if name in _UNREAD else "a content encoding"
            raise DecodingError(
                f"its body is in {which}, and gzip and deflate are the "
                "ones this service reads; leave Accept-Encoding out of the request's headers"
            )
        pieces = bounded(undo(pieces))
    return pieces


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    # Members may follow one another (RFC 1952, section 2.2); padding after the last is ignored.
    rest, is_first = b"", True
    while rest := rest or next(pieces, b""):
        if not is_first:
            rest = _filled(rest, pieces, 2)
            if not rest.startswith(_GZIP_MAGIC):
                return
        rest = yield from _inflated(rest, pieces, zlib.decompressobj(_GZIP_WBITS), "gzip")
        is_first = False


def _undeflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    start = _filled(b"", pieces, 2)
    if start:
        wbits = zlib.MAX_WBITS if _has_zlib_header(start) else _RAW_WBITS
        yield from _inflated(start, pieces, zlib.decompressobj(wbits), "deflate")


def _has_zlib_header(start: bytes) -> bool:
    # "deflate" is the zlib format (RFC 9110, section 8.4.1.2), but some servers send the bare
    # stream. The header is known by its method, its window size and its check bits (RFC 1950).
    return (
        len(start) > 1
        and start[0] & 0x0F == zlib.DEFLATED
        and start[0] >> 4 <= 7
        and int.from_bytes(start[:2]) % 31 == 0
    )


def _filled(start: bytes, pieces: Iterator[bytes], count: int) -> bytes:
    while len(start) < count and (piece := next(pieces, b"")):
        start += piece
    return start


def _inflated(
    start: bytes, pieces: Iterator[bytes], inflater: zlib._Decompress, name: str
) -> Generator[bytes, None, bytes]:
    todo = start
    while True:
        try:
            piece = inflater.decompress(todo, PIECE_BYTES)
        except zlib.error:
            raise DecodingError(f"its body is not the {name} its Content-Encoding says") from None
        if piece:
            yield piece
        if inflater.eof:
            return inflater.unused_data
        # A full piece may leave output behind in the inflater with all input consumed.
        todo = inflater.unconsumed_tail
        if not todo and len(piece) < PIECE_BYTES:
            todo = next(pieces, b"")
            if not todo:
                raise DecodingError(f"its body ends in the middle of its {name} encoding")


_CODINGS: Final[dict[str, Filter]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
}
