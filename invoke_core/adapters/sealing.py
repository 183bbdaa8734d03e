"""Seals what waits in the store: AES-256-GCM under keys that the store does not hold.

``TokenSeal`` takes its key from an AuthToken, of which the store keeps the SHA-256 alone;
``StateSeal`` takes it from the administrator's settings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Final

from invoke_core.errors import SealError
from invoke_core.state_keys import state_key_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.model import Secret

_NONCE_BYTES: Final = 12
_TOKEN_PURPOSE: Final = b"invoke-rest-api: secrets of a waiting step, version 1"
_STATE_PURPOSE: Final = b"invoke-rest-api: a step at rest, version 1"
_KEY_ID_PURPOSE: Final = b"invoke-rest-api: the name of a key of steps at rest, version 1"
_VERSION: Final = "1"
_KEY_ID_DIGITS: Final = 16
_SEALED: Final = re.compile(
    rf"{_VERSION}\.(?P<key_id>[0-9a-f]{{{_KEY_ID_DIGITS}}})\.(?P<text>[A-Za-z0-9+/]+=*)"
)


class TokenSeal:
    """The seal of waiting steps; see the port."""

    def seal(self, texts: Sequence[str], *, token: str) -> str:
        """Return the texts sealed; see the port."""
        plain = json.dumps(list(texts)).encode()
        return _encrypted(plain, _token_key(token), bound_to=_TOKEN_PURPOSE)

    def unseal(self, sealed: str, *, token: str) -> tuple[str, ...]:
        """Return the texts; see the port."""
        if not sealed:
            return ()
        plain = _decrypted(sealed, _token_key(token), bound_to=_TOKEN_PURPOSE)
        return tuple(json.loads(plain))


class StateSeal:
    """The seal of steps at rest; see the port.

    A sealed text is ``version.key id.Base64``. The key id is a hash under the key: it tells which
    of several keys to take, and nothing about any of them. A nonce is random: one key is good for
    some billion steps.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        """Take the keys.

        Args:
            keys: As ``state_keys`` writes them. The first seals, every one opens; none of them
                makes a seal that is not available.
        """
        masters = [state_key_bytes(key) for key in keys]
        self._current = _key_id(masters[0]) if masters else ""
        self._keys = {_key_id(master): _derived(master, _STATE_PURPOSE) for master in masters}

    @property
    def available(self) -> bool:
        """Whether there is a key; see the port."""
        return bool(self._keys)

    def seal(self, plain: bytes, *, plan_id: str) -> str:
        """Return the bytes sealed; see the port."""
        if not self._keys:
            raise SealError("there is no key")
        text = _encrypted(plain, self._keys[self._current], bound_to=_bound_to(plan_id))
        return f"{_VERSION}.{self._current}.{text}"

    def unseal(self, sealed: str, *, plan_id: str) -> bytes:
        """Return the bytes; see the port."""
        form = _SEALED.fullmatch(sealed)
        if form is None:
            raise SealError("what is stored of it is damaged, or of a later version")
        key = self._keys.get(form["key_id"])
        if key is None:
            raise SealError("it was sealed with another key")
        # Imported here, as below: only steps that wait pay for it.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            return _decrypted(form["text"], key, bound_to=_bound_to(plan_id))
        except (InvalidTag, ValueError):
            raise SealError("what is stored of it was changed, or is of another plan") from None


class LateSeal:
    """A seal of steps at rest that is made when it is first needed, with its keys."""

    def __init__(self, make: Callable[[], StateSeal]) -> None:
        """Keep how it is made."""
        self._make = cache(make)

    @property
    def available(self) -> bool:
        """Whether there is a key; see the port."""
        return self._make().available

    def seal(self, plain: bytes, *, plan_id: str) -> str:
        """Return the bytes sealed; see the port."""
        return self._make().seal(plain, plan_id=plan_id)

    def unseal(self, sealed: str, *, plan_id: str) -> bytes:
        """Return the bytes; see the port."""
        return self._make().unseal(sealed, plan_id=plan_id)


def _encrypted(plain: bytes, key: bytes, *, bound_to: bytes) -> str:
    """Return bytes encrypted, as Base64; they open together with what they are bound to only."""
    # Imported here: only waiting steps with secrets pay for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, bound_to)).decode("ascii")


def _decrypted(text: str, key: bytes, *, bound_to: bytes) -> bytes:
    """Return what ``_encrypted`` was given.

    Raises:
        InvalidTag: It does not open so.
        ValueError: It is no such text at all.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    raw = base64.b64decode(text)
    return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound_to)


def _token_key(token: str) -> bytes:
    return _derived(token.encode(), _TOKEN_PURPOSE)


def _key_id(master: bytes) -> str:
    return _derived(master, _KEY_ID_PURPOSE).hex()[:_KEY_ID_DIGITS]


def _bound_to(plan_id: str) -> bytes:
    return _STATE_PURPOSE + b"\0" + plan_id.encode()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """Return a key for one purpose alone; the secret is random enough to need no stretching."""
    return hmac.new(secret, purpose, hashlib.sha256).digest()
