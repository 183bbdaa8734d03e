"""Egress proxies: what they see, what targets see, and what their failures mean.

Source: HTTP contract, section 7 (``proxy``).
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.proxies import proxy_for
from invoke_core.adapters.urls import prepare
from invoke_core.connections import Allow, EgressProxy, ProxyServer, TlsOptions
from invoke_core.model import Method, Secret
from tests.http.conftest import Client
from tests.http.proxy import forwarding
from tests.http.targets import Peer, answer, answering, redirecting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.adapters.resolver import SocketAddress
    from tests.http.conftest import Authority, Start
    from tests.http.targets import Script, Target

CREDENTIAL = b"Proxy-Authorization: Basic c3ZjOnN3b3JkZmlzaA==\r\n"


def unknown_here(host: str, port: int) -> Sequence[SocketAddress]:
    """Know this machine, and no name of targets: those are the proxy's to look up."""
    if host != "127.0.0.1":
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return [(host, port)]


def through(proxy: Target | ProxyServer, client: Client | None = None) -> Client:
    server = (
        proxy
        if isinstance(proxy, ProxyServer)
        else ProxyServer(
            host="127.0.0.1", port=proxy.port, username="svc", password=Secret("swordfish")
        )
    )
    client = client or Client()
    client.proxy = EgressProxy(http=server, https=server)
    client.sender = HttpSender(budget=ByteBudget(1 << 28), look_up=unknown_here)
    return client


@pytest.fixture
def known(authority: Authority) -> Client:
    """A client that trusts the authority, and refuses this machine as a target."""
    return Client(allow=Allow(), tls=TlsOptions(ca_bundle=authority.bundle))


def https_target(start: Start, authority: Authority, *scripts: Script) -> Target:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("inside.example").configure_cert(context)
    return start(*scripts, tls=context)


def test_http_target_is_asked_for_by_its_whole_url(start: Start, known: Client) -> None:
    target = start(answering(answer(b"there")))
    proxy = start(forwarding({"inside.example": target.port}))

    found = through(proxy, known).send(
        "http://inside.example/a%20b?c=d", method=Method.POST, body=b"text"
    )

    assert found.body == b"there"
    assert proxy.requests[0].startswith(
        b"POST http://inside.example/a%20b?c=d HTTP/1.1\r\nHost: inside.example\r\n"
    )
    assert CREDENTIAL in proxy.requests[0]
    assert target.requests[0].startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert b"roxy-" not in target.requests[0]


def test_https_target_is_reached_through_a_tunnel_that_hides_everything(
    start: Start, authority: Authority, known: Client
) -> None:
    target = https_target(start, authority, answering(answer(b"there")))
    proxy = start(forwarding({"inside.example": target.port}))

    found = through(proxy, known).send(
        "https://inside.example/path?sig=hidden", headers=(("Authorization", "Basic abc"),)
    )

    assert found.body == b"there"
    assert proxy.requests == [
        b"CONNECT inside.example:443 HTTP/1.1\r\nHost: inside.example:443\r\n"
        + CREDENTIAL
        + b"\r\n"
    ]
    assert target.requests[0].startswith(b"GET /path?sig=hidden HTTP/1.1\r\n")
    assert b"Authorization: Basic abc\r\n" in target.requests[0]
    assert b"roxy-" not in target.requests[0]


def test_certificate_is_checked_against_the_target_and_not_the_proxy(
    start: Start, authority: Authority, known: Client
) -> None:
    target = start(answering(answer()), tls=authority.tls)
    proxy = start(forwarding({"inside.example": target.port}))

    failure = through(proxy, known).fail("https://inside.example/")

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert "shows a certificate for another host" in failure.message


def test_redirect_goes_through_the_proxy_again(
    start: Start, authority: Authority, known: Client
) -> None:
    target = https_target(start, authority, redirecting("/there"), answering(answer(b"there")))
    proxy = start(forwarding({"inside.example": target.port}))

    found = through(proxy, known).send("https://inside.example/")

    assert (found.body, proxy.connections, target.connections) == (b"there", 2, 2)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


def hangs_up(peer: Peer) -> None:
    peer.request()


REFUSING = {
    "credential": (
        answering(answer(status="407 Proxy Authentication Required")),
        "refused the credential it was shown (status 407)",
    ),
    "rules": (
        answering(answer(status="403 Forbidden")),
        "does not allow it (status 403); its rules have to",
    ),
    "target unreachable": (
        forwarding({}),
        "opened no tunnel (status 502); it may not reach the target itself",
    ),
    "hangs up": (hangs_up, "closed the connection instead of opening a tunnel"),
    "no proxy": (answering(b"SSH-2.0-x\r\n\r\n"), "does not answer as an HTTP proxy does"),
    "long head": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
        "does not answer as an HTTP proxy does",
    ),
    "talks into the tunnel": (
        answering(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        "sends bytes of its own into the tunnel",
    ),
    "interim answers": (
        answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
        "sends interim (1xx) answers that nobody asked for",
    ),
}


