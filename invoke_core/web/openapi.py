"""The routes in OpenAPI 3.1. Tests hold it against the routes and against real answers.

Source: HTTP contract, sections 1, 2, 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core import __version__
from invoke_core.model import State
from invoke_core.output_formats import OutputFormat
from invoke_core.problems import MEDIA_TYPE
from invoke_core.service import LONGEST_WAIT_S
from invoke_core.web.openapi_pipelines import SECURITY, pipeline_paths
from invoke_core.web.openapi_schemas import (
    OBJECT,
    TEXT,
    TEXTS_BY_NAME,
    enum_of,
    object_of,
    ref,
    schemas,
)
from invoke_core.web.openapi_steps import step_schemas
from invoke_core.web.requests import DEFAULT_TOP, MOST_TOP

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

_EXAMPLE_STEP: Final = """\
steps:
- task: InvokeRESTAPI@1
  displayName: 'Invoke REST API: GET'
  inputs:
    serviceConnection: 'generic_demo'
    method: GET
    successCriteria: 'eq(root[''count''], ''1425'')'
"""


def openapi_document(base_url: str) -> dict[str, JsonValue]:
    """Return the description of the service.

    Args:
        base_url: Where this service is reached, without a slash at its end.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Invoke REST API",
            "version": __version__,
            "summary": "The InvokeRESTAPI@1 pipeline task for any pipeline.",
            "description": "The HTTP status is the outcome of the task.",
        },
        "servers": [{"url": base_url}],
        "security": [{"functionKey": []}, {"functionCode": []}],
        "paths": {
            "/api/invocations": {"post": _create_operation(), "get": _list_operation()},
            "/api/invocations/{id}": {"get": _get_operation()},
            "/api/invocations/{id}/log": {"get": _log_operation()},
            "/api/invocations/{id}/cancel": {"post": _cancel_operation()},
            "/api/invocations/{id}/outputs": {"get": _outputs_operation()},
            "/api/criteria/evaluate": {"post": _evaluate_operation()},
            "/api/health": {"get": _health_operation()},
            "/api/openapi.json": {"get": _openapi_operation()},
            **pipeline_paths(),
        },
        "components": {
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionCode": {"type": "apiKey", "in": "query", "name": "code"},
                **SECURITY,
            },
            "schemas": {**step_schemas(), **schemas()},
            "responses": {"Problem": _problem_response("The request was refused.")},
        },
    }


def _content(media_type: str, schema: dict[str, JsonValue], **more: JsonValue) -> JsonValue:
    return {media_type: {"schema": schema, **more}}


def _problem_response(description: str) -> dict[str, JsonValue]:
    return {"description": description, "content": _content(MEDIA_TYPE, ref("Problem"))}


_ID: Final[JsonValue] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "In any case.",
    "schema": {"type": "string", "format": "uuid"},
}
_HOLDS: Final = f"wait=N holds the reply until the end, N seconds at most ({LONGEST_WAIT_S})"
_STRICT: Final[JsonValue] = {
    "name": "strict",
    "in": "query",
    "description": "Answer 408 instead of 202, for clients that take 202 for success.",
    "schema": {"type": "string", "enum": ["true", "false"]},
}


def _prefer(description: str) -> JsonValue:
    return {"name": "Prefer", "in": "header", "description": description, "schema": TEXT}


def _header(description: str, schema: JsonValue = None, *, always: bool = False) -> JsonValue:
    return {"description": description, "required": always, "schema": schema or TEXT}


def _about_it() -> dict[str, JsonValue]:
    """Return the links that lead from an invocation to what is asked about it."""
    operations = ("get", "log", "cancel", "outputs")
    return {
        name: {
            "operationId": f"invocations_{name}",
            "parameters": {"path.id": "$response.body#/id"},
        }
        for name in operations
    }


