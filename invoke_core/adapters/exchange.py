"""What is known of a running exchange, and what its failures mean.

How far an exchange came decides what a failure says of its effect: a request of which nothing was
written had none, one that was answered was answered, and of everything between nothing is known.

Source: HTTP contract, section 4 (``reason.code``, "Faults of targets").
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from invoke_core.adapters import tls
from invoke_core.adapters.decoding import DecodingError
from invoke_core.errors import SendError
from invoke_core.model import Effect, ReasonCode

if TYPE_CHECKING:
    from invoke_core.adapters.budget import Lease
    from invoke_core.adapters.deadline import Deadline


class BrokenAnswerError(Exception):
    """What a target sends is not HTTP; the message is part of a sentence."""


class NoAnswerError(Exception):
    """A target closed the connection before its status line."""


class ProxyError(Exception):
    """A proxy does not pass a request on; the message is part of a sentence."""


class Stage(IntEnum):
    """How far one hop of an exchange has come."""

    LOOKING_UP = 0
    CONNECTING = 1
    TUNNELLING = 2
    SHAKING_HANDS = 3
    SENDING = 4
    WAITING = 5
    READING_HEADERS = 6
    READING_BODY = 7


_NOT_DONE: Final = {
    Stage.LOOKING_UP: "the look-up of its name had not ended",
    Stage.CONNECTING: "no connection had been made",
    Stage.TUNNELLING: "the proxy had not opened a tunnel to it",
    Stage.SHAKING_HANDS: "the TLS handshake had not ended",
    Stage.SENDING: "it had not taken the whole request",
    Stage.WAITING: "no answer had begun",
    Stage.READING_HEADERS: "the headers of its answer had not ended",
    Stage.READING_BODY: "the body of its answer had not ended",
}

_UNREACHABLE: Final = {
    errno.ECONNREFUSED: "refused the connection; nothing listens there, or a firewall rejects it",
    errno.EHOSTUNREACH: "cannot be reached from here; no route leads to it",
    errno.ENETUNREACH: "cannot be reached from here; no route leads to its network",
}


@dataclass(slots=True)
class Exchange:
    """One exchange while it runs, redirects included.

    Attributes:
        timeout_s: The time it was given.
        deadline: When that ends.
        lease: Counts the bytes it holds.
        place: Host and port of the hop that is running, and the proxy it goes through.
        is_proxied: Whether it goes through one.
        stage: How far that hop is.
        was_answered: Whether an earlier hop was answered.
        has_client_certificate: Whether the connection has a certificate of its own to show.
    """

    timeout_s: float
    deadline: Deadline
    lease: Lease
    place: str = ""
    is_proxied: bool = False
    stage: Stage = Stage.LOOKING_UP
    was_answered: bool = False
    has_client_certificate: bool = False

    @property
    def effect(self) -> Effect:
        """What is known of the request's effect so far."""
        if self.stage >= Stage.READING_HEADERS:
            return Effect.ANSWERED
        if self.stage >= Stage.SENDING:
            return Effect.UNKNOWN
        return Effect.ANSWERED if self.was_answered else Effect.NONE

    def begin_hop(self, place: str, *, proxy: str = "") -> None:
        """Start over for the next hop; what an earlier one showed stays known.

        Args:
            place: Host and port it goes to.
            proxy: Host and port of the proxy on the way; empty without.
        """
        self.was_answered = self.was_answered or self.stage >= Stage.READING_HEADERS
        self.is_proxied = bool(proxy)
        self.place = f"{place} (through the proxy {proxy})" if proxy else place
        self.stage = Stage.LOOKING_UP

    def error(self, code: ReasonCode, message: str) -> SendError:
        """Return an error with what is known of the effect."""
        return SendError(message, code=code, effect=self.effect)

    def failure(self, error: Exception) -> SendError:
        """Return what an exception of a library means.

        The deadline comes first: a socket that was shut down looks like a broken answer. Nothing
        of an exception's own text is passed on unless it is known to hold no secret.
        """
        if self.deadline.is_over:
            return self.error(*self._timed_out())
        match error:
            case tls.TlsFilesError():
                found = ReasonCode.TLS_FAILED, str(error)
            case ProxyError():
                # It went no further than the proxy, however far that had come with its answer.
                self.stage = Stage.TUNNELLING
                found = self._not_passed_on(str(error))
            case OSError() | ValueError() if self.is_proxied and self.stage < Stage.SHAKING_HANDS:
                found = self._not_passed_on(self._what_happened(error))
            case BrokenAnswerError() | DecodingError():
                # A broken answer is one, even where no status line was made out.
                self.stage = max(self.stage, Stage.READING_HEADERS)
                found = self._invalid(str(error))
            case NoAnswerError():
                found = self._closed("closed the connection without an answer")
            case ssl.SSLError():
                found = self._tls_failed(error)
            case OSError() | ValueError() | OverflowError() if self.stage is Stage.LOOKING_UP:
                found = self._not_resolved(error)
            case OSError():
                found = self._closed(self._what_happened(error))
            case _:
                found = (
                    ReasonCode.CONNECTION_FAILED,
                    f"The request to {self.place} could not be sent ({type(error).__name__}).",
                )
        return self.error(*found)

    def _timed_out(self) -> tuple[ReasonCode, str]:
        paused = (
            " It was held up here: the answers this service holds at once have used up"
            " MAX_BUFFERED_BYTES."
            if self.lease.is_paused
            else ""
        )
        sentence = (
            f"{self.place} took longer than the {self.timeout_s:g} s a request may take: when they"
            f" ended, {_NOT_DONE[self.stage]}.{paused} Raise API_RESPONSE_TIMEOUT_SECONDS (at most"
            " 180), or let the target report its end later (waitForCompletion: true, a callback)."
        )
        return ReasonCode.TIMED_OUT, sentence

    def _invalid(self, what: str) -> tuple[ReasonCode, str]:
        return (
            ReasonCode.RESPONSE_INVALID,
            f"{self.place} answered, but not in valid HTTP: {what}.",
        )

    def _closed(self, what: str) -> tuple[ReasonCode, str]:
        if self.stage >= Stage.READING_HEADERS:
            return self._invalid(f"it {what} before the end of its answer")
        advice = (
            " Whether it acted on the request is not known."
            if self.effect is Effect.UNKNOWN
            else " Check the host and port of the service connection, and the network between."
        )
        return ReasonCode.CONNECTION_FAILED, f"{self.place} {what}.{advice}"

    def _not_passed_on(self, what: str) -> tuple[ReasonCode, str]:
        sentence = f"{self.place} was not reached: the proxy {what}."
        return ReasonCode.CONNECTION_FAILED, f"{sentence} It is the service connection's proxy."

    def _what_happened(self, error: OSError | ValueError) -> str:
        if self.stage is Stage.LOOKING_UP:
            what = "has a name that was not found"
        elif self.stage is Stage.SHAKING_HANDS:
            what = "closed the connection during the TLS handshake"
        elif self.stage is not Stage.CONNECTING:
            what = "reset the connection"
        elif isinstance(error, TimeoutError):
            what = "did not accept the connection"
        else:
            number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (0, "")
            what = _UNREACHABLE.get(number or 0) or (
                f"cannot be connected to ({why or type(error).__name__})"
            )
        return what

    def _not_resolved(self, error: Exception) -> tuple[ReasonCode, str]:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            why = "no name server answered; try again, and check the network's DNS"
        elif isinstance(error, OSError):
            why = "it does not exist, or has no address; check the host of the service connection"
        else:
            why = "it cannot be a host name; check the host of the service connection"
        return (
            ReasonCode.NAME_NOT_RESOLVED,
            f"The name {self.place.rpartition(':')[0]} was not found: {why}.",
        )

    def _tls_failed(self, error: ssl.SSLError) -> tuple[ReasonCode, str]:
        if self.stage >= Stage.READING_HEADERS:
            return self._invalid("the TLS connection broke before the end of its answer")
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return self._closed(self._what_happened(error))
        sentence = tls.explanation(error, has_client_certificate=self.has_client_certificate)
        return ReasonCode.TLS_FAILED, f"{self.place} {sentence}"
