"""Where secrets stand in a text, in each form in which they travel.

Everything here is linear in the text, and takes little memory beside it: a text is searched in
windows that overlap by the longest spelling of a form, so that none is cut in all of them.

Source: HTTP contract, section 4 ("Secrets read ``***`` everywhere").
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from invoke_core.model import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_WINDOW: Final = 64 * 1024
_LONGEST_ESCAPE: Final = 12
"""Characters of the longest escape of one character, in URLs as in JSON."""

_LOST: Final = "\ufffd?"
_FEWEST_KEPT: Final = 3
"""Characters of a secret that have to be left where a wrong character set destroyed the others: so
much of it stands in no text by chance."""

Span = tuple[int, int]


class Spellings:
    """Finds secrets in texts, spelled in any way that undoing escapes once makes plain."""

    __slots__ = ("_longest", "_plain", "_shortest", "_window", "_with_blanks", "_with_plus")

    def __init__(self, secrets: Iterable[str], *, window: int = _WINDOW) -> None:
        """Prepare for secrets, none of them empty.

        Args:
            secrets: What is looked for.
            window: Characters searched at once; more where a secret is long.
        """
        self._plain = _Forms(form for secret in secrets for form in _forms(secret))
        # Forms write a blank as a plus, and some leave a plus as it is.
        self._with_blanks = self._plain.with_blanks(only_changed=False)
        self._with_plus = self._plain.with_blanks(only_changed=True)
        self._shortest = self._plain.shortest
        self._longest = self._plain.longest_spelled
        self._window = max(window, 4 * (self._longest + _LONGEST_ESCAPE))

    def hidden(self, text: str) -> str:
        """Return a text with a mask in the place of each secret; what overlaps is one."""
        if len(text) < self._shortest:
            return text
        done: list[str] = []
        end = 0
        for spans in self._windows(text):
            parts: list[str] = []
            for start, stop in spans:
                if start >= end:
                    parts += [text[end:start], MASK]
                end = max(end, stop)
            if parts:
                done.append("".join(parts))
        return "".join([*done, text[end:]]) if done else text

    def _windows(self, text: str) -> Iterator[list[Span]]:
        """Yield where secrets stand, window by window, rising."""
        start = 0
        while True:
            window = text[start : start + self._window]
            is_last = start + self._window >= len(text)
            # What begins after this is found by the next window, which has all of it.
            next_start = len(window) if is_last else _cut(window, self._window - self._longest)
            yield [
                (start + begin, start + end)
                for begin, end in sorted(self._spans(window), key=_earliest_longest)
                if begin < next_start
            ]
            if is_last:
                return
            start += next_start

    def _spans(self, text: str) -> list[Span]:
        spans = self._plain.found(text)
        if "%" in text or "+" in text:
            decoded = _URL_ESCAPES.undone(text)
            found = self._plain.found(decoded)
            if "+" in decoded:
                found += self._with_blanks.found(decoded.replace("+", " "))
            else:
                found += self._with_plus.found(decoded)
            spans += _URL_ESCAPES.sources(text, found)
        if "\\" in text:
            spans += _JSON_ESCAPES.sources(text, self._plain.found(_JSON_ESCAPES.undone(text)))
        return spans


class _Forms:
    """Texts to look for, each with what may belong to it where that follows."""

    __slots__ = ("_tails", "longest_spelled", "shortest")

    def __init__(self, forms: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        tails: dict[str, set[str]] = {}
        for form, ends in forms:
            tails.setdefault(form, set()).update(ends)
        self._tails = {
            form: tuple(sorted(ends, key=len, reverse=True)) for form, ends in tails.items()
        }
        self.shortest = min(map(len, self._tails), default=0)
        self.longest_spelled = max(map(_spelled_length, self._tails), default=0)

    def with_blanks(self, *, only_changed: bool) -> _Forms:
        """Return the forms with a blank for each plus."""
        return _Forms(
            (form.replace("+", " "), tuple(end.replace("+", " ") for end in ends))
            for form, ends in self._tails.items()
            if not only_changed or "+" in form
        )

    def found(self, text: str) -> list[Span]:
        """Return where forms stand in a text."""
        spans = []
        for form, tails in self._tails.items():
            start = text.find(form)
            while start >= 0:
                end = start + len(form)
                end += next((len(tail) for tail in tails if text.startswith(tail, end)), 0)
                spans.append((start, end))
                start = text.find(form, end)
        return spans


class _Escapes:
    """One way to escape characters, undone once."""

    __slots__ = ("_pattern", "_undo")

    def __init__(self, pattern: str, undo: Callable[[str], str]) -> None:
        self._pattern = re.compile(f"({pattern})")
        self._undo = undo

    def undone(self, text: str) -> str:
        """Return a text with its escapes undone."""
        return "".join(self._pieces(text))

    def sources(self, text: str, spans: list[Span]) -> list[Span]:
        """Return where in a text stood what stands in it once its escapes are undone."""
        if not spans:
            return []
        sources = [0, *accumulate(map(len, self._pattern.split(text)))]
        places = [0, *accumulate(map(len, self._pieces(text)))]

        def source(place: int) -> int:
            piece = bisect_right(places, place) - 1
            return sources[piece] + place - places[piece]

        return [(source(start), source(end)) for start, end in spans]

    def _pieces(self, text: str) -> list[str]:
        pieces: list[str] = self._pattern.split(text)
        pieces[1::2] = map(self._undo, pieces[1::2])
        return pieces


@lru_cache(maxsize=4096)
def _undo_url(escape: str) -> str:
    return bytes.fromhex(escape.replace("%", "")).decode("utf-8", "surrogateescape")


@lru_cache(maxsize=4096)
def _undo_json(escape: str) -> str:
    if escape[1] != "u":
        return _SHORT_ESCAPES.get(escape[1], escape[1])
    units = [int(digits, 16) for digits in escape[2:].split("\\u")]
    if len(units) == 1:
        return chr(units[0])
    return chr(0x10000 + ((units[0] - 0xD800) << 10) + units[1] - 0xDC00)


_SHORT_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

# Each escape is one character, or bytes that are none.
_NEXT_BYTE: Final = "%[89ABab][0-9A-Fa-f]"
_URL_ESCAPES: Final = _Escapes(
    f"%[CcDd][0-9A-Fa-f]{_NEXT_BYTE}"
    f"|%[Ee][0-9A-Fa-f]{_NEXT_BYTE}{_NEXT_BYTE}"
    f"|%[Ff][0-7]{_NEXT_BYTE}{_NEXT_BYTE}{_NEXT_BYTE}"
    "|%[0-9A-Fa-f]{2}",
    _undo_url,
)
_JSON_ESCAPES: Final = _Escapes(
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r'|\\u[0-9A-Fa-f]{4}|\\["\\/bfnrt]',
    _undo_json,
)


def _cut(text: str, at: int) -> int:
    """Return a place at most some characters before another that is inside of no escape."""
    near = text.rfind("\\", max(0, at - _LONGEST_ESCAPE), at)
    if near >= 0:
        run = text[: near + 1]
        # Of a run of backslashes, each second one is escaped.
        if (len(run) - len(run.rstrip("\\"))) % 2:
            return near
    near = text.rfind("%", max(0, at - 2), at)
    return at if near < 0 else near


def _earliest_longest(span: Span) -> tuple[int, int]:
    return span[0], -span[1]


def _spelled_length(form: str) -> int:
    """Return the most characters that a form takes, escaped, with what may follow it."""
    return len(form) * (_LONGEST_ESCAPE // 2 if form.isascii() else _LONGEST_ESCAPE) + 32


def _forms(secret: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the texts by which a secret is recognised once escapes are undone, and their tails."""
    for text in {secret, *_misread(secret)}:
        yield text, ()
    for encoded in _encoded(secret):
        yield from _base64_forms(encoded)


def _misread(secret: str) -> Iterator[str]:
    """Yield how a secret reads that was written in one character set and read in another.

    Header values are sent and read as Latin-1, and most else is read as UTF-8.
    """
    if secret.isascii():
        return
    yield secret.encode("utf-8", "replace").decode("latin-1")
    damaged = secret.encode("latin-1", "replace").decode("utf-8", "replace")
    if sum(character not in _LOST for character in damaged) >= _FEWEST_KEPT:
        yield damaged


def _encoded(secret: str) -> Iterator[bytes]:
    """Yield a secret as bytes, in the character sets that carry it."""
    yield secret.encode("utf-8", "replace")
    with suppress(UnicodeEncodeError):
        yield secret.encode("latin-1")


def _base64_forms(encoded: bytes) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what Base64 makes of some bytes: at each place within other bytes, and at their end."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(bytes(before) + encoded).decode("ascii")
            # Characters that also carry bits of neighbouring bytes differ from case to case.
            start, end = -(-before * 8 // 6), (before + len(encoded)) * 8 // 6
            tail = whole[end:]
            yield whole[start:end], tuple({tail, tail.rstrip("=")} - {""})