def _outcomes(applied_preferences: str) -> dict[str, JsonValue]:
    """Return the answers that hold an invocation; the status is its outcome."""
    invocation = _content("application/json", ref("Invocation"))
    seconds: JsonValue = {"type": "integer", "minimum": 1, "maximum": 30}
    applied = {
        "Preference-Applied": _header(applied_preferences),
        "Idempotency-Replayed": _header("true, where an earlier call ran it.", {"const": "true"}),
    }
    unfinished: JsonValue = {
        **applied,
        "Location": _header("The invocation.", always=True),
        "Retry-After": _header("Seconds.", seconds, always=True),
    }

    def outcome(description: str, headers: JsonValue) -> JsonValue:
        return {
            "description": description,
            "headers": headers,
            "content": invocation,
            "links": _about_it(),
        }

    return {
        "200": outcome("The task succeeded, or was skipped.", applied),
        "202": outcome("The task is pending or in progress, and goes on by itself.", unfinished),
        "408": outcome("The task has not ended, and strict=true was asked for.", unfinished),
        "424": outcome("The task failed.", applied),
    }


def _reading_refusals() -> dict[str, JsonValue]:
    """Return the answers every route that reads state may give instead of its own."""
    return {
        "400": _problem_response("A parameter cannot be read."),
        "401": {"description": "The function key is missing or wrong; the body is empty."},
        "500": _problem_response("Something broke here."),
        "503": _problem_response("The store cannot be used, or a setting is faulty."),
    }


def _refusals() -> dict[str, JsonValue]:
    """Return the answers every route with a body may give instead of its own."""
    return {
        "400": _problem_response("The body or the step in it has faults; all are listed."),
        "401": {"description": "The function key is missing or wrong; the body is empty."},
        "411": _problem_response("The body was sent in chunks, which the platform drops."),
        "413": _problem_response("The body is longer than 1 MiB."),
        "415": _problem_response("The body's media type is not read here."),
        "500": _problem_response("Something broke here; the effect is unknown."),
        "503": _problem_response("The service or the connection is not set up correctly."),
    }


def _create_operation() -> dict[str, JsonValue]:
    yaml: dict[str, JsonValue] = {"schema": TEXT, "example": _EXAMPLE_STEP}
    json_step: dict[str, JsonValue] = {
        "anyOf": [
            ref("Step"),
            ref("Steps"),
            {"type": "array", "items": ref("Step"), "minItems": 1, "maxItems": 1},
        ]
    }
    example: JsonValue = {
        "task": "InvokeRESTAPI@1",
        "inputs": {
            "serviceConnection": "generic_demo",
            "method": "GET",
            "successCriteria": "eq(root['count'], '1425')",
        },
    }
    return {
        "operationId": "invocations_create",
        "summary": "Run one task",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes the call repeatable; required with strict=true.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            },
            _prefer(
                f"{_HOLDS}; what does not fit into it goes on in the background. respond-async"
                " runs the task in the background from the start, with 202 at once, or after"
                " the wait."
            ),
            _STRICT,
            {"name": "traceparent", "in": "header", "schema": TEXT},
            {"name": "tracestate", "in": "header", "schema": TEXT},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": json_step, "example": example},
                "application/yaml": yaml,
                "text/yaml": yaml,
                "application/x-yaml": yaml,
            },
        },
        "responses": {
            **_outcomes("What was done: respond-async, wait=N, or both."),
            **_refusals(),
            "502": _problem_response("Something the service needs did not answer."),
            "504": _problem_response(
                "The store did not answer; a task that may outlive its call perhaps runs. Repeat"
                " the call only with the same Idempotency-Key."
            ),
            "409": _problem_response("The Idempotency-Key stands for another task."),
            "403": _problem_response("The connection does not grant this; nothing was sent."),
            "429": {
                **_problem_response("As much runs here as may; nothing was sent."),
                "headers": {"Retry-After": _header("Seconds.", {"type": "integer"}, always=True)},
            },
        },
    }


def _get_operation() -> dict[str, JsonValue]:
    return {
        "operationId": "invocations_get",
        "summary": "How an invocation stands",
        "parameters": [_ID, _prefer(f"{_HOLDS}."), _STRICT],
        "responses": {
            **_outcomes("wait=N, where the reply was held for it."),
            **_reading_refusals(),
            "404": _problem_response("There is no such invocation."),
        },
    }


