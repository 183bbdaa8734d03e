"""URL composition: whatever is granted is sent to the connection's own origin and below its path.

An input has six parts with zero bytes between them: ``generic``, ``arm`` or ``devops`` and the
connection's URL; its granted methods, and its granted path patterns, with commas (empty grants as
an absent list does); the method; the ``urlSuffix``; and a location that the target answers with,
where it answers with one.

The oracle reads the bytes that ``h11`` would write with parsers of its own: the regular expression
of RFC 3986, appendix B, and ``yarl``. The code under test reads URLs with ``urllib``.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

import h11
from yarl import URL

from fuzz.draw import Target
from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.deadline import Deadline
from invoke_core.adapters.exchange import Exchange
from invoke_core.adapters.http import HttpSender, _head
from invoke_core.adapters.redirects import followed
from invoke_core.adapters.transfer import Head
from invoke_core.adapters.urls import prepare
from invoke_core.connections import ConnectionBook, KnownConnection
from invoke_core.errors import InvokeError
from invoke_core.inputs import read_task
from invoke_core.model import Correlation
from invoke_core.sending import Sending
from invoke_core.settings.connections import ConnectionReader
from invoke_core.targets import judge_url
from invoke_core.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.connections import Connection
    from invoke_core.documents import JsonValue
    from invoke_core.model import OutgoingRequest

_TYPES: Final = {"generic": "generic", "arm": "azureResourceManager", "devops": "azureDevOps"}
_INPUTS: Final = {
    "generic": "connectedServiceName",
    "arm": "connectedServiceNameARM",
    "devops": "connectedServiceNameAzureDevOps",
}

SEEDS: Final[tuple[bytes, ...]] = (
    b"generic https://api.example.com\0\0\0GET\0/a/b?c=d",
    b"generic https://api.example.com/v1\0GET,POST\0/v1/items/*,/v1/**/x\0POST\0/items/7?q=%2e%2e",
    b"generic http://127.0.0.1:8080/base/\0\0/base/**\0GET\0a/b;c=d/e%20f",
    b"generic https://api.example.com/a%20b/\xc3\xbc\0\0\0PUT\0/\xc3\xa4 x/%C3%BC?\xe2\x82\xac=1",
    b"generic https://[::1]:8443/v1?key=1\0\0\0GET\0&more=2",
    b"generic HTTPS://API.example.com:443/v1\0\0/v1/*\0DELETE\0/%41%7e%2D",
    b"generic http://127.0.0.1:0/base/\0\0\0GET\0a",
    b"generic https://b\xc3\xbccher.example/x\0\0\0GET\0/y?z",
    b"arm \0\0\0GET\0subscriptions/0/resourcegroups?api-version=2021-04-01",
    b"arm https://management.example.com/tenant/\0GET\0/tenant/**\0GET\0//subscriptions/1",
    b"devops https://dev.azure.com/org/\0\0\0PATCH\0_apis/projects?api-version=7.1",
    b"generic https://api.example.com/v1\0\0\0TRACE\0/x",
    b"generic https://api.example.com\0\0\0GET\0.evil.example/",
    b"generic https://api.example.com\0\0\0GET\0@evil.example/",
    b"generic https://api.example.com/v1\0\0\0GET\0/%252e%252e/%2e./admin",
    b"generic https://api.example.com/v1\0\0/v1/*\0GET\0/a%2fb",
    b"generic https://api.example.com/v1\0\0\0GET\0/start\0/v1/next?page=2",
    b"generic https://api.example.com/v1\0\0\0GET\0/start\0https://api.example.com:443/v1/\xc3\xbc",
    b"generic http://api.example.com/v1/\0\0/v1/**\0POST\0start/\0../v1/./x",
    b"generic https://api.example.com/v1\0\0\0GET\0/start\0//evil.example/v1/x",
    b"generic https://api.example.com/v1\0\0\0GET\0/start\0?only=query",
)
TOKENS: Final[tuple[bytes, ...]] = (
    *(b"\0", b"/", b"//", b"\\", b"?", b"#", b"@", b":", b";", b"&", b"%", b"..", b"/../", b"/./"),
    *(b"%2e", b"%2E%2e", b"%252e", b"%25252e", b"%2f", b"%252F", b"%5c", b"%255c", b"%00", b"%0d"),
    *(b"%0a", b"%09", b"%3b", b"%23", b"%3f", b"%40", b"%u002e", b"%c0%ae", b"%e2%80%a8", b"+"),
    *(b"\t", b"\n", b"\r", b" ", b"\x7f", b"\xc2\xa0", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"\xef\xbc\x8e", b"\xef\xbc\x8f", b"\xe2\x80\xa4", b"\xe2\x84\x80", b"\xe3\x80\x82"),
    *(b"\xef\xbc\xa0", b"\xef\xbc\x9a", b"\xef\xb9\x95", b"\xed\xa0\x80", b"\xff", b"\xc2\xad"),
    *(b"http://", b"https://", b"HTTPS:", b"evil.example", b":443", b":80", b":0443", b"[::1]"),
    *(b"*", b"**", b"/*", b"/**", b"[", b"]", b"$(x)", b"$(system.planId)", b"xn--", b"{", b"|"),
    *(b"GET", b"HEAD", b"TRACE", b"generic ", b"arm ", b"devops ", b"api.example.com", b"^", b"~"),
)

_IDS: Final = Correlation(
    plan_url="https://invoke.example.com/azdo/default/",
    project_id="11111111-1111-4111-8111-111111111111",
    hub_name="gates",
    plan_id="22222222-2222-4222-8222-222222222222",
    job_id="33333333-3333-4333-8333-333333333333",
    timeline_id="44444444-4444-4444-8444-444444444444",
    task_instance_id="55555555-5555-4555-8555-555555555555",
)
_BUDGET: Final = ByteBudget(1 << 20)
_SENDER: Final = HttpSender(budget=_BUDGET)
_CREDENTIALS: Final = TokenCredentials(sender=_SENDER)
_RFC3986: Final = re.compile(
    r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
_PORTS: Final = {"http": 80, "https": 443}
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")
_DECODE_ROUNDS: Final = 3
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it goes out: where the connection is made to, and the bytes of its head."""

    scheme: str
    host: str
    port: int
    head: bytes


