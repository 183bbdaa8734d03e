"""Stands before a service as the platform's sign-in does: no token, no way further."""

from __future__ import annotations

import http.client
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN: Final = "head-7f3c.claims_9d0e.sign~/+a1b2=="
"""The only token that is taken."""

_OPEN: Final = ("/api/health", "/azdo/")
_OWN: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date"})


class SignIn(ThreadingHTTPServer):
    """An HTTP server that forwards what needs no token, and what has the one it takes.

    Attributes:
        tokens: What stood in ``Authorization`` of each request, with its path and no query.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Guard)
        self.upstream_port = 0
        self.tokens: list[tuple[str, str | None]] = []

    def stand_before(self, upstream: str) -> None:
        """Forward to the service at a URL of this machine."""
        self.upstream_port = int(upstream.rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def sign_in(upstream: str | None = None) -> Iterator[SignIn]:
    """Run one until the context is left, before a service that may be named later."""
    with SignIn() as server:
        if upstream is not None:
            server.stand_before(upstream)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Guard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SignIn

    def _guard(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        shown = self.headers["Authorization"]
        self.server.tokens.append((path, shown))
        if path.startswith(_OPEN) or shown == f"Bearer {TOKEN}":
            self._answer(*self._ask(body))
        else:
            challenge = 'Bearer realm="127.0.0.1" authorization_uri="https://sign-in.example/"'
            self._answer(401, {"WWW-Authenticate": challenge}, b"")

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every method alike; the server looks for one named after it."""
        if name.startswith("do_"):
            return self._guard
        raise AttributeError(name)

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _OWN and name.lower() != "expect"
        }
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=90)
        try:
            upstream.request(self.command, self.path, body=body, headers=headers)
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
