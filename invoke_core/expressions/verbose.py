"""The verbose trace: every token as it is read, every value as it comes about.

Source: expressions reference, section 12, "Verbose lines".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.expressions import values
from invoke_core.expressions.kinds import Kind, Version, kind_of
from invoke_core.expressions.nodes import format_value, mask_source
from invoke_core.expressions.tokens import TokenKind, tokenize

if TYPE_CHECKING:
    from decimal import Decimal

    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.nodes import Mask
    from invoke_core.expressions.tokens import Token

_LONGEST: Final = 1_048_576
"""Characters kept: a long chain of steps indents quadratically."""

_CLOSERS: Final = frozenset(
    {TokenKind.START_PARAMETER, TokenKind.END_PARAMETER, TokenKind.END_INDEX}
)


class VerboseLog:
    """The lines so far, masked."""

    def __init__(self, mask: Mask) -> None:
        """Start empty."""
        self._mask = mask
        self._lines: list[str] = []
        self._left = _LONGEST

    def add(self, line: str) -> None:
        """Append a line, unless the log is full."""
        if self._left < 0:
            return
        self._left -= len(line)
        self._lines.append(
            line if self._left >= 0 else f"(The trace is cut after {_LONGEST} characters.)"
        )

    def lines(self, last: list[str]) -> tuple[str, ...]:
        """Return all lines, followed by the last ones, which are never cut."""
        return (*self._lines, *last)

    def parsing(self, source: str) -> None:
        """Log the text and its tokens."""
        self.add(f"Parsing expression: <{mask_source(source, self._mask)}>")
        depth = 0
        for token in tokenize(source):
            level = max(depth - 1, 0) if token.kind in _CLOSERS else depth
            self._indented(level, _show(token, self._mask))
            if token.kind in {TokenKind.START_PARAMETER, TokenKind.START_INDEX}:
                depth += 1
            elif token.kind in {TokenKind.END_PARAMETER, TokenKind.END_INDEX}:
                depth -= 1

    def evaluating(self, level: int, name: str) -> None:
        """Log that a node is about to be evaluated."""
        self._indented(level, f"Evaluating {name}:")

    def value(self, level: int, value: Value) -> None:
        """Log a value."""
        self._indented(level, "=> " + format_value(value, self._mask))

    def conversion(self, level: int, value: Value, kind: Kind) -> None:
        """Log a conversion as the engine does, intermediate steps and failures included."""
        converted: bool | str | Decimal | Version | None
        if kind is Kind.STRING:
            converted = values.try_text(value)
            if value is None:
                # The engine shows the text Null becomes as what it was.
                self.value(level, None)
                return
        elif kind is Kind.NUMBER:
            converted = values.try_number(value)
        elif kind is Kind.VERSION:
            converted = values.try_version(value)
            if kind_of(value) is Kind.NUMBER:
                self.value(level, values.try_text(value))
        elif kind is Kind.BOOLEAN:
            converted = values.to_boolean(value)
        else:
            converted = None
            if values.is_null(value):
                self.value(level, None)
                return
        if converted is None:
            from_kind = kind_of(value).value
            self._indented(level, f"=> Unable to coerce {from_kind} to {kind.value}.")
        else:
            self.value(level, converted)

    def _indented(self, level: int, line: str) -> None:
        if self._left >= 0:
            self.add(self._mask(".." * level + line))


def _show(token: Token, mask: Mask) -> str:
    if token.value is not None:
        return format_value(token.value, mask)
    if token.kind is TokenKind.PROPERTY_NAME:
        return f"PropertyName {format_value(token.text, mask)}"
    return token.text
