"""Values as they may be shown: masked, and not more of them than can be masked in time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

from invoke_core.expressions.kinds import Version, kind_name
from invoke_core.expressions.nodes import Call, Literal, print_node
from invoke_core.expressions.output import plain, to_document
from invoke_core.expressions.values import number_text

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.nodes import Mask

_MOST_TEXT: Final = 2_000_000
"""Characters of text that are masked in one evaluation; what comes after is shown by its kind."""

_LONGEST_SHOWN: Final = 1000
_MEMORY: Final = 1_048_576
"""Bytes of values shown in the line ``Expanded``; what does not fit keeps its source form, as in
the engine."""
_TEXT_COST: Final = 26


class Shown:
    """What of one evaluation may be shown; each text is masked once.

    Attributes:
        mask: Hides secrets in a text.
    """

    __slots__ = ("_known", "_left", "_room", "mask")

    def __init__(self, mask: Mask) -> None:
        """Begin with nothing shown."""
        self.mask = mask
        self._known: dict[str, str | None] = {}
        self._left = _MOST_TEXT
        self._room = _MEMORY

    def text(self, text: str) -> str | None:
        """Return a text, masked; None where too much has been shown already."""
        known = self._known
        if text in known:
            return known[text]
        self._left -= len(text)
        masked = known[text] = self.mask(text) if self._left >= 0 else None
        return masked

    def format(self, value: Value) -> str:
        """Write a value as traces show it: a text in quotes, a number, or the kind's name."""
        kind = type(value)
        if kind is str:
            text = self.text(cast(str, value))
            return "String" if text is None else "'" + text.replace("'", "''") + "'"
        if kind is bool:
            return "True" if value else "False"
        if kind is Decimal:
            return self.mask(number_text(cast(Decimal, value)))
        if kind is Version:
            return "v" + self.mask(str(value))
        return kind_name(value)

    def exact(self, value: Value) -> str:
        """Write a value for a message: as an author would, a number with all its digits."""
        if type(value) is Decimal:
            return self.mask(plain(value))
        if type(value) is Version:
            return self.mask(str(value))
        return self.format(value)

    def document(self, value: Value) -> JsonValue:
        """Return a value as an explanation shows it.

        Args:
            value: Any value.

        Returns:
            The value, a text masked and cut; None for arrays and objects, which may be large.
        """
        kind = type(value)
        if kind is str:
            text = self.text(cast(str, value))
            return None if text is None else cut(text)
        if kind is Decimal or kind is Version:
            return to_document(value)
        return value if kind is bool else None  # type: ignore[return-value]  # a boolean

    def expanded(self, entry: Entry) -> str:
        """Print an expression with its values filled in: the line the original logs as such.

        Args:
            entry: What is known of it.

        Returns:
            Values where there are some, and the source form elsewhere.
        """
        node = entry.node
        if isinstance(node, Call):
            if not entry.entries:
                return print_node(node, self.mask)
            text = self._fitted(entry.value) if node.function.realized and entry.done else None
            if text is not None:
                return text
            inner = ", ".join([self.expanded(each) for each in entry.entries])
            return f"{node.typed}({inner})"
        if not entry.done:
            return print_node(node, self.mask)
        if isinstance(node, Literal):
            return self.format(node.value)
        return self._fitted(entry.value) or print_node(node, self.mask)

    def _fitted(self, value: Value) -> str | None:
        """Format a value, unless there is no room for it."""
        cost = _TEXT_COST + 2 * len(value) if isinstance(value, str) else _TEXT_COST
        if cost > self._room:
            return None
        self._room -= cost
        return self.format(value)


def cut(masked: str) -> str:
    """Cut a long text; masked before, so that no piece of a secret is left."""
    return masked if len(masked) <= _LONGEST_SHOWN else masked[:_LONGEST_SHOWN] + "..."
