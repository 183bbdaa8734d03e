"""Which parts of a connection's URL are credentials.

An application setting in a URL may be a key, or a word of a path that answers and criteria are full
of. Names tell them apart, by the rule that the HTTP contract has for headers and query parameters.

Source: HTTP contract, section 4 ("values of headers named", "of query parameters"); section 7
(``${NAME}``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_plus

from invoke_core.settings.definitions import REFERENCE
from invoke_core.variables import is_secret_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Azure numbers the keys of a service: KEY1, KEY_2. 'code' is no such word: a setting REGION_CODE
# holds no secret, and a query parameter 'code' is known by itself.
_SECRET_NAME: Final = re.compile(
    r"(?:.*(?:key|token|secret|password)|(?:.*_)?(?:pwd|sig|sas|pat))_?[0-9]*", re.IGNORECASE
)
_ORIGIN: Final = re.compile(r"[^:/?#]*://[^/?#]*")


def url_secrets(written: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the credentials in a connection's URL.

    Args:
        written: The URL as the definition has it, with its ``${NAME}`` references.
        environ: What these refer to.

    Returns:
        The texts that are credentials, escapes left and undone: what a setting with the name of a
        secret brought into path or query, and the values of query parameters with the name of one.
        Scheme, host and port are none.
    """
    url, places = _resolved(written, environ)
    origin = _ORIGIN.match(url)
    after = origin.end() if origin else 0
    found = [url[max(start, after) : end].strip("/") for start, end in places]
    secrets = [form for text in found for form in (text, unquote(text))]
    for value in _secret_values(url):
        secrets += [value, unquote_plus(value)]
    return tuple(dict.fromkeys(filter(None, secrets)))


def _resolved(written: str, environ: Mapping[str, str]) -> tuple[str, list[tuple[int, int]]]:
    """Return a text with its references replaced, and where those with secrets stood in it."""
    text = ""
    places = []
    end = 0
    for reference in REFERENCE.finditer(written):
        text += written[end : reference.start()]
        value = environ.get(reference[1], "")
        if _SECRET_NAME.fullmatch(reference[1]):
            places.append((len(text), len(text) + len(value)))
        text += value
        end = reference.end()
    return text + written[end:], places


def _secret_values(url: str) -> Iterator[str]:
    for pair in url.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if is_secret_parameter(name):
            yield value
