"""Request bodies: from bytes and headers to a parsed document.

Source: HTTP contract, "Conventions" and section 2 (media types, sizes, how YAML is read).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from invoke_core.documents import parse_input
from invoke_core.errors import (
    BodyTooLargeError,
    InvalidBodyError,
    LengthRequiredError,
    UnsupportedMediaTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.documents import JsonValue

BODY_LIMIT_BYTES: Final = 1024 * 1024

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


def read_document(headers: Mapping[str, str], body: bytes, *, yaml_too: bool = True) -> JsonValue:
    """Read the body of a request.

    Args:
        headers: The request's headers; names are looked up in lower case.
        body: The body as it arrived.
        yaml_too: Whether YAML is read as well as JSON.

    Returns:
        The document; texts written in YAML without quotes are ``PlainText``.

    Raises:
        UnsupportedMediaTypeError: Another media type or character set, or none.
        LengthRequiredError: It was sent in chunks, which the platform drops.
        BodyTooLargeError: It is longer than ``BODY_LIMIT_BYTES``.
        InvalidBodyError: It is empty, not UTF-8, or not the document it is said to be.
    """
    read = _reader(headers.get("content-type", ""), yaml_too=yaml_too)
    text = body_text(headers, body)
    if not text.strip():
        wanted = "the step as JSON or YAML" if yaml_too else "a JSON document"
        raise InvalidBodyError(f"The body is empty; send {wanted}.")
    return read(text)


def body_text(
    headers: Mapping[str, str], body: bytes, *, limit_bytes: int = BODY_LIMIT_BYTES
) -> str:
    """Return the body of a request as text, if it arrived.

    Args:
        headers: The request's headers; names are looked up in lower case.
        body: The body as it arrived.
        limit_bytes: Longest body, whole MiB.

    Raises:
        LengthRequiredError: It was sent in chunks, which the platform drops.
        BodyTooLargeError: It is longer than the limit.
        InvalidBodyError: It is not UTF-8.
    """
    if is_dropped(headers, body):
        raise LengthRequiredError(
            "The body was sent in chunks and did not arrive: Azure Functions drops chunked bodies. "
            "Send it with a Content-Length."
        )
    if len(body) > limit_bytes:
        raise BodyTooLargeError(
            f"The body is longer than {limit_bytes} bytes ({limit_bytes >> 20} MiB)."
        )
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidBodyError(f"The body is not UTF-8: byte {error.start} does not fit.") from None


def is_dropped(headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a body was sent in chunks and did not arrive."""
    return not body and "chunked" in headers.get("transfer-encoding", "").lower()


def _reader(content_type: str, *, yaml_too: bool) -> Callable[[str], JsonValue]:
    readers = {"application/json": parse_input}
    if yaml_too:
        readers |= dict.fromkeys(("application/yaml", "text/yaml", "application/x-yaml"), _yaml)
    media_type = content_type.partition(";")[0].strip().lower()
    known = " or ".join(list(readers)[:2])
    if media_type not in readers:
        found = (
            f"'{media_type[:100]}' is not read here" if media_type else "There is no Content-Type"
        )
        raise UnsupportedMediaTypeError(f"{found}; send the header 'Content-Type: {known}'.")
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaTypeError(
            f"The body is said to be in '{charset[1][:100]}'; send it in UTF-8."
        )
    return readers[media_type]


def _yaml(text: str) -> JsonValue:
    # Imported here: most calls send JSON.
    from invoke_core.web.yaml_documents import read_yaml  # noqa: PLC0415

    return read_yaml(text)
