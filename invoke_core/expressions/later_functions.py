"""The functions of success criteria, and those that later documentation adds.

Source: expressions reference, sections 8 and 9.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from invoke_core.documents import dump_json
from invoke_core.expressions.faults import LONGEST_TEXT, EvaluationFault, too_long
from invoke_core.expressions.kinds import Caseless, Filtered, items_of, kind_of
from invoke_core.expressions.operations import Function
from invoke_core.expressions.output import refuse_long, to_document
from invoke_core.expressions.texts import lower, upper, utf16_length
from invoke_core.expressions.tokens import WHITE
from invoke_core.expressions.values import held, is_null, read_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.operations import H, Operand, Operations
    from invoke_core.expressions.work import Work

_ITEM: Final = 8
"""Steps to find out what identifies an item."""

_PIECE: Final = 4
"""Steps to cut off a piece, and to keep it."""

_CHARACTER: Final = 2
"""Steps to write a character of JSON."""


def _length(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value = ops.value(arguments[0](ops))
    if isinstance(value, str):
        return Decimal(utf16_length(value))
    if isinstance(value, (list, dict, Caseless)):
        return Decimal(len(value))
    raise _unsupported("length", "a text, an array or an object", value)


def _count(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Count the items of an array.

    Inferred: a filtered array is counted too, which is what somebody who writes
    ``count(root.items[*].id)`` wants; the original's own body is not known.
    """
    value = ops.value(arguments[0](ops))
    items = items_of(value)
    if items is None:
        raise _unsupported("count", "an array", value)
    return Decimal(len(items))


def _jsonpath(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    # Imported here: the path library costs more than the whole language, and few criteria use it.
    from invoke_core.expressions.jsonpath import find  # noqa: PLC0415

    path = ops.text(arguments[0](ops))
    return find(path, ops.read("root"), ops.work)


def _is_null_or_empty(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return is_null(ops.value(arguments[0](ops)))


def _intersect(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Return the items of the first array that the second holds too, each once.

    Inferred: items are matched exactly, texts with their case, as .NET's own intersection does.
    """
    left = ops.value(arguments[0](ops))
    right = ops.value(arguments[1](ops))
    mine, theirs = items_of(left), items_of(right)
    if mine is None:
        raise _unsupported("intersect", "two arrays", left)
    if theirs is None:
        raise _unsupported("intersect", "two arrays", right)
    work = ops.work
    work.spend((len(mine) + len(theirs)) * _ITEM)
    wanted = {_identity(item, work) for item in theirs}
    found: dict[object, Raw] = {}
    for item in mine:
        key = _identity(item, work)
        if key in wanted:
            found.setdefault(key, item)
    return list(found.values())


def _identity(raw: Raw, work: Work) -> object:
    value = read_item(raw, work)
    if isinstance(value, (list, dict, Filtered, Caseless)):
        return id(value)
    return type(value), value


@lru_cache(maxsize=1)
def _url() -> re.Pattern[str]:
    """Return the pattern of a URL, compiled when one is first looked for: that takes long."""
    return re.compile(rf"https?://[^{WHITE}/?#\\]+(?:[/?#][^{WHITE}]*)?", re.IGNORECASE)


def _is_url(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Tell whether a text is an absolute http or https URL.

    Inferred: the original's own rule is not known.
    """
    return _url().fullmatch(ops.text(arguments[0](ops))) is not None


def _lower(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return lower(ops.text(arguments[0](ops)))


def _upper(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return upper(ops.text(arguments[0](ops)))


def _trim(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return ops.text(arguments[0](ops)).strip(WHITE)


def _replace(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Replace every occurrence of the second text in the first by the third.

    Inferred: letter case counts, as in .NET's own; an empty second text changes nothing.
    """
    text = ops.text(arguments[0](ops))
    old = ops.text(arguments[1](ops))
    new = ops.text(arguments[2](ops))
    if not old:
        return text
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST_TEXT:
        raise too_long()
    return text.replace(old, new)


def _split(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Split a text at a separator, keeping empty pieces.

    Inferred: a separator of several characters is one text, not a set; an empty one splits nothing.
    """
    text = ops.text(arguments[0](ops))
    separator = ops.text(arguments[1](ops))
    if not separator:
        return [text]
    ops.work.spend((text.count(separator) + 1) * _PIECE)
    return list(text.split(separator))


def _iif(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Return the second or third argument by the first; the other one is not evaluated.

    Inferred: the documentation leaves open whether it is.
    """
    chosen = arguments[1] if ops.boolean(arguments[0](ops)) else arguments[2]
    return ops.value(chosen(ops))


def _convert_to_json(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value = to_document(ops.value(arguments[0](ops)))
    refuse_long(value)
    text = held(dump_json(value, indent=2))
    ops.work.spend(len(text) * _CHARACTER)
    return text


def _unsupported(name: str, wanted: str, value: Value) -> EvaluationFault:
    return EvaluationFault(
        "UnsupportedKind", f"{name} takes {wanted}; this is of kind {kind_of(value)}."
    )


GENERAL: Final = (
    Function("length", 1, 1, _length),
    Function("lower", 1, 1, _lower),
    Function("upper", 1, 1, _upper),
    Function("trim", 1, 1, _trim),
    Function("replace", 3, 3, _replace),
    Function("split", 2, 2, _split),
    Function("iif", 3, 3, _iif),
    Function("convertToJson", 1, 1, _convert_to_json),
)
"""The entries of the table that need no answer."""

ANSWER: Final = (
    Function("count", 1, 1, _count),
    Function("jsonpath", 1, 1, _jsonpath, realized=True),
    Function("isNullOrEmpty", 1, 1, _is_null_or_empty),
    Function("intersect", 2, 2, _intersect),
    Function("isUrl", 1, 1, _is_url),
)
"""Those that are there for success criteria alone."""
