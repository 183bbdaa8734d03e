"""The one representation of JSON documents: numbers keep their text.

Parsing, masking, criteria, JSONPath, echo and storage all work on the same values: ``None``,
``bool``, ``str``, ``list``, ``dict`` and :class:`JsonNumber`. A number becomes a number only
where somebody calculates with it, so ``1e999``, ``1.10`` and integers of 5,000 digits come back
character for character, and never cost more than their text.

Source: HTTP contract, "Conventions" (limits, duplicates, NaN); design, "One JSON representation".
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NoReturn

from invoke_core.errors import JsonSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import simplejson

INPUT_DEPTH_LIMIT: Final = 200
"""Deepest nesting in a document sent to this service."""

ANSWER_DEPTH_LIMIT: Final = 500
"""Deepest nesting in a target's answer; past it the answer counts as not JSON."""


class JsonNumber:
    """A JSON number as it was written.

    Two are equal when their texts are: ``1.0`` and ``1`` differ here, and are compared as numbers
    only by the criteria language.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Wrap a text that is known to be a JSON number."""
        self.text = text

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return isinstance(other, JsonNumber) and other.text == self.text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self.text)

    def __repr__(self) -> str:
        """Show the text."""
        return f"JsonNumber({self.text!r})"


class PlainText(str):
    """A text written without quotes in YAML, which may have been meant as another type.

    It is text like any other; only the reader of an input that takes JSON types looks closer.
    """

    __slots__ = ()


JsonValue = None | bool | str | int | JsonNumber | list["JsonValue"] | dict[str, "JsonValue"]
"""What a document is made of. ``int`` occurs only in documents this service writes itself."""

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse_input(text: str) -> JsonValue:
    """Read a document that was sent to this service.

    Args:
        text: JSON; a leading byte-order mark is skipped.

    Returns:
        The document, numbers as :class:`JsonNumber`.

    Raises:
        JsonSyntaxError: Not JSON, or it holds NaN, Infinity, a member twice in one object, or
            nesting past ``INPUT_DEPTH_LIMIT``.
    """
    return _parse(text, INPUT_DEPTH_LIMIT, _members_once)


def parse_answer(text: str) -> JsonValue:
    """Read the body of a target's answer.

    The last of duplicate members wins.

    Args:
        text: The decoded body; a leading byte-order mark is skipped.

    Returns:
        The document, numbers as :class:`JsonNumber`.

    Raises:
        JsonSyntaxError: Not JSON, or it holds NaN or Infinity, or nesting past
            ``ANSWER_DEPTH_LIMIT``.
    """
    return _parse(text, ANSWER_DEPTH_LIMIT, None)


def dump_json(value: object, *, indent: int | None = None) -> str:
    """Write a document as JSON text, numbers as they were read.

    Args:
        value: A document; ``int`` and tuples are written too.
        indent: Blanks a level, or None for the compact form.

    Returns:
        JSON text, members in order, non-ASCII characters raw, a lone surrogate as U+FFFD.
    """
    return without_lone_surrogates(_encoder(indent).encode(value))


@lru_cache(maxsize=4)
def _encoder(indent: int | None) -> simplejson.JSONEncoder:
    """Return what writes documents; making it takes as long as writing a short one."""
    # Imported here: reading a document, and so the criteria language, does without it.
    import simplejson  # noqa: PLC0415

    def raw(number: object) -> simplejson.RawJSON:
        if isinstance(number, JsonNumber):
            return simplejson.RawJSON(number.text)
        message = f"{type(number).__name__} has no place in a JSON document"
        raise TypeError(message)

    return simplejson.JSONEncoder(
        ensure_ascii=False,
        separators=(",", ":") if indent is None else (",", ": "),
        indent=indent,
        default=raw,
    )


def without_lone_surrogates(text: str) -> str:
    """Return the text with each lone surrogate replaced by U+FFFD, so that UTF-8 can carry it."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


class _DuplicateMemberError(ValueError):
    """A name stands twice in one object."""


def _members_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # set.add returns None, which is falsy: "seen before, else remember"
        raise _DuplicateMemberError(twice)
    return members


def _parse(
    text: str,
    depth_limit: int,
    members: Callable[[list[tuple[str, JsonValue]]], dict[str, JsonValue]] | None,
) -> JsonValue:
    document = text.removeprefix("\ufeff")
    try:
        value: JsonValue = json.loads(
            document,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=members,
        )
    except json.JSONDecodeError as error:
        message = f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise JsonSyntaxError(message, line=error.lineno, column=error.colno) from None
    except _DuplicateMemberError as error:
        message = f"The member '{error}' stands twice in one object; give it once."
        raise JsonSyntaxError(message) from None
    except _ConstantError as error:
        message = f"{error} is not JSON; numbers are finite."
        raise JsonSyntaxError(message) from None
    except RecursionError:
        raise _too_deep(depth_limit) from None
    # Counting brackets is far cheaper than walking, and nearly always settles it.
    if document.count("[") + document.count("{") > depth_limit and _deeper_than(value, depth_limit):
        raise _too_deep(depth_limit)
    return value


class _ConstantError(ValueError):
    """NaN, Infinity or -Infinity."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _too_deep(limit: int) -> JsonSyntaxError:
    return JsonSyntaxError(f"Nested deeper than {limit} levels.")


def _deeper_than(value: JsonValue, limit: int) -> bool:
    """Tell whether containers are nested past a limit, level by level and so without recursion."""
    level: list[JsonValue] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            child for parent in level for child in _children(parent) if type(child) in (dict, list)
        ]
    return bool(level)


def _children(container: JsonValue) -> Iterable[JsonValue]:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()
