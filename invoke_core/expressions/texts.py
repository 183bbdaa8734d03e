"""Texts as .NET sees them: UTF-16 units, and letter case one character at a time.

A text is compared by its UTF-16 units, so texts are first brought into a form with one character
a unit.

Source: expressions reference, sections 1 (units) and 6 (text).
"""

from __future__ import annotations

import re
from typing import Final

_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")
_ODD_CASE: Final = re.compile("[\u0131\u017f\U00010000-\U0010ffff]")


def utf16_length(text: str) -> int:
    """Count the UTF-16 units of a text."""
    return len(text) if text.isascii() else len(_encoded(text)) // 2


def _encoded(text: str) -> memoryview:
    """Return the units in the machine's own byte order, without the mark that tells it."""
    return memoryview(text.encode("utf-16", "surrogatepass"))[2:]


def units(text: str) -> str:
    """Return a text with one character for each UTF-16 unit.

    Args:
        text: Any text.

    Returns:
        The same, characters beyond the BMP as two surrogates.
    """
    if text.isascii() or not _BEYOND_BMP.search(text):
        return text
    return "".join(map(chr, _encoded(text).cast("H")))


def fold(text: str) -> str:
    """Return what a text is compared by: its units, each in its single-character upper case.

    Args:
        text: Any text.

    Returns:
        One character a unit. Two texts are equal without case when these are equal, and are
        ordered as these are.
    """
    if text.isascii():
        return text.upper()
    return units(upper(text))


def same_text(left: str, right: str) -> bool:
    """Compare two texts without case.

    Args:
        left: Any text.
        right: Any text.

    Returns:
        Whether they are equal; found out in a time that depends on the shorter one.
    """
    if left == right:
        return True
    if left.isascii() and right.isascii():
        return len(left) == len(right) and left.upper() == right.upper()
    # A character is one unit or two, so these cannot have equally many.
    if len(left) > 2 * len(right) or len(right) > 2 * len(left):
        return False
    return fold(left) == fold(right)


def upper(text: str) -> str:
    """Return a text in upper case, character by character, as .NET does without a culture."""
    if text.isascii():
        return text.upper()
    whole = text.upper()
    # Upper case never has fewer characters, so equal length means each has a single one.
    if len(whole) == len(text) and not _ODD_CASE.search(text):
        return whole
    return text.translate(_UPPER)


def lower(text: str) -> str:
    """Return a text in lower case, character by character, as .NET does without a culture."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


class _Upper(dict[int, int]):
    """The single-character upper case of each character of the BMP, filled on demand."""

    def __missing__(self, code: int) -> int:
        """Work one out: a character without one, or with several, stays as it is."""
        char = chr(code)
        up = char.upper()
        if len(up) != 1:
            # A few Greek letters have several in full, and one where only one may be.
            up = char.title()
        alone = code <= 0xFFFF and len(up) == 1 and (up > "\x7f" or code <= 0x7F)
        self[code] = ord(up) if alone else code
        return self[code]


class _Lower(dict[int, int]):
    """The single-character lower case of each character of the BMP, filled on demand."""

    def __missing__(self, code: int) -> int:
        """Work one out."""
        low = chr(code).lower()
        alone = code <= 0xFFFF and len(low) == 1 and (low > "\x7f" or code <= 0x7F)
        self[code] = ord(low) if alone else code
        return self[code]


_UPPER: Final = _Upper()
_LOWER: Final = _Lower()
