"""The fast evaluator: an expression as closures over plain values.

Nothing of a document is copied or converted before it is read, so the time depends on the
expression alone.
"""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

from invoke_core.documents import JsonNumber
from invoke_core.expressions import values
from invoke_core.expressions.indexing import spread, take
from invoke_core.expressions.nodes import Access, Call, Literal, Named
from invoke_core.expressions.work import FREE_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.nodes import Index, Node
    from invoke_core.expressions.operations import Operations

    Closure = Callable[[Operations[Value]], Value]
    Step = Callable[[Operations[Value], Value], Raw]


def compile_node(node: Node) -> Closure:
    """Turn a node into a function of the operations.

    Args:
        node: Any node.

    Returns:
        A function that evaluates it, and raises ``EvaluationFault``.
    """
    if isinstance(node, Literal):
        return _literal(node.value)
    if isinstance(node, Named):
        return _named(node.name)
    return _call(node) if isinstance(node, Call) else _access(node)


def _literal(value: Value) -> Closure:
    return lambda _: value


def _named(name: str) -> Closure:
    read = values.read
    return lambda ops: read(ops.read(name), ops.work)


def _call(node: Call) -> Closure:
    shortcut = _SHORTCUTS.get(node.function.name)
    closure = shortcut(node) if shortcut else None
    if closure is not None:
        return closure
    body = node.function.body
    arguments = tuple(compile_node(argument) for argument in node.arguments)
    read = values.read
    return lambda ops: read(body(ops, arguments), ops.work)


def _access(node: Access) -> Closure:
    if node.keys is not None:
        return _constant_access(node, node.keys)
    base = compile_node(node.base)
    steps = [_step(step) for step in node.steps]
    return lambda ops: _follow(ops, base(ops), steps)


def _constant_access(node: Access, keys: tuple[str | int, ...]) -> Closure:
    name = cast("Named", node.base).name
    read = values.read
    steps = [_step(step) for step in node.steps]

    if len(keys) == 1 and isinstance(keys[0], str):
        return _member(name, keys[0], steps)

    def run(ops: Operations[Value]) -> Value:
        raw = ops.read(name)
        for position, key in enumerate(keys):
            kind = type(raw)
            if kind is dict and type(key) is str:
                raw = raw.get(key)  # type: ignore[union-attr]  # a dictionary
            elif kind is list and type(key) is int:
                raw = raw[key] if key < len(raw) else None  # type: ignore[arg-type,index]  # a list
            else:
                return _follow(ops, read(raw, ops.work), steps[position:])
        if type(raw) is str and len(raw) < FREE_TEXT:
            return raw
        return read(raw, ops.work)

    return run


def _member(name: str, key: str, steps: list[Step]) -> Closure:
    """Compile ``root.name``, the access of all accesses."""
    read = values.read
    number_of = values.number_of

    def run(ops: Operations[Value]) -> Value:
        raw = ops.read(name)
        if type(raw) is dict:
            found = raw.get(key)
            if type(found) is str and len(found) < FREE_TEXT:
                return found
            if type(found) is JsonNumber and len(found.text) < FREE_TEXT:
                return number_of(found.text)
            return read(found, ops.work)
        return _follow(ops, read(raw, ops.work), steps)

    return run


def _follow(
    ops: Operations[Value],
    value: Value,
    steps: list[Step],
) -> Value:
    for step in steps:
        value = values.read(step(ops, value), ops.work)
    return value


def _step(index: Index) -> Step:
    if index.key is None:
        return lambda ops, value: spread(value, ops.work)
    key = compile_node(index.key)
    return lambda ops, value: take(ops, value, key)


# What follows are the functions nearly every criteria is made of, in a form for plain values.
# Nothing of it is a rule of its own: a property test holds it equal to the table.


def _and(node: Call) -> Closure:
    arguments = tuple(compile_node(argument) for argument in node.arguments)

    def run(ops: Operations[Value]) -> Value:
        for argument in arguments:
            value = argument(ops)
            if value is not True and not values.to_boolean(value):
                return False
        return True

    return run


def _or(node: Call) -> Closure:
    arguments = tuple(compile_node(argument) for argument in node.arguments)

    def run(ops: Operations[Value]) -> Value:
        for argument in arguments:
            value = argument(ops)
            if value is not False and values.to_boolean(value):
                return True
        return False

    return run


def _eq(node: Call) -> Closure:
    left, right = node.arguments
    read = compile_node(left)
    if isinstance(right, Literal):
        matches = values.matcher(right.value)
        return lambda ops: matches(read(ops))
    other = compile_node(right)
    equal = values.equal
    return lambda ops: equal(read(ops), other(ops))


def _ne(node: Call) -> Closure:
    equal = _eq(node)
    return lambda ops: not equal(ops)


def _in(node: Call) -> Closure | None:
    """Compile a choice among constants; any other goes by the table."""
    first, *rest = node.arguments
    if not all(isinstance(each, Literal) for each in rest):
        return None
    read = compile_node(first)
    matchers = [values.matcher(each.value) for each in rest if isinstance(each, Literal)]

    def run(ops: Operations[Value]) -> Value:
        value = read(ops)
        for matches in matchers:  # noqa: SIM110  # any() would cost a generator
            if matches(value):
                return True
        return False

    return run


def _order(node: Call) -> Closure | None:
    """Compile a comparison with a constant number; any other goes by the table."""
    left, right = node.arguments
    if not (isinstance(right, Literal) and isinstance(right.value, Decimal)):
        return None
    read = compile_node(left)
    limit = right.value
    holds = _ORDERS[node.function.name]
    compare = values.compare

    def run(ops: Operations[Value]) -> Value:
        value = read(ops)
        return holds(value, limit) if type(value) is Decimal else holds(compare(value, limit), 0)

    return run


_ORDERS: Final[dict[str, Callable[[Decimal | int, Decimal | int], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_SHORTCUTS: Final[dict[str, Callable[[Call], Closure | None]]] = {
    "and": _and,
    "or": _or,
    "eq": _eq,
    "ne": _ne,
    "in": _in,
    **dict.fromkeys(_ORDERS, _order),
}
