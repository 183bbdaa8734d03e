"""The platform's own runtime package indexes our app, and every route answers through it.

It checks what neither the library nor the local server does: annotations, parameter names, return
types. A function without a line in ``_FUNCTIONS``, ``_TIMERS`` or ``_QUEUES``, and a route without
one in ``_CALLS``, fail a test.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

import pytest

from invoke_core.local.routing import Route, RouteTable, decode_path, parse_template
from tests.azurite import connection_string, free_port, port_of
from tests.platform_runtime import driver
from tests.platform_runtime.environment import ROOT, find_python, make_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.azurite import Azurite

_PYTHON = find_python("3.13", "3.14")
if _PYTHON is None:
    pytest.skip(
        "no Python 3.13 or newer was found, and the platform's runtime runs on no older one",
        allow_module_level=True,
    )

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """A function with an HTTP trigger, as it is to be indexed."""

    function: str
    route: str
    methods: tuple[str, ...]
    auth_level: str = "FUNCTION"


@dataclass(frozen=True, kw_only=True)
class _Timer:
    """A function with a timer trigger, as it is to be indexed. The tests call it once."""

    function: str
    schedule: str


@dataclass(frozen=True, kw_only=True)
class _Queue:
    """A function with a queue trigger, as it is to be indexed."""

    function: str
    queue: str
    connection: str


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A request. Route and query values follow from its target, a path that may have a query."""

    function: str
    method: str
    target: str
    status: int
    shows: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


_EVENTS = "azdo/default/{projectId}/_apis/distributedtask/hubs/{hubName}/plans/{planId}/events"
_FUNCTIONS = [
    _Expected(function="criteria_evaluate", route="api/criteria/evaluate", methods=("POST",)),
    _Expected(
        function="events",
        route=_EVENTS,
        methods=("POST",),
        auth_level="ANONYMOUS",
    ),
    _Expected(
        function="pipelines",
        route="azdo/{*path}",
        methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
        auth_level="ANONYMOUS",
    ),
    _Expected(function="health", route="api/health", methods=("GET",), auth_level="ANONYMOUS"),
    _Expected(
        function="invocations_cancel", route="api/invocations/{id}/cancel", methods=("POST",)
    ),
    _Expected(function="invocations_create", route="api/invocations", methods=("POST",)),
    _Expected(function="invocations_get", route="api/invocations/{id}", methods=("GET",)),
    _Expected(function="invocations_list", route="api/invocations", methods=("GET",)),
    _Expected(function="invocations_log", route="api/invocations/{id}/log", methods=("GET",)),
    _Expected(
        function="invocations_outputs", route="api/invocations/{id}/outputs", methods=("GET",)
    ),
    _Expected(
        function="openapi", route="api/openapi.json", methods=("GET",), auth_level="ANONYMOUS"
    ),
]
_TIMERS = [
    _Timer(function="alarms_due", schedule="0 * * * * *"),
    _Timer(function="retention", schedule="0 30 3 * * *"),
]
_QUEUES = [
    _Queue(function="alarms_failed", queue="invoke-alarms-poison", connection="InvokeStorage"),
    _Queue(function="alarms_ring", queue="invoke-alarms", connection="InvokeStorage"),
]
_ALARM = json.dumps(
    {
        "planId": "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11",
        "at": "2026-05-17T12:00:00Z",
        "setAt": "2026-05-17T11:00:00Z",
    }
)
_NOTHING = driver.Reply(failure="", status=0, headers={}, body="")
_OTHERS = {one.function for one in _FUNCTIONS} | {one.function for one in _TIMERS}
_UNKNOWN = "/api/invocations/0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11"
_CALLS = [
    _Call(function="health", method="GET", target="/api/health", status=200, shows='"status"'),
    _Call(
        function="openapi", method="GET", target="/api/openapi.json", status=200, shows='"openapi"'
    ),
    _Call(
        function="criteria_evaluate",
        method="POST",
        target="/api/criteria/evaluate",
        headers=_JSON,
        body=json.dumps({"criteria": "eq(root['count'], 1425)", "body": {"count": 1425}}),
        status=200,
        shows='"result":true',
    ),
    _Call(
        function="invocations_create",
        method="POST",
        target="/api/invocations",
        headers=_JSON,
        body='{"inputs": {"method": "FETCH"}}',
        status=400,
        shows="/inputs/method",
    ),
    _Call(
        function="events",
        method="POST",
        target="/AzDo/default/p/_apis/distributedtask/hubs/Build/plans/q/events",
        headers=_JSON,
        body="{}",
        status=401,
        shows="Basic realm=",
    ),
    _Call(
        function="pipelines",
        method="OPTIONS",
        target="/azdo/default//_apis/distributedtask?api-version=7.1",
        status=200,
        shows="557624af-b29e-4c20-8ab0-0399d2204f3f",
    ),
    _Call(
        function="pipelines",
        method="POST",
        target="/azdo/default//p/_apis/distributedtask/hubs/build/plans/q/events",
        status=401,
        shows="Basic realm=",
    ),
    _Call(
        function="invocations_list",
        method="GET",
        target="/api/invocations?state=inProgress",
        status=200,
        shows='"continuationToken":null',
    ),
    _Call(function="invocations_get", method="GET", target=_UNKNOWN, status=404, shows="notFound"),
    _Call(
        function="invocations_log",
        method="GET",
        target=f"{_UNKNOWN}/log",
        status=404,
        shows="notFound",
    ),
    _Call(
        function="invocations_outputs",
        method="GET",
        target=f"{_UNKNOWN}/outputs?format=github",
        status=404,
        shows="notFound",
    ),
    _Call(
        function="invocations_outputs",
        method="GET",
        target=f"{_UNKNOWN}/outputs?format=githb",
        status=400,
        shows="Did you mean 'github'?",
    ),
    _Call(
        function="invocations_cancel",
        method="POST",
        target=f"{_UNKNOWN}/cancel",
        status=404,
        shows="notFound",
    ),
    _Call(
        function="invocations_create",
        method="POST",
        target="/api/invocations",
        status=415,
        shows="application/problem+json",
    ),
]


