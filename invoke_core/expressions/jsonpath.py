"""JSONPath over parsed answers: a library's parser, in the documented dialect.

The path language is python-jsonpath's in its strict mode, which leaves out regular expressions,
functions and every other extension. Adapted are:

- numbers: documents hold them as text and filters compare them exactly;
- comparison: scalars only, texts with their case, a missing or differently typed side is never
  equal, greater or less, and of several values one has to fit;
- names after a dot may hold anything but blanks and punctuation (``.my-name``, ``.@odata``);
- ``..``: in document order, ``$..*`` beginning with the value itself;
- the evaluation, which is in ``path_steps``.

Source: expressions reference, section 8, ``jsonpath`` (dialect Inferred: Newtonsoft's
``SelectTokens``); HTTP contract, section 2: at most 1,000,000 nodes.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NoReturn, cast

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError, JSONPathSyntaxError
from jsonpath.filter import FloatLiteral
from jsonpath.lex import Lexer
from jsonpath.parse import Parser

from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.path_steps import Run, Step, steps_of

if TYPE_CHECKING:
    from jsonpath.filter import BaseExpression
    from jsonpath.stream import TokenStream

    from invoke_core.expressions.kinds import Raw
    from invoke_core.expressions.work import Work

_LONGEST: Final = 21_000
"""Longest path: as long as an expression may be."""

_CHARACTER: Final = 20
"""Steps to parse a character."""


def find(path: str, document: Raw, work: Work) -> list[Raw]:
    """Return what a path selects in a document.

    Args:
        path: With or without a leading ``$.``.
        document: The parsed answer.
        work: What pays for the nodes that are visited.

    Returns:
        The values, unread, in document order.

    Raises:
        EvaluationFault: ``InvalidPath`` where it does not parse, ``TooManyNodes`` where there is
            nothing left to pay with.
    """
    if len(path) > _LONGEST:
        raise _invalid(f"it is longer than {_LONGEST:,} characters")
    work.spend(len(path) * _CHARACTER)
    text = path.strip(" ")
    if not text.startswith("$"):
        text = "$" + text if text.startswith(("[", ".")) else "$." + text
    if text == "$.":
        text = "$"
    try:
        follow = _compile(text)
        work.visit(1)
        return cast("list[Raw]", list(follow((document,), Run(document, work))))
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    except JSONPathError as error:
        raise _invalid(_in_words(str(error).split("\n", maxsplit=1)[0])) from None
    except (ValueError, ArithmeticError):
        raise _invalid("it holds a number that cannot be read") from None


def _in_words(message: str) -> str:
    """Return a message of the library without its names of tokens."""
    return _TOKEN_NAME.sub(lambda name: name[1].lower().replace("_", " "), message)


_TOKEN_NAME: Final = re.compile("'?TOKEN_([A-Z_]+)'?")


def _invalid(reason: str) -> EvaluationFault:
    return EvaluationFault("InvalidPath", f"This is no JSONPath as it is read here: {reason}.")


class _Lexer(Lexer):
    key_pattern = r"[^\s\x00-\x1f.\[\]()'\",:?*!=<>&|]+"


class _Parser(Parser):
    """The strict grammar, and less."""

    def parse_integer_literal(self, stream: TokenStream) -> BaseExpression:
        return self.parse_float_literal(stream)

    def parse_float_literal(self, stream: TokenStream) -> BaseExpression:
        token = stream.next()
        try:
            number = Decimal(token.value)
        except InvalidOperation:
            raise JSONPathSyntaxError("invalid number", token=token) from None
        return FloatLiteral(value=cast(float, number))

    def parse_infix_expression(self, stream: TokenStream, left: BaseExpression) -> BaseExpression:
        if stream.current().value == "<>":
            # The library reads it in its strict mode, too; the documented dialect has only "!=".
            raise JSONPathSyntaxError("write '!=' for '<>'", token=stream.current())
        return super().parse_infix_expression(stream, left)

    def parse_list_literal(self, stream: TokenStream) -> NoReturn:
        raise JSONPathSyntaxError("unexpected '['", token=stream.current())

    def parse_singular_query_selector(self, stream: TokenStream) -> NoReturn:
        raise JSONPathSyntaxError("unexpected name", token=stream.current())


class _Environment(JSONPathEnvironment):
    lexer_class = _Lexer
    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        """Offer no functions: some take regular expressions."""


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    return _Environment(strict=True, well_typed=False, filter_caching=False)


@lru_cache(maxsize=128)
def _compile(text: str) -> Step:
    return steps_of(cast(JSONPath, _environment().compile(text)).segments)
