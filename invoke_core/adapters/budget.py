"""How many bytes of answers the process holds at once.

Source: HTTP contract, section 9 (``MAX_BUFFERED_BYTES``).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ByteBudget:
    """A limit on bytes held, shared by all exchanges of a process."""

    def __init__(self, limit_bytes: int) -> None:
        """Hold nothing yet."""
        self._limit_bytes = limit_bytes
        self._freed = threading.Condition()
        self._held_bytes = 0
        self._reading: dict[Lease, None] = {}

    @property
    def held_bytes(self) -> int:
        """The bytes held now."""
        return self._held_bytes

    def spent(self) -> bool:
        """Tell whether nothing is left."""
        return self._held_bytes >= self._limit_bytes

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Count the bytes of one exchange until the context is left."""
        lease = Lease(self)
        with self._freed:
            self._reading[lease] = None
        try:
            yield lease
        finally:
            with self._freed:
                self._reading.pop(lease, None)
                self._held_bytes -= lease.held_bytes
                self._freed.notify_all()

    def _pause(self, lease: Lease, left: Callable[[], float]) -> None:
        with self._freed:
            while self.spent() and not self._may_overdraw(lease):
                lease.is_paused = True
                self._freed.wait(left())
            lease.is_paused = False

    def _may_overdraw(self, lease: Lease) -> bool:
        # When many half-read answers have spent the budget together, none would ever be read to
        # its end and free its bytes. So the eldest goes on; alone it never holds more than the
        # limit, which keeps the process below the limit and one answer.
        return next(iter(self._reading), None) is lease and lease.held_bytes < self._limit_bytes

    def _add(self, lease: Lease, count: int) -> None:
        with self._freed:
            lease.held_bytes += count
            self._held_bytes += count

    def _read(self, lease: Lease) -> None:
        with self._freed:
            self._reading.pop(lease, None)
            self._freed.notify_all()


class Lease:
    """What one exchange holds of a budget.

    Attributes:
        held_bytes: The bytes it holds.
        is_paused: Whether it waits for others to free theirs.
    """

    __slots__ = ("_budget", "held_bytes", "is_paused")

    def __init__(self, budget: ByteBudget) -> None:
        """Hold nothing yet."""
        self._budget = budget
        self.held_bytes = 0
        self.is_paused = False

    def pause(self, left: Callable[[], float]) -> None:
        """Return when more bytes may be read.

        Args:
            left: Returns the seconds left to wait; raises ``TimeoutError`` when there are none.

        Raises:
            TimeoutError: No bytes became free in time.
        """
        if self._budget.spent():
            self._budget._pause(self, left)  # noqa: SLF001 - two halves of one thing

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        self._budget._add(self, count)  # noqa: SLF001 - two halves of one thing

    def finish(self) -> None:
        """Say that no more bytes will be read; those held stay counted."""
        self._budget._read(self)  # noqa: SLF001 - two halves of one thing
