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
        self._finished_bytes = 0
        self._overdrawing: Lease | None = None

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
        try:
            yield lease
        finally:
            lease.finish()
            with self._freed:
                self._held_bytes -= lease.held_bytes
                self._finished_bytes -= lease.held_bytes
                self._freed.notify_all()

    def _pause(self, lease: Lease, left: Callable[[], float]) -> None:
        with self._freed:
            while self.spent() and not self._may_overdraw(lease):
                lease.is_paused = True
                self._freed.wait(left())
            lease.is_paused = False

    def _may_overdraw(self, lease: Lease) -> bool:
        # When half-read answers have spent the budget together, none of them would come to its
        # end and free its bytes. So one goes on, up to the limit by itself: the process stays
        # below the limit and one answer. While there are answers that were read to their end,
        # everybody waits: those will be let go.
        if lease.held_bytes >= self._limit_bytes:
            if self._overdrawing is lease:
                self._overdrawing = None
            return False
        if self._finished_bytes:
            return False
        if self._overdrawing is None:
            self._overdrawing = lease
        return self._overdrawing is lease

    def _add(self, lease: Lease, count: int) -> None:
        with self._freed:
            lease.held_bytes += count
            self._held_bytes += count

    def _finish(self, lease: Lease) -> None:
        with self._freed:
            self._finished_bytes += lease.held_bytes
            if self._overdrawing is lease:
                self._overdrawing = None


class Lease:
    """What one exchange holds of a budget.

    Attributes:
        held_bytes: The bytes it holds.
        is_paused: Whether it waits for others to free theirs.
    """

    __slots__ = ("_budget", "_is_finished", "held_bytes", "is_paused")

    def __init__(self, budget: ByteBudget) -> None:
        """Hold nothing yet."""
        self._budget = budget
        self._is_finished = False
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
        if not self._is_finished:
            self._is_finished = True
            self._budget._finish(self)  # noqa: SLF001 - two halves of one thing
