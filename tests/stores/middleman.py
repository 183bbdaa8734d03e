"""Stands between the store and the emulator: counts requests, and loses or spoils answers."""

from __future__ import annotations

import http.client
import io
import socket
from collections import deque
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date"})


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    LOSE_ANSWER = auto()
    LOSE_REQUEST = auto()
    CUT_ANSWER = auto()
    CUT_HEAD = auto()
    """The answer breaks off within its head, at the share of it that ``cut_at`` tells."""
    SILENCE = auto()
    BUSY = auto()
    """503 with a Retry-After of a minute; the request goes no further."""
    THROTTLED = auto()
    DENIED = auto()
    FAIL_AFTERWARDS = auto()
    """500, although the request took place."""


class Middleman(ThreadingHTTPServer):
    """An HTTP server that forwards to the emulator.

    Attributes:
        requests: Method and path of every request that came, queries left out.
        faults: What happens to the next requests; to all after them, ``Fault.NONE``.
        cut_at: How much of a head passes that is cut, from 0 to 1.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.upstream_port = upstream_port
        self.requests: list[str] = []
        self.faults: deque[Fault] = deque()
        self.cut_at = 0.5
        self.ended = Event()

    @property
    def port(self) -> int:
        return self.server_port


@contextmanager
def middleman(upstream_port: int) -> Iterator[Middleman]:
    """Run one until the context is left."""
    with Middleman(upstream_port) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


class _Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Middleman

    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        fault = self.server.faults.popleft() if self.server.faults else Fault.NONE
        match fault:
            case Fault.SILENCE:
                self.server.ended.wait(30)
                self._hang_up()
            case Fault.LOSE_REQUEST:
                self._hang_up()
            case Fault.DENIED:
                self._answer(403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}, b"")
            case Fault.BUSY | Fault.THROTTLED:
                status = 503 if fault is Fault.BUSY else 429
                self._answer(status, {"Retry-After": "60"}, b"{}")
            case _:
                status, headers, answer = self._ask(body)
                if fault is Fault.LOSE_ANSWER:
                    self._hang_up()
                elif fault is Fault.FAIL_AFTERWARDS:
                    self._answer(500, {}, b"")
                else:
                    self._answer(status, headers, answer, cut=fault)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every method alike; the server looks for one named after it."""
        if name.startswith("do_"):
            return self._forward
        raise AttributeError(name)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=20)
        try:
            upstream.request(self.command, self.path, body=body, headers=dict(self.headers))
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, *, cut: Fault = Fault.NONE
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        written = io.BytesIO()
        wire, self.wfile = self.wfile, written
        self.end_headers()
        self.wfile = wire
        head = written.getvalue()
        if cut is Fault.CUT_HEAD:
            head, body = head[: int(len(head) * self.server.cut_at)], b""
        wire.write(head + (body[: len(body) // 2] if cut is Fault.CUT_ANSWER else body))
        if cut is not Fault.NONE:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
