"""How much this process does at once, and how much of each service connection it uses.

Source: HTTP contract, section 7 (``limits``) and section 9 (``MAX_CONCURRENT_INVOCATIONS``).
"""

from __future__ import annotations

import math
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from invoke_core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invoke_core.connections import Connection

_WINDOW_S: Final = 60.0

_RETRY_AFTER_S: Final = 2
"""After how long a place may be free again; an exchange takes as long as its target likes."""


class Places:
    """The places for calls that run or are held in this process."""

    def __init__(self, count: int) -> None:
        """Offer some places."""
        self._free = BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Hold a place, and tell whether there was one."""
        held = self._free.acquire(blocking=False)
        try:
            yield held
        finally:
            if held:
                self._free.release()


@dataclass(slots=True, eq=False)
class Use:
    """One use of a connection.

    Attributes:
        counts: Whether it counts among those of its minute; to be cleared where nothing was sent.
    """

    began_at_s: float
    counts: bool = True


@dataclass(slots=True)
class _Usage:
    """What one connection is used for now, and was used for within the last minute."""

    running: int = 0
    begun: deque[Use] = field(default_factory=deque)


class ConnectionLimits:
    """Counts the uses of connections, and refuses those beyond their limits."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        """Count from nothing.

        Args:
            monotonic_s: A clock in seconds that never goes back.
        """
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._usages: dict[str, _Usage] = {}

    @contextmanager
    def one(self, connection: Connection) -> Iterator[Use]:
        """Use a connection until the context is left.

        Args:
            connection: Which one, with its limits.

        Returns:
            The use. One that ends with an error sent nothing, and does not count for its minute.

        Raises:
            BusyError: On entering: a limit is reached; the error says when to try again.
        """
        limits = connection.limits
        if limits.concurrency is None and limits.per_minute is None:
            yield Use(0.0)
            return
        use = self._begin(connection)
        try:
            yield use
        except BaseException:
            use.counts = False
            raise
        finally:
            self._end(connection, use)

    def _begin(self, connection: Connection) -> Use:
        limits = connection.limits
        with self._lock:
            now_s = self._monotonic_s()
            usage = self._usages.setdefault(connection.name.lower(), _Usage())
            while usage.begun and usage.begun[0].began_at_s + _WINDOW_S <= now_s:
                usage.begun.popleft()
            if limits.concurrency is not None and usage.running >= limits.concurrency:
                raise BusyError(
                    f"As many requests run through the connection '{connection.name}' as its"
                    f" limits.concurrency lets run at once ({limits.concurrency}); try again"
                    " shortly.",
                    retry_after_s=_RETRY_AFTER_S,
                    connection=connection.name,
                )
            if limits.per_minute is not None and len(usage.begun) >= limits.per_minute:
                free_in_s = usage.begun[0].began_at_s + _WINDOW_S - now_s
                raise BusyError(
                    f"The connection '{connection.name}' was used as often within a minute as its"
                    f" limits.perMinute allows ({limits.per_minute}).",
                    retry_after_s=max(1, math.ceil(free_in_s)),
                    connection=connection.name,
                )
            use = Use(now_s)
            usage.running += 1
            if limits.per_minute is not None:
                usage.begun.append(use)
            return use

    def _end(self, connection: Connection, use: Use) -> None:
        with self._lock:
            usage = self._usages[connection.name.lower()]
            usage.running -= 1
            if not use.counts and use in usage.begun:
                usage.begun.remove(use)
