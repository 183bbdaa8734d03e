"""A function app that shows what reaches a function, and a way to run it as a process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import azure.functions as func

from invoke_core.local.server import LocalServer, serve

if TYPE_CHECKING:
    import threading

HOST_JSON = json.dumps({"version": "2.0", "extensions": {"http": {"routePrefix": ""}}})


def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


def size(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))


def open_to_all(req: func.HttpRequest) -> str:
    del req
    return "open"


def a_thing(req: func.HttpRequest) -> str:
    return f"thing {req.route_params['id']}"


def b_count(req: func.HttpRequest) -> str:
    return f"count {req.method}"


def read_json(req: func.HttpRequest) -> str:
    try:
        return repr(req.get_json())
    except ValueError as error:
        return str(error)


def headers(req: func.HttpRequest) -> func.HttpResponse:
    del req
    answer = func.HttpResponse(
        "a body",
        status_code=299,
        headers={"Content-Length": "999", "Connection": "upgrade", "X-Spaced": " a\t"},
    )
    answer.headers.add("X-Twice", "first")
    answer.headers.add("X-Twice", "second")
    answer.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    answer.headers.add("Set-Cookie", "b=2")
    return answer


def answer(req: func.HttpRequest) -> func.HttpResponse:
    match req.route_params["kind"]:
        case "empty":
            return func.HttpResponse(status_code=204)
        case "big":
            return func.HttpResponse(b"x" * 3_000_001, mimetype="application/octet-stream")
        case "split":
            return func.HttpResponse("", headers={"X-Split": "a\r\nX-Injected: b"})
        case "accent":
            return func.HttpResponse("", headers={"X-Accent": "é"})
        case "status":
            return func.HttpResponse("", status_code=99)
        case "nothing":
            return None  # type: ignore[return-value]  # what a careless function does
        case _:
            raise RuntimeError("a secret detail")


def slow(req: func.HttpRequest) -> str:
    time.sleep(float(req.params["s"]))
    return "slept"


def toy_app(release: threading.Event | None = None) -> func.FunctionApp:
    """Make the app.

    Args:
        release: Adds the function ``wait``, which answers once it is set.
    """
    app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
    app.route(route="api/echo/{*rest}")(echo)
    app.route(route="api/size", methods=["POST", "PUT"])(size)
    app.route(route="api/open", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(open_to_all)
    app.route(route="api/things/{id}", methods=["GET"])(a_thing)
    app.route(route="api/things/count", methods=["GET", "DELETE"])(b_count)
    app.route(route="api/json", methods=["POST"])(read_json)
    app.route(route="api/headers", methods=["GET", "HEAD"])(headers)
    app.route(route="api/answer/{kind}")(answer)
    app.route(route="api/slow")(slow)
    if release is not None:

        def wait(req: func.HttpRequest) -> str:
            del req
            release.wait(20)
            return "released"

        app.route(route="api/wait")(wait)
    return app


if __name__ == "__main__":
    folder, grace_s = sys.argv[1:]
    serve(LocalServer(toy_app(), app_root=Path(folder), port=0), grace_s=float(grace_s))
