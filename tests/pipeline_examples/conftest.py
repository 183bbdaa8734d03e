from __future__ import annotations

import json
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.pipeline_examples.products import PRODUCTS, Job
from tests.process.conftest import running, url_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    NewJob = Callable[..., Job]

KEY: Final = 'k-"7f\\3c9d0e5a1b2'
"""Holds what a configuration of curl has to escape."""

HOSTILE: Final = "##vso[task.setvariable variable=a]b"


class Target(ThreadingHTTPServer):
    """An API that counts what it is asked, by path and query."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: Counter[str] = Counter()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Target

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        if self.path.startswith("/slow"):
            time.sleep(3)
        body = json.dumps({"id": "d-17", "note": HOSTILE}).encode()
        self.send_response(500 if self.path.startswith("/broken") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    with Target() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def service(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on this machine, which asks for ``KEY``; yields its URL."""
    url = f"http://127.0.0.1:{target.server_port}"
    generic = {"type": "generic", "url": url, "auth": {"scheme": "none"}}
    allow = {"loopback": True}
    connections = {
        "target": {**generic, "allow": allow},
        "readable": {**generic, "allow": {**allow, "methods": ["GET"]}},
    }
    # One for each product, since they share a minute.
    for product in PRODUCTS:
        narrow = {**generic, "allow": allow, "limits": {"perMinute": 1}}
        connections[f"narrow-{product}"] = narrow
    store = tmp_path_factory.mktemp("store") / "invoke.db"
    with running(
        "invoke_core",
        ["serve", "--port", "0", "--function-key", KEY],
        settings={
            "SERVICE_CONNECTIONS": json.dumps(connections),
            "InvokeStorage": f"sqlite:///{store}",
        },
        until="Listening on",
    ) as (_, lines):
        yield url_in(lines)


@pytest.fixture
def new_job(tmp_path: Path, service: str) -> NewJob:
    """Makes a job, with a step of these inputs and other members."""

    def make(
        inputs: dict[str, str] | None = None,
        *,
        members: dict[str, Any] | None = None,
        **facts: Any,  # noqa: ANN401  # those of Job
    ) -> Job:
        step = {
            "inputs": {"serviceConnection": "target", "method": "GET", **(inputs or {})},
            **(members or {}),
        }
        (tmp_path / "step.json").write_text(json.dumps(step), encoding="utf-8")
        return Job(**{"folder": tmp_path, "url": service, "key": KEY, **facts})

    return make
