from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import pytest

from invoke_core.local.server import LocalServer
from tests.local.toy import HOST_JSON, toy_app

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path


class Serve(Protocol):
    """Starts a server of the toy app; it is stopped at the end of the test."""

    def __call__(
        self,
        *,
        function_key: str | None = None,
        drop_chunked: bool = False,
        threads: int = 320,
        release: threading.Event | None = None,
    ) -> LocalServer: ...


@pytest.fixture
def app_root(tmp_path: Path) -> Path:
    (tmp_path / "host.json").write_text(HOST_JSON)
    return tmp_path


@pytest.fixture
def serve_toy(app_root: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(
            *,
            function_key: str | None = None,
            drop_chunked: bool = False,
            threads: int = 320,
            release: threading.Event | None = None,
        ) -> LocalServer:
            server = LocalServer(
                toy_app(release),
                app_root=app_root,
                port=0,
                function_key=function_key,
                drop_chunked=drop_chunked,
                threads=threads,
            )
            return stack.enter_context(server)

        yield serve


@pytest.fixture
def server(serve_toy: Serve) -> LocalServer:
    return serve_toy()


class RawClient:
    """A socket that says exactly what it is told to."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            piece = self.socket.recv(65536)
            assert piece, data
            data += piece
        return data

    def read_all(self) -> bytes:
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        return data


@pytest.fixture
def raw(server: LocalServer) -> Iterator[RawClient]:
    client = RawClient(server.url)
    with client.socket:
        yield client
