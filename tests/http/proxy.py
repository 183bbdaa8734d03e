"""A small forward proxy on loopback: a real one, for what is asked of it here."""

from __future__ import annotations

import select
import socket
from contextlib import closing
from typing import TYPE_CHECKING

from tests.http.targets import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.http.targets import Peer, Script


def forwarding(ports: Mapping[str, int]) -> Script:
    """Take one request and pass it on, through a tunnel where it asks for one.

    Args:
        ports: Where the names it knows lead to, on loopback.
    """

    def script(peer: Peer) -> None:
        head, _, body = peer.request().partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        authority = target if method == "CONNECT" else target.split("/")[2]
        port = ports.get(authority.rpartition(":")[0] or authority)
        if port is None:
            peer.send(answer(status="502 Bad Gateway"))
            return
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as onward:
            if method == "CONNECT":
                peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                lines = head.split(b"\r\n")[1:]
                kept = [line for line in lines if not line.lower().startswith(b"proxy-")]
                path = "/" + target.split("/", 3)[3]
                first = f"{method} {path} HTTP/1.1".encode()
                onward.sendall(b"\r\n".join([first, *kept, b"", body]))
            _pass_on(peer.sock, onward)

    return script


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    ways = {one: other, other: one}
    while True:
        for ready in select.select(list(ways), [], [], 5)[0]:
            piece = ready.recv(65536)
            if not piece:
                return
            ways[ready].sendall(piece)