def _request(call: _Call, functions: Sequence[_Expected]) -> driver.Call:
    """Give a call what the host would: what the first route that takes it finds in its path."""
    table = RouteTable(
        Route(one.function, parse_template(one.route), frozenset(one.methods)) for one in functions
    )
    path, _, query = call.target.partition("?")
    found = table.find(call.method, decode_path(path) or "")
    assert found is not None, call
    function, route_params = found
    assert function == call.function
    http = driver.Http(
        method=call.method,
        url=f"https://app.example{call.target}",
        headers=call.headers,
        params=dict(parse_qsl(query)),
        route_params=route_params,
        body=call.body,
    )
    return driver.Call(function=function, http=http)


def _firing(function: str, *, past_due: bool = False) -> driver.Call:
    sent = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due}
    return driver.Call(function=function, timer=json.dumps(sent))


def _drive(folder: Path, calls: Sequence[driver.Call] = (), **settings: str) -> driver.Report:
    assert _PYTHON is not None
    interpreter = make_environment(*_PYTHON)
    done = subprocess.run(  # noqa: S603  # our own driver
        [str(interpreter), driver.__file__, str(folder)],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": os.defpath, **settings},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return cast(driver.Report, json.loads(done.stdout))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> driver.Report:
    calls = [_request(call, _FUNCTIONS) for call in _CALLS]
    calls += [_firing(timer.function) for timer in _TIMERS]
    store = tmp_path_factory.mktemp("store") / "invoke.db"
    return _drive(ROOT, calls, InvokeStorage=f"sqlite:///{store}")


def _indexed(function: driver.Indexed) -> _Expected | _Timer | _Queue:
    trigger, *others = sorted(function["bindings"], key=lambda one: one["direction"])
    if trigger["type"] == "timerTrigger":
        assert others == []
        return _Timer(function=function["name"], schedule=trigger["schedule"])
    if trigger["type"] == "queueTrigger":
        assert others == []
        return _Queue(
            function=function["name"],
            queue=trigger["queueName"],
            connection=trigger["connection"],
        )
    assert trigger["type"] == "httpTrigger"
    assert [(one["type"], one["name"]) for one in others] == [("http", "$return")]
    return _Expected(
        function=function["name"],
        route=trigger["route"],
        methods=tuple(trigger["methods"]),
        auth_level=trigger["authLevel"],
    )


def test_the_platform_indexes_every_function_as_declared(report: driver.Report) -> None:
    assert report["failure"] == ""
    indexed = {one["name"]: _indexed(one) for one in report["functions"]}
    http = {one.function: one for one in _FUNCTIONS}
    assert indexed == http | {one.function: one for one in _TIMERS}


def test_every_function_is_called(report: driver.Report) -> None:
    called = {one.function for one in _CALLS} | {one.function for one in _TIMERS}
    assert called == {one["name"] for one in report["functions"]}


def test_every_timer_runs_through_the_platform(report: driver.Report) -> None:
    assert report["replies"][len(_CALLS) :] == [_NOTHING] * len(_TIMERS)


def test_with_a_storage_account_the_queue_functions_run_through_the_platform(
    azurite_connection: str, azurite_queues: Azurite
) -> None:
    """An alarm of an invocation that is not there any more, and a message that is no alarm."""
    queue_port = azurite_queues.port
    account = connection_string(port_of(azurite_connection), queue_port=queue_port)
    calls = [
        driver.Call(function=queue.function, message=text)
        for queue in _QUEUES
        for text in (_ALARM, "no alarm")
    ]
    calls += [_firing(timer.function) for timer in _TIMERS]

    report = _drive(ROOT, calls, InvokeStorage=account)

    assert report["failure"] == ""
    assert {one["name"] for one in report["functions"]} == _OTHERS | {q.function for q in _QUEUES}
    assert report["replies"] == [_NOTHING] * len(calls)


def test_what_is_due_and_cannot_be_done_fails_on_the_platform() -> None:
    """So that the message is seen again; its account cannot be reached."""
    account = connection_string(free_port(), queue_port=free_port())
    calls = [driver.Call(function=queue.function, message=_ALARM) for queue in _QUEUES]

    report = _drive(ROOT, calls, InvokeStorage=account)

    assert ["InvokeStorage" in reply["failure"] for reply in report["replies"]] == [True, True]


@pytest.mark.parametrize("setting", ["InvokeStorage", "AzureWebJobsStorage"])
@pytest.mark.parametrize(
    "form",
    [
        {"": "UseDevelopmentStorage=true"},
        {"__accountName": "mine"},
        {
            "__tableServiceUri": "https://mine.table.core.windows.net",
            "__queueServiceUri": "https://mine.queue.core.windows.net",
        },
    ],
    ids=["connection string", "account name", "services"],
)
def test_the_platform_is_told_the_account_to_listen_to(setting: str, form: dict[str, str]) -> None:
    report = _drive(ROOT, [], **{setting + part: value for part, value in form.items()})

    indexed = {one["name"]: _indexed(one) for one in report["functions"]}
    for queue in _QUEUES:
        assert indexed[queue.function] == replace(queue, connection=setting)


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
        "@app.route(route='x/{y}', methods=['PATCH', 'OPTIONS'], trigger_arg_name='asked')\n"
        "def x(asked: func.HttpRequest) -> str:\n"
        "    print('to nobody')\n"
        "    seen = f'{asked.method} {asked.route_params} {asked.params}'\n"
        "    return f'{seen} {asked.headers[\"a\"]} {asked.get_body()!r}'\n"
        "@app.route(route='x/{z}', methods=['GET'])\n"
        "def x_get(req: func.HttpRequest) -> func.HttpResponse:\n"
        "    return func.HttpResponse(req.route_params['z'], status_code=203)\n"
    )
    functions = [
        _Expected(function="x", route="x/{y}", methods=("PATCH", "OPTIONS")),
        _Expected(function="x_get", route="x/{z}", methods=("GET",)),
    ]
    calls = [
        _Call(
            function="x",
            method="PATCH",
            target="/x/1%20a?q=2",
            headers={"a": "b"},
            body="é",
            status=200,
            shows="",
        ),
        _Call(
            function="x", method="OPTIONS", target="/x/1", headers={"a": ""}, status=200, shows=""
        ),
        _Call(function="x_get", method="GET", target="/x/1", status=203, shows=""),
    ]

    report = _drive(tmp_path, [_request(call, functions) for call in calls])

    assert {_indexed(one).function for one in report["functions"]} == {"x", "x_get"}
    assert [(one["failure"], one["status"], one["body"]) for one in report["replies"]] == [
        ("", 200, "PATCH {'y': '1 a'} {'q': '2'} b b'\\xc3\\xa9'"),
        ("", 200, "OPTIONS {'y': '1'} {}  b''"),
        ("", 203, "1"),
    ]


