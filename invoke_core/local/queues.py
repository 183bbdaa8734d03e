"""The functions with a queue trigger, and the threads that take messages to them.

Source:
    The Functions host's storage queue extension (``QueueListener``, ``QueueProcessor``,
    ``RandomizedExponentialBackoffStrategy``): a message is hidden for ten minutes, again and again
    while its function runs; it is deleted after a success, seen again some time after a failure,
    and moved to the poison queue after too many. A queue that is not there counts as empty. The
    host hides a message anew each five minutes, and sooner where that failed.
"""

from __future__ import annotations

import logging
import math
import random
import re
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.queues import POISON
from invoke_core.errors import StoreUnavailableError
from invoke_core.local.errors import LocalServerError
from invoke_core.local.host_json import SHORTEST_POLLING
from invoke_core.local.messages import HeldMessage, make_argument
from invoke_core.settings import read_account
from invoke_core.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.adapters.queue_requests import QueueRequests, Received
    from invoke_core.local.host_json import QueueSettings
    from invoke_core.local.indexing import Indexed
    from invoke_core.model import StorageAccount

_log = logging.getLogger(__name__)

HIDE_S: Final = 600
"""Seconds for which a message is hidden when it is received."""

_DEFAULT_CONNECTION: Final = "AzureWebJobsStorage"
_NAME: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME: Final = 63


