"""Over loopback: what a function sees, and what a client gets."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import azure.functions as func
import pytest

from invoke_core.local.errors import LocalServerError
from invoke_core.local.server import LocalServer
from tests.local.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.local.conftest import Serve


def _connect(server: LocalServer) -> http.client.HTTPConnection:
    parts = urlsplit(server.url)
    assert parts.hostname
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=15)


def _ask(
    server: LocalServer,
    method: str,
    target: str,
    *,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    with closing(_connect(server)) as connection:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def _echo(
    server: LocalServer, target: str, *, body: bytes | Iterable[bytes] | None = None
) -> dict[str, Any]:
    status, answer = _ask(server, "POST", target, body=body)
    assert status == 200
    seen: dict[str, Any] = json.loads(answer)
    return seen


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/open", (200, b"open")),
        ("GET", "/API/Open/", (200, b"open")),
        ("POST", "/api/open", (404, b"")),
        ("HEAD", "/api/open", (404, b"")),
        ("GET", "/api/none", (404, b"")),
        ("GET", "/", (404, b"")),
        ("GET", "/api//open", (404, b"")),
        ("GET", "//api/open", (404, b"")),
        ("GET", "/api/./x/../open", (200, b"open")),
        ("GET", "/api/open%00", (400, b"")),
        ("GET", "/api/things/count", (200, b"thing count")),
        ("DELETE", "/api/things/count", (200, b"count DELETE")),
        ("GET", "/api/things/a%2Fb%20c", (200, b"thing a%2Fb c")),
        ("BREW", "/api/slow?s=0", (200, b"slept")),
        ("GET", "/api/answer/empty", (204, b"")),
        ("GET", "/api/answer/fails", (500, b"")),
        ("GET", "/api/answer/nothing", (500, b"")),
        ("GET", "/api/answer/split", (500, b"")),
        ("GET", "/api/answer/status", (500, b"")),
        ("GET", "/api/answer/accent", (500, b"")),
    ],
)
def test_a_request_is_answered_as_the_host_answers_it(
    server: LocalServer, method: str, target: str, expected: tuple[int, bytes]
) -> None:
    assert _ask(server, method, target) == expected


def test_a_catch_all_sees_doubled_slashes_and_encoded_ones(server: LocalServer) -> None:
    seen = _echo(server, "/api/echo/default//p%2Fq/_apis%20x/")

    assert seen["route"] == {"rest": "default//p%2Fq/_apis x/"}
    assert seen["url"] == f"{server.url}/api/echo/default//p%2Fq/_apis%20x/"


def test_a_catch_all_that_took_nothing_is_no_route_value(server: LocalServer) -> None:
    """The host does not pass null values on (GrpcMessageConversionExtensions.ToRpcHttp)."""
    assert _echo(server, "/api/echo/")["route"] == {}


def test_query_values_are_joined_without_case_and_empty_ones_are_dropped(
    server: LocalServer,
) -> None:
    seen = _echo(server, "/api/echo/x?A=1&a=2&empty=&flag&b=%C3%A9+%26")

    assert seen["params"] == {"A": "1,2", "b": "é &"}
    assert seen["url"].endswith("/api/echo/x?A=1&a=2&empty=&flag&b=%C3%A9+%26")


def test_header_names_are_lower_case_and_repeats_are_joined(server: LocalServer) -> None:
    with closing(_connect(server)) as connection:
        connection.putrequest("GET", "/api/echo/x")
        connection.putheader("X-Mixed-Case", "1 ")
        connection.putheader("x-mixed-case", "2")
        connection.putheader("X-Empty", "")
        connection.putheader("X-Utf8", "é".encode())
        connection.putheader(
            "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        )
        connection.endheaders()
        seen = json.loads(connection.getresponse().read())

    assert seen["headers"] == {
        "host": urlsplit(server.url).netloc,
        "accept-encoding": "identity",
        "x-mixed-case": "1,2",
        "x-empty": "",
        "x-utf8": "é",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def test_json_errors_are_those_of_the_worker(server: LocalServer) -> None:
    assert _ask(server, "POST", "/api/json", body=b'{"a": 1}') == (200, b"{'a': 1}")
    assert _ask(server, "POST", "/api/json", body=b"{") == (
        200,
        b"HTTP request does not contain valid JSON data",
    )


def test_headers_of_an_answer_collapse_but_for_cookies(server: LocalServer) -> None:
    with closing(_connect(server)) as connection:
        connection.request("GET", "/api/headers")
        answer = connection.getresponse()
        body = answer.read()

    assert (answer.status, body) == (299, b"a body")
    assert answer.headers.get_all("X-Twice") == ["second"]
    assert answer.headers.get_all("Set-Cookie") == ["a=1; HttpOnly; Path=/", "b=2"]
    assert answer.headers.get_all("Content-Length") == ["6"]
    assert answer.headers.get_all("Connection") is None


def test_white_space_around_a_value_is_not_sent(server: LocalServer) -> None:
    with closing(_connect(server)) as connection:
        connection.request("GET", "/api/headers")
        answer = connection.getresponse()

    assert (answer.status, answer.headers["X-Spaced"]) == (299, "a")


def test_head_tells_the_length_and_sends_no_body(server: LocalServer) -> None:
    with closing(_connect(server)) as connection:
        connection.request("HEAD", "/api/headers")
        answer = connection.getresponse()
        body = answer.read()
        connection.request("GET", "/api/open")
        after = connection.getresponse().read()

    assert (answer.headers["Content-Length"], body, after) == ("6", b"", b"open")


def test_an_exception_is_told_to_the_log_and_not_to_the_caller(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(_connect(server)) as connection:
        connection.request("GET", "/api/answer/fails")
        answer = connection.getresponse()
        text = str(answer.headers) + answer.read().decode()

    assert "secret" not in text
    assert "RuntimeError: a secret detail" in caplog.text


def test_the_log_has_one_line_per_request_and_never_its_query(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    _ask(server, "GET", "/api/open?code=hidden")

    deadline = time.monotonic() + 5
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [record.getMessage().rsplit(" ", 2)[0] for record in caplog.records] == [
        "GET /api/open 200 open_to_all"
    ]


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/api/open", {}, 200),
        ("/api/open", {"x-functions-key": "wrong"}, 200),
        ("/api/echo/x", {}, 401),
        ("/api/echo/x", {"X-Functions-Key": "k€y"}, 200),
        ("/api/echo/x", {"X-Functions-Key": "key"}, 401),
        ("/api/echo/x", {"X-Functions-Key": ""}, 401),
        ("/api/echo/x?code=k%E2%82%ACy", {}, 200),
        ("/api/echo/x?CODE=k%E2%82%ACy", {}, 200),
        ("/api/echo/x?code=", {}, 401),
        ("/api/echo/x?code=k%E2%82%ACy", {"X-Functions-Key": "wrong"}, 401),
        ("/api/none", {}, 404),
    ],
)
def test_a_function_key_opens_what_is_not_anonymous(
    serve_toy: Serve, target: str, headers: dict[str, str], status: int
) -> None:
    server = serve_toy(function_key="k€y")
    # http.client would encode text as Latin-1.
    raw: Any = {name: value.encode() for name, value in headers.items()}

    found, body = _ask(server, "GET", target, headers=raw)

    assert found == status
    assert status == 200 or body == b""


def test_without_a_key_everything_is_open(serve_toy: Serve) -> None:
    assert _ask(serve_toy(function_key=""), "GET", "/api/things/1") == (200, b"thing 1")


def test_a_refused_body_is_not_waited_for(serve_toy: Serve) -> None:
    server = serve_toy(function_key="key")

    answer = _ask(server, "POST", "/api/size", body=b"x" * 5_000_000)

    assert answer == (401, b"")


def test_a_chunked_body_is_delivered(server: LocalServer) -> None:
    seen = _echo(server, "/api/echo/x", body=iter([b"one ", b"two"]))

    assert seen["body"] == "one two"
    assert seen["headers"]["transfer-encoding"] == "chunked"


def test_a_chunked_body_arrives_empty_where_it_is_to_be_dropped(serve_toy: Serve) -> None:
    server = serve_toy(drop_chunked=True)

    chunked = _echo(server, "/api/echo/x", body=iter([b"one ", b"two"]))
    whole = _echo(server, "/api/echo/x", body=b"one two")

    assert (chunked["body"], chunked["headers"]["transfer-encoding"]) == ("", "chunked")
    assert whole["body"] == "one two"


def test_large_bodies_pass_in_both_directions(server: LocalServer) -> None:
    assert _ask(server, "POST", "/api/size", body=b"x" * 30_000_000) == (200, b"30000000")
    assert _ask(server, "GET", "/api/answer/big") == (200, b"x" * 3_000_001)


def test_a_body_beyond_the_hosts_limit_is_refused(server: LocalServer) -> None:
    with closing(_connect(server)) as connection:
        connection.putrequest("POST", "/api/size")
        connection.putheader("Content-Length", str(100 * 1024 * 1024 + 1))
        connection.endheaders()
        answer = connection.getresponse()

        assert (answer.status, answer.read()) == (413, b"")


def test_a_hundred_slow_requests_run_side_by_side(server: LocalServer) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: _ask(server, "GET", "/api/slow?s=1"), range(100)))

    assert answers == [(200, b"slept")] * 100
    assert time.monotonic() - started < 6


def test_held_calls_leave_room_for_others(app_root: Path) -> None:
    """256 long polls may be held at once; events and the status have to get through."""
    release, entered = threading.Event(), threading.Semaphore(0)
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="api/hold")
    def hold(req: func.HttpRequest) -> str:
        del req
        entered.release()
        release.wait(20)
        return "released"

    @app.route(route="api/open")
    def open_(req: func.HttpRequest) -> str:
        return str(req.method)

    with LocalServer(app, app_root=app_root, port=0) as server, ExitStack() as stack:
        held = [stack.enter_context(closing(_connect(server))) for _ in range(256)]
        for connection in held:
            connection.request("GET", "/api/hold")
        assert all(entered.acquire(timeout=10) for _ in held)

        started = time.monotonic()
        assert _ask(server, "POST", "/api/open") == (200, b"POST")
        assert time.monotonic() - started < 0.5

        release.set()
        assert {one.getresponse().read() for one in held} == {b"released"}


def test_small_answers_are_not_held_back(server: LocalServer) -> None:
    """Nagle's algorithm with delayed acknowledgements would cost 40 ms an answer."""
    with closing(_connect(server)) as connection:
        started = time.monotonic()
        for _ in range(50):
            connection.request("GET", "/api/open")
            connection.getresponse().read()

    assert time.monotonic() - started < 1


