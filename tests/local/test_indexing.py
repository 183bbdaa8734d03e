"""What keeps the server from starting, as it would keep the platform's worker from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from invoke_core.local.errors import LocalServerError
from invoke_core.local.indexing import HTTP, QUEUE, TIMER, index
from tests.local.toy import toy_app

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_MINUTE = "0 * * * * *"


def _refusal(app: func.FunctionApp) -> str:
    with pytest.raises(LocalServerError) as caught:
        index(app)
    return caught.value.message


def test_functions_are_indexed_with_what_their_trigger_says() -> None:
    app = func.FunctionApp()

    @app.route(route="x")
    def one(req: func.HttpRequest) -> str:
        return str(req)

    @app.timer_trigger(schedule=_EVERY_MINUTE, arg_name="timer")
    def other(timer: func.TimerRequest) -> None:
        del timer

    @app.queue_trigger(arg_name="message", queue_name="q", connection="c")
    def third(message: func.QueueMessage) -> None:
        del message

    indexed = index(app)

    assert [(one.name, one.trigger.type) for one in indexed] == [
        ("one", HTTP),
        ("other", TIMER),
        ("third", QUEUE),
    ]
    assert indexed[0].call("given") == "given"


def test_a_trigger_that_cannot_be_run_is_refused() -> None:
    app = func.FunctionApp()

    @app.service_bus_queue_trigger(arg_name="msg", queue_name="q", connection="c")
    def take(msg: func.ServiceBusMessage) -> None:
        del msg

    assert _refusal(app) == (
        "The local server cannot run the function 'take': it has the trigger 'serviceBusTrigger', "
        "and only HTTP, timer and queue triggers are supported."
    )


def test_a_further_binding_is_refused() -> None:
    app = func.FunctionApp()

    @app.route(route="x")
    @app.queue_output(arg_name="out", queue_name="q", connection="c")
    def one(req: func.HttpRequest, out: func.Out[str]) -> str:
        del req, out
        return ""

    assert _refusal(app) == (
        "The local server cannot run the function 'one': it runs synchronous functions with an "
        "HTTP trigger and an HTTP answer, without further bindings."
    )


def test_a_further_binding_of_a_timer_is_refused() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(schedule=_EVERY_MINUTE, arg_name="timer")
    @app.queue_output(arg_name="out", queue_name="q", connection="c")
    def tick(timer: func.TimerRequest, out: func.Out[str]) -> None:
        del timer, out

    assert _refusal(app) == (
        "The local server cannot run the function 'tick': it runs synchronous functions with a "
        "timer trigger, without further bindings."
    )


def test_a_further_binding_of_a_queue_function_is_refused() -> None:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="message", queue_name="q", connection="c")
    @app.queue_output(arg_name="out", queue_name="p", connection="c")
    def take(message: func.QueueMessage, out: func.Out[str]) -> None:
        del message, out

    assert _refusal(app) == (
        "The local server cannot run the function 'take': it runs synchronous functions with a "
        "queue trigger, without further bindings."
    )


@pytest.mark.parametrize("parameter", ["req", "timer"])
def test_an_async_function_is_refused(parameter: str) -> None:
    app = func.FunctionApp()
    trigger: Callable[[object], object] = (
        app.route(route="x")
        if parameter == "req"
        else app.timer_trigger(schedule=_EVERY_MINUTE, arg_name="timer")
    )

    async def one(**given: object) -> None:
        del given

    trigger(one)

    assert "it runs synchronous functions" in _refusal(app)


def test_a_parameter_named_unlike_its_binding_is_refused() -> None:
    """The worker refuses it as well, and the whole app with it."""
    app = func.FunctionApp()

    @app.route(route="x")
    def one(request: func.HttpRequest) -> str:
        return str(request.method)

    assert _refusal(app) == "The function 'one' has to take one parameter, named 'req'."


def test_a_timer_that_takes_anything_but_its_request_is_refused() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(schedule=_EVERY_MINUTE, arg_name="timer")
    def tick(timer: func.TimerRequest, context: object = None) -> None:
        del timer, context

    assert _refusal(app) == "The function 'tick' has to take one parameter, named 'timer'."


def test_two_functions_of_one_name_are_refused() -> None:
    app = func.FunctionApp()
    for route in ("x", "y"):

        @app.route(route=route)
        def one(req: func.HttpRequest) -> str:
            return str(req.method)

    assert _refusal(app).startswith("The app cannot be indexed: Function one does not")


def test_an_app_can_be_indexed_again() -> None:
    app = toy_app()
    app.get_functions()

    assert index(app) != []
    assert index(app) != []
