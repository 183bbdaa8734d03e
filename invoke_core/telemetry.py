"""What the log of the process tells those who run the service: one line for each thing of note.

A line is a sentence and then one JSON object, its facts: the platform's worker hands on nothing of
a log record but its text, its level and its logger, so a query has to find the facts there. They
hold no text that a caller or a target chose; the sentence has not even the connection's name, so
that the first brace in a line is that of the facts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.documents import JsonNumber, dump_json
from invoke_core.encoding import time_form
from invoke_core.errors import (
    BusyError,
    ConnectionUnavailableError,
    PolicyError,
    SettingsError,
    StoreUnavailableError,
)
from invoke_core.events import Begun, Exchanged
from invoke_core.prepared import trace_id_of
from invoke_core.records import CLOCK_DIFFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.errors import InvokeError
    from invoke_core.events import Event
    from invoke_core.model import Evaluation, Invocation, Reason, ResponseView
    from invoke_core.records import Record, Work

LATE: Final = CLOCK_DIFFERENCE
"""What begins later than this after it was due is told of; clocks alone explain less."""

_MS: Final = timedelta(milliseconds=1)
_REFUSALS: Final = frozenset({403, 429})
_OWN_FAILURES: Final = 500

_log = logging.getLogger(__name__)


class Told(StrEnum):
    """What a line tells, as its fact ``event`` names it."""

    ENDED = "ended"
    """An invocation has ended."""
    WAITS = "waits"
    """It waits for its callback, or for the operation it has started."""
    ATTEMPT_FAILED = "attemptFailed"
    """A request failed, and another one is due."""
    EVALUATED = "evaluated"
    """A gate was evaluated."""
    LATE = "late"
    """What was due began later than it should."""
    RUN_LOST = "runLost"
    """A process was lost with its request, which another one sends again."""
    NOT_STORED = "notStored"
    """An outcome was told to the caller, and could not be stored."""
    ALARM_GIVEN_UP = "alarmGivenUp"
    """What was due failed again and again; the message was in the poison queue."""
    FOREIGN_MESSAGE = "foreignMessage"
    """The queue of alarms held something else."""
    STORE_UNAVAILABLE = "storeUnavailable"
    """Nothing that is due can be found, since the store does not answer."""
    REFUSED = "refused"
    """A call was answered with 403 or 429."""
    FAILED = "failed"
    """A call was answered with 500 or above."""


_LEVELS: Final = {
    Told.ENDED: logging.INFO,
    Told.WAITS: logging.INFO,
    Told.EVALUATED: logging.INFO,
    Told.NOT_STORED: logging.ERROR,
    Told.ALARM_GIVEN_UP: logging.ERROR,
    Told.FOREIGN_MESSAGE: logging.ERROR,
    Told.STORE_UNAVAILABLE: logging.ERROR,
    Told.FAILED: logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log.

    Attributes:
        event: What it tells.
        sentence: The same for people, in words of our own.
        facts: Names with texts and numbers; durations in milliseconds.
    """

    event: Told
    sentence: str
    facts: Mapping[str, JsonValue]

    @property
    def text(self) -> str:
        """The line as it is written."""
        return f"{self.sentence} {dump_json({'event': self.event.value, **self.facts})}"


def tell(*lines: Line, exc_info: bool = False) -> None:
    """Write lines to the log.

    Args:
        lines: The lines.
        exc_info: Whether the exception that is being handled follows, in lines of its own.
    """
    for line in lines:
        _log.log(_LEVELS.get(line.event, logging.WARNING), "%s", line.text, exc_info=exc_info)


def end_line(invocation: Invocation) -> Line:
    """Return the line for the end of an invocation; ``exchangeMs`` is that of the last answer."""
    finished_at = invocation.finished_at or invocation.created_at
    result = invocation.result.value if invocation.result else None
    return Line(
        Told.ENDED,
        f"invocation {invocation.id} ended: {result}",
        {
            **_about(invocation),
            "result": result,
            **_why(invocation.reason),
            **_answered(invocation.response),
            "attempts": _number(invocation.attempts),
            "evaluations": _number(len(invocation.evaluations)),
            "totalMs": _ms(finished_at - invocation.created_at),
        },
    )


def told_lines(before: Record, after: Record, event: Event, now: datetime) -> list[Line]:
    """Return the lines for what an event made of a record.

    Args:
        before: The record as it was.
        after: As it was stored in its place.
        event: What happened.
        now: When.
    """
    known = before.invocation.evaluations
    lines = [
        _evaluated(after, evaluation, event)
        for evaluation in after.invocation.evaluations
        if evaluation not in known
    ]
    if isinstance(event, Begun) and before.work is not None and after.work is not None:
        lines += _begun(before, before.work, after, now)
    if isinstance(event, Exchanged) and before.report_by is not None and after.report_by is None:
        lines += _exchanged(before, after, event)
    if after.is_final and not before.is_final:
        lines.append(end_line(after.invocation))
    return lines


def not_stored_line(invocation: Invocation, error: InvokeError) -> Line:
    """Return the line for an outcome that is told and not stored."""
    sentence = f"invocation {invocation.id}: its outcome is not stored: {error.message}"
    return Line(Told.NOT_STORED, sentence, _about(invocation))


def given_up_line(invocation: Invocation, due_at: datetime) -> Line:
    """Return the line for an alarm that failed as often as it may."""
    sentence = f"invocation {invocation.id}: what is due failed again and again"
    return Line(Told.ALARM_GIVEN_UP, sentence, {**_about(invocation), "dueAt": time_form(due_at)})


