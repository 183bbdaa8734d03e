"""Redirects: followed within the origin and the rules of the connection, or refused.

Source: HTTP contract, section 7 ("Redirects").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.connections import Allow, RedirectRule
from invoke_core.errors import PolicyError
from invoke_core.model import Method
from tests.http.targets import answer, answering, redirecting

if TYPE_CHECKING:
    from tests.http.conftest import Authority, Client, Start
    from tests.http.targets import Peer, Script

LINES = {301: "301 Moved", 302: "302 Found", 303: "303 See", 307: "307 Again", 308: "308 Moved"}
HEADERS = (
    ("AuthToken", "abc"),
    ("Content-Type", "text/plain"),
    ("content-language", "de"),
    ("Digest", "x"),
    ("X-Kept", "yes"),
)


def seen(request: bytes) -> tuple[str, set[str], bytes]:
    """Return the request line, the names of the caller's headers, and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    sent = {line.partition(":")[0] for line in lines}
    return first, sent & ({name for name, _ in HEADERS} | {"Content-Length"}), body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", [Method.GET, Method.HEAD])
def test_get_and_head_are_followed(
    method: Method, status: int, start: Start, client: Client
) -> None:
    target = start(redirecting("/there?a=b", status=LINES[status]), answering(answer()))

    found = client.send(f"{target.origin}/here", method=method)

    assert found.status == 200
    assert [seen(request)[0] for request in target.requests] == [
        f"{method} /here HTTP/1.1",
        f"{method} /there?a=b HTTP/1.1",
    ]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("method", [Method.POST, Method.PUT, Method.PATCH, Method.DELETE])
def test_307_and_308_repeat_the_request(
    method: Method, status: int, start: Start, client: Client
) -> None:
    target = start(redirecting("/there", status=LINES[status]), answering(answer()))

    client.send(target.origin, method=method, headers=HEADERS, body=b"text")

    everything = {name for name, _ in HEADERS} | {"Content-Length"}
    assert [seen(request) for request in target.requests] == [
        (f"{method} / HTTP/1.1", everything, b"text"),
        (f"{method} /there HTTP/1.1", everything, b"text"),
    ]


@pytest.mark.parametrize("method", [Method.POST, Method.PUT, Method.OPTIONS])
def test_303_becomes_a_get_without_a_body(method: Method, start: Start, client: Client) -> None:
    target = start(redirecting("/there", status=LINES[303]), answering(answer(b"done")))

    found = client.send(target.origin, method=method, headers=HEADERS, body=b"text")

    assert found.body == b"done"
    assert seen(target.requests[1]) == ("GET /there HTTP/1.1", {"AuthToken", "X-Kept"}, b"")


@pytest.mark.parametrize("status", [301, 302])
@pytest.mark.parametrize("method", [Method.POST, Method.PUT, Method.PATCH, Method.DELETE])
def test_301_and_302_never_turn_a_request_into_a_get(
    method: Method, status: int, start: Start, client: Client
) -> None:
    target = start(redirecting("/there", status=LINES[status]))

    failure = client.fail(target.origin, method=method, body=b"text")

    assert (failure.code, failure.effect) == ("redirectRefused", "answered")
    assert failure.message == (
        f"127.0.0.1:{target.port} redirected the request (status {status}), and it was not "
        f"followed: a {status} is followed for GET and HEAD only, since it may turn a {method} "
        "into a GET. Use the address it names, or have the target answer 307 or 308."
    )
    assert target.connections == 1


@pytest.mark.parametrize("method", [Method.GET, Method.POST])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_that_is_a_valid_status_is_an_answer(
    status: int, method: Method, start: Start, client: Client
) -> None:
    target = start(answering(answer(b"see", status=LINES[status], headers=["Location: /there"])))
    client.answers = {status}

    found = client.send(target.origin, method=method)

    assert (found.status, found.body, target.connections) == (status, b"see", 1)


@pytest.mark.parametrize(
    "sent",
    [
        answer(b"no location", status="302 Found"),
        answer(b"empty location", status="302 Found", headers=["Location: "]),
        answer(b"choices", status="300 Multiple Choices", headers=["Location: /there"]),
        answer(b"created", status="201 Created", headers=["Location: /there"]),
        answer(b"proxy", status="305 Use Proxy", headers=["Location: /there"]),
    ],
)
def test_what_cannot_be_followed_is_an_answer(sent: bytes, start: Start, client: Client) -> None:
    target = start(answering(sent))
    client.allow = Allow(loopback=True, redirects=RedirectRule.NONE)

    found = client.send(target.origin)

    assert (found.body, target.connections) == (sent.partition(b"\r\n\r\n")[2], 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_none_refuses_every_redirect(status: int, start: Start, client: Client) -> None:
    target = start(redirecting("/there", status=LINES[status]))
    client.allow = Allow(loopback=True, redirects=RedirectRule.NONE)

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect, target.connections) == ("redirectRefused", "answered", 1)
    assert "allow.redirects is none" in failure.message


