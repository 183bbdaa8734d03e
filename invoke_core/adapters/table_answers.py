"""What comes of a query to a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PAGE_ROWS: Final = 1000
"""Most rows in one answer (Azure Tables)."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a query.

    Attributes:
        rows: The rows: properties by name, ``metadata`` with the ETag.
        token: Where the next page begins; None after the last.
    """

    rows: list[Any]
    token: object | None
