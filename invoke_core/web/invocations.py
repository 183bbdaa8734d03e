"""The invocation as the HTTP contract writes it.

Source: HTTP contract, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.model import CompletionEvent, Result, State

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.model import (
        Correlation,
        CriteriaView,
        Invocation,
        Reason,
        RequestView,
        ResponseView,
    )

_PASSED: Final = frozenset({Result.SUCCEEDED, Result.SUCCEEDED_WITH_ISSUES, Result.SKIPPED})


def status_of(invocation: Invocation) -> int:
    """Return the HTTP status that tells the outcome (contract, section 1)."""
    if invocation.state is not State.COMPLETED:
        return 202
    return 200 if invocation.result in _PASSED else 424


def invocation_document(invocation: Invocation, *, base_url: str) -> dict[str, JsonValue]:
    """Return the body that describes an invocation.

    Args:
        invocation: The invocation; its text is masked already.
        base_url: Where this service is reached, without a slash at its end.

    Returns:
        Every member of the contract; absent parts are None.
    """
    return {
        "id": invocation.id,
        "displayName": invocation.display_name,
        "connection": invocation.connection,
        "caller": invocation.caller,
        "state": invocation.state.value,
        "result": invocation.result.value if invocation.result else None,
        "reason": _reason(invocation.reason),
        "completionEvent": invocation.completion_event.value,
        "request": _request(invocation.request),
        "response": _response(invocation.response),
        "criteria": _criteria(invocation.criteria),
        "attempts": invocation.attempts,
        "evaluations": [],
        "outputs": {},
        "variables": {},
        "createdAt": _time(invocation.created_at),
        "startedAt": _time(invocation.started_at),
        "finishedAt": _time(invocation.finished_at),
        "deadline": _time(invocation.deadline),
        "correlation": _correlation(invocation.correlation),
        "links": _links(invocation, base_url),
        "issues": [
            {"type": issue.type.value, "message": issue.message} for issue in invocation.issues
        ],
    }


def _reason(reason: Reason | None) -> JsonValue:
    if reason is None:
        return None
    return {
        "code": reason.code.value,
        "message": reason.message,
        "effect": reason.effect.value,
    }


def _request(request: RequestView | None) -> JsonValue:
    if request is None:
        return None
    return {"method": request.method, "url": request.url, "headers": {**request.headers}}


def _response(response: ResponseView | None) -> JsonValue:
    if response is None:
        return None
    return {
        "status": response.status,
        "headers": {**response.headers},
        "body": response.body,
        "bodyTruncated": response.body_truncated,
        "elapsedMs": response.elapsed_ms,
    }


def _criteria(criteria: CriteriaView | None) -> JsonValue:
    if criteria is None:
        return None
    return {
        "expression": criteria.expression,
        "result": criteria.result,
        "trace": list(criteria.trace),
        "explanation": criteria.explanation,
    }


def _correlation(correlation: Correlation) -> JsonValue:
    return {
        "planUrl": correlation.plan_url,
        "projectId": correlation.project_id,
        "hubName": correlation.hub_name,
        "planId": correlation.plan_id,
        "jobId": correlation.job_id,
        "timelineId": correlation.timeline_id,
        "taskInstanceId": correlation.task_instance_id,
    }


def _links(invocation: Invocation, base_url: str) -> JsonValue:
    own = f"{base_url}/api/invocations/{invocation.id}"
    ids = invocation.correlation
    events = (
        f"{ids.plan_url}{ids.project_id}/_apis/distributedtask/hubs/{ids.hub_name}"
        f"/plans/{ids.plan_id}/events"
    )
    return {
        "self": own,
        "log": f"{own}/log",
        "cancel": f"{own}/cancel",
        "outputs": f"{own}/outputs",
        "events": events if invocation.completion_event is CompletionEvent.CALLBACK else None,
    }


def _time(moment: datetime | None) -> str | None:
    """Return an instant as RFC 3339 with milliseconds and a Z."""
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
