"""What a person is told about an expression that does not parse.

The facts (kind, token, position) are the original engine's; the line with the caret, what was
expected and the nearest known name are our courtesy.

Source: expressions reference, section 2, "Parse errors".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.errors import ExpressionSyntaxError, did_you_mean
from invoke_core.expressions.texts import utf16_length
from invoke_core.expressions.tokens import TokenKind

if TYPE_CHECKING:
    from invoke_core.expressions.functions import Dialect
    from invoke_core.expressions.tokens import Token

_LABELS: Final = {
    "UnrecognizedValue": "Unrecognized value",
    "UnexpectedSymbol": "Unexpected symbol",
    "ExpectedStartParameter": "Expected '(' to follow function",
    "ExpectedPropertyName": "Expected property name to follow",
    "UnclosedFunction": "Unclosed function",
    "UnclosedIndexer": "Unclosed indexer",
    "ExceededMaxDepth": "Exceeded max expression depth 50",
    "ExceededMaxLength": "Exceeded max expression length 21000",
}
_WIDTH: Final = 80
_QUOTES: Final = {
    "'": " The text is not closed; a quote inside a text is doubled.",
    '"': " Texts stand in single quotes.",
}
_FOREIGN: Final = {
    "null": " There is no null; compare with ''.",
    **dict.fromkeys(
        ("always", "succeeded", "failed", "canceled", "succeededorfailed"),
        " It is for the condition of a step.",
    ),
    **dict.fromkeys(
        ("root", "response", "taskinputs", "jsonpath"),
        " It is for success criteria; a condition is evaluated before anything is sent.",
    ),
}
"""Words that other languages, or other places, have."""


def complain(
    kind: str,
    *,
    source: str,
    dialect: Dialect,
    token: Token | None = None,
    expected: str = "",
) -> ExpressionSyntaxError:
    """Make the error of an expression that does not parse.

    Args:
        kind: The engine's name of the error.
        source: The whole expression.
        dialect: The names that would have been known.
        token: What is at fault; None for the limits.
        expected: What would have been right there.

    Returns:
        The error, ready to be raised.
    """
    label = _LABELS[kind]
    if token is None:
        return ExpressionSyntaxError(
            f"{label}.", source=source, kind=kind, token=None, position=None
        )
    position = utf16_length(source[: token.start]) + 1
    message = f"{label}: '{_cut(token.text)}' at position {position}. Expected {expected}."
    if kind == "UnrecognizedValue":
        message += _hint(token, dialect)
    return ExpressionSyntaxError(
        f"{message}\n{_underlined(source, token)}",
        source=source,
        kind=kind,
        token=token.text,
        position=position,
    )


def _hint(token: Token, dialect: Dialect) -> str:
    """Say what a word that is none may have been meant as."""
    text = token.text
    if text[:1] in _QUOTES:
        return _QUOTES[text[:1]]
    word = text.lower()
    if word in _FOREIGN and word not in dialect.functions and word not in dialect.names:
        return _FOREIGN[word]
    if text.startswith("$") and "root" not in dialect.names:
        return " Macros are not expanded in a condition; variables['name'] reads a variable."
    if token.kind is TokenKind.KEYWORD:
        functions = [function.name for function in dialect.functions.values()]
        return did_you_mean(text, [*functions, *dialect.names.values()])
    if any(sign in text for sign in ("=", "&", "|", "!", "<", ">")):
        return " There are no operators; use eq, ne, lt, le, gt, ge, and, or, not."
    return ""


def _underlined(source: str, token: Token) -> str:
    """Return the line a token stands in, with carets below it."""
    start = source.rfind("\n", 0, token.start) + 1
    end = source.find("\n", token.start)
    line = source[start : end if end >= 0 else len(source)]
    column = token.start - start
    left = max(0, column - _WIDTH // 2)
    shown = "".join(" " if char.isspace() else char for char in line[left : left + _WIDTH])
    carets = "^" * max(1, min(len(token.text), len(shown) - (column - left)))
    return f"  {shown}\n  {' ' * (column - left)}{carets}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "..."
