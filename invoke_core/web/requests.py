"""What a caller says beside the body: preferences, keys, query parameters.

Source: HTTP contract, section 2 ("Request headers") and section 5; RFC 7240 for ``Prefer``.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.errors import Fault, InvalidInputError, InvocationNotFoundError, did_you_mean
from invoke_core.model import State
from invoke_core.output_formats import OutputFormat
from invoke_core.service import LONGEST_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TOP: Final = 50
MOST_TOP: Final = 200

_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PREFERENCE: Final = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*"?([^";,]*)"?)?[^,]*')
_SECONDS: Final = re.compile(r"\d{1,100}", re.ASCII)
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_CURSOR: Final = re.compile(r"\d{1,10}", re.ASCII)
_PLACE: Final = re.compile(r"((?:list|open)-\d{8})\n(\d{13}\.[0-9a-f-]{36})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What ``Prefer`` asks for.

    Attributes:
        wait_s: Seconds the reply may be held, clamped; None where nothing was said.
        is_async: Whether ``respond-async`` is asked for.
    """

    wait_s: int | None = None
    is_async: bool = False

    @property
    def applied(self) -> str:
        """The value of ``Preference-Applied`` for a call that runs a task; empty for none."""
        return ", ".join(filter(None, ["respond-async" * self.is_async, self.applied_to_reading]))

    @property
    def applied_to_reading(self) -> str:
        """The value of ``Preference-Applied`` where only a wait can be granted."""
        return "" if self.wait_s is None else f"wait={self.wait_s}"


def preferences_of(headers: Mapping[str, str]) -> Preferences:
    """Return the preferences of a request; what is not understood is passed over (RFC 7240)."""
    wait_s: int | None = None
    is_async = False
    for name, value in _PREFERENCE.findall(headers.get("prefer", "")):
        if name.lower() == "wait" and wait_s is None and _SECONDS.fullmatch(value.strip()):
            wait_s = min(int(value), LONGEST_WAIT_S) if len(value) < 10 else LONGEST_WAIT_S
        elif name.lower() == "respond-async":
            is_async = True
    return Preferences(wait_s=wait_s, is_async=is_async)


def is_strict(query: Mapping[str, str], faults: list[Fault]) -> bool:
    """Tell whether what is unfinished is to be answered with 408 (contract, section 1)."""
    text = query.get("strict", "false").lower()
    if text not in {"true", "false"}:
        faults.append(Fault("", "The query parameter 'strict' is either true or false."))
    return text == "true"


def idempotency_key_of(headers: Mapping[str, str], faults: list[Fault]) -> str:
    """Return the ``Idempotency-Key``; empty where there is none."""
    key = headers.get("idempotency-key")
    if key is None:
        return ""
    if not _KEY.fullmatch(key):
        faults.append(
            Fault("", "The header 'Idempotency-Key' takes 1 to 255 printable ASCII characters.")
        )
        return ""
    return key


def invocation_id_of(route: Mapping[str, str]) -> str:
    """Return the id in an address, in lower case.

    Raises:
        InvocationNotFoundError: It is none, so there is no such invocation.
    """
    text = route.get("id", "")
    if not _GUID.fullmatch(text):
        raise InvocationNotFoundError
    return text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a listing asks for."""

    state: State | None
    after: tuple[str, str] | None
    most: int


def list_query_of(query: Mapping[str, str]) -> ListQuery:
    """Return what a listing asks for.

    Raises:
        InvalidInputError: A parameter cannot be read; all of them are named.
    """
    faults: list[Fault] = []
    state = _state(query.get("state", ""), faults)
    after = _place(query.get("continuationToken", ""), faults)
    top = query.get("top", str(DEFAULT_TOP))
    most = int(top) if re.fullmatch("[0-9]{1,3}", top) else 0
    if not 1 <= most <= MOST_TOP:
        faults.append(Fault("", f"The query parameter 'top' is a number from 1 to {MOST_TOP}."))
    if faults:
        raise InvalidInputError(faults)
    return ListQuery(state=state, after=after, most=most)


def continuation_token(place: tuple[str, str] | None) -> str | None:
    """Return the token that leads to a place in the listing; None where there is no more."""
    if place is None:
        return None
    return base64.urlsafe_b64encode("\n".join(place).encode()).decode().rstrip("=")


def output_format_of(query: Mapping[str, str]) -> OutputFormat:
    """Return the form in which outputs are asked for.

    Raises:
        InvalidInputError: There is no such form.
    """
    text = query.get("format", OutputFormat.JSON)
    found = next((form for form in OutputFormat if form == text.lower()), None)
    if found is None:
        near = did_you_mean(text, OutputFormat)
        detail = f"The query parameter 'format' is one of {', '.join(OutputFormat)}.{near}"
        raise InvalidInputError([Fault("", detail)])
    return found


def cursor_of(query: Mapping[str, str]) -> int:
    """Return the number of the log entry after which to go on; 0 for the beginning.

    Raises:
        InvalidInputError: It is no cursor of ours.
    """
    text = query.get("after", "0")
    if not _CURSOR.fullmatch(text):
        raise InvalidInputError(
            [Fault("", "The query parameter 'after' takes the value of an X-Log-Cursor header.")]
        )
    return int(text)


def _state(text: str, faults: list[Fault]) -> State | None:
    if not text:
        return None
    found = next((state for state in State if state.lower() == text.lower()), None)
    if found is None:
        near = did_you_mean(text, State)
        faults.append(Fault("", f"The query parameter 'state' is one of {', '.join(State)}.{near}"))
    return found


def _place(token: str, faults: list[Fault]) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _PLACE.fullmatch(text)
    if found is None:
        faults.append(
            Fault("", "The query parameter 'continuationToken' takes what an earlier page gave.")
        )
        return None
    return found[1], found[2]
