"""The one state machine of an invocation: (record, event, now) becomes a record.

``pending → inProgress → completed(result)``; what is completed stays as it is, whatever comes
later. Nothing here reads a clock or a store: two instances that see the same record, event and
time come to the same record, and a conditional write decides between those that saw different
ones. So clocks may differ without two truths.

Source: HTTP contract, section 2 ("Callback"), section 4 (what is stored when) and section 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.model import (
    CompletionEvent,
    Effect,
    Invocation,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    Result,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invoke_core.model import CriteriaView, ResponseView

REPORT_GRACE: Final = timedelta(seconds=10)
"""How long after its exchange had to be over a process gets to write down what came of it."""

DEADLINE_GRACE: Final = timedelta(seconds=2)
"""How long an exchange cut off by the deadline gets to be reported as what it was."""

CALLBACKS_AFTER_END: Final = timedelta(hours=24)
"""How long after its end a plan takes logs, records and repeated events."""


class Ending(StrEnum):
    """What ended an invocation."""

    EXCHANGE = "exchange"
    """The exchange with the target: its answer, or that there was none."""
    EVENT = "event"
    """``TaskCompleted``."""
    CANCEL = "cancel"
    DEADLINE = "deadline"
    INTERRUPTION = "interruption"
    """The process that ran it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything that is kept of an invocation.

    Attributes:
        invocation: What is shown; masked.
        ended_by: What ended it; None while it has not ended.
        report_by: Until when the process that sends the request may still report what came of it;
            None once it has.
        token_hash: SHA-256 of the AuthToken, in hex; empty where there is none.
        sealed: The secrets of the step, sealed with the AuthToken; empty where there are none.
        claim: Partition key of the idempotency row that names this invocation; empty without.
        content: Hash of what was asked under that key; empty without.
    """

    invocation: Invocation
    ended_by: Ending | None = None
    report_by: datetime | None = None
    token_hash: str = field(default="", repr=False)
    sealed: str = field(default="", repr=False)
    claim: str = ""
    content: str = ""

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.invocation.state is State.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The exchange with the target is over.

    Attributes:
        result: How it ends the task; None where the task goes on and waits for its callback.
        reason: Why it failed; None where it did not.
        response: The answer, where there was one.
        criteria: How the criteria was evaluated, where one was.
        issues: Remarks that came up on the way.
    """

    result: Result | None
    reason: Reason | None = None
    response: ResponseView | None = None
    criteria: CriteriaView | None = None
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskCompleted:
    """The external service says that the task has ended."""

    result: Result


@dataclass(frozen=True, slots=True)
class Canceled:
    """A caller does not want the task any more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody looks; nothing but time has passed."""


Event = Exchanged | TaskCompleted | Canceled | Seen


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
        case Exchanged():
            return _exchanged(record, event, now)
        case TaskCompleted(result):
            if record.is_final or not _waits_for_callback(record):
                return record
            return _ended(record, Ending.EVENT, result, _reported(result), now)
        case Canceled():
            if record.is_final:
                return record
            reason = Reason(ReasonCode.CANCELED, "A caller canceled the task.", _effect(record))
            return _ended(record, Ending.CANCEL, Result.CANCELED, reason, now)
        case Seen():
            return record


def over_at(record: Record) -> datetime:
    """Return when an invocation that has not ended ends by itself.

    A callback has until its deadline. An ApiResponse invocation has as long as the process that
    runs it may need to report; past that the process is taken for dead.
    """
    deadline = record.invocation.deadline
    if _waits_for_callback(record) or record.report_by is None:
        return deadline
    return min(deadline + DEADLINE_GRACE, record.report_by)


def takes_callbacks(record: Record, now: datetime) -> bool:
    """Tell whether the plan of an invocation is open to its external service."""
    finished_at = record.invocation.finished_at
    return finished_at is None or now < finished_at + CALLBACKS_AFTER_END


def end_of(record: Record) -> str:
    """Say what ended an invocation, to somebody who comes too late."""
    invocation = record.invocation
    how = {
        Ending.EXCHANGE: "by the answer to its request",
        Ending.EVENT: "by an earlier TaskCompleted event",
        Ending.CANCEL: "by a cancel request",
        Ending.DEADLINE: "by its deadline",
        Ending.INTERRUPTION: "because the process that ran it was gone",
    }
    by = how[record.ended_by] if record.ended_by else "already"
    return f"The task ended {by}, with the result '{invocation.result}'."


def shown(record: Record, now: datetime) -> Invocation:
    """Return the invocation as it is to be shown.

    A callback whose request was under way when its process ended goes on waiting, with a warning:
    nobody knows whether the target received it (HTTP contract, section 2, "Callback").
    """
    invocation = record.invocation
    if record.is_final or record.report_by is None or now < record.report_by:
        return invocation
    warning = Issue(
        IssueType.WARNING,
        "The process that sent the request ended before it could say what came of it; "
        "the external service may or may not have received it.",
    )
    return replace(invocation, issues=(*invocation.issues, warning))


def _waits_for_callback(record: Record) -> bool:
    return record.invocation.completion_event is CompletionEvent.CALLBACK


def _with_time(record: Record, now: datetime) -> Record:
    """Let what is over end, at the moment it was over."""
    moment = over_at(record)
    if record.is_final or now < moment:
        return record
    if _waits_for_callback(record):
        minutes = (record.invocation.deadline - record.invocation.created_at).total_seconds() / 60
        reason = Reason(
            ReasonCode.CALLBACK_TIMED_OUT,
            f"No TaskCompleted event came within {minutes:g} minutes (timeoutInMinutes).",
            _effect(record),
        )
        return _ended(record, Ending.DEADLINE, Result.FAILED, reason, moment)
    reason = Reason(
        ReasonCode.INTERRUPTED,
        "The process that ran the task ended before the request did; look at the target, "
        "whether it took effect, before you repeat it.",
        Effect.UNKNOWN,
    )
    return _ended(record, Ending.INTERRUPTION, Result.FAILED, reason, moment)


def _exchanged(record: Record, event: Exchanged, now: datetime) -> Record:
    invocation = record.invocation
    if record.report_by is None:
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
    return _ended(reported, Ending.EXCHANGE, event.result, event.reason, now)


def _ended(
    record: Record, by: Ending, result: Result, reason: Reason | None, at: datetime
) -> Record:
    invocation = record.invocation
    issues = invocation.issues
    if reason is not None:
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


def _reported(result: Result) -> Reason | None:
    if result in {Result.SUCCEEDED, Result.SUCCEEDED_WITH_ISSUES, Result.SKIPPED}:
        return None
    return Reason(
        ReasonCode.CALLBACK_FAILED,
        f"The external service completed the task with the result '{result}'.",
        Effect.ANSWERED,
    )


def _effect(record: Record) -> Effect:
    return Effect.UNKNOWN if record.invocation.response is None else Effect.ANSWERED
