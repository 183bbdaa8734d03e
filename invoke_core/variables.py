"""Macros in inputs, and the masking of secrets in everything that leaves.

Source: HTTP contract, section 2 ("Macros") and section 4 ("Secrets read ``***`` everywhere").
"""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

from invoke_core.documents import dump_json
from invoke_core.model import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from invoke_core.documents import JsonValue

SHORTEST_SECRET: Final = 4
"""A shorter text cannot be masked: it would stand, by chance, in every other word."""

MOST_SECRETS: Final = 100
"""So many secret variables may come with one call; each is looked for in whatever is shown."""

LONGEST_SPELLED: Final = 1024
"""Of a longer secret, not every conceivable spelling is looked for."""

_MACRO: Final = re.compile(r"\$\((json:)?([^()$\r\n]+)\)", re.IGNORECASE)

_SECRET_HEADER: Final = re.compile(
    r"authorization|proxy-authorization|authtoken|cookie|set-cookie|.*-(?:key|token|secret)",
    re.IGNORECASE,
)
_SECRET_PARAMETER: Final = re.compile(
    r"sig|code|password|.*(?:token|key|secret)", re.IGNORECASE | re.DOTALL
)
# The same rule for a URL somewhere inside a text. Delimiters are in no character class that
# repeats before them, so no text makes it slow.
_PARAMETER_IN_TEXT: Final = re.compile(
    r"""([?&;](?:sig|code|password|[^=&?#;\s"'<>]*(?:token|key|secret))=)[^&#\s"'<>]+""",
    re.IGNORECASE,
)


def expand(text: str, values: Mapping[str, str], *, unknown: Callable[[str], None]) -> str:
    """Replace the macros in a text, once: what a macro brings in is not expanded again.

    Args:
        text: Any text; ``$(name)`` is replaced by the variable's value and ``$(json:name)`` by
            the value escaped for use inside a JSON string.
        values: Values by lower-case name.
        unknown: Told each name that is no variable; the macro then stays as it is.

    Returns:
        The text with the macros replaced.
    """

    def value(macro: re.Match[str]) -> str:
        escaped, name = macro.groups()
        found = values.get(name.lower())
        if found is None:
            unknown(name)
            return macro[0]
        return dump_json(found)[1:-1] if escaped else found

    return _MACRO.sub(value, text)


def is_secret_header(name: str) -> bool:
    """Tell whether a header's value is never shown, whatever it is."""
    return _SECRET_HEADER.fullmatch(name) is not None


