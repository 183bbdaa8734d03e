"""What came of a request: verdict, operation that goes on, or failure.

Source: HTTP contract, section 2 ("ApiResponse"), section 3 ("Poll") and section 4 (reasons).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from invoke_core.events import Exchanged
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    Result,
)
from invoke_core.outputs import outputs_of
from invoke_core.polling import (
    PASSING,
    PollOptions,
    Source,
    begun,
    progress,
)
from invoke_core.retries import NEVER_REPEATED
from invoke_core.verdict import judge, scope_of

if TYPE_CHECKING:
    from invoke_core.answers import AnswerReading
    from invoke_core.errors import SendError
    from invoke_core.expressions import Scope
    from invoke_core.model import ResponseView
    from invoke_core.polling import Progress

from invoke_core.prepared import Prepared, Sent

_UNAUTHORIZED: Final = 401


def failed(error: SendError, prepared: Prepared) -> Sent:
    """Return what an exchange comes to that did not come to an end."""
    reason = Reason(ReasonCode(error.code), prepared.shown(error.message), Effect(error.effect))
    if prepared.asked is not None and reason.effect is Effect.NONE:
        # Nothing was sent this time; what started the operation was.
        reason = replace(reason, effect=Effect.UNKNOWN)
    passes = prepared.asked is not None and reason.code not in NEVER_REPEATED
    return Sent(
        outcome=Exchanged(
            result=Result.FAILED,
            reason=reason,
            status_url=prepared.asked if passes else None,
            may_pass=passes,
            may_start_anew=prepared.asked is None,
        )
    )


def is_refused(sent: Sent) -> bool:
    """Tell whether the target answered that it does not take the token.

    A task that lists 401 in validStatusCodes takes it for an answer.
    """
    response, reason = sent.outcome.response, sent.outcome.reason
    return (
        response is not None
        and response.status == _UNAUTHORIZED
        and reason is not None
        and reason.code in {ReasonCode.STATUS_CODE, ReasonCode.POLL_FAILED}
    )


def with_warning(sent: Sent, text: str) -> Sent:
    """Return what came of a request with one more remark."""
    issue = Issue(IssueType.WARNING, text)
    outcome = replace(sent.outcome, issues=(*sent.outcome.issues, issue))
    return replace(sent, outcome=outcome)


def progress_of(reading: AnswerReading, prepared: Prepared, poll: PollOptions) -> Progress:
    """Tell what an answer says of the operation that the task waits for."""

    def scope() -> Scope:
        return scope_of(
            reading, variables=prepared.task.variables, task_inputs=prepared.task.inputs
        )

    mask = prepared.masker.show
    if prepared.asked is None:
        return begun(reading, poll, scope, mask=mask)
    source = Source(prepared.asked.source)
    return progress(reading, poll, scope, asked=prepared.asked.url, source=source, mask=mask)


def verdict_of(reading: AnswerReading, prepared: Prepared) -> Exchanged:
    """Judge the answer that is the task's, or one whose status is not valid."""
    task, masker = prepared.task, prepared.masker
    verdict = judge(
        reading,
        valid=task.valid_status,
        criteria=task.criteria,
        variables=task.variables,
        task_inputs=task.inputs,
        mask=masker.show,
    )
    response = reading.view(masker)
    if verdict.reason is not None and verdict.reason.code is ReasonCode.STATUS_CODE:
        return _refused_status(verdict.reason, response, prepared)
    outputs, remarks = outputs_of(reading, task.outputs, masker=masker)
    waits = task.completion_event is CompletionEvent.CALLBACK
    return Exchanged(
        result=None if waits and verdict.result is Result.SUCCEEDED else verdict.result,
        reason=verdict.reason,
        response=response,
        criteria=verdict.criteria,
        outputs=outputs,
        issues=tuple(Issue(IssueType.WARNING, remark) for remark in remarks),
    )


def _refused_status(reason: Reason, response: ResponseView, prepared: Prepared) -> Exchanged:
    """Return what a status comes to that is not valid; of a status request, it may pass."""
    if prepared.asked is None:
        return Exchanged(result=Result.FAILED, reason=reason, response=response)
    return Exchanged(
        result=Result.FAILED,
        reason=Reason(
            ReasonCode.POLL_FAILED, f"Asked for its status: {reason.message}", reason.effect
        ),
        response=response,
        status_url=prepared.asked if response.status in PASSING else None,
        may_pass=True,
        may_start_anew=False,
    )
