"""The Azure-Pipelines-compatible half in the OpenAPI description.

Source: HTTP contract, section 6; agentless protocol, sections 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.web.openapi_schemas import OBJECT, TEXT, object_of

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

SECURITY: Final[dict[str, JsonValue]] = {
    "planTokenBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "Any user name; the AuthToken of the plan as the password.",
    },
    "planTokenBearer": {"type": "http", "scheme": "bearer"},
}
"""How an external service shows the token of its plan."""

PLAN_TOKEN: Final[list[JsonValue]] = [{"planTokenBasic": []}, {"planTokenBearer": []}]

_ROOT: Final = "/azdo/default"
_PLAN: Final = f"{_ROOT}/{{projectId}}/_apis/distributedtask/hubs/{{hubName}}/plans/{{planId}}"
_TIMELINE: Final = f"{_PLAN}/timelines/{{timelineId}}"
_COLLECTION: Final = object_of({"count": {"type": "integer"}, "value": {"type": "array"}})
_BYTES: Final[dict[str, JsonValue]] = {"type": "string", "format": "binary"}
_EVENT: Final[dict[str, JsonValue]] = {
    "type": "object",
    "description": "Member names in any case.",
    "properties": {
        "name": {"type": "string", "enum": ["TaskAssigned", "TaskStarted", "TaskCompleted"]},
        "jobId": {"type": "string", "format": "uuid"},
        "taskId": {"type": "string", "format": "uuid"},
        "result": {"description": "With TaskCompleted; a word or its number."},
    },
    "required": ["name", "jobId"],
}


def pipeline_paths() -> dict[str, JsonValue]:
    """Return the paths of this half; all but the first are behind the catch-all."""
    operations: dict[str, dict[str, JsonValue]] = {
        f"{_PLAN}/events": {"post": _operation("events", "Take an event", body=_EVENT, status=204)},
        _PLAN: {"get": _operation("pipelines_plan", "The plan", answer=OBJECT)},
        f"{_PLAN}/timelines": {
            "post": _operation(
                "pipelines_timeline_create", "The one timeline", body=OBJECT, answer=OBJECT
            )
        },
        _TIMELINE: {"get": _operation("pipelines_timeline", "The timeline", answer=OBJECT)},
        f"{_TIMELINE}/records": {
            "get": _operation("pipelines_records", "All records", answer=_COLLECTION),
            "patch": _operation(
                "pipelines_records_patch",
                "Create and change records; null changes nothing",
                body=OBJECT,
                answer=_COLLECTION,
            ),
        },
        f"{_TIMELINE}/records/{{recordId}}/feed": {
            "post": _operation(
                "pipelines_feed", "Add lines to the live log", body=OBJECT, status=204
            )
        },
        f"{_PLAN}/logs": {
            "get": _operation("pipelines_logs", "All logs", answer=_COLLECTION),
            "post": _operation("pipelines_log_create", "Create a log", body=OBJECT, answer=OBJECT),
        },
        f"{_PLAN}/logs/{{logId}}": {
            "get": _operation("pipelines_log_lines", "The lines of a log", answer=_COLLECTION),
            "post": _operation(
                "pipelines_log_append",
                "Add a page of text, whatever type it is said to be",
                body=_BYTES,
                body_type="application/octet-stream",
                answer=OBJECT,
            ),
        },
        f"{_ROOT}/_apis": {
            "options": _discovery("pipelines_locations", "Where everything is", _COLLECTION)
        },
        f"{_ROOT}/_apis/{{area}}": {
            "options": _discovery("pipelines_area", "Where everything of an area is", _COLLECTION)
        },
        f"{_ROOT}/_apis/connectionData": {
            "get": _discovery("pipelines_connection", "What this server is", OBJECT)
        },
        f"{_ROOT}/_apis/ResourceAreas": {
            "get": _discovery("pipelines_areas", "No other servers", _COLLECTION)
        },
    }
    return {path: {"parameters": _parameters(path), **each} for path, each in operations.items()}


def _parameters(path: str) -> list[JsonValue]:
    """Return the parameters that stand in a path."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": TEXT, "description": _NOTES[name]}
        for name in names
    ]


_NOTES: Final = {
    "projectId": "Anything; the token decides.",
    "hubName": "Anything; the token decides.",
    "planId": "The id of the invocation.",
    "timelineId": "Any GUID; a plan has one timeline.",
    "recordId": "Any GUID.",
    "logId": "A number.",
    "area": "In any case.",
}


def _operation(
    name: str,
    summary: str,
    *,
    body: dict[str, JsonValue] | None = None,
    body_type: str = "application/json",
    answer: dict[str, JsonValue] | None = None,
    status: int = 200,
) -> dict[str, JsonValue]:
    done: dict[str, JsonValue] = {"description": "Done."}
    if answer is not None:
        done["content"] = {"application/json": {"schema": answer}}
    operation: dict[str, JsonValue] = {
        "operationId": name,
        "summary": summary,
        "security": PLAN_TOKEN,
        "responses": {
            str(status): done,
            "401": {
                "description": "Not this plan's token; the body is empty.",
                "headers": {"WWW-Authenticate": {"required": True, "schema": TEXT}},
            },
            "default": _refusal("As Azure DevOps shapes it; 409: the task ended otherwise."),
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {body_type: {"schema": body}}}
    return operation


def _discovery(name: str, summary: str, answer: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{}],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            "503": _refusal("A setting is faulty."),
        },
    }


def _refusal(description: str) -> dict[str, JsonValue]:
    schema: dict[str, JsonValue] = {"$ref": "#/components/schemas/DevOpsError"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