def test_idle_connections_do_not_use_up_the_threads(serve_toy: Serve) -> None:
    server = serve_toy(threads=2)
    idle = [_connect(server) for _ in range(6)]
    try:
        for connection in idle:
            connection.request("GET", "/api/open")
            connection.getresponse().read()

        assert _ask(server, "GET", "/api/open") == (200, b"open")
        idle[0].request("GET", "/api/open")
        assert idle[0].getresponse().read() == b"open"
    finally:
        for connection in idle:
            connection.close()


def test_a_client_that_asks_again_and_again_leaves_the_thread_to_others(serve_toy: Serve) -> None:
    server = serve_toy(threads=1)
    is_over = threading.Event()
    began = threading.Event()

    def ask_on_and_on() -> None:
        with closing(_connect(server)) as connection:
            while not is_over.is_set():
                connection.request("GET", "/api/things/count")
                connection.getresponse().read()
                began.set()

    busy = threading.Thread(target=ask_on_and_on)
    busy.start()
    try:
        assert began.wait(10)
        started = time.monotonic()
        for _ in range(10):
            _ask(server, "GET", "/api/things/count")
        assert time.monotonic() - started < 5
    finally:
        is_over.set()
        busy.join()


def test_an_idle_connection_is_closed_after_a_while(app_root: Path) -> None:
    with (
        LocalServer(toy_app(), app_root=app_root, port=0, idle_s=0.2) as server,
        closing(_connect(server)) as connection,
    ):
        connection.request("GET", "/api/slow?s=0.5")
        assert connection.getresponse().read() == b"slept"
        assert connection.sock
        assert connection.sock.recv(1) == b""