def run(data: bytes) -> None:
    """Compose a URL, and judge what would be sent if it is granted."""
    for connection, request in requests_of(data):
        judge_wire(connection, wire_of(request))


def requests_of(data: bytes) -> Iterator[tuple[Connection, OutgoingRequest]]:
    """Yield what an input leads to: the request, and the one a redirect leads to, if granted."""
    texts = [part.decode("utf-8", "surrogateescape") for part in data[:_LONGEST].split(b"\0", 5)]
    texts += [""] * (6 - len(texts))
    kind, _, base = texts[0].partition(" ")
    connection = _connection(kind, base, texts[1], texts[2])
    if connection is None:
        return
    book = ConnectionBook([KnownConnection("c", connection)])
    sending = Sending(
        sender=_SENDER,
        credentials=_CREDENTIALS,
        connections=book,
        exchange_timeout_s=20,
        body_limit_bytes=1 << 20,
        monotonic_s=lambda: 0.0,
        turns=Turns(),
    )
    inputs: dict[str, JsonValue] = {
        "connectionType": _INPUTS[kind],
        _INPUTS[kind]: "c",
        "method": texts[3],
        "urlSuffix": texts[4],
    }
    with suppress(InvokeError):
        task = read_task({"inputs": inputs}, connections=book, correlation=_IDS, token="")
        prepared = sending.prepare(task, caller="local", trace={}, correlation=_IDS, token="")
        yield connection, prepared.request
        if texts[5]:
            yield connection, _redirected(connection, prepared.request, texts[5])


def wire_of(request: OutgoingRequest) -> Wire:
    """Return what the sender would put on the wire."""
    url = prepare(request.url)
    head = h11.Connection(h11.CLIENT).send(_head(request, url, None))
    assert head is not None
    return Wire(url.origin.scheme, url.origin.host, url.origin.port, head)


def judge_wire(connection: Connection, wire: Wire) -> None:
    """Find a request that leaves what its connection grants.

    Raises:
        AssertionError: It does; the message says how.
    """
    *lines, last, end = wire.head.split(b"\r\n")
    assert (last, end) == (b"", b""), "the head has one end"
    assert all(0x20 <= byte < 0x7F for line in lines for byte in line), "an unprintable head"
    method, target, _ = lines[0].decode("ascii").split(" ")
    granted = connection.allow.methods
    assert method != "TRACE" if granted is None else method in granted, "a method"
    scheme, _, port, _ = _read(connection.url)
    assert wire.scheme == scheme, "another scheme"
    assert wire.port == port, "another port"
    assert unquote_to_bytes(wire.host) in _spellings(connection.url), "another host"
    named = [line[5:].decode().strip() for line in lines if line.lower().startswith(b"host:")]
    written = f"[{wire.host}]" if ":" in wire.host else wire.host
    assert named == [written if port == _PORTS[scheme] else f"{written}:{port}"], "another Host"
    assert target.startswith("/"), "no target in origin form"
    assert "#" not in target, "a fragment"
    path = target.partition("?")[0]
    assert URL(f"http://host{target}", encoded=True).raw_path == path, "two readings of a path"
    _judge_path(path, _read(_SENDER.prepared_url(connection.url))[3])
    patterns = connection.allow.paths
    assert patterns is None or any(matches(path, of) for of in patterns), "a path not granted"


