"""The bytes of an answer as they arrive, bounded before anything reads a meaning into them.

Source: HTTP contract, section 4 ("Faults of targets").
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.exchange import BrokenAnswerError, NoAnswerError, Stage

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from invoke_core.adapters.exchange import Exchange

    Buffer = bytearray | memoryview

MOST_HEADERS: Final = 100
LONGEST_LINE: Final = 64 * 1024
READ_BYTES: Final = 64 * 1024
"""The most that is read at once: of the body of a long answer."""

BUFFER_BYTES: Final = 8 * 1024
"""Heads are read through a buffer, and most answers whole. A larger one, given back after each
exchange, leaves a hole in the process's memory; what is small and stays settles there, and the next
exchange takes new room."""

BAD_STATUS_LINE: Final = "it does not begin with a status line of HTTP/1"
BAD_HEADER: Final = "it has a header line that is not 'name: value'"
LONG_HEADER: Final = "it has a header line of more than 64 KiB"

_EMPTY_LINES: Final = frozenset({b"\r\n", b"\n"})
_NEVER_IN_A_LINE: Final = b"\x00\v\f\r"


class Wire:
    """The answers that come over a connection."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        """Read from a socket, telling the exchange how far it has come."""
        self._stream = io.BufferedReader(_Leased(sock, exchange), BUFFER_BYTES)
        self._exchange = exchange

    def read(self, most_bytes: int) -> bytes:
        """Return what has arrived, at least a byte and at most so many; nothing at the end."""
        return self._stream.read1(most_bytes)

    def heads(self) -> Iterator[bytes]:
        """Read one head after the other, each up to and with its empty line.

        Raises:
            NoAnswerError: The connection was closed before a final status line.
            BrokenAnswerError: It was closed after it, or a bound is exceeded.
        """
        while True:
            # At once: h11 looks for the end of a head anew with each line it is given.
            yield self._head()

    def _head(self) -> bytes:
        lines: list[bytes] = []
        while not lines or lines[-1] not in _EMPTY_LINES:
            line = self._stream.readline(LONGEST_LINE + 1)
            self._judge(line, len(lines))
            self._exchange.lease.add(len(line))
            lines.append(line)
        return b"".join(lines)

    def _judge(self, line: bytes, number: int) -> None:
        is_long = len(line) > LONGEST_LINE
        if not line.endswith(b"\n") and not is_long:
            if self._exchange.stage < Stage.READING_HEADERS:
                raise NoAnswerError
            raise BrokenAnswerError("it ends in the middle of its headers")
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 0:
            if is_long or not text.startswith(b"HTTP/1."):
                raise BrokenAnswerError(BAD_STATUS_LINE)
            if text[8:10] != b" 1":
                self._exchange.stage = Stage.READING_HEADERS
        if is_long:
            raise BrokenAnswerError(LONG_HEADER)
        if number > MOST_HEADERS and text:
            raise BrokenAnswerError(f"it has more than {MOST_HEADERS} header lines")
        # h11 would refuse these too, but its pattern for a header takes a time that grows with the
        # square of the blanks before one: 64 KiB of them would stop the process for half a minute.
        if any(byte in text for byte in _NEVER_IN_A_LINE):
            raise BrokenAnswerError(BAD_HEADER)


class _Leased(io.RawIOBase):
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
