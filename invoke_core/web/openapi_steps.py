"""The schemas of a step, in the OpenAPI description.

Source: HTTP contract, sections 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.conditions import DEFAULT_CONDITION, STATUS_VARIABLE
from invoke_core.documents import JsonNumber
from invoke_core.model import Method
from invoke_core.outputs import MOST_OUTPUTS
from invoke_core.polling import AUTO
from invoke_core.steps import INPUT_ALIASES, LONGEST_TIMEOUT_MINUTES, MOST_RETRIES
from invoke_core.web.openapi_schemas import TEXT, object_of, or_null, ref

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

_SCALAR: Final[dict[str, JsonValue]] = {"type": ["string", "number", "boolean", "null"]}
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


def step_schemas() -> dict[str, JsonValue]:
    """Return every named schema of a step."""
    return {
        "Step": _step(),
        "Steps": _steps(),
        "Gate": _gate(),
        "Poll": _poll(),
        "Variables": _variables(),
    }


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
        "gate": {
            **or_null(ref("Gate")),
            "description": "Evaluates the task again until it passes; not with poll, retries or"
            " waitForCompletion. Its timeout replaces timeoutInMinutes.",
        },
        "poll": {
            **or_null(ref("Poll")),
            "description": "Waits for the long operation that the request starts; not with gate or"
            " waitForCompletion. Its timeoutMinutes replaces timeoutInMinutes.",
        },
        "outputs": {
            "type": ["object", "null"],
            "description": "Names with JSONPaths into the answer; not with waitForCompletion.",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": TEXT,
            "maxProperties": MOST_OUTPUTS,
            "examples": [{"id": "$.id"}],
        },
    }
    return {"type": "object", "properties": properties, "required": ["inputs"]}


def _gate() -> dict[str, JsonValue]:
    return {
        "type": "object",
        "description": "Minutes; names in any case.",
        "properties": {
            "samplingInterval": _amount(5, 0.01, LONGEST_TIMEOUT_MINUTES),
            "timeout": _amount(1440, 0.01, LONGEST_TIMEOUT_MINUTES),
            "stabilizationTime": {
                **_amount(0, 0, LONGEST_TIMEOUT_MINUTES),
                "description": "Before the first evaluation.",
            },
            "minimumSuccessDuration": {
                **_amount(0, 0, LONGEST_TIMEOUT_MINUTES),
                "description": "For how long every evaluation has to succeed.",
            },
        },
    }


def _poll() -> dict[str, JsonValue]:
    expression: dict[str, JsonValue] = {"type": ["string", "boolean", "number", "null"]}
    return {
        "type": "object",
        "description": "Names in any case.",
        "properties": {
            "statusUrl": {
                "type": ["string", "null"],
                "default": AUTO,
                "description": f"{AUTO}: from Operation-Location, Azure-AsyncOperation or Location;"
                " else a JSONPath into the first answer's body.",
            },
            "intervalSeconds": {
                **_amount(10, 0.1, 86_400),
                "description": "Where the answer has no Retry-After.",
            },
            "timeoutMinutes": _amount(60, 0.01, LONGEST_TIMEOUT_MINUTES),
            "until": {
                **expression,
                "description": "Expression that is true of the last answer; without it, 202 and the"
                " words of the member status decide.",
            },
            "failWhen": {
                **expression,
                "description": "Expression that is true where the operation has failed.",
            },
            "method": {
                "type": ["string", "null"],
                "default": Method.GET.value,
                "description": "Of status requests: GET, HEAD or POST, in any case.",
            },
        },
    }


def _amount(default: float, least: float, most: float) -> dict[str, JsonValue]:
    """Return the schema of a number; a fraction stands as its own text in a document."""
    return {
        "type": ["number", "string", "null"],
        "default": JsonNumber(f"{default:g}"),
        "minimum": JsonNumber(f"{least:g}"),
        "maximum": JsonNumber(f"{most:g}"),
    }


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
