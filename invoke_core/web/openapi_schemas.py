"""The schemas of the OpenAPI description.

Source: HTTP contract, sections 1, 2, 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.conditions import DEFAULT_CONDITION, STATUS_VARIABLE
from invoke_core.model import CompletionEvent, Effect, IssueType, Method, ReasonCode, Result, State
from invoke_core.problems import PROBLEM_TYPES
from invoke_core.steps import INPUT_ALIASES, MOST_RETRIES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

    from invoke_core.documents import JsonValue

OBJECT: Final[dict[str, JsonValue]] = {"type": "object"}
_INPUT_NOTES: Final = {
    "connectionType": "Which of the three connection inputs counts; default connectedServiceName.",
    "serviceConnection": "Name of a generic service connection.",
    "azureServiceConnection": "Name of an Azure Resource Manager connection.",
    "azureDevOpsServiceConnection": "Name of an Azure DevOps connection.",
    "method": f"One of {', '.join(Method)}, in any case; default POST.",
    "headers": "JSON object, as text or as an object; given, it replaces the default headers.",
    "body": "Text, or an object that is sent as JSON; dropped for GET and HEAD.",
    "urlSuffix": "Appended to the connection's URL as text.",
    "waitForCompletion": "Whether a TaskCompleted event ends the task; default false.",
    "successCriteria": "Expression over the answer, such as eq(root['status'], 'ready'); not with "
    "waitForCompletion.",
    "validStatusCodes": "Codes and ranges that count as success; default 200-299.",
}


def schemas() -> dict[str, JsonValue]:
    """Return every named schema."""
    return {
        "Step": _step(),
        "Steps": _steps(),
        "Variables": _variables(),
        "Invocation": _invocation(),
        "Listing": _listing(),
        "Evaluation": _evaluation(),
        "Explanation": _explanation(),
        "Problem": _problem(),
        "DevOpsError": _devops_error(),
    }


def ref(name: str) -> dict[str, JsonValue]:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(
    properties: dict[str, JsonValue], required: Iterable[str] | None = None
) -> dict[str, JsonValue]:
    """Return the schema of an object with these members only, all required by default."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def enum_of(members: type[StrEnum]) -> dict[str, JsonValue]:
    """Return the schema of one of several words."""
    return {"type": "string", "enum": [member.value for member in members]}


def or_null(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the schema of something that may be absent."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Final[dict[str, JsonValue]] = {"type": "string"}
TIME: Final[dict[str, JsonValue]] = {"type": "string", "format": "date-time"}
TEXTS_BY_NAME: Final[dict[str, JsonValue]] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
}
_SCALAR: Final[dict[str, JsonValue]] = {"type": ["string", "number", "boolean", "null"]}


def _step() -> dict[str, JsonValue]:
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
        "variables": ref("Variables"),
        "timeoutInMinutes": {"type": ["number", "string", "null"], "default": 60},
        "condition": {
            "type": ["string", "boolean", "number", "null"],
            "default": DEFAULT_CONDITION,
            "description": "Where this expression is false, the task is skipped. It reads"
            f" variables, and the state of the pipeline from the variable {STATUS_VARIABLE}.",
        },
        "enabled": {"type": ["boolean", "string", "null"], "default": True},
        "continueOnError": {
            "type": ["boolean", "string", "null"],
            "default": False,
            "description": "Whether a failure ends the task as succeededWithIssues.",
        },
        "retryCountOnTaskFailure": {
            "type": ["integer", "string", "null"],
            "default": 0,
            "minimum": 0,
            "maximum": MOST_RETRIES,
            "description": "How often a failed task is tried again; not in Callback mode. A POST or"
            " PATCH of unknown effect never is.",
        },
        "target": {"description": "Accepted, no effect."},
        **{
            name: {"description": "Not built yet; only null is accepted."}
            for name in ("gate", "poll", "outputs")
        },
    }
    return {"type": "object", "properties": properties, "required": ["inputs"]}


def _steps() -> dict[str, JsonValue]:
    return object_of(
        {
            "steps": {"type": "array", "items": ref("Step"), "minItems": 1, "maxItems": 1},
            "variables": ref("Variables"),
        },
        ["steps"],
    )


def _variables() -> dict[str, JsonValue]:
    secret = object_of({"value": _SCALAR, "isSecret": {"type": ["boolean", "string"]}}, ["value"])
    return {
        "type": ["object", "null"],
        "additionalProperties": {"anyOf": [_SCALAR, secret]},
        "description": "Names in any case; $(name) in an input stands for the value.",
    }


