"""A JSONPath on its own, in the dialect of ``jsonpath(…)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.work import Work

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.kinds import Raw


class NoMatch:
    """What ``JsonPath.first`` returns where nothing matches; JSON's null is a match."""


NO_MATCH: Final = NoMatch()


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A JSONPath that parsed.

    Attributes:
        text: As it was written.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Read a path.

        Args:
            text: With its leading ``$``.

        Raises:
            ValueError: It is none; the message says why.
        """
        if not text.startswith("$"):
            raise ValueError("A JSONPath begins with '$'.")
        try:
            _find(text, {})
        except EvaluationFault as fault:
            raise ValueError(fault.message) from None
        return cls(text)

    def first(self, document: JsonValue) -> JsonValue | NoMatch:
        """Return the first value the path selects in a document, or ``NO_MATCH``.

        Raises:
            ValueError: It visits too many nodes; the message says so.
        """
        try:
            found = _find(self.text, cast("Raw", document))
        except EvaluationFault as fault:
            raise ValueError(fault.message) from None
        return cast("JsonValue", found[0]) if found else NO_MATCH


def _find(path: str, document: Raw) -> list[Raw]:
    # Imported here: only a task with a path pays for the library.
    from invoke_core.expressions.jsonpath import find  # noqa: PLC0415

    return find(path, document, Work())
