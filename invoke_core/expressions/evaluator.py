"""The fast evaluator: an expression as closures over plain values.

Nothing of a document is copied or converted before it is read, so the time depends on the
expression alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from invoke_core.expressions import values
from invoke_core.expressions.indexing import spread, take
from invoke_core.expressions.nodes import Access, Call, Literal, Named

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.expressions.functions import Operations
    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.nodes import Index, Node
    from invoke_core.expressions.scope import Scope

    Closure = Callable[[Operations[Value]], Value]


class PlainOperations:
    """Operations on plain values."""

    __slots__ = ("read",)

    boolean = staticmethod(values.to_boolean)
    text = staticmethod(values.to_text)
    try_text = staticmethod(values.try_text)
    try_number = staticmethod(values.try_number)
    equal = staticmethod(values.equal)
    compare = staticmethod(values.compare)

    def __init__(self, scope: Scope) -> None:
        """Read names from a scope."""
        self.read: Callable[[str], Raw] = scope.read

    @staticmethod
    def value(held: Value) -> Value:
        """Return the value itself."""
        return held


def compile_node(node: Node) -> Closure:
    """Turn a node into a function of the operations.

    Args:
        node: Any node.

    Returns:
        A function that evaluates it, and raises ``EvaluationFault``.
    """
    match node:
        case Literal():
            return _literal(node.value)
        case Named():
            return _named(node.name)
        case Call():
            return _call(node)
        case Access():
            return _access(node)


def _literal(value: Value) -> Closure:
    return lambda _: value


def _named(name: str) -> Closure:
    canonical = values.canonical
    return lambda ops: canonical(ops.read(name))


def _call(node: Call) -> Closure:
    body = node.function.body
    arguments = tuple(compile_node(argument) for argument in node.arguments)
    if node.function.name in _PLAIN_RESULTS:
        return cast("Closure", lambda ops: body(ops, arguments))
    canonical = values.canonical
    return lambda ops: canonical(body(ops, arguments))


_PLAIN_RESULTS = frozenset(
    {"and", "or", "not", "xor", "eq", "ne", "lt", "le", "gt", "ge", "in", "notIn"}
)
"""Functions whose result is a Boolean, which needs no reading."""


def _access(node: Access) -> Closure:
    canonical = values.canonical
    keys = _names(node)
    if keys is not None and isinstance(node.base, Named):
        name = node.base.name
        rest = [_step(step) for step in node.steps]

        def follow(ops: Operations[Value]) -> Value:
            """Follow names through objects, which is what nearly every access does."""
            raw = ops.read(name)
            for position, key in enumerate(keys):
                if type(raw) is not dict:
                    return _follow(ops, canonical(raw), rest[position:])
                raw = raw.get(key)
            return canonical(raw)

        return follow
    base = compile_node(node.base)
    steps = [_step(step) for step in node.steps]
    return lambda ops: _follow(ops, base(ops), steps)


def _follow(
    ops: Operations[Value],
    value: Value,
    steps: list[Callable[[Operations[Value], Value], Raw]],
) -> Value:
    for step in steps:
        value = values.canonical(step(ops, value))
    return value


def _step(index: Index) -> Callable[[Operations[Value], Value], Raw]:
    if index.key is None:
        return lambda _, value: spread(value)
    key = compile_node(index.key)
    return lambda ops, value: take(ops, value, key)


def _names(node: Access) -> tuple[str, ...] | None:
    """Return the keys of an access where all are constant texts."""
    keys = tuple(
        step.key.value
        for step in node.steps
        if isinstance(step.key, Literal) and isinstance(step.key.value, str)
    )
    return keys if len(keys) == len(node.steps) else None
