"""The schemas of what is answered, in the OpenAPI description.

Source: HTTP contract, sections 1, 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.gates import MOST_EVALUATIONS
from invoke_core.model import CompletionEvent, Effect, IssueType, ReasonCode, Result, State
from invoke_core.outputs import LONGEST_OUTPUT_BYTES
from invoke_core.problems import PROBLEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

    from invoke_core.documents import JsonValue

OBJECT: Final[dict[str, JsonValue]] = {"type": "object"}


def schemas() -> dict[str, JsonValue]:
    """Return every named schema of what is answered."""
    return {
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
    reason = or_null(
        object_of({"code": enum_of(ReasonCode), "message": TEXT, "effect": enum_of(Effect)})
    )
    evaluation = object_of(
        {
            "at": TIME,
            "result": {"type": "string", "enum": [Result.SUCCEEDED.value, Result.FAILED.value]},
            "reason": reason,
            "status": {"type": ["integer", "null"]},
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
            "reason": reason,
            "completionEvent": enum_of(CompletionEvent),
            "request": or_null(object_of({"method": TEXT, "url": TEXT, "headers": TEXTS_BY_NAME})),
            "response": or_null(response),
            "criteria": or_null(criteria),
            "attempts": {
                "type": "integer",
                "minimum": 0,
                "description": "How many requests were begun; status requests do not count.",
            },
            "evaluations": {
                "type": "array",
                "items": evaluation,
                "maxItems": MOST_EVALUATIONS,
                "description": "Those of a gate, the last ones.",
            },
            "outputs": {
                **TEXTS_BY_NAME,
                "description": "Of the last answer, or the variables its external service set;"
                f" each of {LONGEST_OUTPUT_BYTES} bytes at most.",
            },
            "variables": TEXTS_BY_NAME,
            "createdAt": TIME,
            "startedAt": or_null(TIME),
            "finishedAt": or_null(TIME),
            "deadline": {
                **TIME,
                "description": "timeoutInMinutes after createdAt, or the timeout of gate or poll.",
            },
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
