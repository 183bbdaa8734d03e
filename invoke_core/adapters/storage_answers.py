"""What comes of a request to a service of Azure Storage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

CALL_LIMIT_S: Final = 9.0
"""Seconds after which a call has failed, its repetitions and their pauses included."""


class Reason(Enum):
    """Why the service refused a request."""

    CONFLICT = auto()
    NO_ROW = auto()
    NO_TABLE = auto()
    NO_MESSAGE = auto()
    NO_QUEUE = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service refused a request; it changed nothing this time.

    Attributes:
        reason: Why.
        was_repeated: Whether an earlier attempt went unanswered, which may have taken place.
    """

    reason: Reason
    was_repeated: bool
