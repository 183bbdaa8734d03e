"""A bounded number of threads that never keep the process from ending."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class Threads:
    """Runs jobs, each in a thread of its own, up to a limit; further ones wait their turn.

    The standard library's executor is not used because it waits for its threads at the end of the
    process without a bound: one stuck request would keep the server from stopping.
    """

    def __init__(self, limit: int, *, name: str) -> None:
        """Begin with no thread; they come with ``start``, or else with the jobs, and stay.

        Args:
            limit: How many there may be.
            name: What each is called, with its number.
        """
        self._limit = limit
        self._name = name
        self._count = 0
        self._idle = 0
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start all threads now: a first crowd of jobs would wait while one after the other begins.

        Where the system does not give so many, there are fewer.
        """
        with self._changed:
            while self._start_one():
                pass

    def run(self, job: Job) -> None:
        """Run a job as soon as a thread is free. The job must not raise."""
        with self._changed:
            self._jobs.append(job)
            if len(self._jobs) <= self._idle:
                self._changed.notify()
            else:
                # Where none can be had, those that are there take the job over.
                self._start_one()

    def are_wanted(self) -> bool:
        """Tell whether a job waits for a thread."""
        return len(self._jobs) > self._idle

    def close(self, *, timeout_s: float) -> int:
        """End the threads once their jobs are done.

        Args:
            timeout_s: Seconds to wait for running and waiting jobs.

        Returns:
            How many threads were still at work when the time was over; they die with the process.
        """
        deadline = monotonic() + timeout_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while self._count and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            return self._count

    def _start_one(self) -> bool:
        """Start one more thread within the limit, and tell whether that was possible."""
        if self._count == self._limit:
            return False
        name = f"{self._name}-{self._count + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            _log.warning("No more than %d threads can be had; jobs wait.", self._count)
            return False
        self._count += 1
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._jobs and not self._closed:
                    self._changed.wait()
                self._idle -= 1
                if not self._jobs:
                    self._count -= 1
                    self._changed.notify_all()
                    return
                job = self._jobs.popleft()
            job()
