"""Lets one of many threads do at once what all of them wait for."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Grouping(Generic[T]):
    """A queue of items that are worked on in groups, by whoever was first to wait.

    Who finds nobody at work does the work himself, for all that have come meanwhile, until his own
    item is done; then he calls the next in the queue to go on. The others sleep until they are
    called once, where a lock that all of them ask for in turn would wake each for nothing.
    """

    def __init__(self, *, most: int) -> None:
        """Begin with nobody waiting.

        Args:
            most: Items in a group.
        """
        self._most = most
        self._state = Lock()
        self._waiting: deque[_Place[T]] = deque()
        self._is_led = False

    def run(self, item: T, work: Callable[[Sequence[T]], None], *, timeout_s: float) -> None:
        """Have an item worked on; return once it was.

        Args:
            item: What is to be worked on.
            work: Does the work for a group, oldest item first; the same for all. It never runs
                twice at once. What it raises reaches whose thread it runs in, so the items have to
                tell the others.
            timeout_s: Seconds to wait for the turn; the work itself takes as long as it does.

        Raises:
            TimeoutError: The turn did not come; the work is not done, or another is at it still.
        """
        place = _Place(item)
        with self._state:
            self._waiting.append(place)
            place.leads = not self._is_led
            self._is_led = True
        if not place.leads:
            self._wait(place, timeout_s)
        if place.leads:
            self._lead(place, work)

    def _wait(self, place: _Place[T], timeout_s: float) -> None:
        if place.called.acquire(timeout=timeout_s):
            return
        with self._state:
            # Who was called in this very moment is counted on by the others.
            if place.leads or place.is_done:
                return
            if place in self._waiting:
                self._waiting.remove(place)
        raise TimeoutError

    def _lead(self, own: _Place[T], work: Callable[[Sequence[T]], None]) -> None:
        try:
            while not own.is_done:
                with self._state:
                    count = min(len(self._waiting), self._most)
                    group = [self._waiting.popleft() for _ in range(count)]
                try:
                    work([place.item for place in group])
                finally:
                    for place in group:
                        place.is_done = True
                        if place is not own:
                            place.called.release()
        finally:
            with self._state:
                self._is_led = bool(self._waiting)
                if self._is_led:
                    self._waiting[0].leads = True
                    self._waiting[0].called.release()


class _Place(Generic[T]):
    """A place in the queue.

    Attributes:
        item: What waits there.
        leads: Whether its thread is to work for all; set before it is called.
        is_done: Whether the item was worked on.
        called: Held until its thread is called, which happens once.
    """

    __slots__ = ("called", "is_done", "item", "leads")

    def __init__(self, item: T) -> None:
        self.item = item
        self.leads = False
        self.is_done = False
        self.called = Lock()
        self.called.acquire()
