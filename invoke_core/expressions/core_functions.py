"""The functions of the published engine.

Source: expressions reference, section 7.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.faults import LONGEST_TEXT, too_long
from invoke_core.expressions.formatting import parse_template, refuse_specifier
from invoke_core.expressions.kinds import items_of, members
from invoke_core.expressions.operations import Function
from invoke_core.expressions.texts import fold
from invoke_core.expressions.values import finder, is_null, read_item, try_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.operations import H, Operand, Operations

_PART: Final = 4096
_ITEM: Final = 8
"""Steps to join one item, or to find one place in a template."""


def _and(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    for argument in arguments:  # noqa: SIM110  # all() would cost a generator on the hottest path
        if not ops.boolean(argument(ops)):
            return False
    return True


def _or(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    for argument in arguments:  # noqa: SIM110  # likewise
        if ops.boolean(argument(ops)):
            return True
    return False


def _not(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return not ops.boolean(arguments[0](ops))


def _xor(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.boolean(arguments[0](ops))
    return left is not ops.boolean(arguments[1](ops))


def _eq(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.equal(left(ops), right(ops))


def _ne(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return not ops.equal(left(ops), right(ops))


def _lt(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) < 0


def _le(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) <= 0


def _gt(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) > 0


def _ge(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) >= 0


def _in(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    wanted = arguments[0](ops)
    for argument in arguments[1:]:  # noqa: SIM110  # likewise
        if ops.equal(wanted, argument(ops)):
            return True
    return False


def _not_in(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return not _in(ops, arguments)


def _contains(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(right) in fold(left)


def _starts_with(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(left).startswith(fold(right))


def _ends_with(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(left).endswith(fold(right))


def _contains_value(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    items = members(ops.value(arguments[0](ops)))
    if items is None:
        return False
    matches = finder(ops.value(arguments[1](ops)), ops.work)
    rest = iter(items)
    while part := list(islice(rest, _PART)):
        ops.work.spend(len(part))
        if any(map(matches, part)):
            return True
    return False


def _coalesce(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value: Value = None
    for argument in arguments:
        value = ops.value(argument(ops))
        if not is_null(value):
            break
    return value


def _join(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    joined = arguments[1](ops)
    items = items_of(ops.value(joined))
    if items is None:
        return ops.try_text(joined) or ""
    if not items:
        return ""
    work = ops.work
    texts = [try_text(read_item(items[0], work)) or ""]
    if len(items) == 1:
        return texts[0]
    separator = ops.text(arguments[0](ops))
    length = len(texts[0])
    for item in islice(items, 1, None):
        work.spend(_ITEM)
        text = try_text(read_item(item, work)) or ""
        length += len(separator) + len(text)
        if length > LONGEST_TEXT:
            raise too_long()
        texts.append(text)
    return separator.join(texts)


def _format(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    template = ops.text(arguments[0](ops))
    ops.work.spend((template.count("{") + template.count("}")) * _ITEM)
    pieces = parse_template(template, len(arguments) - 1)
    texts: dict[int, str] = {}
    built: list[str] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, str):
            text = piece
        else:
            if piece.index not in texts:
                texts[piece.index] = ops.text(arguments[piece.index + 1](ops))
            if piece.specifier:
                raise refuse_specifier()
            text = texts[piece.index]
        length += len(text)
        if length > LONGEST_TEXT:
            raise too_long()
        built.append(text)
    return "".join(built)


_MANY: Final = 2**31 - 1

CORE: Final = (
    Function("and", 2, _MANY, _and),
    Function("or", 2, _MANY, _or),
    Function("not", 1, 1, _not),
    Function("xor", 2, 2, _xor),
    Function("eq", 2, 2, _eq),
    Function("ne", 2, 2, _ne),
    Function("lt", 2, 2, _lt),
    Function("le", 2, 2, _le),
    Function("gt", 2, 2, _gt),
    Function("ge", 2, 2, _ge),
    Function("in", 2, _MANY, _in),
    Function("notIn", 2, _MANY, _not_in),
    Function("contains", 2, 2, _contains),
    Function("startsWith", 2, 2, _starts_with),
    Function("endsWith", 2, 2, _ends_with),
    Function("containsValue", 2, 2, _contains_value),
    Function("coalesce", 2, _MANY, _coalesce),
    Function("join", 2, 2, _join, realized=True),
    Function("format", 1, 255, _format, realized=True),
)
"""The entries of the table."""
