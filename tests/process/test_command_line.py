from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from examples.demo_api import DemoServer
from tests.process.conftest import run, running, url_in
from tests.process.test_killed import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS = json.dumps(
    {
        "generic_demo": {
            "type": "generic",
            "url": "http://127.0.0.1:9",
            "auth": {"scheme": "bearer", "token": "${DEMO_TOKEN}"},
            "allow": {"loopback": True},
        }
    }
)


def test_check_says_what_is_set_up() -> None:
    ended = run(
        "invoke_core", "check", settings={"SERVICE_CONNECTIONS": CONNECTIONS, "DEMO_TOKEN": "tttt"}
    )

    assert ended.returncode == 0
    assert "generic_demo" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_faulty_setting_gets_a_line_and_nothing_starts(command: str) -> None:
    settings = {
        "SERVICE_CONNECTIONS": CONNECTIONS,
        "API_RESPONSE_TIMEOUT_SECONDS": "181",
        "MAX_RESPONSE_BYTES": "ten",
    }

    ended = run("invoke_core", command, settings=settings)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "API_RESPONSE_TIMEOUT_SECONDS: It takes a whole number from 1 to 180.",
        "MAX_RESPONSE_BYTES: It takes a whole number from 1 to 1073741824.",
        (
            "SERVICE_CONNECTIONS: connection 'generic_demo', auth.token: "
            "the setting DEMO_TOKEN is not set."
        ),
    ]


def test_check_tells_what_stands_for_a_key() -> None:
    ended = run("invoke_core", "check", "--caller", "k", settings={})

    assert (ended.returncode, ended.stdout) == (0, "key:8254c329a92850f6\n")


def test_a_port_in_use_is_one_sentence() -> None:
    with DemoServer(0) as taken:
        port = str(taken.server_address[1])

        ended = run("invoke_core", "serve", "--port", port, settings={})

    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def demo() -> Iterator[DemoServer]:
    with DemoServer(0) as server, ThreadPoolExecutor(1) as background:
        background.submit(server.serve_forever, 0.01)
        yield server
        server.shutdown()


def post(url: str, step: object, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(  # noqa: S310  # http on loopback
        f"{url}/api/invocations",
        data=json.dumps(step).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # likewise
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
            return error.code, json.loads(body) if body else None


def test_serve_runs_the_functions_until_it_is_told_to_stop(
    demo: DemoServer, tmp_path: Path
) -> None:
    settings = {
        "SERVICE_CONNECTIONS": "examples/connections.json",
        "DEMO_API_URL": demo.url,
        "DEMO_API_PASSWORD": "pass/word",
        "InvokeStorage": f"sqlite:///{tmp_path}/invoke.db",
    }
    step = {"inputs": {"serviceConnection": "generic_demo", "method": "GET"}}

    with running(
        "invoke_core",
        ["serve", "--port", "0", "--function-key", "k3y"],
        settings=settings,
        until="Listening on ",
    ) as (process, lines):
        url = url_in(lines)
        without_key = post(url, step)
        with_key = post(url, step, {"x-functions-key": "k3y"})
        with urllib.request.urlopen(f"{url}/api/health", timeout=10) as answer:  # noqa: S310  # likewise
            health = json.load(answer)
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)

    assert without_key == (401, None)
    assert with_key[0] == 200
    assert with_key[1]["response"]["body"]["count"] == 1425
    assert with_key[1]["links"]["self"] == f"{url}/api/invocations/{with_key[1]['id']}"
    assert health["status"] == "ok"
    assert code == 0
    assert any("generic_demo" in line for line in lines)
    assert any(f"{tmp_path}/invoke.db" in line for line in lines)


def test_a_hundred_invocations_of_two_seconds_run_at_once(demo: DemoServer) -> None:
    settings = {
        "SERVICE_CONNECTIONS": "examples/connections.json",
        "DEMO_API_URL": demo.url,
        "DEMO_API_PASSWORD": "pass/word",
    }
    step = {
        "inputs": {
            "serviceConnection": "generic_demo",
            "method": "GET",
            "urlSuffix": "/slow?seconds=2",
        }
    }

    with running(
        "invoke_core", ["serve", "--port", "0"], settings=settings, until="Listening on "
    ) as (_, lines):
        url = url_in(lines)
        with ThreadPoolExecutor(100) as pool:
            began = time.monotonic()
            statuses = list(pool.map(lambda _: post(url, step)[0], range(100)))
            took = time.monotonic() - began

    assert statuses == [200] * 100
    # One after another they would take 200 s; the margin is for a busy machine.
    assert took < 8


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"InvokeStorage": "foo"}, "InvokeStorage: It takes the connection string"),
        ({"PYTHON_THREADPOOL_THREAD_COUNT": "0"}, "PYTHON_THREADPOOL_THREAD_COUNT: It takes"),
        ({"PYTHON_THREADPOOL_THREAD_COUNT": "abc"}, "PYTHON_THREADPOOL_THREAD_COUNT: It takes"),
        (
            {
                "SERVICE_CONNECTIONS": json.dumps(
                    {
                        "a": {
                            "type": "generic",
                            "url": "https://x",
                            "auth": {
                                "scheme": "bearer",
                                "token": "@Microsoft.KeyVault(SecretUri=x)",
                            },
                        }
                    }
                )
            },
            "SERVICE_CONNECTIONS: connection 'a', auth.token: a Key Vault reference is resolved in",
        ),
    ],
    ids=["store", "no threads", "threads", "key vault"],
)
def test_a_faulty_setting_keeps_the_service_from_starting(
    settings: dict[str, str], line: str
) -> None:
    ended = run("invoke_core", "check", settings=settings)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0].startswith(line)


def test_outputs_need_the_function_key(tmp_path: Path) -> None:
    settings = {
        "SERVICE_CONNECTIONS": "{}",
        "InvokeStorage": f"sqlite:///{tmp_path}/invoke.db",
    }
    path = "/api/invocations/0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11/outputs?format=dotenv"

    with running(
        "invoke_core",
        ["serve", "--port", "0", "--function-key", "k3y"],
        settings=settings,
        until="Listening on ",
    ) as (_, lines):
        url = url_in(lines) + path
        without_key = call("GET", url, None, {})
        with_key = call("GET", url, None, {"x-functions-key": "k3y"})

    assert without_key == (401, None)
    assert (with_key[0], with_key[1]["code"]) == (404, "notFound")
