"""The one state machine of an invocation: (record, event, now) becomes a record.

``pending → inProgress → completed(result)``; what is completed stays as it is, whatever comes
later. Nothing here reads a clock or a store: two instances that see the same record, event and
time come to the same record, and a conditional write decides between those that saw different
ones. So clocks may differ without two truths.

Source: HTTP contract, section 2 ("Callback", "Time limits"), section 3 ("Retries"), section 4
(what is stored when) and section 6; design, "Work that outlives the call".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from invoke_core.model import Effect, Issue, IssueType, Reason, ReasonCode, Result, State
from invoke_core.records import Ending, Work, over_at, survives_interruption
from invoke_core.retries import may_repeat, pause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from invoke_core.model import CriteriaView, ResponseView
    from invoke_core.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run begins: the request that is due is about to be sent.

    Attributes:
        holder: A new name for this run.
        lease: How long it may take until it is taken for dead.
        token_hash: SHA-256 of the AuthToken it sends, where it has one.
        sealed: The secrets of the step, sealed with that token.
    """

    holder: str
    lease: timedelta
    token_hash: str = field(default="", repr=False)
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The exchange with the target is over.

    Attributes:
        result: How it ends the task; None where the task goes on and waits for its callback.
        reason: Why it failed; None where it did not.
        response: The answer, where there was one.
        criteria: How the criteria was evaluated, where one was.
        issues: Remarks that came up on the way.
        holder: The run that reports; empty for a task without work.
        told_pause: How long the target asks to be left alone, where it does.
        jitter: A random number from 0 to 1 that spreads the next try in time.
        held_until: Until when the process that reports would itself send the next request; None
            where it would not.
    """

    result: Result | None
    reason: Reason | None = None
    response: ResponseView | None = None
    criteria: CriteriaView | None = None
    issues: tuple[Issue, ...] = ()
    holder: str = ""
    told_pause: timedelta | None = None
    jitter: float = 0.0
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskCompleted:
    """The external service says that the task has ended."""

    result: Result


@dataclass(frozen=True, slots=True)
class Canceled:
    """A caller does not want the task any more."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something is to be remarked, once."""

    issue: Issue


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody looks; nothing but time has passed."""


Event = Begun | Exchanged | TaskCompleted | Canceled | Noted | Seen


def advance(record: Record, event: Event, now: datetime) -> Record:
    """Return what an event makes of a record.

    Args:
        record: The record as it is stored.
        event: What happened.
        now: When, by the clock of whoever saw it.

    Returns:
        The record to be stored in its place; the very same one where nothing changes. A deadline
        that has passed comes before the event.
    """
    record = _with_time(record, now)
    match event:
        case Begun():
            record = _begun(record, event, now)
        case Exchanged():
            record = _exchanged(record, event, now)
        case TaskCompleted(result):
            record = _completed(record, result, now)
        case Canceled():
            record = _canceled(record, now)
        case Noted(issue) if not record.is_final and issue not in record.invocation.issues:
            record = _with_issues(record, issue)
    return record


def skipped(record: Record, reason: Reason) -> Record:
    """Return the record of a task that is not to run at all; it ended as it was created."""
    return _ended(
        replace(record, report_by=None, work=None),
        Ending.SKIP,
        Result.SKIPPED,
        reason,
        record.invocation.created_at,
    )


def _with_time(record: Record, now: datetime) -> Record:
    """Let what is over end, at the moment it was over."""
    moment = over_at(record)
    if record.is_final or now < moment:
        return record
    if record.report_by is not None and not record.waits_for_callback:
        reason = Reason(
            ReasonCode.INTERRUPTED,
            "The process that ran the task ended before the request did; look at the target, "
            "whether it took effect, before you repeat it.",
            Effect.UNKNOWN,
        )
        return _ended(record, Ending.INTERRUPTION, Result.FAILED, reason, moment)
    minutes = (record.invocation.deadline - record.invocation.created_at).total_seconds() / 60
    within = f"within {minutes:g} minutes (timeoutInMinutes)"
    if record.waits_for_callback and _was_sent(record):
        code, message = ReasonCode.CALLBACK_TIMED_OUT, f"No TaskCompleted event came {within}."
    else:
        code, message = ReasonCode.TIMED_OUT, f"The request could not be sent {within}."
    reason = Reason(code, message, _effect(record))
    return _ended(record, Ending.DEADLINE, Result.FAILED, reason, moment)


def _completed(record: Record, result: Result, now: datetime) -> Record:
    if record.is_final or not record.waits_for_callback:
        return record
    return _ended(replace(record, reported=result), Ending.EVENT, result, _reported(result), now)


def _canceled(record: Record, now: datetime) -> Record:
    if record.is_final:
        return record
    reason = Reason(ReasonCode.CANCELED, "A caller canceled the task.", _effect(record))
    return _ended(record, Ending.CANCEL, Result.CANCELED, reason, now)


def _begun(record: Record, event: Begun, now: datetime) -> Record:
    """Let a run begin, unless another one is under way, or nothing is due."""
    work = record.work
    if record.is_final or work is None:
        return record
    invocation = record.invocation
    issues: tuple[Issue, ...] = ()
    if record.report_by is not None:
        if now < record.report_by or not survives_interruption(record):
            return record
        lost = f"The process that sent request {invocation.attempts} was lost; it is sent again."
        issues = (Issue(IssueType.WARNING, lost),)
    elif work.due_at is None or now < work.due_at:
        return record
    return replace(
        record,
        report_by=now + event.lease,
        token_hash=event.token_hash,
        sealed=event.sealed,
        work=replace(
            work,
            due_at=None,
            is_held=False,
            holder=event.holder,
            interruptions=work.interruptions + len(issues),
        ),
        invocation=replace(
            invocation,
            state=State.IN_PROGRESS,
            attempts=invocation.attempts + 1,
            started_at=invocation.started_at or now,
            issues=(*invocation.issues, *issues),
        ),
    )


def _exchanged(record: Record, event: Exchanged, now: datetime) -> Record:
    invocation = record.invocation
    if record.report_by is None or event.holder != (record.work.holder if record.work else ""):
        return record
    issues: Sequence[Issue] = event.issues
    if record.is_final and event.reason is not None:
        late = f"The task had ended when its request did. {event.reason.message}"
        issues = (*issues, Issue(IssueType.WARNING, late))
    reported = replace(
        record,
        report_by=None,
        invocation=replace(
            invocation,
            response=event.response,
            criteria=event.criteria,
            issues=(*invocation.issues, *issues),
        ),
    )
    if record.is_final or event.result is None:
        return reported
    if record.work is not None and event.reason is not None and _may_be_tried_again(record, event):
        return _tried_again(reported, record.work, event, event.reason, now)
    return _ended(reported, Ending.EXCHANGE, event.result, event.reason, now)


def _may_be_tried_again(record: Record, event: Exchanged) -> bool:
    work, request, reason = record.work, record.invocation.request, event.reason
    return (
        work is not None
        and request is not None
        and reason is not None
        and event.result is Result.FAILED
        and _failures(record, work) <= work.retries
        and may_repeat(
            method=request.method,
            reason=reason,
            status=event.response.status if event.response else None,
        )
    )


def _failures(record: Record, work: Work) -> int:
    """Return how many requests have failed; those lost with their process are not the task's."""
    return record.invocation.attempts - work.interruptions


