"""A task that waits for the operation it started (contract, section 3, "Poll")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from invoke_core.events import Begun, Canceled, Exchanged, Seen, StatusUrl
from invoke_core.lifecycle import advance
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Reason,
    ReasonCode,
    RequestView,
    Result,
    State,
)
from invoke_core.records import (
    DEADLINE_GRACE,
    HELD_GRACE,
    LEASE_GRACE,
    MOST_INTERRUPTIONS,
    MOST_POLL_FAILURES,
    Ending,
    Gate,
    Polling,
    Work,
    alarm_at,
    over_at,
)
from tests.state.parts import BAD_STATUS, EXCHANGE_S, NO_ANSWER, START, SUCCEEDED, VALID, new_record

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.events import Event
    from invoke_core.records import Record

LEASE: Final = timedelta(seconds=EXCHANGE_S) + LEASE_GRACE
TIMEOUT_S: Final = 3600
URL: Final = StatusUrl(url="sealed", shown_url="https://h/op/1?sig=***", source="location")
GOES_ON: Final = replace(VALID, status_url=URL)
BUSY: Final = Exchanged(
    result=Result.FAILED,
    reason=Reason(ReasonCode.POLL_FAILED, "The target answered 503.", Effect.ANSWERED),
    response=replace(VALID.response, status=503) if VALID.response else None,
    status_url=URL,
    may_pass=True,
)
UNREACHED: Final = replace(
    BUSY,
    reason=Reason(ReasonCode.NAME_NOT_RESOLVED, "There is no such host.", Effect.NONE),
    response=None,
)
POLL_FAILED: Final = replace(
    BAD_STATUS,
    reason=Reason(ReasonCode.POLL_FAILED, "The operation ended 'Failed'.", Effect.ANSWERED),
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def poll(
    *, method: str = "POST", retries: int = 0, timeout_s: float = TIMEOUT_S, interval_s: float = 10
) -> Record:
    record = new_record(plan_id="plan-1", mode=CompletionEvent.API_RESPONSE, minutes=timeout_s / 60)
    interval = timedelta(seconds=interval_s)
    return replace(
        record,
        report_by=None,
        work=Work(retries=retries, due_at=START, poll=Polling(interval=interval)),
        invocation=replace(
            record.invocation,
            state=State.PENDING,
            attempts=0,
            started_at=None,
            request=RequestView(method=method, url="https://api.example.com", headers={}),
        ),
    )


def begun(record: Record, seconds: float) -> Record:
    return advance(record, Begun(holder=f"run-{seconds}", lease=LEASE), at(seconds))


def after(record: Record, outcome: Exchanged, seconds: float) -> Record:
    """Return what comes of the request that is due, answered within half a second."""
    running = begun(record, seconds)
    assert running.work is not None
    assert running.report_by is not None, "a request is due"
    return advance(running, replace(outcome, holder=running.work.holder), at(seconds + 0.5))


def started(**options: float) -> Record:
    return after(poll(**options), GOES_ON, 0)  # type: ignore[arg-type]


def due_s(record: Record) -> float | None:
    assert record.work is not None
    due_at = record.work.due_at
    return None if due_at is None else (due_at - START).total_seconds()


def failures(record: Record) -> int:
    assert record.work is not None
    assert record.work.poll is not None
    return record.work.poll.failures


def test_an_operation_is_asked_after_until_it_is_over() -> None:
    record = started()
    assert record.invocation.state is State.IN_PROGRESS
    assert record.work is not None
    assert record.work.asks_status
    assert record.work.poll == Polling(
        interval=timedelta(seconds=10),
        url="sealed",
        shown_url="https://h/op/1?sig=***",
        source="location",
    )
    for number in range(3):
        assert due_s(record) == alarm_s(record) == 10.5 * (number + 1)
        record = after(record, GOES_ON, 10.5 * (number + 1))
    record = after(record, replace(SUCCEEDED, outputs={"id": "1"}), 42)

    assert record.invocation.result is Result.SUCCEEDED
    assert record.invocation.attempts == 1, "status requests are no attempts of the task"
    assert record.invocation.outputs == {"id": "1"}
    assert record.invocation.evaluations == ()


def alarm_s(record: Record) -> float:
    alarm = alarm_at(record)
    assert alarm is not None
    return (alarm - START).total_seconds()


def test_an_operation_that_is_over_at_once_is_not_asked_after() -> None:
    record = after(poll(), SUCCEEDED, 0)

    assert record.invocation.result is Result.SUCCEEDED


@pytest.mark.parametrize(
    ("interval_s", "told_s", "pause_s"),
    [
        (10, None, 10),
        (10, 3, 3),
        (10, 30, 30),
        (10, 0, 1),
        (10, 0.5, 1),
        (0.1, 0, 0.1),
        (0.1, 5, 5),
        (3600, 1, 1),
    ],
)
def test_the_answer_may_tell_when_to_ask_again_but_not_at_once(
    interval_s: float, told_s: float | None, pause_s: float
) -> None:
    told = None if told_s is None else timedelta(seconds=told_s)

    record = after(poll(interval_s=interval_s), replace(GOES_ON, told_pause=told), 0)

    assert due_s(record) == 0.5 + pause_s


def test_the_process_of_the_call_keeps_what_is_due_before_its_reply() -> None:
    held = after(poll(), replace(GOES_ON, held_until=at(10.5)), 0)
    assert held.work is not None
    assert held.work.is_held
    assert alarm_at(held) == at(10.5) + HELD_GRACE

    left = after(poll(), replace(GOES_ON, held_until=at(10.4)), 0)
    assert alarm_at(left) == at(10.5)


def test_a_later_answer_may_lead_elsewhere() -> None:
    other = StatusUrl(url="other", shown_url="https://h/op/2", source="operation-location")

    record = after(started(), replace(GOES_ON, status_url=other), 11)

    assert record.work is not None
    assert record.work.poll is not None
    assert (record.work.poll.url, record.work.poll.source) == ("other", "operation-location")


@pytest.mark.parametrize("outcome", [BUSY, UNREACHED])
def test_five_failures_of_status_requests_in_a_row_end_the_task(outcome: Exchanged) -> None:
    record = started()
    for number in range(1, MOST_POLL_FAILURES):
        record = after(record, outcome, 100 * number)
        assert failures(record) == number
        assert due_s(record) == 100 * number + 10.5
    record = after(record, outcome, 1000)

    assert outcome.reason is not None
    reason = record.invocation.reason
    assert reason is not None
    assert reason.code is ReasonCode.POLL_FAILED
    assert reason.message == (
        f"5 status requests in a row have failed; the last one: {outcome.reason.message}"
    )
    assert reason.effect is not Effect.NONE, "the operation was started"


def test_an_answer_in_between_begins_the_count_anew() -> None:
    record = started()
    for number in range(1, 20):
        outcome = GOES_ON if number % MOST_POLL_FAILURES == 0 else BUSY
        record = after(record, outcome, 100 * number)
        assert failures(record) == number % MOST_POLL_FAILURES
    assert not record.is_final


def test_an_operation_that_failed_ends_the_task_at_once() -> None:
    record = after(started(), POLL_FAILED, 11)

    assert record.invocation.reason == POLL_FAILED.reason
    assert record.ended_by is Ending.EXCHANGE


def test_a_status_request_that_was_lost_is_sent_again_whatever_started_the_operation() -> None:
    running = begun(started(), 11)
    assert alarm_at(running) == at(11) + LEASE

    again = begun(running, 72)
    assert again.report_by == at(72) + LEASE
    assert failures(again) == 1
    assert again.invocation.attempts == 1
    assert [issue.message for issue in again.invocation.issues] == [
        "A process that asked for the status of the operation was lost; it is asked again."
    ]
    assert again.work is not None
    assert again.work.interruptions == 0
    goes_on = advance(again, replace(GOES_ON, holder=again.work.holder), at(73))
    assert failures(goes_on) == 0
    assert running.work is not None
    late = replace(SUCCEEDED, holder=running.work.holder)
    assert advance(again, late, at(74)) is again


def test_five_status_requests_lost_in_a_row_end_the_task_with_its_own_reason() -> None:
    record = begun(started(), 11)
    seconds = 11.0
    for _ in range(MOST_POLL_FAILURES - 1):
        seconds += LEASE.total_seconds()
        assert not record.is_final
        record = begun(record, seconds)
    assert over_at(record) == alarm_at(record) == at(seconds) + LEASE

    record = advance(record, Seen(), at(seconds + LEASE.total_seconds()))
    assert record.ended_by is Ending.INTERRUPTION
    assert record.invocation.reason == Reason(
        ReasonCode.POLL_FAILED,
        "5 status requests in a row have failed; the last one was lost with its process.",
        Effect.UNKNOWN,
    )


def test_a_post_that_was_to_start_an_operation_and_was_lost_is_not_sent_again() -> None:
    record = advance(begun(poll(), 0), Seen(), at(60))

    assert record.ended_by is Ending.INTERRUPTION
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.INTERRUPTED


def test_a_get_that_was_to_start_an_operation_and_was_lost_is_sent_again() -> None:
    record = begun(begun(poll(method="GET"), 0), 60)

    assert record.invocation.attempts == 2
    assert record.report_by == at(60) + LEASE


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_operation_that_is_not_over_in_time_is_given_up(method: str) -> None:
    record = after(poll(method=method, timeout_s=30), GOES_ON, 0)
    record = after(record, GOES_ON, 11)
    record = after(record, GOES_ON, 22)
    assert due_s(record) is None
    assert alarm_at(record) == over_at(record) == at(30)

    record = advance(record, Seen(), at(99))
    assert record.ended_by is Ending.DEADLINE
    assert record.invocation.finished_at == at(30)
    assert record.invocation.reason == Reason(
        ReasonCode.POLL_TIMED_OUT,
        "The operation was not over within 0.5 minutes (poll.timeoutMinutes).",
        Effect.ANSWERED,
    )


def test_a_pause_past_the_limit_waits_for_it_in_vain() -> None:
    record = after(poll(), replace(GOES_ON, told_pause=timedelta(hours=2)), 0)

    assert due_s(record) is None
    reason = advance(record, Seen(), at(TIMEOUT_S)).invocation.reason
    assert reason is not None
    assert reason.code is ReasonCode.POLL_TIMED_OUT


def test_a_status_request_under_way_at_the_limit_may_still_end_the_task() -> None:
    running = begun(started(timeout_s=30), 29)
    assert over_at(running) == at(30) + DEADLINE_GRACE
    assert running.work is not None
    holder = running.work.holder

    over = advance(running, replace(SUCCEEDED, holder=holder), at(31))
    assert over.invocation.result is Result.SUCCEEDED
    for outcome in (GOES_ON, BUSY):
        reason = advance(running, replace(outcome, holder=holder), at(31)).invocation.reason
        assert reason is not None
        assert reason.code is ReasonCode.POLL_TIMED_OUT
    assert advance(running, Seen(), at(32)).ended_by is Ending.DEADLINE


@pytest.mark.parametrize("seconds", [5, 11.2])
def test_waiting_for_an_operation_may_be_canceled(seconds: float) -> None:
    record = begun(started(), 11) if seconds > 11 else started()

    canceled = advance(record, Canceled(), at(seconds))
    assert canceled.invocation.result is Result.CANCELED
    assert canceled.invocation.reason is not None
    assert canceled.invocation.reason.effect is Effect.ANSWERED
    assert alarm_at(canceled) is None
    assert record.work is not None
    late = advance(canceled, replace(SUCCEEDED, holder=record.work.holder), at(20))
    assert late.invocation.result is Result.CANCELED


def test_a_task_whose_operation_failed_is_tried_again_from_its_start() -> None:
    record = after(started(retries=1), BUSY, 11)
    record = after(record, POLL_FAILED, 22)

    assert not record.is_final
    assert record.work is not None
    assert record.work.poll == Polling(interval=timedelta(seconds=10))
    assert not record.work.asks_status
    assert due_s(record) == 23.5
    record = after(record, GOES_ON, 24)
    assert record.invocation.attempts == 2
    assert due_s(record) == 34.5
    record = after(record, POLL_FAILED, 35)
    assert record.invocation.result is Result.FAILED
    assert record.invocation.reason == POLL_FAILED.reason


def test_a_start_that_failed_is_tried_again_before_anything_is_polled() -> None:
    record = after(poll(retries=1), BAD_STATUS, 0)

    assert due_s(record) == 1.5
    assert after(record, GOES_ON, 2).invocation.attempts == 2


@dataclass
class Run:
    """A run under way; its exchange is over, whatever comes of it, at a moment of true time."""

    holder: str
    number: int
    over_at: datetime


class TwoProcesses(RuleBasedStateMachine):
    """Two processes whose clocks differ by half a minute; a gate, or a task that polls."""

    @initialize(
        skews_s=st.sampled_from([(0, 0), (0, 30), (30, 0), (-15, 15)]),
        method=st.sampled_from(["GET", "POST"]),
        is_gate=st.booleans(),
        retries=st.integers(0, 3),
        minutes=st.sampled_from([0.1, 2, 30]),
        interval_s=st.sampled_from([0.1, 5, 60]),
        success_s=st.sampled_from([0, 5, 120]),
    )
    def begin(
        self,
        *,
        skews_s: tuple[int, int],
        method: str,
        is_gate: bool,
        retries: int,
        minutes: float,
        interval_s: float,
        success_s: float,
    ) -> None:
        self.now = START
        self.skews = [timedelta(seconds=skew_s) for skew_s in skews_s]
        record = poll(method=method, retries=retries, timeout_s=60 * minutes, interval_s=interval_s)
        if is_gate:
            interval, success = timedelta(seconds=interval_s), timedelta(seconds=success_s)
            gate = Gate(interval=interval, success=success, due_at=START)
            record = replace(record, work=Work(due_at=START, gate=gate))
        self.record = record
        self.runs: list[Run] = []
        self.count = 0
        self.dues: list[datetime] = []

    def happens(self, event: Event, number: int) -> Record:
        before, now = self.record, self.now + self.skews[number]
        self.record = after = advance(before, event, now)
        assert after.invocation.attempts >= before.invocation.attempts
        assert after.is_final or now < over_at(after)
        assert before.is_final or after.is_final or now < over_at(before)
        return before

    @rule(number=st.sampled_from([0, 1]))
    def begins(self, number: int) -> None:
        self.count += 1
        left = self.record.invocation.deadline - self.now - self.skews[number]
        exchange = max(timedelta(), min(timedelta(seconds=EXCHANGE_S), left))
        event = Begun(holder=f"run-{self.count}", lease=exchange + LEASE_GRACE)
        before = self.happens(event, number)
        work = self.record.work
        if work is None or work.holder != event.holder:
            return
        assert all(run.over_at <= self.now for run in self.runs), "one request at a time"
        self.runs.append(Run(event.holder, number, self.now + exchange))
        if work.gate is not None and before.report_by is None:
            assert all(due < work.gate.due_at for due in self.dues), "no evaluation twice"
            self.dues.append(work.gate.due_at)

    @precondition(lambda self: self.runs)
    @rule(
        which=st.integers(0, 3),
        outcome=st.sampled_from(
            [SUCCEEDED, BAD_STATUS, NO_ANSWER, GOES_ON, GOES_ON, BUSY, BUSY, UNREACHED, POLL_FAILED]
        ),
        told_s=st.sampled_from([None, 0, 20]),
    )
    def reports(self, which: int, outcome: Exchanged, told_s: int | None) -> None:
        run = self.runs.pop(which % len(self.runs))
        work = self.record.work
        if work is not None and work.gate is not None and outcome.status_url is not None:
            outcome = BAD_STATUS
        if work is not None and not work.asks_status and outcome.may_pass:
            outcome = NO_ANSWER
        told = None if told_s is None else timedelta(seconds=told_s)
        before = self.happens(replace(outcome, holder=run.holder, told_pause=told), run.number)
        if before.work and before.work.holder != run.holder:
            assert self.record.invocation.response == before.invocation.response

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 3))
    def is_lost(self, which: int) -> None:
        self.runs.pop(which % len(self.runs))

    @rule(event=st.sampled_from([Seen(), Seen(), Seen(), Canceled()]), number=st.integers(0, 1))
    def anything_else(self, event: Event, number: int) -> None:
        self.happens(event, number)

    @rule(seconds=st.sampled_from([0.1, 1, 5, 20, 60]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(number=st.integers(0, 1))
    def time_passes_until_the_alarm(self, number: int) -> None:
        alarm = alarm_at(self.record)
        if alarm is not None:
            self.now = max(self.now, alarm - self.skews[number])

    @invariant()
    def it_is_never_stuck(self) -> None:
        if not hasattr(self, "record") or self.record.is_final:
            return
        record = self.record
        assert record.work is not None
        assert advance(record, Seen(), over_at(record)).is_final
        assert alarm_at(record) is not None

    @invariant()
    def what_is_counted_is_bounded(self) -> None:
        if not hasattr(self, "record") or self.record.work is None:
            return
        work = self.record.work
        assert work.interruptions <= MOST_INTERRUPTIONS
        assert work.poll is None or work.poll.failures <= MOST_POLL_FAILURES
        if work.gate is None:
            assert self.record.invocation.attempts <= 1 + work.retries + work.interruptions


def test_any_order_of_events_keeps_what_is_promised() -> None:
    run_state_machine_as_test(
        TwoProcesses, settings=settings(max_examples=300, stateful_step_count=40, deadline=None)
    )
