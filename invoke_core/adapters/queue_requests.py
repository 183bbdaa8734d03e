"""Requests to one queue of a storage account, each within a limit of time.

Only the first use of a queue imports this: the libraries cost a tenth of a second and more.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from invoke_core.adapters.storage_answers import CALL_LIMIT_S, Reason, Refusal
from invoke_core.adapters.storage_requests import (
    NO_RETRIES,
    Attempts,
    error_code,
    find_credential,
    make_transport,
)
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import HttpResponseError

    from invoke_core.model import StorageAccount

_API_VERSION: Final = "2022-11-02"
"""What is asked for; the library's own default is newer than what emulators know."""

_FOR_EVER: Final = -1
_NOT_OURS: Final = frozenset({"MessageNotFound", "PopReceiptMismatch"})


@dataclass(frozen=True, slots=True)
class Received:
    """A message that others do not see for a while.

    Attributes:
        id: Names it as long as it is in the queue.
        pop_receipt: Proves that it was received last by whoever shows this.
        body: The message as it lies in the queue.
        dequeue_count: How often it was received, this time included.
        inserted_on: When it was sent.
        expires_on: When it is forgotten; the year 9999 for never.
        next_visible_on: Until when others do not see it.
    """

    id: str
    pop_receipt: str = field(repr=False)
    body: str = field(repr=False)
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    next_visible_on: datetime

    @property
    def text(self) -> str | None:
        """What the body is the Base64 of, read as UTF-8; None where it is no Base64."""
        try:
            return b64decode(self.body, validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            return None


class QueueRequests:
    """Sends requests to one queue; any number of threads may use it.

    Every method raises ``StoreUnavailableError`` where the queue cannot be reached or does not
    answer in time; what was asked for may then have taken place.
    """

    def __init__(
        self,
        account: StorageAccount,
        *,
        queue: str,
        threads: int,
        credential: TokenCredential | None = None,
        ca_file: str | None = None,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Make the client; nothing is sent.

        Args:
            account: The storage account.
            queue: The queue's name.
            threads: How many connections to keep for as many threads.
            credential: Takes the place of the account's identity.
            ca_file: Certificates to trust instead of the usual ones.
            call_limit_s: Seconds after which a call has failed.

        Raises:
            StoreUnavailableError: The account is not described as the library expects it.
        """
        self._setting = account.setting
        self._call_limit_s = call_limit_s
        self._attempts = Attempts(
            self._setting, call_limit_s=call_limit_s, reason=_reason, part="its queue: "
        )
        options: dict[str, Any] = {
            "queue_name": queue,
            "transport": make_transport(threads, ca_file),
            "api_version": _API_VERSION,
            **NO_RETRIES,
        }
        try:
            if isinstance(account.access, Secret):
                text = account.access.reveal()
                self._client = QueueClient.from_connection_string(text, **options)
            else:
                self._client = QueueClient(
                    account.access.queue_uri,
                    credential=credential or find_credential(account.access),
                    **options,
                )
        except ValueError as error:
            raise StoreUnavailableError(self._setting, type(error).__name__) from None

    def send(self, body: str, *, delay_s: int = 0) -> None:
        """Put a message into the queue, which is made where it is missing.

        Args:
            body: The message as it is to lie there; it stays until it is deleted.
            delay_s: Seconds for which nobody sees it.
        """

        def send(limits: Mapping[str, float]) -> None:
            options: Any = limits
            self._client.send_message(
                body, visibility_timeout=delay_s, time_to_live=_FOR_EVER, **options
            )

        give_up_at = monotonic() + self._call_limit_s
        if isinstance(self._attempts.run(send, give_up_at), Refusal):
            self._make_queue(give_up_at)
            if isinstance(self._attempts.run(send, give_up_at), Refusal):
                raise StoreUnavailableError(self._setting, "its queue is gone again")

    def receive(self, *, most: int, hide_s: int) -> list[Received]:
        """Return messages that are to be seen, fewer or none where there are no more.

        Args:
            most: How many at most, up to 32 (Azure Queue Storage).
            hide_s: Seconds for which others do not see them.
        """

        def send(limits: Mapping[str, float]) -> list[Received]:
            options: Any = limits
            pages = self._client.receive_messages(
                messages_per_page=most, max_messages=most, visibility_timeout=hide_s, **options
            ).by_page()
            return [_received(message) for message in next(pages, ())]

        messages = self._attempts.run(send)
        return [] if isinstance(messages, Refusal) else messages

    def check(self) -> None:
        """Look at the queue, which is made where it is missing; messages stay as they are."""

        def look(limits: Mapping[str, float]) -> None:
            options: Any = limits
            self._client.peek_messages(max_messages=1, **options)

        give_up_at = monotonic() + self._call_limit_s
        if isinstance(self._attempts.run(look, give_up_at), Refusal):
            self._make_queue(give_up_at)

    def hide(self, message: Received, *, for_s: int) -> Received | None:
        """Hide a message for so many seconds from now.

        Returns:
            The message with its new receipt; None where it is gone, or somebody else's by now.
        """

        def send(limits: Mapping[str, float]) -> Received:
            options: Any = limits
            answer: Any = self._client.update_message(
                message.id, message.pop_receipt, visibility_timeout=for_s, **options
            )
            return replace(
                message,
                pop_receipt=str(answer.pop_receipt),
                next_visible_on=answer.next_visible_on,
            )

        hidden = self._attempts.run(send)
        return None if isinstance(hidden, Refusal) else hidden

    def delete(self, message: Received) -> bool:
        """Delete a message.

        Returns:
            Whether it was still there, and not somebody else's; or an answer was lost on the way,
            and it is gone now.
        """

        def send(limits: Mapping[str, float]) -> bool:
            options: Any = limits
            self._client.delete_message(message.id, message.pop_receipt, **options)
            return True

        deleted = self._attempts.run(send)
        return deleted.was_repeated if isinstance(deleted, Refusal) else deleted

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _make_queue(self, give_up_at: float) -> None:
        def send(limits: Mapping[str, float]) -> None:
            options: Any = limits
            try:
                self._client.create_queue(**options)
            except ResourceExistsError as error:
                # The name of a queue that is being deleted is also taken.
                if error_code(error) != "QueueAlreadyExists":
                    raise

        if isinstance(self._attempts.run(send, give_up_at), Refusal):
            raise StoreUnavailableError(self._setting, "its queue cannot be made")


def _reason(error: HttpResponseError) -> Reason | None:
    code = error_code(error)
    if code == "QueueNotFound":
        return Reason.NO_QUEUE
    return Reason.NO_MESSAGE if code in _NOT_OURS else None


def _received(message: Any) -> Received:  # noqa: ANN401  # the library's own message
    return Received(
        id=message.id,
        pop_receipt=message.pop_receipt,
        body=message.content or "",
        dequeue_count=message.dequeue_count,
        inserted_on=message.inserted_on,
        expires_on=message.expires_on,
        next_visible_on=message.next_visible_on,
    )
