"""Remarks on single values, for the author of an expression."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.kinds import Caseless, Filtered, Kind, kind_of
from invoke_core.expressions.values import try_number, try_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke_core.expressions.kinds import Raw, Value

_KEYS_LOOKED_AT: Final = 1000
_KEYS_COMPARED: Final = 200
_LONGEST_KEY: Final = 40
_MOST_SEARCHES: Final = 8


class Nearest:
    """Finds the key that was meant; comparing words is slow, so only a few times an evaluation."""

    def __init__(self) -> None:
        """Begin with nothing found."""
        self._left = _MOST_SEARCHES

    def note(self, looked_into: Value, key: Value) -> str:
        """Say why a step led nowhere.

        Args:
            looked_into: The value the step was taken into.
            key: What was looked up; None for everything.

        Returns:
            A remark.
        """
        name = try_text(key)
        if isinstance(looked_into, (dict, Caseless)):
            if name is None:
                return "an array or object is no key"
            return "no such key" + self._near(name, _names(looked_into))
        if isinstance(looked_into, list):
            count = len(looked_into)
            if name is not None and try_number(name) is None:
                return "an array has no keys; take an item by [0], or all by [*]"
            return f"no such position; there {'is 1 item' if count == 1 else f'are {count} items'}"
        if isinstance(looked_into, Filtered):
            count = len(looked_into.items)
            items = islice(looked_into.items, _KEYS_LOOKED_AT)
            names = (each for item in items for each in _names(item))
            none = "the item has no" if count == 1 else f"none of the {count} items has a"
            return f"{none} key of this name" + self._near(name or "", names)
        return f"{described_kind(looked_into)} has nothing inside"

    def _near(self, name: str, keys: Iterable[str]) -> str:
        self._left -= 1
        near = _nearest(name, keys) if self._left >= 0 else None
        return f"; there is `{near}`" if near else ""


def _names(value: Raw) -> Iterable[str]:
    if isinstance(value, Caseless):
        return value.names()
    return value if isinstance(value, dict) else ()


def described_kind(value: Value) -> str:
    """Name what a value is, as people would."""
    if isinstance(value, (dict, Caseless)):
        return f"an object of {_counted(len(value), 'member')}"
    if isinstance(value, list):
        return f"an array of {_counted(len(value), 'item')}"
    if isinstance(value, Filtered):
        return f"a filtered array of {_counted(len(value.items), 'item')}"
    return _WORDS[kind_of(value)]


_WORDS: Final = {
    Kind.NULL: "null",
    Kind.BOOLEAN: "a boolean",
    Kind.NUMBER: "a number",
    Kind.STRING: "a text",
    Kind.VERSION: "a version",
}


SIZED: Final = frozenset({list, dict, Caseless, Filtered})
"""The types of which the description tells the size."""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _nearest(name: str, keys: Iterable[str]) -> str | None:
    # Imported here: only a missing key pays for it.
    from difflib import get_close_matches  # noqa: PLC0415

    by_lower: dict[str, str] = {}
    for key in islice(keys, _KEYS_LOOKED_AT):
        if len(key) <= _LONGEST_KEY:
            by_lower.setdefault(key.lower(), key)
    if len(name) > _LONGEST_KEY:
        return None
    wanted = name.lower()
    if wanted in by_lower:
        return by_lower[wanted]
    alike = sorted(by_lower, key=lambda key: abs(len(key) - len(wanted)))[:_KEYS_COMPARED]
    near = get_close_matches(wanted, alike, n=1)
    return by_lower[near[0]] if near else None
