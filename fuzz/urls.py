"""URL composition: what is permitted goes to the connection's origin, below its path, as sent."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import h11
from urllib3.util import parse_url
from yarl import URL

from fuzz.draw import Draw, Target
from invoke_core.adapters.urls import prepare
from invoke_core.connections import Allow, Connection, ConnectionKind
from invoke_core.errors import PolicyError
from invoke_core.targets import full_url, judge_url

if TYPE_CHECKING:
    from collections.abc import Callable

    Judge = Callable[..., None]

BASES: Final = (
    "https://api.example.com/v1", "https://api.example.com", "http://127.0.0.1:8080/a/b/",
    "https://[2001:db8::1]:444/x", "https://api.example.com:443/a%20b", "https://h.example/a?k=v",
)  # fmt: skip
PATHS: Final = (None, ("/v1/jobs/*",), ("/**",), ())
TOKENS: Final = (
    "/", "//", "..", "/../", "%2e", "%2E%2e/", "%252e", ".", ";", "?", "#", "@", "@evil.example",
    ":", ":80", "\\", "%5c", "%2f", "%0a", "\r\n", "\0", " ", "\uff0e", "\uff0f", "\u2024", "[",
    "]", "evil.example", ".evil.example", "/jobs/1", "jobs", "%", "%zz", "*", "é", "\u200b",
)  # fmt: skip


def check(data: bytes, *, judge: Judge = judge_url) -> None:
    """Judge a suffix as a request is judged, and read what would be sent by other parsers."""
    draw = Draw(data)
    kind = draw.pick(tuple(ConnectionKind))
    connection = Connection(name="c", kind=kind, url=draw.pick(BASES))
    allow = Allow(given=True, paths=draw.pick(PATHS))
    parts = [draw.word(TOKENS) for _ in range(draw.byte() % 5)]
    url = full_url(connection, "".join(parts) + draw.rest())
    try:
        judge(url, base=connection.url, allow=allow)
        sent, base = prepare(url), prepare(connection.url)
        judge(sent.text, base=base.text, allow=allow)
    except PolicyError:
        return
    here, there = URL(base.text, encoded=True), URL(sent.text, encoded=True)
    assert (there.scheme, there.host, there.port) == (here.scheme, here.host, here.port)
    assert there.user is None
    assert parse_url(sent.text)[2:4] == parse_url(base.text)[2:4]
    assert sent.origin == base.origin
    h11.Request(method="GET", target=sent.target, headers=[("Host", sent.origin.authority)])
    assert sent.target.isascii()
    path = sent.target.partition("?")[0]
    for _ in range(4):
        normal = posixpath.normpath(path)
        prefix = unquote(here.raw_path).rstrip("/")
        inside = normal.lstrip("/") + "/"
        assert unquote(inside).startswith(f"{prefix}/".lstrip("/")), sent.target
        assert not {".", ".."} & set(path.split("/")), sent.target
        path = unquote(path)


TARGET: Final = Target(
    check,
    tuple(
        bytes([kind, base, 0, 0]) + suffix
        for kind in range(2)
        for base in range(6)
        for suffix in (b"/jobs/1?x=1", b"/%2e%2e/x", b"@evil.example", b"")
    ),
    TOKENS,
)
