"""The invocation as the HTTP contract writes it.

Source: HTTP contract, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.encoding import shown_form
from invoke_core.model import CompletionEvent, Result, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.model import Invocation

_PASSED: Final = frozenset({Result.SUCCEEDED, Result.SUCCEEDED_WITH_ISSUES, Result.SKIPPED})


MEMBERS: Final = (
    "id",
    "displayName",
    "connection",
    "caller",
    "state",
    "result",
    "reason",
    "completionEvent",
    "request",
    "response",
    "criteria",
    "attempts",
    "evaluations",
    "outputs",
    "variables",
    "createdAt",
    "startedAt",
    "finishedAt",
    "deadline",
    "correlation",
    "links",
    "issues",
)
"""The members of the document, in the order of the contract."""


def status_of(invocation: Invocation) -> int:
    """Return the HTTP status that tells the outcome (contract, section 1)."""
    if invocation.state is not State.COMPLETED:
        return 202
    return 200 if invocation.result in _PASSED else 424


def retry_after_s(invocation: Invocation, now: datetime) -> int:
    """Return the seconds after which to ask again: 1 to 30, more the longer it has lasted."""
    lasted_s = (now - invocation.created_at).total_seconds()
    return max(1, min(30, int(lasted_s / 10)))


def invocation_document(
    invocation: Invocation, *, variables: Mapping[str, str], base_url: str
) -> dict[str, JsonValue]:
    """Return the body that describes an invocation.

    Args:
        invocation: The invocation; its text is masked already.
        variables: What the external service set; secret ones are left out.
        base_url: Where this service is reached, without a slash at its end.

    Returns:
        Every member of the contract; absent parts are None.
    """
    document: dict[str, JsonValue] = {
        **shown_form(invocation),
        "outputs": {**all_outputs(invocation, variables)},
        "variables": {**variables},
        "links": _links(invocation, base_url),
    }
    return {name: document[name] for name in MEMBERS}


def all_outputs(invocation: Invocation, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what a task puts out; in Callback mode, that is what its external service set."""
    return {**invocation.outputs, **variables}


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
