"""Stands between the instances and the emulator, and can be cut in three ways."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from enum import Enum
from threading import Lock, Thread


class Cut(Enum):
    """What happens to connections."""

    NONE = "none"
    REFUSED = "refused"
    """Nobody listens, and what was open is reset."""
    RESET = "reset in the middle"
    """Each is reset in the middle of the next answer."""
    UNANSWERED = "answers lost"
    """Requests arrive, and each connection is reset in place of the answer."""


class Proxy:
    """A proxy that knows nothing of HTTP."""

    def __init__(self, upstream_port: int) -> None:
        """Listen on a port of its own, in front of another one of this machine."""
        self._upstream_port = upstream_port
        self._cut = Cut.NONE
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._serve(self._listener)

    def cut(self, cut: Cut) -> None:
        """Change what happens from now on."""
        self._cut = cut
        if cut is Cut.REFUSED and self._listener is not None:
            # Closing alone would leave the thread that accepts waiting, and the port open.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            with self._lock:
                standing = list(self._open)
            for one in standing:
                _reset(one)
        elif cut is not Cut.REFUSED and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
            self._serve(self._listener)

    def close(self) -> None:
        """End it."""
        self.cut(Cut.REFUSED)

    def _serve(self, listener: socket.socket) -> None:
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    upstream = socket.create_connection(("127.0.0.1", self._upstream_port), 10)
                except OSError:
                    _reset(client)
                    continue
                upstream.settimeout(None)
                with self._lock:
                    self._open |= {client, upstream}
                for work in (self._up, self._down):
                    Thread(target=work, args=(client, upstream), daemon=True).start()

    def _up(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                upstream.sendall(data)
        self._end(client, upstream)

    def _down(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := upstream.recv(65536):
                if self._cut in {Cut.RESET, Cut.UNANSWERED}:
                    if self._cut is Cut.RESET:
                        client.sendall(data[: len(data) // 2])
                    _reset(client)
                    break
                client.sendall(data)
        self._end(client, upstream)

    def _end(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open -= set(sockets)
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
        one.close()
