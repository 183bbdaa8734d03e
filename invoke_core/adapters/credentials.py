"""The ``Credentials``: tokens kept until shortly before their end, fetched once.

Source: HTTP contract, section 7 (``auth.scheme``).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.token_calls import NoTokenError, TokenCalls, client_credentials_token
from invoke_core.adapters.token_failures import credential_failed
from invoke_core.connections import ClientCredentialsAuth, FetchedAuth

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.adapters.token_calls import Token
    from invoke_core.connections import Connection
    from invoke_core.model import Secret
    from invoke_core.ports import Sender

_EARLY_S: Final = 300.0
"""How long before its end a token is fetched anew; for one of a short life, half of that."""
_EARLY_FETCH_S: Final = 5.0
"""How long that may take while the token at hand can still be used."""
_EARLY_AGAIN_S: Final = 30.0
"""How long after a failure that is tried again, while it can be."""
_FAILED_FOR_S: Final = 1.0
"""How long a failure answers for others: those that waited for it, above all."""
_HOPELESS_FOR_S: Final = 60.0
"""How long a target that refused a new token too is not met with yet another."""
_MOST_KNOWN: Final = 4


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: Secret
    renew_at: float
    ends_at: float


@dataclass(slots=True)
class _Slot:
    """What is known of one connection's tokens. Whoever holds the lock fetches."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: tuple[_Kept, ...] = ()
    """The newest first."""
    failure: str = ""
    failed_until: float = 0.0
    hopeless: Secret | None = None
    hopeless_until: float = 0.0

    def ready(self, now: float, refused: Secret | None) -> Secret | None:
        """Return the token to send, or None where one has to be fetched."""
        newest = self.kept[0] if self.kept else None
        if newest is None or now >= newest.renew_at:
            return None
        if refused is None or newest.secret != refused:
            return newest.secret
        is_hopeless = self.hopeless == refused and now < self.hopeless_until
        return refused if is_hopeless else None

    def usable(self, now: float, refused: Secret | None) -> Secret | None:
        """Return the token that could be sent for the time being."""
        newest = self.kept[0] if self.kept else None
        if newest is None or now >= newest.ends_at or newest.secret == refused:
            return None
        return newest.secret


class TokenCredentials:
    """The tokens of all connections. One for the process; any number of threads may use it."""

    def __init__(self, *, sender: Sender, monotonic_s: Callable[[], float] = monotonic) -> None:
        """Know none yet.

        Args:
            sender: Carries the requests for tokens.
            monotonic_s: Tells how old tokens are.
        """
        self._sender = sender
        self._monotonic_s = monotonic_s
        self._slots: dict[str, _Slot] = {}

    def token(
        self, connection: Connection, *, timeout_s: float, refused: Secret | None = None
    ) -> Secret:
        """Return the bearer token to send; see the port."""
        slot = self._slot(connection)
        now = self._monotonic_s()
        found = slot.ready(now, refused)
        if found is not None:
            return found
        usable = slot.usable(now, refused)
        started_at = monotonic()
        # While there is a usable token nobody waits for another who fetches the next.
        if not slot.lock.acquire(timeout=0 if usable else max(0.0, timeout_s)):
            if usable is not None:
                return usable
            raise credential_failed(
                connection, f"another call was still fetching it after {timeout_s:.3g} s"
            )
        try:
            left_s = timeout_s - (monotonic() - started_at)
            return self._fetched(slot, connection, left_s, refused)
        finally:
            slot.lock.release()

    def note_refused(self, connection: Connection, token: Secret) -> None:
        """Learn that a token fetched in place of a refused one was refused; see the port."""
        slot = self._slot(connection)
        slot.hopeless, slot.hopeless_until = token, self._monotonic_s() + _HOPELESS_FOR_S

    def known(self, connection: Connection) -> tuple[Secret, ...]:
        """Return the tokens that are still remembered; see the port."""
        slot = self._slots.get(connection.name)
        return tuple(kept.secret for kept in slot.kept) if slot else ()

    def _slot(self, connection: Connection) -> _Slot:
        # Of several made at the same time, one stays.
        return self._slots.setdefault(connection.name, _Slot())

    def _fetched(
        self, slot: _Slot, connection: Connection, timeout_s: float, refused: Secret | None
    ) -> Secret:
        """Fetch a token, unless somebody did so while this call waited for its turn."""
        now = self._monotonic_s()
        found = slot.ready(now, refused)
        if found is not None:
            return found
        usable = slot.usable(now, refused)
        if now < slot.failed_until:
            if usable is not None:
                return usable
            raise credential_failed(connection, slot.failure)
        if usable is not None:
            timeout_s = min(timeout_s, _EARLY_FETCH_S)
        calls = TokenCalls.of(self._sender, connection, timeout_s=timeout_s)
        try:
            token = _fetch(connection, calls)
        except NoTokenError as error:
            now = self._monotonic_s()
            if usable is not None:
                slot.failure = str(error)
                slot.failed_until = min(now + _EARLY_AGAIN_S, slot.kept[0].ends_at)
                return usable
            # Who has more time left than this call had may have more luck.
            if calls.left_s() > 0:
                slot.failure, slot.failed_until = str(error), now + _FAILED_FOR_S
            raise credential_failed(connection, str(error)) from None
        now = self._monotonic_s()
        newest = _Kept(
            token.secret,
            renew_at=now + token.life_s - min(_EARLY_S, token.life_s / 2),
            ends_at=now + token.life_s,
        )
        slot.kept = (newest, *slot.kept[: _MOST_KNOWN - 1])
        return token.secret


def _fetch(connection: Connection, calls: TokenCalls) -> Token:
    auth = connection.auth
    if isinstance(auth, ClientCredentialsAuth):
        return client_credentials_token(auth, calls)
    if not isinstance(auth, FetchedAuth):
        raise TypeError(auth)
    # Imported here: only who needs a token pays for it.
    from invoke_core.adapters.azure_tokens import azure_token  # noqa: PLC0415

    return azure_token(auth, calls)
