"""Who calls: a function key, an Entra ID principal, or somebody on this machine.

Source: HTTP contract, section 5 ("caller").
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL: Final = "local"

_OBJECT_ID: Final = re.compile(r"[0-9A-Fa-f-]{1,64}")


def caller_of(headers: Mapping[str, str], query: Mapping[str, str], *, platform_auth: bool) -> str:
    """Return who calls, in the form ``allow.callers`` takes.

    Args:
        headers: The request's headers, looked up in lower case.
        query: The query parameters.
        platform_auth: Whether the platform's authentication is on; only then is the principal
            header its own, and not the caller's invention.

    Returns:
        ``entra:`` and the object id, else ``key:`` and 16 hex digits, else ``local``.
    """
    principal = headers.get("x-ms-client-principal-id", "")
    if platform_auth and _OBJECT_ID.fullmatch(principal):
        return f"entra:{principal.lower()}"
    key = headers.get("x-functions-key") or query.get("code")
    return caller_of_key(key) if key else LOCAL


def caller_of_key(key: str) -> str:
    """Return the caller that a function key stands for; the key cannot be told from it."""
    return f"key:{hashlib.sha256(key.encode()).hexdigest()[:16]}"
