"""The instances of the service, whose clocks differ, and which are killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from threading import Lock
from typing import TYPE_CHECKING

from tests.process.conftest import ROOT, environment

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from pathlib import Path


class Instance:
    """One server on one port."""

    def __init__(
        self, number: int, port: int, settings: Mapping[str, str], *, clock_s: float, folder: Path
    ) -> None:
        """Name it; nothing runs yet.

        Args:
            number: Which one.
            port: Where it listens, whenever it is started.
            settings: Its application settings.
            clock_s: By how much its clock is ahead.
            folder: Where its output goes.
        """
        self.number = number
        self.port = port
        self._settings = settings
        self._clock_s = clock_s
        self._output = folder / f"instance-{number}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    @property
    def pid(self) -> int:
        """The id of its process; 0 where it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it; whether it answers soon depends on its store."""
        with self._lock:
            if self._process is not None:
                return
            with self._output.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603  # our own program
                    [
                        *(sys.executable, "-m", "tests.chaos.skewed", str(self._clock_s)),
                        *("serve", "--port", str(self.port)),
                    ],
                    cwd=ROOT,
                    env=environment(**self._settings),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )

    def kill(self) -> None:
        """Kill it, as a machine that goes away would."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        with self._lock:
            if self._process is not None:
                self._process.send_signal(number)

    def is_healthy(self) -> bool:
        """Tell whether it answers, and reaches its store."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with suppress(OSError, HTTPException):
            connection.request("GET", "/api/health")
            return connection.getresponse().status == 200
        return False

    def await_health(self, longest_s: float) -> None:
        """Wait until it works.

        Raises:
            RuntimeError: It did not in that time.
        """
        give_up_at = time.monotonic() + longest_s
        while not self.is_healthy():
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"Instance {self.number} does not work; see {self._output}.")
            # It may have ended: where its port was taken for a moment, say.
            if self._process is not None and self._process.poll() is not None:
                self.kill()
                self.start()
            time.sleep(0.2)
