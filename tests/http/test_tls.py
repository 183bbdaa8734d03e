"""TLS: who is trusted, how we show who we are, and sentences that tell failures apart.

Source: HTTP contract, section 7 (``tls``), section 4 (``tlsFailed``).
"""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from invoke_core.connections import TlsOptions
from invoke_core.model import Method
from tests.http.conftest import Client
from tests.http.targets import Peer, answer, answering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.conftest import Authority, Start

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_trusted_target_is_talked_to(
    version: ssl.TLSVersion, host: str, start: Start, authority: Authority, secure: Client
) -> None:
    context = server_context(authority.ca.issue_cert("localhost", "127.0.0.1"))
    context.minimum_version = context.maximum_version = version
    target = start(answering(answer(b"secret")), tls=context, name=host)

    found = secure.send(target.origin)

    assert found.body == b"secret"


def test_expired_certificate(start: Start, authority: Authority, secure: Client) -> None:
    expired = authority.ca.issue_cert(
        "127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021)
    )
    target = start(answering(answer()), tls=server_context(expired))

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{target.port} shows a certificate that has expired; it has to be renewed there."
    )


def test_certificate_that_is_not_valid_yet(
    start: Start, authority: Authority, secure: Client
) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    early = authority.ca.issue_cert(
        "127.0.0.1", not_before=soon, not_after=soon + dt.timedelta(days=1)
    )
    target = start(answering(answer()), tls=server_context(early))

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{target.port} shows a certificate that is not valid yet; check its dates, and "
        "the clock here."
    )


@pytest.mark.parametrize(
    ("issued_for", "host"), [("other.example", "localhost"), ("127.0.0.2", "127.0.0.1")]
)
def test_certificate_for_another_host(
    issued_for: str, host: str, start: Start, authority: Authority, secure: Client
) -> None:
    context = server_context(authority.ca.issue_cert(issued_for))
    target = start(answering(answer()), tls=context, name=host)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message == (
        f"{host}:{target.port} shows a certificate for another host; use the name it was issued "
        "for, or have it issued for this one."
    )


def test_unknown_issuer(start: Start, authority: Authority) -> None:
    target = start(answering(answer()), tls=authority.tls)

    failure = Client().fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{target.port} shows a certificate whose issuer is not trusted here; give the "
        "issuer's certificate to the service connection as tls.caBundle, or have the target send "
        "the certificates between."
    )


def test_self_signed_certificate(start: Start, tmp_path: Path) -> None:
    # The certificate of an authority is the one that trustme signs with itself.
    ca = trustme.CA()
    pem = tmp_path / "self.pem"
    pem.write_bytes(ca.private_key_pem.bytes() + ca.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    target = start(answering(answer()), tls=context)

    failure = Client().fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{target.port} shows a self-signed certificate; give it to the service "
        "connection as tls.caBundle, if it is the right one."
    )


def test_certificate_that_is_not_checked(start: Start, authority: Authority) -> None:
    certificate = trustme.CA().issue_cert(
        "other.example", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021)
    )
    target = start(answering(answer(b"anyone")), tls=server_context(certificate))
    del authority

    found = Client(tls=TlsOptions(verify=False)).send(target.origin)

    assert found.body == b"anyone"


@pytest.fixture
def strict(authority: Authority) -> Callable[[ssl.TLSVersion], ssl.SSLContext]:
    """Make contexts of servers that require a certificate of the authority."""

    def make(version: ssl.TLSVersion) -> ssl.SSLContext:
        context = server_context(authority.ca.issue_cert("127.0.0.1"))
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        authority.ca.configure_trust(context)
        return context

    return make


def client_pem(certificate: trustme.LeafCert, write: Callable[[str, bytes], str]) -> str:
    return write("client.pem", certificate.private_key_and_cert_chain_pem.bytes())


VERSIONS = [
    # TLS 1.2 refuses within the handshake; 1.3 tells only after the request was written.
    (ssl.TLSVersion.TLSv1_2, "none"),
    (ssl.TLSVersion.TLSv1_3, "unknown"),
]


@pytest.mark.parametrize(("version", "_effect"), VERSIONS)
def test_client_certificate_is_shown(
    version: ssl.TLSVersion,
    _effect: str,
    *,
    start: Start,
    authority: Authority,
    strict: Callable[[ssl.TLSVersion], ssl.SSLContext],
    write: Callable[[str, bytes], str],
) -> None:
    target = start(answering(answer(b"known")), tls=strict(version))
    pem = client_pem(authority.ca.issue_cert("client@example.com"), write)
    client = Client(tls=TlsOptions(ca_bundle=authority.bundle, client_certificate=pem))

    found = client.send(target.origin)

    assert found.body == b"known"


