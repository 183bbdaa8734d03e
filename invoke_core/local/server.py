"""The listener, and the loop that gives waiting connections to threads."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import selectors
import signal
import socket
import sys
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Self

from invoke_core.local.connection import Connection
from invoke_core.local.errors import LocalServerError
from invoke_core.local.host import FunctionHost
from invoke_core.local.host_json import read_queue_settings, read_route_prefix
from invoke_core.local.indexing import HTTP, QUEUE, TIMER, index
from invoke_core.local.queues import QueueListener
from invoke_core.local.timers import Timer, Timers
from invoke_core.settings.application import DEFAULT_THREADS
from invoke_core.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType, TracebackType

    import azure.functions as func

_log = logging.getLogger(__name__)

IDLE_S = 130.0
"""As long keeps ASP.NET Core's web server an idle connection."""

_BACKLOG = 1024
_LAST_PORT = 65535
_ACCEPT_PAUSE_S = 0.1


class LocalServer:
    """Serves the HTTP functions of an app on one address, runs its timers, listens to its queues.

    A connection holds a thread only while a request of it is read or answered, and for a moment
    after that; between requests it waits in the selector, so that idle clients never use up the
    threads.
    """

    def __init__(
        self,
        app: func.FunctionApp,
        *,
        app_root: Path,
        host: str = "127.0.0.1",
        port: int = 7071,
        function_key: str | None = None,
        drop_chunked: bool = False,
        threads: int = DEFAULT_THREADS,
        idle_s: float = IDLE_S,
    ) -> None:
        """Index the app and take the address; functions are called from ``start`` on.

        Args:
            app: The app object of ``function_app.py``.
            app_root: The folder with ``host.json``.
            host: Name or address to listen on.
            port: 0 picks a free one.
            function_key: What callers of functions that are not anonymous have to show; None opens
                them.
            drop_chunked: Hand over chunked bodies as empty ones, as the Functions host does.
            threads: Requests answered at once.
            idle_s: Seconds a connection may wait for its next request, give or take a quarter.

        Raises:
            LocalServerError: The app cannot be run here, or the address cannot be taken.
            SettingsError: What the connection of a queue trigger stands for is missing or faulty.
        """
        indexed = index(app)
        functions = FunctionHost(
            (one for one in indexed if one.trigger.type == HTTP),
            route_prefix=read_route_prefix(app_root / "host.json"),
            function_key=function_key,
        )
        # As on the platform, triggers refer to what the functions find in their environment.
        timers = [Timer(one, os.environ) for one in indexed if one.trigger.type == TIMER]
        queue_settings = read_queue_settings(app_root / "host.json")
        queues = [
            QueueListener(one, os.environ, queue_settings)
            for one in indexed
            if one.trigger.type == QUEUE
        ]
        self._listener = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.getsockname()[1]}"
        self._functions = functions
        self._drop_chunked = drop_chunked
        self._idle_s = idle_s
        self._threads = Threads(threads, name="request")
        self._timers = Timers(timers)
        self._queues = queues
        self._stopping = threading.Event()
        self._returned: deque[Connection] = deque()
        self._waker, self._wake_up = socket.socketpair()
        self._waker.settimeout(0)
        self._loop = threading.Thread(target=self._watch, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to answer, to run timers, and to take messages."""
        self._threads.start()
        self._loop.start()
        self._timers.start()
        for queue_listener in self._queues:
            queue_listener.start()

    def stop(self, *, grace_s: float = 10.0) -> int:
        """Close the listener and idle connections at once, and let running calls finish.

        Args:
            grace_s: Seconds running requests, messages and a running timer get.

        Returns:
            How many calls were still running when the time was over; they die with the process.
        """
        deadline = monotonic() + grace_s
        self._stopping.set()
        self._timers.stop(timeout_s=0)
        for queue_listener in self._queues:
            queue_listener.stop(timeout_s=0)
        if self._loop.is_alive():
            self._wake()
            self._loop.join()
        self._listener.close()
        left = self._threads.close(timeout_s=max(0.0, deadline - monotonic()))
        left += self._timers.stop(timeout_s=max(0.0, deadline - monotonic()))
        for queue_listener in self._queues:
            left += queue_listener.stop(timeout_s=max(0.0, deadline - monotonic()))
        for connection in self._returned:
            connection.close()
        self._waker.close()
        self._wake_up.close()
        return left

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _wake(self) -> None:
        # Late requests come here after the sockets were closed.
        with contextlib.suppress(OSError):
            self._wake_up.send(b"\0")

    def _watch(self) -> None:
        """Wait for clients and for requests of idle ones, until ``stop``."""
        idle: dict[Connection, float] = {}
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select(timeout=self._idle_s / 4):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj is self._waker:
                        self._waker.recv(4096)
                    elif isinstance(key.fileobj, Connection):
                        selector.unregister(key.fileobj)
                        del idle[key.fileobj]
                        self._give(key.fileobj)
                while self._returned:
                    connection = self._returned.popleft()
                    selector.register(connection, selectors.EVENT_READ)
                    idle[connection] = monotonic()
                longest = monotonic() - self._idle_s
                for connection in [one for one, since in idle.items() if since < longest]:
                    selector.unregister(connection)
                    del idle[connection]
                    connection.close()
            for connection in idle:
                connection.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
            connection = Connection(
                client,
                host=self._functions,
                base_url=self.url,
                drop_chunked=self._drop_chunked,
                stopping=self._stopping,
                is_thread_wanted=self._threads.are_wanted,
            )
        except BlockingIOError:
            return
        except OSError:
            # Out of descriptors, mostly: without a pause this loop would spin until one is free.
            _log.exception("A connection could not be accepted.")
            self._stopping.wait(_ACCEPT_PAUSE_S)
            return
        self._returned.append(connection)

    def _give(self, connection: Connection) -> None:
        def job() -> None:
            if connection.answer() and not self._stopping.is_set():
                self._returned.append(connection)
                self._wake()
            else:
                connection.close()

        self._threads.run(job)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LAST_PORT:
        raise LocalServerError(f"A port is a number from 0 to {_LAST_PORT}; {port} is none.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalServerError(
                f"Port {port} of {host} is in use already; stop what listens there, or choose "
                "another port."
            ) from error
        raise LocalServerError(f"The server cannot listen on {host}:{port}: {error}.") from error
    listener.settimeout(0)
    return listener


def serve(
    server: LocalServer,
    *,
    announce: Callable[[str], None] = print,
    grace_s: float = 10.0,
) -> None:
    """Run a server until SIGTERM or SIGINT, then stop it cleanly. Call it in the main thread.

    Args:
        server: Not yet started.
        announce: Gets the one line that says where the server listens, once it does.
        grace_s: Seconds running calls get at the end; a second signal does not wait. What still
            runs then is left where it is, and does not keep the process from ending.
    """
    # Putting into this queue is safe within a signal handler; setting an event is not.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def ask_to_stop(number: int, _: FrameType | None) -> None:
        signals.put(number)

    before = {one: signal.signal(one, ask_to_stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.start()
        announce(f"Listening on {server.url}")
        # Into a pipe, the line would otherwise be seen at the end.
        sys.stdout.flush()
        signals.get()
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        if left := server.stop(grace_s=grace_s):
            _log.warning("Calls still running after %g s: %d.", grace_s, left)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
