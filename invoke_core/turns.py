"""Invocations take turns at what they compute, so that a crowd of them leaves room for the rest.

Python runs one thread at a time. Each wait and each call of the system puts a thread at the end of
the line of those that have work to do. An event stands there ten times before it is answered, and
where 256 answers arrive at one moment the line is 256 long. So one invocation at a time computes:
the others sleep, and come back to the line one by one. Turns are for computing only, and nothing is
waited for in one; nor is one waited for within the time limit of an exchange. Large answers are
judged beside that, one after the other (``sending``).

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
somebody computes for longer, he holds nobody up for more than that."""


class Turns:
    """One turn, which any number of threads take one after the other."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        """Begin with the turn free.

        Args:
            patience_s: As ``PATIENCE_S``.
        """
        self._turn = threading.Lock()
        self._patience_s = patience_s

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Compute in turn until the context is left; wait for nothing in it."""
        is_mine = self._turn.acquire(timeout=self._patience_s)
        try:
            yield
        finally:
            if is_mine:
                self._turn.release()