class Masker:
    """Replaces secrets by ``***``, in each form in which they travel.

    A secret is recognised plain, URL-encoded, Base64-encoded (also where it is a part of what was
    encoded, as in Basic credentials) and escaped for JSON, whichever characters an encoder chose
    to escape. Secrets shorter than ``SHORTEST_SECRET`` characters are not looked for; of those
    longer than ``LONGEST_SPELLED``, the usual spellings only.
    """

    __slots__ = ("_literals", "_needles", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        """Prepare for a set of secrets; empty ones are passed over."""
        self._secrets = frozenset(text for text in secrets if len(text) >= SHORTEST_SECRET)
        long = {text for text in self._secrets if len(text) > LONGEST_SPELLED}
        literals = {literal for secret in long for literal in _literals(secret)}
        self._literals = sorted(literals, key=len, reverse=True)
        # What no encoder changes is looked for first: nearly always that is all there is to do.
        needles: dict[str, set[_Form]] = {}
        for secret in self._secrets - long:
            for form in _forms(secret):
                needles.setdefault(form.needle, set()).add(form)
        self._needles = needles

    def __repr__(self) -> str:
        """Tell how much it knows, not what."""
        return f"Masker({len(self._secrets)} secrets)"

    def also(self, secrets: Iterable[str]) -> Masker:
        """Return a masker for further secrets beside these; itself where there are none."""
        more = self._secrets.union(secrets)
        return self if len(more) == len(self._secrets) else Masker(more)

    def hide(self, text: str) -> str:
        """Return the text without the secrets."""
        for literal in self._literals:
            text = text.replace(literal, MASK)
        forms = [
            form for needle, forms in self._needles.items() if needle in text for form in forms
        ]
        if not forms:
            return text
        # The longest first, and escaped before plain: a form may begin with another.
        return _pattern(tuple(sorted(forms, reverse=True))).sub(MASK, text)

    def hide_in(self, document: JsonValue, *, raw: str) -> JsonValue:
        """Return a parsed document without the secrets, in text values and member names.

        Args:
            document: The document; it is not changed.
            raw: The text it was parsed from.

        Returns:
            The very same document where it holds no secret, else a copy.
        """
        # Without escapes every text in the document stands in the raw text as it is.
        if not self._secrets or ("\\" not in raw and self.hide(raw) == raw):
            return document
        return _mapped(document, self.hide)

    def show(self, text: str) -> str:
        """Return the text as it may be shown: no secrets, no secret query parameters."""
        return _PARAMETER_IN_TEXT.sub(rf"\1{MASK}", self.hide(text))

    def show_in(self, document: JsonValue, *, raw: str) -> JsonValue:
        """Return a parsed document as it may be shown; numbers are left alone.

        Args:
            document: The document; it is not changed.
            raw: The text it was parsed from.

        Returns:
            The very same document where there is nothing to mask in it, else a copy.
        """
        return document if self.leaves(raw) else _mapped(document, self.show)

    def leaves(self, raw: str) -> bool:
        """Tell whether a JSON text certainly holds nothing to mask, escapes undone."""
        return "\\" not in raw and self.show(raw) == raw

    def show_url(self, url: str) -> str:
        """Return a URL as it may be shown: values of secret query parameters masked whole."""
        before, mark, query = url.partition("?")
        if mark:
            query = "&".join(_shown_parameter(pair) for pair in query.split("&"))
        return self.hide(before + mark + query)

    def show_header(self, name: str, value: str) -> str:
        """Return a header's value as it may be shown."""
        return MASK if is_secret_header(name) else self.show(value)


def _shown_parameter(pair: str) -> str:
    name, mark, _ = pair.partition("=")
    if mark and _SECRET_PARAMETER.fullmatch(unquote_plus(name)):
        return f"{name}={MASK}"
    return pair


def _literals(secret: str) -> Iterable[str]:
    """Yield a long secret in the spellings that encoders usually choose.

    A regular expression for every spelling would take seconds to compile.
    """
    percent = quote(secret, safe="", errors="replace")
    escaped = dump_json(secret)[1:-1]
    in_ascii = json.dumps(secret)[1:-1]
    yield from (secret, percent, quote_plus(secret, errors="replace"))
    yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), percent)
    yield from (escaped, in_ascii, escaped.replace("/", r"\/"), in_ascii.replace("/", r"\/"))
    for encoded in _encoded(secret):
        yield from _base64_forms(encoded)


def _encoded(secret: str) -> Iterable[bytes]:
    """Yield a secret as bytes, in the character sets that carry it."""
    yield secret.encode("utf-8", "replace")
    with suppress(UnicodeEncodeError):
        yield secret.encode("latin-1")


class _Spelling(IntEnum):
    """Who may have written a text, in the order in which equally long forms are tried."""

    PLAIN = 0
    URL = 1
    JSON = 2


class _Form(NamedTuple):
    """A text as it may stand for a secret."""

    length: int
    spelling: _Spelling
    text: str

    @property
    def needle(self) -> str:
        """The longest part of it that every spelling leaves as it is."""
        return max(_UNCHANGED.findall(self.text), key=len, default="")

    def patterns(self) -> Iterable[str]:
        """Yield regular expressions for it in every spelling of its characters.

        Each decodes in one way only, so no text makes the matching slow.
        """
        if self.spelling is _Spelling.PLAIN:
            return [re.escape(self.text)]
        spellings = _url_spellings if self.spelling is _Spelling.URL else _json_spellings
        return _spelled(self.text, spellings)


