"""The routes in OpenAPI 3.1. Tests hold it against the routes and against real answers.

Source: HTTP contract, sections 1, 2, 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core import __version__
from invoke_core.model import (
    CompletionEvent,
    Effect,
    IssueType,
    Method,
    ReasonCode,
    Result,
    State,
)
from invoke_core.problems import MEDIA_TYPE, PROBLEM_TYPES
from invoke_core.steps import INPUT_ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

    from invoke_core.documents import JsonValue

_OBJECT: Final[dict[str, JsonValue]] = {"type": "object"}

_EXAMPLE_STEP: Final = """\
steps:
- task: InvokeRESTAPI@1
  displayName: 'Invoke REST API: GET'
  inputs:
    serviceConnection: 'generic_demo'
    method: GET
    successCriteria: 'eq(root[''count''], ''1425'')'
"""
_INPUT_NOTES: Final = {
    "connectionType": "Which of the three connection inputs counts; default connectedServiceName.",
    "serviceConnection": "Name of a generic service connection.",
    "azureServiceConnection": "Name of an Azure Resource Manager connection.",
    "azureDevOpsServiceConnection": "Name of an Azure DevOps connection.",
    "method": f"One of {', '.join(Method)}, in any case; default POST.",
    "headers": "JSON object, as text or as an object; given, it replaces the default headers.",
    "body": "Text, or an object that is sent as JSON; dropped for GET and HEAD.",
    "urlSuffix": "Appended to the connection's URL as text.",
    "waitForCompletion": "'false': the answer ends the task; default.",
    "successCriteria": "Expression over the answer, such as eq(root['status'], 'ready').",
    "validStatusCodes": "Codes and ranges that count as success; default 200-299.",
}


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
            "/api/invocations": {"post": _create_operation()},
            "/api/criteria/evaluate": {"post": _evaluate_operation()},
            "/api/health": {"get": _health_operation()},
            "/api/openapi.json": {"get": _openapi_operation()},
        },
        "components": {
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionCode": {"type": "apiKey", "in": "query", "name": "code"},
            },
            "schemas": {
                "Step": _step_schema(),
                "Steps": _steps_schema(),
                "Variables": _variables_schema(),
                "Invocation": _invocation_schema(),
                "Evaluation": _evaluation_schema(),
                "Explanation": _explanation_schema(),
                "Problem": _problem_schema(),
            },
            "responses": {"Problem": _problem_response("The request was refused.")},
        },
    }


def _ref(name: str) -> dict[str, JsonValue]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(
    properties: dict[str, JsonValue], required: Iterable[str] | None = None
) -> dict[str, JsonValue]:
    """Return the schema of an object with these members only, all required by default."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def _enum(members: type[StrEnum]) -> dict[str, JsonValue]:
    return {"type": "string", "enum": [member.value for member in members]}


def _or_null(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: Final[dict[str, JsonValue]] = {"type": "string"}
_TIME: Final[dict[str, JsonValue]] = {"type": "string", "format": "date-time"}
_TEXTS_BY_NAME: Final[dict[str, JsonValue]] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
}
_SCALAR: Final[dict[str, JsonValue]] = {"type": ["string", "number", "boolean", "null"]}


def _content(media_type: str, schema: dict[str, JsonValue], **more: JsonValue) -> JsonValue:
    return {media_type: {"schema": schema, **more}}


def _problem_response(description: str) -> dict[str, JsonValue]:
    return {"description": description, "content": _content(MEDIA_TYPE, _ref("Problem"))}


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
    invocation = _content("application/json", _ref("Invocation"))
    yaml: dict[str, JsonValue] = {"schema": _TEXT, "example": _EXAMPLE_STEP}
    json_step: dict[str, JsonValue] = {
        "anyOf": [
            _ref("Step"),
            _ref("Steps"),
            {"type": "array", "items": _ref("Step"), "minItems": 1, "maxItems": 1},
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
            {"name": "traceparent", "in": "header", "schema": _TEXT},
            {"name": "tracestate", "in": "header", "schema": _TEXT},
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
            "200": {"description": "The task succeeded.", "content": invocation},
            "424": {"description": "The task failed.", "content": invocation},
            **_refusals(),
            "403": _problem_response("The connection does not grant this; nothing was sent."),
            "429": {
                **_problem_response("As much runs here as may; nothing was sent."),
                "headers": {"Retry-After": {"schema": {"type": "integer"}}},
            },
        },
    }


def _evaluate_operation() -> dict[str, JsonValue]:
    request = _object(
        {
            "criteria": _TEXT,
            "body": {"description": "The answer's body, parsed."},
            "bodyText": {"type": "string", "description": "The answer's body as raw text."},
            "status": {"type": "integer", "default": 200},
            "headers": _TEXTS_BY_NAME,
            "variables": _OBJECT,
            "taskInputs": _OBJECT,
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
                "content": _content("application/json", _ref("Evaluation")),
            },
            **_refusals(),
        },
    }


def _health_operation() -> dict[str, JsonValue]:
    schema = _object(
        {"status": {"const": "ok"}, "version": _TEXT, "store": {"type": ["string", "null"]}}
    )
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
                "content": _content("application/json", _OBJECT),
            },
            "503": _problem_response("A setting is faulty; its name is in errors."),
        },
    }