def test_a_timer_runs_on_the_platform_and_what_it_returns_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.timer_trigger(schedule='0 30 3 * * *', arg_name='timer', run_on_startup=False)\n"
        "def tick(timer: func.TimerRequest) -> None:\n"
        "    assert not timer.past_due, 'too late'\n"
        "@app.timer_trigger(schedule='%WHEN%', arg_name='timer')\n"
        "def tock(timer: func.TimerRequest):\n"
        "    return 'something'\n"
    )
    calls = [_firing("tick"), _firing("tick", past_due=True), _firing("tock")]

    report = _drive(tmp_path, calls)

    assert report["failure"] == ""
    assert [_indexed(one) for one in report["functions"]] == [
        _Timer(function="tick", schedule="0 30 3 * * *"),
        _Timer(function="tock", schedule="%WHEN%"),
    ]
    ran, failed, returned = report["replies"]
    assert ran == driver.Reply(failure="", status=0, headers={}, body="")
    assert "AssertionError: too late" in failed["failure"]
    assert "returned a non-None value" in returned["failure"]


def test_a_message_of_a_queue_passes_the_platform(tmp_path: Path) -> None:
    """Ours has the same times and counts on this machine, see ``tests/local/test_queues.py``."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.queue_trigger(arg_name='message', queue_name='invoke-alarms', connection='Storage')\n"
        "def ring(message: func.QueueMessage) -> None:\n"
        "    assert message.get_json() == {'plan': 'é'}, message.get_body()\n"
        "    assert message.dequeue_count == 2\n"
        "    assert message.expiration_time.year == 9999\n"
        "    assert message.insertion_time < message.time_next_visible\n"
        "@app.queue_trigger(arg_name='message', queue_name='%Q%-poison', connection='Storage')\n"
        "def fail(message: func.QueueMessage):\n"
        "    return message.id\n"
    )
    text = '{"plan": "é"}'
    calls = [
        driver.Call(function="ring", message=text),
        driver.Call(function="fail", message=text),
    ]

    report = _drive(tmp_path, calls)

    assert report["failure"] == ""
    assert [_indexed(one) for one in report["functions"]] == [
        _Queue(function="ring", queue="invoke-alarms", connection="Storage"),
        _Queue(function="fail", queue="%Q%-poison", connection="Storage"),
    ]
    ran, returned = report["replies"]
    assert ran == driver.Reply(failure="", status=0, headers={}, body="")
    assert "returned a non-None value" in returned["failure"]


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
