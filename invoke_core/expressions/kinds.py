"""The values an expression can take, and what they are called.

A value is what the parsed JSON holds, with two exceptions: a number that is read is a ``Decimal``,
and what the language itself makes (versions, filtered arrays, sets of names without case) has a
class here. Containers hold *raw* values: their numbers are still text (:class:`JsonNumber`).

Source: expressions reference, section 3.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from invoke_core.documents import JsonNumber
from invoke_core.expressions.texts import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


class Kind(StrEnum):
    """The engine's names of the kinds."""

    BOOLEAN = "Boolean"
    NUMBER = "Number"
    STRING = "String"
    VERSION = "Version"
    NULL = "Null"
    ARRAY = "Array"
    OBJECT = "Object"


class Version(tuple[int, ...]):
    """A version of two to four parts; a missing part is less than 0, as tuples order anyway."""

    __slots__ = ()

    def __str__(self) -> str:
        """Write the parts as given, with dots."""
        return ".".join(map(str, self))


class Filtered:
    """A filtered array: what a wildcard gives. It is of kind Object, although it holds a list."""

    __slots__ = ("items",)

    def __init__(self, items: list[Raw]) -> None:
        """Keep the items, numbers unread."""
        self.items = items


class Caseless:
    """An object whose keys ignore case, as texts do: variables, headers, the response itself."""

    __slots__ = ("_by_key", "_members")

    def __init__(self, members: Mapping[str, Raw]) -> None:
        """Keep the members; of keys that differ in case alone the first wins."""
        self._members = dict(members)
        self._by_key: dict[str, Raw] = {}
        for key, value in members.items():
            self._by_key.setdefault(fold(key), value)

    def get(self, key: str) -> Raw:
        """Return the raw value of a key, or None."""
        found = self._by_key.get(fold(key))
        return found.read() if isinstance(found, Lazy) else found

    def has(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return fold(key) in self._by_key

    def names(self) -> list[str]:
        """Return the keys as they were given."""
        return list(self._members)

    def values(self) -> list[Raw]:
        """Return the raw values in order."""
        found = self._by_key
        if len(found) < len(self._members):
            return [self.get(key) for key in self._members]
        return [each.read() if isinstance(each, Lazy) else each for each in found.values()]

    def __len__(self) -> int:
        """Count the members."""
        return len(self._members)


class Lazy:
    """A raw value made when it is first read."""

    __slots__ = ("_make", "_value")

    def __init__(self, make: Callable[[], Raw]) -> None:
        """Keep the maker."""
        self._make: Callable[[], Raw] | None = make
        self._value: Raw = None

    def read(self) -> Raw:
        """Return the value; the maker is called once, unless it raises."""
        if self._make is not None:
            self._value = self._make()
            self._make = None
        return self._value


Value = None | bool | str | Decimal | Version | list["Raw"] | dict[str, "Raw"] | Filtered | Caseless
"""What an expression evaluates to."""

Raw = Value | int | JsonNumber | Lazy
"""What a container holds: a value that nobody has read yet."""

_KINDS: dict[type, Kind] = {
    bool: Kind.BOOLEAN,
    Decimal: Kind.NUMBER,
    str: Kind.STRING,
    Version: Kind.VERSION,
    type(None): Kind.NULL,
    list: Kind.ARRAY,
    dict: Kind.OBJECT,
    Filtered: Kind.OBJECT,
    Caseless: Kind.OBJECT,
}


def kind_of(value: Value) -> Kind:
    """Return the kind of a value."""
    return _KINDS[type(value)]


def members(value: Value) -> Collection[Raw] | None:
    """Return what a collection holds, or None for anything else."""
    if isinstance(value, (dict, Caseless)):
        return value.values()
    return items_of(value)


def items_of(value: Value) -> list[Raw] | None:
    """Return the items of an array or filtered array, or None for anything else."""
    if isinstance(value, Filtered):
        return value.items
    return value if isinstance(value, list) else None


_NAMES: dict[type, str] = {kind: name.value for kind, name in _KINDS.items()}


def kind_name(value: Value) -> str:
    """Return the name of a value's kind, as plain text."""
    return _NAMES[type(value)]
