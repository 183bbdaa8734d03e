"""Loads an app folder with the platform's own runtime package, and calls its functions.

Run as ``python driver.py APP_FOLDER`` by an interpreter that has the package: reads a list of
calls as JSON from the standard input, writes a report as JSON to the standard output. On the
platform, a proxy process hands the package what the Functions host sends over gRPC; here, plain
objects stand in for the messages.

Source:
    azure-functions-runtime 1.3, ``handle_event.py`` and ``bindings/datumdef.py``.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict


class Http(TypedDict):
    """A request as the Functions host passes it on."""

    method: str
    url: str
    headers: dict[str, str]
    params: dict[str, str]
    route_params: dict[str, str]
    body: str


class Call(TypedDict):
    """One call: of which function, and with what.

    ``timer`` is the JSON of a timer's request, ``message`` the text of a queue's message.
    """

    function: str
    http: NotRequired[Http]
    timer: NotRequired[str]
    message: NotRequired[str]


class Indexed(TypedDict):
    """A function as the platform has indexed it."""

    name: str
    bindings: list[dict[str, Any]]


class Reply(TypedDict):
    """What came back of a call.

    ``failure`` is empty where the platform took the answer. The status is 0 where a function
    answers nothing, as timers do.
    """

    failure: str
    status: int
    headers: dict[str, str]
    body: str


class Report(TypedDict):
    """Everything there is to know; ``failure`` is empty where the app was indexed."""

    failure: str
    functions: list[Indexed]
    replies: list[Reply]


class Message:
    """Stands in for any message of the protocol."""

    def __init__(self, **fields: object) -> None:
        """Keep the fields."""
        self.__dict__.update(fields)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802
        """Return the name of the field given first, as if there were one group alone."""
        del group
        return next(iter(self.__dict__), None)


class _StatusResult(Message):
    Failure = 0
    Success = 1


class _BindingInfo(Message):
    out = 1
    inout = 2
    undefined = 0


_PROTOS = SimpleNamespace(
    BindingInfo=_BindingInfo,
    StatusResult=_StatusResult,
    **dict.fromkeys(
        (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "ParameterBinding",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "TypedData",
            "WorkerInitResponse",
            "WorkerMetadata",
        ),
        Message,
    ),
)


def _event(**request: Message) -> Message:
    return Message(request=Message(**request), properties={"host": "127.0.0.1", "protos": _PROTOS})


def _data(call: Call) -> Message:
    if "timer" in call:
        return Message(json=call["timer"])
    if "message" in call:
        return Message(string=call["message"])
    http = call["http"]
    body = http["body"].encode()
    return Message(
        http=Message(
            method=http["method"],
            url=http["url"],
            headers=http["headers"],
            query=http["params"],
            params=http["route_params"],
            body=Message(bytes=body) if body else Message(),
        )
    )


_QUEUE_METADATA = {
    "Id": Message(string="cc9f6a0d-5a3a-4b3c-9a9e-6f2f3a8a1b11"),
    "PopReceipt": Message(string="AgAAAAMAAAA"),
    "DequeueCount": Message(json="2"),
    "InsertionTime": Message(json='"2026-11-25T02:42:26+00:00"'),
    "ExpirationTime": Message(json='"9999-12-31T23:59:59+00:00"'),
    "NextVisibleTime": Message(json='"2026-11-25T02:52:26+00:00"'),
}


def _invocation(function: Message, call: Call) -> Message:
    bindings = [json.loads(raw) for raw in function.raw_bindings]
    [parameter] = [one["name"] for one in bindings if one["type"].endswith("Trigger")]
    return _event(
        invocation_request=Message(
            invocation_id="1",
            function_id=function.function_id,
            input_data=[Message(data=_data(call), name=parameter)],
            trigger_metadata=_QUEUE_METADATA if "message" in call else {},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
    )


def _reply(response: Message) -> Reply:
    if response.result.status != _StatusResult.Success:
        failure = response.result.exception.stack_trace
        return Reply(failure=failure, status=500, headers={}, body="")
    if response.return_value is None:
        return Reply(failure="", status=0, headers={}, body="")
    if response.return_value.WhichOneof("data") == "string":
        return Reply(failure="", status=200, headers={}, body=response.return_value.string)
    http = response.return_value.http
    return Reply(
        failure="",
        status=int(http.status_code),
        headers=http.headers,
        body=http.body.bytes.decode(),
    )


async def run(runtime: Any, folder: str, calls: list[Call]) -> Report:  # noqa: ANN401
    """Index the folder, load each function, and make the calls one after the other."""
    begun = await runtime.worker_init_request(
        _event(worker_init_request=Message(capabilities={}, function_app_directory=folder))
    )
    if begun.result.status != _StatusResult.Success:
        failure = begun.result.exception.stack_trace
        return Report(failure=failure, functions=[], replies=[])
    metadata = await runtime.functions_metadata_request(_event())
    functions = metadata.function_metadata_results or []
    for one in functions:
        await runtime.function_load_request(
            _event(function_load_request=Message(function_id=one.function_id))
        )
    by_name = {one.name: one for one in functions}
    replies = [
        _reply(await runtime.invocation_request(_invocation(by_name[call["function"]], call)))
        for call in calls
    ]
    return Report(
        failure="",
        functions=[
            Indexed(name=one.name, bindings=[json.loads(raw) for raw in one.raw_bindings])
            for one in functions
        ],
        replies=replies,
    )


def main() -> None:
    """Do what the module says."""
    report_to, sys.stdout = sys.stdout, sys.stderr
    folder = sys.argv[1]
    # The platform starts in the app's folder, and finds its modules there.
    sys.path.insert(0, folder)
    runtime = importlib.import_module("azure_functions_runtime")
    runtime.start_threadpool_executor()
    json.dump(asyncio.run(run(runtime, folder, json.load(sys.stdin))), report_to)
    runtime.stop_threadpool_executor()


if __name__ == "__main__":
    main()
