"""Remarks on single values, for the author of an expression."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.kinds import Caseless, Filtered, Kind, kind_of
from invoke_core.expressions.values import try_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke_core.expressions.kinds import Value

_KEYS_LOOKED_AT: Final = 1000
_LONGEST_KEY: Final = 100


def missing_note(looked_into: Value, key: Value) -> str | None:
    """Say why a step led nowhere.

    Args:
        looked_into: The value the step was taken into.
        key: What was looked up; None where it was not evaluated.

    Returns:
        A remark, or None where the key exists and holds null.
    """
    if isinstance(looked_into, (dict, Caseless)):
        name = try_text(key)
        if name is None:
            return "an array or object is no key"
        if name in looked_into if isinstance(looked_into, dict) else looked_into.has(name):
            return None
        names = looked_into if isinstance(looked_into, dict) else looked_into.names()
        near = _nearest(name, names)
        return f"no such key; there is `{near}`" if near else "no such key"
    if isinstance(looked_into, list):
        count = len(looked_into)
        return f"no such position; there {'is 1 item' if count == 1 else f'are {count} items'}"
    return f"{described_kind(looked_into)} has nothing inside"


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
    wanted = name[:_LONGEST_KEY].lower()
    if wanted in by_lower:
        return by_lower[wanted]
    near = get_close_matches(wanted, by_lower, n=1)
    return by_lower[near[0]] if near else None
