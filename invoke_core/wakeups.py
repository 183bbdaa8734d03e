"""Held replies are woken when their invocation ends in this process."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wakeups:
    """Tells whoever waits for an invocation that it has ended.

    It is a courtesy within one process: what counts is the store, which a waiting reply looks at
    from time to time for what other processes did.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._lock = Lock()
        self._waiting: dict[str, list[Event]] = {}

    @contextmanager
    def waiting(self, invocation_id: str) -> Iterator[Event]:
        """Return an event that is set once the invocation has ended.

        Enter before the store is asked: an end between the two is then not missed.
        """
        event = Event()
        with self._lock:
            self._waiting.setdefault(invocation_id, []).append(event)
        try:
            yield event
        finally:
            with self._lock:
                events = self._waiting[invocation_id]
                events.remove(event)
                if not events:
                    del self._waiting[invocation_id]

    def wake(self, invocation_id: str) -> None:
        """Set the events of all who wait for an invocation."""
        with self._lock:
            for event in self._waiting.get(invocation_id, ()):
                event.set()