def test_five_redirects_are_followed_and_the_sixth_is_not(start: Start, client: Client) -> None:
    hops = [redirecting(f"/{hop}") for hop in range(1, 6)]
    target = start(*hops, answering(answer(b"end")))
    loop = start(redirecting("/again"))

    found = client.send(target.origin)
    failure = client.fail(loop.origin)

    assert (found.body, target.connections) == (b"end", 6)
    assert (failure.code, failure.effect, loop.connections) == ("tooManyRedirects", "answered", 6)
    assert failure.message == (f"127.0.0.1:{loop.port} redirected the request more than 5 times.")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{other}/",
        "//127.0.0.1:{other}/",
        "http://localhost:{port}/",
        "http://127.0.0.2:{port}/",
        "http://127.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://127.0.0.1/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1",
        "http://127.0.0.1:{port}@127.0.0.1:{other}/",
        "http://127.0.0.1:99999/",
        "/a\\b",
        "\\\\127.0.0.1:{other}\\",
        "/a b",
        "/a\tb",
    ],
)
@pytest.mark.parametrize("status", [302, 307])
def test_redirect_out_of_the_origin_is_refused(
    status: int, location: str, start: Start, client: Client
) -> None:
    other = start(answering(answer(b"must not be reached")))
    port = 0

    def redirect(peer: Peer) -> None:
        redirecting(location.format(port=port, other=other.port), status=LINES[status])(peer)

    target = start(redirect)
    port = target.port

    failure = client.fail(target.origin, headers=(("Authorization", "Basic abc"),))

    assert (failure.code, failure.effect) == ("redirectRefused", "answered")
    assert (target.connections, other.connections) == (1, 0)


@pytest.mark.parametrize(
    ("location", "difference"),
    [
        ("http://localhost:{port}/", "host"),
        ("https://127.0.0.1:{port}/", "scheme (https)"),
        ("http://127.0.0.1/", "port"),
        ("https://Tok-SeCrEt/", "host"),
    ],
)
def test_a_refused_redirect_tells_what_differs_and_quotes_nothing(
    location: str, difference: str, start: Start, client: Client
) -> None:
    port = 0

    def redirect(peer: Peer) -> None:
        redirecting(location.format(port=port))(peer)

    target = start(redirect)
    port = target.port

    assert client.fail(target.origin).message == (
        f"127.0.0.1:{port} redirected the request (status 302), and it was not followed: it leads"
        f" to another {difference}. Redirects are followed within the origin of the service"
        " connection only."
    )


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/a/b", "/a/b"),
        ("next", "/base/next"),
        ("?a=b", "/base/here?a=b"),
        ("?a=../b", "/base/here?a=../b"),
        ("a..b/.c/d.", "/base/a..b/.c/d."),
        ("/a/b;c=..", "/a/b;c=.."),
        ("//127.0.0.1:{port}/c", "/c"),
        ("HTTP://127.0.0.1:{port}", "/"),
        ("/\xc3\xbc?\xc3\xa4", "/%C3%BC?%C3%A4"),
        ("/\xfc", "/%C3%BC"),
    ],
)
def test_locations_are_resolved_and_judged_as_they_are_sent(
    location: str, path: str, start: Start, client: Client
) -> None:
    port = 0
    judged: list[str] = []

    def redirect(peer: Peer) -> None:
        redirecting(location.format(port=port))(peer)

    target = start(redirect, answering(answer()))
    port = target.port
    client.judge = judged.append

    client.send(f"{target.origin}/base/here")

    assert judged == [f"{target.origin}{path}"]
    assert seen(target.requests[1])[0] == f"GET {path} HTTP/1.1"


