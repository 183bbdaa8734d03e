"""The header rules: what a caller may set, and how.

Source: HTTP contract, section 2 ("Headers that are not the caller's to set"); the task's
documentation for the default of the input ``headers``.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from invoke_core.connections import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    FetchedAuth,
    HeaderAuth,
    ServicePrincipalAuth,
)
from invoke_core.documents import JsonValue, parse_input
from invoke_core.errors import JsonSyntaxError
from invoke_core.model import Secret
from invoke_core.steps import Given, is_absent, pointer, scalar_text, typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.connections import Auth, Connection, EgressProxy
    from invoke_core.steps import FaultList

DEFAULT_HEADERS: Final[dict[str, JsonValue]] = {
    "Content-Type": "application/json",
    "PlanUrl": "$(system.CollectionUri)",
    "ProjectId": "$(system.TeamProjectId)",
    "HubName": "$(system.HostType)",
    "PlanId": "$(system.PlanId)",
    "JobId": "$(system.JobId)",
    "TimelineId": "$(system.TimelineId)",
    "TaskInstanceId": "$(system.TaskInstanceId)",
    "AuthToken": "$(system.AccessToken)",
}
"""What is sent where the input ``headers`` is not given; the letter case is part of it."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OURS: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
    }
)
_POLICY_BYPASS: Final = frozenset(
    {
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    }
)


def read_headers(
    given: Given | None,
    faults: FaultList,
    *,
    expand: Callable[[str], str],
    granted_only: bool,
) -> tuple[tuple[str, str], ...]:
    """Read the input ``headers``.

    Args:
        given: A JSON object as text, or an object; None for the default.
        faults: Receives everything that is wrong.
        expand: Replaces the macros in a value.
        granted_only: Whether the connection grants only some methods or paths, so that headers
            with which targets can be made to see others are refused.

    Returns:
        Names in their letter case and values, in order. An empty ``AuthToken`` is left out.
    """
    members, where, in_object = _members(given, faults)
    headers: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in members.items():
        if is_absent(value):
            continue
        place = pointer(where, name) if in_object else where
        text = scalar_text(value)
        if text is None:
            faults.add(place, f"The value of the header '{name}' is text.")
            continue
        text = expand(text).strip(" \t")
        fault = _fault(name, text, granted_only=granted_only)
        if fault is None and name.lower() in seen:
            fault = f"The header '{name}' stands here twice; names ignore case."
        seen.add(name.lower())
        if fault is not None:
            faults.add(place, fault)
        elif text or name.lower() != "authtoken":
            headers.append((name, text))
    return tuple(headers)


def _members(given: Given | None, faults: FaultList) -> tuple[dict[str, JsonValue], str, bool]:
    """Return the headers as written, where they stand, and whether each has a pointer."""
    if given is None:
        return DEFAULT_HEADERS, "", False
    if isinstance(given.value, dict):
        return {name: typed(value) for name, value in given.value.items()}, given.pointer, True
    text = scalar_text(given.value)
    members: JsonValue = None
    if text is not None:
        try:
            members = parse_input(text) if text.strip() else {}
        except JsonSyntaxError as error:
            faults.add(
                given.pointer,
                f"'headers' is a JSON object. {error.message} "
                "Names and values stand in double quotes.",
            )
            return {}, given.pointer, False
    if not isinstance(members, dict):
        faults.add(given.pointer, "'headers' is a JSON object: names with text values.")
        return {}, given.pointer, False
    return members, given.pointer, False


def is_ours(name: str) -> bool:
    """Tell whether a header is the service's to set, and nobody else's."""
    read_as = _as_read(name)
    return read_as in _OURS or read_as.startswith("proxy-")


def _as_read(name: str) -> str:
    """Return a header's name as targets may read it.

    Gateways of the CGI family read an underscore as a hyphen.
    """
    return name.lower().replace("_", "-")


def _fault(name: str, value: str, *, granted_only: bool) -> str | None:
    if not _TOKEN.fullmatch(name):
        return f"'{name}' is no header name; letters, digits and - are."
    if is_ours(name):
        return f"The header '{name}' is the service's to set, not the caller's."
    if granted_only and _as_read(name) in _POLICY_BYPASS:
        return f"The header '{name}' is refused where a connection grants only some requests."
    if _CONTROL.search(value):
        return f"The value of the header '{name}' has a control character in it."
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return f"The value of the header '{name}' has a character outside Latin-1 in it."
    return None


def credential_header(auth: Auth) -> tuple[str, str] | None:
    """Return the header that carries a credential, name and value; None where there is none.

    Args:
        auth: The credential. Of one that is fetched only the header's name is known yet.
    """
    match auth:
        case BasicAuth():
            pair = f"{auth.username}:{auth.password.reveal()}".encode()
            return "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"
        case BearerAuth():
            return "Authorization", f"Bearer {auth.token.reveal()}"
        case HeaderAuth():
            return auth.name, auth.value.reveal()
        case _ if isinstance(auth, FetchedAuth):
            return "Authorization", "Bearer"
        case _:
            return None


def with_credential(
    headers: tuple[tuple[str, str], ...], auth: Auth
) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Add a connection's credential to a caller's headers.

    Args:
        headers: The caller's headers.
        auth: The connection's credential. Of one that is fetched only the header's name is known
            yet; once there is a token, this is called again with a ``BearerAuth``.

    Returns:
        The headers to send, and a warning where the credential replaced one of the caller's.
    """
    credential = credential_header(auth)
    if credential is None:
        return headers, None
    name = _as_read(credential[0])
    kept = tuple(header for header in headers if _as_read(header[0]) != name)
    warning = None
    if len(kept) < len(headers):
        warning = (
            f"The input 'headers' sets {credential[0]}, and so does the service connection; "
            "the connection's credential was sent."
        )
    return (*kept, credential), warning


def secret_texts(connection: Connection) -> tuple[str, ...]:
    """Return the texts by which any credential of a connection could be recognised."""
    return (
        *credential_texts(connection.auth),
        *proxy_texts(connection.proxy),
        *(secret.reveal() for secret in connection.url_secrets),
    )


def credential_texts(auth: Auth) -> tuple[str, ...]:
    """Return the texts by which a credential could be recognised, for masking."""
    match auth:
        case BasicAuth():
            password = auth.password.reveal()
            # Some APIs take their key as the user name, with no password.
            key = password or auth.username
            return (key, f"{auth.username}:{password}")
        case BearerAuth():
            return (auth.token.reveal(),)
        case HeaderAuth():
            return (auth.value.reveal(),)
        case ServicePrincipalAuth(client_secret=Secret() as secret):
            return (secret.reveal(),)
        case ClientCredentialsAuth():
            return (auth.client_secret.reveal(),)
        case _:
            return ()


def proxy_texts(proxy: EgressProxy) -> tuple[str, ...]:
    """Return the texts by which a proxy's credential could be recognised, for masking."""
    servers = [server for server in (proxy.http, proxy.https) if server is not None]
    return tuple(
        text
        for server in servers
        if server.password is not None
        for text in (
            server.password.reveal(),
            f"{server.username}:{server.password.reveal()}",
        )
    )