def test_the_threads_are_there_before_the_requests(serve_toy: Serve) -> None:
    """Or the first crowd, and whoever comes with it, would wait while they begin."""
    before = set(threading.enumerate())

    serve_toy(threads=7)

    begun = [one.name for one in set(threading.enumerate()) - before]
    assert sorted(name for name in begun if name.startswith("request-")) == [
        f"request-{number}" for number in range(1, 8)
    ]


def test_requests_beyond_the_threads_wait_their_turn(serve_toy: Serve) -> None:
    release = threading.Event()
    server = serve_toy(threads=2, release=release)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(_ask, server, "GET", "/api/wait") for _ in range(4)]
        time.sleep(0.2)

        assert not any(one.done() for one in waiting)
        release.set()
        assert [one.result() for one in waiting] == [(200, b"released")] * 4


def test_stopping_lets_a_running_request_finish_and_takes_no_other(
    serve_toy: Serve,
) -> None:
    release = threading.Event()
    server = serve_toy(release=release)
    idle = _connect(server)
    idle.request("GET", "/api/open")
    idle.getresponse().read()
    with ThreadPoolExecutor(2) as pool, closing(idle):
        running = pool.submit(_ask, server, "GET", "/api/wait")
        time.sleep(0.2)
        stopping = pool.submit(server.stop)
        time.sleep(0.2)

        with pytest.raises(ConnectionRefusedError):
            _ask(server, "GET", "/api/open")
        assert idle.sock
        assert idle.sock.recv(1) == b""
        release.set()
        assert running.result() == (200, b"released")
        assert stopping.result() == 0


