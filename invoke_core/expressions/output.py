"""Values as plain JSON documents, for everything that leaves the language."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, cast

from invoke_core.documents import JsonNumber, JsonValue
from invoke_core.expressions.faults import LONGEST_TEXT, too_long
from invoke_core.expressions.kinds import Caseless, Filtered, Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.nodes import Mask


def to_document(raw: Raw) -> JsonValue:
    """Return a value as a JSON document.

    Args:
        raw: A value, read or not.

    Returns:
        The document; parts that came from one are that very part, numbers with their own text.
    """
    if isinstance(raw, Decimal):
        return JsonNumber(plain(raw))
    if isinstance(raw, Version):
        return str(raw)
    if isinstance(raw, Filtered):
        return [to_document(item) for item in raw.items]
    if isinstance(raw, Caseless):
        return {key: to_document(raw.get(key)) for key in raw.names()}
    return raw  # type: ignore[return-value]  # what is left came from a document, or could have


def plain(number: Decimal) -> str:
    """Write a number in full, without exponent or trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def refuse_long(document: JsonValue) -> None:
    """Raise where the indented JSON text of a document would be too long, without writing it.

    Args:
        document: Any document.

    Raises:
        EvaluationFault: ``Memory``.
    """
    length = 0
    depth = 0
    level = [document]
    while level:
        inside: list[JsonValue] = []
        # Each value stands in a line of its own, indented by its depth.
        length += len(level) * (2 * depth + 1)
        for value in level:
            if isinstance(value, str):
                length += len(value)
            elif isinstance(value, JsonNumber):
                length += len(value.text)
            elif isinstance(value, (list, dict)) and len(value) <= LONGEST_TEXT:
                inside += value if isinstance(value, list) else value.values()
                length += len(value) if isinstance(value, list) else sum(map(len, value))
            elif isinstance(value, (list, dict)):
                length += len(value)
            if length > LONGEST_TEXT:
                raise too_long()
        level = inside
        depth += 1


def masked_document(value: Value, mask: Mask) -> JsonValue:
    """Return a value as a document with every text and member name masked.

    Args:
        value: Any value.
        mask: Hides secrets in a text.

    Returns:
        A new document; built level by level, as documents nest deeper than functions may.
    """
    if isinstance(value, bool):
        return value
    top: list[JsonValue] = [to_document(value)]
    waiting: list[list[JsonValue] | dict[str, JsonValue]] = [top]
    while waiting:
        container = waiting.pop()
        places: Iterable[tuple[int | str, JsonValue]] = (
            list(container.items()) if isinstance(container, dict) else enumerate(container)
        )
        for place, each in places:
            kind = type(each)
            if kind is dict or kind is list:
                copy = (
                    _with_names(each, mask)
                    if isinstance(each, dict)
                    else list(cast("list[JsonValue]", each))
                )
                container[place] = copy  # type: ignore[index]  # places are the container's own
                waiting.append(copy)
            elif isinstance(each, str):
                container[place] = mask(each)  # type: ignore[index]  # likewise
    return top[0]


def _with_names(members: dict[str, JsonValue], mask: Mask) -> dict[str, JsonValue]:
    return {mask(name): member for name, member in members.items()}
