"""Runs Azurite, the emulator of Azure Storage, for as long as tests need it.

Its table server only, in memory, on loopback. It is no place for tests of durability: what it was
told last is lost when it is killed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).resolve().parent.parent
_ATTEMPTS: Final = 5

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's well-known account and key."""


def node_packages() -> Path:
    """Return the folder of the Node packages that ``make test`` installs."""
    named = os.environ.get("NODE_PACKAGES")
    if named:
        return Path(named)
    content = (_ROOT / "tests/node/package.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return _ROOT / f".venv/node-{digest}/node_modules"


def connection_string(port: int, *, key: str = KEY) -> str:
    """Return the connection string of an emulator that listens on a port of this machine."""
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"TableEndpoint={endpoint}"
    )


def free_port() -> int:
    """Return a port on which nothing listens just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Azurite:
    """A running table server."""

    port: int
    process: subprocess.Popen[str]

    @property
    def connection_string(self) -> str:
        return connection_string(self.port)

    def stop(self) -> None:
        """End it as its user would: it closes down on SIGINT."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)


def start_azurite(folder: Path, *, options: Sequence[str] = ()) -> Azurite:
    """Start a table server and wait until it answers.

    Args:
        folder: An empty folder it may use.
        options: More options of the program.
    """
    program = node_packages() / ".bin" / "azurite-table"
    if not program.exists():
        raise RuntimeError(f"{program} is not there; 'make test' installs it.")
    for _ in range(_ATTEMPTS):
        # It cannot tell which port it was given, so it gets one that was free a moment ago.
        port = free_port()
        process = subprocess.Popen(  # noqa: S603  # our own command line
            [
                program,
                *("--inMemoryPersistence", "--disableTelemetry", "--silent"),
                *("--tableHost", "127.0.0.1", "--tablePort", str(port)),
                *options,
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        if any("successfully started" in line for line in process.stdout):
            return Azurite(port, process)
        process.communicate(timeout=20)
    raise RuntimeError("Azurite does not start.")