def _step_schema() -> dict[str, JsonValue]:
    inputs: dict[str, JsonValue] = {}
    for name, aliases in INPUT_ALIASES.items():
        kinds: JsonValue = ["string", "number", "boolean", "null"]
        if name in {"headers", "body"}:
            kinds = ["string", "number", "boolean", "null", "object", "array"]
        inputs[name] = {"type": kinds, "description": _INPUT_NOTES[name]}
        inputs |= {alias: {"type": kinds, "description": f"Alias of {name}."} for alias in aliases}
    properties: dict[str, JsonValue] = {
        "task": {"type": "string", "examples": ["InvokeRESTAPI@1"]},
        "displayName": _SCALAR,
        "inputs": {
            "type": "object",
            "description": "Names in any case.",
            "properties": inputs,
        },
        "variables": _ref("Variables"),
        "timeoutInMinutes": {"type": ["number", "string", "null"], "default": 60},
        "target": {"description": "Accepted, no effect."},
        **{
            name: {"description": "Not built yet; only its default is accepted."}
            for name in (
                "condition",
                "enabled",
                "continueOnError",
                "retryCountOnTaskFailure",
                "gate",
                "poll",
                "outputs",
            )
        },
    }
    return {"type": "object", "properties": properties, "required": ["inputs"]}


def _steps_schema() -> dict[str, JsonValue]:
    return _object(
        {
            "steps": {"type": "array", "items": _ref("Step"), "minItems": 1, "maxItems": 1},
            "variables": _ref("Variables"),
        },
        ["steps"],
    )


def _variables_schema() -> dict[str, JsonValue]:
    secret = _object({"value": _SCALAR, "isSecret": {"type": ["boolean", "string"]}}, ["value"])
    return {
        "type": ["object", "null"],
        "additionalProperties": {"anyOf": [_SCALAR, secret]},
        "description": "Names in any case; $(name) in an input stands for the value.",
    }


def _invocation_schema() -> dict[str, JsonValue]:
    response = _object(
        {
            "status": {"type": "integer"},
            "headers": _TEXTS_BY_NAME,
            "body": {"description": "Parsed JSON where it parses, else text."},
            "bodyTruncated": {"type": "boolean"},
            "elapsedMs": {"type": "integer"},
        }
    )
    criteria = _object(
        {
            "expression": _TEXT,
            "result": {"type": ["boolean", "null"]},
            "trace": {"type": "array", "items": _TEXT},
            "explanation": _or_null(_ref("Explanation")),
        }
    )
    correlation_names = (
        "planUrl",
        "projectId",
        "hubName",
        "planId",
        "jobId",
        "timelineId",
        "taskInstanceId",
    )
    return _object(
        {
            "id": {"type": "string", "format": "uuid"},
            "displayName": _TEXT,
            "connection": _TEXT,
            "caller": _TEXT,
            "state": _enum(State),
            "result": _or_null(_enum(Result)),
            "reason": _or_null(
                _object({"code": _enum(ReasonCode), "message": _TEXT, "effect": _enum(Effect)})
            ),
            "completionEvent": _enum(CompletionEvent),
            "request": _or_null(
                _object({"method": _TEXT, "url": _TEXT, "headers": _TEXTS_BY_NAME})
            ),
            "response": _or_null(response),
            "criteria": _or_null(criteria),
            "attempts": {"type": "integer"},
            "evaluations": {"type": "array"},
            "outputs": _TEXTS_BY_NAME,
            "variables": _OBJECT,
            "createdAt": _TIME,
            "startedAt": _or_null(_TIME),
            "finishedAt": _or_null(_TIME),
            "deadline": _TIME,
            "correlation": _object(dict.fromkeys(correlation_names, _TEXT)),
            "links": _object(
                {
                    **dict.fromkeys(("self", "log", "cancel", "outputs"), _TEXT),
                    "events": {"type": ["string", "null"]},
                }
            ),
            "issues": {
                "type": "array",
                "items": _object({"type": _enum(IssueType), "message": _TEXT}),
            },
        }
    )


def _evaluation_schema() -> dict[str, JsonValue]:
    error = _object(
        {
            "phase": {"enum": ["parse", "eval"]},
            "kind": _TEXT,
            "token": {"type": ["string", "null"]},
            "position": {"type": ["integer", "null"]},
            "from": {"type": ["string", "null"]},
            "to": {"type": ["string", "null"]},
            "message": _TEXT,
        }
    )
    return _object(
        {
            "result": {"type": ["boolean", "null"]},
            "kind": {"type": ["string", "null"]},
            "value": {},
            "trace": {"type": "array", "items": _TEXT},
            "explanation": _or_null(_ref("Explanation")),
            "message": {"type": ["string", "null"]},
            "error": _or_null(error),
        }
    )


def _explanation_schema() -> dict[str, JsonValue]:
    return _object(
        {
            "text": _TEXT,
            "start": {"type": "integer"},
            "end": {"type": "integer"},
            "kind": {"type": ["string", "null"]},
            "value": {},
            "convertedTo": {},
            "skipped": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
            "arguments": {"type": "array", "items": _ref("Explanation")},
        }
    )


def _problem_schema() -> dict[str, JsonValue]:
    codes: list[JsonValue] = [*sorted({kind.code for kind in PROBLEM_TYPES.values()})]
    return _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "instance": _TEXT,
            "code": {"type": "string", "enum": codes},
            "errors": {
                "type": "array",
                "items": _object({"pointer": _TEXT, "detail": _TEXT}),
            },
        }
    )
