"""A target's answer as criteria and callers see it: decoded, parsed once, without the credential.

Source: HTTP contract, "Conventions" (answers of targets), section 2 ("ApiResponse") and section 4
(``response.body``, masking).
"""

from __future__ import annotations

import codecs
import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from invoke_core.documents import dump_json, parse_answer
from invoke_core.errors import AnswerNotJsonError, JsonSyntaxError
from invoke_core.model import ResponseView

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue
    from invoke_core.model import Answer
    from invoke_core.variables import Masker

SHOWN_BODY_BYTES: Final = 256 * 1024
"""How much of a body is kept and shown."""

_EXCERPT: Final = 80

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9._:-]+)", re.IGNORECASE)
# Python knows codecs that are no character sets, and some that are slow on hostile input.
_CHARACTER_SETS: Final = re.compile(
    r"utf-?8|utf-?16(-?[bl]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|windows-?125\d|cp125\d"
    r"|koi8-[ru]|shift_jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)


class AnswerReading:
    """Reads one answer, each part when it is first asked for.

    Args:
        answer: What the target answered.
        credential: Masks the connection's own credential, which a target may echo and a criteria
            must not be able to test.
        store_body: Whether the body may be shown at all.
    """

    def __init__(self, answer: Answer, *, credential: Masker, store_body: bool = True) -> None:
        """Read nothing yet."""
        self.answer = answer
        self._store_body = store_body
        self._credential = credential

    @cached_property
    def text(self) -> str:
        """The body as text; bytes that do not decode become U+FFFD."""
        return self.answer.body.decode(self._charset, "replace").removeprefix("\ufeff")

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers, names as received, repeats joined by a comma and a blank."""
        joined: dict[str, list[str]] = {}
        spelling: dict[str, str] = {}
        for name, value in self.answer.headers:
            joined.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
        hide = self._credential.hide
        return {hide(name): hide(", ".join(values)) for name, values in joined.items()}

    def root(self) -> JsonValue:
        """Return the parsed body.

        Raises:
            AnswerNotJsonError: It is not JSON; an empty body is not.
        """
        parsed = self._parsed
        if isinstance(parsed, JsonSyntaxError):
            raise AnswerNotJsonError(self._not_json(parsed), source="", kind="NotJson")
        return parsed[0]

    def content(self) -> JsonValue:
        """Return the parsed body where it is JSON, else its text."""
        parsed = self._parsed
        return self._plain if isinstance(parsed, JsonSyntaxError) else parsed[0]

    def excerpt(self, mask: Callable[[str], str]) -> str:
        """Return a sentence with the first characters of the body.

        Nothing where there are none, or where the body may not be shown.

        Args:
            mask: Removes the step's secrets; before the cut, which could leave half of one.
        """
        if not self._store_body:
            return ""
        start = mask(self._plain).strip()[:_EXCERPT]
        return f" It begins with: {start}" if start else ""

    def view(self, shown: Masker) -> ResponseView:
        """Return the answer as a caller may see it.

        Args:
            shown: Masks the step's secrets; the credential is no longer in what was read.
        """
        body, truncated = self._shown_body(shown) if self._store_body else (None, False)
        return ResponseView(
            status=self.answer.status,
            headers={
                shown.show(name): shown.show_header(name, value)
                for name, value in self.headers.items()
            },
            body=body,
            body_truncated=truncated,
            elapsed_ms=self.answer.elapsed_ms,
        )

    def _shown_body(self, shown: Masker) -> tuple[JsonValue, bool]:
        parsed = self._parsed
        truncated = len(self.answer.body) > SHOWN_BODY_BYTES
        if isinstance(parsed, JsonSyntaxError):
            text = shown.show(self._plain)
            return (_cut(text) if truncated else text), truncated
        if truncated and shown.leaves(self.text) and self._plain == self.text:
            return _cut(self.text), True
        # Masked after parsing: an escape in the raw text could hide a secret from us.
        document = shown.show_in(parsed[0], raw=self.text)
        return (_cut(dump_json(document)) if truncated else document), truncated

    @property
    def _charset(self) -> str:
        content_type = next(
            (value for name, value in self.answer.headers if name.lower() == "content-type"), ""
        )
        found = _CHARSET.search(content_type)
        if found is None or not _CHARACTER_SETS.fullmatch(found[1]):
            return "utf-8"
        try:
            return codecs.lookup(found[1]).name
        except LookupError:
            return "utf-8"

    @cached_property
    def _plain(self) -> str:
        return self._credential.hide(self.text)

    @cached_property
    def _parsed(self) -> tuple[JsonValue] | JsonSyntaxError:
        try:
            document = parse_answer(self.text)
        except JsonSyntaxError as error:
            return error
        return (self._credential.hide_in(document, raw=self.text),)

    def _not_json(self, error: JsonSyntaxError) -> str:
        if not self.text.strip():
            return "An expression reads the body of the answer, and it is empty."
        return f"An expression reads the body of the answer, and it is not JSON. {error.message}"


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:SHOWN_BODY_BYTES].decode("utf-8", "ignore")
