"""The tokens of an expression.

Scanning never fails: what fits no rule becomes an ``UNRECOGNIZED`` token, and the parser refuses
it where it stands. Spans are in characters; errors and explanations speak UTF-16 units.

Source: expressions reference, section 1.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.values import parse_number, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from invoke_core.expressions.kinds import Version

WHITE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What .NET takes for white space, one by one; also good as the inside of a character class."""


class TokenKind(Enum):
    """What a token is."""

    START_INDEX = auto()
    END_INDEX = auto()
    START_PARAMETER = auto()
    END_PARAMETER = auto()
    SEPARATOR = auto()
    DEREFERENCE = auto()
    WILDCARD = auto()
    LITERAL = auto()
    KEYWORD = auto()
    PROPERTY_NAME = auto()
    UNRECOGNIZED = auto()


class Token:
    """One token.

    Attributes:
        kind: What it is.
        text: As typed.
        start: Index of its first character.
        value: Of a literal: what it stands for.
    """

    __slots__ = ("kind", "start", "text", "value")

    def __init__(
        self,
        kind: TokenKind,
        text: str,
        start: int,
        value: bool | str | Decimal | Version | None = None,  # noqa: FBT001  # a value like any other
    ) -> None:
        """Keep all."""
        self.kind = kind
        self.text = text
        self.start = start
        self.value = value

    @property
    def end(self) -> int:
        """Index after its last character."""
        return self.start + len(self.text)


_PUNCTUATION: Final = {
    "[": TokenKind.START_INDEX,
    "]": TokenKind.END_INDEX,
    "(": TokenKind.START_PARAMETER,
    ")": TokenKind.END_PARAMETER,
    ",": TokenKind.SEPARATOR,
    "*": TokenKind.WILDCARD,
}
_BEFORE_NUMBER: Final = frozenset(
    {None, TokenKind.SEPARATOR, TokenKind.START_INDEX, TokenKind.START_PARAMETER}
)
_WHITE: Final = frozenset(WHITE)
# Possessive: a doubled quote is never taken back to close a text that has no end.
_STRING: Final = re.compile("'[^']*+(?:''[^']*+)*+'")
_NUMBER_RUN: Final = re.compile(rf"[^{WHITE}\[\](),]+")
_WORD_RUN: Final = re.compile(rf"[^{WHITE}\[\](),.]+")
_KEYWORD: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_NUMBER: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_DIGITS_AND_DOTS: Final = re.compile("[0-9.]+")
_NUMBER_START: Final = frozenset("-0123456789")


def tokenize(text: str) -> Iterator[Token]:
    """Split an expression into tokens, one at a time.

    Args:
        text: The expression.

    Yields:
        Its tokens from left to right.
    """
    previous: TokenKind | None = None
    position = _skip_space(text, 0)
    while position < len(text):
        token = _scan(text, position, previous)
        yield token
        previous = token.kind
        position = _skip_space(text, token.end)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _WHITE:
        position += 1
    return position


def _scan(text: str, start: int, previous: TokenKind | None) -> Token:
    first = text[start]
    if first in _PUNCTUATION:
        return Token(_PUNCTUATION[first], first, start)
    if first == "'":
        return _string(text, start)
    if first in _NUMBER_START or (first == "." and previous in _BEFORE_NUMBER):
        return _number(text, start)
    if first == ".":
        return Token(TokenKind.DEREFERENCE, first, start)
    return _word(text, start, previous)


def _string(text: str, start: int) -> Token:
    match = _STRING.match(text, start)
    if match is None:
        return Token(TokenKind.UNRECOGNIZED, text[start:], start)
    return Token(TokenKind.LITERAL, match[0], start, match[0][1:-1].replace("''", "'"))


def _number(text: str, start: int) -> Token:
    match = _NUMBER_RUN.match(text, start)
    typed = match[0] if match else text[start]
    value: Decimal | Version | None
    if typed.count(".") >= 2:
        value = parse_version(typed) if _DIGITS_AND_DOTS.fullmatch(typed) else None
    else:
        value = parse_number(typed) if _PLAIN_NUMBER.fullmatch(typed) else None
    kind = TokenKind.UNRECOGNIZED if value is None else TokenKind.LITERAL
    return Token(kind, typed, start, value)


def _word(text: str, start: int, previous: TokenKind | None) -> Token:
    match = _WORD_RUN.match(text, start)
    typed = match[0] if match else text[start]
    if not _KEYWORD.fullmatch(typed):
        return Token(TokenKind.UNRECOGNIZED, typed, start)
    if previous is TokenKind.DEREFERENCE:
        return Token(TokenKind.PROPERTY_NAME, typed, start)
    if typed.lower() in {"true", "false"}:
        return Token(TokenKind.LITERAL, typed, start, typed.lower() == "true")
    return Token(TokenKind.KEYWORD, typed, start)
