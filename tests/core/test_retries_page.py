"""The tables and outcomes on the page about retries are what the core decides."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from invoke_core.events import Begun, Seen
from invoke_core.lifecycle import advance
from invoke_core.model import (
    CompletionEvent,
    Effect,
    IssueType,
    Method,
    Reason,
    ReasonCode,
    RequestView,
    State,
)
from invoke_core.records import LEASE_GRACE, MOST_INTERRUPTIONS, SENT_ONCE, Record, Work
from invoke_core.retries import may_repeat, pause
from tests.core.records import START, waiting_record

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "retries-and-background.md").read_text("utf-8")
SHOWN: Final = [
    json.loads(block)
    for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
]
LEASE: Final = timedelta(seconds=20) + LEASE_GRACE
NEVER_OF_AN_ANSWER: Final = {
    ReasonCode.CALLBACK_FAILED,
    ReasonCode.CALLBACK_TIMED_OUT,
    ReasonCode.GATE_TIMED_OUT,
    ReasonCode.POLL_FAILED,
    ReasonCode.POLL_TIMED_OUT,
    ReasonCode.CANCELED,
    ReasonCode.CONDITION_FALSE,
    ReasonCode.DISABLED,
    ReasonCode.INTERRUPTED,
}
"""Reasons for which no request was answered, or not in this mode; none of them is tried again."""

ROWS: Final = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| (`\w+`|any) \| (again|never) \| (again|never) \|$",
    PAGE,
    re.MULTILINE,
)


@pytest.mark.parametrize(("what", "codes", "effect", "sent_once", "others"), ROWS)
def test_a_failure_is_tried_again_as_the_table_says(
    what: str, codes: str, effect: str, sent_once: str, others: str
) -> None:
    statuses: list[int | None] = [int(text) for text in re.findall(r"\b[1-5]\d\d\b", what)]
    if "another status" in what:
        statuses = [404, 429, 500, 503]
    effects = [Effect(effect.strip("`"))] if effect != "any" else list(Effect)

    for method in Method:
        expected = (sent_once if method in SENT_ONCE else others) == "again"
        for code in re.findall(r"`(\w+)`", codes):
            for known in effects:
                reason = Reason(ReasonCode(code), "It failed.", known)
                for status in statuses or [None]:
                    allowed = may_repeat(method=method, reason=reason, status=status)
                    assert allowed == expected, (method, code, known, status)


def test_the_table_has_every_reason_for_which_a_request_can_fail() -> None:
    shown = {code for _, codes, *_ in ROWS for code in re.findall(r"`(\w+)`", codes)}

    assert shown == set(ReasonCode) - NEVER_OF_AN_ANSWER


def test_the_waits_are_those_of_the_page() -> None:
    (text,) = re.findall(r"^\| seconds \| (.*) \|$", PAGE, re.MULTILINE)
    seconds = [int(cell) for cell in text.split(" | ")]

    shortest = [pause(n, jitter=0, told=None) for n in range(1, len(seconds) + 1)]
    longest = [pause(n, jitter=1, told=None) for n in range(1, len(seconds) + 1)]

    assert shortest == [timedelta(seconds=each) for each in seconds]
    assert longest == [timedelta(seconds=min(60, each * 1.25)) for each in seconds]
    assert pause(10, jitter=0, told=None) == shortest[-1]


def running(method: Method, *, interruptions: int = 0) -> Record:
    """Return the record of a background task whose first request is under way."""
    waiting = waiting_record()
    request = RequestView(method=method, url="https://api.example.com/", headers={})
    invocation = replace(
        waiting.invocation, completion_event=CompletionEvent.API_RESPONSE, request=request
    )
    work = Work(retries=3, holder="first", interruptions=interruptions)
    return replace(waiting, invocation=invocation, work=work, report_by=START + LEASE)


def test_a_get_whose_process_was_killed_is_sent_again_with_the_remark_shown() -> None:
    (shown,) = [form for form in SHOWN if form.get("attempts") == 2]
    after = advance(
        running(Method.GET), Begun(holder="second", lease=LEASE), START + timedelta(minutes=1)
    )

    (issue,) = after.invocation.issues
    assert [{"type": issue.type.value, "message": issue.message}] == shown["issues"]
    assert after.invocation.attempts == shown["attempts"]
    assert issue.type is IssueType.WARNING


def test_a_post_whose_process_was_killed_ends_as_shown() -> None:
    (shown,) = [form for form in SHOWN if (form.get("reason") or {}).get("code") == "interrupted"]
    after = advance(running(Method.POST), Seen(), START + timedelta(minutes=1)).invocation

    assert after.reason is not None
    assert after.result == shown["result"]
    assert after.attempts == shown["attempts"]
    assert shown["reason"] == {
        "code": after.reason.code.value,
        "message": after.reason.message,
        "effect": after.reason.effect.value,
    }


def test_a_task_may_lose_as_many_processes_as_the_page_says() -> None:
    assert "A task that loses three processes is sent a fourth time" in PAGE
    later = START + timedelta(minutes=1)
    begun = Begun(holder="next", lease=LEASE)

    third = advance(running(Method.GET, interruptions=2), begun, later)
    fourth = advance(running(Method.GET, interruptions=3), begun, later)

    assert MOST_INTERRUPTIONS == 3
    assert (third.invocation.state, fourth.invocation.state) == (State.IN_PROGRESS, State.COMPLETED)


def test_a_task_that_never_gets_its_turn_ends_with_the_words_of_the_page() -> None:
    record = running(Method.GET)
    invocation = replace(
        record.invocation,
        state=State.PENDING,
        attempts=0,
        started_at=None,
        deadline=START + timedelta(minutes=5),
    )
    waiting = replace(record, invocation=invocation, report_by=None, work=Work(due_at=START))

    reason = advance(waiting, Seen(), START + timedelta(minutes=5)).invocation.reason

    assert reason is not None
    assert (reason.code, reason.effect) == (ReasonCode.TIMED_OUT, Effect.NONE)
    assert f"`{reason.message}`" in PAGE


def test_what_fails_is_tried_as_often_as_the_page_says() -> None:
    queues = json.loads((ROOT / "host.json").read_text("utf-8"))["extensions"]["queues"]

    assert "every 30 seconds, 20 times" in PAGE
    assert (queues["visibilityTimeout"], queues["maxDequeueCount"]) == ("00:00:30", 20)
