"""Targets that misbehave on purpose: real servers on loopback, one script for each connection."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

Script = Callable[["Peer"], None]

DRIP_S = 0.1


class Peer:
    """The target's side of one connection."""

    def __init__(self, sock: socket.socket, target: Target) -> None:
        self.sock = sock
        self.target = target

    def secure(self) -> None:
        """Shake hands, where the target speaks TLS."""
        if self.target.tls is not None:
            self.sock = self.target.tls.wrap_socket(self.sock, server_side=True)

    def request(self) -> bytes:
        """Take a request, as long as its Content-Length says."""
        received = b""
        while b"\r\n\r\n" not in received and (piece := self.sock.recv(65536)):
            received += piece
        head, end, body = received.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        while found and len(body) < int(found[1]) and (piece := self.sock.recv(65536)):
            body += piece
        request = head + b"\r\n\r\n" + body
        if end:
            self.target.requests.append(request)
        return request

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.sock.sendall(piece)

    def drip(self, text: bytes) -> None:
        """Send one byte after the other, for as long as the other side listens."""
        for at in range(len(text)):
            self.send(text[at : at + 1])
            if self.target.stopping.wait(DRIP_S):
                return

    def wait(self) -> None:
        """Keep the connection open without a word until the other side closes it."""
        self.sock.settimeout(0.1)
        while not self.target.stopping.is_set():
            with suppress(TimeoutError):
                if not self.sock.recv(65536):
                    return

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        self.sock.close()


class Target:
    """A server that runs the first script for its first connection, and so on; the last repeats."""

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        name: str | None = None,
    ) -> None:
        self.scripts = scripts
        self.tls = tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=512)
        self.port = int(self._listener.getsockname()[1])
        host = name or (f"[{host}]" if ":" in host else host)
        self.origin = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                sock.close()
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        peer = Peer(sock, self)
        try:
            script(peer)
            # A close with unread bytes would reset the connection under what was sent.
            with suppress(OSError):
                socket.socket.shutdown(peer.sock, socket.SHUT_WR)
                peer.sock.settimeout(5)
                while socket.socket.recv(peer.sock, 65536):
                    pass
        except OSError:
            pass  # The other side has gone: what most of these scripts provoke.
        finally:
            peer.sock.close()
            sock.close()

    def close(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            # Closing a listener does not wake a thread that waits on it; connecting does.
            socket.create_connection(self._listener.getsockname()[:2], timeout=1).close()
        self._accepting.join(5)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


def answering(*pieces: bytes) -> Script:
    """Take a request and send bytes."""

    def script(peer: Peer) -> None:
        peer.secure()
        peer.request()
        peer.send(*pieces)

    return script


def answer(
    body: bytes = b"", *, status: str = "200 OK", headers: Sequence[str] = (), length: bool = True
) -> bytes:
    """Return the bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def redirecting(location: str, *, status: str = "302 Found") -> Script:
    """Take a request and redirect it."""
    return answering(answer(status=status, headers=[f"Location: {location}"]))


def slowly(seconds: float, *pieces: bytes) -> Script:
    """Take a request, wait, and send bytes."""

    def script(peer: Peer) -> None:
        peer.secure()
        peer.request()
        time.sleep(seconds)
        peer.send(*pieces)

    return script
