"""The one state machine of an invocation: (record, event, now) becomes a record.

``pending → inProgress → completed(result)``; what is completed stays as it is, whatever comes
later. Nothing here reads a clock or a store: two instances that see the same record, event and
time come to the same record, and a conditional write decides between those that saw different
ones. So clocks may differ without two truths.

Source: HTTP contract, section 2 ("Callback", "Time limits"), section 3 ("Retries"), section 4
(what is stored when) and section 6; design, "Work that outlives the call".
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.events import (
    Begun,
    Canceled,
    Event,
    Exchanged,
    Noted,
    Replayed,
    StatusUrl,
    TaskCompleted,
    Withdrawn,
)
from invoke_core.gates import MOST_EVALUATIONS
from invoke_core.model import (
    Effect,
    Evaluation,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    Result,
    State,
)
from invoke_core.records import (
    CLOCK_DIFFERENCE,
    MOST_POLL_FAILURES,
    Ending,
    Polling,
    Work,
    alarm_at,
    over_at,
    survives_interruption,
)
from invoke_core.retries import may_repeat, pause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invoke_core.records import Gate, Record

_SHORTEST_TOLD: Final = timedelta(seconds=1)
"""How soon a target is asked that says at once, unless the interval is shorter."""


_NEVER_SENT: Final = Reason(
    ReasonCode.INTERRUPTED,
    "The store failed before the request could be sent, so nothing was sent; repeat the task with "
    "another Idempotency-Key.",
    Effect.NONE,
)


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
    before = record
    record = _with_time(record, now)
    match event:
        case Begun():
            record = _begun(record, event, now)
        case Exchanged():
            # What is over by now ends with the report; nobody need look for that.
            record = _with_time(_exchanged(record, event, now), now)
        case TaskCompleted(result):
            record = _completed(record, result, now)
        case Canceled():
            record = _canceled(record, now)
        case Replayed() if _may_be_withdrawn(record) and not record.is_replayed:
            record = replace(record, is_replayed=True)
        case Withdrawn() if _may_be_withdrawn(record):
            record = _ended(record, Ending.INTERRUPTION, Result.FAILED, _NEVER_SENT, now)
        case Noted(issue) if not record.is_final and issue not in record.invocation.issues:
            record = _with_issues(record, issue)
    return _turned(before, record)


def _may_be_withdrawn(record: Record) -> bool:
    """Tell whether the call that stored an invocation may have been refused.

    What is left to do of a task is done by whoever comes to it, so such a one is sent in any case.
    """
    return not record.is_final and record.work is None and record.report_by is not None


def _turned(before: Record, after: Record) -> Record:
    """Count a change of when somebody has to look after a task."""
    if before.work is None or after.work is None:
        return after
    if alarm_at(after) in {None, alarm_at(before)}:
        return after
    return replace(after, work=replace(after.work, turn=before.work.turn + 1))


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
    if record.is_final:
        return record
    moment = over_at(record)
    if now >= moment:
        return _timed_out(record, moment)
    work = record.work
    if work is None or work.gate is None or record.report_by is None or now < record.report_by:
        return record
    if survives_interruption(record):
        return record
    reason = Reason(
        ReasonCode.INTERRUPTED,
        "The process that evaluated the gate was lost; whether the request took effect is not "
        "known, so it is not sent again before the next evaluation is due.",
        Effect.UNKNOWN,
    )
    lost = Exchanged(result=Result.FAILED, reason=reason)
    evaluated = _evaluated(replace(record, report_by=None), work, work.gate, lost, now)
    # The time of the gate may be over as well.
    return _with_time(evaluated, now)


def _timed_out(record: Record, moment: datetime) -> Record:
    if record.report_by is not None and _ends_with_its_request(record):
        reason = Reason(
            ReasonCode.INTERRUPTED,
            "The process that ran the task ended before the request did; look at the target, "
            "whether it took effect, before you repeat it.",
            Effect.UNKNOWN,
        )
        return _ended(record, Ending.INTERRUPTION, Result.FAILED, reason, moment)
    if record.report_by is not None and moment < record.invocation.deadline:
        reason = Reason(
            ReasonCode.POLL_FAILED,
            f"{MOST_POLL_FAILURES} status requests in a row have failed; the last one was lost "
            "with its process.",
            Effect.UNKNOWN,
        )
        return _ended(record, Ending.INTERRUPTION, Result.FAILED, reason, moment)
    minutes = (record.invocation.deadline - record.invocation.created_at).total_seconds() / 60
    code, message = _what_timed_out(record, f"within {minutes:g} minutes")
    reason = Reason(code, message, _effect(record))
    return _ended(record, Ending.DEADLINE, Result.FAILED, reason, moment)


def _ends_with_its_request(record: Record) -> bool:
    work = record.work
    waits = work is not None and (work.gate is not None or work.asks_status)
    return not waits and not record.waits_for_callback


def _what_timed_out(record: Record, within: str) -> tuple[ReasonCode, str]:
    work, evaluations = record.work, record.invocation.evaluations
    if work is not None and work.gate is not None:
        told = _last_evaluation(evaluations[-1]) if evaluations else "It was never evaluated."
        message = f"The gate did not pass {within} (gate.timeout). {told}"
        return ReasonCode.GATE_TIMED_OUT, message
    if work is not None and work.poll is not None:
        message = f"The operation was not over {within} (poll.timeoutMinutes)."
        return ReasonCode.POLL_TIMED_OUT, message
    within = f"{within} (timeoutInMinutes)"
    if record.waits_for_callback and _was_sent(record):
        return ReasonCode.CALLBACK_TIMED_OUT, f"No TaskCompleted event came {within}."
    if _was_sent(record):
        message = f"The task could not be tried again {within}; its issues tell what failed before."
        return ReasonCode.TIMED_OUT, message
    return ReasonCode.TIMED_OUT, f"The request could not be sent {within}."


def _last_evaluation(evaluation: Evaluation) -> str:
    if evaluation.reason is None:
        return "Its last evaluation succeeded, but not for long enough."
    return f"Its last evaluation failed: {evaluation.reason.code}: {evaluation.reason.message}"


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
    if record.report_by is not None:
        if now < record.report_by or not survives_interruption(record):
            return record
        record = _with_issues(record, Issue(IssueType.WARNING, _what_was_lost(record, work)))
        work = _lost(work)
    elif work.due_at is None or now < work.due_at:
        return record
    if work.gate is not None:
        due_at = work.due_at or work.gate.due_at
        is_late = now - due_at > CLOCK_DIFFERENCE
        work = replace(work, gate=replace(work.gate, due_at=now if is_late else due_at))
    invocation = record.invocation
    return replace(
        record,
        report_by=now + event.lease,
        token_hash=event.token_hash,
        sealed=event.sealed,
        work=replace(work, due_at=None, is_held=False, holder=event.holder),
        invocation=replace(
            invocation,
            state=State.IN_PROGRESS,
            attempts=invocation.attempts + (0 if work.asks_status else 1),
            started_at=invocation.started_at or now,
        ),
    )


def _what_was_lost(record: Record, work: Work) -> str:
    if work.asks_status:
        return "A process that asked for the status of the operation was lost; it is asked again."
    sent = record.invocation.attempts
    return f"The process that sent request {sent} was lost; it is sent again."


def _lost(work: Work) -> Work:
    """Count a run that was lost with its process."""
    if work.poll is not None and work.asks_status:
        return replace(work, poll=replace(work.poll, failures=work.poll.failures + 1))
    return replace(work, interruptions=work.interruptions + 1)


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
            outputs=event.outputs,
        ),
    )
    reported = _with_issues(reported, *issues)
    return reported if record.is_final else _decided(reported, event, now)


def _decided(record: Record, event: Exchanged, now: datetime) -> Record:
    """Return what comes after an exchange: an end, a wait, or another request."""
    work = record.work
    if work is not None and work.gate is not None:
        return _evaluated(record, work, work.gate, event, now)
    if work is not None and work.poll is not None and event.status_url is not None:
        return _asked_again(record, event, event.status_url, now)
    if event.result is None:
        return record
    if work is not None and event.reason is not None and _may_be_tried_again(record, event):
        return _tried_again(record, work, event, event.reason, now)
    return _ended(record, Ending.EXCHANGE, event.result, event.reason, now)


def _evaluated(record: Record, work: Work, gate: Gate, event: Exchanged, now: datetime) -> Record:
    """Take down an evaluation of a gate, which passes by it or is due again."""
    passed = event.result is Result.SUCCEEDED
    evaluation = Evaluation(
        at=now,
        result=Result.SUCCEEDED if passed else Result.FAILED,
        reason=event.reason,
        status=event.response.status if event.response else None,
    )
    kept = (*record.invocation.evaluations, evaluation)[-MOST_EVALUATIONS:]
    record = replace(record, invocation=replace(record.invocation, evaluations=kept))
    since = (gate.succeeded_since or gate.due_at) if passed else None
    if since is not None and gate.due_at - since >= gate.success:
        return _ended(record, Ending.EXCHANGE, Result.SUCCEEDED, None, now)
    # Evaluations that were missed are not made up for.
    steps = max(1, math.ceil((now - gate.due_at) / gate.interval))
    due_at = gate.due_at + steps * gate.interval
    is_in_time = due_at < record.invocation.deadline
    return replace(
        record,
        work=replace(
            work,
            holder="",
            due_at=due_at if is_in_time else None,
            interruptions=0,
            gate=replace(gate, succeeded_since=since),
        ),
    )


def _asked_again(record: Record, event: Exchanged, status_url: StatusUrl, now: datetime) -> Record:
    """Let an operation go on, and have its status asked once more."""
    work = record.work
    poll = work.poll if work else None
    if work is None or poll is None:
        return record
    failures = poll.failures + 1 if event.may_pass else 0
    if event.reason is not None and failures >= MOST_POLL_FAILURES:
        message = (
            f"{failures} status requests in a row have failed; the last one: {event.reason.message}"
        )
        reason = Reason(ReasonCode.POLL_FAILED, message, _started(event.reason.effect))
        return _ended(record, Ending.EXCHANGE, Result.FAILED, reason, now)
    told = event.told_pause
    due_at = now + (
        poll.interval if told is None else max(told, min(_SHORTEST_TOLD, poll.interval))
    )
    is_in_time = due_at < record.invocation.deadline
    return replace(
        record,
        work=replace(
            work,
            holder="",
            due_at=due_at if is_in_time else None,
            is_held=_is_held(event, due_at),
            poll=replace(
                poll,
                url=status_url.url,
                shown_url=status_url.shown_url,
                source=status_url.source,
                failures=failures,
            ),
        ),
    )


def _started(effect: Effect) -> Effect:
    """Return the effect of a task on its target whose last status request had this one.

    The request that started the operation was answered, whatever became of the others.
    """
    return Effect.UNKNOWN if effect is Effect.NONE else effect


def _is_held(event: Exchanged, due_at: datetime) -> bool:
    return event.held_until is not None and due_at <= event.held_until


def _may_be_tried_again(record: Record, event: Exchanged) -> bool:
    work, request, reason = record.work, record.invocation.request, event.reason
    return (
        work is not None
        and request is not None
        and reason is not None
        and event.result is Result.FAILED
        and event.may_start_anew
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
            is_held=_is_held(event, due_at),
            # The operation begins anew, with an answer of its own.
            poll=Polling(interval=work.poll.interval) if work.poll else None,
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
    """Add issues, each once: a gate would repeat the same hundreds of times."""
    invocation = record.invocation
    new = tuple(issue for issue in dict.fromkeys(issues) if issue not in invocation.issues)
    return replace(record, invocation=replace(invocation, issues=(*invocation.issues, *new)))


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
    work = record.work
    # An answer that is there while the task is sent again is that of the request before; one that
    # is there while a status is asked is that of the operation.
    is_sent_again = record.report_by is not None and not (work is not None and work.asks_status)
    is_answered = record.invocation.response is not None and not is_sent_again
    return Effect.ANSWERED if is_answered else Effect.UNKNOWN
