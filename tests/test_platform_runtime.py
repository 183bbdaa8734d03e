"""The platform's own runtime package indexes our app, and every route answers through it.

It checks what neither the library nor the local server does: annotations, parameter names, return
types. A route without a line in ``_CALLS`` fails a test.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from tests.platform_runtime import driver
from tests.platform_runtime.environment import ROOT, find_python, make_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PYTHON = find_python()
if _PYTHON is None:
    pytest.skip(
        "no Python 3.13 or newer was found, and the platform's runtime runs on no older one",
        allow_module_level=True,
    )

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class _Expected:
    function: str
    route: str
    methods: tuple[str, ...]
    auth_level: str = "FUNCTION"


@dataclass(frozen=True, kw_only=True)
class _Call:
    function: str
    method: str
    path: str
    status: int
    shows: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    route_params: dict[str, str] = field(default_factory=dict)


_FUNCTIONS = [
    _Expected(function="criteria_evaluate", route="api/criteria/evaluate", methods=("POST",)),
    _Expected(function="health", route="api/health", methods=("GET",), auth_level="ANONYMOUS"),
    _Expected(function="invocations_create", route="api/invocations", methods=("POST",)),
    _Expected(
        function="openapi", route="api/openapi.json", methods=("GET",), auth_level="ANONYMOUS"
    ),
]
_CALLS = [
    _Call(function="health", method="GET", path="/api/health", status=200, shows='"status"'),
    _Call(
        function="openapi", method="GET", path="/api/openapi.json", status=200, shows='"openapi"'
    ),
    _Call(
        function="criteria_evaluate",
        method="POST",
        path="/api/criteria/evaluate",
        headers=_JSON,
        body=json.dumps({"criteria": "eq(root['count'], 1425)", "body": {"count": 1425}}),
        status=200,
        shows='"result":true',
    ),
    _Call(
        function="invocations_create",
        method="POST",
        path="/api/invocations",
        headers=_JSON,
        body='{"inputs": {"method": "FETCH"}}',
        status=400,
        shows="/inputs/method",
    ),
    _Call(
        function="invocations_create",
        method="POST",
        path="/api/invocations",
        status=415,
        shows="application/problem+json",
    ),
]


def _drive(folder: Path, calls: Sequence[_Call] = ()) -> driver.Report:
    assert _PYTHON is not None
    interpreter = make_environment(*_PYTHON)
    sent = [
        driver.Call(
            function=call.function,
            method=call.method,
            url=f"https://app.example{call.path}",
            headers=call.headers,
            params=call.params,
            route_params=call.route_params,
            body=call.body,
        )
        for call in calls
    ]
    done = subprocess.run(  # noqa: S603  # our own driver
        [str(interpreter), driver.__file__, str(folder)],
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": os.defpath},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return cast(driver.Report, json.loads(done.stdout))


@pytest.fixture(scope="module")
def report() -> driver.Report:
    return _drive(ROOT, _CALLS)


def test_the_platform_indexes_every_function_as_declared(report: driver.Report) -> None:
    assert report["failure"] == ""
    indexed = []
    for function in report["functions"]:
        trigger, answer = sorted(function["bindings"], key=lambda one: one["direction"])
        assert (trigger["type"], answer["type"], answer["name"]) == (
            "httpTrigger",
            "http",
            "$return",
        )
        indexed.append(
            _Expected(
                function=function["name"],
                route=trigger["route"],
                methods=tuple(trigger["methods"]),
                auth_level=trigger["authLevel"],
            )
        )
    assert sorted(indexed, key=lambda one: one.function) == _FUNCTIONS


def test_every_function_is_called(report: driver.Report) -> None:
    assert {call.function for call in _CALLS} == {one["name"] for one in report["functions"]}


@pytest.mark.parametrize(
    "index", range(len(_CALLS)), ids=[f"{call.function}-{call.status}" for call in _CALLS]
)
def test_every_route_answers_through_the_platform(report: driver.Report, index: int) -> None:
    call, reply = _CALLS[index], report["replies"][index]

    assert reply["failure"] == ""
    assert reply["status"] == call.status
    assert call.shows in str(reply["headers"]) + reply["body"]


def test_what_a_function_sees_and_returns_passes_the_platform(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.route(route='x/{y}')\n"
        "def x(req: func.HttpRequest) -> str:\n"
        "    print('to nobody')\n"
        "    return f'{req.route_params} {req.params} {req.headers[\"a\"]} {req.get_body()!r}'\n"
    )
    call = _Call(
        function="x",
        method="POST",
        path="/x/1",
        headers={"a": "b"},
        params={"q": "2"},
        route_params={"y": "1"},
        body="é",
        status=200,
        shows="",
    )

    replies = _drive(tmp_path, [call])["replies"]

    body = "{'y': '1'} {'q': '2'} b b'\\xc3\\xa9'"
    assert replies == [driver.Reply(failure="", status=200, headers={}, body=body)]


def test_an_app_the_platform_refuses_would_be_noticed(tmp_path: Path) -> None:
    """A return annotation of None passes the library and our server, but not the platform."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.route(route='x')\n"
        "def x(req: func.HttpRequest) -> func.HttpResponse | None:\n"
        "    return None\n"
    )

    assert "FunctionLoadError" in _drive(tmp_path)["failure"]
