"""What comes of a request to a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

CALL_LIMIT_S: Final = 9.0
"""Seconds after which a call has failed, its repetitions and their pauses included."""

PAGE_ROWS: Final = 1000
"""Most rows in one answer (Azure Tables)."""


class Reason(Enum):
    """Why the service refused a request."""

    CONFLICT = auto()
    NO_ROW = auto()
    NO_TABLE = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service refused a request; it changed nothing this time.

    Attributes:
        reason: Why.
        was_repeated: Whether an earlier attempt went unanswered, which may have taken place.
    """

    reason: Reason
    was_repeated: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a query.

    Attributes:
        rows: The rows: properties by name, ``metadata`` with the ETag.
        token: Where the next page begins; None after the last.
    """

    rows: list[Any]
    token: object | None
