"""Binds routes to handlers, and does nothing else.

The host finds a function by its name here, and matches routes in the order of these names.
"""

from __future__ import annotations

import azure.functions as func

from invoke_core.wiring import (
    alarm_connection,
    forget_old,
    give_up_alarm,
    handlers,
    pipeline_handlers,
    ring_alarm,
    watch_alarms,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="api/invocations", methods=["POST"])
def invocations_create(req: func.HttpRequest) -> func.HttpResponse:
    """Run one REST invocation and answer with its outcome."""
    return handlers().create(req)


@app.route(route="api/invocations", methods=["GET"])
def invocations_list(req: func.HttpRequest) -> func.HttpResponse:
    """List invocations, newest first."""
    return handlers().list(req)


@app.route(route="api/invocations/{id}", methods=["GET"])
def invocations_get(req: func.HttpRequest) -> func.HttpResponse:
    """Tell how an invocation stands."""
    return handlers().get(req)


@app.route(route="api/invocations/{id}/log", methods=["GET"])
def invocations_log(req: func.HttpRequest) -> func.HttpResponse:
    """Return the lines a pipeline log would show."""
    return handlers().log(req)


@app.route(route="api/invocations/{id}/cancel", methods=["POST"])
def invocations_cancel(req: func.HttpRequest) -> func.HttpResponse:
    """End an invocation as canceled."""
    return handlers().cancel(req)


@app.route(route="api/invocations/{id}/outputs", methods=["GET"])
def invocations_outputs(req: func.HttpRequest) -> func.HttpResponse:
    """Return what an invocation puts out, in the form a pipeline takes in."""
    return handlers().outputs(req)


@app.route(route="api/criteria/evaluate", methods=["POST"])
def criteria_evaluate(req: func.HttpRequest) -> func.HttpResponse:
    """Evaluate a criteria against a pasted answer; nothing is sent."""
    return handlers().evaluate(req)


@app.route(route="api/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Tell whether the service can do its work."""
    return handlers().health(req)


@app.route(route="api/openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the routes in OpenAPI 3.1."""
    return handlers().openapi(req)


@app.route(
    route="azdo/default/{projectId}/_apis/distributedtask/hubs/{hubName}/plans/{planId}/events",
    methods=["POST"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
def events(req: func.HttpRequest) -> func.HttpResponse:
    """Take an event of an external service; its AuthToken is the key."""
    return pipeline_handlers().events(req)


@app.route(
    route="azdo/{*path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
def pipelines(req: func.HttpRequest) -> func.HttpResponse:
    """Answer the rest of the Azure-Pipelines-compatible half; the AuthToken is the key."""
    return pipeline_handlers().pipelines(req)


@app.timer_trigger(schedule="0 30 3 * * *", arg_name="timer")
def retention(timer: func.TimerRequest) -> None:
    """Forget invocations that ended longer ago than they are kept, once a day."""
    del timer
    forget_old()


@app.timer_trigger(schedule="0 * * * * *", arg_name="timer")
def alarms_due(timer: func.TimerRequest) -> None:
    """See that what is due within the next minute is done in time, once a minute."""
    del timer
    watch_alarms()


if (connection := alarm_connection()) is not None:
    # The embedded store has no queue, and a trigger that cannot connect would stop the host.

    @app.queue_trigger(arg_name="message", queue_name="invoke-alarms", connection=connection)
    def alarms_ring(message: func.QueueMessage) -> None:
        """Do what is due of an invocation."""
        ring_alarm(message.get_body().decode("utf-8", "replace"))

    @app.queue_trigger(arg_name="message", queue_name="invoke-alarms-poison", connection=connection)
    def alarms_failed(message: func.QueueMessage) -> None:
        """Take up an alarm that failed again and again."""
        give_up_alarm(message.get_body().decode("utf-8", "replace"))