class QueueListener:
    """Takes messages from a queue to one function, in as many threads as ``host.json`` says."""

    def __init__(
        self,
        function: Indexed,
        environ: Mapping[str, str],
        settings: QueueSettings,
        *,
        hide_s: int = HIDE_S,
    ) -> None:
        """Read what the trigger refers to; nothing is sent.

        Args:
            function: One with a queue trigger.
            environ: The app's settings, in which its connection is looked up.
            settings: How to listen.
            hide_s: Seconds for which a message is hidden when it is received.

        Raises:
            LocalServerError: The queue's name is none, or the account cannot be used.
            SettingsError: What the connection stands for is missing or faulty.
        """
        self._function = function
        self._settings = settings
        self._hide_s = hide_s
        self._name = name = str(function.trigger.queue_name)
        account = read_account(environ, function.trigger.connection or _DEFAULT_CONNECTION)
        most = settings.batch_size + settings.new_batch_threshold
        if not _NAME.fullmatch(name):
            raise LocalServerError(
                f"The function '{function.name}' cannot be run: a queue cannot be named '{name}'."
            )
        try:
            # One more thread than those of the messages receives them.
            self._queue = _open(account, name, threads=most + 1)
            self._poison = (
                None
                if name.endswith(POISON) or len(name + POISON) > _LONGEST_NAME
                else _open(account, name + POISON, threads=most)
            )
        except StoreUnavailableError as error:
            raise LocalServerError(
                f"The function '{function.name}' cannot be run: {error.message}"
            ) from None
        self._threads = Threads(most, name=function.name)
        self._loop = threading.Thread(target=self._listen, name=f"queue {name}", daemon=True)
        self._backoff = Backoff(settings.max_polling_interval.total_seconds())
        self._changed = threading.Condition()
        self._held: set[HeldMessage] = set()
        self._stopping = False
        self._is_out = False

    def start(self) -> None:
        """Begin to take messages."""
        self._loop.start()

    def stop(self, *, timeout_s: float) -> int:
        """Take no further message, and let running functions finish.

        Args:
            timeout_s: Seconds they get.

        Returns:
            How many were still running when the time was over; they die with the process, and
            their messages are seen again once they are no longer hidden.
        """
        deadline = monotonic() + timeout_s
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._loop.is_alive():
            self._loop.join(timeout_s)
        with self._changed:
            while self._held and (left_s := deadline - monotonic()) > 0:
                self._changed.wait(left_s)
            left = len(self._held)
        if left == 0 and not self._loop.is_alive():
            self._threads.close(timeout_s=max(0.0, deadline - monotonic()))
            self._queue.close()
            if self._poison is not None:
                self._poison.close()
        return left

    def _listen(self) -> None:
        """Receive messages and keep them hidden, until it is time to stop."""
        poll_at = monotonic()
        while (now := self._wait(poll_at)) is not None:
            with self._changed:
                late = [one for one in self._held if one.renew_at <= now]
            for one in late:
                one.renew()
            if poll_at <= now and self._may_poll():
                poll_at = monotonic() + self._backoff.next_s(found=self._poll())

    def _wait(self, poll_at: float) -> float | None:
        """Wait until there is something to do; return when that was, or None to stop."""
        with self._changed:
            while not self._stopping:
                now = monotonic()
                times = [one.renew_at for one in self._held]
                next_at = min([*times, poll_at if self._may_poll() else math.inf])
                if next_at <= now:
                    return now
                self._changed.wait(None if next_at == math.inf else next_at - now)
            return None

    def _may_poll(self) -> bool:
        return len(self._held) <= self._settings.new_batch_threshold

    def _poll(self) -> bool:
        """Receive messages and give them to threads; tell whether there were any."""
        try:
            messages = self._queue.receive(most=self._settings.batch_size, hide_s=self._hide_s)
        except StoreUnavailableError as error:
            if not self._is_out:
                self._is_out = True
                _log.warning("The queue '%s' is tried again and again: %s", self._name, error)
            return False
        if self._is_out:
            self._is_out = False
            _log.info("The queue '%s' answers again.", self._name)
        for message in messages:
            self._take(message)
        return bool(messages)

    def _take(self, message: Received) -> None:
        held = HeldMessage(self._queue, message, hide_s=self._hide_s)
        with self._changed:
            stopping = self._stopping
            if not stopping:
                self._held.add(held)
        if stopping:
            # It came while the server began to stop: others need not wait for it.
            self._without_fail(lambda: self._queue.hide(message, for_s=0))
            return

        def job() -> None:
            try:
                self._without_fail(lambda: self._process(held))
            finally:
                with self._changed:
                    self._held.remove(held)
                    self._changed.notify_all()

        self._threads.run(job)

    def _without_fail(self, job: Callable[[], object]) -> None:
        try:
            job()
        except StoreUnavailableError as error:
            _log.warning("A message of the queue '%s' will come again: %s", self._name, error)

    def _process(self, held: HeldMessage) -> None:
        """Do with a message what the host does."""
        most = self._settings.max_dequeue_count
        message = held.message
        text = message.text
        if text is None:
            _log.warning("A message of the queue '%s' is not in Base64.", self._name)
            self._move(held.let_go())
        elif message.dequeue_count > most:
            self._move(held.let_go())
        elif self._succeeds(message, text):
            self._queue.delete(held.let_go())
        elif message.dequeue_count >= most:
            self._move(held.let_go())
        elif self._poison is not None:
            pause_s = int(self._settings.visibility_timeout.total_seconds())
            self._queue.hide(held.let_go(), for_s=pause_s)
        # What fails in a poison queue stays hidden for as long as it is, so that it does not turn
        # in a circle.

    def _succeeds(self, message: Received, text: str) -> bool:
        name = self._function.name
        started = monotonic()
        try:
            if self._function.call(make_argument(message, text)) is not None:
                # The worker says so too, and only once the function has run.
                raise TypeError("a function with a queue trigger returns nothing")  # noqa: TRY301  # it fails like any other
        except Exception:  # noqa: BLE001  # whatever it is, the message comes again
            _log.exception("The queue function '%s' failed.", name)
            return False
        _log.info("queue %s %.0f ms", name, (monotonic() - started) * 1000)
        return True

    def _move(self, message: Received) -> None:
        """Move a message to the poison queue, where there is one."""
        if self._poison is not None:
            self._poison.send(message.body)
            self._queue.delete(message)
            _log.warning("A message was moved to the queue '%s'.", self._name + POISON)


class Backoff:
    """How long to wait before the next look at a queue: the longer, the longer it was empty."""

    def __init__(
        self, longest_s: float, *, chance: Callable[[float, float], float] = random.uniform
    ) -> None:
        """Begin anew.

        Args:
            longest_s: Seconds that are never exceeded.
            chance: Returns a number between two.
        """
        self._shortest_s = SHORTEST_POLLING.total_seconds()
        self._longest_s = longest_s
        self._chance = chance
        self._empty = 0

    def next_s(self, *, found: bool) -> float:
        """Return the seconds to wait; none where messages were found."""
        if found:
            self._empty = 0
            return 0.0
        more_s = 2.0 ** (self._empty - 1) * self._shortest_s if self._empty else 0.0
        wait_s = self._shortest_s + more_s * self._chance(0.8, 1.2)
        if wait_s >= self._longest_s:
            return self._longest_s
        self._empty += 1
        return wait_s


def _open(account: StorageAccount, name: str, *, threads: int) -> QueueRequests:
    # Imported here: an app without queue functions does not pay for it.
    from invoke_core.adapters.queue_requests import QueueRequests  # noqa: PLC0415

    return QueueRequests(account, queue=name, threads=threads)
