from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def process(app_root: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    grace_s = str(getattr(request, "param", 10))
    command = [sys.executable, "-m", "tests.local.toy", str(app_root), grace_s]
    with subprocess.Popen(  # noqa: S603  # our own interpreter and module
        command,
        cwd=request.config.rootpath,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def _announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("Listening on http://127.0.0.1:")
    return line.removeprefix("Listening on ").strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    _announced(process)

    process.send_signal(number)
    output, errors = process.communicate(timeout=10)

    assert (process.returncode, output, errors) == (0, "", "")


def test_a_running_request_is_finished_before_the_end(process: subprocess.Popen[str]) -> None:
    url = _announced(process)
    answers: list[bytes] = []

    def ask() -> None:
        with urllib.request.urlopen(f"{url}/api/slow?s=1", timeout=10) as answer:  # noqa: S310  # loopback
            answers.append(answer.read())

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    process.terminate()
    process.communicate(timeout=10)
    asking.join()

    assert (process.returncode, answers) == (0, [b"slept"])


@pytest.mark.parametrize("process", [0.5], indirect=True)
def test_held_calls_do_not_keep_the_process_from_ending(process: subprocess.Popen[str]) -> None:
    """As a long poll does, or a function that hangs: their threads die with the process."""
    url = _announced(process)
    parts = urlsplit(url)
    held = [socket.create_connection((parts.hostname, parts.port), timeout=10) for _ in range(20)]
    with ExitStack() as stack:
        for client in held:
            stack.enter_context(client)
            client.sendall(b"GET /api/slow?s=60 HTTP/1.1\r\nHost: h\r\n\r\n")
        # The server has taken up those before it once this one is answered.
        urllib.request.urlopen(f"{url}/api/open", timeout=10).close()  # noqa: S310  # loopback
        started = time.monotonic()

        process.terminate()
        output, errors = process.communicate(timeout=10)

        assert 0.4 < time.monotonic() - started < 5
        assert (process.returncode, output) == (0, "")
        assert errors == "Calls still running after 0.5 s: 20.\n"
        assert held[0].recv(1) == b""


def test_a_second_signal_does_not_wait(process: subprocess.Popen[str]) -> None:
    url = _announced(process)

    def ask() -> None:
        with pytest.raises(OSError, match=r"closed|reset"):
            urllib.request.urlopen(f"{url}/api/slow?s=30", timeout=40)  # noqa: S310  # loopback

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    process.terminate()
    time.sleep(0.3)
    process.terminate()
    process.communicate(timeout=5)
    asking.join()

    assert process.returncode == -signal.SIGTERM
