"""One line of each kind that the log of the process has, from records that really change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from invoke_core import telemetry
from invoke_core.errors import PolicyError, StoreUnavailableError
from invoke_core.events import Begun, Exchanged, StatusUrl, TaskCompleted
from invoke_core.lifecycle import advance
from invoke_core.model import CompletionEvent, RequestView, Result
from invoke_core.records import Gate, Polling, Work
from tests.state.parts import BAD_STATUS, START, VALID, new_record

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.events import Event
    from invoke_core.records import Record
    from invoke_core.telemetry import Line, Told

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACE = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
PLAN_ID = "11111111-1111-4111-8111-111111111111"
HOLDER = "run"
LEASE = timedelta(seconds=60)
INTERVAL = timedelta(minutes=5)
BEGUN = Begun(holder=HOLDER, lease=LEASE)
GOES_ON = replace(
    VALID,
    holder=HOLDER,
    status_url=StatusUrl(url="sealed", shown_url="https://api.example.com/op", source="location"),
)


def at(**duration: float) -> datetime:
    return START + timedelta(**duration)


def callback() -> Record:
    """Return a callback whose request is under way, with a trace context."""
    record = new_record(plan_id=PLAN_ID)
    request = RequestView(
        method="POST", url="https://api.example.com", headers={"Traceparent": TRACE["traceparent"]}
    )
    return replace(record, invocation=replace(record.invocation, request=request))


def due(*, gate: bool = False, poll: bool = False, retries: int = 1, method: str = "GET") -> Record:
    """Return a task that is due now."""
    record = new_record(plan_id=PLAN_ID, mode=CompletionEvent.API_RESPONSE)
    request = RequestView(method=method, url="https://api.example.com", headers={})
    work = Work(
        due_at=START,
        retries=retries,
        gate=Gate(interval=INTERVAL, success=timedelta(0), due_at=START) if gate else None,
        poll=Polling(interval=INTERVAL) if poll else None,
    )
    invocation = replace(record.invocation, attempts=0, request=request)
    return replace(record, report_by=None, work=work, invocation=invocation)


def lines(record: Record, *events: tuple[Event, datetime]) -> list[Line]:
    """Return the lines of events that happen to a record, one after the other."""
    told = []
    for event, now in events:
        after = advance(record, event, now)
        told += telemetry.told_lines(record, after, event, now)
        record = after
    return told


def failed(outcome: Exchanged = BAD_STATUS) -> Exchanged:
    """Return a failure of the run that holds the task, which may be tried again."""
    assert outcome.response is not None
    return replace(outcome, holder=HOLDER, response=replace(outcome.response, status=503))


def one_of_each() -> dict[Told, Line]:
    """Return a line of each kind."""
    invocation = callback().invocation
    down = StoreUnavailableError("InvokeStorage", "no connection")
    refused = PolicyError("The connection does not grant this.")
    refused.connection = "demo"
    told = [
        *lines(callback(), (VALID, at(seconds=1)), (TaskCompleted(Result.FAILED), at(minutes=2))),
        *lines(due(), (BEGUN, at(seconds=31)), (failed(), at(seconds=32))),
        *lines(due(), (BEGUN, START), (replace(BEGUN, holder="other"), at(minutes=1))),
        *lines(due(gate=True), (BEGUN, START), (failed(), at(seconds=1))),
        telemetry.not_stored_line(invocation, down),
        telemetry.given_up_line(invocation, START),
        telemetry.foreign_message_line(),
        telemetry.store_line(down),
        *telemetry.problem_lines(refused, status=403, code="connectionPolicy", headers=TRACE),
        *telemetry.problem_lines(down, status=503, code="storeUnavailable", headers=TRACE),
    ]
    return {line.event: line for line in told}
