"""The target: answers, fails, resets, drips, hangs and closes as each request asks it to."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

from tests.chaos.ledger import Received

if TYPE_CHECKING:
    from tests.chaos.ledger import Ledger

BEHAVIOUR = "X-Behaviour"
"""The header that names, one after the other, what to do with the requests of a task."""

ITEM = "X-Item"

BODIES = {
    "ok": (200, b'{"ready": true}'),
    "notReady": (200, b'{"ready": false}'),
    "broken": (500, b'{"error": "broken"}'),
    "accepted": (202, b"{}"),
}
LONGEST_HANG_S = 4.0


class Target:
    """A server that notes every request before it does anything about it."""

    def __init__(self, ledger: Ledger) -> None:
        """Take a port.

        Args:
            ledger: Where requests are noted.
        """
        self.ledger = ledger
        self.callbacks: SimpleQueue[dict[str, str]] = SimpleQueue()
        """The headers of each request that wants a callback."""
        self.ended = Event()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.world = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Serve."""
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Serve no more."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def next_behaviour(self, item: str, path: str, wanted: str) -> str:
        """Return what to do with a request; the last behaviour is that of all further ones."""
        with self._lock:
            number = self._counts[item, path]
            self._counts[item, path] += 1
        if path == "/status":
            return "accepted" if number == 0 else "ok"
        names = wanted.split(",") if wanted else ["ok"]
        return names[min(number, len(names) - 1)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    world: Target

    def handle_error(self, *_: object) -> None:
        """Say nothing where a process was killed while it was answered."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        self.close_connection = True
        world = self.server.world
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        item = self.headers.get(ITEM, "")
        behaviour = world.next_behaviour(item, self.path, self.headers.get(BEHAVIOUR, ""))
        received = Received(
            at=time.monotonic(),
            item=item,
            plan=self.headers.get("PlanId", ""),
            trace=self.headers.get("traceparent", "")[3:35],
            method=self.command,
            path=self.path,
            behaviour=behaviour,
        )
        world.ledger.received.append(received)
        if self.headers.get("AuthToken"):
            world.callbacks.put(dict(self.headers.items()))
        if behaviour in {"reset", "close", "hang"}:
            world.ledger.targets.append(behaviour)
            self._fail(behaviour)
            return
        is_slow = behaviour == "drip"
        if is_slow:
            world.ledger.targets.append(behaviour)
        status, body = BODIES["ok" if is_slow else behaviour]
        self._write(status, body, pause_s=0.02 if is_slow else 0.0)
        # From here on the answer may be known; before, it cannot be.
        received.answered = status

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    def _fail(self, behaviour: str) -> None:
        if behaviour == "hang":
            self.server.world.ended.wait(LONGEST_HANG_S)
        if behaviour == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # The last reference to the socket goes with it, which is what resets it.
            self.connection.close()

    def _write(self, status: int, body: bytes, *, pause_s: float) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 202:
            self.send_header("Operation-Location", "/status")
        self.end_headers()
        for place in range(0, len(body), 1 if pause_s else len(body)):
            self.wfile.write(body[place : place + (1 if pause_s else len(body))])
            time.sleep(pause_s)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
