"""An answer read from the wire, strictly.

``http.client`` forgives: it takes headers or a chunked body that end in the middle for whole,
``103 Early Hints`` for the answer, and a header without a colon for the end of the headers. What
a task reports has to be what the target sent, so here a broken answer is one. Everything read has
a bound, and the bytes kept are counted against the process's budget.

Source: HTTP contract, section 4 ("Faults of targets"); RFC 9112.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.exchange import BrokenAnswerError, NoAnswerError, Stage

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from invoke_core.adapters.exchange import Exchange

    Buffer = bytearray | memoryview

_MOST_HEADERS: Final = 100
_MOST_INTERIM: Final = 100
_LONGEST_LINE: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] +([1-9][0-9]{2})(?: [^\r\n]*)?")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00\r\n]*)")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")

_SWITCHING_PROTOCOLS: Final = 101
_WITHOUT_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and headers of a final answer.

    Attributes:
        status: Three digits.
        headers: Names as received, values without surrounding white space; repeats in order.
    """

    status: int
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Return the values of a header, given in lower case."""
        return [value for known, value in self.headers if known.lower() == name]


class _Wire(io.RawIOBase):
    """A socket as a stream of bytes, from which none are taken while the budget is spent."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        super().__init__()
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:  # type: ignore[override] # what sockets take
        self._exchange.lease.pause(self._exchange.deadline.left)
        return self._sock.recv_into(buffer)


class AnswerReader:
    """Reads one answer from a connection."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        """Read from a socket, telling the exchange how far it has come."""
        self._stream = io.BufferedReader(_Wire(sock, exchange), _READ_BYTES)
        self._exchange = exchange

    def head(self) -> Head:
        """Read up to the end of the headers, skipping interim (1xx) answers.

        Raises:
            NoAnswerError: The connection was closed before the status line.
            BrokenAnswerError: What came is not HTTP/1, or exceeds a bound.
        """
        for _ in range(_MOST_INTERIM):
            status = self._status()
            if status >= 200:
                self._exchange.stage = Stage.READING_HEADERS
                return Head(status, self._headers())
            if status == _SWITCHING_PROTOCOLS:
                break
            held_bytes = self._exchange.lease.held_bytes
            self._headers()
            # An interim answer is forgotten, and so are its bytes.
            self._exchange.lease.add(held_bytes - self._exchange.lease.held_bytes)
        self._exchange.stage = Stage.READING_HEADERS
        raise BrokenAnswerError("it sends interim (1xx) answers that nobody asked for")

    def body(self, head: Head) -> Iterator[bytes]:
        """Read the body as it was sent, in pieces of at most 64 KiB, as they arrive.

        Raises:
            BrokenAnswerError: It ends early, or its framing is broken.
        """
        if head.status in _WITHOUT_BODY:
            return iter(())
        codings = [
            coding.strip().lower()
            for value in head.values("transfer-encoding")
            for coding in value.split(",")
        ]
        if codings not in ([], ["identity"]):
            # With both, the length is ignored (RFC 9112, section 6.3): this connection carries
            # no other answer that a wrong length could cut into.
            if codings != ["chunked"]:
                raise BrokenAnswerError("it uses a transfer coding other than chunked")
            return self._chunked()
        length = declared_length(head)
        return self._until_closed() if length is None else self._exactly(length)

    def _status(self) -> int:
        line = self._stream.readline(_LONGEST_LINE + 1)
        is_long = len(line) > _LONGEST_LINE
        if not line.endswith(b"\n") and not is_long:
            raise NoAnswerError
        match = _STATUS_LINE.fullmatch(line.rstrip(b"\r\n"))
        if match is None or is_long:
            self._exchange.stage = Stage.READING_HEADERS
            raise BrokenAnswerError("it does not begin with a status line of HTTP/1")
        return int(match[1])

    def _headers(self) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        lines = 0
        while line := self._line("header"):
            self._exchange.lease.add(len(line))
            lines += 1
            if lines > _MOST_HEADERS:
                raise BrokenAnswerError(f"it has more than {_MOST_HEADERS} header lines")
            if line[:1] in {b" ", b"\t"}:
                # A folded line (RFC 9112, section 5.2) continues the one before.
                if not found:
                    raise BrokenAnswerError("its first header line begins with white space")
                name, value = found.pop()
                line = f"{name}: {value} ".encode("latin-1") + line.strip()
                if len(line) > _LONGEST_LINE:
                    raise BrokenAnswerError("it has a header line of more than 64 KiB")
            match = _HEADER.fullmatch(line)
            if match is None:
                raise BrokenAnswerError("it has a header line that is not 'name: value'")
            found.append((match[1].decode("ascii"), match[2].strip(b" \t").decode("latin-1")))
        return tuple(found)

    def _line(self, kind: str) -> bytes:
        line = self._stream.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise BrokenAnswerError(f"it has a {kind} line of more than 64 KiB")
        if not line.endswith(b"\n"):
            raise BrokenAnswerError(f"it ends in the middle of a {kind} line")
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _exactly(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            piece = self._stream.read1(min(left, _READ_BYTES))
            if not piece:
                raise BrokenAnswerError(
                    f"its body ends after {length - left} of {length} bytes of its Content-Length"
                )
            left -= len(piece)
            yield piece

    def _until_closed(self) -> Iterator[bytes]:
        # Over TLS, too, a closed connection is the end: servers seldom say goodbye properly.
        while piece := self._stream.read1(_READ_BYTES):
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            left = size
            while left:
                piece = self._stream.read1(min(left, _READ_BYTES))
                if not piece:
                    raise BrokenAnswerError("its body ends in the middle of a chunk")
                left -= len(piece)
                yield piece
            if self._line("chunk"):
                raise BrokenAnswerError("a chunk of its body is longer than it says")
        trailers = 0
        while self._line("chunk"):
            trailers += 1
            if trailers > _MOST_HEADERS:
                raise BrokenAnswerError(f"it has more than {_MOST_HEADERS} trailers")

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.fullmatch(self._line("chunk"))
        if match is None:
            raise BrokenAnswerError("its body has a chunk without a size")
        return int(match[1], 16)


def declared_length(head: Head) -> int | None:
    """Return the length a body is said to have; None where none is declared.

    Raises:
        BrokenAnswerError: It is not a number, or there are different ones.
    """
    lengths = {
        length.strip() for value in head.values("content-length") for length in value.split(",")
    }
    if not lengths:
        return None
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise BrokenAnswerError("its Content-Length is not one number")
    return int(lengths.pop())
