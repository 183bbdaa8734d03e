"""The invocation as callers read it (contract, section 4) and its status (section 1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from invoke_core.model import (
    CompletionEvent,
    Correlation,
    CriteriaView,
    Effect,
    Invocation,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    RequestView,
    ResponseView,
    Result,
    State,
)
from invoke_core.web.invocations import invocation_document, status_of

START = datetime(2026, 1, 27, 12, 30, 0, 123456, tzinfo=UTC)

BARE = Invocation(
    id="plan-1",
    display_name="Invoke REST API: GET",
    connection="generic_demo",
    caller="local",
    state=State.PENDING,
    result=None,
    reason=None,
    completion_event=CompletionEvent.API_RESPONSE,
    request=None,
    response=None,
    criteria=None,
    attempts=0,
    created_at=START,
    started_at=None,
    finished_at=None,
    deadline=START + timedelta(minutes=60),
    correlation=Correlation(
        plan_url="https://invoke.example.com/azdo/default/",
        project_id="project-1",
        hub_name="build",
        plan_id="plan-1",
        job_id="job-1",
        timeline_id="timeline-1",
        task_instance_id="task-1",
    ),
)

FAILED = replace(
    BARE,
    state=State.COMPLETED,
    result=Result.FAILED,
    reason=Reason(ReasonCode.CRITERIA_NOT_MET, "It is not.", Effect.ANSWERED),
    request=RequestView(method="GET", url="https://h/?code=***", headers={"AuthToken": "***"}),
    response=ResponseView(
        status=200, headers={"A": "b"}, body={"c": []}, body_truncated=False, elapsed_ms=12
    ),
    criteria=CriteriaView(
        expression="false", result=False, trace=("Evaluating: false",), explanation={"text": "x"}
    ),
    attempts=1,
    started_at=START + timedelta(seconds=1),
    finished_at=START.replace(microsecond=0) + timedelta(seconds=2),
    issues=(Issue(IssueType.ERROR, "It is not."), Issue(IssueType.WARNING, "Mind.")),
)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result.SUCCEEDED, 200),
        (Result.SUCCEEDED_WITH_ISSUES, 200),
        (Result.SKIPPED, 200),
        (Result.FAILED, 424),
        (Result.CANCELED, 424),
        (Result.ABANDONED, 424),
    ],
)
def test_the_status_is_the_outcome(result: Result, status: int) -> None:
    assert status_of(replace(BARE, state=State.COMPLETED, result=result)) == status


@pytest.mark.parametrize("state", [State.PENDING, State.IN_PROGRESS])
def test_what_has_not_ended_is_accepted_and_not_failed(state: State) -> None:
    assert status_of(replace(BARE, state=state)) == 202


def test_absent_parts_are_null_and_not_missing() -> None:
    own = "https://invoke.example.com/api/invocations/plan-1"

    document = invocation_document(BARE, variables={}, base_url="https://invoke.example.com")

    assert document == {
        "id": "plan-1",
        "displayName": "Invoke REST API: GET",
        "connection": "generic_demo",
        "caller": "local",
        "state": "pending",
        "result": None,
        "reason": None,
        "completionEvent": "ApiResponse",
        "request": None,
        "response": None,
        "criteria": None,
        "attempts": 0,
        "evaluations": [],
        "outputs": {},
        "variables": {},
        "createdAt": "2026-01-27T12:30:00.123Z",
        "startedAt": None,
        "finishedAt": None,
        "deadline": "2026-01-27T13:30:00.123Z",
        "correlation": {
            "planUrl": "https://invoke.example.com/azdo/default/",
            "projectId": "project-1",
            "hubName": "build",
            "planId": "plan-1",
            "jobId": "job-1",
            "timelineId": "timeline-1",
            "taskInstanceId": "task-1",
        },
        "links": {
            "self": own,
            "log": f"{own}/log",
            "cancel": f"{own}/cancel",
            "outputs": f"{own}/outputs",
            "events": None,
        },
        "issues": [],
    }


def test_every_part_has_the_names_of_the_contract() -> None:
    document = invocation_document(FAILED, variables={}, base_url="https://invoke.example.com")

    assert {
        name: document[name]
        for name in ("state", "result", "reason", "request", "response", "criteria", "attempts")
    } == {
        "state": "completed",
        "result": "failed",
        "reason": {"code": "criteriaNotMet", "message": "It is not.", "effect": "answered"},
        "request": {"method": "GET", "url": "https://h/?code=***", "headers": {"AuthToken": "***"}},
        "response": {
            "status": 200,
            "headers": {"A": "b"},
            "body": {"c": []},
            "bodyTruncated": False,
            "elapsedMs": 12,
        },
        "criteria": {
            "expression": "false",
            "result": False,
            "trace": ["Evaluating: false"],
            "explanation": {"text": "x"},
        },
        "attempts": 1,
    }
    assert document["issues"] == [
        {"type": "error", "message": "It is not."},
        {"type": "warning", "message": "Mind."},
    ]


def test_times_are_rfc_3339_in_utc() -> None:
    document = invocation_document(FAILED, variables={}, base_url="")

    assert document["startedAt"] == "2026-01-27T12:30:01.123Z"
    assert document["finishedAt"] == "2026-01-27T12:30:02.000Z"


def test_a_callback_has_the_link_its_service_reports_to() -> None:
    waiting = replace(BARE, completion_event=CompletionEvent.CALLBACK)

    links = invocation_document(waiting, variables={}, base_url="https://invoke.example.com")[
        "links"
    ]

    assert isinstance(links, dict)
    assert links["events"] == (
        "https://invoke.example.com/azdo/default/project-1/_apis/distributedtask"
        "/hubs/build/plans/plan-1/events"
    )
