"""The log: lines of our own, and lines of strangers that can do no harm."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta
from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_core.events import Begun, Canceled, Exchanged, Noted, Seen, TaskCompleted
from invoke_core.lifecycle import advance, skipped
from invoke_core.log import change_lines, defused, event_line, opening_lines
from invoke_core.model import (
    CompletionEvent,
    CriteriaView,
    Effect,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    RequestView,
    ResponseView,
    Result,
    State,
)
from invoke_core.records import Work
from tests.state.parts import BAD_STATUS, NO_ANSWER, START, SUCCEEDED, VALID, new_record

if TYPE_CHECKING:
    from invoke_core.events import Event
    from invoke_core.records import Record

SOON = START + timedelta(seconds=3)
SECRET_BODY = "the body is nobody's business"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("##vso[task.complete result=Succeeded]x", ["# #vso[task.complete result=Succeeded]x"]),
        ("##[error]x", ["# #[error]x"]),
        ("before ##[group]x", ["before # #[group]x"]),
        ("##VSO[a] ##Vso[b]", ["# #VSO[a] # #Vso[b]"]),
        ("###[x]", ["## #[x]"]),
        ("##vso##vso[x]", ["##vso# #vso[x]"]),
        ("####vso[x]##[y]", ["### #vso[x]# #[y]"]),
        ("::set-output name=x::y", [": :set-output name=x::y"]),
        (":::x", [": ::x"]),
        (" \t ::x", [" \t : :x"]),
        ("\u3000\u00a0::x", ["\u3000\u00a0: :x"]),
        ("a ::x", ["a ::x"]),
        ("a\n::x", ["a", ": :x"]),
        ("a\r::x", ["a", ": :x"]),
        ("a\r\n::x\r\n", ["a", ": :x"]),
        ("a\u0085::x", ["a", ": :x"]),
        ("a\u2028::x\u2029::y", ["a", ": :x", ": :y"]),
        ("\x1b[31m::x", [": :x"]),
        ("\x1b[0m \x1b[1m::x", [" : :x"]),
        ("#\x1b[0m#\x1b[1mvso[x]", ["# #vso[x]"]),
        ("#\x00#\x01v\x02s\x7fo\x0b[x]", ["# #vso[x]"]),
        (":\x00:x", [": :x"]),
        ("#\x9b0m#[x]", ["# #[x]"]),
        ("#\x1b]0;title\x07#[x]", ["# #[x]"]),
        ("#\x1b]8;;http://a\x1b\\#[x]", ["# #[x]"]),
        ("\x1b]8;;http://a\x07link\x1b]8;;\x07", ["link"]),
        ("\x1b\x1b[0m[31mx", ["[31mx"]),
        ("a\x08\x0c\x1cb", ["ab"]),
        ("a\tb", ["a\tb"]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("", []),
        ("\n", [""]),
        ("## [x] :: # #[y] ##vso", ["## [x] :: # #[y] ##vso"]),
    ],
    ids=repr,
)
def test_no_line_of_a_stranger_is_a_command(text: str, lines: list[str]) -> None:
    assert defused(text) == lines


HOSTILE = st.lists(
    st.sampled_from(
        [
            *("#", "##", "vso", "VSO", "vSo", "[", "]", ":", "::", " ", "\t", "\u3000"),
            *("\x1b", "\x1b[", "\x1b]", "\x1b[0m", "\x1b\\", "\x07", "\x9b", "\x9c", "\x9d"),
            *("\x00", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\r", "\n", "\r\n"),
            *("\x85", "\u2028", "\u2029", "m", "0", ";", "a", "\u017f", "\ud800"),
        ]
    ),
    max_size=30,
).map("".join)


@given(HOSTILE | st.text())
@settings(max_examples=2000, deadline=None)
def test_whatever_arrives_leaves_no_command_and_no_control_character(text: str) -> None:
    for line in defused(text):
        assert not re.search(r"##(vso)?\[", line, re.IGNORECASE)
        assert not line.lstrip().startswith("::")
        assert line.splitlines() in ([line], [])
        assert all(char == "\t" or unicodedata.category(char) != "Cc" for char in line)


@given(HOSTILE | st.text())
@settings(max_examples=500, deadline=None)
def test_defusing_what_is_defused_changes_nothing(text: str) -> None:
    lines = defused(text)

    assert [line for part in lines for line in defused(part) or [""]] == lines


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="#:")))
def test_harmless_text_comes_back_unchanged(text: str) -> None:
    assert defused(text) == ([text] if text else [])


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "\x1b",
            "[",
            "#",
            "##",
            ":",
            " ",
            "\x1b[",
            "\x1b]",
            "\x1b[0",
            "\x9b",
            "\x9d",
            "\x1b ",
            "\r",
        ),
        *("\x1b]\x1b", "#\x1b[", "##vso", "##vso["),
    ],
    ids=repr,
)
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))

    started_s = process_time()
    defused(text)

    assert process_time() - started_s < 5


def record_with(**changes: object) -> Record:
    record = new_record(plan_id="plan-1")
    return replace(record, invocation=replace(record.invocation, **changes))  # type: ignore[arg-type]


def test_a_log_opens_with_the_whole_request_line_and_the_size_of_the_body() -> None:
    url = "https://api.example.com/v1/deployments?sig=***&q=" + "x" * 3000
    headers = {"content-TYPE": "application/json; charset=utf-8", "Authorization": "***"}
    record = record_with(request=RequestView(method="PUT", url=url, headers=headers))

    lines = opening_lines(record, body=SECRET_BODY.encode()).split("\n")

    assert lines == [
        "2026-05-17T12:00:00.000Z Starting: Invoke REST API: POST",
        f"2026-05-17T12:00:00.000Z PUT {url}",
        "Request body: 29 bytes, application/json",
    ]


@pytest.mark.parametrize("body", [None, b""])
def test_a_request_without_a_body_has_no_media_type(body: bytes | None) -> None:
    lines = opening_lines(record_with(), body=body).split("\n")

    assert lines[-1] == "Request body: 0 bytes"


def changed(record: Record, *events: Event) -> list[str]:
    """Return what the last of some events adds to the log."""
    lines = ""
    for event in events:
        now = SOON if not isinstance(event, Seen) else START + timedelta(hours=2)
        after = advance(record, event, now)
        lines = change_lines(record, after, now=now, body_bytes=1234)
        record = after
    return lines.split("\n") if lines else []


def answered(outcome: Exchanged) -> Exchanged:
    response = ResponseView(
        status=418,
        headers={"CONTENT-type": "text/html;x=y"},
        body=SECRET_BODY,
        body_truncated=False,
        elapsed_ms=1,
    )
    return replace(outcome, response=response)


def test_a_valid_answer_of_a_callback_says_how_long_is_waited() -> None:
    assert changed(new_record(), answered(VALID)) == [
        "Response Code: 418",
        "Response: 1234 bytes, text/html",
        "2026-05-17T12:00:03.000Z Waiting for TaskCompleted until 2026-05-17T13:00:00.000Z",
    ]


def test_an_answer_is_followed_by_the_trace_and_the_end() -> None:
    trace = ("Evaluating: eq(1, 2)", "Result: False")
    criteria = CriteriaView(expression="eq(1, 2)", result=False, trace=trace, explanation=None)
    outcome = replace(answered(BAD_STATUS), criteria=criteria)

    assert changed(new_record(mode=CompletionEvent.API_RESPONSE), outcome) == [
        "Response Code: 418",
        "Response: 1234 bytes, text/html",
        *trace,
        "statusCode: The target answered 500.",
        "2026-05-17T12:00:03.000Z Finished: failed",
    ]


def test_no_answer_is_said_to_be_none() -> None:
    assert changed(new_record(), NO_ANSWER) == [
        "Response Code: none",
        "connectionFailed: The target hung up.",
        "2026-05-17T12:00:03.000Z Finished: failed",
    ]


def test_success_is_a_line_as_well() -> None:
    lines = changed(new_record(mode=CompletionEvent.API_RESPONSE), answered(SUCCEEDED))

    assert lines[-1] == "2026-05-17T12:00:03.000Z Finished: succeeded"


def test_an_event_is_told_as_what_ended_the_task() -> None:
    assert changed(new_record(), answered(VALID), TaskCompleted(Result.SUCCEEDED)) == [
        "TaskCompleted",
        "2026-05-17T12:00:03.000Z Finished: succeeded",
    ]


def test_cancel_and_deadline_are_lines() -> None:
    assert changed(new_record(), Canceled()) == [
        "canceled: A caller canceled the task.",
        "2026-05-17T12:00:03.000Z Finished: canceled",
    ]
    assert changed(new_record(), answered(VALID), Seen()) == [
        "callbackTimedOut: No TaskCompleted event came within 60 minutes (timeoutInMinutes).",
        "2026-05-17T13:00:00.000Z Finished: failed",
    ]


def test_an_answer_after_the_end_is_told_and_ends_nothing() -> None:
    assert changed(new_record(), TaskCompleted(Result.SUCCEEDED), answered(VALID)) == [
        "Response Code: 418",
        "Response: 1234 bytes, text/html",
    ]


def test_what_changes_nothing_adds_nothing() -> None:
    assert changed(new_record(), answered(VALID), answered(BAD_STATUS)) == []


def test_an_event_that_changes_nothing_has_a_line_of_its_own() -> None:
    assert event_line("TaskStarted", now=SOON) == "2026-05-17T12:00:03.000Z TaskStarted"


def with_retries(record: Record, retries: int = 2) -> Record:
    """Return a record whose request may be sent again."""
    return replace(record, work=Work(retries=retries, holder="run-1"))


def a_try_failed(record: Record) -> Record:
    return advance(record, replace(answered(BAD_STATUS), holder="run-1"), SOON)


def test_a_failed_try_says_why_and_when_the_next_one_is() -> None:
    record = with_retries(new_record(mode=CompletionEvent.API_RESPONSE))

    assert changed(record, replace(answered(BAD_STATUS), holder="run-1")) == [
        "Response Code: 418",
        "Response: 1234 bytes, text/html",
        "Try 1 of 3 failed: statusCode: The target answered 500.",
        "2026-05-17T12:00:03.000Z Trying again at 2026-05-17T12:00:04.000Z",
    ]


def test_a_further_request_has_its_number_and_its_size() -> None:
    waiting = a_try_failed(with_retries(new_record(mode=CompletionEvent.API_RESPONSE)))
    now = SOON + timedelta(seconds=1)
    begun = advance(waiting, Begun(holder="run-2", lease=timedelta(minutes=1)), now)

    assert change_lines(waiting, begun, now=now, body_bytes=29).split("\n") == [
        "2026-05-17T12:00:04.000Z POST https://api.example.com/v1 (request 2)",
        "Request body: 29 bytes",
    ]


def test_a_request_that_takes_the_place_of_a_lost_one_says_so() -> None:
    request = RequestView(method="GET", url="https://api.example.com/v1", headers={})
    record = with_retries(new_record(mode=CompletionEvent.API_RESPONSE))
    record = replace(record, invocation=replace(record.invocation, request=request))
    now = START + timedelta(minutes=2)
    begun = advance(record, Begun(holder="run-2", lease=timedelta(minutes=1)), now)

    assert change_lines(record, begun, now=now).split("\n") == [
        "The process that sent request 1 was lost; it is sent again.",
        "2026-05-17T12:02:00.000Z GET https://api.example.com/v1 (request 2)",
        "Request body: 0 bytes",
    ]


def test_the_last_try_that_fails_is_the_end_and_no_other_is_promised() -> None:
    record = with_retries(new_record(mode=CompletionEvent.API_RESPONSE), retries=0)

    assert changed(record, replace(NO_ANSWER, holder="run-1")) == [
        "Response Code: none",
        "connectionFailed: The target hung up.",
        "2026-05-17T12:00:03.000Z Finished: failed",
    ]


def test_a_remark_is_a_line() -> None:
    remark = Issue(IssueType.WARNING, "What was due could not be done.")

    assert changed(new_record(), Noted(remark)) == ["What was due could not be done."]
    assert changed(new_record(), Noted(remark), Noted(remark)) == []


def test_the_log_of_a_task_that_waits_opens_without_a_request_and_goes_on_with_it() -> None:
    record = new_record(plan_id="plan-1")
    waiting = replace(
        record,
        report_by=None,
        work=Work(due_at=START),
        invocation=replace(record.invocation, state=State.PENDING, attempts=0, started_at=None),
    )
    begun = advance(waiting, Begun(holder="run-1", lease=timedelta(minutes=1)), SOON)

    assert opening_lines(waiting, body=b"x").split("\n") == [
        "2026-05-17T12:00:00.000Z Starting: Invoke REST API: POST",
    ]
    assert change_lines(waiting, begun, now=SOON, body_bytes=0).split("\n") == [
        "2026-05-17T12:00:03.000Z POST https://api.example.com/v1",
        "Request body: 0 bytes",
    ]


def test_the_log_of_a_task_that_is_skipped_shows_its_condition() -> None:
    trace = ("Evaluating: eq(1, 2)", "Result: False")
    reason = Reason(ReasonCode.CONDITION_FALSE, "The condition is false.", Effect.NONE)

    lines = opening_lines(skipped(new_record(), reason), body=b"x", condition=trace).split("\n")

    assert lines == [
        "2026-05-17T12:00:00.000Z Starting: Invoke REST API: POST",
        *trace,
        "conditionFalse: The condition is false.",
        "2026-05-17T12:00:00.000Z Finished: skipped",
    ]


def test_continue_on_error_is_seen_in_the_last_line_only() -> None:
    record = replace(new_record(), continue_on_error=True)

    assert changed(record, NO_ANSWER) == [
        "Response Code: none",
        "connectionFailed: The target hung up.",
        "2026-05-17T12:00:03.000Z Finished: succeededWithIssues",
    ]
