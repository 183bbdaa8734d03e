"""Seals texts with an AuthToken: AES-256-GCM under a key that only the token gives.

The store keeps the token's SHA-256 alone, so nothing in the store opens what was sealed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"invoke-rest-api: secrets of a waiting step, version 1"


class TokenSeal:
    """The seal of waiting steps; see the port."""

    def seal(self, texts: Sequence[str], *, token: str) -> str:
        """Return the texts sealed; see the port."""
        # Imported here: only waiting steps with secrets pay for it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(list(texts)).encode()
        sealed = AESGCM(_key(token)).encrypt(nonce, plain, _PURPOSE)
        return base64.b64encode(nonce + sealed).decode("ascii")

    def unseal(self, sealed: str, *, token: str) -> tuple[str, ...]:
        """Return the texts; see the port."""
        if not sealed:
            return ()
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        raw = base64.b64decode(sealed)
        plain = AESGCM(_key(token)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _PURPOSE)
        return tuple(json.loads(plain))


def _key(token: str) -> bytes:
    """Return a key for this purpose alone; a token is random enough to need no stretching."""
    return hmac.new(token.encode(), _PURPOSE, hashlib.sha256).digest()
