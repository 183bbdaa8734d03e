"""Byte by byte: what a well-behaved client library never sends."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.conftest import RawClient

if TYPE_CHECKING:
    from invoke_core.local.server import LocalServer
    from tests.local.conftest import Serve

_ECHO = b"POST /api/echo/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
_OPEN = b"GET /api/open HTTP/1.1\r\nHost: h\r\n\r\n"


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _seen(answer: bytes) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return seen


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"   \r\n\r\n", 400),
        (b"\r\nGET /api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/open\r\n\r\n", 400),
        (b"GET  /api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/open HTTP/x\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/open FTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 501),
        (b"CONNECT /api/echo/x HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"G(T /api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/op\xe9n HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/op\x7fn HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET http://[h/api/open HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\n Host: h\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n", 400),
        (b"GET /api/open HTTP/1.1\r\nFrom me\r\nHost: h\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431),
        (b"GET /api/open HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /api/open HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * 100 + b"\r\n", 431),
        (_ECHO + b"Content-Length: -1\r\n\r\n", 400),
        (_ECHO + b"Content-Length: +1\r\n\r\nx", 400),
        (_ECHO + b"Content-Length: 1_0\r\n\r\nx", 400),
        (_ECHO + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (_ECHO + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (_ECHO + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /api/size HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (_ECHO + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400),
        (_ECHO + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400),
        (_ECHO + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (_ECHO + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, 431),
        (_ECHO + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: 1\r\n" * 12_000, 431),
    ],
)
def test_a_malformed_request_is_refused_without_a_word(
    server: LocalServer, sent: bytes, status: int
) -> None:
    client = RawClient(server.url)
    with client.socket:
        client.send(sent)
        answer = client.read_all()

    assert _status(answer) == status
    assert answer.endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_bytes_bring_the_server_down(server: LocalServer, sent: bytes) -> None:
    for data in (sent, b"POST /api/size HTTP/1.1\r\nHost: h\r\n" + sent):
        client = RawClient(server.url)
        with client.socket:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            answer = client.read_all()
        assert b"Traceback" not in answer

    client = RawClient(server.url)
    with client.socket:
        client.send(_OPEN)
        assert client.read_until(b"open")


_CUT_SHORT = [
    b"POST /api/echo/x HT",
    _ECHO,
    _ECHO + b"Content-Len",
    _ECHO + b"Content-Length: 10\r\n\r\nabc",
    _ECHO + b"Transfer-Encoding: chunked\r\n\r\n",
    _ECHO + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    _ECHO + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde",
    _ECHO + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
]


@pytest.mark.parametrize("sent", _CUT_SHORT)
def test_a_request_that_ends_early_is_refused(raw: RawClient, sent: bytes) -> None:
    raw.send(sent)
    raw.socket.shutdown(socket.SHUT_WR)

    assert _status(raw.read_all()) == 400


def test_clients_that_vanish_harm_nobody(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in [*_CUT_SHORT, b"GET /api/answer/big HTTP/1.1\r\nHost: h\r\n\r\n"]:
        client = RawClient(server.url)
        client.send(sent)
        # Closing without lingering resets the connection.
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()

    client = RawClient(server.url)
    with client.socket:
        client.send(_OPEN)
        assert client.read_until(b"open")
    assert caplog.text == ""


def test_requests_follow_one_another_on_a_connection(raw: RawClient) -> None:
    for _ in range(3):
        raw.send(_OPEN)
        answer = raw.read_until(b"\r\n\r\nopen")

        assert _status(answer) == 200
        assert b"Connection" not in answer


def test_pipelined_requests_are_answered_in_order(raw: RawClient) -> None:
    raw.send(_OPEN + _OPEN + b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n" + _OPEN)
    raw.socket.shutdown(socket.SHUT_WR)

    answer = raw.read_all()

    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 404, 200]


def test_a_body_does_not_run_into_the_next_request(raw: RawClient) -> None:
    raw.send(
        b"POST /api/size HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        b"POST /api/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n0\r\n\r\n"
    )
    raw.send(_OPEN)
    raw.socket.shutdown(socket.SHUT_WR)

    parts = raw.read_all().split(b"\r\n\r\n")

    assert [part[:4] for part in parts[1:]] == [b"3HTT", b"2HTT", b"open"]


def test_an_old_client_gets_its_answer_and_the_end(raw: RawClient) -> None:
    raw.send(b"GET /api/open HTTP/1.0\r\n\r\n")

    answer = raw.read_all()

    assert _status(answer) == 200
    assert answer.endswith(b"Connection: close\r\n\r\nopen")


def test_an_old_client_that_asks_for_more_gets_the_end_as_well(raw: RawClient) -> None:
    raw.send(b"GET /api/open HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert raw.read_all().endswith(b"Connection: close\r\n\r\nopen")


def test_an_offer_to_switch_the_protocol_is_passed_over(raw: RawClient) -> None:
    raw.send(b"GET /api/open HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert _status(raw.read_until(b"\r\n\r\nopen")) == 200

    raw.send(_OPEN)

    assert _status(raw.read_until(b"\r\n\r\nopen")) == 200


def test_a_folded_header_is_one_value(raw: RawClient) -> None:
    raw.send(_ECHO + b"X: one\r\n two\r\n\r\n")

    assert _seen(raw.read_all())["headers"]["x"] == "one two"


def test_a_length_that_is_said_twice_counts_once(raw: RawClient) -> None:
    raw.send(_ECHO + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")

    seen = _seen(raw.read_all())

    assert (seen["body"], seen["headers"]["content-length"]) == ("ok", "2")


def test_a_head_of_32_kib_is_taken(raw: RawClient) -> None:
    head = _ECHO + b"X: \r\n\r\n"
    raw.send(head.replace(b"X: ", b"X: " + b"x" * (32 * 1024 - len(head))))

    assert _status(raw.read_all()) == 200


def test_a_request_without_a_host_sees_the_servers_own_address(
    server: LocalServer, raw: RawClient
) -> None:
    raw.send(b"GET /api/echo/x HTTP/1.0\r\n\r\n")

    assert _seen(raw.read_all())["url"] == f"{server.url}/api/echo/x"


def test_a_request_to_the_server_as_such_reaches_no_function(raw: RawClient) -> None:
    raw.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

    assert _status(raw.read_all()) == 404


def test_a_target_that_is_a_whole_url_names_the_host(raw: RawClient) -> None:
    raw.send(b"GET http://other:8/api/echo/x?q=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

    seen = _seen(raw.read_all())

    assert (seen["url"], seen["params"]) == ("http://other:8/api/echo/x?q=1", {"q": "1"})


def test_the_body_is_asked_for_only_when_it_is_wanted(raw: RawClient) -> None:
    raw.send(_ECHO + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert raw.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    raw.send(b"ok")

    assert _seen(raw.read_all())["body"] == "ok"


@pytest.mark.parametrize(
    ("path", "length", "status"), [(b"/none", b"2", 404), (b"/api/size", b"999999999", 413)]
)
def test_a_body_that_is_not_wanted_is_not_asked_for(
    raw: RawClient, path: bytes, length: bytes, status: int
) -> None:
    raw.send(
        b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + b"\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )

    answer = raw.read_all()

    assert _status(answer) == status
    assert b"Connection: close" in answer


def test_chunk_extensions_and_trailers_are_read_and_dropped(raw: RawClient) -> None:
    raw.send(
        _ECHO + b"Transfer-Encoding: chunked\r\n\r\n"
        b'3;name="a;b"\r\none\r\n00A; x\r\n two three\r\n0\r\nX-Trailer: 1\r\n\r\n'
    )

    seen = _seen(raw.read_all())

    assert seen["body"] == "one two three"
    assert "x-trailer" not in seen["headers"]


def test_a_chunked_body_may_come_byte_by_byte(raw: RawClient) -> None:
    for byte in _ECHO + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
        raw.send(bytes([byte]))

    assert _seen(raw.read_all())["body"] == "abc"


def test_a_chunked_body_beyond_the_hosts_limit_is_refused(raw: RawClient) -> None:
    mebibyte = b"100000\r\n" + b"x" * 1024 * 1024 + b"\r\n"
    raw.send(_ECHO + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        raw.send(mebibyte)
    raw.send(b"1\r\nx")

    assert _status(raw.read_all()) == 413


def test_half_a_head_holds_no_thread(serve_toy: Serve) -> None:
    server = serve_toy(threads=1)
    slow, quick = RawClient(server.url), RawClient(server.url)
    with slow.socket, quick.socket:
        slow.send(_OPEN[:20])
        time.sleep(0.1)

        quick.send(_OPEN)
        assert _status(quick.read_until(b"\r\n\r\nopen")) == 200
        slow.send(_OPEN[20:])
        assert _status(slow.read_until(b"\r\n\r\nopen")) == 200
