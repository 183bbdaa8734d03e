"""What stands on the wire: exactly the caller's headers, and the transport's own where he has none.

Source: HTTP contract, section 2 ("On the wire beside the caller's").
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from invoke_core import __version__
from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.transfer import Head
from invoke_core.adapters.urls import Origin
from invoke_core.model import Method
from tests.http.conftest import Client
from tests.http.targets import answer, answering, slowly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Start


@pytest.mark.parametrize(
    ("method", "length"),
    [
        (Method.OPTIONS, "Content-Length: 0\r\n"),
        (Method.GET, ""),
        (Method.HEAD, ""),
        (Method.POST, "Content-Length: 0\r\n"),
        (Method.PUT, "Content-Length: 0\r\n"),
        (Method.DELETE, "Content-Length: 0\r\n"),
        (Method.TRACE, ""),
        (Method.PATCH, "Content-Length: 0\r\n"),
    ],
)
def test_request_without_body(method: Method, length: str, start: Start, client: Client) -> None:
    target = start(answering(answer()))

    client.send(f"{target.origin}/v1/items?top=5", method=method)

    assert target.requests == [
        (
            f"{method} /v1/items?top=5 HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{target.port}\r\n"
            f"User-Agent: invoke-rest-api/{__version__}\r\n"
            "Accept: */*\r\n"
            "Accept-Encoding: gzip, deflate\r\n"
            "Connection: close\r\n"
            f"{length}\r\n"
        ).encode()
    ]


@pytest.mark.parametrize("method", [Method.POST, Method.PUT, Method.PATCH, Method.DELETE])
def test_request_with_body_keeps_headers_order_and_letter_case(
    method: Method, start: Start, client: Client
) -> None:
    target = start(answering(answer()))
    headers = (
        ("content-TYPE", "application/json"),
        ("planUrl", "https://here/"),
        ("X-Empty", ""),
        ("X-Latin", "Zürich \xa0\x85\xff"),
        ("AuthToken", "a=b"),
    )

    client.send(target.origin, method=method, headers=headers, body=b'{"a": "\xc3\xa4"}')

    assert target.requests == [
        f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n".encode()
        + b"content-TYPE: application/json\r\nplanUrl: https://here/\r\nX-Empty: \r\n"
        b"X-Latin: Z\xfcrich \xa0\x85\xff\r\nAuthToken: a=b\r\n"
        + f"User-Agent: invoke-rest-api/{__version__}\r\n".encode()
        + b"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: close\r\n"
        b'Content-Length: 11\r\n\r\n{"a": "\xc3\xa4"}'
    ]


def test_headers_of_the_caller_replace_those_of_the_transport(start: Start, client: Client) -> None:
    target = start(answering(answer()))
    headers = (("USER-AGENT", "mine"), ("accept", "text/plain"), ("Accept-encoding", "identity"))

    client.send(target.origin, headers=headers)

    assert target.requests == [
        b"GET / HTTP/1.1\r\n"
        + f"Host: 127.0.0.1:{target.port}\r\n".encode()
        + b"USER-AGENT: mine\r\naccept: text/plain\r\nAccept-encoding: identity\r\n"
        b"Connection: close\r\n\r\n"
    ]


def test_environment_adds_nothing(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    setting = answer(headers=["Set-Cookie: a=b; Path=/"])
    target = start(answering(setting))

    client.send(f"http://user:pass@127.0.0.1:{target.port}/")
    client.send(target.origin)

    assert target.connections == 2
    for request in target.requests:
        assert b"uthorization" not in request
        assert b"ookie" not in request


def test_user_information_never_becomes_a_credential(start: Start, client: Client) -> None:
    target = start(answering(answer()))

    client.send(f"http://user:pass@127.0.0.1:{target.port}/")

    assert b"Basic" not in target.requests[0]
    assert f"Host: 127.0.0.1:{target.port}\r\n".encode() in target.requests[0]


def test_ipv6_targets_are_named_in_brackets(start: Start, client: Client) -> None:
    target = start(answering(answer(b"six")), host="::1")

    found = client.send(target.origin)

    assert found.body == b"six"
    assert f"Host: [::1]:{target.port}\r\n".encode() in target.requests[0]


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("http", "api.example.com", 80, "api.example.com"),
        ("https", "api.example.com", 443, "api.example.com"),
        ("https", "api.example.com", 80, "api.example.com:80"),
        ("http", "::1", 80, "[::1]"),
        ("http", "::1", 8080, "[::1]:8080"),
    ],
)
def test_host_names_only_a_port_that_is_not_the_usual(
    scheme: str, host: str, port: int, authority: str
) -> None:
    assert Origin(scheme=scheme, host=host, port=port).authority == authority


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 Many words: (yes)",
        b"HTTP/1.1 200 Sch\xf6n",
        b"HTTP/1.0 200 OK",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_status_lines_of_all_sorts_are_read(
    line: bytes, end: bytes, start: Start, client: Client
) -> None:
    target = start(answering(end.join([line, b"X-A: b", b"Content-Length: 5", b"", b"fine\n"])))

    found = client.send(target.origin)

    assert (found.status, found.body) == (200, b"fine\n")
    assert found.headers == (("X-A", "b"), ("Content-Length", "5"))


def test_answer_is_handed_over_as_received(start: Start, client: Client) -> None:
    target = start(
        answering(
            b"HTTP/1.1 299 Odd\r\nX-Case: One\r\nset-cookie: a=1\r\nset-cookie:b=2\r\n"
            b"X-Folded: one\r\n  two\r\nX-Latin: \xfc \r\nX-Empty:\r\nContent-Length: 2\r\n\r\nhi"
        )
    )

    found = client.send(target.origin)

    assert (found.status, found.body) == (299, b"hi")
    assert found.headers == (
        ("X-Case", "One"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("X-Folded", "one two"),
        ("X-Latin", "ü"),
        ("X-Empty", ""),
        ("Content-Length", "2"),
    )


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100\r\n\r\n",
    ],
)
def test_interim_answers_are_skipped(interim: bytes, start: Start, client: Client) -> None:
    target = start(answering(interim, answer(b"final")))

    found = client.send(target.origin)

    assert (found.status, found.body) == (200, b"final")
    assert found.headers == (("Content-Length", "5"),)


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        (Method.HEAD, "200 OK", ["Content-Length: 5000"]),
        (Method.HEAD, "200 OK", ["Transfer-Encoding: chunked", "Content-Encoding: gzip"]),
        (Method.GET, "204 No Content", ["Content-Length: 5000"]),
        (Method.GET, "304 Not Modified", ["Content-Length: 99999999"]),
    ],
)
def test_answers_that_have_no_body_end_with_their_headers(
    method: Method, status: str, headers: list[str], start: Start, client: Client
) -> None:
    target = start(answering(answer(status=status, headers=headers, length=False)))

    found = client.send(target.origin, method=method)

    assert found.body == b""
    assert found.headers == tuple(tuple(header.split(": ")) for header in headers)


def test_early_refusal_of_a_long_request_is_an_answer(start: Start, client: Client) -> None:
    target = start(slowly(0, answer(b"too long", status="413 Content Too Large")))

    found = client.send(target.origin, method=Method.POST, body=b"x" * 5_000_000)

    assert (found.status, found.body) == (413, b"too long")


@pytest.mark.parametrize(
    ("name", "value", "come", "most_bytes"),
    [
        ("Content-Length", "300", 0, 300),
        ("Content-Length", "300", 299, 1),
        ("Content-Length", "10000000", 0, 64 * 1024),
        ("Content-Length", "10000000", 9_990_000, 10_000),
        ("Transfer-Encoding", "chunked", 0, 8 * 1024),
        ("Server", "ends with the connection", 0, 64 * 1024),
    ],
)
def test_no_more_of_a_body_is_read_at_once_than_may_come(
    name: str, value: str, come: int, most_bytes: int
) -> None:
    """Room that is asked for and not needed leaves holes in the memory of a process."""
    assert Head(status=200, headers=((name, value),)).next_bytes(come) == most_bytes


def test_hundred_parallel_exchanges_wait_side_by_side(start: Start, client: Client) -> None:
    target = start(slowly(2, answer(b"done")))
    bodies: list[bytes] = []
    elapsed_ms: list[int] = []

    def call() -> None:
        found = client.send(target.origin)
        bodies.append(found.body)
        elapsed_ms.append(found.elapsed_ms)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bodies == [b"done"] * 100
    assert max(elapsed_ms) < 4000


def test_sender_holds_nothing_after_its_exchanges(start: Start) -> None:
    budget = ByteBudget(1000)
    client = Client(sender=HttpSender(budget=budget))
    target = start(answering(answer(b"x" * 500)), answering(b"nonsense\r\n\r\n"))

    client.send(target.origin)
    client.fail(target.origin)

    assert budget.held_bytes == 0