_UNCHANGED: Final = re.compile("[0-9A-Za-z]+")


@lru_cache(maxsize=256)
def _pattern(forms: tuple[_Form, ...]) -> re.Pattern[str]:
    return re.compile("|".join(pattern for form in forms for pattern in form.patterns()))


def _forms(secret: str) -> Iterable[_Form]:
    """Yield a secret's forms."""
    for spelling in _Spelling:
        yield _Form(len(secret), spelling, secret)
    for encoded in set(_encoded(secret)):
        for text in set(_base64_forms(encoded)):
            yield _Form(len(text), _Spelling.URL, text)


def _spelled(text: str, spellings: Callable[[str], tuple[str, ...]]) -> Iterable[str]:
    """Yield regular expressions for a text in every spelling of its characters."""
    rest = "".join(
        character if _is_plain(character) else f"(?:{'|'.join(spellings(character))})"
        for character in text[1:]
    )
    # Beginning with a literal each, they let the search skip quickly.
    for first in spellings(text[0]):
        yield first + rest


def _is_plain(character: str) -> bool:
    """Tell whether every encoder leaves a character alone."""
    return character.isascii() and character.isalnum()


def _url_spellings(character: str) -> tuple[str, ...]:
    """Return what URL encoders make of a character; which they leave alone differs."""
    if _is_plain(character):
        return (character,)
    encoded = character.encode("utf-8", "replace")
    percent = "".join(f"%{_hex_digits(f'{byte:02x}')}" for byte in encoded)
    match character:
        case "%":
            return (percent,)
        case " ":
            return percent, r"\+", r"\ "
        case _:
            return percent, re.escape(character)


def _json_spellings(character: str) -> tuple[str, ...]:
    """Return what JSON encoders make of a character."""
    if _is_plain(character):
        return (character,)
    units = character.encode("utf-16-be", "surrogatepass").hex()
    spelled = rf"\\u{_hex_digits(units[:4])}"
    if len(units) > 4:
        spelled += rf"\\u{_hex_digits(units[4:])}"
    short = re.escape(dump_json(character)[1:-1])
    return (spelled, short, r"\\/") if character == "/" else (spelled, short)


def _hex_digits(text: str) -> str:
    return "".join(digit if digit.isdigit() else f"[{digit}{digit.upper()}]" for digit in text)


def _base64_forms(encoded: bytes) -> Iterable[str]:
    """Yield what Base64 makes of some bytes: at each place within other bytes, and at their end."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(bytes(before) + encoded).decode("ascii")
            # Characters that also carry bits of neighbouring bytes differ from case to case.
            start, end = -(-before * 8 // 6), (before + len(encoded)) * 8 // 6
            yield whole[start:]
            yield whole[start:].rstrip("=")
            yield whole[start:end]


def _mapped(document: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """Return a copy with every text and member name changed, without recursion.

    Where nothing changes, the document itself is returned.
    """
    result: list[JsonValue] = [None]
    changed = False
    waiting: list[tuple[JsonValue, dict[str, JsonValue] | list[JsonValue], str | int]] = [
        (document, result, 0)
    ]
    while waiting:
        node, parent, place = waiting.pop()
        copy: JsonValue
        if isinstance(node, str):
            copy = change(node)
            changed = changed or copy != node
        elif isinstance(node, dict):
            members: dict[str, JsonValue] = {}
            copy = members
            for name, child in node.items():
                shown = change(name)
                changed = changed or shown != name
                members[shown] = None
                waiting.append((child, members, shown))
        elif isinstance(node, list):
            items: list[JsonValue] = [None] * len(node)
            copy = items
            waiting.extend((child, items, at) for at, child in enumerate(node))
        else:
            copy = node
        parent[place] = copy  # type: ignore[index]  # a dict goes with a name, a list with an index
    return result[0] if changed else document
