"""Requests for tokens: sent by our own ``Sender``, under the connection's rules, in time.

Source: HTTP contract, section 7 (``auth.scheme``: the connection's ``tls`` and ``allow.loopback``
govern token calls too).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from invoke_core.adapters.token_failures import reason
from invoke_core.connections import (
    Allow,
    ClientCredentialsAuth,
    Connection,
    ManagedIdentityAuth,
    RedirectRule,
)
from invoke_core.documents import JsonNumber, parse_answer
from invoke_core.errors import JsonSyntaxError, PolicyError, SendError
from invoke_core.model import Method, OutgoingRequest, ReasonCode, Secret

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.model import Answer
    from invoke_core.ports import Sender

LONGEST_ANSWER_BYTES: Final = 1024 * 1024

_UNSAID_LIFE_S: Final = 300.0
"""How long a token is taken to live whose issuer does not say (RFC 6749 leaves it to him)."""
_LONGEST_LIFE_S: Final = 24 * 3600.0


class NoTokenError(Exception):
    """There is no token; the message is the rest of a sentence, without secrets."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token.

    Attributes:
        secret: The token.
        life_s: Seconds from now until its end.
    """

    secret: Secret
    life_s: float


@dataclass(slots=True)
class TokenCalls:
    """The requests for one token: together they end in time.

    Attributes:
        sender: Sends them.
        connection: Whose token it is; see ``of``.
        timeout_s: Seconds they may take.
        ends_at: When they have to be over, on the monotonic clock.
        failure: Why the last of them was not answered; None where it was.
        place: Where the last of them went.
        status: How it was answered; None where it was not.
        said: The beginning of that answer, to be looked through for known words only.
    """

    sender: Sender
    connection: Connection
    timeout_s: float
    ends_at: float
    failure: str | None = None
    place: str = ""
    status: int | None = None
    said: str = field(default="", repr=False)

    @classmethod
    def of(cls, sender: Sender, connection: Connection, *, timeout_s: float) -> TokenCalls:
        """Begin: from now on the time runs."""
        allow = Allow(loopback=connection.allow.loopback, redirects=RedirectRule.NONE)
        if isinstance(connection.auth, ManagedIdentityAuth):
            # The endpoint is the platform's, told by the environment and on this very machine: no
            # connection and no caller has a say in where it is, and nothing stands between.
            connection = Connection(
                name=connection.name,
                kind=connection.kind,
                url=connection.url,
                auth=connection.auth,
                allow=replace(allow, loopback=True),
                tls=connection.tls,
            )
        else:
            connection = replace(connection, allow=allow)
        return cls(sender, connection, timeout_s, monotonic() + timeout_s)

    def left_s(self) -> float:
        """Return the seconds left; none is 0."""
        return max(0.0, self.ends_at - monotonic())

    def send(self, request: OutgoingRequest) -> Answer:
        """Send a request and return its answer, whatever its status.

        Raises:
            NoTokenError: It was not answered; ``failure`` says why.
        """
        self.place, self.status, self.said = _place(request.url), None, ""
        try:
            with self.sender.send(
                request,
                connection=self.connection,
                judge=_refuse,
                answers=(),
                timeout_s=self.left_s(),
                limit_bytes=LONGEST_ANSWER_BYTES,
            ) as answer:
                self.status = answer.status
                self.said = answer.body[:65536].decode("utf-8", "replace")
                return answer
        except (SendError, PolicyError) as error:
            self.failure = self._why(error)
            raise NoTokenError(self.failure) from None

    def _why(self, error: SendError | PolicyError) -> str:
        match error:
            case SendError(code=ReasonCode.TIMED_OUT):
                return (
                    f"{self.place} took longer than the {self.timeout_s:.3g} s that were left for"
                    " the request (API_RESPONSE_TIMEOUT_SECONDS)"
                )
            case SendError(code=ReasonCode.REDIRECT_REFUSED):
                return (
                    f"{self.place} redirects requests for tokens, and they are never redirected,"
                    " since they hold secrets; use the address it redirects to"
                )
            case SendError(code=ReasonCode.RESPONSE_TOO_LARGE):
                return (
                    f"{self.place} answered with more than {LONGEST_ANSWER_BYTES} bytes, which is"
                    " too long for a token; check that it is the address of an issuer of tokens"
                )
            case _:
                return error.message.rstrip(".")


def client_credentials_token(auth: ClientCredentialsAuth, calls: TokenCalls) -> Token:
    """Ask an issuer for a token by the client credentials grant.

    Args:
        auth: What to ask with.
        calls: Sends the request.

    Raises:
        NoTokenError: He gave none.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": auth.client_id,
        "client_secret": auth.client_secret.reveal(),
        "scope": auth.scope,
        "audience": auth.audience,
    }
    request = OutgoingRequest(
        method=Method.POST,
        url=auth.token_url,
        headers=(
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ),
        body=urlencode({name: value for name, value in form.items() if value}).encode("ascii"),
    )
    answer = calls.send(request)
    document: JsonValue = None
    with suppress(JsonSyntaxError):
        document = parse_answer(answer.body.decode("utf-8", "replace"))
    members = document if isinstance(document, dict) else {}
    text = members.get("access_token")
    if answer.status != 200 or not isinstance(text, str):
        said = members.get("error")
        why = reason(
            auth,
            said=said if isinstance(said, str) else "",
            place=calls.place,
            status=answer.status,
        )
        raise NoTokenError(why)
    kind = members.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoTokenError(f"{calls.place} issues tokens of another type than Bearer")
    return checked(text, _life_s(members.get("expires_in")), place=calls.place)


def checked(text: str, life_s: float, *, place: str) -> Token:
    """Return a token that can be sent.

    Raises:
        NoTokenError: It cannot stand in a header, or has ended already.
    """
    if not text or not all("!" <= character <= "~" for character in text):
        raise NoTokenError(f"what {place} issued cannot stand in a header")
    if life_s <= 0:
        raise NoTokenError(f"{place} issued a token that has ended already; check the clocks")
    return Token(Secret(text), min(life_s, _LONGEST_LIFE_S))


def _life_s(value: JsonValue) -> float:
    """Return what ``expires_in`` says; some issuers write the number as text."""
    text = value.text if isinstance(value, JsonNumber) else value
    with suppress(TypeError, ValueError):
        seconds = float(text)  # type: ignore[arg-type]  # anything else is refused by it
        if seconds < float("inf"):
            return seconds
    return _UNSAID_LIFE_S


def _place(url: str) -> str:
    """Return the host and port of a URL for a sentence."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _refuse(_: str) -> None:
    raise PolicyError("Requests for tokens are not redirected.")