@pytest.mark.parametrize(
    "location",
    [
        "/v1/a/../b",
        "/v1/./b",
        "/v1/b/..",
        "/v1/b/.",
        "..",
        ".",
        "../x",
        "./x",
        "x/../y",
        "..?a=b",
        "/v1/a/%2e%2e/b",
        "/v1/a/.%2E/b",
        "/v1/a/%252e%252e/b",
        "/v1/a/..;/b",
        "/v1/a/..;x=y/b",
        "/v1/a/%2e%2e%3bx/b",
        "/v1/..%3fx",
        "/v1/..%23",
        "/v1/a%2f..%2fb",
        "/v1/\xe2\x80\xa4\xe2\x80\xa4/b",
        "//127.0.0.1:{port}/v1/a/../b",
        "http://127.0.0.1:{port}/v1/a/../b",
        "http://127.0.0.1:{port}/v1/a/%2e%2e/b",
        "http:../x",
    ],
)
def test_dot_segments_of_a_location_are_refused_and_never_resolved(
    location: str, start: Start, client: Client
) -> None:
    port = 0

    def redirect(peer: Peer) -> None:
        redirecting(location.format(port=port))(peer)

    target = start(redirect, answering(answer(b"must not be reached")))
    port = target.port

    failure = client.fail(f"{target.origin}/v1/here")

    assert (failure.code, failure.effect, target.connections) == ("redirectRefused", "answered", 1)
    assert failure.message == (
        f"127.0.0.1:{port} redirected the request (status 302), and it was not followed: "
        "The URL has a '.' or '..' segment, plain or encoded, in its path."
    )


def test_dot_segments_are_refused_at_later_hops_too(start: Start, client: Client) -> None:
    target = start(redirecting("/v1/a"), redirecting("b/../c"), answering(answer()))

    failure = client.fail(f"{target.origin}/v1/here")

    assert (failure.code, target.connections) == ("redirectRefused", 2)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/v1/a%5cb", "an encoded backslash"),
        ("/v1/a%255c..%255cb", "an encoded backslash"),
        ("/v1\\..\\b", "a backslash"),
        ("/v1/a%0d%0ab", "an encoded control character"),
        ("/v1/a%00", "an encoded control character"),
        ("/v1/a\x7fb", "a control character"),
        ("http:/v1/b", "no host after it"),
        ("http:b", "no host after it"),
        ("http:///v1/b", "no host after it"),
        ("///v1/b", "no host after it"),
    ],
)
def test_locations_that_readers_differ_over_are_refused(
    location: str, words: str, start: Start, client: Client
) -> None:
    target = start(redirecting(location), answering(answer(b"must not be reached")))

    failure = client.fail(f"{target.origin}/v1/here")

    assert (failure.code, failure.effect, target.connections) == ("redirectRefused", "answered", 1)
    assert words in failure.message


def test_refused_path_is_not_followed(start: Start, client: Client) -> None:
    target = start(redirecting("/area"))

    def judge(url: str) -> None:
        raise PolicyError(f"The path of {url.rpartition('/')[2]} is not granted.")

    client.judge = judge

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect, target.connections) == ("redirectRefused", "answered", 1)
    assert failure.message == (
        f"127.0.0.1:{target.port} redirected the request (status 302), and it was not followed: "
        "The path of area is not granted."
    )


def test_several_locations_are_refused(start: Start, client: Client) -> None:
    headers = ["Location: /a", "Location: /b"]
    target = start(answering(answer(status="302 Found", headers=headers)))

    failure = client.fail(target.origin)

    assert (failure.code, target.connections) == ("redirectRefused", 1)


def test_method_the_connection_does_not_grant_is_not_slipped_in(
    start: Start, client: Client
) -> None:
    target = start(redirecting("/there", status=LINES[303]))
    client.allow = Allow(loopback=True, methods=frozenset({Method.POST}))

    failure = client.fail(target.origin, method=Method.POST)

    assert (failure.code, target.connections) == ("redirectRefused", 1)
    assert "allow.methods" in failure.message


def test_redirect_within_an_https_origin(
    start: Start, secure: Client, authority: Authority
) -> None:
    target = start(redirecting("/there"), answering(answer(b"there")), tls=authority.tls)

    found = secure.send(target.origin)

    assert (found.body, target.connections) == (b"there", 2)


def test_bodies_of_redirects_are_not_read(start: Start, client: Client) -> None:
    bomb = answer(bytes(2_000_000), status="302 Found", headers=["Location: /there"])
    target = start(answering(bomb), answering(answer(b"there")))

    found = client.send(target.origin)

    assert found.body == b"there"


@pytest.mark.parametrize(
    ("second", "code", "effect"),
    [
        (answering(b""), "connectionFailed", "unknown"),
        (answering(b"nonsense\r\n"), "responseInvalid", "answered"),
    ],
)
def test_effect_after_a_redirect_is_that_of_the_repeated_request(
    second: Script, code: str, effect: str, start: Start, client: Client
) -> None:
    target = start(redirecting("/there", status=LINES[307]), second)

    failure = client.fail(target.origin, method=Method.POST, body=b"x")

    assert (failure.code, failure.effect) == (code, effect)
