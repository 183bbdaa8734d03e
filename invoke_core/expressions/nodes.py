"""The parsed expression, and how it is printed.

Source: expressions reference, sections 2 (forms) and 12 (how the trace prints them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from invoke_core.expressions.kinds import Version, kind_of
from invoke_core.expressions.values import number_text

if TYPE_CHECKING:
    from invoke_core.expressions.functions import Function
    from invoke_core.expressions.kinds import Value

Mask = Callable[[str], str]
"""Hides the secrets in a text."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in the source: characters from ``start`` up to ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: bool | str | Decimal | Version
    span: Span


@dataclass(frozen=True, slots=True)
class Named:
    """A named value.

    Attributes:
        name: In the language's own letters.
        typed: As typed, which is how traces show it.
        span: Where.
    """

    name: str
    typed: str
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A function call.

    Attributes:
        function: Its entry in the table.
        typed: The name as typed.
        arguments: In order.
        span: From the name to the closing parenthesis.
    """

    function: Function
    typed: str
    arguments: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """One step of an access.

    Attributes:
        key: What is looked up; None for the wildcard.
        span: From the opening bracket or dot to the step's end.
    """

    key: Node | None
    span: Span


@dataclass(frozen=True, slots=True)
class Access:
    """A value and the steps taken into it; flat, so that a long chain nests nothing."""

    base: Named | Call
    steps: tuple[Index, ...]
    span: Span


Node = Literal | Named | Call | Access


WILDCARD = "'*'"
"""How the wildcard is printed: in quotes, like the ordinary key it is not."""


def unmasked(text: str) -> str:
    """Return the text itself: the mask where nothing is secret."""
    return text


def format_value(value: Value, mask: Mask = unmasked) -> str:
    """Write a value as traces show it.

    Args:
        value: Any value.
        mask: Hides secrets; applied to texts before they are quoted.

    Returns:
        A text in quotes, a number, ``vVERSION``, ``True``, ``False``, or the kind's name.
    """
    if isinstance(value, str):
        return "'" + mask(value).replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return mask(number_text(value))
    if isinstance(value, Version):
        return "v" + mask(str(value))
    return kind_of(value).value


def print_node(node: Node, mask: Mask = unmasked) -> str:
    """Print an expression in its one normal form.

    Args:
        node: Any node.
        mask: Hides secrets in literals.

    Returns:
        The text; parsing it gives the same expression.
    """
    match node:
        case Literal():
            return format_value(node.value, mask)
        case Named():
            return node.typed
        case Call():
            return f"{node.typed}({', '.join(print_node(each, mask) for each in node.arguments)})"
        case Access():
            return print_node(node.base, mask) + "".join(
                f"[{WILDCARD if step.key is None else print_node(step.key, mask)}]"
                for step in node.steps
            )
