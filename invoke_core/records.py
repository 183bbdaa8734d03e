"""What is kept of an invocation, and what can be read off it. Nothing here changes anything.

Source: HTTP contract, section 2 ("Callback", "Time limits") and section 4 (what is stored when).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.model import CompletionEvent, Issue, IssueType, Method, State

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.model import Invocation, Result

CLOCK_DIFFERENCE: Final = timedelta(seconds=30)
"""By how much the clocks of processes may differ (design)."""

LEASE_GRACE: Final = timedelta(seconds=40)
"""How long after its exchange had to be over a process gets to write down what came of it.

Then others take it for lost, by clocks that may be 30 seconds ahead (design).
"""

SLOW_WRITE: Final = timedelta(seconds=30)
"""After how long between an alarm and its record the alarm is set again: whoever was called by it
may have found no record for so long that he gave it up (``runs``), by a clock that differs."""

HELD_GRACE: Final = timedelta(seconds=5)
"""How long the process of a call has a due request to itself before others may send it."""

DEADLINE_GRACE: Final = timedelta(seconds=2)
"""How long an exchange cut off by the deadline gets to be reported as what it was."""

CALLBACKS_AFTER_END: Final = timedelta(hours=24)
"""How long after its end a plan takes logs, records and repeated events."""

MOST_INTERRUPTIONS: Final = 3
"""How many processes may be lost to one task before it is given up: it may be what kills them."""

MOST_POLL_FAILURES: Final = 5
"""So many status requests in a row may fail for reasons that pass, or be lost with their process,
before the operation is given up."""

SENT_ONCE: Final = frozenset({Method.POST, Method.PATCH})
"""Methods whose request is never repeated while its effect is unknown (contract, section 3)."""


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
    SKIP = "skip"
    """It was never to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How a gate stands.

    Times are those the evaluations were due at, so that clocks of processes do not count.

    Attributes:
        interval: From one evaluation to the next.
        success: For how long every evaluation has to succeed.
        due_at: When the evaluation under way, or the last one, was due; when it began, where that
            was later than clocks explain, so that a success never counts for a time before it.
        succeeded_since: The first of the successes without a failure since; None for none.
    """

    interval: timedelta
    success: timedelta
    due_at: datetime
    succeeded_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """How the waiting for a long operation stands.

    Attributes:
        interval: From one status request to the next, where the answer does not say otherwise.
        url: The status URL as it is kept, sealed where it can be; empty before the operation.
        shown_url: The same as it may be shown.
        source: Where the URL was found (``polling.Source``).
        failures: Status requests in a row that failed for reasons that pass.
    """

    interval: timedelta
    url: str = field(default="", repr=False)
    shown_url: str = ""
    source: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is left to do of a task that may outlive its call; its step is kept beside the record.

    Attributes:
        retries: How often it may be tried again.
        due_at: When the next request is to be sent; None while one is under way, or none is to
            come.
        is_held: Whether the process of the call waits for that, with others standing back for
            ``HELD_GRACE``.
        holder: Names the run that may report; each run has a name of its own, so that one whose
            place was taken is not believed any more.
        turn: Counts the changes of when somebody has to look after the task, so that an alarm can
            tell whether it is ahead of its record.
        interruptions: Runs that were lost with their process, those of the gate's evaluation
            under way where there is a gate.
        gate: How the gate stands; None where the task is none.
        poll: How the waiting for its operation stands; None where it starts none.
    """

    retries: int = 0
    due_at: datetime | None = None
    is_held: bool = False
    holder: str = ""
    turn: int = 0
    interruptions: int = 0
    gate: Gate | None = None
    poll: Polling | None = None

    @property
    def asks_status(self) -> bool:
        """Whether the next request, or the one under way, asks for the status of an operation."""
        return self.poll is not None and bool(self.poll.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything that is kept of an invocation.

    Attributes:
        invocation: What is shown; masked.
        ended_by: What ended it; None while it has not ended.
        reported: The result its external service reported; None where it did not.
        continue_on_error: Whether a failure counts as ``succeededWithIssues``.
        report_by: Until when the process that sends the request may still report what came of it;
            None once it has.
        work: What is left to do of it; None where it lives within its call, but for a callback.
        token_hash: SHA-256 of the AuthToken, in hex; empty where there is none.
        sealed: The secrets of the step, sealed with the AuthToken; empty where there are none.
        claim: Partition key of the idempotency row that names this invocation; empty without.
        content: Hash of what was asked under that key; empty without.
        is_replayed: Whether another call with that key was told of it while its first request was
            not answered, so that it cannot be taken back any more.
    """

    invocation: Invocation
    ended_by: Ending | None = None
    reported: Result | None = None
    continue_on_error: bool = False
    report_by: datetime | None = None
    work: Work | None = None
    token_hash: str = field(default="", repr=False)
    sealed: str = field(default="", repr=False)
    claim: str = ""
    content: str = ""
    is_replayed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.invocation.state is State.COMPLETED

    @property
    def waits_for_callback(self) -> bool:
        """Whether an external service ends it."""
        return self.invocation.completion_event is CompletionEvent.CALLBACK


def over_at(record: Record) -> datetime:
    """Return when an invocation that has not ended ends by itself.

    A callback has until its deadline, and so has what waits to be sent, or would be sent again.
    An ApiResponse invocation that would not has as long as the process that runs it may need to
    report; past that the process is taken for dead.
    """
    deadline = record.invocation.deadline
    if record.waits_for_callback or record.report_by is None:
        return deadline
    if survives_interruption(record) or (record.work is not None and record.work.gate is not None):
        return deadline + DEADLINE_GRACE
    return min(deadline + DEADLINE_GRACE, record.report_by)


def survives_interruption(record: Record) -> bool:
    """Tell whether another process sends the request again where the one at it is gone.

    It does not where the request might have had an effect that a second one would double; nor for
    a callback, whose external service may be at work (HTTP contract, section 2, "Callback").
    """
    work, request = record.work, record.invocation.request
    if work is None or request is None or record.waits_for_callback:
        return False
    if work.poll is not None and work.asks_status:
        return work.poll.failures + 1 < MOST_POLL_FAILURES
    return work.interruptions < MOST_INTERRUPTIONS and request.method not in SENT_ONCE


def is_overtaken(record: Record, now: datetime) -> bool:
    """Tell whether the process that was to send a request comes too late to.

    It stood still since it wrote the record down: others may have taken the request over by now,
    or told somebody that it was interrupted. That of a callback nobody else sends.
    """
    return (
        record.report_by is not None and now >= record.report_by and not record.waits_for_callback
    )


def alarm_at(record: Record) -> datetime | None:
    """Return when somebody has to look after an invocation, or None where nobody has.

    That is when its next request is due, when the process that sends one has to be taken for dead,
    or, where no request fits its time any more, when that is over. A callback ends by being read.
    """
    work = record.work
    if work is None or record.is_final:
        return None
    if record.report_by is not None:
        return None if record.waits_for_callback else record.report_by
    if work.due_at is None:
        return None if record.waits_for_callback else record.invocation.deadline
    return work.due_at + HELD_GRACE if work.is_held else work.due_at


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
        Ending.SKIP: "before it began",
    }
    by = how[record.ended_by] if record.ended_by else "already"
    result = record.reported or invocation.result
    return f"The task ended {by}, with the result '{result}'."


def shown(record: Record, now: datetime) -> Invocation:
    """Return the invocation as it is to be shown.

    A callback whose request was under way when its process ended goes on waiting, with a warning:
    nobody knows whether the target received it (HTTP contract, section 2, "Callback").
    """
    invocation = record.invocation
    if not record.waits_for_callback or record.is_final or record.report_by is None:
        return invocation
    if now < record.report_by:
        return invocation
    warning = Issue(
        IssueType.WARNING,
        "The process that sent the request ended before it could say what came of it; "
        "the external service may or may not have received it.",
    )
    return replace(invocation, issues=(*invocation.issues, warning))
