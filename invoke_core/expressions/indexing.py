"""Steps into a value: keys, positions and wildcards.

Like the functions, the rules are written once for both sets of operations.

Source: expressions reference, section 5, with collection interfaces (section 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.kinds import Caseless, Filtered, members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.operations import H, Operand, Operations
    from invoke_core.expressions.work import Work

    _Collection = dict[str, Raw] | list[Raw] | Caseless | Filtered

_LARGEST_INDEX: Final = 2**31 - 1


def take(ops: Operations[H], left: Value, key: Operand[H]) -> Raw:
    """Take one step by key.

    Args:
        ops: How the key is evaluated and converted.
        left: What is looked into.
        key: What is looked up; not evaluated where there is nothing to look into.

    Returns:
        What is there, unread; None where there is nothing.

    Raises:
        EvaluationFault: ``Overflow`` for a position past 2147483647.
    """
    if isinstance(left, (dict, Caseless)):
        name = ops.try_text(key(ops))
        if name is None:
            return None
        if isinstance(left, Caseless):
            ops.work.pay_for(name)
        return left.get(name)
    if isinstance(left, list):
        position = _position(ops.try_number(key(ops)))
        return left[position] if position is not None and position < len(left) else None
    if isinstance(left, Filtered):
        return _take_from_each(ops, left, key(ops))
    return None


def spread(left: Value, work: Work) -> Filtered:
    """Take one step by wildcard.

    Args:
        left: What is looked into.
        work: What pays for each member and item.

    Returns:
        Its members or items; of a filtered array, those of its collections; else nothing.
    """
    found: list[Raw] = []
    for value in _each(left, work) if isinstance(left, Filtered) else (left,):
        inside = members(value)
        if inside:
            work.spend(len(inside))
            found += inside
    return Filtered(found)


def _each(left: Filtered, work: Work) -> Iterator[_Collection]:
    """Yield the collections of a filtered array, paid for; a scalar is not even read."""
    work.spend(len(left.items) * _ITEM)
    for item in left.items:
        if isinstance(item, (dict, list, Caseless, Filtered)):
            yield item


_ITEM: Final = 2


def _take_from_each(ops: Operations[H], left: Filtered, key: H) -> Filtered:
    """Apply a key to each collection of a filtered array, converting it once, if ever."""
    found: list[Raw] = []
    name: str | None = None
    position: int | None = None
    named = positioned = False
    for value in _each(left, ops.work):
        if isinstance(value, (dict, Caseless)):
            if not named:
                name, named = ops.try_text(key), True
            if name is not None and _has(value, name):
                found.append(value.get(name))
        elif isinstance(value, list):
            if not positioned:
                position, positioned = _position(ops.try_number(key)), True
            if position is not None and position < len(value):
                found.append(value[position])
    return Filtered(found)


def _has(value: dict[str, Raw] | Caseless, name: str) -> bool:
    return value.has(name) if isinstance(value, Caseless) else name in value


def _position(number: Decimal | None) -> int | None:
    if number is None or number < 0:
        return None
    position = int(number)
    if position > _LARGEST_INDEX:
        raise EvaluationFault(
            "Overflow", f"A position in an array is greater than {_LARGEST_INDEX}."
        )
    return position
