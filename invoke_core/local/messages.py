"""Messages in hand: kept hidden from others, and made into what a function takes."""

from __future__ import annotations

import json
import logging
import math
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions.meta import Datum

from invoke_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from invoke_core.adapters.queue_requests import QueueRequests, Received

_log = logging.getLogger(__name__)

_registry: Callable[[], Any] = func.get_binding_registry


class HeldMessage:
    """A message that is kept hidden while its function runs.

    Attributes:
        message: It, with its receipt of now.
        renew_at: When it is to be hidden once more, on the monotonic clock; infinity for never.
    """

    def __init__(self, queue: QueueRequests, message: Received, *, hide_s: int) -> None:
        """Take over a message that was just received.

        Args:
            queue: Where it comes from.
            message: It.
            hide_s: Seconds for which it is hidden, from now and with each renewal.
        """
        self.message = message
        self.renew_at = monotonic() + hide_s / 2
        self._queue = queue
        self._hide_s = hide_s
        self._turn = threading.Lock()

    def renew(self) -> None:
        """Hide it once more; a failure is made up for soon."""
        with self._turn:
            # The receipt changes with it, so nobody else may use it meanwhile.
            if self.renew_at == math.inf:
                return
            self.renew_at = math.inf
            try:
                hidden = self._queue.hide(self.message, for_s=self._hide_s)
            except StoreUnavailableError as error:
                _log.warning("A message may be handed out once more: %s", error)
                self.renew_at = monotonic() + self._hide_s / 10
                return
            if hidden is None:
                _log.warning("A message was handed out once more before its function ended.")
            else:
                self.message = hidden
                self.renew_at = monotonic() + self._hide_s / 2

    def let_go(self) -> Received:
        """Return the message with the receipt that counts, which stays the same from now on."""
        with self._turn:
            self.renew_at = math.inf
            return self.message


def make_argument(message: Received, text: str) -> object:
    """Make the object the worker would make of what the host would send it."""

    def moment(time: datetime) -> Datum:
        return Datum(json.dumps(time.isoformat()), "json")

    argument: object = (
        _registry()
        .get("queueTrigger")
        .decode(
            Datum(text, "string"),
            trigger_metadata={
                "Id": Datum(message.id, "string"),
                "PopReceipt": Datum(message.pop_receipt, "string"),
                "DequeueCount": Datum(json.dumps(message.dequeue_count), "json"),
                "InsertionTime": moment(message.inserted_on),
                "ExpirationTime": moment(message.expires_on),
                "NextVisibleTime": moment(message.next_visible_on),
            },
        )
    )
    return argument