def test_stopping_does_not_wait_for_ever(serve_toy: Serve) -> None:
    release = threading.Event()
    server = serve_toy(release=release)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_ask, server, "GET", "/api/wait")
        time.sleep(0.2)
        started = time.monotonic()

        left = server.stop(grace_s=0.3)

        assert left == 1
        assert time.monotonic() - started < 5
        release.set()
        running.result()


def test_a_server_that_never_started_can_be_stopped(app_root: Path) -> None:
    assert LocalServer(toy_app(), app_root=app_root, port=0).stop() == 0


def test_a_port_in_use_is_one_clear_sentence(server: LocalServer, app_root: Path) -> None:
    port = urlsplit(server.url).port
    assert port

    with pytest.raises(LocalServerError) as caught:
        LocalServer(toy_app(), app_root=app_root, port=port)

    assert caught.value.message == (
        f"Port {port} of 127.0.0.1 is in use already; stop what listens there, or choose another "
        "port."
    )


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 65536, "A port is a number from 0 to 65535; 65536 is none."),
        ("192.0.2.1", 7071, "The server cannot listen on 192.0.2.1:7071: "),
        ("not a name", 7071, "The server cannot listen on not a name:7071: "),
    ],
)
def test_an_address_that_cannot_be_taken_is_one_clear_sentence(
    app_root: Path, host: str, port: int, sentence: str
) -> None:
    with pytest.raises(LocalServerError) as caught:
        LocalServer(toy_app(), app_root=app_root, host=host, port=port)

    assert caught.value.message.startswith(sentence)
    assert "\n" not in caught.value.message


def test_the_server_listens_on_ipv6_as_well(app_root: Path) -> None:
    with LocalServer(toy_app(), app_root=app_root, host="::1", port=0) as server:
        assert server.url.startswith("http://[::1]:")
        assert _ask(server, "GET", "/api/open") == (200, b"open")
