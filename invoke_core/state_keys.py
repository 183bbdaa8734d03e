"""The keys that waiting steps are sealed with, as text: 32 random bytes in Base64.

Source: HTTP contract, section 9 (``STATE_KEY``, ``STATE_KEY_PREVIOUS``).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from invoke_core.model import Secret

KEY_BYTES: Final = 32

HOW_TO_MAKE: Final = "32 random bytes in Base64, as 'openssl rand -base64 32' makes them"
"""What a key is, for a sentence."""

# 43 characters carry 258 bits, which is what 32 bytes take; anything longer or shorter, hexadecimal
# digits above all, is no key but a mistake.
_FORM: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_STANDARD: Final = str.maketrans("-_", "+/")


def read_state_key(text: str) -> Secret | None:
    """Return a key in its one form, or None where a text is no key.

    Args:
        text: Base64 of 32 bytes, in the standard or the URL-safe alphabet, with or without the
            padding; blanks and line ends around it do not count.
    """
    found = text.strip()
    if not _FORM.fullmatch(found):
        return None
    return state_key_of(b64decode(found[:43].translate(_STANDARD) + "="))


def state_key_of(raw: bytes) -> Secret:
    """Return the one form of a key: standard Base64 with padding.

    Args:
        raw: ``KEY_BYTES`` random bytes.
    """
    return Secret(b64encode(raw).decode("ascii"))


def state_key_bytes(key: Secret) -> bytes:
    """Return the bytes of a key that ``read_state_key`` or ``state_key_of`` gave."""
    return b64decode(key.reveal())
