"""How an evaluation says that it cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from invoke_core.expressions.kinds import Kind

LONGEST_TEXT: Final = 524_275
"""Longest text an evaluation may hold, in UTF-16 units (reference, section 11)."""


class EvaluationFault(Exception):  # noqa: N818  # it never leaves the package: Criteria makes it an error with its source
    """An evaluation cannot go on.

    Attributes:
        kind: The engine's name of the error.
        message: One sentence, without any value of the document.
        from_kind: For ``TypeCast``: what should have been converted.
        to_kind: For ``TypeCast``: into what.
    """

    def __init__(
        self, kind: str, message: str, *, from_kind: Kind | None = None, to_kind: Kind | None = None
    ) -> None:
        """Keep the facts."""
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.from_kind = from_kind
        self.to_kind = to_kind


def too_long() -> EvaluationFault:
    """Return the fault of a text that is longer than an evaluation may hold."""
    return EvaluationFault(
        "Memory", f"A text is longer than {LONGEST_TEXT} UTF-16 units, the most there may be."
    )
