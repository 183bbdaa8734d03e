"""The stored form of records, which is the form the contract shows.

What is kept of an invocation is what may be shown of it, so both are one document; the record
adds what nobody is shown.

Source: HTTP contract, section 4; design, "State" (rows carry a schema number).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from invoke_core.documents import JsonNumber, dump_json
from invoke_core.model import (
    CompletionEvent,
    Correlation,
    CriteriaView,
    Effect,
    Evaluation,
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
from invoke_core.records import Ending, Gate, Polling, Record, Work

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

_MS: Final = timedelta(milliseconds=1)

SCHEMA: Final = 1
"""Written into every row; a row with a higher number was written by a later version."""


def shown_form(invocation: Invocation) -> dict[str, JsonValue]:
    """Return an invocation as the contract writes it, without what is derived from it.

    Args:
        invocation: The invocation; its text is masked already.

    Returns:
        Every stored member of the contract; absent parts are None. Members that are derived
        (``links``, ``variables``) are not in it.
    """
    return {
        "id": invocation.id,
        "displayName": invocation.display_name,
        "connection": invocation.connection,
        "caller": invocation.caller,
        "state": invocation.state.value,
        "result": invocation.result.value if invocation.result else None,
        "reason": _reason_form(invocation.reason),
        "completionEvent": invocation.completion_event.value,
        "request": _request_form(invocation.request),
        "response": _response_form(invocation.response),
        "criteria": _criteria_form(invocation.criteria),
        "attempts": invocation.attempts,
        "evaluations": [_evaluation_form(one) for one in invocation.evaluations],
        "outputs": {**invocation.outputs},
        "createdAt": time_form(invocation.created_at),
        "startedAt": optional_time_form(invocation.started_at),
        "finishedAt": optional_time_form(invocation.finished_at),
        "deadline": time_form(invocation.deadline),
        "correlation": _correlation_form(invocation.correlation),
        "issues": [
            {"type": issue.type.value, "message": issue.message} for issue in invocation.issues
        ],
    }


def time_form(moment: datetime) -> str:
    """Return an instant as RFC 3339 with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional_time_form(moment: datetime | None) -> str | None:
    """Return an instant as ``time_form`` does, and None for none."""
    return None if moment is None else time_form(moment)


def read_time(text: str) -> datetime:
    """Return the instant that ``time_form`` wrote."""
    return datetime.fromisoformat(text)


def encode_record(record: Record) -> bytes:
    """Return a record as the bytes to store."""
    return encode(
        {
            "invocation": shown_form(record.invocation),
            "endedBy": record.ended_by.value if record.ended_by else None,
            "reported": record.reported.value if record.reported else None,
            "continueOnError": record.continue_on_error,
            "reportBy": optional_time_form(record.report_by),
            "work": _work_form(record.work),
            "tokenHash": record.token_hash,
            "sealed": record.sealed,
            "claim": record.claim,
            "content": record.content,
            "isReplayed": record.is_replayed,
        }
    )


def decode_record(value: bytes) -> Record:
    """Return the record that ``encode_record`` wrote."""
    row = decode(value)
    return Record(
        invocation=_invocation(row["invocation"]),
        ended_by=Ending(row["endedBy"]) if row["endedBy"] else None,
        reported=_reported(row),
        continue_on_error=row.get("continueOnError", False),
        report_by=_optional_time(row["reportBy"]),
        work=_work(row.get("work")),
        token_hash=row["tokenHash"],
        sealed=row["sealed"],
        claim=row["claim"],
        content=row["content"],
        is_replayed=row.get("isReplayed", False),
    )


def encode(row: dict[str, JsonValue]) -> bytes:
    """Return any row as bytes, with the schema number."""
    return dump_json({"schema": SCHEMA, **row}).encode()


def decode(value: bytes) -> dict[str, Any]:
    """Return the row that ``encode`` wrote; numbers are ``JsonNumber``.

    The members are typed by whoever wrote them, so nothing is checked here.
    """
    row: dict[str, Any] = json.loads(value, parse_int=JsonNumber, parse_float=JsonNumber)
    return row


def whole_number(number: JsonNumber) -> int:
    """Return a stored count."""
    return int(number.text)


def _work_form(work: Work | None) -> JsonValue:
    if work is None:
        return None
    return {
        "retries": work.retries,
        "dueAt": optional_time_form(work.due_at),
        "isHeld": work.is_held,
        "holder": work.holder,
        "turn": work.turn,
        "interruptions": work.interruptions,
        "gate": _gate_form(work.gate),
        "poll": _poll_form(work.poll),
    }


def _gate_form(gate: Gate | None) -> JsonValue:
    if gate is None:
        return None
    return {
        "intervalMs": _ms(gate.interval),
        "successMs": _ms(gate.success),
        "dueAt": time_form(gate.due_at),
        "succeededSince": optional_time_form(gate.succeeded_since),
    }


def _poll_form(poll: Polling | None) -> JsonValue:
    if poll is None:
        return None
    return {
        "intervalMs": _ms(poll.interval),
        "url": poll.url,
        "shownUrl": poll.shown_url,
        "source": poll.source,
        "failures": poll.failures,
    }


def _ms(duration: timedelta) -> int:
    return round(duration / _MS)


def _reason_form(reason: Reason | None) -> JsonValue:
    if reason is None:
        return None
    return {
        "code": reason.code.value,
        "message": reason.message,
        "effect": reason.effect.value,
    }


