from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from invoke_core.local.errors import LocalServerError
from invoke_core.local.host import FunctionHost
from invoke_core.local.indexing import index
from invoke_core.local.server import LocalServer
from tests.local.toy import toy_app

if TYPE_CHECKING:
    from pathlib import Path


def _host(app: func.FunctionApp, route_prefix: str = "") -> FunctionHost:
    return FunctionHost(index(app), route_prefix=route_prefix, function_key=None)


def _app_with(route: str | None) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.route(route=route)
    def one(req: func.HttpRequest) -> str:
        return str(req.method)

    return app


@pytest.mark.parametrize("route", ["admin", "Runtimes/x", "/administrators", "runtime/{*x}"])
def test_a_reserved_route_keeps_the_server_from_starting(route: str) -> None:
    with pytest.raises(LocalServerError) as caught:
        _host(_app_with(route), route_prefix="api")

    assert caught.value.message == (
        f"The route '{route}' of the function 'one' is refused: no route may begin with admin or "
        "runtime."
    )


def test_a_function_without_a_route_is_found_under_its_name_behind_the_prefix() -> None:
    host = _host(_app_with(None), route_prefix="api")

    assert host._routes.find("GET", "/api/one") == ("one", {})


@pytest.mark.parametrize(
    "text", ["", "[]", '{"extensions": null}', '{"extensions": {"http": {"routePrefix": 1}}}']
)
def test_a_host_json_that_is_none_keeps_the_server_from_starting(app_root: Path, text: str) -> None:
    (app_root / "host.json").write_text(text)

    with pytest.raises(LocalServerError, match=r"host\.json"):
        LocalServer(toy_app(), app_root=app_root, port=0)


def test_a_missing_host_json_keeps_the_server_from_starting(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"^host\.json cannot be read: "):
        LocalServer(toy_app(), app_root=tmp_path, port=0)
