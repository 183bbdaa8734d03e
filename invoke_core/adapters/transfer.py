"""One request and its answer over a connection, written and read by ``h11``.

The errors of ``h11`` quote what a target sent, so only sentences of our own are passed on.

Source: HTTP contract, section 4 ("Faults of targets"); RFC 9112, sections 6.1 and 6.3, for answers
whose length is told in two ways.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLEOFError
from typing import TYPE_CHECKING, Final

import h11

from invoke_core.adapters import wire
from invoke_core.adapters.exchange import BrokenAnswerError, Stage

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from invoke_core.adapters.exchange import Exchange

_MOST_INTERIM: Final = 100
_MOST_HEAD_BYTES: Final = (wire.MOST_HEADERS + 2) * (wire.LONGEST_LINE + 1)

_FRAME_BYTES: Final = 2 * 1024
"""As much of a chunked body is given to ``h11`` at once, and as much may wait there for the end of
a chunk line or of the trailers: to refuse one takes a time that grows with its square."""

_LONG_FRAME: Final = "its body has a chunk line or trailers of more than 2 KiB"
_TWO_LENGTHS: Final = "it has both a Transfer-Encoding and a Content-Length"
_CHUNKS_OF_1_0: Final = "it has a Transfer-Encoding, which HTTP/1.0 does not know"
_UNASKED: Final = "it sends interim (1xx) answers that nobody asked for"
_FAULTS: Final = {
    "illegal status line": wire.BAD_STATUS_LINE,
    "illegal header line": wire.BAD_HEADER,
    "continuation line": "its first header line begins with white space",
    "bad Content-Length": "its Content-Length is not one number",
    "conflicting Content-Length": "its Content-Length is not one number",
    "Only Transfer-Encoding": "it uses a transfer coding other than chunked",
    "multiple Transfer-Encoding": "it uses a transfer coding other than chunked",
    "Received server _SWITCH": _UNASKED,
    "illegal chunk header": "its body has a chunk without a size",
    "malformed chunk footer": "a chunk of its body is longer than it says",
}
"""How the errors of ``h11`` begin, before what they quote, and what is said in their place."""


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

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks; no other transfer coding is taken."""
        return bool(self.values("transfer-encoding"))

    @property
    def length(self) -> int | None:
        """The Content-Length, where there is one; never beside chunks."""
        lengths = self.values("content-length")
        return int(lengths[0]) if lengths else None

    def next_bytes(self, given_bytes: int) -> int:
        """Return how much of the body to read at once, where so much of it has come."""
        if self.is_chunked:
            return wire.BUFFER_BYTES
        if self.length is None:
            return wire.READ_BYTES
        return min(self.length - given_bytes, wire.READ_BYTES)


class Transfer:
    """Sends one request over a connection and reads its answer."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        """Use a socket, telling the exchange how far it has come."""
        self._sock = sock
        self._exchange = exchange
        self._wire = wire.Wire(sock, exchange)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD_BYTES)

    def send(self, request: h11.Request, body: bytes) -> None:
        """Send a request, as far as the target takes it.

        Raises:
            h11.LocalProtocolError: It cannot be written; nothing was sent.
        """
        events = (request, h11.Data(body), h11.EndOfMessage())
        written = b"".join([self._http.send(event) for event in events])
        self._exchange.stage = Stage.SENDING
        # A target may refuse a request before it has read all of it: its answer counts, or the
        # alert by which TLS 1.3 refuses a client certificate, if they can still be read.
        with suppress(BrokenPipeError, ConnectionResetError, SSLEOFError):
            self._sock.sendall(written)
            self._exchange.stage = Stage.WAITING

    def head(self) -> Head:
        """Read up to the end of the headers, skipping interim (1xx) answers.

        Raises:
            NoAnswerError: The connection was closed before the status line.
            BrokenAnswerError: What came is not HTTP/1, or exceeds a bound.
        """
        lease = self._exchange.lease
        for _ in range(_MOST_INTERIM):
            held_bytes = lease.held_bytes
            event = self._next_event(self._wire.heads())
            if isinstance(event, h11.Response):
                return _head(event)
            # An interim answer is forgotten, and so are its bytes.
            lease.add(held_bytes - lease.held_bytes)
        raise BrokenAnswerError(_UNASKED)

    def body(self, head: Head) -> Iterator[bytes]:
        """Read the body as it was sent, in pieces of at most 64 KiB, as they arrive.

        Raises:
            BrokenAnswerError: It ends early, or its framing is broken.
        """
        pieces = self._body_pieces(head)
        while isinstance(event := self._next_event(pieces), h11.Data):
            yield event.data

    def _next_event(self, received: Iterator[bytes]) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(next(received))
        except h11.RemoteProtocolError as error:
            found = (ours for theirs, ours in _FAULTS.items() if str(error).startswith(theirs))
            raise BrokenAnswerError(next(found, "it breaks the rules of HTTP/1.1")) from None
        return event

    def _body_pieces(self, head: Head) -> Iterator[bytes]:
        most_bytes = _FRAME_BYTES if head.is_chunked else wire.READ_BYTES
        given_bytes = 0
        while received := self._wire.read(head.next_bytes(given_bytes)):
            for at in range(0, len(received), most_bytes):
                yield received[at : at + most_bytes]
                if len(self._http.trailing_data[0]) > _FRAME_BYTES:
                    raise BrokenAnswerError(_LONG_FRAME)
            given_bytes += len(received)
        if head.is_chunked:
            raise BrokenAnswerError("its chunked body breaks off before its end")
        if head.length is not None:
            raise BrokenAnswerError(
                f"its body ends after {given_bytes} of {head.length} bytes of its Content-Length"
            )
        # Over TLS, too, a closed connection is the end: servers seldom say goodbye properly.
        yield b""


def _head(response: h11.Response) -> Head:
    headers = response.headers.raw_items()
    if any(len(name) + len(value) > wire.LONGEST_LINE for name, value in headers):
        raise BrokenAnswerError(wire.LONG_HEADER)
    head = Head(
        status=response.status_code,
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in headers),
    )
    if head.is_chunked:
        # Whoever else reads such an answer may see it end elsewhere, and another one begin.
        if head.values("content-length"):
            raise BrokenAnswerError(_TWO_LENGTHS)
        if response.http_version == b"1.0":
            raise BrokenAnswerError(_CHUNKS_OF_1_0)
    return head
