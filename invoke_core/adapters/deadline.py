"""Deadlines that hold, whatever a target does.

The time limits of sockets start again with every byte, so a target that drips bytes holds a
caller for as long as it likes. Here one thread for the whole process shuts a connection's socket
down when its time is over: whatever then reads or writes on it ends at once.

Two traps, both handled by asking ``Deadline.is_cut`` before an end is believed:

- reading from a socket that was shut down returns "no more bytes", which is how the body of an
  answer without a length ends in good order;
- wrapping a socket in TLS detaches it, so the wrapped one has to be watched in its place.
"""

from __future__ import annotations

import math
import socket
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_IDLE_S: Final = 10.0
"""How long the thread stays when there is nothing to watch."""


class Deadline:
    """The time one exchange may take, over all its connections.

    An exchange uses one connection at a time, and only its own thread watches and unwatches.
    """

    __slots__ = ("_at", "_is_cut", "_lock", "_socket")

    def __init__(self, timeout_s: float) -> None:
        """Start the time now."""
        self._at = monotonic() + timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    @property
    def at(self) -> float:
        """When it ends, on the monotonic clock."""
        return self._at

    @property
    def is_cut(self) -> bool:
        """Whether its time ended while it ran: then no end of a read or write can be believed."""
        return self._is_cut

    @property
    def is_over(self) -> bool:
        """Whether its time has ended, by the clock or by being cut."""
        return self._is_cut or monotonic() >= self._at

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: There are none.
        """
        left_s = self._at - monotonic()
        if self._is_cut or left_s <= 0:
            raise TimeoutError
        return left_s

    def watch(self, sock: socket.socket) -> None:
        """Have a socket shut down when the time ends, in place of the one watched before.

        Raises:
            TimeoutError: The time has ended already; the socket is the caller's to close.
        """
        with self._lock:
            if self._is_cut:
                raise TimeoutError
            self._socket = sock

    def unwatch(self) -> None:
        """Let go of the socket; to be called before it is closed.

        Since shutting down and letting go exclude each other, a number of a closed socket that
        another thread was given meanwhile is never shut down by mistake.
        """
        with self._lock:
            self._socket = None

    def cut(self) -> None:
        """End the time: shut the socket down."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which goes on in plain text after it.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Watchdog:
    """The thread that cuts what runs past its deadline.

    It starts with the first deadline and ends when it has been idle for a while. Deadlines are
    kept in a set and searched for the nearest: there are as many as the process has threads.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._changed = threading.Condition()
        self._running: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    @contextmanager
    def deadline(self, timeout_s: float) -> Iterator[Deadline]:
        """Give a deadline that is enforced until the context is left."""
        deadline = Deadline(timeout_s)
        with self._changed:
            self._running.add(deadline)
            # A forked child has the object of the thread, but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif deadline.at < self._wakes_at:
                self._changed.notify()
        try:
            yield deadline
        finally:
            with self._changed:
                self._running.discard(deadline)

    def _run(self) -> None:
        with self._changed:
            while True:
                for deadline in [d for d in self._running if d.at <= monotonic()]:
                    self._running.discard(deadline)
                    deadline.cut()
                self._wakes_at = min((d.at for d in self._running), default=math.inf)
                if self._running:
                    self._changed.wait(max(0.0, self._wakes_at - monotonic()))
                elif not self._changed.wait(_IDLE_S) and not self._running:
                    self._thread = None
                    return
