"""When a failed task is tried again, and after how long.

Source: HTTP contract, section 3 ("Retries"); RFC 9110, section 10.2.3 (``Retry-After``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from invoke_core.model import Effect, ReasonCode
from invoke_core.records import SENT_ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.model import Reason

MOST_RETRIES: Final = 10

_LONGEST_PAUSE_S: Final = 60.0
_JITTER: Final = 0.25
"""By how much of itself a pause is lengthened at most: tasks that failed together part again."""

_TELLING: Final = frozenset({429, 503})
"""Statuses whose ``Retry-After`` is honoured."""

_NEVER_STATUS: Final = frozenset({401, 403})
NEVER_REPEATED: Final = frozenset(
    {
        ReasonCode.CREDENTIAL_FAILED,
        ReasonCode.TLS_FAILED,
        ReasonCode.ADDRESS_REFUSED,
        ReasonCode.REDIRECT_REFUSED,
        ReasonCode.RESPONSE_TOO_LARGE,
    }
)
_SECONDS: Final = re.compile(r"0*(\d+)", re.ASCII)
_LONGEST_TOLD: Final = timedelta(days=365)
_MOST_DIGITS: Final = 9


def may_repeat(*, method: str, reason: Reason, status: int | None) -> bool:
    """Tell whether a request that failed may be sent again.

    Args:
        method: Its method.
        reason: Why it failed, and what is known of its effect.
        status: The status it was answered with; None where it was not.

    Returns:
        False where that would change nothing, or could do a second time what the first request
        perhaps did.
    """
    if status in _NEVER_STATUS or reason.code in NEVER_REPEATED:
        return False
    return reason.effect is not Effect.UNKNOWN or method not in SENT_ONCE


def pause(failures: int, *, jitter: float, told: timedelta | None) -> timedelta:
    """Return how long to wait after a failure.

    Args:
        failures: How many there were in a row, from 1.
        jitter: A random number from 0 to 1.
        told: What the target asked to wait at least; None where it did not.

    Returns:
        1, 2, 4, … seconds, at most 60, and up to a quarter more; never less than was told.
    """
    growing_s: float = min(_LONGEST_PAUSE_S, 2.0 ** (failures - 1))
    spread_s = min(_LONGEST_PAUSE_S, growing_s * (1 + _JITTER * jitter))
    own = timedelta(milliseconds=round(spread_s * 1000))
    return own if told is None else max(own, told)


def told_pause(
    status: int, headers: Mapping[str, str], now: datetime, *, always: bool = False
) -> timedelta | None:
    """Return how long a target asks to be left alone, or None where it does not.

    Args:
        status: Of its answer.
        headers: Of its answer, names in any letter case.
        now: When it came. A date is measured from the answer's own ``Date``, where it has one:
            the clocks need not agree.
        always: Whether every status counts; else only 429 and 503 do.
    """
    if not always and status not in _TELLING:
        return None
    by_name = {name.lower(): value.strip() for name, value in headers.items()}
    text = by_name.get("retry-after", "")
    if seconds := _SECONDS.fullmatch(text):
        digits = seconds[1]
        if len(digits) > _MOST_DIGITS:
            return _LONGEST_TOLD
        return min(timedelta(seconds=int(digits)), _LONGEST_TOLD)
    at = _date(text)
    if at is None:
        return None
    left = at - (_date(by_name.get("date", "")) or now)
    return min(max(left, timedelta()), _LONGEST_TOLD)


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
