"""Macros in inputs, and the masking of secrets in everything that leaves.

Source: HTTP contract, section 2 ("Macros") and section 4 ("Secrets read ``***`` everywhere").
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from invoke_core.documents import dump_json
from invoke_core.model import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from invoke_core.documents import JsonValue

SHORTEST_SECRET: Final = 4
"""A shorter text cannot be masked: it would stand, by chance, in every other word."""

MOST_SECRETS: Final = 100
"""So many secret variables may come with one call; each is looked for in whatever is shown."""

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


def is_secret_parameter(name: str) -> bool:
    """Tell whether the value of a query parameter is never shown, whatever it is.

    Args:
        name: As it stands in the URL, escapes and all.
    """
    return _SECRET_PARAMETER.fullmatch(unquote_plus(name)) is not None


class Masker:
    """Replaces secrets by ``***``, in each form in which they travel.

    A secret is recognised plain, URL-encoded, Base64-encoded (also where it is a part of what was
    encoded, as in Basic credentials) and escaped for JSON, whichever characters an encoder chose
    to escape. Secrets shorter than ``SHORTEST_SECRET`` characters are not looked for.

    A text is searched as it is and as it reads once escapes are undone. Each search is linear, so
    no text and no secret makes it slow.
    """

    __slots__ = ("_forms", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        """Prepare for a set of secrets; empty ones are passed over."""
        self._secrets = frozenset(text for text in secrets if len(text) >= SHORTEST_SECRET)
        self._forms = tuple({form for secret in self._secrets for form in _forms(secret)})

    def __repr__(self) -> str:
        """Tell how much it knows, not what."""
        return f"Masker({len(self._secrets)} secrets)"

    def also(self, secrets: Iterable[str]) -> Masker:
        """Return a masker for further secrets beside these; itself where there are none."""
        more = self._secrets.union(secrets)
        return self if len(more) == len(self._secrets) else Masker(more)

    def hide(self, text: str) -> str:
        """Return the text without the secrets."""
        if not self._forms:
            return text
        spans = _found(self._forms, text)
        if "%" in text or "+" in text:
            decoded = _without_escapes(text, _URL_ESCAPES, _undo_url)
            spans += decoded.spans(self._forms)
            # Forms write a blank as a plus, and some leave a plus as it is.
            spans += decoded.with_blanks().spans(form.replace("+", " ") for form in self._forms)
        if "\\" in text:
            spans += _without_escapes(text, _JSON_ESCAPES, _undo_json).spans(self._forms)
        return _masked(text, spans) if spans else text

    def part(self, part: str, *, of: str) -> str:
        """Return a part of a text for a sentence.

        A piece of a secret can no longer be recognised as one, so nothing of a text that holds a
        secret is shown.

        Args:
            part: What is to be shown.
            of: The text it comes from.
        """
        return MASK if self.hide(of) != of else part

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
    if mark and is_secret_parameter(name):
        return f"{name}={MASK}"
    return pair


def _encoded(secret: str) -> Iterable[bytes]:
    """Yield a secret as bytes, in the character sets that carry it."""
    yield secret.encode("utf-8", "replace")
    with suppress(UnicodeEncodeError):
        yield secret.encode("latin-1")


Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A text with its escapes undone, and where each part of it stood.

    Attributes:
        text: The text.
        places: Where runs begin in it, rising.
        sources: Where they began in the text as it was.
    """

    text: str
    places: list[int]
    sources: list[int]

    def with_blanks(self) -> _Decoded:
        """Return it with a blank for each plus."""
        return replace(self, text=self.text.replace("+", " "))

    def spans(self, forms: Iterable[str]) -> list[Span]:
        """Return where forms stood in the text as it was."""
        return [(self._source(start), self._source(end)) for start, end in _found(forms, self.text)]

    def _source(self, place: int) -> int:
        run = bisect_right(self.places, place) - 1
        return self.sources[run] + place - self.places[run]


_URL_ESCAPES: Final = re.compile("(?:%[0-9A-Fa-f]{2})+")
_JSON_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r'|\\u[0-9A-Fa-f]{4}|\\["\\/bfnrt]'
)


def _undo_url(escapes: str) -> Iterable[tuple[str, int]]:
    """Yield the characters of a run of percent-escapes, and how long each was."""
    raw = bytes.fromhex(escapes.replace("%", ""))
    for character in raw.decode("utf-8", "surrogateescape"):
        yield character, 3 * len(character.encode("utf-8", "surrogateescape"))


def _undo_json(escape: str) -> Iterable[tuple[str, int]]:
    """Yield the character of an escape of JSON, and how long it was."""
    yield json.loads(f'"{escape}"'), len(escape)


def _without_escapes(
    text: str, escapes: re.Pattern[str], undo: Callable[[str], Iterable[tuple[str, int]]]
) -> _Decoded:
    parts: list[str] = []
    places, sources = [0], [0]
    place = end = 0
    for match in escapes.finditer(text):
        parts.append(text[end : match.start()])
        place += match.start() - end
        end = match.start()
        for character, length in undo(match[0]):
            places.append(place)
            sources.append(end)
            parts.append(character)
            place += len(character)
            end += length
        places.append(place)
        sources.append(end)
    parts.append(text[end:])
    return _Decoded("".join(parts), places, sources)


def _found(forms: Iterable[str], text: str) -> list[Span]:
    """Return where forms stand in a text."""
    spans = []
    for form in forms:
        start = text.find(form)
        while start >= 0:
            spans.append((start, start + len(form)))
            start = text.find(form, start + len(form))
    return spans


def _masked(text: str, spans: list[Span]) -> str:
    """Return a text with a mask in the place of each span; what overlaps is one."""
    parts = []
    end = 0
    for start, stop in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _forms(secret: str) -> Iterable[str]:
    """Yield the texts by which a secret is recognised once escapes are undone."""
    yield secret
    for encoded in _encoded(secret):
        yield from _base64_forms(encoded)


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
