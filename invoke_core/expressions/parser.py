"""From text to nodes: recursive descent, strictly left to right, stopping at the first error.

Each ``_parse_*`` method's docstring is its production. Nesting is bounded by ``MAX_DEPTH``, so
the recursion is too.

Source: expressions reference, sections 2 (grammar, errors) and 11 (limits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from invoke_core.expressions.complaints import complain
from invoke_core.expressions.nodes import Access, Call, Index, Literal, Named, Span
from invoke_core.expressions.texts import utf16_length
from invoke_core.expressions.tokens import Token, TokenKind, tokenize

if TYPE_CHECKING:
    from invoke_core.expressions.functions import Dialect
    from invoke_core.expressions.nodes import Node

MAX_LENGTH: Final = 21_000
"""Longest expression, in UTF-16 units."""

MAX_DEPTH: Final = 50
"""So many calls and brackets open at once are one too many."""


def parse(text: str, dialect: Dialect) -> Node | None:
    """Parse an expression.

    Args:
        text: The expression.
        dialect: The names it may use.

    Returns:
        Its tree; None for a text of white space alone.

    Raises:
        ExpressionSyntaxError: It does not parse.
    """
    if utf16_length(text) > MAX_LENGTH:
        raise complain("ExceededMaxLength", source=text, dialect=dialect)
    return _Parser(text, dialect).parse()


class _Parser:
    """One run over one text."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self._tokens = tokenize(text)
        self._token = next(self._tokens, None)
        self._open: list[Token] = []

    def parse(self) -> Node | None:
        """Criteria = [ value ] end."""
        node = self._parse_value() if self._token else None
        if self._token:
            self._refuse(self._token, expected="the end of the expression")
        return node

    def _parse_value(self) -> Node:
        """Value = literal | ( named | call ) { index }."""
        token = self._token
        if token is None:
            self._refuse_end()
        match token.kind:
            case TokenKind.LITERAL:
                self._advance()
                assert token.value is not None  # noqa: S101  # a literal has a value
                return Literal(token.value, Span(token.start, token.end))
            case TokenKind.KEYWORD if token.text.lower() in self._dialect.functions:
                return self._parse_indexes(self._parse_call(token))
            case TokenKind.KEYWORD if token.text.lower() in self._dialect.names:
                self._advance()
                name = self._dialect.names[token.text.lower()]
                return self._parse_indexes(Named(name, token.text, Span(token.start, token.end)))
        return self._refuse(token, expected="a value")

    def _parse_call(self, name: Token) -> Call:
        """Call = name "(" [ value { "," value } ] ")"."""
        self._advance()
        if not self._at(TokenKind.START_PARAMETER):
            self._fail("ExpectedStartParameter", name, expected="'(' after the function's name")
        self._advance()
        self._enter(name)
        function = self._dialect.functions[name.text.lower()]
        arguments: list[Node] = []
        if not self._at(TokenKind.END_PARAMETER):
            arguments.append(self._parse_value())
            while self._at(TokenKind.SEPARATOR):
                if len(arguments) >= function.most:
                    break
                self._advance()
                arguments.append(self._parse_value())
        end = self._token
        if end is None:
            self._refuse_end()
        if (
            end.kind is not TokenKind.END_PARAMETER
            or not function.least <= len(arguments) <= function.most
        ):
            self._refuse(end, expected=_after_arguments(function.least, function.most, arguments))
        self._leave()
        return Call(function, name.text, tuple(arguments), Span(name.start, end.end))

    def _parse_indexes(self, base: Named | Call) -> Node:
        """Indexes = { "[" ( value | "*" ) "]" | "." ( property | "*" ) }."""
        steps: list[Index] = []
        while self._token is not None:
            if self._token.kind is TokenKind.START_INDEX:
                steps.append(self._parse_bracket(self._token))
            elif self._token.kind is TokenKind.DEREFERENCE:
                steps.append(self._parse_property(self._token))
            else:
                break
        if not steps:
            return base
        return Access(base, tuple(steps), Span(base.span.start, steps[-1].span.end))

    def _parse_bracket(self, start: Token) -> Index:
        """Bracket = "[" ( value | "*" ) "]"."""
        self._advance()
        self._enter(start)
        key: Node | None = None
        if self._at(TokenKind.WILDCARD):
            self._advance()
        else:
            key = self._parse_value()
        end = self._token
        if end is None:
            self._refuse_end()
        if end.kind is not TokenKind.END_INDEX:
            self._refuse(end, expected="']'")
        self._leave()
        return Index(key, Span(start.start, end.end))

    def _parse_property(self, dot: Token) -> Index:
        """Property = "." ( word | "*" )."""
        self._advance()
        name = self._token
        if name is None:
            self._fail("ExpectedPropertyName", dot, expected="a property name after the dot")
        span = Span(dot.start, name.end)
        if name.kind is TokenKind.WILDCARD:
            self._advance()
            return Index(None, span)
        if name.kind is not TokenKind.PROPERTY_NAME:
            self._fail("UnexpectedSymbol", name, expected="a property name or '*' after the dot")
        self._advance()
        return Index(Literal(name.text, Span(name.start, name.end)), span)

    def _at(self, kind: TokenKind) -> bool:
        return self._token is not None and self._token.kind is kind

    def _advance(self) -> None:
        self._token = next(self._tokens, None)

    def _enter(self, token: Token) -> None:
        self._open.append(token)
        if len(self._open) >= MAX_DEPTH:
            raise complain("ExceededMaxDepth", source=self._text, dialect=self._dialect)

    def _leave(self) -> None:
        self._open.pop()
        self._advance()

    def _refuse(self, token: Token, *, expected: str) -> NoReturn:
        """Refuse a token where it stands; an unknown one is unrecognized wherever it stands."""
        known = {*self._dialect.functions, *self._dialect.names}
        unknown = token.kind is TokenKind.UNRECOGNIZED or (
            token.kind is TokenKind.KEYWORD and token.text.lower() not in known
        )
        kind = "UnrecognizedValue" if unknown else "UnexpectedSymbol"
        self._fail(kind, token, expected=expected)

    def _refuse_end(self) -> NoReturn:
        token = self._open[-1]
        if token.kind is TokenKind.START_INDEX:
            self._fail("UnclosedIndexer", token, expected="a ']' for this '['")
        self._fail("UnclosedFunction", token, expected="a ')' at the end of this call")

    def _fail(self, kind: str, token: Token, *, expected: str) -> NoReturn:
        raise complain(
            kind, source=self._text, dialect=self._dialect, token=token, expected=expected
        )


def _after_arguments(least: int, most: int, arguments: list[Node]) -> str:
    if len(arguments) < least:
        return f"another argument; it takes at least {least}"
    if len(arguments) >= most:
        return f"')': it takes no more than {most}"
    return "',' or ')'"
