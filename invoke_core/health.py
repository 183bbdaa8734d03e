"""Whether the service can do its work."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from invoke_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_INTERVAL_S: Final = 10.0


class StoreHealth:
    """Remembers what the last look at the store told, so that probes cost the store nothing.

    Source: HTTP contract, section 5 (``GET /api/health``: checked at most every 10 s).
    """

    def __init__(self, look: Callable[[], None], *, monotonic_s: Callable[[], float]) -> None:
        """Look at nothing yet.

        Args:
            look: Looks at the store, and raises ``StoreUnavailableError``.
            monotonic_s: Seconds that only ever grow.
        """
        self._look_at_store = look
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._checked_at: float | None = None
        self._failure: StoreUnavailableError | None = None

    def check(self) -> None:
        """Look at the store, unless that was done in the last ``CHECK_INTERVAL_S`` seconds.

        Raises:
            StoreUnavailableError: The store cannot be used, as of the last look.
        """
        with self._lock:
            now = self._monotonic_s()
            if self._checked_at is None or now - self._checked_at >= CHECK_INTERVAL_S:
                self._failure = self._look()
                self._checked_at = now
            failure = self._failure
        if failure is not None:
            raise failure

    def _look(self) -> StoreUnavailableError | None:
        try:
            self._look_at_store()
        except StoreUnavailableError as error:
            return error
        return None
