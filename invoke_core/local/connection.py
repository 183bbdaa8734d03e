"""One client's connection: requests in, answers out, in HTTP/1.1 with keep-alive.

h11 reads and writes the protocol; this module moves its bytes, and turns its events into the calls
of functions. Nothing is executed before h11 has seen the whole of a request.
"""

from __future__ import annotations

import logging
import socket
from email.utils import formatdate
from http import HTTPStatus
from http.client import responses
from time import monotonic
from typing import TYPE_CHECKING

import h11

from invoke_core.local.framing import check_chunk, check_head
from invoke_core.local.heads import read_head, refusal
from invoke_core.local.host import Answer, Call, FunctionHost

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 100 * 1024 * 1024
"""The Functions host's own default (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT)."""

HEAD_LIMIT_BYTES = 32 * 1024
"""Always taken; more may be, up to twice as much. ASP.NET Core's web server has the same limit."""

_HEAD_READ_BYTES = 4 * 1024
"""Most requests are shorter. What is read at once is made small again once it is known how much
came; the hole that is left in the process's memory is as large as what was asked for."""

_TIMEOUT_S = 30
_SOON_S = 0.002
_LINGER_S = 2.0
_WRITE_BYTES = 1024 * 1024


class Connection:
    """Answers the requests of one client, one after the other."""

    def __init__(
        self,
        client: socket.socket,
        *,
        host: FunctionHost,
        base_url: str,
        drop_chunked: bool,
        stopping: threading.Event,
        is_thread_wanted: Callable[[], bool],
    ) -> None:
        """Take over a connected socket; nothing is read yet.

        Args:
            client: The socket. It is closed by ``close``.
            host: Answers the requests.
            base_url: The server's own, for a request that names no host.
            drop_chunked: Hand over chunked bodies as empty ones, as the Functions host does.
            stopping: Set once no further request is to be read.
            is_thread_wanted: Tells whether other connections wait for a thread.
        """
        client.settimeout(_TIMEOUT_S)
        # Small answers would otherwise wait for the client's delayed acknowledgement.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = client
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)
        self._host = host
        self._base_url = base_url
        self._drop_chunked = drop_chunked
        self._stopping = stopping
        self._is_thread_wanted = is_thread_wanted
        self._is_refused = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        return self._socket.fileno()

    def answer(self) -> bool:
        """Answer every request whose head has arrived; call it when there is something to read.

        A client that asks again at once is answered by the same thread: to hand the connection to
        another one takes longer than its next request is away. Nobody else waits for that.

        Returns:
            True: the connection waits for a request, or for the rest of its head. False: it is
            over; close it.
        """
        try:
            self._receive()
            while True:
                while self._answer_next():
                    self._http.start_next_cycle()
                if not self._is_idle() or not self._receive_soon():
                    break
        except OSError:
            _log.debug("The client went away.", exc_info=True)
            return False
        except Exception:  # noqa: BLE001  # one connection's fault never ends the server
            _log.exception("A connection failed.")
            return False
        return self._is_idle()

    def close(self) -> None:
        """Close the connection, after the client could read the last answer."""
        try:
            if self._is_unread():
                # Closing with unread data would reset the connection, and the answer with it.
                self._socket.shutdown(socket.SHUT_WR)
                deadline = monotonic() + _LINGER_S
                while (left := deadline - monotonic()) > 0:
                    self._socket.settimeout(left)
                    if not self._socket.recv(HEAD_LIMIT_BYTES):
                        break
        except OSError:
            _log.debug("The client did not wait.", exc_info=True)
        finally:
            self._socket.close()

    def _is_idle(self) -> bool:
        return self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE

    def _receive_soon(self) -> bool:
        """Receive what comes within a moment, unless somebody else needs the thread."""
        if self._is_thread_wanted() or self._stopping.is_set():
            return False
        self._socket.settimeout(_SOON_S)
        try:
            self._receive()
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(_TIMEOUT_S)
        return True

    def _receive(self, most_bytes: int = _HEAD_READ_BYTES) -> None:
        # No more at once than a head may have: h11 counts only what it cannot use yet.
        self._http.receive_data(self._socket.recv(min(most_bytes, HEAD_LIMIT_BYTES)))

    def _send(self, data: bytes) -> None:
        # The timeout is for each call, so a slow reader gets it anew with each piece.
        view = memoryview(data)
        for start in range(0, len(data), _WRITE_BYTES):
            self._socket.sendall(view[start : start + _WRITE_BYTES])

    def _is_unread(self) -> bool:
        """Tell whether a request was left before its end, so that no other can be told from it."""
        return self._is_refused or self._http.their_state is h11.SEND_BODY

    def _answer_next(self) -> bool:
        """Answer a request if its head is there; tell whether another one may follow."""
        started = monotonic()
        method = path = name = "-"
        try:
            check_head(self._http.trailing_data[0])
            request = self._http.next_event()
            if not isinstance(request, h11.Request):
                return False
            head = read_head(request, base_url=self._base_url)
            method, path = head.method, head.path
            answer, name = self._run(self._host.find(head), request)
        except h11.RemoteProtocolError as error:
            self._is_refused = True
            answer = Answer(error.error_status_hint)
        self._write(answer, with_body=method != "HEAD")
        took_ms = (monotonic() - started) * 1000
        _log.info("%s %s %d %s %.0f ms", method, path, answer.status, name, took_ms)
        return self._http.our_state is h11.DONE

    def _run(self, found: Call | HTTPStatus, request: h11.Request) -> tuple[Answer, str]:
        fields = dict(request.headers)
        if isinstance(found, HTTPStatus):
            # Where there is no body, this is its end; any other is left unread.
            self._next_of_body(between_chunks=b"transfer-encoding" in fields)
            return Answer(found), "-"
        return found.run(self._body(fields)), found.name

    def _next_of_body(self, *, between_chunks: bool) -> object:
        if between_chunks:
            check_chunk(self._http.trailing_data[0])
        return self._http.next_event()

    def _body(self, fields: dict[bytes, bytes]) -> bytes:
        length = int(fields.get(b"content-length", b"0"))
        if length > BODY_LIMIT_BYTES:
            raise refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = bytearray()
        in_chunks = b"transfer-encoding" in fields
        between_chunks = in_chunks
        while not isinstance(
            event := self._next_of_body(between_chunks=between_chunks), h11.EndOfMessage
        ):
            if isinstance(event, h11.Data):
                between_chunks = event.chunk_end
                body += event.data
                if len(body) > BODY_LIMIT_BYTES:
                    raise refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                continue
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self._send(self._http.send(go_on))
            self._receive(HEAD_LIMIT_BYTES if in_chunks else length - len(body))
        return b"" if self._drop_chunked and in_chunks else bytes(body)

    def _write(self, answer: Answer, *, with_body: bool) -> None:
        # h11 takes no white space around a value; to a client it means nothing.
        headers = [("Date", formatdate(usegmt=True))]
        headers += [(name, value.strip(" \t")) for name, value in answer.headers]
        if answer.status in {204, 304}:
            with_body = False
        else:
            headers.append(("Content-Length", str(len(answer.body))))
        if self._is_unread() or self._stopping.is_set():
            headers.append(("Connection", "close"))
        response = h11.Response(
            status_code=answer.status, headers=headers, reason=responses.get(answer.status, "")
        )
        data = self._http.send(response)
        if with_body:
            data += self._http.send(h11.Data(data=answer.body))
        self._send(data + self._http.send(h11.EndOfMessage()))
