"""What is opened when it is first used, and by then for all threads."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """Holds connections."""

    def close(self) -> None:
        """Give them back."""
        ...


T = TypeVar("T", bound=Closable)


class OpenedOnce(Generic[T]):
    """Opens something on first use; whoever only names it does not pay for its library."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Keep how it is made."""
        self._make = make
        self._lock = Lock()
        self._opened: T | None = None

    def get(self) -> T:
        """Return it; the same for every thread."""
        with self._lock:
            if self._opened is None:
                self._opened = self._make()
            return self._opened

    def close(self) -> None:
        """Close it, once nobody uses it; the next use opens another."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
