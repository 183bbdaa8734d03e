"""Targets whose HTTP is broken.

Source: HTTP contract, section 4 ("Faults of targets").
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from invoke_core.model import Method
from tests.http.targets import Peer, answer, answering

if TYPE_CHECKING:
    from tests.http.conftest import Authority, Client, Start

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"
LINES = b"".join(b"X-%d: a\r\n" % number for number in range(10_000))

BROKEN = {
    "other protocol": (
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "it does not begin with a status line of HTTP/1",
    ),
    "http/2": (b"HTTP/2 200\r\n\r\n", "it does not begin with a status line of HTTP/1"),
    "http/0.9": (b"<html>\n</html>", "it does not begin with a status line of HTTP/1"),
    "http/2.0": (
        b"HTTP/2.0 200 OK\r\n\r\n",
        "it does not begin with a status line of HTTP/1",
    ),
    "status below 100": (b"HTTP/1.1 020 OK\r\n\r\n", "it breaks the rules of HTTP/1.1"),
    "status of two digits": (
        b"HTTP/1.1 20 OK\r\n\r\n",
        "it does not begin with a status line of HTTP/1",
    ),
    "endless status line": (
        b"HTTP/1.1 200 " + b"x" * 70_000,
        "it does not begin with a status line of HTTP/1",
    ),
    "switch": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "it sends interim (1xx) answers that nobody asked for",
    ),
    "interim answers without end": (
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000,
        "it sends interim (1xx) answers that nobody asked for",
    ),
    "10,000 folds": (
        OK + b"X: a\r\n" + b" b\r\n" * 10_000,
        "it has more than 100 header lines",
    ),
    "10,000 headers": (OK + LINES, "it has more than 100 header lines"),
    "1 MB header": (
        OK + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        "it has a header line of more than 64 KiB",
    ),
    "1 MB folded header": (
        OK + b"X: a\r\n" + (b" " + b"x" * 50_000 + b"\r\n") * 20 + b"\r\n",
        "it has a header line of more than 64 KiB",
    ),
    "header without colon": (
        OK + b"Content-Length 5\r\n\r\nhello",
        "it has a header line that is not 'name: value'",
    ),
    "blank in a header's name": (
        OK + b"Content-Length : 5\r\n\r\nhello",
        "it has a header line that is not 'name: value'",
    ),
    "null in a header": (
        OK + b"X: a\x00b\r\n\r\n",
        "it has a header line that is not 'name: value'",
    ),
    "fold without header": (
        OK + b" X: a\r\n\r\n",
        "its first header line begins with white space",
    ),
    "closed in the headers": (OK + b"X: a\r\n", "it ends in the middle of its headers"),
    "closed in a header": (OK + b"X: a", "it ends in the middle of its headers"),
    "body shorter than its length": (
        OK + b"Content-Length: 10\r\n\r\nhello",
        "its body ends after 5 of 10 bytes of its Content-Length",
    ),
    "length that is no number": (
        OK + b"Content-Length: five\r\n\r\nhello",
        "its Content-Length is not one number",
    ),
    "negative length": (
        OK + b"Content-Length: -5\r\n\r\nhello",
        "its Content-Length is not one number",
    ),
    "two lengths": (
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "its Content-Length is not one number",
    ),
    "two lengths in one header": (
        OK + b"Content-Length: 5, 6\r\n\r\nhello",
        "its Content-Length is not one number",
    ),
    "chunks and a length": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "it has both a Transfer-Encoding and a Content-Length",
    ),
    "a length and chunks": (
        OK + b"content-length: 10\r\nTRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\nhello",
        "it has both a Transfer-Encoding and a Content-Length",
    ),
    "chunks and a length without a body": (
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "it has both a Transfer-Encoding and a Content-Length",
    ),
    "chunks and a length in a redirect": (
        b"HTTP/1.1 302 A\r\nLocation: /\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "it has both a Transfer-Encoding and a Content-Length",
    ),
    "chunks of http/1.0": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "it has a Transfer-Encoding, which HTTP/1.0 does not know",
    ),
    "no transfer coding": (
        OK + b"Transfer-Encoding: identity\r\n\r\nhello",
        "it uses a transfer coding other than chunked",
    ),
    "empty transfer coding": (
        OK + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello",
        "it uses a transfer coding other than chunked",
    ),
    "chunk without size": (CHUNKED + b"hello\r\n", "its body has a chunk without a size"),
    "negative chunk": (CHUNKED + b"-5\r\nhello\r\n", "its body has a chunk without a size"),
    "prefixed chunk size": (CHUNKED + b"0x5\r\nhello\r\n", "its body has a chunk without a size"),
    "blank before a chunk extension": (
        CHUNKED + b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
        "its body has a chunk without a size",
    ),
    "trailer without colon": (
        CHUNKED + b"0\r\nsecret\r\n\r\n",
        "it has a header line that is not 'name: value'",
    ),
    "closed in a chunk": (CHUNKED + b"a\r\nhello", "its chunked body breaks off before its end"),
    "chunk longer than its size": (
        CHUNKED + b"2\r\nhello\r\n0\r\n\r\n",
        "a chunk of its body is longer than it says",
    ),
    "closed between chunks": (
        CHUNKED + b"5\r\nhello\r\n",
        "its chunked body breaks off before its end",
    ),
    "closed in the trailers": (
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        "its chunked body breaks off before its end",
    ),
    "trailers without end": (
        CHUNKED + b"0\r\n" + LINES,
        "its body has a chunk line or trailers of more than 2 KiB",
    ),
    "endless chunk size": (
        CHUNKED + b"0" * 100_000,
        "its body has a chunk line or trailers of more than 2 KiB",
    ),
    "other transfer coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "it uses a transfer coding other than chunked",
    ),
    "two transfer codings": (
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "it uses a transfer coding other than chunked",
    ),
    "not gzip": (
        GZIP + b"Content-Length: 5\r\n\r\nhello",
        "its body is not the gzip its Content-Encoding says",
    ),
    "not deflate": (
        OK + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\n\xff\xff\xff\xff\xff",
        "its body is not the deflate its Content-Encoding says",
    ),
    "unknown encoding": (
        OK + b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
        (
            "its body is in the content encoding 'br', and gzip and deflate are the ones this"
            " service reads; leave Accept-Encoding out of the request's headers"
        ),
    ),
    "many encodings": (
        OK + b"Content-Encoding: gzip, gzip, gzip, gzip\r\nContent-Length: 5\r\n\r\nhello",
        "its body has 4 content encodings on top of each other",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_answer_is_invalid(fault: str, start: Start, client: Client) -> None:
    sent, what = BROKEN[fault]
    target = start(answering(sent))

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")
    assert failure.message == (f"127.0.0.1:{target.port} answered, but not in valid HTTP: {what}.")


@pytest.mark.parametrize(
    "lengths", ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5"]
)
def test_length_that_is_repeated_is_one(lengths: str, start: Start, client: Client) -> None:
    target = start(answering(OK + lengths.encode() + b"\r\n\r\nhello"))

    found = client.send(target.origin)

    assert found.body == b"hello"


def test_two_lengths_of_an_answer_to_head_are_invalid_too(start: Start, client: Client) -> None:
    target = start(answering(OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"))

    failure = client.fail(target.origin, method=Method.HEAD)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")


def test_hundred_headers_and_long_lines_are_accepted(start: Start, client: Client) -> None:
    headers = [f"X-{number}: a" for number in range(98)] + ["X-Long: " + "x" * 65_000]
    target = start(answering(answer(b"fine", headers=headers)))

    found = client.send(target.origin)

    assert (len(found.headers), found.body) == (100, b"fine")


def test_header_of_blanks_is_read_in_no_time(start: Start, client: Client) -> None:
    blanks = "a" + " " * 65_000 + "b"
    target = start(answering(answer(headers=[f"X-{number}: {blanks}" for number in range(90)])))

    found = client.send(target.origin)

    assert found.headers[0] == ("X-0", blanks)
    assert found.elapsed_ms < 1000


BLANKS = b" \t" * 32_000


@pytest.mark.parametrize(
    "sent",
    [
        OK + b"X:" + BLANKS + b"\x00\r\n\r\n",
        OK + b"X:" + BLANKS + b"\x0b\r\n\r\n",
        OK + b"X:" + BLANKS + b"\r\r\n\r\n",
        OK + b"X:" + BLANKS + b"\r\n" + (b" " + BLANKS + b"\r\n") * 10 + b" \x0c\n\n",
        b"HTTP/1.1 103 Hints\r\nX:" + BLANKS + b"\x00\r\n\r\n",
        CHUNKED + b"5;" + BLANKS + b"\n\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0\r\nX:" + BLANKS + b"\x00\r\n\r\n",
        CHUNKED + b"0\r\nX:" + b"\r\n " * 20_000 + b"\x00\r\n\r\n",
    ],
    ids=[
        "null",
        "vertical tab",
        "return",
        "folds",
        "interim",
        "chunk line",
        "trailer",
        "folded trailer",
    ],
)
def test_line_of_blanks_is_refused_in_no_time(sent: bytes, start: Start, client: Client) -> None:
    # The patterns of h11 take half a minute for one of these, and the interpreter with them.
    target = start(answering(sent))

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")
    assert failure.elapsed_s < 2


def test_other_protocol_is_known_by_its_first_line(start: Start, client: Client) -> None:
    def greets(peer: Peer) -> None:
        peer.send(b"220 mail.example ESMTP\r\n")
        peer.wait()

    target = start(greets)

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")
    assert failure.elapsed_s < 2


def test_switch_that_was_asked_for_is_refused_too(start: Start, client: Client) -> None:
    target = start(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n"))

    failure = client.fail(target.origin, headers=(("Upgrade", "a"),))

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")


def test_one_header_too_many_is_invalid(start: Start, client: Client) -> None:
    headers = [f"X-{number}: a" for number in range(100)]
    target = start(answering(answer(b"fine", headers=headers)))

    failure = client.fail(target.origin)

    assert failure.code == "responseInvalid"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <",
    ],
    ids=["nothing", "half a status line", "interim answer", "half an interim answer"],
)
def test_close_before_the_status_line_leaves_the_effect_unknown(
    sent: bytes, scheme: str, start: Start, secure: Client, authority: Authority
) -> None:
    target = start(answering(sent), tls=authority.tls if scheme == "https" else None)

    failure = secure.fail(target.origin, method=Method.POST, body=b"x")

    assert (failure.code, failure.effect) == ("connectionFailed", "unknown")
    assert failure.message == (
        f"127.0.0.1:{target.port} closed the connection without an answer. Whether it acted on "
        "the request is not known."
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_reset_before_the_status_line_leaves_the_effect_unknown(
    scheme: str, start: Start, secure: Client, authority: Authority
) -> None:
    def script(peer: Peer) -> None:
        peer.secure()
        peer.request()
        peer.reset()

    target = start(script, tls=authority.tls if scheme == "https" else None)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("connectionFailed", "unknown")
    assert failure.message.endswith(" Whether it acted on the request is not known.")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "sent", [OK, OK + b"Content-Length: 10\r\n\r\nhello"], ids=["headers", "body"]
)
def test_reset_after_the_status_line_is_invalid(
    sent: bytes, scheme: str, start: Start, secure: Client, authority: Authority
) -> None:
    def script(peer: Peer) -> None:
        peer.secure()
        peer.request()
        peer.send(sent)
        # What was sent has to be read before the reset, which discards it otherwise.
        peer.target.stopping.wait(0.2)
        peer.reset()

    target = start(script, tls=authority.tls if scheme == "https" else None)

    failure = secure.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")


def test_refused_connection_had_no_effect(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    failure = client.fail(f"http://127.0.0.1:{port}/?sig=hidden", method=Method.POST)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert failure.message == (
        f"127.0.0.1:{port} refused the connection; nothing listens there, or a firewall rejects "
        "it. Check the host and port of the service connection, and the network between."
    )


@pytest.mark.parametrize(
    "headers",
    [(("X-Bad", "a\r\nb: c"),), (("X-Bad", "€ secret"),), (("X Bad\n", "secret"),)],
    ids=["two lines", "outside Latin-1", "name"],
)
def test_header_that_cannot_be_written_stops_the_request(
    headers: tuple[tuple[str, str], ...], start: Start, client: Client
) -> None:
    target = start(answering(answer()))

    failure = client.fail(target.origin, headers=headers)

    assert (failure.code, failure.effect) == ("connectionFailed", "none")
    assert "secret" not in failure.message
    target.close()
    assert target.requests == []
