from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def process(app_root: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.local.toy", str(app_root), "0"]
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
        with urllib.request.urlopen(f"{url}/api/slow?s=1", timeout=10) as answer:  # noqa: S310
            answers.append(answer.read())

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    process.terminate()
    process.communicate(timeout=10)
    asking.join()

    assert (process.returncode, answers) == (0, [b"slept"])


def test_a_second_signal_does_not_wait(process: subprocess.Popen[str]) -> None:
    url = _announced(process)

    def ask() -> None:
        with pytest.raises(OSError, match=r"closed|reset"):
            urllib.request.urlopen(f"{url}/api/slow?s=30", timeout=40)  # noqa: S310

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    process.terminate()
    time.sleep(0.3)
    process.terminate()
    process.communicate(timeout=5)
    asking.join()

    assert process.returncode == -signal.SIGTERM
