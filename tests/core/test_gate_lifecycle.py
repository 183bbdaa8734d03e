"""A gate, evaluation by evaluation (contract, section 3, "Gate")."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.events import Begun, Canceled, Exchanged, Seen
from invoke_core.gates import MOST_EVALUATIONS
from invoke_core.lifecycle import advance
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Issue,
    IssueType,
    ReasonCode,
    RequestView,
    Result,
    State,
)
from invoke_core.records import (
    CLOCK_DIFFERENCE,
    DEADLINE_GRACE,
    LEASE_GRACE,
    MOST_INTERRUPTIONS,
    Ending,
    Gate,
    Work,
    alarm_at,
    over_at,
)
from tests.state.parts import BAD_STATUS, EXCHANGE_S, NO_ANSWER, START, SUCCEEDED, new_record

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.records import Record

INTERVAL_S: Final = 300
LEASE: Final = timedelta(seconds=EXCHANGE_S) + LEASE_GRACE
TIMEOUT_S: Final = 3600


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def gate(
    *,
    method: str = "GET",
    success_s: float = 0,
    interval_s: float = INTERVAL_S,
    due_s: float = 0,
    timeout_s: float = TIMEOUT_S,
    continue_on_error: bool = False,
) -> Record:
    record = new_record(plan_id="plan-1", mode=CompletionEvent.API_RESPONSE, minutes=timeout_s / 60)
    return replace(
        record,
        report_by=None,
        continue_on_error=continue_on_error,
        work=Work(
            due_at=at(due_s),
            gate=Gate(
                interval=timedelta(seconds=interval_s),
                success=timedelta(seconds=success_s),
                due_at=at(due_s),
            ),
        ),
        invocation=replace(
            record.invocation,
            state=State.PENDING,
            attempts=0,
            started_at=None,
            request=RequestView(method=method, url="https://api.example.com", headers={}),
        ),
    )


def begun(record: Record, seconds: float, holder: str = "run") -> Record:
    return advance(record, Begun(holder=f"{holder}-{seconds}", lease=LEASE), at(seconds))


def evaluated(record: Record, outcome: Exchanged, seconds: float, *, took_s: float = 0.5) -> Record:
    """Return what an evaluation that begins at a moment makes of a gate."""
    running = begun(record, seconds)
    assert running.work is not None
    assert running.report_by is not None, "an evaluation is due"
    return advance(running, replace(outcome, holder=running.work.holder), at(seconds + took_s))


def due_s(record: Record) -> float | None:
    assert record.work is not None
    due_at = record.work.due_at
    return None if due_at is None else (due_at - START).total_seconds()


def results(record: Record) -> list[str]:
    return ["+" if one.reason is None else "-" for one in record.invocation.evaluations]


def test_the_first_evaluation_that_succeeds_passes_a_gate_without_a_success_duration() -> None:
    record = evaluated(gate(), BAD_STATUS, 0)
    assert (record.is_final, due_s(record), results(record)) == (False, 300, ["-"])
    record = evaluated(record, SUCCEEDED, 301)

    assert record.invocation.result is Result.SUCCEEDED
    assert record.invocation.reason is None
    assert record.ended_by is Ending.EXCHANGE
    assert record.invocation.finished_at == at(301.5)
    assert record.invocation.attempts == 2
    first, second = record.invocation.evaluations
    assert (first.at, first.result, first.reason, first.status) == (
        at(0.5),
        Result.FAILED,
        BAD_STATUS.reason,
        202,
    )
    assert (second.at, second.result, second.reason, second.status) == (
        at(301.5),
        Result.SUCCEEDED,
        None,
        202,
    )


@pytest.mark.parametrize("began_s", [0, 1, 29, 30])
def test_evaluations_stand_on_a_grid_that_small_delays_do_not_move(began_s: float) -> None:
    record = evaluated(gate(), NO_ANSWER, began_s, took_s=20)

    assert due_s(record) == INTERVAL_S
    assert record.invocation.evaluations[0].status is None


@pytest.mark.parametrize(
    ("took_s", "expected"), [(9.9, 10), (10, 10), (10.1, 20), (20, 20), (55, 60)]
)
def test_an_evaluation_that_takes_longer_than_the_interval_skips_what_it_missed(
    took_s: float, expected: float
) -> None:
    record = evaluated(gate(interval_s=10), BAD_STATUS, 0, took_s=took_s)

    assert due_s(record) == expected


@pytest.mark.parametrize("late_s", [31, 299, 300, 301, 1234])
def test_an_evaluation_long_overdue_takes_place_once_and_the_next_one_an_interval_later(
    late_s: float,
) -> None:
    record = evaluated(gate(), BAD_STATUS, late_s)

    assert len(record.invocation.evaluations) == 1
    assert due_s(record) == late_s + INTERVAL_S
    assert begun(record, late_s + INTERVAL_S - 1) is record


def test_no_evaluation_takes_place_before_it_is_due_or_beside_another() -> None:
    record = gate(due_s=60)

    assert begun(record, 59.999) is record
    running = begun(record, 60)
    assert begun(running, 60, "other") is running
    assert begun(running, 60 + LEASE.total_seconds() - 0.001, "other") is running


@pytest.mark.parametrize(
    ("success_s", "outcomes", "passes"),
    [
        (0, "+", True),
        (1, "+", False),
        (1, "++", True),
        (300, "++", True),
        (301, "++", False),
        (301, "+++", True),
        (600, "+-+++", True),
        (600, "+-++", False),
        (600, "++-++", False),
        (300, "+-+-+-", False),
        (300, "+-+-+-++", True),
        (300, "---++", True),
    ],
)
def test_a_gate_passes_once_it_succeeded_throughout_the_minimum_duration(
    success_s: float, outcomes: str, *, passes: bool
) -> None:
    record = gate(success_s=success_s)
    for number, outcome in enumerate(outcomes):
        assert not record.is_final
        record = evaluated(
            record, SUCCEEDED if outcome == "+" else BAD_STATUS, number * INTERVAL_S + 0.2
        )

    assert record.is_final is passes
    assert results(record) == list(outcomes)


def test_a_success_counts_from_when_it_was_seen_where_it_was_seen_late() -> None:
    record = evaluated(gate(success_s=300), SUCCEEDED, 290)
    assert due_s(record) == 590

    record = evaluated(record, SUCCEEDED, 590)
    assert record.invocation.result is Result.SUCCEEDED


def test_clocks_that_differ_evaluate_once_and_do_not_shorten_the_duration() -> None:
    """The first process is 30 seconds ahead of the second."""
    ahead_s = CLOCK_DIFFERENCE.total_seconds()
    record = begun(gate(success_s=300), 0 + ahead_s, "ahead")
    assert record.report_by is not None
    assert begun(record, 0, "behind") is record

    record = evaluated(gate(success_s=300), SUCCEEDED, 0 + ahead_s)
    assert due_s(record) == 300
    assert begun(record, 271, "behind") is record
    record = evaluated(record, SUCCEEDED, 300)
    assert record.is_final


@pytest.mark.parametrize("skew_s", [0, 30])
def test_a_grid_stays_where_it_is_whoever_evaluates(skew_s: float) -> None:
    record = gate(success_s=3000)
    for number in range(6):
        record = evaluated(record, SUCCEEDED, number * INTERVAL_S + (number % 2) * skew_s)

    assert due_s(record) == 6 * INTERVAL_S
    assert record.work is not None
    assert record.work.gate is not None
    assert record.work.gate.succeeded_since == START


def test_the_last_50_evaluations_are_kept() -> None:
    record = gate(interval_s=10)
    for number in range(60):
        record = evaluated(record, BAD_STATUS, number * 10)

    kept = record.invocation.evaluations
    assert len(kept) == MOST_EVALUATIONS == 50
    assert (kept[0].at, kept[-1].at) == (at(100.5), at(590.5))
    assert record.invocation.attempts == 60


def test_a_remark_of_every_evaluation_stands_once() -> None:
    remark = Issue(IssueType.WARNING, "It is slow.")
    record = gate()
    for number in range(3):
        record = evaluated(record, replace(BAD_STATUS, issues=(remark,)), number * INTERVAL_S)

    assert record.invocation.issues == (remark,)


def test_a_gate_that_never_passes_times_out_and_tells_its_last_evaluation() -> None:
    record = evaluated(gate(timeout_s=400), BAD_STATUS, 0)
    record = evaluated(record, BAD_STATUS, 300)
    assert due_s(record) is None
    assert alarm_at(record) == over_at(record) == at(400)
    assert advance(record, Seen(), at(399.9)) is record

    record = advance(record, Seen(), at(1000))
    assert record.invocation.result is Result.FAILED
    assert record.ended_by is Ending.DEADLINE
    assert record.invocation.finished_at == at(400)
    reason = record.invocation.reason
    assert reason is not None
    assert (reason.code, reason.effect) == (ReasonCode.GATE_TIMED_OUT, Effect.ANSWERED)
    assert reason.message == (
        "The gate did not pass within 6.66667 minutes (gate.timeout). Its last evaluation failed: "
        "statusCode: The target answered 500."
    )


def test_a_gate_that_succeeded_too_late_says_so() -> None:
    record = evaluated(gate(timeout_s=600, success_s=300), BAD_STATUS, 0)
    record = evaluated(record, SUCCEEDED, 300)

    reason = advance(record, Seen(), at(600)).invocation.reason
    assert reason is not None
    assert reason.message == (
        "The gate did not pass within 10 minutes (gate.timeout). Its last evaluation succeeded, "
        "but not for long enough."
    )


def test_a_gate_that_was_never_evaluated_says_so_and_sent_nothing() -> None:
    record = advance(gate(due_s=60), Begun(holder="late", lease=LEASE), at(TIMEOUT_S))

    reason = record.invocation.reason
    assert reason is not None
    assert (reason.code, reason.effect) == (ReasonCode.GATE_TIMED_OUT, Effect.NONE)
    assert reason.message == (
        "The gate did not pass within 60 minutes (gate.timeout). It was never evaluated."
    )
    assert record.invocation.attempts == 0


def test_an_evaluation_under_way_at_the_deadline_may_still_pass_the_gate() -> None:
    running = begun(gate(due_s=TIMEOUT_S - 1), TIMEOUT_S - 1)
    assert over_at(running) == at(TIMEOUT_S) + DEADLINE_GRACE
    assert running.work is not None

    record = advance(running, replace(SUCCEEDED, holder=running.work.holder), at(TIMEOUT_S + 1))
    assert record.invocation.result is Result.SUCCEEDED


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_evaluation_that_fails_at_the_deadline_ends_the_gate_with_it(method: str) -> None:
    running = begun(gate(method=method, due_s=TIMEOUT_S - 1), TIMEOUT_S - 1)
    assert running.work is not None

    record = advance(running, replace(NO_ANSWER, holder=running.work.holder), at(TIMEOUT_S + 1))
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.GATE_TIMED_OUT
    assert "The target hung up." in record.invocation.reason.message
    assert record.invocation.finished_at == at(TIMEOUT_S)


def test_an_evaluation_that_does_not_report_ends_with_the_gate() -> None:
    running = begun(gate(due_s=TIMEOUT_S - 1), TIMEOUT_S - 1)

    assert not advance(running, Seen(), at(TIMEOUT_S + 1.9)).is_final
    record = advance(running, Seen(), at(TIMEOUT_S + 2))
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.GATE_TIMED_OUT
    assert record.invocation.reason.effect is Effect.UNKNOWN


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_post_that_was_lost_is_taken_down_and_waits_for_the_next_evaluation(
    method: str,
) -> None:
    running = begun(gate(method=method), 0)
    lost_s = LEASE.total_seconds()
    assert alarm_at(running) == at(lost_s)
    assert advance(running, Seen(), at(lost_s - 0.001)) is running

    record = advance(running, Seen(), at(lost_s))
    (evaluation,) = record.invocation.evaluations
    assert evaluation.result is Result.FAILED
    assert evaluation.status is None
    assert evaluation.reason is not None
    assert (evaluation.reason.code, evaluation.reason.effect) == (
        ReasonCode.INTERRUPTED,
        Effect.UNKNOWN,
    )
    assert due_s(record) == INTERVAL_S
    assert alarm_at(record) == at(INTERVAL_S)
    assert begun(record, INTERVAL_S - 1) is record
    assert record.invocation.attempts == 1
    again = evaluated(record, SUCCEEDED, INTERVAL_S)
    assert again.invocation.result is Result.SUCCEEDED
    assert again.invocation.attempts == 2


def test_a_lost_evaluation_is_taken_down_by_whoever_begins_the_next_one_too() -> None:
    running = begun(gate(method="POST", interval_s=10), 0)

    record = begun(running, 61)
    assert results(record) == ["-"]
    assert record.report_by is None
    assert due_s(record) == 70


def test_a_run_whose_evaluation_was_taken_for_lost_is_not_believed() -> None:
    running = begun(gate(method="POST"), 0)
    assert running.work is not None
    record = advance(running, Seen(), at(61))

    late = replace(SUCCEEDED, holder=running.work.holder)
    assert advance(record, late, at(62)) is record
    assert advance(begun(record, 300), late, at(301)).invocation.result is None


def test_a_lost_get_is_sent_again_but_not_for_ever() -> None:
    record = begun(gate(success_s=1), 0)
    for number in range(MOST_INTERRUPTIONS):
        lost_s = (number + 1) * LEASE.total_seconds()
        assert alarm_at(record) == at(lost_s)
        record = begun(record, lost_s)
        assert record.work is not None
        assert record.work.interruptions == number + 1
        assert record.report_by is not None
    assert results(record) == []

    record = advance(record, Seen(), at(4 * LEASE.total_seconds()))
    assert results(record) == ["-"]
    assert record.invocation.evaluations[0].reason is not None
    assert record.invocation.evaluations[0].reason.code is ReasonCode.INTERRUPTED
    assert record.work is not None
    assert record.work.interruptions == 0
    assert record.work.due_at is not None


def test_a_repeated_get_counts_from_when_it_was_repeated() -> None:
    record = begun(gate(success_s=300), 0)
    record = begun(record, 61)
    assert record.work is not None
    record = advance(record, replace(SUCCEEDED, holder=record.work.holder), at(62))

    assert due_s(record) == 361
    assert not record.is_final


@pytest.mark.parametrize("moment_s", [0.5, 10, 100])
def test_a_gate_may_be_canceled_between_and_during_evaluations(moment_s: float) -> None:
    waiting = advance(evaluated(gate(), BAD_STATUS, 0), Canceled(), at(moment_s + 1))
    assert waiting.invocation.result is Result.CANCELED
    assert alarm_at(waiting) is None

    running = begun(gate(), 0)
    canceled = advance(running, Canceled(), at(moment_s))
    assert (canceled.invocation.result, canceled.ended_by) == (Result.CANCELED, Ending.CANCEL)
    assert running.work is not None
    late = advance(canceled, replace(SUCCEEDED, holder=running.work.holder), at(moment_s + 1))
    assert late.invocation.result is Result.CANCELED
    assert late.invocation.finished_at == at(moment_s)
    assert results(late) == []
    assert begun(late, 1000) is late


def test_a_gate_that_times_out_with_continue_on_error_has_issues() -> None:
    record = evaluated(gate(continue_on_error=True, timeout_s=10), BAD_STATUS, 0)
    assert record.invocation.result is None

    record = advance(record, Seen(), at(10))
    assert record.invocation.result is Result.SUCCEEDED_WITH_ISSUES
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.GATE_TIMED_OUT


def test_somebody_is_called_for_every_evaluation_and_for_one_that_is_lost() -> None:
    assert alarm_at(gate(due_s=60)) == at(60)
    running = begun(gate(), 0)
    assert alarm_at(running) == running.report_by == at(0) + LEASE
    assert alarm_at(evaluated(gate(), BAD_STATUS, 0)) == at(INTERVAL_S)
    assert over_at(gate()) == at(TIMEOUT_S)


def test_an_evaluation_that_was_lost_past_the_gates_time_ends_the_gate() -> None:
    running = begun(gate(method="POST", timeout_s=61), 0)

    record = advance(running, Seen(), at(61))

    assert record.is_final
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.GATE_TIMED_OUT
    assert [each.reason and each.reason.code for each in record.invocation.evaluations] == [
        ReasonCode.INTERRUPTED
    ]
