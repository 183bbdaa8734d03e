"""Invocations take turns at the interpreter, so that a crowd of them leaves room for the rest.

Python runs one thread at a time. Each wait and each call of the system puts a thread at the end of
the line of those that have work to do. An event stands there ten times before it is answered, and
where 256 answers arrive at one moment the line is 256 long. So invocations have one place in it:
one works, and the others sleep until the turn is theirs. Whoever has it is at work, since it is
given up over every wait; the crowd as a whole is done no later.

Source: design, "Time and size" (docs/architecture.md); measured in ``benchmarks/waiting.py``.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S: Final = 0.5
"""Who has no turn by then goes on without one. As long takes the work of a crowd of 256; where
somebody computes for longer, another loses no more of his time limit with each of his few waits."""


class _Own(threading.local):
    """What a thread has.

    Attributes:
        is_at_work: Whether it takes turns, and has not given its turn up.
        has_turn: Whether the turn is its own; it may have gone on without.
    """

    is_at_work = False
    has_turn = False


class Turns:
    """One turn, which any number of threads take one after the other."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        """Begin with the turn free.

        Args:
            patience_s: As ``PATIENCE_S``.
        """
        self._turn = threading.Lock()
        self._own = _Own()
        self._patience_s = patience_s

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work in turn until the context is left; within another such context, go on in that."""
        if self._own.is_at_work:
            yield
            return
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Leave the turn to others until the context is left; nothing without a turn.

        Whatever may wait belongs in here: for the network, the store, a lock, the time.
        """
        if not self._own.is_at_work:
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take()

    def end(self) -> None:
        """Take no more turns within this ``taken``: what is left of it is short, or a wait."""
        self._give()

    def _take(self) -> None:
        self._own.has_turn = self._turn.acquire(timeout=self._patience_s)
        self._own.is_at_work = True

    def _give(self) -> None:
        self._own.is_at_work = False
        if self._own.has_turn:
            self._own.has_turn = False
            self._turn.release()
