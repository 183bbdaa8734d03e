"""What h11 has read of a request, turned into what the host routes."""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from invoke_core.local.host import Head

HEADER_LIMIT = 100
"""As many headers takes ASP.NET Core's web server."""

_AUTHORITY = re.compile(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]*")


def read_head(request: h11.Request, *, base_url: str) -> Head:
    """Return a request's head, target and header values as sent.

    Args:
        request: As h11 has read it.
        base_url: The server's own, for a request that names no host.

    Raises:
        h11.RemoteProtocolError: The request gets no further.
    """
    fields = dict(request.headers)
    _check(request, fields)
    try:
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw_items()]
        authority = fields.get(b"host", b"").decode()
    except UnicodeError:
        raise refusal(HTTPStatus.BAD_REQUEST) from None
    target = request.target.decode()
    if target == "*":
        target = "/"
    elif not target.startswith("/"):
        target, authority = _absolute(target)
    if not _AUTHORITY.fullmatch(authority):
        raise refusal(HTTPStatus.BAD_REQUEST)
    path, _, query = target.partition("#")[0].partition("?")
    return Head(
        method=request.method.decode(),
        base=f"http://{authority}" if authority else base_url,
        path=path,
        query=query,
        headers=headers,
    )


def refusal(status: HTTPStatus) -> h11.RemoteProtocolError:
    """Return what h11 itself raises for a request that gets no further."""
    return h11.RemoteProtocolError(status.phrase, error_status_hint=status)


def _check(request: h11.Request, fields: dict[bytes, bytes]) -> None:
    """Refuse the little that h11 leaves to its user.

    Source:
        RFC 9112, section 6.1: two ways of framing a body, or chunks from an old client, may be an
        attempt to smuggle a request.
    """
    if not request.http_version.startswith(b"1."):
        raise refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    if request.method == b"CONNECT":
        raise refusal(HTTPStatus.NOT_IMPLEMENTED)
    if len(request.headers) > HEADER_LIMIT:
        raise refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    old = request.http_version == b"1.0"
    if b"transfer-encoding" in fields and (old or b"content-length" in fields):
        raise refusal(HTTPStatus.BAD_REQUEST)


def _absolute(target: str) -> tuple[str, str]:
    """Return path with query, and authority, of a target that is a whole URL."""
    try:
        url = urlsplit(target)
    except ValueError:
        raise refusal(HTTPStatus.BAD_REQUEST) from None
    if url.scheme not in {"http", "https"} or not url.netloc:
        raise refusal(HTTPStatus.BAD_REQUEST)
    return f"{url.path or '/'}?{url.query}", url.netloc
