"""What the service needs from the outside world. The docstrings are the contracts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Container
    from contextlib import AbstractContextManager

    from invoke_core.model import Answer, Connection, OutgoingRequest

Clock = Callable[[], datetime]
"""Returns the time now: aware, UTC."""

NewId = Callable[[], str]
"""Returns a fresh random GUID, lower-case."""

JudgeUrl = Callable[[str], None]
"""Raises ``PolicyError`` where a URL leaves what a connection grants."""


class Sender(Protocol):
    """Carries out HTTP exchanges."""

    def prepared_url(self, url: str) -> str:
        """Return the URL exactly as it would be sent.

        Args:
            url: An absolute http or https URL as it was concatenated.

        Returns:
            The URL after the percent-encoding the transport applies.

        Raises:
            PolicyError: It cannot be made into a URL at all.
        """
        ...

    def send(
        self,
        request: OutgoingRequest,
        *,
        connection: Connection,
        judge: JudgeUrl,
        answers: Container[int],
        timeout_s: float,
        limit_bytes: int,
    ) -> AbstractContextManager[Answer]:
        """Send a request and read the answer to its last byte, following redirects.

        The exchange takes place on entering the context. The bytes of the answer count against
        what the process may hold (``spent``) until the context is left, so leave it as soon as
        the answer is done with::

            with sender.send(request, ...) as answer:
                ...

        Args:
            request: The request; exactly its headers are sent beside the transport's own.
            connection: Gives TLS options, the redirect rule and whether loopback is allowed.
            judge: Called with the prepared URL of each redirect before it is followed; what it
                refuses becomes a ``SendError``.
            answers: Statuses that are answers even where they look like redirects.
            timeout_s: Seconds for the whole exchange: look-up, connect, TLS, every redirect,
                headers and body.
            limit_bytes: Longest body accepted, after content encodings are undone.

        Returns:
            A context with the answer of the last hop.

        Raises:
            SendError: On entering: the exchange did not come to an end; the error says why and
                what is known of its effect. No later than ``timeout_s`` after the call, give or
                take 0.5 s.
            PolicyError: On entering: the request's URL cannot be made into a URL at all, so
                ``prepared_url`` raises it too. Nothing else is raised.
        """
        ...

    def spent(self) -> bool:
        """Tell whether the process holds as many bytes of answers as it may."""
        ...


class Store(Protocol):
    """Keeps the state of invocations."""

    def check(self) -> None:
        """See whether the store can be used.

        Raises:
            StoreUnavailableError: It cannot.
        """
        ...
