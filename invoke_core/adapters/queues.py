"""The queue of alarms in Azure Queue Storage, or in its emulator."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.opening import OpenedOnce
from invoke_core.adapters.storage_answers import CALL_LIMIT_S

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from invoke_core.adapters.queue_requests import QueueRequests
    from invoke_core.model import StorageAccount

POISON: Final = "-poison"
"""What the Functions host appends to a queue's name for messages that fail too often."""

ALARM_QUEUE: Final = "invoke-alarms"

FAILED_ALARM_QUEUE: Final = ALARM_QUEUE + POISON


class AlarmQueue:
    """Messages in one queue of a storage account; any number of processes may share it."""

    def __init__(
        self,
        account: StorageAccount,
        *,
        threads: int,
        queue: str = ALARM_QUEUE,
        credential: TokenCredential | None = None,
        ca_file: str | None = None,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Name the queue; it is made by the first message that misses it.

        Args:
            account: The storage account.
            threads: How many threads use this queue at once.
            queue: The queue's name.
            credential: Takes the place of the account's identity.
            ca_file: Certificates to trust instead of the usual ones.
            call_limit_s: Seconds after which a call has failed, its repetitions included.
        """
        self._account = account
        self._threads = threads
        self._queue = queue
        self._credential = credential
        self._ca_file = ca_file
        self._call_limit_s = call_limit_s
        self._requests = OpenedOnce(self._open)

    def put(self, text: str, *, delay_s: int) -> None:
        """Leave a message; see the port. It lies there in Base64, as the trigger expects it."""
        body = b64encode(text.encode()).decode("ascii")
        self._requests.get().send(body, delay_s=delay_s)

    def check(self) -> None:
        """See that the queue answers, and make it where it is missing; see the port."""
        self._requests.get().check()

    def close(self) -> None:
        """Close the connections, once nobody uses them; the next use opens others."""
        self._requests.close()

    def _open(self) -> QueueRequests:
        # Imported here: whoever only makes the queue does not pay for it.
        from invoke_core.adapters.queue_requests import QueueRequests  # noqa: PLC0415

        return QueueRequests(
            self._account,
            queue=self._queue,
            threads=self._threads,
            credential=self._credential,
            ca_file=self._ca_file,
            call_limit_s=self._call_limit_s,
        )
