"""The log of an invocation: the lines of our own, and the defusing of everybody's.

Source: HTTP contract, section 5 (``/log``); agentless protocol, section 1 (log form of the task).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from invoke_core.controls import LINE_ENDS, without_controls
from invoke_core.encoding import time_form
from invoke_core.records import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invoke_core.model import ResponseView
    from invoke_core.records import Record

_COMMAND: Final = re.compile(r"#(?=#(?:vso)?\[)", re.IGNORECASE)
_LINE_COMMAND: Final = re.compile(r"^(\s*):(?=:)")


def defused(text: str) -> list[str]:
    """Return the lines of a text, none of which can act as a pipeline command.

    Args:
        text: Anything an external service or a target may have sent.

    Returns:
        Lines without their ends: control and ANSI sequences are gone but for tabs, ``##[`` and
        ``##vso[`` anywhere and ``::`` at the beginning have a space after their first character.
    """
    lines = LINE_ENDS.split(text)
    if lines and not lines[-1]:
        del lines[-1]
    return [_defused_line(line) for line in lines]


def opening_lines(record: Record, *, body: bytes | None, condition: Sequence[str] = ()) -> str:
    """Return what the log begins with: the request as it is sent, without its body.

    Args:
        record: The new record.
        body: The request's body.
        condition: How the condition of a task that is skipped was evaluated; masked.
    """
    invocation = record.invocation
    lines = [f"{time_form(invocation.created_at)} Starting: {invocation.display_name}"]
    if record.is_final:
        lines += [*condition, *_end_lines(record)]
    elif record.report_by is not None:
        sent_at = invocation.started_at or invocation.created_at
        lines += _request_lines(record, sent_at, 0 if body is None else len(body))
    return "\n".join(lines)


def change_lines(before: Record, after: Record, *, now: datetime, body_bytes: int = 0) -> str:
    """Return what a change of a record adds to the log; empty where it adds nothing.

    Args:
        before: The record as it was.
        after: What became of it.
        now: When it is written.
        body_bytes: Length of the body that goes with a request that begins with this change, or
            came with the answer that ends it.
    """
    lines: list[str] = []
    response, criteria = after.invocation.response, after.invocation.criteria
    has_reported = before.report_by is not None and after.report_by is None
    if has_reported and response is not None:
        lines += _answer_lines(response, body_bytes)
        lines += criteria.trace if criteria else ()
    elif has_reported:
        lines.append("Response Code: none")
    lines += [
        issue.message
        for issue in after.invocation.issues[len(before.invocation.issues) :]
        if not after.is_final and issue not in before.invocation.issues
    ]
    if after.is_final and not before.is_final:
        lines += _end_lines(after)
    elif not after.is_final and _has_begun(before, after):
        lines += _request_lines(after, now, body_bytes)
    elif not after.is_final and has_reported:
        lines += _waiting_lines(after, now)
    return "\n".join(lines)


def event_line(name: str, *, now: datetime) -> str:
    """Return the line that tells of an event that changes nothing."""
    return f"{time_form(now)} {name}"


def _request_lines(record: Record, sent_at: datetime, body_bytes: int) -> list[str]:
    request, attempt = record.invocation.request, record.invocation.attempts
    if request is None:
        return []
    if record.work is not None and record.work.poll is not None and record.work.asks_status:
        return [f"{time_form(sent_at)} Asking for the status: {record.work.poll.shown_url}"]
    media_type = _header(request.headers, "content-type") if body_bytes else ""
    again = f" (request {attempt})" if attempt > 1 else ""
    return [
        f"{time_form(sent_at)} {request.method} {request.url}{again}",
        f"Request body: {_size(body_bytes, media_type)}",
    ]


def _has_begun(before: Record, after: Record) -> bool:
    """Tell whether a further request begins with a change."""
    if after.work is None or before.work is None or after.report_by is None:
        return False
    return after.work.holder != before.work.holder


def _waiting_lines(record: Record, now: datetime) -> list[str]:
    work, at = record.work, time_form(now)
    if work is None or record.waits_for_callback:
        return [f"{at} Waiting for TaskCompleted until {_deadline(record)}"]
    due = f"at {time_form(work.due_at)}" if work.due_at else f"no more before {_deadline(record)}"
    if work.gate is not None:
        return [_evaluation_line(record), f"{at} Next evaluation {due}"]
    if work.asks_status:
        return [f"{at} The operation goes on; asking for its status {due}"]
    return [f"{at} Trying again {due}"]


def _evaluation_line(record: Record) -> str:
    evaluation = record.invocation.evaluations[-1]
    if evaluation.reason is None:
        return "Evaluation succeeded"
    return f"Evaluation failed: {evaluation.reason.code}: {evaluation.reason.message}"


def _answer_lines(response: ResponseView, body_bytes: int) -> list[str]:
    size = _size(body_bytes, _header(response.headers, "content-type"))
    return [f"Response Code: {response.status}", f"Response: {size}"]


def _end_lines(record: Record) -> list[str]:
    invocation = record.invocation
    lines = []
    if record.ended_by is Ending.EVENT:
        lines.append("TaskCompleted")
    if invocation.reason is not None:
        lines.append(f"{invocation.reason.code}: {invocation.reason.message}")
    ended_at = time_form(invocation.finished_at or invocation.created_at)
    return [*lines, f"{ended_at} Finished: {invocation.result}"]


def _deadline(record: Record) -> str:
    return time_form(record.invocation.deadline)


def _header(headers: dict[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _size(length: int, media_type: str) -> str:
    kind = media_type.partition(";")[0].strip()
    return f"{length} bytes{f', {kind}' if kind else ''}"


def _defused_line(line: str) -> str:
    return _LINE_COMMAND.sub(r"\1: ", _COMMAND.sub("# ", without_controls(line)))
