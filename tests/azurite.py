"""Runs Azurite, the emulator of Azure Storage, for as long as tests need it.

Its table server or its queue server, in memory, on loopback. It is no place for tests of
durability: what it was told last is lost when it is killed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

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


def connection_string(
    port: int | None = None, *, queue_port: int | None = None, key: str = KEY
) -> str:
    """Return the connection string of an emulator that listens on ports of this machine.

    Args:
        port: That of its table server, if there is one.
        queue_port: That of its queue server, if there is one.
        key: The account's key.
    """
    text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key}"
    for name, given in (("TableEndpoint", port), ("QueueEndpoint", queue_port)):
        if given is not None:
            text += f";{name}=http://127.0.0.1:{given}/{ACCOUNT}"
    return text


def port_of(connection: str) -> int:
    """Return the port in a connection string that names one server."""
    return int(connection.rpartition(":")[2].partition("/")[0])


def free_port() -> int:
    """Return a port on which nothing listens just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Azurite:
    """A running server."""

    kind: Literal["table", "queue"]
    port: int
    process: subprocess.Popen[str]

    @property
    def connection_string(self) -> str:
        """How this server alone is reached."""
        if self.kind == "queue":
            return connection_string(queue_port=self.port)
        return connection_string(self.port)

    def stop(self) -> None:
        """End it as its user would: it closes down on SIGINT."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)


def start_azurite(
    folder: Path, *, kind: Literal["table", "queue"] = "table", options: Sequence[str] = ()
) -> Azurite:
    """Start a server and wait until it answers.

    Args:
        folder: An empty folder it may use.
        kind: What it serves.
        options: More options of the program.
    """
    program = node_packages() / ".bin" / f"azurite-{kind}"
    if not program.exists():
        raise RuntimeError(f"{program} is not there; 'make test' installs it.")
    for _ in range(_ATTEMPTS):
        # It cannot tell which port it was given, so it gets one that was free a moment ago.
        port = free_port()
        process = subprocess.Popen(  # noqa: S603  # our own command line
            [
                program,
                *("--inMemoryPersistence", "--disableTelemetry", "--silent"),
                *(f"--{kind}Host", "127.0.0.1", f"--{kind}Port", str(port)),
                *options,
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        if any(" service successfully " in line for line in process.stdout):
            return Azurite(kind, port, process)
        process.communicate(timeout=20)
    raise RuntimeError("Azurite does not start.")
