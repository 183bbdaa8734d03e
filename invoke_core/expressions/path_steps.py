"""A parsed path as functions over plain values.

The library's own evaluation makes an object for every node it visits. Here a segment is a
function from a list of values to the list of what it selects in them; every node that is looked
at is paid for, and nothing recurses into data.

What the dialect is: ``jsonpath``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, cast

from jsonpath.exceptions import JSONPathError, JSONPathSyntaxError
from jsonpath.filter import (
    FilterExpression,
    FilterExpressionLiteral,
    FilterQuery,
    InfixExpression,
    Nil,
    PrefixExpression,
    RootFilterQuery,
)
from jsonpath.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment
from jsonpath.selectors import (
    Filter,
    IndexSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from invoke_core.documents import JsonNumber
from invoke_core.expressions.texts import units
from invoke_core.expressions.work import FREE_TEXT

if TYPE_CHECKING:
    from jsonpath.filter import BaseExpression
    from jsonpath.segments import JSONPathSegment
    from jsonpath.selectors import JSONPathSelector

    from invoke_core.expressions.work import Work


class Run:
    """One evaluation of a path.

    Attributes:
        root: The whole document, which ``$`` within a filter means.
        work: What pays for the nodes.
    """

    __slots__ = ("root", "work")

    def __init__(self, root: object, work: Work) -> None:
        """Keep both."""
        self.root = root
        self.work = work


Step = Callable[[Sequence[object], Run], Sequence[object]]
"""From values to what is selected in them."""

_Select = Callable[[object, Run, list[object]], None]
_Operand = Callable[[object, Run], Sequence[object]]
_Test = Callable[[object, Run], bool]

_TERMS_PER_NODE: Final = 8
"""Parts of a filter that cost as much as a node."""

_CHARACTERS_PER_NODE: Final = 256
_UNITS_PER_NODE: Final = 4
_DIGITS_PER_NODE: Final = 64
"""Characters of a long text or number that cost as much, where it is compared: of a text as it
stands, of one beyond ASCII by its units, and of a number."""

_UNITS: Final = 2
"""Nodes that ordering texts beyond ASCII costs, however short they are."""


def steps_of(segments: Iterable[JSONPathSegment]) -> Step:
    """Return a path as one function.

    Args:
        segments: As the library parsed them.

    Returns:
        From the values a path begins with to what it selects.

    Raises:
        JSONPathError: It holds something that is not in the dialect.
    """
    steps = [_step(segment) for segment in segments]

    def follow(values: Sequence[object], run: Run) -> Sequence[object]:
        for step in steps:
            if not values:
                break
            values = step(values, run)
        return values

    return follow


def _step(segment: JSONPathSegment) -> Step:
    if isinstance(segment, JSONPathRecursiveDescentSegment):
        return _descent(segment.selectors)
    first = segment.selectors[0]
    if len(segment.selectors) == 1 and isinstance(first, NameSelector):
        return _members_named(first.name)
    selectors = [_selector(selector) for selector in segment.selectors]
    assert isinstance(segment, JSONPathChildSegment)  # noqa: S101  # there is no third class

    def step(values: Sequence[object], run: Run) -> list[object]:
        found: list[object] = []
        for value in values:
            for select in selectors:
                select(value, run, found)
        return found

    return step


def _members_named(name: str) -> Step:
    def step(values: Sequence[object], run: Run) -> list[object]:
        run.work.visit(len(values))
        return [value[name] for value in values if isinstance(value, dict) and name in value]

    return step


def _selector(selector: JSONPathSelector) -> _Select:  # noqa: C901  # one short branch a class
    """Return what selects in one value; a miss costs as much as a hit."""
    if isinstance(selector, NameSelector):
        name = selector.name

        def named(value: object, run: Run, found: list[object]) -> None:
            run.work.visit(1)
            if isinstance(value, dict) and name in value:
                found.append(value[name])

        return named
    if isinstance(selector, IndexSelector):
        index = selector.index

        def indexed(value: object, run: Run, found: list[object]) -> None:
            run.work.visit(1)
            if isinstance(value, list) and -len(value) <= index < len(value):
                found.append(value[index])

        return indexed
    if isinstance(selector, SliceSelector):
        part = selector.slice
        if part.step == 0:
            raise JSONPathSyntaxError("a slice with a step of 0", token=selector.token)

        def sliced(value: object, run: Run, found: list[object]) -> None:
            run.work.visit(1)
            if isinstance(value, list):
                run.work.visit(len(range(*part.indices(len(value)))))
                found += value[part]

        return sliced
    if isinstance(selector, WildcardSelector):
        return _wildcard
    if isinstance(selector, Filter):
        return _filtered(selector)
    raise JSONPathSyntaxError("unexpected selector", token=selector.token)


def _wildcard(value: object, run: Run, found: list[object]) -> None:
    inside = _children(value)
    run.work.visit(len(inside) or 1)
    found += inside


def _filtered(selector: Filter) -> _Select:
    passes, cost = _filter(selector)

    def select(value: object, run: Run, found: list[object]) -> None:
        inside = _children(value)
        run.work.visit(len(inside) * cost or 1)
        found += [child for child in inside if passes(child, run)]

    return select


def _filter(selector: Filter) -> tuple[_Test, int]:
    """Return a filter as a test, and how many nodes one use of it costs."""
    size = [0]
    passes = _test(selector.expression, size)
    return passes, 1 + size[0] // _TERMS_PER_NODE


def _descent(selectors: Sequence[JSONPathSelector]) -> Step:
    """``..``: depth first in document order, on a stack of its own."""
    first = selectors[0] if len(selectors) == 1 else None
    if isinstance(first, WildcardSelector):
        return _everything
    if isinstance(first, NameSelector):
        name = first.name
        return lambda values, run: [
            each for value in values for each in _below_named(value, name, run)
        ]
    chosen = [_selector(selector) for selector in selectors]

    def step(values: Sequence[object], run: Run) -> list[object]:
        found: list[object] = []
        for value in _everything(values, run):
            if isinstance(value, (dict, list)):
                for select in chosen:
                    select(value, run, found)
        return found

    return step


def _everything(values: Sequence[object], run: Run) -> list[object]:
    """Return the values and everything below them."""
    found: list[object] = []
    for top in values:
        found.append(top)
        stack = [iter(_opened(top, run))]
        while stack:
            for value in stack[-1]:
                found.append(value)
                if isinstance(value, (dict, list)):
                    stack.append(iter(_opened(value, run)))
                    break
            else:
                stack.pop()
    return found


def _opened(value: object, run: Run) -> Collection[object]:
    inside = _children(value)
    run.work.visit(len(inside))
    return inside


def _below_named(top: object, name: str, run: Run) -> list[object]:
    """Return every member of a name below a value, in the order the document has them."""
    found: list[object] = []
    stack = [iter(_members(top, run))]
    while stack:
        for key, value in stack[-1]:
            if key == name:
                found.append(value)
            if isinstance(value, (dict, list)):
                stack.append(iter(_members(value, run)))
                break
        else:
            stack.pop()
    return found


def _members(value: object, run: Run) -> Iterable[tuple[str | None, object]]:
    run.work.visit(len(value) if isinstance(value, (dict, list)) else 1)
    if isinstance(value, dict):
        return value.items()
    return zip(repeat(None), value, strict=False) if isinstance(value, list) else ()


def _children(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _test(expression: BaseExpression, size: list[int]) -> _Test:
    """Return an expression as something that holds or not, and count its parts."""
    size[0] += 1
    if isinstance(expression, FilterExpression):
        return _test(expression.expression, size)
    if isinstance(expression, PrefixExpression):
        inner = _test(expression.right, size)
        return lambda value, run: not inner(value, run)
    if isinstance(expression, InfixExpression):
        if expression.logical:
            return _logic(expression, size)
        return _comparison(expression, size)
    operand = _operand(expression, size)
    return lambda value, run: bool(operand(value, run))


def _logic(expression: InfixExpression, size: list[int]) -> _Test:
    """Return a chain of one operator as one test, so that a long one nests nothing."""
    sign = expression.operator
    terms: list[_Test] = []
    left: BaseExpression = expression
    while isinstance(left, InfixExpression) and left.operator == sign:
        terms.append(_test(left.right, size))
        left = left.left
    terms.append(_test(left, size))
    terms.reverse()
    if sign == "&&":
        return lambda value, run: all(term(value, run) for term in terms)
    return lambda value, run: any(term(value, run) for term in terms)


def _operand(expression: BaseExpression, size: list[int]) -> _Operand:
    """Return an expression as the values it stands for; none where it finds nothing."""
    size[0] += 1
    if isinstance(expression, FilterQuery):
        return _query(expression)
    if isinstance(expression, Nil):
        return lambda _, __: (None,)
    if isinstance(expression, FilterExpressionLiteral):
        constant = (expression.value,)
        return lambda _, __: constant
    if isinstance(expression, (InfixExpression, PrefixExpression)):
        test = _test(expression, size)
        return lambda value, run: (test(value, run),)
    raise JSONPathError("unexpected term in a filter", token=None)


def _query(query: FilterQuery) -> _Operand:
    segments = query.path.segments
    if isinstance(query, RootFilterQuery):
        from_root = steps_of(segments)
        return lambda _, run: from_root((run.root,), run)
    names = _plain_names(segments)
    if names is None:
        follow = steps_of(segments)
        return lambda value, run: follow((value,), run)

    def look_up(value: object, run: Run) -> Sequence[object]:
        run.work.visit(len(names))
        for name in names:
            if not isinstance(value, dict) or name not in value:
                return ()
            value = value[name]
        return (value,)

    return look_up


def _plain_names(segments: Sequence[JSONPathSegment]) -> list[str] | None:
    """Return the names of a path that consists of nothing else."""
    names = []
    for segment in segments:
        selector = segment.selectors[0]
        is_plain = isinstance(segment, JSONPathChildSegment) and len(segment.selectors) == 1
        if not is_plain or not isinstance(selector, NameSelector):
            return None
        names.append(selector.name)
    return names


def _comparison(expression: InfixExpression, size: list[int]) -> _Test:
    left = _operand(expression.left, size)
    right = _operand(expression.right, size)
    sign = expression.operator
    if sign not in _ORDERS and sign not in {"==", "!="}:
        raise JSONPathError(f"unexpected operator {sign!r}", token=None)

    def holds(value: object, run: Run) -> bool:
        ones, others = left(value, run), right(value, run)
        if len(ones) == 1 == len(others):
            return _holds(ones[0], sign, others[0], run)
        run.work.visit(len(ones) * len(others))
        return any(_holds(one, sign, other, run) for one in ones for other in others)

    return holds


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _holds(left: object, sign: str, right: object, run: Run) -> bool:
    """Compare two scalars; a container is neither equal nor unequal to anything."""
    one, other = _scalar(left, run), _scalar(right, run)
    if one is None or other is None:
        return False
    same_kind = type(one) is type(other)
    if isinstance(one, str) and same_kind:
        return _texts_hold(one, sign, cast(str, other), run)
    if sign == "==":
        return same_kind and one == other
    if sign == "!=":
        return not (same_kind and one == other)
    return same_kind and isinstance(one, Decimal) and _ORDERS[sign](one, other)


def _texts_hold(left: str, sign: str, right: str, run: Run) -> bool:
    shorter = min(len(left), len(right))
    if sign not in {"==", "!="} and not (left.isascii() and right.isascii()):
        run.work.visit(_UNITS + shorter // _UNITS_PER_NODE)
    elif shorter >= FREE_TEXT:
        run.work.visit(shorter // _CHARACTERS_PER_NODE)
    if sign == "==":
        return left == right
    if sign == "!=":
        return left != right
    # What comes after the shorter one's end cannot decide, but that it is there.
    return _ORDERS[sign](units(left[: shorter + 1]), units(right[: shorter + 1]))


class _Null:
    """A null that is there, as opposed to nothing."""


_NULL: Final = _Null()


def _scalar(value: object, run: Run) -> bool | str | Decimal | _Null | None:
    """Return what a scalar is compared by; None for a container, or a number beyond all reason."""
    if isinstance(value, JsonNumber):
        if len(value.text) >= FREE_TEXT:
            run.work.visit(len(value.text) // _DIGITS_PER_NODE)
        try:
            return Decimal(value.text)
        except InvalidOperation:
            return None
    if value is None:
        return _NULL
    return value if isinstance(value, (bool, str, Decimal)) else None