@pytest.mark.parametrize("method", [Method.GET, Method.POST])
@pytest.mark.parametrize(("version", "effect"), VERSIONS)
def test_client_certificate_that_is_missing(
    version: ssl.TLSVersion,
    effect: str,
    method: Method,
    *,
    start: Start,
    secure: Client,
    strict: Callable[[ssl.TLSVersion], ssl.SSLContext],
) -> None:
    target = start(answering(answer()), tls=strict(version))

    failure = secure.fail(target.origin, method=method)

    assert (failure.code, failure.effect) == ("tlsFailed", effect)
    assert "client certificate" in failure.message
    assert "tls.clientCertificate" in failure.message


@pytest.mark.parametrize(("version", "effect"), VERSIONS)
def test_client_certificate_that_is_refused(
    version: ssl.TLSVersion,
    effect: str,
    *,
    start: Start,
    authority: Authority,
    strict: Callable[[ssl.TLSVersion], ssl.SSLContext],
    write: Callable[[str, bytes], str],
) -> None:
    target = start(answering(answer()), tls=strict(version))
    pem = client_pem(trustme.CA().issue_cert("client@example.com"), write)
    client = Client(tls=TlsOptions(ca_bundle=authority.bundle, client_certificate=pem))

    failure = client.fail(target.origin, method=Method.POST, body=b"x" * 1000)

    assert (failure.code, failure.effect) == ("tlsFailed", effect)
    assert failure.message.startswith(
        f"127.0.0.1:{target.port} refused the client certificate of the service connection; check "
        "that it is valid, and issued by whom the target trusts ("
    )


def test_target_without_tls(start: Start, client: Client) -> None:
    def answers_at_once(peer: Peer) -> None:
        peer.send(answer(b"plain text"))

    target = start(answers_at_once)

    failure = client.fail(target.origin.replace("http:", "https:"))

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert failure.message.startswith(
        f"127.0.0.1:{target.port} does not speak TLS on this port; check whether the URL should "
        "begin with http:// ("
    )


def test_old_versions_of_tls_are_not_spoken(
    start: Start, authority: Authority, secure: Client
) -> None:
    context = server_context(authority.ca.issue_cert("127.0.0.1"))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    target = start(answering(answer()), tls=context)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("tlsFailed", "none")
    assert "TLS 1.2" in failure.message


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x03"], ids=["nothing", "half a record"])
def test_close_during_the_handshake_had_no_effect(
    sent: bytes, start: Start, authority: Authority, secure: Client
) -> None:
    def hangs_up(peer: Peer) -> None:
        peer.sock.recv(65536)
        peer.send(sent)

    target = start(hangs_up, tls=authority.tls)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{target.port} closed the connection during the TLS handshake. Check the host "
        "and port of the service connection, and the network between."
    )


@pytest.mark.parametrize("content", [None, b"no PEM"], ids=["missing", "no PEM"])
def test_bundle_that_cannot_be_read(
    content: bytes | None, start: Start, authority: Authority, write: Callable[[str, bytes], str]
) -> None:
    target = start(answering(answer()), tls=authority.tls)
    path = write("bundle.pem", content) if content else "/nowhere/bundle.pem"

    failure = Client(tls=TlsOptions(ca_bundle=path)).fail(target.origin)

    assert (failure.code, failure.effect, target.connections) == ("tlsFailed", "none", 0)
    assert failure.message == (
        "The service connection's tls.caBundle cannot be read as PEM certificates."
    )


ENCRYPTED_KEY = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.mark.parametrize("content", [None, b"no PEM", ENCRYPTED_KEY])
def test_client_certificate_that_cannot_be_read(
    content: bytes | None, start: Start, authority: Authority, write: Callable[[str, bytes], str]
) -> None:
    target = start(answering(answer()), tls=authority.tls)
    path = write("client.pem", content) if content else "/nowhere/client.pem"
    options = TlsOptions(ca_bundle=authority.bundle, client_certificate=path)

    failure = Client(tls=options).fail(target.origin)

    assert (failure.code, failure.effect, target.connections) == ("tlsFailed", "none", 0)
    assert failure.message == (
        "The service connection's tls.clientCertificate cannot be read as a PEM certificate with "
        "its unencrypted key."
    )


def test_truncated_tls_is_invalid_where_a_length_was_given(
    start: Start, authority: Authority, secure: Client
) -> None:
    target = start(
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), tls=authority.tls
    )

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")


def test_garbage_in_the_middle_of_tls_is_invalid(
    start: Start, authority: Authority, secure: Client
) -> None:
    def breaks_off(peer: Peer) -> None:
        plain = peer.sock.dup()
        peer.secure()
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        with plain:
            plain.sendall(b"no record of TLS at all")

    target = start(breaks_off, tls=authority.tls)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")
    assert failure.message == (
        f"127.0.0.1:{target.port} answered, but not in valid HTTP: the TLS connection broke before "
        "the end of its answer."
    )
