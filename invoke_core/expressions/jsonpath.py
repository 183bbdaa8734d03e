"""JSONPath over parsed answers: a library's parser and selectors, in the documented dialect.

The path language is python-jsonpath's in its strict mode, which leaves out regular expressions,
functions and every other extension. Adapted are, by the hooks it has for that:

- numbers: documents hold them as text and filters compare them exactly;
- comparison: scalars only, texts with their case, a missing or differently typed side is never
  equal, greater or less, and of several values one has to fit;
- names after a dot may hold anything but blanks and punctuation (``.my-name``, ``.@odata``);
- ``..``: in document order, ``$..*`` beginning with the value itself;
- everything that is looked at counts against one budget, and nothing recurses into data.

Source: expressions reference, section 8, ``jsonpath`` (dialect Inferred: Newtonsoft's
``SelectTokens``); HTTP contract, section 2: at most 1,000,000 nodes.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch, NodeList
from jsonpath.exceptions import JSONPathError, JSONPathSyntaxError
from jsonpath.filter import FloatLiteral, RelativeFilterQuery, RootFilterQuery
from jsonpath.lex import Lexer
from jsonpath.parse import Parser
from jsonpath.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.selectors import Filter, FilterContext, NameSelector, WildcardSelector

from invoke_core.documents import JsonNumber
from invoke_core.expressions.kinds import Caseless, Filtered
from invoke_core.expressions.values import EvaluationFault, units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonpath.filter import BaseExpression
    from jsonpath.stream import TokenStream

    from invoke_core.expressions.kinds import Raw

MOST_NODES: Final = 1_000_000
"""So many nodes may be visited by one path."""


def find(path: str, document: Raw, *, most_nodes: int = MOST_NODES) -> list[Raw]:
    """Return what a path selects in a document.

    Args:
        path: With or without a leading ``$.``.
        document: The parsed answer.
        most_nodes: How many nodes may be visited.

    Returns:
        The values, unread, in document order.

    Raises:
        EvaluationFault: ``InvalidPath`` where it does not parse, ``TooManyNodes`` where the
            budget is spent.
    """
    text = path.strip(" ")
    if not text.startswith("$"):
        text = "$" + text if text.startswith(("[", ".")) else "$." + text
    if text == "$.":
        text = "$"
    try:
        query = _compile(text)
        budget = _Budget(most_nodes)
        return [cast("Raw", match.obj) for match in query.select(document, budget)]
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    except JSONPathError as error:
        raise _invalid(str(error).split("\n", maxsplit=1)[0]) from None
    except (ValueError, ArithmeticError):
        raise _invalid("it holds a number that cannot be read") from None


def _invalid(reason: str) -> EvaluationFault:
    return EvaluationFault("InvalidPath", f"This is no JSONPath as it is read here: {reason}.")


def _too_many() -> EvaluationFault:
    return EvaluationFault("TooManyNodes", f"The path visits more than {MOST_NODES:,} nodes.")


class _Budget:
    """How many nodes may still be looked at."""

    __slots__ = ("left",)

    def __init__(self, nodes: int) -> None:
        self.left = nodes

    def spend(self) -> None:
        """Count one node."""
        self.left -= 1
        if self.left < 0:
            raise _too_many()


class _Match(JSONPathMatch):
    """A node on the way; it keeps neither its place nor its children, and counts."""

    __slots__ = ("budget",)

    def __init__(self, value: object, root: object, budget: _Budget) -> None:
        budget.left -= 1
        if budget.left < 0:
            raise _too_many()
        self.obj = value
        self.root = cast(Any, root)
        self.budget = budget

    def new_child(self, obj: object, key: int | str) -> _Match:  # noqa: ARG002  # its place is of no interest
        return _Match(obj, self.root, self.budget)

    def add_child(self, *children: JSONPathMatch) -> None:
        """Forget the children."""

    def filter_context(self) -> Mapping[str, Any]:
        return {"budget": self.budget}


class _Query(JSONPath):
    """A path, evaluated segment by segment so that a long one nests nothing."""

    def select(self, root: object, budget: _Budget, start: object = ...) -> list[JSONPathMatch]:
        """Return the matches, from the root of the document or from a node in it."""
        first = root if start is ... else start
        matches: list[JSONPathMatch] = [_Match(first, root, budget)]
        for segment in self.segments:
            matches = list(segment.resolve(matches))
        return matches


class _Relative(RelativeFilterQuery):
    """``@...``: a scalar without further steps is a match like any other."""

    def evaluate(self, context: FilterContext) -> NodeList:
        budget = context.extra_context["budget"]
        return NodeList(cast(_Query, self.path).select(context.root, budget, context.current))


class _Root(RootFilterQuery):
    """``$...`` within a filter."""

    def evaluate(self, context: FilterContext) -> NodeList:
        budget = context.extra_context["budget"]
        return NodeList(cast(_Query, self.path).select(context.root, budget))


class _Filter(Filter):
    """``?...``: every value that is looked at counts, whether it passes or not."""

    def resolve(self, node: JSONPathMatch) -> Iterable[JSONPathMatch]:
        parent = cast(_Match, node)
        for value in _children(parent.obj):
            match = parent.new_child(value, 0)
            context = FilterContext(
                env=self.env,
                current=value,
                root=parent.root,
                extra_context=parent.filter_context(),
            )
            if self.expression.evaluate(context):
                yield match


class _Descent(JSONPathRecursiveDescentSegment):
    """``..``: depth first in document order, on a stack of its own."""

    def resolve(self, nodes: Iterable[JSONPathMatch]) -> Iterator[JSONPathMatch]:
        selector = self.selectors[0] if len(self.selectors) == 1 else None
        for node in nodes:
            if isinstance(selector, WildcardSelector):
                yield from self._all(cast(_Match, node))
            elif isinstance(selector, NameSelector):
                yield from self._named(cast(_Match, node), selector.name)
            else:
                for each in self._all(cast(_Match, node)):
                    if isinstance(each.obj, (dict, list, Caseless, Filtered)):
                        for chosen in self.selectors:
                            yield from chosen.resolve(each)

    @staticmethod
    def _all(top: _Match) -> Iterator[_Match]:
        """Yield a node and everything below it."""
        yield top
        stack = [iter(_children(top.obj))]
        while stack:
            for value in stack[-1]:
                yield top.new_child(value, 0)
                stack.append(iter(_children(value)))
                break
            else:
                stack.pop()

    @staticmethod
    def _named(top: _Match, name: str) -> Iterator[_Match]:
        """Yield every member of a name, in the order the document has them."""
        stack = [iter(_members(top.obj))]
        while stack:
            for key, value in stack[-1]:
                top.budget.spend()
                if key == name:
                    yield top.new_child(value, 0)
                stack.append(iter(_members(value)))
                break
            else:
                stack.pop()


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _members(value: object) -> Iterable[tuple[str | None, object]]:
    if isinstance(value, dict):
        return value.items()
    return ((None, item) for item in value) if isinstance(value, list) else ()


class _Lexer(Lexer):
    key_pattern = r"[^\s\x00-\x1f.\[\]()'\",:?*!=<>&|]+"


class _Parser(Parser):
    """The strict grammar, with our own nodes in it."""

    def parse_query(self, stream: TokenStream) -> Iterator[JSONPathSegment]:
        for segment in super().parse_query(stream):
            if isinstance(segment, JSONPathRecursiveDescentSegment):
                yield _Descent(env=self.env, token=segment.token, selectors=segment.selectors)
            else:
                yield segment

    def parse_filter_selector(self, stream: TokenStream, *, keys: bool = False) -> Filter:
        found = super().parse_filter_selector(stream, keys=keys)
        return _Filter(env=self.env, token=found.token, expression=found.expression)

    def parse_relative_query(self, stream: TokenStream) -> BaseExpression:
        stream.next()
        return _Relative(_Query(env=self.env, segments=self.parse_query(stream)))

    def parse_absolute_query(self, stream: TokenStream) -> BaseExpression:
        stream.next()
        return _Root(_Query(env=self.env, segments=self.parse_query(stream)))

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

    def is_truthy(self, obj: object) -> bool:
        """Tell whether a query found anything, or a comparison held."""
        return bool(obj)

    def compare(self, left: object, operator: str, right: object) -> bool:
        """Compare in the documented dialect."""
        if operator == "&&":
            return bool(left) and bool(right)
        if operator == "||":
            return bool(left) or bool(right)
        return any(
            _holds(one, operator, other) for one in _values(left) for other in _values(right)
        )


def _values(side: object) -> Iterator[object]:
    if not isinstance(side, NodeList):
        yield side
        return
    for match in side:
        cast(_Match, match).budget.spend()
        yield match.obj


def _holds(left: object, operator: str, right: object) -> bool:
    """Compare two scalars; containers equal nothing."""
    one, other = _scalar(left), _scalar(right)
    if one is None or other is None:
        return False
    same_kind = type(one) is type(other)
    if operator == "==":
        return same_kind and one == other
    if operator == "!=":
        return not (same_kind and one == other)
    if not same_kind or isinstance(one, (bool, _Null)):
        return False
    return _ordered(cast(Any, one), operator, cast(Any, other))


def _ordered(left: Any, operator: str, right: Any) -> bool:  # noqa: ANN401  # two of one type, which the caller saw to
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right) if operator == ">" else bool(left >= right)


class _Null:
    """A null that is there, as opposed to nothing."""


_NULL: Final = _Null()


def _scalar(value: object) -> bool | str | Decimal | _Null | None:
    """Return what a scalar is compared by; None for a container."""
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return value
    if isinstance(value, JsonNumber):
        return _exact(value.text)
    if isinstance(value, str):
        return units(value)
    return value if isinstance(value, Decimal) else None


def _exact(text: str) -> Decimal | None:
    """Return a JSON number as it is; None for an exponent beyond all reason."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    return _Environment(strict=True, well_typed=False, filter_caching=False)


@lru_cache(maxsize=128)
def _compile(text: str) -> _Query:
    environment = _environment()
    query = environment.compile(text)
    return _Query(env=environment, segments=cast(JSONPath, query).segments)