def foreign_message_line() -> Line:
    """Return the line for a message that is no alarm; nothing of it is told."""
    return Line(
        Told.FOREIGN_MESSAGE, "a message in the queue of alarms is no alarm, and was dropped", {}
    )


def store_line(error: StoreUnavailableError) -> Line:
    """Return the line for a store in which nothing that is due can be found."""
    return Line(
        Told.STORE_UNAVAILABLE, f"no alarm can ring: {error.message}", {"setting": error.setting}
    )


def problem_lines(
    error: InvokeError, *, status: int, code: str, headers: Mapping[str, str]
) -> list[Line]:
    """Return the line for a call that was not granted or not served; none for other errors.

    What else is refused, a document with faults or a wrong token, is the caller's to see.

    Args:
        error: Why.
        status: The status it is answered with.
        code: The code of the problem.
        headers: Those of the call.
    """
    if status not in _REFUSALS and status < _OWN_FAILURES:
        return []
    event = Told.REFUSED if status in _REFUSALS else Told.FAILED
    connection = None
    if isinstance(error, (PolicyError, BusyError)):
        connection = error.connection
    elif isinstance(error, ConnectionUnavailableError):
        connection = error.name
    setting = error.setting if isinstance(error, StoreUnavailableError) else None
    if isinstance(error, SettingsError):
        setting = ", ".join(dict.fromkeys(fault.pointer for fault in error.faults))
    facts = _answered_call(status, code, headers)
    facts |= {"connection": connection, "setting": setting}
    return [Line(event, f"a call was answered with {status}, {code}", facts)]


def incident_line(incident: str, *, status: int, code: str, headers: Mapping[str, str]) -> Line:
    """Return the line for what nobody foresaw; see ``problem_lines``."""
    facts = _answered_call(status, code, headers) | {"incident": incident}
    return Line(Told.FAILED, f"incident {incident}", facts)


def _answered_call(status: int, code: str, headers: Mapping[str, str]) -> dict[str, JsonValue]:
    return {
        "code": code,
        "status": _number(status),
        "connection": None,
        "traceId": trace_id_of(headers),
        "setting": None,
        "incident": None,
    }


def _evaluated(after: Record, evaluation: Evaluation, event: Event) -> Line:
    """Return the line for an evaluation, which was lost with its process where none reports it."""
    invocation = after.invocation
    response = None
    if isinstance(event, Exchanged) and event.reason == evaluation.reason:
        response = event.response
    return Line(
        Told.EVALUATED,
        f"invocation {invocation.id}: its gate was evaluated: {evaluation.result}",
        {
            **_about(invocation),
            "result": evaluation.result.value,
            **_why(evaluation.reason),
            **_answered(response),
            "attempt": _number(invocation.attempts),
            "nextDueAt": _next_due_at(after),
        },
    )


def _begun(before: Record, work: Work, after: Record, now: datetime) -> list[Line]:
    """Return the lines for a run that has begun: late, or in the place of one that was lost."""
    invocation = after.invocation
    if after.is_final or after.report_by in {None, before.report_by}:
        return []
    facts: dict[str, JsonValue] = {
        **_about(invocation),
        "attempt": _number(invocation.attempts),
    }
    if before.report_by is not None:
        sentence = f"invocation {invocation.id}: a process was lost, and its request is sent again"
        return [Line(Told.RUN_LOST, sentence, facts)]
    if work.due_at is None or now - work.due_at <= LATE:
        return []
    facts |= {"dueAt": time_form(work.due_at), "lateMs": _ms(now - work.due_at)}
    return [Line(Told.LATE, f"invocation {invocation.id}: what was due began late", facts)]


def _exchanged(before: Record, after: Record, event: Exchanged) -> list[Line]:
    """Return the lines for an exchange after which the task goes on."""
    invocation = after.invocation
    if after.is_final or (after.work is not None and after.work.gate is not None):
        return []
    if event.reason is not None:
        sentence = f"invocation {invocation.id}: request {invocation.attempts} failed"
        failed: dict[str, JsonValue] = {
            **_about(invocation),
            **_why(event.reason),
            **_answered(event.response),
            "attempt": _number(invocation.attempts),
            "asksStatus": before.work is not None and before.work.asks_status,
            "nextDueAt": _next_due_at(after),
        }
        return [Line(Told.ATTEMPT_FAILED, sentence, failed)]
    if before.work is not None and before.work.asks_status:
        return []
    waits_for = "operation" if event.status_url is not None else "callback"
    sentence = f"invocation {invocation.id} waits for its {waits_for}"
    facts = {
        **_about(invocation),
        **_answered(event.response),
        "waitsFor": waits_for,
        "deadline": time_form(invocation.deadline),
    }
    return [Line(Told.WAITS, sentence, facts)]


def _about(invocation: Invocation) -> dict[str, JsonValue]:
    request = invocation.request
    return {
        "invocationId": invocation.id,
        "connection": invocation.connection,
        "method": str(request.method) if request else None,
        "completionEvent": invocation.completion_event.value,
        "traceId": trace_id_of(request.headers) if request else None,
    }


def _why(reason: Reason | None) -> dict[str, JsonValue]:
    return {
        "reason": reason.code.value if reason else None,
        "effect": reason.effect.value if reason else None,
    }


def _answered(response: ResponseView | None) -> dict[str, JsonValue]:
    return {
        "status": _number(response.status) if response else None,
        "exchangeMs": _number(response.elapsed_ms) if response else None,
    }


def _next_due_at(record: Record) -> str | None:
    due_at = record.work.due_at if record.work else None
    return time_form(due_at) if due_at else None


def _ms(duration: timedelta) -> JsonNumber:
    return _number(duration // _MS)


def _number(count: int) -> JsonNumber:
    return JsonNumber(str(count))
