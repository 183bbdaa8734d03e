"""What clients of Azure Pipelines send, and which of two functions gets it.

The routes are shaped as the HTTP contract, section 6, has them: one function for events, and one
catch-all behind it by name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

from invoke_core.local.server import LocalServer
from tests.local.conftest import RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EVENTS = "azdo/default/{projectId}/_apis/distributedtask/hubs/{hubName}/plans/{planId:guid}/events"
_PLAN = "11111111-2222-3333-4444-555555555555"
_TAIL = f"_apis/distributedtask/hubs/Gates/plans/{_PLAN}"


def _say(name: str, req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "headers": dict(req.headers),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), headers={"X-Function": name})


def _app() -> func.FunctionApp:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="azdo/{*path}", methods=["GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD"])
    def pipelines(req: func.HttpRequest) -> func.HttpResponse:
        return _say("pipelines", req)

    @app.route(route=_EVENTS, methods=["POST"])
    def events(req: func.HttpRequest) -> func.HttpResponse:
        return _say("events", req)

    @app.route(route="api/invocations", methods=["GET"])
    def invocations(req: func.HttpRequest) -> func.HttpResponse:
        return _say("invocations", req)

    return app


@pytest.fixture
def server(app_root: Path, request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    drop_chunked: bool = getattr(request, "param", False)
    with LocalServer(_app(), app_root=app_root, port=0, drop_chunked=drop_chunked) as server:
        yield server


def _sent(server: LocalServer, data: bytes) -> tuple[bytes, bytes]:
    client = RawClient(server.url)
    with client.socket:
        client.send(data)
        head, _, body = client.read_all().partition(b"\r\n\r\n")
    return head, body


def _ask(
    server: LocalServer, method: str, path: str, framing: bytes = b"\r\n"
) -> tuple[int, dict[str, Any]]:
    line = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".encode()
    head, body = _sent(server, line + framing)
    return int(head.split(b" ")[1]), json.loads(body or b"{}")


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("POST", f"/azdo/default/p/{_TAIL}/events", "events"),
        ("POST", f"/AZDO/Default/p/{_TAIL.upper()}/Events/?api-version=5.1", "events"),
        ("POST", f"/azdo/default//p/{_TAIL}/events", "pipelines"),
        ("POST", f"/azdo/default/p//{_TAIL}/events", "pipelines"),
        ("POST", f"/azdo/default/p/{_TAIL}/events//", "pipelines"),
        ("GET", f"/azdo/default/p/{_TAIL}/events", "pipelines"),
        ("POST", "/azdo/default/p/_apis/distributedtask/hubs/x/plans/none/events", "pipelines"),
        ("PATCH", f"/azdo/default/p/{_TAIL}/timelines/t/records", "pipelines"),
        ("OPTIONS", "/azdo/default//_apis/", "pipelines"),
        ("GET", "/azdo/default", "pipelines"),
        ("GET", "/azdo/", "pipelines"),
        ("GET", "/azdo", "pipelines"),
    ],
)
def test_a_path_reaches_the_first_function_that_takes_it(
    server: LocalServer, method: str, path: str, function: str
) -> None:
    status, seen = _ask(server, method, path)

    assert (status, seen["function"], seen["method"]) == (200, function, method)
    assert seen["url"] == f"http://h{path}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "//azdo/default/"),
        ("GET", "/azdo//default/"),
        ("GET", "/azdo//"),
        ("GET", "/api//invocations"),
        ("GET", "/api/invocations//"),
        ("HEAD", "/api/invocations"),
        ("OPTIONS", "/api/invocations"),
        ("PATCH", "/api/invocations"),
        ("DELETE", "/azdo/default/"),
    ],
)
def test_an_empty_segment_or_another_method_is_not_found(
    server: LocalServer, method: str, path: str
) -> None:
    assert _ask(server, method, path) == (404, {})


def test_head_reaches_a_function_that_declares_it(server: LocalServer) -> None:
    head, body = _sent(
        server, b"HEAD /azdo/default/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nX-Function: pipelines\r\n" in head
    assert body == b""


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/azdo/default//p%20q/_apis", {"path": "default//p q/_apis"}),
        ("/azdo/default/%2F/_apis%2fx", {"path": "default/%2F/_apis%2fx"}),
        ("/azdo/default%5C%C3%A9%25", {"path": "default\\é%"}),
        ("/azdo/default/a/../b/./c", {"path": "default/b/c"}),
        ("/azdo/default//../b", {"path": "default/b"}),
        ("/azdo", {}),
    ],
)
def test_route_values_arrive_decoded_but_for_an_encoded_slash(
    server: LocalServer, path: str, values: dict[str, str]
) -> None:
    assert _ask(server, "GET", path)[1]["route"] == values


def test_every_parameter_of_a_path_arrives(server: LocalServer) -> None:
    _, seen = _ask(server, "POST", f"/azdo/default/My%20Project/{_TAIL}/events")

    assert seen["route"] == {"projectId": "My Project", "hubName": "Gates", "planId": _PLAN}


_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("server", "body"),
    [(False, "one two"), (True, "")],
    indirect=["server"],
    ids=["delivered", "dropped"],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "OPTIONS"])
def test_a_chunked_body_without_a_content_type_comes_with_any_method(
    server: LocalServer, method: str, body: str
) -> None:
    status, seen = _ask(server, method, "/azdo/default/logs", _CHUNKS)

    assert (status, seen["body"]) == (200, body)
    assert seen["headers"]["transfer-encoding"] == "chunked"
    assert not {"content-type", "content-length"} & seen["headers"].keys()


@pytest.mark.parametrize("server", [False, True], indirect=True, ids=["delivered", "dropped"])
def test_a_body_with_a_length_is_always_delivered(server: LocalServer) -> None:
    _, seen = _ask(server, "PATCH", "/azdo/default/x", b"Content-Length: 3\r\n\r\nabc")

    assert (seen["body"], seen["headers"]["content-length"]) == ("abc", "3")


@pytest.mark.parametrize(
    ("server", "body"),
    [(False, "one two"), (True, "")],
    indirect=["server"],
    ids=["delivered", "dropped"],
)
def test_a_chunked_body_is_asked_for_by_100_continue(server: LocalServer, body: str) -> None:
    head, _, chunks = _CHUNKS.partition(b"\r\n\r\n")
    client = RawClient(server.url)
    with client.socket:
        client.send(
            b"POST /azdo/default/logs HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
            b"Expect: 100-continue\r\n" + head + b"\r\n\r\n"
        )
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(chunks)
        answer = client.read_all()

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == body


def test_no_route_takes_the_call_and_nothing_asks_for_its_body(server: LocalServer) -> None:
    head, _ = _sent(
        server,
        b"POST /azdo//logs HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    )

    assert head.startswith(b"HTTP/1.1 404 ")
