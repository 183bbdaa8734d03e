"""The functions with a timer trigger, and the one thread they run in, one after the other.

Source:
    The Functions host's timer extension (``TimerListener``): a function never runs twice at once;
    what falls due during a run is made up by one run after it. No status is kept between two starts
    of the server, so nothing is past due when it starts.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func
from azure.functions.meta import Datum

from invoke_core.local.errors import LocalServerError
from invoke_core.local.schedules import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from invoke_core.local.indexing import Indexed
    from invoke_core.ports import Clock

_log = logging.getLogger(__name__)

_registry: Callable[[], Any] = func.get_binding_registry
_LONGEST_WAIT_S: Final = 30.0
"""So much later at most is noticed that the clock was set, or the machine slept."""

_LATE_S: Final = 1.0
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Timer:
    """A function with a timer trigger, and when it is due."""

    def __init__(self, function: Indexed, settings: Mapping[str, str]) -> None:
        """Read the schedule.

        Args:
            function: One with a timer trigger.
            settings: The app's settings, which a schedule may refer to.

        Raises:
            LocalServerError: The Functions host would refuse the schedule.
        """
        try:
            self._schedule = parse_schedule(str(function.trigger.schedule), settings)
        except LocalServerError as error:
            raise LocalServerError(f"The timer '{function.name}': {error.message}") from None
        self._function = function
        self._at_start = bool(function.trigger.run_on_startup)
        self._last = _NEVER
        self.due = _NEVER

    def start(self, now: datetime) -> None:
        """Set the first time it is due: now, where it runs on start-up."""
        self.due = now if self._at_start else self._schedule.next_after(now)

    def run(self, now: datetime) -> None:
        """Call the function, and set the next time it is due; what it raises goes to the log.

        It is past due where it runs a second or more too late: it had to wait for another one, or
        the machine slept.
        """
        name = self._function.name
        started = monotonic()
        try:
            self._call(now)
        except Exception:  # noqa: BLE001  # whatever it is, the next run takes place
            _log.exception("The timer '%s' failed.", name)
        else:
            _log.info("timer %s %.0f ms", name, (monotonic() - started) * 1000)
        self._last = now
        # A clock that was set back does not bring the same run again.
        self.due = self._schedule.next_after(max(now, self.due))

    def _call(self, now: datetime) -> None:
        if self._function.call(self._request(now)) is not None:
            # The worker says so too, and only once the function has run.
            raise TypeError("a timer returns nothing")

    def _request(self, now: datetime) -> object:
        """Make the object the worker would make of what the host would send it."""
        sent = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": self._last.isoformat(),
                "Next": self.due.isoformat(),
                "LastUpdated": self._last.isoformat(),
            },
            "IsPastDue": (now - self.due).total_seconds() >= _LATE_S,
        }
        converter = _registry().get("timerTrigger")
        request: object = converter.decode(Datum(json.dumps(sent), "json"), trigger_metadata=None)
        return request


class Timers:
    """Runs timers when they are due."""

    def __init__(
        self,
        timers: Iterable[Timer],
        *,
        clock: Clock = lambda: datetime.now(UTC),  # a host is a root of its own
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Take the timers over; none runs yet.

        Args:
            timers: There may be none.
            clock: Tells the time in UTC, by which the schedules are read.
            wait: Waits as many seconds at most, and tells whether it is time to stop; None waits in
                earnest.
        """
        self._timers = list(timers)
        self._clock = clock
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(target=self.run, name="timers", daemon=True)

    def start(self) -> None:
        """Begin to run them, in a thread of their own."""
        if self._timers:
            self._thread.start()

    def stop(self, *, timeout_s: float) -> int:
        """Start no further run, and let a running one finish.

        Args:
            timeout_s: Seconds it gets.

        Returns:
            1 where one was still running when the time was over, which dies with the process;
            else 0.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return int(self._thread.is_alive())

    def run(self) -> None:
        """Run each timer whenever it is due, until it is time to stop."""
        now = self._clock()
        for timer in self._timers:
            timer.start(now)
        while True:
            timer = min(self._timers, key=lambda one: one.due)
            now = self._clock()
            left_s = (timer.due - now).total_seconds()
            if self._wait(min(max(left_s, 0.0), _LONGEST_WAIT_S)):
                return
            if left_s <= 0:
                timer.run(now)
