"""Programs of the project, run as their users run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]

_STORE = tempfile.TemporaryDirectory(prefix="invoke-", ignore_cleanup_errors=True)
"""Holds what the programs store, so that a test leaves nothing in the project's own folder."""


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without settings of the service, and with these."""
    ours = (
        "SERVICE_CONNECTIONS",
        "PUBLIC_BASE_URL",
        "InvokeStorage",
        "AzureWebJobsStorage",
        "STATE_KEY",
        "STATE_KEY_PREVIOUS",
    )
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    store = {"InvokeStorage": f"sqlite:///{_STORE.name}/invoke.db"}
    return {**kept, "PYTHONUNBUFFERED": "1", **store, **settings}


def run(
    module: str, *arguments: str, settings: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a module of the project to its end."""
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def running(
    module: str, arguments: Sequence[str], *, settings: Mapping[str, str], until: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a module in the background from the line that tells it is ready.

    Yields:
        The process and the lines it has printed so far, all of them once the context is left. They
        are read all the while: what it prints would otherwise fill the pipe and stop it.
    """
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = process.stdout
        assert output is not None
        lines: list[str] = []
        reader = Thread(target=lambda: lines.extend(line.rstrip("\n") for line in output))
        try:
            for line in output:
                lines.append(line.rstrip("\n"))
                if until in line:
                    break
            reader.start()
            yield process, lines
        finally:
            process.kill()
            if reader.ident is not None:
                reader.join()


def url_in(lines: list[str]) -> str:
    """Return the URL in the line that says where the service listens."""
    line = next(line for line in lines if line.startswith("Listening on "))
    return line.removeprefix("Listening on ").strip()


@contextmanager
def running_demo(folder: Path, **settings: str) -> Iterator[str]:
    """Run what ``make run`` starts, on free ports, with its store in a folder; yields its URL."""
    with running(
        "examples.first_light",
        ["--port", "0", "--demo-port", "0"],
        settings={"InvokeStorage": f"sqlite:///{folder}/invoke.db", **settings},
        until="Ctrl-C",
    ) as (process, lines):
        yield url_in(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def shell(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a block of a page as its reader would."""
    return subprocess.run(  # noqa: S603  # a block of our own page
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def documents(text: str) -> Iterator[Any]:
    """Yield JSON documents that stand one after the other."""
    place = 0
    while place < len(text):
        document, place = json.JSONDecoder().raw_decode(text, place)
        yield document
