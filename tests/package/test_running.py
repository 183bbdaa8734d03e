"""The package runs where nothing else is: no virtual environment, no packages, no project."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest
import requests

from tests.process.conftest import url_in
from tools.package import PACKAGES, import_seconds, isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.package.conftest import Unpacked

_RUN: Final = """
import runpy, sys
folder, packages, *arguments = sys.argv[1:]
sys.path[:0] = [folder, packages]
sys.argv = ["invoke_core", *arguments]
runpy.run_module("invoke_core", run_name="__main__", alter_sys=True)
"""
_MODULES: Final = """
import sys
sys.path[:0] = sys.argv[1:]
import function_app
for function in function_app.app.get_functions():
    print("function", function.get_function_name())
for name, module in sys.modules.items():
    if path := getattr(module, "__file__", None):
        print("module", path)
"""
_TIMEOUT_S: Final = 60


class _Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"count": 1425}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Target) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def command(unpacked: Unpacked, *arguments: str) -> list[str]:
    folder = unpacked.folder
    return [
        *isolated(unpacked.python),
        "-B",
        "-c",
        _RUN,
        str(folder),
        str(folder / PACKAGES),
        *arguments,
    ]


@contextmanager
def served(unpacked: Unpacked, elsewhere: Path, **settings: str) -> Iterator[str]:
    """Serve a package from another folder than its own; yields the URL."""
    with subprocess.Popen(  # noqa: S603  # the package under test
        command(unpacked, "serve", "--port", "0"),
        cwd=elsewhere,
        env={
            "PATH": os.defpath,
            "PYTHONUNBUFFERED": "1",
            "InvokeStorage": f"sqlite:///{elsewhere}/invoke.db",
            **settings,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("Listening on "):
                    break
            assert any("Listening" in line for line in lines), "".join(lines)
            yield url_in(lines)
        finally:
            process.kill()


def test_it_is_indexed_with_nothing_but_what_it_carries(unpacked: Unpacked, tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603  # the package under test
        [
            *isolated(unpacked.python),
            "-B",
            "-W",
            "error",
            "-c",
            _MODULES,
            str(unpacked.folder),
            str(unpacked.folder / PACKAGES),
        ],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    functions = {text for kind, text in lines if kind == "function"}
    assert {"health", "invocations_create", "events", "pipelines"} <= functions
    paths = [text for kind, text in lines if kind == "module"]
    strangers = [
        path
        for path in paths
        if not path.startswith(str(unpacked.folder)) and "site-packages" in path
    ]
    assert strangers == []
    assert any(PACKAGES in path for path in paths)


def test_it_serves_and_runs_a_task(unpacked: Unpacked, tmp_path: Path, target: str) -> None:
    connections = {"demo": {"type": "generic", "url": target, "allow": {"loopback": True}}}
    step = (
        "steps:\n- task: InvokeRESTAPI@1\n  inputs:\n    serviceConnection: demo\n"
        "    method: GET\n    successCriteria: eq(root['count'], '1425')\n"
    )
    with served(unpacked, tmp_path, SERVICE_CONNECTIONS=json.dumps(connections)) as url:
        health = requests.get(f"{url}/api/health", timeout=20)
        described = requests.get(f"{url}/api/openapi.json", timeout=20)
        ran = requests.post(
            f"{url}/api/invocations",
            data=step,
            headers={"Content-Type": "application/yaml", "Idempotency-Key": "one"},
            timeout=20,
        )
        challenge = requests.post(
            f"{url}/azdo/default//p/_apis/distributedtask/hubs/build/plans/q/events", timeout=20
        )

    assert (health.status_code, health.json()["store"]) == (200, "ok")
    assert described.json()["openapi"].startswith("3.1")
    assert (ran.status_code, ran.json()["result"]) == (200, "succeeded")
    assert challenge.headers["WWW-Authenticate"].startswith("Basic")


def test_it_finds_the_connections_beside_its_host_json(
    unpacked: Unpacked, tmp_path: Path, target: str
) -> None:
    """And a path in the setting is taken from there as well, wherever the process runs."""
    connections = {"beside": {"type": "generic", "url": target, "allow": {"loopback": True}}}
    (unpacked.folder / "connections.json").write_text(json.dumps(connections))
    (unpacked.folder / "other.json").write_text(json.dumps({"other": connections["beside"]}))
    try:
        shown = [
            subprocess.run(  # noqa: S603  # the package under test
                command(unpacked, "check"),
                cwd=tmp_path,
                env={"InvokeStorage": f"sqlite:///{tmp_path}/invoke.db", **more},
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
            )
            for more in ({}, {"SERVICE_CONNECTIONS": "other.json"})
        ]
    finally:
        (unpacked.folder / "connections.json").unlink()
        (unpacked.folder / "other.json").unlink()

    assert [(one.returncode, one.stderr) for one in shown] == [(0, ""), (0, "")]
    assert "Connections: beside" in shown[0].stdout
    assert "Connections: other" in shown[1].stdout


def test_a_cold_start_imports_it_quickly(
    unpacked: Unpacked, record_property: Callable[[str, object], None]
) -> None:
    cold, warm = import_seconds(unpacked.python, unpacked.folder)

    told = f"import of function_app: {cold * 1e3:.0f} ms, with bytecode {warm * 1e3:.0f} ms"
    record_property("measured", f"Python {unpacked.version}: {told}")
    # Ten times what an idle machine needs: it is to catch a heavy import, not a busy machine.
    assert warm < 5
