"""Name look-ups that can be given up.

``getaddrinfo`` cannot be interrupted and may take minutes when a name server is silent. So it runs
in threads of its own, and whoever waits for it gives up at his deadline. Threads that hang are
bounded for each name, so that a name which hangs starves no other.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, cast

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""What a socket connects to: a numeric IPv4 or IPv6 address, the port, and IPv6's flow and zone."""

LookUp = Callable[[str, int], Sequence[SocketAddress]]
"""Returns the addresses of a host name and port; raises ``OSError`` where there are none."""

_PER_NAME: Final = 4
"""Look-ups of one name that may hang at once."""

_FRESH_S: Final = 2.0
"""For how long later callers join a look-up that is running. A look-up that takes longer may have
lost its question on the way, and a new one is likely to end before it."""


def system_look_up(host: str, port: int) -> Sequence[SocketAddress]:
    """Look a name up as this machine does it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [cast(SocketAddress, address) for *_, address in found]


class _LookUpRun:
    """One look-up, running or done."""

    __slots__ = ("addresses", "done", "error", "started_at")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.started_at = monotonic()
        self.addresses: Sequence[SocketAddress] = ()
        self.error: Exception | None = None


class Resolver:
    """Looks names up in threads, with a deadline.

    Nothing is cached: the system's resolver does that, and knows for how long.
    """

    def __init__(self, look_up: LookUp = system_look_up) -> None:
        """Use a function for the look-ups themselves."""
        self._look_up = look_up
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], list[_LookUpRun]] = {}

    def addresses(self, host: str, port: int, *, timeout_s: float) -> Sequence[SocketAddress]:
        """Return the addresses of a name.

        Raises:
            TimeoutError: It was not found out in time.
            OSError: It was found out that there are none.
            ValueError, OverflowError: It cannot be a name, or no port.
        """
        if _is_number(host):
            # No name server is asked, so nothing can hang.
            return self._look_up(host, port)
        run = self._join(host, port)
        if not run.done.wait(timeout_s):
            raise TimeoutError
        if run.error is not None:
            # Several callers may share a run; each raises an exception of its own, since raising
            # one object in several threads mixes up their tracebacks.
            raise type(run.error)(*run.error.args) from None
        return run.addresses

    def _join(self, host: str, port: int) -> _LookUpRun:
        with self._lock:
            runs = self._running.get((host, port), [])
            if runs and (len(runs) >= _PER_NAME or monotonic() - runs[-1].started_at < _FRESH_S):
                return runs[-1]
            run = _LookUpRun()
            thread = threading.Thread(
                target=self._run, args=(host, port, run), name="look-up", daemon=True
            )
            thread.start()
            self._running.setdefault((host, port), []).append(run)
            return run

    def _run(self, host: str, port: int, run: _LookUpRun) -> None:
        try:
            run.addresses = self._look_up(host, port)
        except (OSError, OverflowError, ValueError) as error:
            run.error = error
        finally:
            with self._lock:
                runs = self._running[host, port]
                runs.remove(run)
                if not runs:
                    del self._running[host, port]
            run.done.set()


def _is_number(host: str) -> bool:
    """Tell whether a host is an address in its usual notation."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False
