"""Whether and how a redirect is followed.

Source: HTTP contract, section 7 ("Redirects"); RFC 9110, section 15.4.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from invoke_core.adapters.urls import prepare
from invoke_core.connections import RedirectRule
from invoke_core.errors import PolicyError
from invoke_core.model import Method, OutgoingRequest, ReasonCode
from invoke_core.targets import resolved

if TYPE_CHECKING:
    from collections.abc import Container

    from invoke_core.adapters.exchange import Exchange
    from invoke_core.adapters.transfer import Head
    from invoke_core.adapters.urls import Origin, PreparedUrl
    from invoke_core.connections import Allow
    from invoke_core.ports import JudgeUrl

MOST_REDIRECTS: Final = 5

_FOLLOWABLE: Final = frozenset({301, 302, 303, 307, 308})
_ABOUT_THE_BODY: Final = frozenset({"digest", "repr-digest", "last-modified"})


def is_followable(head: Head, *, answers: Container[int]) -> bool:
    """Tell whether an answer is a redirect at all, and not one the task takes for its answer."""
    return (
        head.status in _FOLLOWABLE and head.status not in answers and any(head.values("location"))
    )


def followed(
    request: OutgoingRequest,
    *,
    url: PreparedUrl,
    head: Head,
    allow: Allow,
    judge: JudgeUrl,
    exchange: Exchange,
) -> OutgoingRequest:
    """Return the request a redirect leads to.

    Args:
        request: The request that was answered with it.
        url: The URL that request went to.
        head: The answer; ``is_followable``.
        allow: What the connection grants.
        judge: Raises ``PolicyError`` for a URL the connection does not grant.
        exchange: Knows the place and the effect for errors.

    Raises:
        SendError: It is not followed.
    """
    try:
        return _checked(request, url=url, head=head, allow=allow, judge=judge)
    except PolicyError as error:
        raise exchange.error(
            ReasonCode.REDIRECT_REFUSED,
            f"{exchange.place} redirected the request (status {head.status}), and it was not"
            f" followed: {error.message}",
        ) from None


def _checked(
    request: OutgoingRequest, *, url: PreparedUrl, head: Head, allow: Allow, judge: JudgeUrl
) -> OutgoingRequest:
    if allow.redirects is RedirectRule.NONE:
        raise PolicyError(
            "the connection's allow.redirects is none. List the status in validStatusCodes to take"
            " it for an answer."
        )
    if head.status in {301, 302} and request.method not in {Method.GET, Method.HEAD}:
        raise PolicyError(
            f"a {head.status} is followed for GET and HEAD only, since it may turn a"
            f" {request.method} into a GET. Use the address it names, or have the target answer"
            " 307 or 308."
        )
    location = _location(url.text, head)
    origin = prepare(location).origin
    if origin != url.origin:
        raise PolicyError(
            f"it leads to another {_difference(origin, url.origin)}. Redirects are followed within"
            " the origin of the service connection only."
        )
    judge(prepare(location).text)
    changed = _as_get(request) if head.status == 303 else request
    if allow.methods is not None and changed.method not in allow.methods:
        raise PolicyError(
            f"it asks for a {changed.method}, which the connection's allow.methods does not list."
        )
    return replace(changed, url=location)


def _difference(there: Origin, here: Origin) -> str:
    """Tell in what two origins differ, and nothing of the host that a target names.

    It may be what the target was sent, which nobody would recognise in the form of a host.
    """
    if there.host != here.host:
        return "host"
    return f"scheme ({there.scheme})" if there.scheme != here.scheme else "port"


def _location(base: str, head: Head) -> str:
    values = set(head.values("location"))
    location = values.pop()
    if values:
        raise PolicyError("it names several locations.")
    # Headers are read as Latin-1; locations outside ASCII are UTF-8 in practice.
    with suppress(UnicodeDecodeError):
        location = location.encode("latin-1").decode("utf-8")
    return resolved(base, location)


def _as_get(request: OutgoingRequest) -> OutgoingRequest:
    kept = tuple(
        (name, value)
        for name, value in request.headers
        if not name.lower().startswith("content-") and name.lower() not in _ABOUT_THE_BODY
    )
    method = request.method if request.method is Method.HEAD else Method.GET
    return OutgoingRequest(method=method, url=request.url, headers=kept, body=None)
