"""The expression with its values filled in: the line the original logs as ``Expanded``.

Source: expressions reference, section 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.expressions.nodes import Call, Literal, format_value, print_node
from invoke_core.expressions.texts import utf16_length

if TYPE_CHECKING:
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.nodes import Mask, Node

_MEMORY: Final = 1_048_576
"""Bytes of values kept for the line; what does not fit keeps its source form, as in the engine."""
_TEXT_COST: Final = 26


class Realized:
    """The values an evaluation met, as text, by the node that took them."""

    def __init__(self, mask: Mask) -> None:
        """Start empty."""
        self._mask = mask
        self._texts: dict[int, str] = {}
        self._left = _MEMORY

    def keep(self, node: Node, value: Value) -> None:
        """Remember the value of a node that is shown by it."""
        text = format_value(value, self._mask)
        cost = _TEXT_COST + 2 * (len(text) if text.isascii() else utf16_length(text))
        if cost <= self._left:
            self._left -= cost
            self._texts[id(node)] = text

    def print(self, node: Node) -> str:
        """Print a node: values where there are some, and the source form elsewhere."""
        text = self._texts.get(id(node))
        if text is not None:
            return text
        if type(node) is Literal:
            return format_value(node.value, self._mask)
        if type(node) is Call:
            return f"{node.typed}({', '.join([self.print(each) for each in node.arguments])})"
        return print_node(node, self._mask)