def _tried_again(
    record: Record, work: Work, event: Exchanged, reason: Reason, now: datetime
) -> Record:
    """Let a failed task wait for its next try, or end where that would come too late."""
    failures = _failures(record, work)
    due_at = now + pause(failures, jitter=event.jitter, told=event.told_pause)
    if due_at >= record.invocation.deadline:
        late = (
            "It was not tried again: the next request would have been sent after the task's time "
            "(timeoutInMinutes)."
        )
        record = _with_issues(record, Issue(IssueType.WARNING, late))
        return _ended(record, Ending.EXCHANGE, Result.FAILED, reason, now)
    remark = f"Try {failures} of {work.retries + 1} failed: {reason.code}: {reason.message}"
    return replace(
        _with_issues(record, Issue(IssueType.WARNING, remark)),
        work=replace(
            work,
            holder="",
            due_at=due_at,
            is_held=event.held_until is not None and due_at <= event.held_until,
        ),
    )


def _ended(
    record: Record, by: Ending, result: Result, reason: Reason | None, at: datetime
) -> Record:
    """End a record.

    With ``continueOnError`` a failure is only an issue (agentless protocol, section 8).
    """
    invocation = record.invocation
    if result is Result.FAILED and record.continue_on_error:
        result = Result.SUCCEEDED_WITH_ISSUES
    issues = invocation.issues
    if reason is not None and result is not Result.SKIPPED:
        issues = (Issue(IssueType.ERROR, reason.message), *issues)
    return replace(
        record,
        ended_by=by,
        invocation=replace(
            invocation,
            state=State.COMPLETED,
            result=result,
            reason=reason,
            finished_at=max(at, invocation.created_at),
            issues=issues,
        ),
    )


def _with_issues(record: Record, *issues: Issue) -> Record:
    invocation = record.invocation
    return replace(record, invocation=replace(invocation, issues=(*invocation.issues, *issues)))


def _reported(result: Result) -> Reason | None:
    if result in {Result.SUCCEEDED, Result.SUCCEEDED_WITH_ISSUES, Result.SKIPPED}:
        return None
    return Reason(
        ReasonCode.CALLBACK_FAILED,
        f"The external service completed the task with the result '{result}'.",
        Effect.ANSWERED,
    )


def _was_sent(record: Record) -> bool:
    return record.invocation.attempts > 0


def _effect(record: Record) -> Effect:
    if not _was_sent(record):
        return Effect.NONE
    return Effect.UNKNOWN if record.invocation.response is None else Effect.ANSWERED
