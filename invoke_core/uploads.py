"""What an external service uploads, without the secrets it was given.

An external service holds the AuthToken, and may hold the connection's credential and the step's
secret variables. It may log them, in any form, before anybody could stop it.

Source: HTTP contract, section 4 ("Secrets read ``***`` everywhere").
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from invoke_core.documents import without_lone_surrogates
from invoke_core.variables import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from invoke_core.documents import JsonValue
    from invoke_core.variables import Masker

_BYTE_ORDER_MARK: Final = "\ufeff"

_MOST_LINES: Final = 200
"""Of a secret of more lines, the first ones are looked for one by one; a private key has 50."""

_SHORTEST_LINE: Final = 8
"""A shorter line of a secret of several lines may be any word, or a closing brace."""


class UploadMask:
    """Masks what is uploaded to one plan."""

    def __init__(self, masker: Masker, secrets: Iterable[str]) -> None:
        """Prepare.

        Args:
            masker: What is made already; it may know some of the secrets.
            secrets: The token, the texts of the connection's credential, the step's secrets.
        """
        self._masker = masker.also(form for secret in secrets for form in _upload_forms(secret))

    def also(self, secrets: Iterable[str]) -> UploadMask:
        """Return a mask for further secrets beside these."""
        return UploadMask(self._masker, secrets)

    def text(self, text: str) -> str:
        """Return a text as it may be stored.

        Args:
            text: Lines, their ends of any kind.

        Returns:
            The text without secrets, CRLF as LF.
        """
        return self._masker.show(without_lone_surrogates(text).replace("\r\n", "\n"))

    def document(self, value: JsonValue) -> JsonValue:
        """Return a document as it may be stored: texts and member names masked, numbers not."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self.document(child) for name, child in value.items()}
            case list():
                return [self.document(child) for child in value]
            case _:
                return value


def read_page(body: bytes) -> str:
    """Return a log page as text, however it is labelled.

    Args:
        body: The bytes; .NET begins them with a byte-order mark.

    Returns:
        The text; bytes that are not UTF-8 are replaced.
    """
    return body.decode("utf-8", "replace").removeprefix(_BYTE_ORDER_MARK)


def lines_of(text: str) -> list[str]:
    """Return the lines of a stored text without their ends; a last end begins no line."""
    lines = text.split("\n")
    if not lines[-1]:
        del lines[-1]
    return lines


def _upload_forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may come back in a text.

    Beside the forms every masker knows: its line ends changed, and its lines one by one.
    """
    if len(secret) < SHORTEST_SECRET:
        return
    unix = secret.replace("\r\n", "\n")
    yield from (secret, unix)
    lines = unix.split("\n")
    if len(lines) > 1:
        long_ones = (line for line in lines if len(line.strip()) >= _SHORTEST_LINE)
        yield from islice(long_ones, _MOST_LINES)
