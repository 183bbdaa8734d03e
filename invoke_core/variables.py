"""Macros in inputs, and the masking of secrets in everything that leaves.

Source: HTTP contract, section 2 ("Macros") and section 4 ("Secrets read ``***`` everywhere").
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from invoke_core.controls import without_controls
from invoke_core.documents import dump_json
from invoke_core.masking import Spellings
from invoke_core.model import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from invoke_core.documents import JsonValue

    _Container = dict[str, JsonValue] | list[JsonValue]

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
_AFTER_PARAMETER: Final = re.compile(r"""[&#\s"'<>]""")
"""What no parameter goes on over, so that a text may be cut before it."""

_BATCH: Final = 64 * 1024
"""Characters that are looked at together."""


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
    to escape; and where UTF-8 was read as Latin-1, or Latin-1 as UTF-8. Secrets shorter than
    ``SHORTEST_SECRET`` characters are not looked for.

    A text is searched as it is and as it reads once escapes are undone. Each search is linear, so
    no text and no secret makes it slow, and takes little memory.
    """

    __slots__ = ("_secrets", "_spellings")

    def __init__(self, secrets: Iterable[str]) -> None:
        """Prepare for a set of secrets; empty ones are passed over."""
        self._secrets = frozenset(text for text in secrets if len(text) >= SHORTEST_SECRET)
        self._spellings = Spellings(self._secrets)

    def __repr__(self) -> str:
        """Tell how much it knows, not what."""
        return f"Masker({len(self._secrets)} secrets)"

    def also(self, secrets: Iterable[str]) -> Masker:
        """Return a masker for further secrets beside these; itself where there are none."""
        more = self._secrets.union(secrets)
        return self if len(more) == len(self._secrets) else Masker(more)

    def hide(self, text: str) -> str:
        """Return the text without the secrets.

        Control and ANSI sequences stay unless one of them keeps a secret apart.
        """
        return _also_without_controls(text, self._hide) if self._secrets else text

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
        if not self._secrets and "=" not in text and text.isprintable():
            return text
        return _also_without_controls(text, self._show)

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

    def _hide(self, text: str) -> str:
        return self._spellings.hidden(text) if self._secrets else text

    def _show(self, text: str) -> str:
        return _without_parameters(self._hide(text))

    def show_url(self, url: str) -> str:
        """Return a URL as it may be shown: values of secret query parameters masked whole."""
        before, mark, query = url.partition("?")
        if mark:
            query = "&".join(_shown_parameter(pair) for pair in query.split("&"))
        return self.hide(before + mark + query)

    def show_header(self, name: str, value: str) -> str:
        """Return a header's value as it may be shown."""
        return MASK if is_secret_header(name) else self.show(value)


def _also_without_controls(text: str, mask: Callable[[str], str]) -> str:
    """Mask a text as it is, and as it reads where its control and ANSI sequences are not shown.

    A log leaves them out, and would join what they keep apart. They stay unless that matters.
    """
    masked = mask(text)
    clean = without_controls(masked)
    if clean == masked:
        return masked
    shown = mask(clean)
    return masked if shown == clean else shown


def _without_parameters(text: str) -> str:
    """Return a text with the values of secret query parameters masked, in parts of some length."""
    if "=" not in text:
        return text
    parts = []
    start = 0
    while start < len(text):
        stop = _AFTER_PARAMETER.search(text, start + _BATCH)
        end = stop.start() if stop else len(text)
        parts.append(_PARAMETER_IN_TEXT.sub(rf"\1{MASK}", text[start:end]))
        start = end
    return "".join(parts)


def _shown_parameter(pair: str) -> str:
    name, mark, _ = pair.partition("=")
    if mark and is_secret_parameter(name):
        return f"{name}={MASK}"
    return pair


def _mapped(document: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """Return a copy with every text and member name changed, without recursion.

    Where nothing changes, the document itself is returned.
    """
    changed = _changed(_texts(document), change)
    return _replaced(document, changed) if changed else document


def _texts(document: JsonValue) -> Iterator[str]:
    """Yield every text and member name of a document."""
    stack: list[Iterator[JsonValue]] = [iter((document,))]
    while stack:
        for node in stack[-1]:
            if isinstance(node, str):
                yield node
            elif isinstance(node, dict):
                yield from node
                stack.append(iter(node.values()))
                break
            elif isinstance(node, list):
                stack.append(iter(node))
                break
        else:
            stack.pop()


def _changed(texts: Iterator[str], change: Callable[[str], str]) -> dict[str, str]:
    """Return what becomes of the texts that are changed.

    Most texts are short and are not, so many are looked at together: no escape and no parameter
    goes on over a line end.
    """
    changed: dict[str, str] = {}
    batch: list[str] = []
    length = 0
    for text in chain(texts, (None,)):
        if text is not None:
            batch.append(text)
            length += len(text) + 1
        if text is None or length > _BATCH:
            joined = "\n".join(batch)
            if change(joined) != joined:
                for each in set(batch):
                    result = change(each)
                    if result != each:
                        changed[each] = result
            batch.clear()
            length = 0
    return changed


def _replaced(document: JsonValue, texts: dict[str, str]) -> JsonValue:
    """Return a copy of a document with other texts in the place of some."""
    result: list[JsonValue] = [None]
    stack: list[tuple[Iterator[tuple[str | int, JsonValue]], _Container]] = [
        (iter([(0, document)]), result)
    ]
    while stack:
        children, parent = stack[-1]
        for place, node in children:
            copy: JsonValue = texts.get(node, node) if isinstance(node, str) else node
            if isinstance(node, dict):
                copy = {}
                named = ((texts.get(name, name), child) for name, child in node.items())
                stack.append((named, copy))
            elif isinstance(node, list):
                copy = [None] * len(node)
                stack.append((enumerate(node), copy))
            parent[place] = copy  # type: ignore[index]  # a dict goes with a name, a list with an index
            if copy is not node and not isinstance(node, str):
                break
        else:
            stack.pop()
    return result[0]
