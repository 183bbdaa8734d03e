"""What the log of the process tells of each thing that happens."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core import telemetry
from invoke_core.errors import (
    BusyError,
    ConnectionUnavailableError,
    Fault,
    InvalidInputError,
    PolicyError,
    SettingsError,
    TokenRejectedError,
)
from invoke_core.events import Canceled, Noted, Seen, TaskCompleted
from invoke_core.gates import MOST_EVALUATIONS
from invoke_core.lifecycle import advance
from invoke_core.model import Issue, IssueType, RequestView, Result
from invoke_core.prepared import trace_id_of
from invoke_core.telemetry import Told, tell
from tests.core.told import (
    BEGUN,
    GOES_ON,
    HOLDER,
    INTERVAL,
    PLAN_ID,
    TRACE,
    TRACE_ID,
    at,
    callback,
    due,
    failed,
    lines,
    one_of_each,
)
from tests.state.parts import NO_ANSWER, START, SUCCEEDED, VALID

if TYPE_CHECKING:
    from invoke_core.events import Event
    from invoke_core.telemetry import Line

ABOUT_CALLBACK = {
    "invocationId": PLAN_ID,
    "connection": "demo",
    "method": "POST",
    "completionEvent": "Callback",
    "traceId": TRACE_ID,
}
ABOUT_TASK = {
    **ABOUT_CALLBACK, "method": "GET", "completionEvent": "ApiResponse", "traceId": None
}  # fmt: skip


def facts(line: Line) -> Any:  # noqa: ANN401  # any JSON
    return json.loads(line.text[line.text.index("{") :])


def events(told: list[Line]) -> list[str]:
    return [line.event.value for line in told]


def test_there_is_a_line_of_every_kind() -> None:
    assert set(one_of_each()) == set(Told)


def test_a_callback_waits_and_ends_in_a_line_each() -> None:
    waits, ended = lines(
        callback(), (VALID, at(seconds=1)), (TaskCompleted(Result.FAILED), at(minutes=2))
    )

    assert waits.sentence == f"invocation {PLAN_ID} waits for its callback"
    assert facts(waits) == {
        "event": "waits",
        **ABOUT_CALLBACK,
        "status": 202,
        "exchangeMs": 5,
        "waitsFor": "callback",
        "deadline": "2026-05-17T13:00:00.000Z",
    }
    assert ended.sentence == f"invocation {PLAN_ID} ended: failed"
    assert facts(ended) == {
        "event": "ended",
        **ABOUT_CALLBACK,
        "result": "failed",
        "reason": "callbackFailed",
        "effect": "answered",
        "status": 202,
        "exchangeMs": 5,
        "attempts": 1,
        "evaluations": 0,
        "totalMs": 120_000,
    }


def test_a_failed_request_says_why_and_when_the_next_one_is_due() -> None:
    (line,) = lines(due(), (BEGUN, START), (failed(), at(seconds=1)))

    assert facts(line) == {
        "event": "attemptFailed",
        **ABOUT_TASK,
        "reason": "statusCode",
        "effect": "answered",
        "status": 503,
        "exchangeMs": 5,
        "attempt": 1,
        "asksStatus": False,
        "nextDueAt": facts(line)["nextDueAt"],
    }
    assert facts(line)["nextDueAt"] > "2026-05-17T12:00:01.000Z"


def test_the_last_failure_is_an_end_and_nothing_else() -> None:
    told = lines(due(retries=0), (BEGUN, START), (failed(), at(seconds=1)))

    assert events(told) == ["ended"]


def test_an_operation_that_goes_on_is_told_once_and_a_failed_status_request_each_time() -> None:
    busy = replace(failed(), status_url=GOES_ON.status_url, may_pass=True)
    told = lines(
        due(poll=True),
        (BEGUN, START),
        (GOES_ON, at(seconds=1)),
        (BEGUN, at(seconds=1) + INTERVAL),
        (GOES_ON, at(seconds=2) + INTERVAL),
        (BEGUN, at(seconds=2) + 2 * INTERVAL),
        (busy, at(seconds=3) + 2 * INTERVAL),
    )

    assert events(told) == ["waits", "attemptFailed"]
    assert facts(told[0])["waitsFor"] == "operation"
    assert facts(told[1])["asksStatus"] is True


def test_each_evaluation_of_a_gate_is_told_and_then_its_end() -> None:
    first, second, ended = lines(
        due(gate=True),
        (BEGUN, START),
        (failed(), at(seconds=1)),
        (BEGUN, at(minutes=5)),
        (replace(SUCCEEDED, holder=HOLDER), at(minutes=5, seconds=1)),
    )

    assert facts(first) == {
        "event": "evaluated",
        **ABOUT_TASK,
        "result": "failed",
        "reason": "statusCode",
        "effect": "answered",
        "status": 503,
        "exchangeMs": 5,
        "attempt": 1,
        "nextDueAt": "2026-05-17T12:05:00.000Z",
    }
    assert [facts(second)[name] for name in ("result", "reason", "status", "exchangeMs")] == [
        "succeeded", None, 202, 5,
    ]  # fmt: skip
    assert facts(ended)["evaluations"] == 2


def test_an_evaluation_beyond_those_that_are_kept_is_told_as_well() -> None:
    record = due(gate=True)
    for number in range(MOST_EVALUATIONS):
        for event in (BEGUN, replace(NO_ANSWER, holder=HOLDER)):
            record = advance(record, event, START + number * timedelta(minutes=1))
            if record.work is not None:
                record = replace(record, work=replace(record.work, due_at=START))
    assert len(record.invocation.evaluations) == MOST_EVALUATIONS

    told = lines(record, (BEGUN, at(minutes=55)), (failed(), at(minutes=55, seconds=1)))

    assert "evaluated" in events(told)


@pytest.mark.parametrize("event", [Seen(), failed()])
def test_an_evaluation_that_was_lost_has_no_answer_though_one_came_too_late(event: Event) -> None:
    (line,) = lines(due(gate=True, method="POST"), (BEGUN, START), (event, at(minutes=2)))

    assert facts(line)["reason"] == "interrupted"
    assert (facts(line)["status"], facts(line)["exchangeMs"]) == (None, None)


@pytest.mark.parametrize(("late_s", "is_told"), [(0, False), (30, False), (30.001, True)])
def test_what_begins_late_is_told_where_clocks_do_not_explain_it(
    late_s: float, *, is_told: bool
) -> None:
    told = lines(due(), (BEGUN, at(seconds=late_s)))

    assert events(told) == (["late"] if is_told else [])
    for line in told:
        assert facts(line) == {
            "event": "late",
            **ABOUT_TASK,
            "attempt": 1,
            "dueAt": "2026-05-17T12:00:00.000Z",
            "lateMs": 30_001,
        }


def test_a_run_that_takes_the_place_of_a_lost_one_is_told_and_one_that_may_not_is_not() -> None:
    other = replace(BEGUN, holder="other")
    record = due()

    assert lines(record, (BEGUN, START), (other, at(seconds=59))) == []
    (line,) = lines(record, (BEGUN, START), (other, at(seconds=60)))
    assert facts(line) == {"event": "runLost", **ABOUT_TASK, "attempt": 2}


def test_what_changes_nothing_is_not_told() -> None:
    ended = advance(callback(), Canceled(), at(seconds=1))
    remark = Noted(Issue(IssueType.WARNING, "A remark."))

    assert lines(callback(), (Seen(), at(seconds=1)), (remark, at(seconds=2))) == []
    # The request was under way when it was canceled: what comes of it is not told any more.
    assert lines(ended, (VALID, at(seconds=2)), (Canceled(), at(seconds=3))) == []


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (BusyError("Full.", retry_after_s=2), 429, ("refused", None)),
        (BusyError("Full.", retry_after_s=2, connection="demo"), 429, ("refused", "demo")),
        (ConnectionUnavailableError("demo"), 503, ("failed", "demo")),
        (PolicyError("No."), 403, ("refused", None)),
        (TokenRejectedError(), 401, None),
        (InvalidInputError([]), 400, None),
    ],
)
def test_refusals_and_failures_of_our_own_are_told_and_mistakes_of_callers_are_not(
    error: Any,  # noqa: ANN401  # any error of ours
    status: int,
    told: tuple[str, str | None] | None,
) -> None:
    found = telemetry.problem_lines(error, status=status, code="code", headers=TRACE)

    assert [(facts(line)["event"], facts(line)["connection"]) for line in found] == (
        [told] if told else []
    )
    for line in found:
        assert (facts(line)["status"], facts(line)["traceId"]) == (status, TRACE_ID)


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        (TRACE, TRACE_ID),
        ({"TRACEPARENT": TRACE["traceparent"]}, TRACE_ID),
        ({}, None),
        ({"traceparent": ""}, None),
        ({"traceparent": "***"}, None),
        ({"traceparent": TRACE["traceparent"].upper()}, None),
        ({"traceparent": f"{TRACE['traceparent']}\n"}, None),
        ({"traceparent": f"{TRACE['traceparent']}-{{}}"}, None),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, None),
        ({"tracestate": TRACE["traceparent"]}, None),
    ],
)
def test_a_trace_id_is_told_where_it_is_well_formed_and_nothing_else_is(
    headers: dict[str, str], trace_id: str | None
) -> None:
    assert trace_id_of(headers) == trace_id


@pytest.mark.parametrize("event", Told)
def test_a_line_is_one_line_whose_first_brace_begins_its_facts(
    event: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hostile = 'a {"event":"ended"} \n\r\u2028 name'
    line = one_of_each()[event]
    if "connection" in line.facts:
        line = replace(line, facts={**line.facts, "connection": hostile})

    tell(line)

    (written,) = caplog.messages
    assert "\n" not in written
    assert "\r" not in written
    assert "{" not in line.sentence
    assert facts(line) == {"event": event.value, **json.loads(written[written.index("{") :])}
    assert facts(line).get("connection", hostile) == hostile


def test_nothing_a_caller_or_a_target_wrote_is_told() -> None:
    mark = "CHOSEN"
    record = callback()
    request = RequestView(
        method="POST",
        url=f"https://api.example.com/{mark}",
        headers={mark: mark, "traceparent": mark},
    )
    record = replace(
        record,
        invocation=replace(
            record.invocation, display_name=mark, caller=mark, request=request, outputs={mark: mark}
        ),
    )
    assert VALID.response is not None
    answer = replace(VALID.response, headers={mark: mark}, body=mark)
    assert failed().reason is not None
    reason = replace(failed().reason, message=mark)  # type: ignore[type-var]  # asserted above

    told = [
        *lines(record, (replace(VALID, response=answer), START), (Canceled(), START)),
        *lines(record, (replace(failed(), holder="", response=answer, reason=reason), START)),
    ]

    assert events(told) == ["waits", "ended", "ended"]
    assert [line.text for line in told if mark in line.text] == []


def test_a_faulty_setting_is_named_and_no_value_is_told() -> None:
    error = SettingsError(
        [Fault("STATE_KEY", "It takes a key."), Fault("STATE_KEY", "Two of them.")]
    )

    (line,) = telemetry.problem_lines(error, status=503, code="misconfigured", headers={})

    assert line.facts["setting"] == "STATE_KEY"