@pytest.mark.parametrize("fault", REFUSING)
def test_proxy_that_opens_no_tunnel_is_a_failed_connection_without_effect(
    fault: str, start: Start
) -> None:
    script, why = REFUSING[fault]
    proxy = start(script)

    failure = through(proxy).fail("https://inside.example/?sig=hidden", method=Method.POST)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert failure.message == (
        f"inside.example:443 (through the proxy 127.0.0.1:{proxy.port}) was not reached: the proxy "
        f"{why}. It is the service connection's proxy."
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_asks_for_a_credential_is_a_failed_connection_without_effect(
    scheme: str, start: Start
) -> None:
    proxy = start(answering(answer(status="407 Proxy Authentication Required")))
    server = ProxyServer(host="127.0.0.1", port=proxy.port)

    failure = through(server).fail(f"{scheme}://inside.example/", method=Method.POST)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert "asks for a credential (status 407); write it as http://user:password@" in (
        failure.message
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_not_there_is_a_failed_connection_without_effect(scheme: str) -> None:
    port = closed_port()
    client = through(ProxyServer(host="127.0.0.1", port=port))

    failure = client.fail(f"{scheme}://inside.example/", method=Method.POST)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert f"(through the proxy 127.0.0.1:{port}) was not reached: the proxy refused" in (
        failure.message
    )


def test_proxy_whose_name_is_not_found_is_a_failed_connection_without_effect() -> None:
    client = through(ProxyServer(host="proxy.example", port=3128))

    failure = client.fail("https://inside.example/")

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert "the proxy has a name that was not found" in failure.message


def drips_a_tunnel(peer: Peer) -> None:
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100)


def says_nothing(peer: Peer) -> None:
    peer.request()
    peer.wait()


@pytest.mark.parametrize("script", [drips_a_tunnel, says_nothing])
def test_proxy_that_drags_its_feet_is_cut_at_the_deadline(script: Script, start: Start) -> None:
    client = through(start(script))
    client.timeout_s = 0.8

    failure = client.fail("https://inside.example/", method=Method.POST)

    assert (failure.code, failure.effect) == ("timedOut", "none")
    assert failure.elapsed_s == pytest.approx(0.8, abs=0.5)
    assert "the proxy had not opened a tunnel to it" in failure.message


def test_tunnel_whose_target_says_nothing_is_cut_at_the_deadline(
    start: Start, authority: Authority, known: Client
) -> None:
    def silent(peer: Peer) -> None:
        peer.secure()
        says_nothing(peer)

    target = https_target(start, authority, silent)
    client = through(start(forwarding({"inside.example": target.port})), known)
    client.timeout_s = 0.8

    failure = client.fail("https://inside.example/", method=Method.POST)

    assert (failure.code, failure.effect) == ("timedOut", "unknown")
    assert failure.elapsed_s == pytest.approx(0.8, abs=0.5)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:168.63.129.16]", "0.0.0.0"]
)
def test_literal_addresses_are_judged_before_the_proxy_is_asked(
    host: str, scheme: str, start: Start
) -> None:
    proxy = start(forwarding({}))
    client = through(proxy)
    client.allow = Allow()
    client.sender = HttpSender(budget=ByteBudget(1 << 20))

    failure = client.fail(f"{scheme}://{host}/")

    assert (failure.code, failure.effect, proxy.connections) == ("addressRefused", "none", 0)


def test_names_that_resolve_here_are_judged_before_the_proxy_is_asked(start: Start) -> None:
    proxy = start(forwarding({}))
    client = through(proxy)
    client.allow = Allow()
    client.sender = HttpSender(
        budget=ByteBudget(1 << 20), look_up=lambda _host, port: [("169.254.169.254", port)]
    )

    failure = client.fail("https://metadata.example/")

    assert (failure.code, failure.effect, proxy.connections) == ("addressRefused", "none", 0)


SERVER = ProxyServer(host="proxy.example", port=3128)
OTHER = ProxyServer(host="other.example", port=3128)


@pytest.mark.parametrize(
    ("bypass", "url", "is_direct"),
    [
        ("*", "https://api.example.com/", True),
        ("example.com", "https://api.example.com/", True),
        ("example.com", "https://example.com/", True),
        (".example.com", "https://api.example.com/", True),
        ("*.example.com", "https://api.example.com/", True),
        ("example.com", "https://API.Example.COM./", True),
        ("ample.com", "https://example.com/", False),
        ("example.com", "https://example.com.evil.example/", False),
        ("example.com:443", "https://example.com/", True),
        ("example.com:8443", "https://example.com/", False),
        ("10.1.2.3", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.0/8", "https://ten.example/", False),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("fd00::1", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("[fd00::1]:80", "https://[fd00::1]/", False),
        (".", "https://example.com/", False),
    ],
)
def test_what_no_proxy_names_is_reached_directly(bypass: str, url: str, *, is_direct: bool) -> None:
    rule = EgressProxy(https=SERVER, bypass=("first.example", bypass))

    assert (proxy_for(prepare(url).origin, rule) is None) is is_direct


def test_what_is_reached_directly_is_judged(start: Start) -> None:
    proxy = start(forwarding({}))
    client = through(proxy)
    client.allow = Allow()
    client.proxy = EgressProxy(http=SERVER, https=SERVER, bypass=("inside.example",))
    client.sender = HttpSender(
        budget=ByteBudget(1 << 20), look_up=lambda _host, _port: [("127.0.0.1", proxy.port)]
    )

    failure = client.fail(f"http://inside.example:{proxy.port}/")

    assert (failure.code, failure.effect, proxy.connections) == ("addressRefused", "none", 0)


def test_each_scheme_has_a_proxy_of_its_own() -> None:
    rule = EgressProxy(http=SERVER, https=OTHER)

    assert proxy_for(prepare("http://example.com/").origin, rule) is SERVER
    assert proxy_for(prepare("https://example.com/").origin, rule) is OTHER
    assert proxy_for(prepare("https://example.com/").origin, EgressProxy(http=SERVER)) is None
