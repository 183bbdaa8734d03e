"""The verbose trace: every token as it is read, every value as it comes about.

Source: expressions reference, section 12, "Verbose lines".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.expressions import values
from invoke_core.expressions.kinds import Kind, kind_of
from invoke_core.expressions.nodes import mask_source
from invoke_core.expressions.tokens import TokenKind, tokenize

if TYPE_CHECKING:
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.shown import Shown
    from invoke_core.expressions.tokens import Token

_LONGEST: Final = 1_048_576
"""Characters kept: a long chain of steps indents quadratically."""

_OUTSIDE: Final = frozenset(
    {TokenKind.START_PARAMETER, TokenKind.END_PARAMETER, TokenKind.END_INDEX}
)


class VerboseLog:
    """The lines so far, masked."""

    def __init__(self, shown: Shown) -> None:
        """Start empty."""
        self._shown = shown
        self._mask = shown.mask
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
            # A call is open from its name on, a bracket once it has been read.
            if token.kind is TokenKind.START_PARAMETER:
                depth += 1
            level = max(depth - 1, 0) if token.kind in _OUTSIDE else depth
            self._indented(level, self._show_token(token))
            if token.kind is TokenKind.START_INDEX:
                depth += 1
            elif token.kind in {TokenKind.END_PARAMETER, TokenKind.END_INDEX}:
                depth -= 1

    def evaluating(self, level: int, name: str) -> None:
        """Log that a node is about to be evaluated."""
        self._indented(level, f"Evaluating {name}:")

    def value(self, level: int, value: Value) -> None:
        """Log a value."""
        if self._left >= 0:
            self._indented(level, "=> " + self._shown.format(value))

    def conversion(self, level: int, value: Value, kind: Kind, converted: Value) -> None:
        """Log a conversion as the engine does, intermediate steps and failures included.

        Args:
            level: Of the value.
            value: What was converted.
            kind: To what.
            converted: What it became; None where it could not be converted, or to Null.
        """
        if kind is Kind.STRING and value is None:
            # The engine shows the text Null becomes as what it was.
            self.value(level, None)
            return
        if kind is Kind.VERSION and kind_of(value) is Kind.NUMBER:
            self.value(level, values.try_text(value))
        if converted is None and not (kind is Kind.NULL and values.is_null(value)):
            from_kind = kind_of(value).value
            self._indented(level, f"=> Unable to coerce {from_kind} to {kind.value}.")
        else:
            self.value(level, converted)

    def _indented(self, level: int, line: str) -> None:
        if self._left >= 0:
            self.add(self._mask(".." * level + line))

    def _show_token(self, token: Token) -> str:
        if token.value is not None:
            return self._shown.format(token.value)
        if token.kind is TokenKind.PROPERTY_NAME:
            return f"PropertyName {self._shown.format(token.text)}"
        return token.text
