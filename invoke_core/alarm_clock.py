"""Rings the alarms of the embedded store: one thread looks, a few do what is due.

Source: design, "Work that outlives the call".
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from invoke_core.alarms import Alarm
from invoke_core.errors import StoreUnavailableError
from invoke_core.telemetry import store_line, tell
from invoke_core.threads import Threads

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.alarms import DueIndex
    from invoke_core.ports import Clock

POLL_S: Final = 0.25
"""How often is looked for what other processes of this machine have set."""

MOST_TRIES: Final = 20
"""How often an alarm is rung that always fails, before it is given up; as in ``host.json``."""

RETRY_S: Final = 30.0
"""After how long it is rung again; as in ``host.json``."""

OUTAGE_S: Final = 2.0
"""After how long a store that failed is asked again."""

_AT_ONCE: Final = 32
_PAGE: Final = 200

_log = logging.getLogger(__name__)


class Rings(Protocol):
    """Does what is due."""

    def ring(self, alarm: Alarm) -> None:
        """Look after an invocation; may raise anything."""
        ...

    def give_up(self, alarm: Alarm) -> None:
        """Learn that ``ring`` failed again and again."""
        ...


class AlarmClock:
    """The alarms of an embedded store, whose rows are all there is.

    Any number of processes may share the store: each rings whatever is due, and a conditional write
    decides who does it.
    """

    def __init__(
        self,
        index: DueIndex,
        now: Clock,
        *,
        poll_s: float = POLL_S,
        retry_s: float = RETRY_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        """Keep the parts; nothing rings before ``start``.

        Args:
            index: The rows.
            now: The clock.
            poll_s: As ``POLL_S``.
            retry_s: As ``RETRY_S``.
            outage_s: As ``OUTAGE_S``.
        """
        self._index = index
        self._now = now
        self._poll_s = poll_s
        self._retry_s = retry_s
        self._outage_s = outage_s
        self._threads = Threads(_AT_ONCE, name="alarm")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._rings: Rings | None = None
        self._running: set[tuple[str, datetime]] = set()
        self._failures: dict[tuple[str, datetime], tuple[int, float]] = {}

    def set(
        self, plan_id: str, at: datetime, *, set_at: datetime | None = None, turn: int = 0
    ) -> None:
        """See that an invocation is looked after; see the port."""
        self._index.add(Alarm(plan_id=plan_id, at=at, set_at=set_at or self._now(), turn=turn))
        if self._rings is not None:
            self.start(self._rings)

    def clear(self, plan_id: str, at: datetime) -> None:
        """Forget an alarm; see the port."""
        try:
            self._index.remove([(plan_id, at)])
        except StoreUnavailableError as error:
            _log.warning("invocation %s: a needless alarm stays: %s", plan_id, error.message)

    def ring_for(self, rings: Rings) -> None:
        """Begin to ring with the first alarm that is set here, wherever the service runs."""
        self._rings = rings

    def start(self, rings: Rings) -> None:
        """Begin to ring, if it has not begun yet."""
        with self._lock:
            if self._watcher is not None:
                return
            self._watcher = threading.Thread(
                target=self._watch, args=(rings,), name="alarms", daemon=True
            )
            self._watcher.start()

    def stop(self, *, timeout_s: float) -> int:
        """Ring no more, and let what is running finish.

        Args:
            timeout_s: Seconds it gets.

        Returns:
            How many threads were still at it when the time was over; they die with the process,
            and what they were at is taken over.
        """
        self._stopping.set()
        until = monotonic() + timeout_s
        if self._watcher is not None:
            self._watcher.join(timeout_s)
        return self._threads.close(timeout_s=max(0.0, until - monotonic()))

    def _watch(self, rings: Rings) -> None:
        is_out = False
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self._look(rings)
                is_out = False
            except StoreUnavailableError as error:
                if not is_out:
                    tell(store_line(error))
                is_out, pause_s = True, self._outage_s
            except Exception:  # noqa: BLE001  # see below
                # Whatever it is: without this thread, nothing waiting here would ever go on.
                _log.exception("the alarms could not be looked at")
                pause_s = self._outage_s

    def _look(self, rings: Rings) -> float:
        """Start what is due, and return after how many seconds to look again."""
        now = self._now()
        with self._lock:
            # What runs, or rests after a failure, must not keep the rest out of the page.
            passed_over = len(self._running | self._failures.keys())
        for alarm in self._index.due(until=now, most=_PAGE + passed_over):
            if alarm.at > now:
                return min(self._poll_s, (alarm.at - now).total_seconds())
            key = (alarm.plan_id, alarm.at)
            with self._lock:
                _, rest_until_s = self._failures.get(key, (0, 0.0))
                if key in self._running or monotonic() < rest_until_s:
                    continue
                self._running.add(key)
            self._threads.run(lambda alarm=alarm: self._ring(rings, alarm))  # type: ignore[misc]  # bound now
        return self._poll_s

    def _ring(self, rings: Rings, alarm: Alarm) -> None:
        key = (alarm.plan_id, alarm.at)
        try:
            self._rung(rings, alarm, key)
            # Before it counts as not running, or it would ring once more. A clock that was set
            # back since makes the alarm one of the future again, and it may have been set anew.
            if alarm.at <= self._now():
                self._index.remove([key])
        except Exception:  # noqa: BLE001  # whatever it is, the alarm stays and rings again
            _log.exception("invocation %s: what is due failed", alarm.plan_id)
            with self._lock:
                count, _ = self._failures.get(key, (0, 0.0))
                self._failures[key] = (count + 1, monotonic() + self._retry_s)
        else:
            with self._lock:
                self._failures.pop(key, None)
        finally:
            with self._lock:
                self._running.discard(key)

    def _rung(self, rings: Rings, alarm: Alarm, key: tuple[str, datetime]) -> None:
        with self._lock:
            failures, _ = self._failures.get(key, (0, 0.0))
        if failures < MOST_TRIES:
            rings.ring(alarm)
        else:
            rings.give_up(alarm)
