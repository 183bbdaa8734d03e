"""Records of invocations for tests of the core."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from invoke_core.model import CompletionEvent, Correlation, Invocation, State
from invoke_core.records import Record

START = datetime(2026, 11, 24, 12, tzinfo=UTC)


def waiting_record() -> Record:
    """Return the record of a callback that waits for an hour."""
    correlation = Correlation(
        plan_url="https://invoke.example.com/azdo/default/",
        project_id="6c1b4e0a-52d7-4c39-9a57-0d1f6a3b8e21",
        hub_name="build",
        plan_id="11111111-1111-4111-8111-111111111111",
        job_id="22222222-2222-4222-8222-222222222222",
        timeline_id="33333333-3333-4333-8333-333333333333",
        task_instance_id="44444444-4444-4444-8444-444444444444",
    )
    invocation = Invocation(
        id=correlation.plan_id,
        display_name="Deploy",
        connection="demo",
        caller="local",
        state=State.IN_PROGRESS,
        result=None,
        reason=None,
        completion_event=CompletionEvent.CALLBACK,
        request=None,
        response=None,
        criteria=None,
        attempts=1,
        created_at=START,
        started_at=START,
        finished_at=None,
        deadline=START + timedelta(hours=1),
        correlation=correlation,
    )
    return Record(invocation=invocation)