def _list_operation() -> dict[str, JsonValue]:
    top: JsonValue = {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_TOP,
        "default": DEFAULT_TOP,
    }
    return {
        "operationId": "invocations_list",
        "summary": "Invocations, newest first",
        "parameters": [
            {"name": "top", "in": "query", "schema": top},
            {"name": "state", "in": "query", "schema": enum_of(State)},
            {"name": "continuationToken", "in": "query", "schema": TEXT},
        ],
        "responses": {
            "200": {
                "description": "A page; it may be short and still not be the last.",
                "content": _content("application/json", ref("Listing")),
            },
            **_reading_refusals(),
        },
    }


def _log_operation() -> dict[str, JsonValue]:
    return {
        "operationId": "invocations_log",
        "summary": "The lines a pipeline log would show, in order of arrival",
        "parameters": [
            _ID,
            {
                "name": "after",
                "in": "query",
                "description": "The X-Log-Cursor of an earlier answer; goes on after it.",
                "schema": TEXT,
            },
        ],
        "responses": {
            "200": {
                "description": "Lines, none of which acts as a pipeline command.",
                "headers": {"X-Log-Cursor": _header("Where this answer ends.", always=True)},
                "content": _content("text/plain", TEXT),
            },
            **_reading_refusals(),
            "404": _problem_response("There is no such invocation."),
        },
    }


def _cancel_operation() -> dict[str, JsonValue]:
    return {
        "operationId": "invocations_cancel",
        "summary": "End an invocation as canceled",
        "parameters": [_ID],
        "responses": {
            "200": {
                "description": "It is canceled, now or since before.",
                "content": _content("application/json", ref("Invocation")),
            },
            **_reading_refusals(),
            "404": _problem_response("There is no such invocation."),
            "409": _problem_response("It has ended otherwise."),
        },
    }


def _outputs_operation() -> dict[str, JsonValue]:
    form: JsonValue = {**enum_of(OutputFormat), "default": OutputFormat.JSON.value}
    return {
        "operationId": "invocations_outputs",
        "summary": "What an invocation puts out, in the form a pipeline takes in",
        "parameters": [
            _ID,
            {"name": "format", "in": "query", "description": "In any case.", "schema": form},
        ],
        "responses": {
            "200": {
                "description": "The outputs so far: an object with format=json, else lines.",
                "content": {
                    "application/json": {"schema": TEXTS_BY_NAME},
                    "text/plain": {"schema": TEXT},
                },
            },
            **_reading_refusals(),
            "400": _problem_response(
                "There is no such form; or it cannot hold the outputs exactly (outputFormat), and"
                " all that stand in the way are listed."
            ),
            "404": _problem_response("There is no such invocation."),
        },
    }


def _evaluate_operation() -> dict[str, JsonValue]:
    request = object_of(
        {
            "criteria": TEXT,
            "body": {"description": "The answer's body, parsed."},
            "bodyText": {"type": "string", "description": "The answer's body as raw text."},
            "status": {"type": "integer", "default": 200},
            "headers": TEXTS_BY_NAME,
            "variables": OBJECT,
            "taskInputs": OBJECT,
            "verbose": {"type": "boolean", "default": False},
        },
        ["criteria"],
    )
    example: JsonValue = {"criteria": "eq(root['count'], '1425')", "body": {"count": 1424}}
    return {
        "operationId": "criteria_evaluate",
        "summary": "Try a criteria on a pasted answer; nothing is sent or stored",
        "requestBody": {
            "required": True,
            "content": _content("application/json", request, example=example),
        },
        "responses": {
            "200": {
                "description": "How it was evaluated, errors included.",
                "content": _content("application/json", ref("Evaluation")),
            },
            **_refusals(),
        },
    }


def _health_operation() -> dict[str, JsonValue]:
    schema = object_of({"status": {"const": "ok"}, "version": TEXT, "store": {"const": "ok"}})
    return {
        "operationId": "health",
        "summary": "Whether the service can do its work",
        "security": [{}],
        "responses": {
            "200": {"description": "It can.", "content": _content("application/json", schema)},
            "503": _problem_response("A setting is faulty; its name is in errors."),
        },
    }


def _openapi_operation() -> dict[str, JsonValue]:
    return {
        "operationId": "openapi",
        "summary": "This document",
        "security": [{}],
        "responses": {
            "200": {
                "description": "OpenAPI 3.1.",
                "content": _content("application/json", OBJECT),
            },
            "503": _problem_response("A setting is faulty; its name is in errors."),
        },
    }