def _judge_path(path: str, base: str) -> None:
    there, here = path.encode("ascii"), base.encode("ascii")
    for _ in range(_DECODE_ROUNDS + 1):
        text = unicodedata.normalize("NFKC", there.decode("utf-8", "replace"))
        assert not _NEVER.search(text), "a control character or a backslash"
        segments = (re.split("[;?#]", part, maxsplit=1)[0].strip() for part in text.split("/"))
        assert not {".", ".."} & set(segments), "a dot segment"
        rest = there.removeprefix(here)
        is_below = rest[:1] in {b"", b"/"} or here[-1:] in {b"", b"/"}
        assert there.startswith(here), "a path outside the connection's"
        assert is_below, "a path that continues the connection's last segment"
        there, here = unquote_to_bytes(there), unquote_to_bytes(here)


def matches(path: str, pattern: str) -> bool:
    """Tell whether a path pattern grants a path (HTTP contract, section 7), without ``re``."""
    ends, at = {0}, 0
    while at < len(pattern) and ends:
        if pattern.startswith("**", at):
            ends = set(range(min(ends), len(path) + 1))
            at += 2
            continue
        if pattern[at] == "*":
            is_whole = {pattern[at - 1 : at], pattern[at + 1 : at + 2]} <= {"", "/"}
            ends = {end for start in ends for end in _within(path, start, is_whole=is_whole)}
        else:
            ends = {end + 1 for end in ends if path[end : end + 1] == pattern[at]}
        at += 1
    return len(path) in ends


def _within(path: str, start: int, *, is_whole: bool) -> Iterator[int]:
    """Yield where a piece of one segment may end; a whole segment is not empty."""
    slash = path.find("/", start)
    last = len(path) if slash < 0 else slash
    yield from range(start + is_whole, last + 1)


@lru_cache(maxsize=512)
def _connection(kind: str, url: str, methods: str, paths: str) -> Connection | None:
    """Return a connection as an administrator defines it; None where the settings refuse it."""
    if kind not in _TYPES:
        return None
    definition: dict[str, JsonValue] = {"type": _TYPES[kind]}
    if url:
        definition["resourceManagerEndpoint" if kind == "arm" else "url"] = url
    if url and kind == "arm":
        definition["audience"] = "https://management.example.com"
    allow: dict[str, JsonValue] = {
        name: [*text.split(",")] for name, text in (("methods", methods), ("paths", paths)) if text
    }
    if allow:
        definition["allow"] = allow
    reader = ConnectionReader(environ={}, root=Path("/"), on_azure=False)
    [known] = reader.read({"c": definition})
    return known.connection


@lru_cache(maxsize=512)
def _read(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path of a connection's URL."""
    found = _RFC3986.fullmatch(url)
    assert found is not None
    scheme = found[1].lower()
    assert scheme in _PORTS, "a connection that is neither http nor https"
    written = re.fullmatch(r"(.*?)(?::([0-9]*))?", found[2], re.DOTALL)
    assert written is not None
    return scheme, written[1].strip("[]"), int(written[2] or _PORTS[scheme]), found[3]


@lru_cache(maxsize=512)
def _spellings(url: str) -> frozenset[bytes]:
    """Return the forms that the host of a connection may have on the wire.

    They are its own and that of another library; where it has characters that no name of a host
    has, the libraries differ, and the connection's host as it is sent by itself counts.
    """
    host = _read(url)[1]
    forms = {host.lower()}
    try:
        forms.add(URL.build(scheme="http", host=host).raw_host or "")
        is_name = re.fullmatch(r"[\w.:-]+", host) is not None
    except ValueError:
        is_name = False
    if not is_name:
        forms.add(_read(_SENDER.prepared_url(url))[1])
    return frozenset(unquote_to_bytes(form) for form in forms)


def _redirected(connection: Connection, request: OutgoingRequest, location: str) -> OutgoingRequest:
    """Return the request that a redirect leads to, as the sender judges it."""
    base = _SENDER.prepared_url(connection.url)
    written = location.encode("utf-8", "surrogateescape").decode("latin-1")
    with _BUDGET.lease() as lease:
        return followed(
            request,
            url=prepare(request.url),
            head=Head(status=307, headers=(("Location", written),)),
            allow=connection.allow,
            judge=lambda url: judge_url(url, base=base, allow=connection.allow),
            exchange=Exchange(timeout_s=20, deadline=Deadline(20), lease=lease),
        )


TARGET: Final = Target(run, SEEDS, TOKENS)
