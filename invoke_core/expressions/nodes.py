"""The parsed expression, and how it is printed.

Source: expressions reference, sections 2 (forms) and 12 (how the trace prints them).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from invoke_core.expressions.kinds import Version, kind_name
from invoke_core.expressions.values import number_text

if TYPE_CHECKING:
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.operations import Function

Mask = Callable[[str], str]
"""Hides the secrets in a text."""


class Span:
    """Where a node stands in the source: characters from ``start`` up to ``end``."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        """Keep both."""
        self.start = start
        self.end = end


class Literal:
    """A constant."""

    __slots__ = ("span", "value")

    def __init__(self, value: bool | str | Decimal | Version, span: Span) -> None:  # noqa: FBT001  # a value like any other
        """Keep both."""
        self.value = value
        self.span = span


class Named:
    """A named value.

    Attributes:
        name: In the language's own letters.
        typed: As typed, which is how traces show it.
        span: Where.
    """

    __slots__ = ("name", "span", "typed")

    def __init__(self, name: str, typed: str, span: Span) -> None:
        """Keep all."""
        self.name = name
        self.typed = typed
        self.span = span


class Call:
    """A function call.

    Attributes:
        function: Its entry in the table.
        typed: The name as typed.
        arguments: In order.
        span: From the name to the closing parenthesis.
    """

    __slots__ = ("arguments", "function", "span", "typed")

    def __init__(
        self, function: Function, typed: str, arguments: tuple[Node, ...], span: Span
    ) -> None:
        """Keep all."""
        self.function = function
        self.typed = typed
        self.arguments = arguments
        self.span = span


class Index:
    """One step of an access.

    Attributes:
        key: What is looked up; None for the wildcard.
        span: From the opening bracket or dot to the step's end.
    """

    __slots__ = ("key", "span")

    def __init__(self, key: Node | None, span: Span) -> None:
        """Keep both."""
        self.key = key
        self.span = span


class Access:
    """A value and the steps taken into it; flat, so that a long chain nests nothing.

    Attributes:
        base: What is looked into first.
        steps: At least one.
        span: All of it.
        keys: A text for each name and an integer for each position, where nothing needs
            evaluation to know them; None where the base is a call, or a step is computed, a
            wildcard, or anything but a plain name or position.
    """

    __slots__ = ("base", "keys", "span", "steps")

    def __init__(self, base: Named | Call, steps: tuple[Index, ...], span: Span) -> None:
        """Work out the constant keys."""
        self.base = base
        self.steps = steps
        self.span = span
        self.keys = _constant_keys(steps) if isinstance(base, Named) else None


Node = Literal | Named | Call | Access


WILDCARD = "'*'"
"""How the wildcard is printed: in quotes, like the ordinary key it is not."""


_FEW_DIGITS = 9


def _constant_keys(steps: tuple[Index, ...]) -> tuple[str | int, ...] | None:
    keys: list[str | int] = []
    for step in steps:
        value = step.key.value if isinstance(step.key, Literal) else None
        if isinstance(value, str):
            keys.append(value)
        elif isinstance(value, Decimal) and str(value).isdigit() and len(str(value)) <= _FEW_DIGITS:
            keys.append(int(value))
        else:
            return None
    return tuple(keys)


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
    kind = type(value)
    if kind is str:
        return "'" + mask(value).replace("'", "''") + "'"  # type: ignore[arg-type]  # a text
    if kind is bool:
        return "True" if value else "False"
    if kind is Decimal:
        return mask(number_text(value))  # type: ignore[arg-type]  # a number
    if kind is Version:
        return "v" + mask(str(value))
    return kind_name(value)


def print_node(node: Node, mask: Mask = unmasked) -> str:
    """Print an expression in its one normal form.

    Args:
        node: Any node.
        mask: Hides secrets in literals.

    Returns:
        The text; parsing it gives the same expression.
    """
    if isinstance(node, Literal):
        return format_value(node.value, mask)
    if isinstance(node, Named):
        return node.typed
    if isinstance(node, Call):
        return f"{node.typed}({', '.join([print_node(each, mask) for each in node.arguments])})"
    return print_node(node.base, mask) + "".join(
        f"[{WILDCARD if step.key is None else print_node(step.key, mask)}]" for step in node.steps
    )


_TEXT = re.compile("'[^']*+(?:''[^']*+)*+'")


def mask_source(source: str, mask: Mask) -> str:
    """Mask the text of an expression, or of a part of one.

    Args:
        source: As typed.
        mask: Hides secrets in a text.

    Returns:
        The text, masked also where a secret with a quote in it stands with two.
    """
    if "''" in source:
        source = _TEXT.sub(
            lambda text: format_value(text[0][1:-1].replace("''", "'"), mask), source
        )
    return mask(source)
