"""Every conversion and comparison of the language, and nothing else.

Functions named ``try_*`` return None where a value cannot be converted; ``to_*`` raise.

Source: expressions reference, sections 3 (numbers), 4 (conversions) and 6 (comparison).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from math import frexp
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast

from invoke_core.documents import JsonNumber
from invoke_core.expressions.faults import LONGEST_TEXT, EvaluationFault, too_long
from invoke_core.expressions.kinds import Caseless, Filtered, Kind, Lazy, Version, kind_of
from invoke_core.expressions.texts import fold, same_text, utf16_length
from invoke_core.expressions.work import FREE_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.work import Work

Order = TypeVar("Order", str, Decimal, Version)

_READ: Final = frozenset({bool, type(None), Decimal, Version, list, dict, Filtered, Caseless})
_HALF: Final = LONGEST_TEXT // 2
_LARGEST: Final = 2**96 - 1
_SMALLEST_SCALE: Final = 28
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_SEVENTH: Final = Decimal("0.0000001")
_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_UP)
_EXACT_DIGITS: Final = 28
"""Every decimal of so many digits fits into 96 bits."""
_FLOAT_DIGITS: Final = 15
"""A text of so many characters passes through a double unharmed."""

_BLANKS: Final = "\t\n\x0b\x0c\r "
_NUMBER: Final = re.compile(r"([+-]?)(?:([0-9][0-9,]*)(?:\.([0-9]*))?|\.([0-9]+))")
_VERSION_PART: Final = re.compile(r"([+-]?)([0-9]+)")
_LARGEST_PART: Final = 2**31 - 1


def canonical(raw: Raw) -> Value:
    """Return a raw value as the language reads it.

    Args:
        raw: What a document or a scope holds.

    Returns:
        The same, with a number as a ``Decimal``.

    Raises:
        EvaluationFault: ``Overflow`` for a number outside the decimal range, ``Memory`` for a
            text that is too long.
    """
    kind = type(raw)
    if isinstance(raw, str) and kind is str:
        return raw if len(raw) <= _HALF else held(raw)
    if kind in _READ:
        return cast("Value", raw)
    if isinstance(raw, JsonNumber):
        return number_of(raw.text)
    if kind is int:
        return number_of(str(raw))
    if isinstance(raw, Lazy):
        return canonical(raw.read())
    # A document read from YAML marks texts by a class of their own.
    return held(str(raw))


def read(raw: Raw, work: Work) -> Value:
    """Return a raw value as the language reads it, and pay for what will be done with it.

    Args:
        raw: What a document or a scope holds.
        work: Pays for long texts and numbers; all else is free.

    Returns:
        The same, with a number as a ``Decimal``.

    Raises:
        EvaluationFault: As ``canonical``, and ``TooMuchWork``.
    """
    if isinstance(raw, str):
        if len(raw) >= FREE_TEXT:
            work.pay_for(raw)
    elif isinstance(raw, JsonNumber):
        if len(raw.text) >= FREE_TEXT:
            work.pay_for(raw.text)
        return number_of(raw.text)
    return canonical(raw)


def read_item(raw: Raw, work: Work) -> Value:
    """Read an item of a collection, of which there may be any number.

    Args:
        raw: What the collection holds.
        work: Pays for every number, and for long texts; whoever walks over the items pays for
            looking at each.

    Returns:
        As ``read``.

    Raises:
        EvaluationFault: As ``read``.
    """
    if isinstance(raw, JsonNumber):
        work.spend(_NUMBER_COST if _is_plain(raw.text) else _DOUBLE_COST)
    return read(raw, work)


_NUMBER_COST: Final = 12
_DOUBLE_COST: Final = 45
"""Steps to read a number, and to read one that passes through a double."""


def held(text: str) -> str:
    """Return a text, unless it is longer than an evaluation may hold.

    Args:
        text: Any text.

    Returns:
        The same text.

    Raises:
        EvaluationFault: ``Memory``.
    """
    if len(text) > _HALF and utf16_length(text) > LONGEST_TEXT:
        raise too_long()
    return text


def number_of(text: str) -> Decimal:
    """Read a JSON number as the engine does.

    An integer is taken exactly. Anything with a point or exponent passes through a double, of
    which 15 significant digits remain.

    Args:
        text: A JSON number.

    Returns:
        The number.

    Raises:
        EvaluationFault: ``Overflow``.
    """
    if text.isdigit() or (text[0] == "-" and text[1:].isdigit()):
        if len(text) > _EXACT_DIGITS and (len(text) > 30 or abs(int(text)) > _LARGEST):
            raise _overflow()
        return Decimal(text)
    return Decimal(text) if _is_plain(text) else _from_double(float(text))


def _is_plain(text: str) -> bool:
    """Tell whether a JSON number is so short that a double would not change it."""
    return len(text) <= _FLOAT_DIGITS and "e" not in text and "E" not in text


def _overflow() -> EvaluationFault:
    return EvaluationFault(
        "Overflow", "A number lies outside the range of a decimal (96 bits and a sign)."
    )


def _from_double(number: float) -> Decimal:
    """Round a double to 15 significant digits, step by step as the .NET decimal does.

    The scaling itself happens in doubles, which decides ties differently from exact arithmetic.
    """
    exponent = frexp(number)[1]
    if exponent > 96 or number in (float("inf"), float("-inf")):
        raise _overflow()
    if exponent < -94:
        return _ZERO
    scaled = abs(number)
    power = 14 - ((exponent * 19728) >> 16)
    if power >= 0:
        power = min(power, _SMALLEST_SCALE)
        scaled *= float(f"1e{power}")
    elif power != -1 or scaled >= 1e15:
        scaled /= float(f"1e{-power}")
    else:
        power = 0
    if scaled < 1e14 and power < _SMALLEST_SCALE:
        scaled *= 10
        power += 1
    sign = "-" if number < 0 else ""
    return Decimal(f"{sign}{round(scaled)}E{-power}")


def parse_number(text: str) -> Decimal | None:
    """Read a text as a number.

    Args:
        text: Any text that is not empty.

    Returns:
        The number, rounded to what 96 bits and 28 decimals can hold; None where the text is no
        number or lies outside the range.
    """
    match = _NUMBER.fullmatch(text.strip(_BLANKS))
    if match is None:
        return None
    sign, whole, decimals, bare = match.groups()
    digits = (whole or "").replace(",", "")
    fraction = decimals or bare or ""
    if len(digits) + len(fraction) <= _EXACT_DIGITS:
        return Decimal(f"{sign}{digits or '0'}.{fraction}")
    return _fit(sign, digits.lstrip("0"), fraction)


def _fit(sign: str, digits: str, fraction: str) -> Decimal | None:
    """Keep as many decimals as fit, rounding the rest half to even."""
    if len(digits) > _EXACT_DIGITS + 1:
        return None
    mantissa = int(digits or "0")
    if mantissa > _LARGEST:
        return None
    kept = 0
    for digit in fraction[:_SMALLEST_SCALE]:
        longer = mantissa * 10 + int(digit)
        if longer > _LARGEST:
            break
        mantissa = longer
        kept += 1
    rest = fraction[kept:]
    half = "5" + "0" * (len(rest) - 1)
    if rest > half or (rest == half and mantissa % 2):
        mantissa += 1
    if mantissa > _LARGEST:
        if not kept:
            return None
        # The engine drops a digit when rounding up leaves the 96 bits.
        mantissa = (_LARGEST + 5) // 10
        kept -= 1
    return Decimal(f"{sign}{mantissa}E-{kept}")


def parse_version(text: str) -> Version | None:
    """Read a text as a version of two to four parts.

    Args:
        text: Any text.

    Returns:
        The version, or None.
    """
    parts = text.split(".", 4)
    if not 2 <= len(parts) <= 4:
        return None
    numbers = []
    for part in parts:
        match = _VERSION_PART.fullmatch(part.strip(_BLANKS))
        if match is None:
            return None
        digits = match[2].lstrip("0") or "0"
        if len(digits) > 10 or int(digits) > _LARGEST_PART or (match[1] == "-" and digits != "0"):
            return None
        numbers.append(int(digits))
    return Version(numbers)


def number_text(number: Decimal) -> str:
    """Write a number as the engine does: plain, at most 7 decimals, half away from zero.

    Args:
        number: Any number of the decimal range.

    Returns:
        Its text, without trailing zeros or a bare point.
    """
    text = format(number, "f")
    point = text.find(".")
    if point >= 0:
        if len(text) - point > 8:
            text = format(number.quantize(_SEVENTH, context=_WIDE), "f")
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def to_boolean(value: Value) -> bool:
    """Convert to Boolean; every value can be.

    Args:
        value: Any value.

    Returns:
        False for false, 0, the empty text and Null; true for anything else, empty arrays too.
    """
    kind = type(value)
    if kind is bool:
        return cast(bool, value)
    if kind is str or kind is Decimal:
        return bool(value)
    return value is not None


def try_number(value: Value) -> Decimal | None:
    """Convert to Number, or return None."""
    kind = type(value)
    if kind is Decimal:
        return cast(Decimal, value)
    if kind is str:
        return parse_number(cast(str, value)) if value else _ZERO
    if value is None:
        return _ZERO
    if kind is bool:
        return _ONE if value else _ZERO
    return None


def try_text(value: Value) -> str | None:
    """Convert to String, or return None."""
    kind = type(value)
    if kind is str:
        return cast(str, value)
    if kind is Decimal:
        return number_text(cast(Decimal, value))
    if value is None:
        return ""
    if kind is bool or kind is Version:
        return str(value)
    return None


def try_version(value: Value) -> Version | None:
    """Convert to Version, or return None."""
    kind = type(value)
    if kind is Version:
        return cast(Version, value)
    if kind is str:
        return parse_version(cast(str, value))
    if kind is Decimal:
        return parse_version(number_text(cast(Decimal, value)))
    return None


def is_null(value: Value) -> bool:
    """Tell whether a value is Null or becomes it: the empty text does."""
    return value is None or (type(value) is str and not value)


def to_text(value: Value) -> str:
    """Convert to String.

    Args:
        value: Any value.

    Returns:
        Its text.

    Raises:
        EvaluationFault: ``TypeCast``.
    """
    text = try_text(value)
    if text is None:
        _refuse(kind_of(value), Kind.STRING)
    return text


def _refuse(from_kind: Kind, to_kind: Kind) -> NoReturn:
    raise EvaluationFault(
        "TypeCast",
        f"A value of kind {from_kind} cannot be converted to {to_kind}.",
        from_kind=from_kind,
        to_kind=to_kind,
    )


def equal(left: Value, right: Value) -> bool:
    """Compare as ``eq`` does: the left kind decides, the right value is converted to it.

    Args:
        left: Decides the kind.
        right: Converted; where it cannot be, the two are not equal.

    Returns:
        Whether they are equal.
    """
    if isinstance(left, str):
        text = right if isinstance(right, str) else try_text(right)
        return text is not None and same_text(left, text)
    if isinstance(left, Decimal):
        number = try_number(right)
        return number is not None and left == number
    if isinstance(left, bool):
        return left is to_boolean(right)
    if left is None:
        return is_null(right)
    if isinstance(left, Version):
        version = try_version(right)
        return version is not None and left == version
    return left is right


def matcher(constant: Value) -> Callable[[Value], bool]:
    """Return ``equal`` with its right side known, so that it is converted once for all.

    Args:
        constant: A boolean, number, text or version.

    Returns:
        A function of the left value.
    """
    text = try_text(constant) or ""
    folded = fold(text)
    size = len(folded)
    number = try_number(constant)
    truth = to_boolean(constant)

    def matches(left: Value) -> bool:
        if isinstance(left, str):
            if left.isascii():
                return left == text or (len(left) == size and left.upper() == folded)
            return len(left) <= size <= 2 * len(left) and fold(left) == folded
        if isinstance(left, Decimal):
            return number is not None and left == number
        if isinstance(left, bool):
            return left is truth
        return equal(left, constant)

    return matches


def finder(wanted: Value, work: Work) -> Callable[[Raw], bool]:
    """Return ``equal`` with its left side known, for the many items of a collection.

    What says at a glance that it is not equal is not converted; whoever walks over the items pays
    one step for each, and this pays for whatever takes longer.

    Args:
        wanted: The left value.
        work: What pays.

    Returns:
        A function of the right value, unread.
    """
    if type(wanted) is str:
        return _text_finder(wanted, work)
    if type(wanted) is Decimal:
        return _number_finder(wanted, work)
    cost = _VERSION_COST if type(wanted) is Version else _COST

    def matches(raw: Raw) -> bool:
        work.spend(cost)
        return equal(wanted, read_item(raw, work))

    return matches


_COST: Final = 4
_VERSION_COST: Final = 16
_FOLD_COST: Final = 20
"""Steps to fold a text beyond ASCII, besides two for each character."""
_LONG_NUMBER_COST: Final = 70
"""Steps to read a text as a number, where it may have to be rounded."""


def _text_finder(wanted: str, work: Work) -> Callable[[Raw], bool]:
    folded = fold(wanted)
    size = len(folded)
    is_ascii = folded.isascii()

    def matches(raw: Raw) -> bool:
        if isinstance(raw, str):
            count = len(raw)
            if count > _HALF:
                read(raw, work)
            # Folding never leads into ASCII or out of it.
            if raw.isascii() is not is_ascii or not count <= size <= 2 * count:
                return False
            if not is_ascii:
                work.spend(_FOLD_COST + 2 * count)
                return fold(raw) == folded
            if count >= FREE_TEXT:
                work.pay_for(raw)
            return count == size and (raw == wanted or raw.upper() == folded)
        if isinstance(raw, JsonNumber):
            digits = raw.text
            if len(digits) <= _EXACT_DIGITS and digits.isdigit():
                return digits == wanted
        else:
            work.spend(_COST)
        return equal(wanted, read_item(raw, work))

    return matches


def _number_finder(wanted: Decimal, work: Work) -> Callable[[Raw], bool]:
    is_whole = wanted == wanted.to_integral_value()
    plain = number_text(wanted) if is_whole else ""

    def matches(raw: Raw) -> bool:
        if isinstance(raw, JsonNumber):
            digits = raw.text
            if len(digits) <= _EXACT_DIGITS and digits.isdigit():
                return digits == plain
        elif isinstance(raw, str):
            if raw[:1] not in _NUMBER_STARTS and len(raw) <= _HALF:
                return False
            work.spend(_NUMBER_COST if len(raw) <= _EXACT_DIGITS else _LONG_NUMBER_COST)
        else:
            work.spend(_COST)
        return equal(wanted, read_item(raw, work))

    return matches


_NUMBER_STARTS: Final = frozenset({"", *_BLANKS, *"+-.0123456789"})


def compare(left: Value, right: Value) -> int:
    """Order as ``lt`` and its kin do.

    Args:
        left: Keeps its kind; Null becomes 0.
        right: Converted to that kind.

    Returns:
        Less than, equal to or greater than 0.

    Raises:
        EvaluationFault: ``TypeCast``.
    """
    if type(left) is Decimal and type(right) is Decimal:
        return _sign(left, right)
    kind = ordering_kind(left)
    if kind is Kind.STRING:
        return _sign(fold(cast(str, left)), fold(to_text(right)))
    if kind is Kind.BOOLEAN:
        return cast(bool, left) - to_boolean(right)
    if kind is Kind.VERSION:
        version = try_version(right)
        if version is None:
            _refuse(kind_of(right), Kind.VERSION)
        return _sign(cast(Version, left), version)
    number = try_number(right)
    if number is None:
        _refuse(kind_of(right), Kind.NUMBER)
    return _sign(_ZERO if left is None else cast(Decimal, left), number)


def ordering_kind(left: Value) -> Kind:
    """Return the kind two values are ordered in.

    Args:
        left: The left one.

    Returns:
        Its kind; Number for Null.

    Raises:
        EvaluationFault: ``TypeCast`` for an array or object, which have no order.
    """
    kind = kind_of(left)
    if kind is Kind.NULL:
        return Kind.NUMBER
    if kind is Kind.ARRAY or kind is Kind.OBJECT:
        _refuse(kind, Kind.NUMBER)
    return kind


def _sign(left: Order, right: Order) -> int:
    return (left > right) - (left < right)


def converts(value: Value, kind: Kind) -> bool:
    """Tell whether a value can be converted to a kind."""
    if kind is Kind.STRING:
        return try_text(value) is not None
    if kind is Kind.NUMBER:
        return try_number(value) is not None
    if kind is Kind.VERSION:
        return try_version(value) is not None
    return kind is Kind.BOOLEAN or is_null(value)
