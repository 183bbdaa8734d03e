"""One client's connection: requests in, answers out, in HTTP/1.1 with keep-alive.

The standard library reads request line and headers; this module refuses what it is too lenient
about, frames bodies, and writes answers.
"""

from __future__ import annotations

import logging
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from invoke_core.local.body import BrokenBodyError, TooLongError, read_chunks, read_exactly
from invoke_core.local.host import Answer, Call, FunctionHost, Head

if TYPE_CHECKING:
    import threading
    from io import BufferedIOBase

_log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 100 * 1024 * 1024
"""The Functions host's own default (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT)."""

_LINE_LIMIT_BYTES = 65536
_PIECE_BYTES = 1024 * 1024
_LINGER_S = 2.0
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_AUTHORITY = re.compile(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]*")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_LENGTH = re.compile(r"[0-9]{1,15}")


class _RefusedError(Exception):
    """A request that gets no further; the connection ends with it."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _HeaderLines:
    """Hands lines to the base class, and refuses what it would overlook.

    To the base class, the end of the stream ends the headers like an empty line, so that half a
    request would be carried out; and a lone CR is the end of a line.
    """

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        cut_short = not line.endswith(b"\n") and len(line) < limit
        if cut_short or b"\r" in line[:-2]:
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        return line


class Connection(BaseHTTPRequestHandler):
    """Answers the requests of one client, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def __init__(
        self,
        client: socket.socket,
        *,
        host: FunctionHost,
        base_url: str,
        drop_chunked: bool,
        stopping: threading.Event,
    ) -> None:
        """Take over a connected socket; nothing is read yet.

        Args:
            client: The socket. It is closed by ``close``.
            host: Answers the requests.
            base_url: The server's own, for a request that names no host.
            drop_chunked: Hand over chunked bodies as empty ones, as the Functions host does.
            stopping: Set once no further request is to be read.
        """
        # The base class would serve the connection to its end from within its constructor.
        self.request = client
        self.client_address = ("", 0)
        self.setup()
        self._host = host
        self._base_url = base_url
        self._drop_chunked = drop_chunked
        self._stopping = stopping
        self._expects_100 = False
        self._unread = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        descriptor: int = self.connection.fileno()
        return descriptor

    def answer(self) -> bool:
        """Answer every request that has arrived.

        Returns:
            True: the connection is at rest between two requests. False: it is over; close it.
        """
        try:
            while self._answer_one():
                if not self._more():
                    return not self._stopping.is_set()
        except OSError:
            _log.debug("The client went away.", exc_info=True)
        except Exception:  # noqa: BLE001  # one connection's fault never ends the server
            _log.exception("A connection failed.")
        return False

    def close(self) -> None:
        """Close the connection, after the client could read the last answer."""
        try:
            if self._unread:
                # Closing with unread data would reset the connection, and the answer with it.
                self.connection.shutdown(socket.SHUT_WR)
                deadline = monotonic() + _LINGER_S
                while (left := deadline - monotonic()) > 0:
                    self.connection.settimeout(left)
                    if not self.connection.recv(_PIECE_BYTES):
                        break
        except OSError:
            _log.debug("The client did not wait.", exc_info=True)
        finally:
            # The socket closes once the file made from it has closed as well.
            self.rfile.close()
            self.connection.close()

    def handle_expect_100(self) -> bool:
        """Keep the promise for later: the body is asked for once the request is found good."""
        self._expects_100 = True
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request the base class could not read, without its words."""
        del message, explain
        raise _RefusedError(HTTPStatus(code))

    def _answer_one(self) -> bool:
        started = monotonic()
        self._expects_100 = self._unread = False
        self.close_connection = True
        self.request_version = self.protocol_version
        method = path = name = "-"
        try:
            if not self._read_head():
                return False
            head = self._head()
            method, path = head.method, head.path
            answer, name = self._run(self._host.find(head))
        except _RefusedError as refused:
            self._unread = self.close_connection = True
            answer = Answer(refused.status)
        self._write(answer, with_body=method.upper() != "HEAD")
        took_ms = (monotonic() - started) * 1000
        _log.info("%s %s %d %s %.0f ms", method, path, answer.status, name, took_ms)
        return not self.close_connection

    def _run(self, found: Call | HTTPStatus) -> tuple[Answer, str]:
        if isinstance(found, HTTPStatus):
            # The body is of no interest, and after it nothing can be told from it.
            if self._has_body():
                self._unread = self.close_connection = True
            return Answer(found), "-"
        return found.run(self._body()), found.name

    def _more(self) -> bool:
        """Tell whether a further request has begun to arrive, without waiting for it."""
        self.connection.settimeout(0)
        try:
            return bool(self.rfile.peek(1))  # type: ignore[attr-defined]  # a BufferedReader
        finally:
            self.connection.settimeout(self.timeout)

    def _read_head(self) -> bool:
        """Read request line and headers; False where the client has nothing more to say."""
        self.raw_requestline = self.rfile.readline(_LINE_LIMIT_BYTES + 1)
        if self.raw_requestline in {b"\r\n", b"\n"}:
            # An empty line before a request is to be passed over (RFC 9112, section 2.2).
            self.raw_requestline = self.rfile.readline(_LINE_LIMIT_BYTES + 1)
        if not self.raw_requestline:
            return False
        if len(self.raw_requestline) > _LINE_LIMIT_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG)
        stream = self.rfile
        self.rfile = _HeaderLines(stream)  # type: ignore[assignment]  # only lines are read of it
        try:
            if not self.raw_requestline.endswith(b"\n") or not self.parse_request():
                raise _RefusedError(HTTPStatus.BAD_REQUEST)
        finally:
            self.rfile = stream
        return True

    def _head(self) -> Head:
        """Return the request's head, checked more strictly than the base class does.

        Source:
            RFC 9112, sections 2 to 6: one Host, no folded lines, no white space before a colon, and
            one way of framing the body.
        """
        words = self.requestline.split(" ")
        headers = self._fields()
        hosts = self.headers.get_all("Host", [])
        bad_host = len(hosts) > 1 or (not hosts and self.request_version != "HTTP/1.0")
        if (
            len(words) != 3
            or not _TOKEN.fullmatch(words[0])
            or not _TARGET.fullmatch(words[1])
            or bad_host
        ):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        # The base class merges slashes at the begin of its own `path`.
        target = words[1]
        authority = hosts[0].strip() if hosts else ""
        if target == "*":
            target = "/"
        elif not target.startswith("/"):
            target, authority = _absolute(target)
        if not _AUTHORITY.fullmatch(authority):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        path, _, query = target.partition("#")[0].partition("?")
        return Head(
            method=words[0],
            base=f"http://{authority}" if authority else self._base_url,
            path=path,
            query=query,
            headers=headers,
        )

    def _fields(self) -> list[tuple[str, str]]:
        try:
            fields = [
                (name, value.strip(" \t").encode("latin-1").decode())
                for name, value in self.headers.items()
            ]
        except UnicodeError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
        whole = not self.headers.defects and not self.headers.get_unixfrom()
        if not whole or not all(
            _TOKEN.fullmatch(name) and _FIELD_VALUE.fullmatch(value) for name, value in fields
        ):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        return fields

    def _framing(self) -> int | None:
        """Return the announced length of the body; None for one in chunks."""
        codings = self.headers.get_all("Transfer-Encoding", [])
        lengths = self.headers.get_all("Content-Length", [])
        if codings:
            chunked = [one.strip().lower() for one in codings] == ["chunked"]
            if lengths or not chunked or self.request_version == "HTTP/1.0":
                raise _RefusedError(HTTPStatus.BAD_REQUEST)
            return None
        if not lengths:
            return 0
        length = lengths[0].strip()
        if len(lengths) > 1 or not _LENGTH.fullmatch(length):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        return int(length)

    def _has_body(self) -> bool:
        return self._framing() != 0

    def _body(self) -> bytes:
        length = self._framing()
        if length is not None and length > BODY_LIMIT_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._expects_100 and length != 0:
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if length is not None:
                return read_exactly(self.rfile, length)
            body = read_chunks(self.rfile, limit_bytes=BODY_LIMIT_BYTES)
        except BrokenBodyError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
        except TooLongError:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from None
        return b"" if self._drop_chunked else body

    def _write(self, answer: Answer, *, with_body: bool) -> None:
        if self._stopping.is_set():
            self.close_connection = True
        body = answer.body if with_body else b""
        lines = [
            f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
            f"Date: {self.date_time_string()}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        if answer.status in {204, 304}:
            body = b""
        else:
            lines.append(f"Content-Length: {len(answer.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        elif self.request_version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        if len(body) <= _PIECE_BYTES:
            self.connection.sendall(head + body)
            return
        self.connection.sendall(head)
        # The timeout is for each call, so a slow reader gets it anew with each piece.
        view = memoryview(body)
        for start in range(0, len(body), _PIECE_BYTES):
            self.connection.sendall(view[start : start + _PIECE_BYTES])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _absolute(target: str) -> tuple[str, str]:
    """Return path with query, and authority, of a target that is a whole URL."""
    try:
        url = urlsplit(target)
    except ValueError:
        raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
    if url.scheme not in {"http", "https"} or not url.netloc:
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    return f"{url.path or '/'}?{url.query}", url.netloc
