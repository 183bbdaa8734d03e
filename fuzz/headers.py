"""The input ``headers``: what is accepted is written as it was meant, and frames nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import h11

from fuzz.draw import Draw, Target
from invoke_core.headers import read_headers
from invoke_core.steps import FaultList, Given
from invoke_core.variables import expand

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., tuple[tuple[str, str], ...]]

TOKENS: Final = (
    "Host", "Content-Length", "Transfer_Encoding", "Connection", "Proxy-Authorization", "Expect",
    "X-HTTP-Method-Override", "X_Rewrite_Url", "AuthToken", "Accept", "accept", "X-A", "chunked",
    "a\r\nHost: evil", "$(crlf)", "$(JSON:crlf)", "$(plain)", " ", "\t", "\x7f", "\x85",
    "é", "€", ":", "",
)  # fmt: skip
VALUES: Final = {"crlf": "a\r\nEvil: b", "plain": " value\t"}
_FRAMING: Final = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*"
)
_OVERRIDES: Final = re.compile(
    "x-http-method|x-http-method-override|x-method-override|x-original-url|x-rewrite-url"
)


def check(data: bytes, *, read: Read = read_headers) -> None:
    """Read headers, write them on a wire, and see what arrives."""
    draw = Draw(data)
    granted_only = bool(draw.byte() % 2)
    if draw.byte() % 2:
        members = {draw.word(TOKENS): draw.word(TOKENS) for _ in range(draw.byte() % 6)}
        given = Given({**members}, "/inputs/headers")
        if draw.byte() % 2:
            given = Given(json.dumps(members), "/inputs/headers")
    else:
        given = Given(draw.rest(), "/inputs/headers")
    faults = FaultList()
    headers = read(
        given,
        faults,
        expand=lambda text: expand(text, VALUES, unknown=lambda _: None),
        granted_only=granted_only,
    )
    assert all(f.pointer.startswith("/inputs/headers") and f.detail for f in faults.faults)
    for name, value in headers:
        read_as = name.lower().replace("_", "-")
        assert not _FRAMING.fullmatch(read_as), name
        assert not (granted_only and _OVERRIDES.fullmatch(read_as)), name
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in name + value)
    assert len({name.lower() for name, _ in headers}) == len(headers)
    assert arrived(headers) == list(headers)


def arrived(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Return the headers that a server reads."""
    fields = [("Host", "h"), *headers]
    request = h11.Request(
        method="GET", target="/", headers=[(n.encode(), v.encode("latin-1")) for n, v in fields]
    )
    server = h11.Connection(h11.SERVER)
    server.receive_data(h11.Connection(h11.CLIENT).send(request) or b"")
    event = server.next_event()
    assert isinstance(event, h11.Request), event
    return [(n.decode(), v.decode("latin-1")) for n, v in event.headers.raw_items()[1:]]


TARGET: Final = Target(
    check,
    (b'\0\0{"Accept": "application/json"}', b"\1\1\2\1\1\11\1\1\12", b'\0\0{"X-A": "$(crlf)"}'),
    TOKENS,
)
