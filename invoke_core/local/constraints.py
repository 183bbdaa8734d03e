"""The inline constraints of a route parameter, as in ``{id:int}`` or ``{name:length(2,8)}``.

Source:
    ASP.NET Core, ``RouteOptions.ConstraintMap`` and ``Routing/src/Constraints``: the Functions host
    matches its routes with these classes. ``datetime``, ``file`` and ``nonfile`` are left out: the
    first follows .NET's own reading of dates, the others serve static files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from invoke_core.local.errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

Constraint = Callable[[str], bool]
"""Tells whether a captured value is accepted."""

_CALL = re.compile(r"(?P<name>[^(]+)(?:\((?P<arguments>.*)\))?", re.DOTALL)
_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*")
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)\s*", re.ASCII)
_REAL = re.compile(
    r"\s*(?:[+-]?(?:(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|infinity|∞)|nan)\s*",
    re.IGNORECASE,
)
_HEX = "[0-9a-f]"
_DASHED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID = re.compile(
    rf"\s*(?:{_HEX}{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\))\s*", re.IGNORECASE | re.ASCII
)
_ALPHA = re.compile(r"[a-z]*", re.IGNORECASE | re.ASCII)


def parse_constraint(text: str) -> Constraint:
    """Return the test a constraint stands for.

    Args:
        text: What stands between the colons, as in ``int`` or ``range(1,9)``; names without case.

    Raises:
        LocalServerError: There is no such constraint, or its arguments do not fit.
    """
    match = _CALL.fullmatch(text)
    name = match["name"].lower() if match else text
    arguments = match["arguments"] if match else None
    if name == "regex" and arguments is not None:
        return _regex(arguments)
    numbers = () if arguments is None else _numbers(text, arguments)
    known = _BY_NAME.get((name, len(numbers)))
    if known is None:
        raise LocalServerError(
            f"The route constraint '{text}' is not one the local server knows; it knows "
            f"{', '.join(sorted({name for name, _ in _BY_NAME} | {'regex'}))}."
        )
    return known(*numbers)


def _numbers(text: str, arguments: str) -> tuple[int, ...]:
    numbers = tuple(_integer(part) for part in arguments.split(","))
    whole = tuple(number for number in numbers if number is not None)
    if len(whole) != len(numbers):
        raise LocalServerError(f"The route constraint '{text}' takes whole numbers.")
    return whole


def _regex(pattern: str) -> Constraint:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise LocalServerError(
            f"The route constraint 'regex({pattern})' does not compile: {error}."
        ) from error
    return lambda value: compiled.search(value) is not None


def _integer(value: str) -> int | None:
    match = _INTEGER.fullmatch(value)
    return int(match[1]) if match and len(match[1]) <= 20 else None


def _whole(low: int, high: int) -> Constraint:
    def accepts(value: str) -> bool:
        number = _integer(value)
        return number is not None and low <= number <= high

    return accepts


def _length(low: int, high: int | None) -> Constraint:
    return lambda value: low <= len(value) and (high is None or len(value) <= high)


def _shape(pattern: re.Pattern[str]) -> Constraint:
    return lambda value: pattern.fullmatch(value) is not None


_LONG = (-(2**63), 2**63 - 1)
# Which constraint is meant depends on its name and its number of arguments.
_BY_NAME: Mapping[tuple[str, int], Callable[..., Constraint]] = {
    ("int", 0): lambda: _whole(-(2**31), 2**31 - 1),
    ("long", 0): lambda: _whole(*_LONG),
    ("min", 1): lambda low: _whole(low, _LONG[1]),
    ("max", 1): lambda high: _whole(_LONG[0], high),
    ("range", 2): _whole,
    ("bool", 0): lambda: lambda value: value.strip().lower() in {"true", "false"},
    ("guid", 0): lambda: _shape(_GUID),
    ("decimal", 0): lambda: _shape(_DECIMAL),
    ("double", 0): lambda: _shape(_REAL),
    ("float", 0): lambda: _shape(_REAL),
    ("alpha", 0): lambda: _shape(_ALPHA),
    ("length", 1): lambda exactly: _length(exactly, exactly),
    ("length", 2): _length,
    ("minlength", 1): lambda low: _length(low, None),
    ("maxlength", 1): lambda high: _length(0, high),
    ("required", 0): lambda: bool,
}