def _request_form(request: RequestView | None) -> JsonValue:
    if request is None:
        return None
    return {"method": request.method, "url": request.url, "headers": {**request.headers}}


def _evaluation_form(evaluation: Evaluation) -> JsonValue:
    return {
        "at": time_form(evaluation.at),
        "result": evaluation.result.value,
        "reason": _reason_form(evaluation.reason),
        "status": evaluation.status,
    }


def _response_form(response: ResponseView | None) -> JsonValue:
    if response is None:
        return None
    return {
        "status": response.status,
        "headers": {**response.headers},
        "body": response.body,
        "bodyTruncated": response.body_truncated,
        "elapsedMs": response.elapsed_ms,
    }


def _criteria_form(criteria: CriteriaView | None) -> JsonValue:
    if criteria is None:
        return None
    return {
        "expression": criteria.expression,
        "result": criteria.result,
        "trace": list(criteria.trace),
        "explanation": criteria.explanation,
    }


def _correlation_form(correlation: Correlation) -> JsonValue:
    return {
        "planUrl": correlation.plan_url,
        "projectId": correlation.project_id,
        "hubName": correlation.hub_name,
        "planId": correlation.plan_id,
        "jobId": correlation.job_id,
        "timelineId": correlation.timeline_id,
        "taskInstanceId": correlation.task_instance_id,
    }


def _invocation(form: dict[str, Any]) -> Invocation:
    ids = form["correlation"]
    return Invocation(
        id=form["id"],
        display_name=form["displayName"],
        connection=form["connection"],
        caller=form["caller"],
        state=State(form["state"]),
        result=Result(form["result"]) if form["result"] else None,
        reason=_reason(form["reason"]),
        completion_event=CompletionEvent(form["completionEvent"]),
        request=RequestView(**form["request"]) if form["request"] else None,
        response=_response(form["response"]),
        criteria=_criteria(form["criteria"]),
        attempts=whole_number(form["attempts"]),
        evaluations=tuple(_evaluation(one) for one in form.get("evaluations", ())),
        outputs=form.get("outputs", {}),
        created_at=read_time(form["createdAt"]),
        started_at=_optional_time(form["startedAt"]),
        finished_at=_optional_time(form["finishedAt"]),
        deadline=read_time(form["deadline"]),
        correlation=Correlation(
            plan_url=ids["planUrl"],
            project_id=ids["projectId"],
            hub_name=ids["hubName"],
            plan_id=ids["planId"],
            job_id=ids["jobId"],
            timeline_id=ids["timelineId"],
            task_instance_id=ids["taskInstanceId"],
        ),
        issues=tuple(Issue(IssueType(issue["type"]), issue["message"]) for issue in form["issues"]),
    )


def _reported(row: dict[str, Any]) -> Result | None:
    """Return the result an external service reported.

    Rows of a version that knew no ``continueOnError`` do not tell it: it is the result there.
    """
    if "reported" in row:
        return Result(row["reported"]) if row["reported"] else None
    return Result(row["invocation"]["result"]) if row["endedBy"] == Ending.EVENT else None


def _work(form: dict[str, Any] | None) -> Work | None:
    if form is None:
        return None
    return Work(
        retries=whole_number(form["retries"]),
        due_at=_optional_time(form["dueAt"]),
        is_held=form["isHeld"],
        holder=form["holder"],
        turn=whole_number(form["turn"]) if "turn" in form else 0,
        interruptions=whole_number(form["interruptions"]),
        gate=_gate(form.get("gate")),
        poll=_poll(form.get("poll")),
    )


def _gate(form: dict[str, Any] | None) -> Gate | None:
    if form is None:
        return None
    return Gate(
        interval=whole_number(form["intervalMs"]) * _MS,
        success=whole_number(form["successMs"]) * _MS,
        due_at=read_time(form["dueAt"]),
        succeeded_since=_optional_time(form["succeededSince"]),
    )


def _poll(form: dict[str, Any] | None) -> Polling | None:
    if form is None:
        return None
    return Polling(
        interval=whole_number(form["intervalMs"]) * _MS,
        url=form["url"],
        shown_url=form["shownUrl"],
        source=form["source"],
        failures=whole_number(form["failures"]),
    )


def _reason(form: dict[str, Any] | None) -> Reason | None:
    if form is None:
        return None
    return Reason(ReasonCode(form["code"]), form["message"], Effect(form["effect"]))


def _evaluation(form: dict[str, Any]) -> Evaluation:
    return Evaluation(
        at=read_time(form["at"]),
        result=Result(form["result"]),
        reason=_reason(form["reason"]),
        status=None if form["status"] is None else whole_number(form["status"]),
    )


def _response(form: dict[str, Any] | None) -> ResponseView | None:
    if form is None:
        return None
    return ResponseView(
        status=whole_number(form["status"]),
        headers=form["headers"],
        body=form["body"],
        body_truncated=form["bodyTruncated"],
        elapsed_ms=whole_number(form["elapsedMs"]),
    )


def _criteria(form: dict[str, Any] | None) -> CriteriaView | None:
    if form is None:
        return None
    return CriteriaView(
        expression=form["expression"],
        result=form["result"],
        trace=tuple(form["trace"]),
        explanation=form["explanation"],
    )


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
