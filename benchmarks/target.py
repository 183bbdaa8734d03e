"""A target that costs next to nothing: ``python -m benchmarks.target``, a process of its own.

Its paths, below any prefix:

- ``/fast`` answers at once, ``/slow/SECONDS`` after that time, with a small document;
- ``/large/BYTES`` answers a document of about that length, a list of small objects;
- ``/keep`` answers 202 and keeps the headers that the Azure-Pipelines half needs for calling back;
- ``/kept`` answers what was kept since it was last asked, a list of objects.

It prints its URL and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache, partial
from typing import Final

DOCUMENT: Final = b'{"status": "Succeeded", "count": 1425}'
CORRELATION: Final = ("AuthToken", "PlanId", "ProjectId", "JobId", "TaskInstanceId", "HubName")

_HEAD: Final = re.compile(rb"[A-Z]+ \S*?/(fast|slow|large|keep|kept)(?:/([0-9.]+))? HTTP/1\.1\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_KEPT: Final = re.compile(rb"\r\n(%b): *([^\r]*)" % "|".join(CORRELATION).encode(), re.IGNORECASE)
_NAMES: Final = {name.lower(): name for name in CORRELATION}

kept: list[dict[str, str]] = []


class Answering(asyncio.Protocol):
    """One connection; requests are answered one after the other."""

    def __init__(self) -> None:
        """Wait for a request."""
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is there as a whole."""
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = self._received[:end]
        length = _LENGTH.search(head)
        end += int(length[1]) if length else 0
        if len(self._received) < end:
            return
        self._received = self._received[end:]
        found = _HEAD.match(head)
        is_last = _CLOSE.search(head) is not None
        if found is None:
            self._answer(b"{}", "404 Not Found", is_last=is_last)
        elif found[1] == b"slow":
            later = partial(self._answer, DOCUMENT, "200 OK", is_last=is_last)
            asyncio.get_running_loop().call_later(float(found[2]), later)
        elif found[1] == b"keep":
            kept.append({_NAMES[n.decode().lower()]: v.decode() for n, v in _KEPT.findall(head)})
            self._answer(b"{}", "202 Accepted", is_last=is_last)
        elif found[1] == b"kept":
            self._answer(json.dumps(kept).encode(), "200 OK", is_last=is_last)
            kept.clear()
        else:
            body = large(int(found[2])) if found[1] == b"large" else DOCUMENT
            self._answer(body, "200 OK", is_last=is_last)

    def _answer(self, body: bytes, status: str, *, is_last: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        head += "\r\nConnection: close\r\n\r\n" if is_last else "\r\n\r\n"
        self._transport.write(head.encode() + body)
        if is_last:
            self._transport.close()


@cache
def large(length: int) -> bytes:
    """Return a document of about this many bytes: a list of objects under ``value``."""
    row = b'{"id": 1425, "name": "deploy-web-eu", "state": "Succeeded", "isCurrent": true}'
    count = max(1, length // (len(row) + 1))
    return b'{"status": "Succeeded", "value": [' + b",".join([row] * count) + b"]}"


async def main() -> None:
    """Serve, and print where."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