def _invocation() -> dict[str, JsonValue]:
    response = object_of(
        {
            "status": {"type": "integer"},
            "headers": TEXTS_BY_NAME,
            "body": {"description": "Parsed JSON where it parses, else text."},
            "bodyTruncated": {"type": "boolean"},
            "elapsedMs": {"type": "integer"},
        }
    )
    criteria = object_of(
        {
            "expression": TEXT,
            "result": {"type": ["boolean", "null"]},
            "trace": {"type": "array", "items": TEXT},
            "explanation": or_null(ref("Explanation")),
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
    return object_of(
        {
            "id": {"type": "string", "format": "uuid"},
            "displayName": TEXT,
            "connection": TEXT,
            "caller": TEXT,
            "state": {
                **enum_of(State),
                "description": "pending until the first request begins, inProgress from then on.",
            },
            "result": or_null(enum_of(Result)),
            "reason": or_null(
                object_of({"code": enum_of(ReasonCode), "message": TEXT, "effect": enum_of(Effect)})
            ),
            "completionEvent": enum_of(CompletionEvent),
            "request": or_null(object_of({"method": TEXT, "url": TEXT, "headers": TEXTS_BY_NAME})),
            "response": or_null(response),
            "criteria": or_null(criteria),
            "attempts": {
                "type": "integer",
                "minimum": 0,
                "description": "How many requests were begun.",
            },
            "evaluations": {"type": "array"},
            "outputs": TEXTS_BY_NAME,
            "variables": TEXTS_BY_NAME,
            "createdAt": TIME,
            "startedAt": or_null(TIME),
            "finishedAt": or_null(TIME),
            "deadline": {**TIME, "description": "timeoutInMinutes after createdAt."},
            "correlation": object_of(dict.fromkeys(correlation_names, TEXT)),
            "links": object_of(
                {
                    **dict.fromkeys(("self", "log", "cancel", "outputs"), TEXT),
                    "events": {"type": ["string", "null"]},
                }
            ),
            "issues": {
                "type": "array",
                "items": object_of({"type": enum_of(IssueType), "message": TEXT}),
            },
        }
    )


def _listing() -> dict[str, JsonValue]:
    item = object_of(
        {
            "id": {"type": "string", "format": "uuid"},
            "displayName": TEXT,
            "connection": TEXT,
            "state": enum_of(State),
            "result": or_null(enum_of(Result)),
            "completionEvent": enum_of(CompletionEvent),
            "createdAt": TIME,
            "finishedAt": or_null(TIME),
        }
    )
    return object_of(
        {
            "value": {"type": "array", "items": item},
            "continuationToken": {"type": ["string", "null"]},
        }
    )


def _evaluation() -> dict[str, JsonValue]:
    error = object_of(
        {
            "phase": {"enum": ["parse", "eval"]},
            "kind": TEXT,
            "token": {"type": ["string", "null"]},
            "position": {"type": ["integer", "null"]},
            "from": {"type": ["string", "null"]},
            "to": {"type": ["string", "null"]},
            "message": TEXT,
        }
    )
    return object_of(
        {
            "result": {"type": ["boolean", "null"]},
            "kind": {"type": ["string", "null"]},
            "value": {},
            "trace": {"type": "array", "items": TEXT},
            "explanation": or_null(ref("Explanation")),
            "message": {"type": ["string", "null"]},
            "error": or_null(error),
        }
    )


def _explanation() -> dict[str, JsonValue]:
    return object_of(
        {
            "text": TEXT,
            "start": {"type": "integer"},
            "end": {"type": "integer"},
            "kind": {"type": ["string", "null"]},
            "value": {},
            "convertedTo": {},
            "skipped": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
            "arguments": {"type": "array", "items": ref("Explanation")},
        }
    )


def _devops_error() -> dict[str, JsonValue]:
    return {
        "type": "object",
        "description": "What client libraries of Azure DevOps read, with a problem's members.",
        "properties": {
            "$id": TEXT,
            "innerException": {"type": "null"},
            "message": TEXT,
            "typeName": TEXT,
            "typeKey": TEXT,
            "errorCode": {"type": "integer"},
            "eventId": {"type": "integer"},
        },
        "required": ["message", "typeKey"],
        "additionalProperties": True,
    }


def _problem() -> dict[str, JsonValue]:
    codes: list[JsonValue] = [*sorted({kind.code for kind in PROBLEM_TYPES.values()})]
    return object_of(
        {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": TEXT,
            "code": {"type": "string", "enum": codes},
            "errors": {
                "type": "array",
                "items": object_of({"pointer": TEXT, "detail": TEXT}),
            },
        }
    )
