"""The functions of an app, checked as the worker checks them before any of them runs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from invoke_core.local.errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.functions as func
    from azure.functions.decorators.function_app import Function

HTTP: Final = "httpTrigger"
TIMER: Final = "timerTrigger"
QUEUE: Final = "queueTrigger"

# Per trigger: the bindings a function has beside it, and how that is said.
_SHAPES: Final = {
    HTTP: (
        [("http", "$return")],
        "functions with an HTTP trigger and an HTTP answer, without further bindings",
    ),
    TIMER: ([], "functions with a timer trigger, without further bindings"),
    QUEUE: ([], "functions with a queue trigger, without further bindings"),
}


@dataclass(frozen=True, slots=True)
class Indexed:
    """A function the local server can run.

    Attributes:
        name: Unique in the app.
        trigger: The library's own object; its ``type`` is ``HTTP``, ``TIMER`` or ``QUEUE``.
        call: Takes what the trigger gives, and returns what the function does.
    """

    name: str
    trigger: Any
    call: Callable[[object], object]


def index(app: func.FunctionApp) -> list[Indexed]:
    """Return the functions of the app, in the order in which they are declared.

    Args:
        app: The app object of ``function_app.py``; it may be indexed again.

    Raises:
        LocalServerError: The worker would refuse a function, and with it the whole app, or the
            local server cannot run it.
    """
    # The library remembers the names it has seen, and takes a second look for a double.
    app.functions_bindings = None
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise LocalServerError(f"The app cannot be indexed: {error}") from error
    return [_indexed(one) for one in functions]


def _indexed(function: Function) -> Indexed:
    name = str(function.get_function_name())
    trigger: Any = function.get_trigger()
    kind = trigger.type if trigger else None
    if kind not in _SHAPES:
        raise LocalServerError(
            f"The local server cannot run the function '{name}': it has the trigger '{kind}', and "
            "only HTTP, timer and queue triggers are supported."
        )
    expected, shape = _SHAPES[kind]
    bindings = [(one.type, one.name) for one in function.get_bindings() if one is not trigger]
    user_function = function.get_user_function()
    if bindings != expected or inspect.iscoroutinefunction(user_function):
        raise LocalServerError(
            f"The local server cannot run the function '{name}': it runs synchronous {shape}."
        )
    parameter = trigger.name
    if list(inspect.signature(user_function).parameters) != [parameter]:
        raise LocalServerError(
            f"The function '{name}' has to take one parameter, named '{parameter}'."
        )
    return Indexed(name, trigger, lambda given: user_function(**{parameter: given}))
