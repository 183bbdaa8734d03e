"""A store that instances share, and what can be done to it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol

from tests.azurite import connection_string, start_azurite
from tests.chaos.proxy import Cut, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.instances import Instance

DISK_MIB = 192
"""Size of the disk that fills up: room for what some minutes of load store."""


class World(Protocol):
    """A store.

    Attributes:
        setting: What the setting ``InvokeStorage`` is to be.
        faults: What can be done to it, by name; each takes for how many seconds.
    """

    setting: str
    faults: Mapping[str, Callable[[float], None]]

    def close(self) -> None:
        """Leave nothing running."""


class SqliteWorld:
    """The embedded store, on a small disk of its own where there may be one."""

    def __init__(self, folder: Path, instances: Sequence[Instance]) -> None:
        """Make the disk, if this process may."""
        self._folder = folder / "disk"
        self._folder.mkdir()
        self._path = self._folder / "invoke.db"
        self._instances = instances
        self._is_mounted = _mounted(self._folder)
        self.setting = f"sqlite:///{self._path}"
        full = "disk full (tmpfs)" if self._is_mounted else "disk full (RLIMIT_FSIZE)"
        self.faults: Mapping[str, Callable[[float], None]] = {
            "store locked": self._lock,
            full: self._fill if self._is_mounted else self._limit,
        }

    def close(self) -> None:
        """Give the disk back."""
        if self._is_mounted:
            umount = shutil.which("umount") or "umount"
            subprocess.run([umount, "-l", self._folder], check=False)  # noqa: S603  # our own line

    def _lock(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as other:
            with suppress(sqlite3.OperationalError):
                other.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)

    def _fill(self, seconds: float) -> None:
        filler = self._folder / "filler"
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1024 * 1024))
            with suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            time.sleep(seconds)
        finally:
            filler.unlink(missing_ok=True)

    def _limit(self, seconds: float) -> None:
        pids = [one.pid for one in self._instances if one.pid]
        for pid in pids:
            _limit_files(pid, 4096)
        time.sleep(seconds)
        for pid in pids:
            _limit_files(pid, resource.RLIM_INFINITY)


class AzuriteWorld:
    """The emulator of Azure Storage, behind proxies."""

    def __init__(self, folder: Path, _: Sequence[Instance]) -> None:
        """Start its two servers."""
        self._servers = []
        self._proxies = {}
        for kind in ("table", "queue"):
            (folder / kind).mkdir()
            server = start_azurite(folder / kind, kind=kind)
            self._servers.append(server)
            self._proxies[kind] = Proxy(server.port)
        ports = {kind: proxy.port for kind, proxy in self._proxies.items()}
        self.setting = connection_string(ports["table"], queue_port=ports["queue"])
        self.faults: Mapping[str, Callable[[float], None]] = {
            "store locked": self._stop,
            **{
                f"store unreachable ({cut.value})": lambda seconds, cut=cut: self._cut(cut, seconds)  # type: ignore[misc]  # bound now
                for cut in Cut
                if cut is not Cut.NONE
            },
        }

    def close(self) -> None:
        """End it."""
        for proxy in self._proxies.values():
            proxy.close()
        for server in self._servers:
            server.process.kill()
            server.process.communicate(timeout=20)

    def _stop(self, seconds: float) -> None:
        # It is never ended: what it was told last would be lost.
        for server in self._servers:
            server.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        for server in self._servers:
            server.process.send_signal(signal.SIGCONT)

    def _cut(self, cut: Cut, seconds: float) -> None:
        for proxy in self._proxies.values():
            proxy.cut(cut)
        time.sleep(seconds)
        for proxy in self._proxies.values():
            proxy.cut(Cut.NONE)


def _mounted(folder: Path) -> bool:
    """Mount a small file system at a folder; only in a mount namespace of this run's own."""
    if os.environ.get("CHAOS_MOUNTS") != "1":
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603  # our own line
    return done.returncode == 0


def _limit_files(pid: int, most_bytes: int) -> None:
    with suppress(OSError, ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))
