"""A task that outlives its call: runs that begin, report, are lost and taken over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

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

from invoke_core.events import Begun, Canceled, Exchanged, Noted, Seen, TaskCompleted
from invoke_core.lifecycle import advance, skipped
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Issue,
    IssueType,
    Method,
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
    Ending,
    Work,
    alarm_at,
    end_of,
    over_at,
    shown,
    survives_interruption,
)
from tests.state.parts import (
    BAD_STATUS,
    EXCHANGE_S,
    NO_ANSWER,
    START,
    SUCCEEDED,
    VALID,
    new_record,
)

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.events import Event
    from invoke_core.model import Invocation
    from invoke_core.records import Record

LEASE = timedelta(seconds=EXCHANGE_S) + LEASE_GRACE
DEADLINE = START + timedelta(minutes=60)
API_RESPONSE, CALLBACK = CompletionEvent.API_RESPONSE, CompletionEvent.CALLBACK
REMARK = Issue(IssueType.WARNING, "It could not be done.")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def waiting(
    *,
    method: str = "GET",
    mode: CompletionEvent = API_RESPONSE,
    retries: int = 0,
    minutes: float = 60,
    due_at: datetime = START,
    continue_on_error: bool = False,
) -> Record:
    """Return the record of a task whose first request is due."""
    record = new_record(plan_id="plan-1", mode=mode, minutes=minutes)
    return replace(
        record,
        report_by=None,
        continue_on_error=continue_on_error,
        work=Work(retries=retries, due_at=due_at),
        invocation=replace(
            record.invocation,
            state=State.PENDING,
            attempts=0,
            started_at=None,
            request=RequestView(method=method, url="https://api.example.com", headers={}),
        ),
    )


def begun(holder: str = "run-1") -> Begun:
    return Begun(holder=holder, lease=LEASE)


def running(record: Record | None = None, *, seconds: float = 0, holder: str = "run-1") -> Record:
    """Return a record with a run under way."""
    return advance(record or waiting(), begun(holder), at(seconds))


def reported(outcome: Exchanged, holder: str = "run-1") -> Exchanged:
    return replace(outcome, holder=holder)


def warnings(record: Record) -> list[str]:
    issues = record.invocation.issues
    return [issue.message for issue in issues if issue.type is IssueType.WARNING]


def test_a_run_begins_when_its_request_is_due() -> None:
    record = waiting(due_at=at(10))

    assert advance(record, begun(), at(9.999)) is record
    run = advance(record, begun(), at(10))
    assert run.work == Work(holder="run-1", turn=1)
    assert run.report_by == at(10) + LEASE
    assert run.invocation == replace(
        record.invocation, state=State.IN_PROGRESS, attempts=1, started_at=at(10)
    )


def test_a_run_brings_the_token_that_it_sends() -> None:
    event = replace(begun(), token_hash="1" * 64, sealed="sealed")
    record = replace(waiting(mode=CALLBACK), token_hash="0" * 64)

    run = advance(record, event, START)

    assert (run.token_hash, run.sealed) == ("1" * 64, "sealed")


def test_no_run_begins_beside_another() -> None:
    run = running()

    assert advance(run, begun("run-2"), at(0)) is run
    assert advance(run, begun("run-2"), at(59.999)) is run


def test_no_run_begins_where_nothing_is_left_to_do() -> None:
    ended = advance(running(), reported(SUCCEEDED), at(1))
    within_its_call = new_record(mode=API_RESPONSE)
    called = advance(running(waiting(mode=CALLBACK)), reported(VALID), at(1))

    for record in (ended, within_its_call, called):
        assert advance(record, begun("run-2"), at(3)) is record


@pytest.mark.parametrize("outcome", [SUCCEEDED, BAD_STATUS, NO_ANSWER])
@pytest.mark.parametrize("holder", ["", "run-2"])
def test_only_the_run_that_holds_the_request_is_believed(outcome: Exchanged, holder: str) -> None:
    run = running()

    assert advance(run, reported(outcome, holder), at(1)) is run


def test_a_run_whose_place_was_taken_is_not_believed() -> None:
    taken = running(running(), seconds=60, holder="run-2")

    assert advance(taken, reported(BAD_STATUS, "run-1"), at(61)) is taken
    ended = advance(taken, reported(SUCCEEDED, "run-2"), at(62))
    assert ended.invocation.result is Result.SUCCEEDED


def test_a_run_that_is_late_and_whose_place_nobody_took_is_believed() -> None:
    ended = advance(running(), reported(SUCCEEDED), at(300))

    assert ended.invocation.result is Result.SUCCEEDED


def test_a_lost_run_is_taken_over_with_a_warning() -> None:
    run = running()

    taken = advance(run, begun("run-2"), at(60))

    assert taken.work == Work(holder="run-2", turn=2, interruptions=1)
    assert taken.invocation.attempts == 2
    assert taken.invocation.started_at == START
    assert warnings(taken) == ["The process that sent request 1 was lost; it is sent again."]


@pytest.mark.parametrize("method", Method)
def test_a_lost_request_is_sent_again_unless_that_might_double_its_effect(method: Method) -> None:
    run = running(waiting(method=method))
    is_repeated = method not in (Method.POST, Method.PATCH)

    later = advance(run, begun("run-2"), at(60))

    assert survives_interruption(run) == is_repeated
    if is_repeated:
        assert later.invocation.attempts == 2
        assert over_at(run) == DEADLINE + DEADLINE_GRACE
    else:
        assert over_at(run) == at(60)
        assert later.ended_by is Ending.INTERRUPTION
        assert later.invocation.reason is not None
        assert later.invocation.reason.code is ReasonCode.INTERRUPTED
        assert later.invocation.reason.effect is Effect.UNKNOWN
        assert later.invocation.attempts == 1


def test_a_lost_callback_goes_on_waiting_and_is_not_sent_again() -> None:
    run = running(waiting(method="GET", mode=CALLBACK))

    assert not survives_interruption(run)
    assert advance(run, begun("run-2"), at(3000)) is run
    assert [issue.type for issue in shown(run, at(60)).issues] == [IssueType.WARNING]
    assert over_at(run) == DEADLINE


def test_a_task_that_loses_process_after_process_is_given_up() -> None:
    record = running()
    for number in range(1, MOST_INTERRUPTIONS + 1):
        record = advance(record, begun(f"run-{number + 1}"), at(60 * number))
        assert record.work is not None
        assert record.work.interruptions == number

    last = advance(record, begun("one more"), at(60 * (MOST_INTERRUPTIONS + 1)))

    assert last.invocation.attempts == MOST_INTERRUPTIONS + 1
    assert last.ended_by is Ending.INTERRUPTION


def test_a_failed_try_waits_for_the_next_one() -> None:
    record = advance(running(waiting(retries=2)), reported(NO_ANSWER), at(3))

    assert record.work == Work(retries=2, due_at=at(4), turn=2)
    assert record.report_by is None
    assert record.invocation.state is State.IN_PROGRESS
    assert warnings(record) == ["Try 1 of 3 failed: connectionFailed: The target hung up."]
    assert alarm_at(record) == at(4)
    assert over_at(record) == DEADLINE


def test_pauses_grow_with_each_failure_and_follow_what_the_target_says() -> None:
    record, now, pauses = waiting(retries=10), START, []
    told = [None, None, timedelta(seconds=90), None, None, None]
    for number, pause in enumerate(told):
        run = advance(record, begun(f"run-{number}"), now)
        outcome = replace(reported(BAD_STATUS, f"run-{number}"), told_pause=pause)
        record = advance(run, outcome, now)
        assert record.work is not None
        assert record.work.due_at is not None
        pauses.append((record.work.due_at - now).total_seconds())
        now = record.work.due_at

    assert pauses == [1, 2, 90, 8, 16, 32]


def test_retries_are_exhausted_after_as_many_failures_more() -> None:
    record, now = waiting(retries=2), START
    for number in range(3):
        assert not record.is_final
        run = advance(record, begun(f"run-{number}"), now)
        record = advance(run, reported(BAD_STATUS, f"run-{number}"), now)
        now += timedelta(minutes=1)

    assert record.invocation.attempts == 3
    assert record.ended_by is Ending.EXCHANGE
    assert [issue.message for issue in record.invocation.issues] == [
        "The target answered 500.",
        "Try 1 of 3 failed: statusCode: The target answered 500.",
        "Try 2 of 3 failed: statusCode: The target answered 500.",
    ]


def test_a_lost_request_uses_up_no_retry() -> None:
    taken = running(running(waiting(retries=1)), seconds=60, holder="run-2")

    record = advance(taken, reported(BAD_STATUS, "run-2"), at(61))

    assert not record.is_final
    assert warnings(record)[-1].startswith("Try 1 of 2 failed:")


def test_what_may_not_be_repeated_ends_at_the_first_failure() -> None:
    assert VALID.response is not None
    refused = replace(BAD_STATUS, response=replace(VALID.response, status=401))
    lost = running(waiting(method="POST", retries=5))

    assert advance(running(waiting(retries=5)), reported(refused), at(1)).is_final
    assert advance(lost, reported(NO_ANSWER), at(1)).is_final
    assert not advance(lost, reported(BAD_STATUS), at(1)).is_final


@pytest.mark.parametrize(("told_s", "ends"), [(58.998, False), (59, True), (10**7, True)])
def test_a_try_that_would_come_after_the_deadline_is_not_waited_for(
    told_s: float, *, ends: bool
) -> None:
    run = running(waiting(retries=5, minutes=1))

    outcome = replace(reported(BAD_STATUS), told_pause=timedelta(seconds=told_s))
    record = advance(run, outcome, at(1))

    assert record.is_final == ends
    if ends:
        assert record.invocation.reason == BAD_STATUS.reason
        assert record.invocation.finished_at == at(1)
        (warning,) = warnings(record)
        assert warning.startswith("It was not tried again: the next request would have been")


@pytest.mark.parametrize(("held_s", "is_held"), [(None, False), (3.999, False), (4, True)])
def test_the_process_of_the_call_has_a_request_to_itself_for_a_while(
    held_s: float | None, *, is_held: bool
) -> None:
    held_until = None if held_s is None else at(held_s)
    run = running(waiting(retries=1))

    record = advance(run, replace(reported(BAD_STATUS), held_until=held_until), at(3))

    assert record.work is not None
    assert record.work.is_held == is_held
    assert alarm_at(record) == at(4) + (HELD_GRACE if is_held else timedelta())
    # It is a courtesy: whoever is called by the alarm may begin.
    assert advance(record, begun("run-2"), at(4)).invocation.attempts == 2


def test_who_waits_too_long_is_ended_by_the_deadline() -> None:
    unsent = advance(waiting(minutes=1), begun(), at(60))
    tried = advance(running(waiting(retries=1, minutes=1)), reported(BAD_STATUS), at(1))
    tried = advance(tried, Seen(), at(70))

    within = "within 1 minutes (timeoutInMinutes)"
    not_sent = f"The request could not be sent {within}."
    not_again = f"The task could not be tried again {within}; its issues tell what failed before."
    for record, effect, message in (
        (unsent, Effect.NONE, not_sent),
        (tried, Effect.ANSWERED, not_again),
    ):
        assert record.ended_by is Ending.DEADLINE
        assert record.invocation.finished_at == at(60)
        assert record.invocation.reason == Reason(ReasonCode.TIMED_OUT, message, effect)


def test_a_callback_that_was_never_sent_is_not_said_to_lack_its_event() -> None:
    record = advance(waiting(mode=CALLBACK, minutes=1), Seen(), at(60))

    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.TIMED_OUT


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_exchange_cut_off_by_the_deadline_is_told_as_what_it_was(method: str) -> None:
    run = running(waiting(method=method, retries=3, minutes=1), seconds=50)

    record = advance(run, reported(NO_ANSWER), at(61.999))

    assert record.ended_by is Ending.EXCHANGE
    assert advance(run, reported(NO_ANSWER), at(62)).ended_by is Ending.INTERRUPTION


def test_nobody_looks_after_what_has_ended_or_waits_for_others() -> None:
    assert alarm_at(advance(running(), reported(SUCCEEDED), at(1))) is None
    assert alarm_at(advance(waiting(), Canceled(), at(1))) is None
    assert alarm_at(new_record(mode=API_RESPONSE)) is None
    assert alarm_at(running(waiting(mode=CALLBACK))) is None
    assert alarm_at(advance(running(waiting(mode=CALLBACK)), reported(VALID), at(1))) is None
    assert alarm_at(running()) == START + LEASE
    assert alarm_at(running(waiting(method="POST"))) == START + LEASE


def test_canceled_while_it_waits_a_task_is_never_sent() -> None:
    record = advance(waiting(), Canceled(), at(1))

    assert record.invocation.reason == Reason(
        ReasonCode.CANCELED, "A caller canceled the task.", Effect.NONE
    )
    assert advance(record, begun(), at(2)) is record


def test_canceled_while_a_run_is_under_way_a_task_is_not_tried_again() -> None:
    canceled = advance(running(waiting(retries=5)), Canceled(), at(1))

    late = advance(canceled, reported(BAD_STATUS), at(2))

    assert late.invocation.result is Result.CANCELED
    assert late.invocation.response == BAD_STATUS.response
    assert alarm_at(late) is None


def ends_as(event: Event, *, record: Record, seconds: float = 1) -> Result | None:
    return advance(record, event, at(seconds)).invocation.result


def test_with_continue_on_error_a_failure_is_an_issue_whatever_failed() -> None:
    record = waiting(continue_on_error=True)
    callback = waiting(mode=CALLBACK, continue_on_error=True)
    posted = running(waiting(method="POST", continue_on_error=True))

    for result in (
        ends_as(reported(BAD_STATUS), record=running(record)),
        ends_as(Seen(), record=record, seconds=3600),
        ends_as(Seen(), record=posted, seconds=60),
        ends_as(reported(NO_ANSWER), record=running(callback)),
        ends_as(TaskCompleted(Result.FAILED), record=running(callback)),
        ends_as(Seen(), record=running(callback), seconds=3600),
    ):
        assert result is Result.SUCCEEDED_WITH_ISSUES


def test_with_continue_on_error_the_reason_stays() -> None:
    record = advance(running(waiting(continue_on_error=True)), reported(BAD_STATUS), at(1))

    assert record.invocation.reason == BAD_STATUS.reason
    assert record.invocation.issues == (Issue(IssueType.ERROR, "The target answered 500."),)


@pytest.mark.parametrize("result", [result for result in Result if result is not Result.FAILED])
def test_continue_on_error_changes_no_other_result(result: Result) -> None:
    callback = running(waiting(mode=CALLBACK, continue_on_error=True))

    assert ends_as(TaskCompleted(result), record=callback) is result
    assert ends_as(Canceled(), record=callback) is Result.CANCELED


def test_what_the_external_service_reported_is_kept_beside_what_it_came_to() -> None:
    callback = running(waiting(mode=CALLBACK, continue_on_error=True))

    record = advance(callback, TaskCompleted(Result.FAILED), at(1))

    assert record.reported is Result.FAILED
    assert advance(record, TaskCompleted(Result.FAILED), at(2)) is record
    assert end_of(record) == (
        "The task ended by an earlier TaskCompleted event, with the result 'failed'."
    )
    assert advance(callback, Canceled(), at(1)).reported is None


def test_a_task_that_is_not_to_run_ends_as_it_is_created() -> None:
    reason = Reason(ReasonCode.DISABLED, "The step is not enabled.", Effect.NONE)

    record = skipped(waiting(continue_on_error=True), reason)

    assert (record.ended_by, record.work, record.report_by) == (Ending.SKIP, None, None)
    assert record.invocation.result is Result.SKIPPED
    assert record.invocation.reason == reason
    assert record.invocation.finished_at == START
    assert record.invocation.issues == ()
    assert advance(record, begun(), at(1)) is record
    assert end_of(record) == "The task ended before it began, with the result 'skipped'."


def test_something_is_remarked_once_and_not_after_the_end() -> None:
    record = advance(running(), Noted(REMARK), at(1))

    assert record.invocation.issues == (REMARK,)
    assert advance(record, Noted(REMARK), at(2)) is record
    ended = advance(running(), reported(SUCCEEDED), at(1))
    assert advance(ended, Noted(REMARK), at(2)) is ended


def the_end(invocation: Invocation) -> tuple[object, ...]:
    return invocation.state, invocation.result, invocation.reason, invocation.finished_at


@dataclass
class Run:
    """A run under way in one of two processes.

    Attributes:
        holder: Its name.
        number: The process.
        over_at: When its exchange is over, whatever comes of it; in true time.
    """

    holder: str
    number: int
    over_at: datetime


class TwoProcesses(RuleBasedStateMachine):
    """Two processes whose clocks differ by half a minute, and one record written conditionally."""

    @initialize(
        skews_s=st.sampled_from([(0, 0), (0, 30), (30, 0), (-15, 15)]),
        method=st.sampled_from(["GET", "PUT", "POST"]),
        mode=st.sampled_from([API_RESPONSE, API_RESPONSE, CALLBACK]),
        retries=st.integers(0, 10),
        minutes=st.sampled_from([0.1, 2, 30]),
        continues=st.booleans(),
    )
    def begin(
        self,
        *,
        skews_s: tuple[int, int],
        method: str,
        mode: CompletionEvent,
        retries: int,
        minutes: float,
        continues: bool,
    ) -> None:
        self.now = START
        self.skews = [timedelta(seconds=skew_s) for skew_s in skews_s]
        self.record = waiting(
            method=method,
            mode=mode,
            retries=0 if mode is CALLBACK else retries,
            minutes=minutes,
            continue_on_error=continues,
        )
        self.runs: list[Run] = []
        self.count = 0
        self.end: tuple[object, ...] | None = None

    def happens(self, event: Event, number: int) -> Record:
        before, now = self.record, self.now + self.skews[number]
        self.record = after = advance(before, event, now)
        assert after.invocation.attempts >= before.invocation.attempts
        assert after.is_final or now < over_at(after)
        if not before.is_final and now >= over_at(before):
            assert after.is_final, "whatever happens, what is over ends"
            assert after.ended_by in (Ending.DEADLINE, Ending.INTERRUPTION)
        return before

    @rule(number=st.sampled_from([0, 1]))
    def begins(self, number: int) -> None:
        self.count += 1
        left = self.record.invocation.deadline - self.now - self.skews[number]
        exchange = max(timedelta(), min(timedelta(seconds=EXCHANGE_S), left))
        event = Begun(holder=f"run-{self.count}", lease=exchange + LEASE_GRACE)
        self.happens(event, number)
        if self.record.work and self.record.work.holder == event.holder:
            assert all(run.over_at <= self.now for run in self.runs), "one request at a time"
            self.runs.append(Run(event.holder, number, self.now + exchange))

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 3), outcome=st.sampled_from([SUCCEEDED, BAD_STATUS, NO_ANSWER]))
    def reports(self, which: int, outcome: Exchanged) -> None:
        run = self.runs.pop(which % len(self.runs))
        if self.record.waits_for_callback and outcome is SUCCEEDED:
            outcome = VALID
        before = self.happens(reported(outcome, run.holder), run.number)
        if before.work and before.work.holder != run.holder:
            assert self.record.invocation.response == before.invocation.response

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 3))
    def is_lost(self, which: int) -> None:
        self.runs.pop(which % len(self.runs))

    @rule(
        event=st.sampled_from(
            [Seen(), Seen(), Canceled(), Noted(REMARK), *(TaskCompleted(one) for one in Result)]
        ),
        number=st.sampled_from([0, 1]),
    )
    def anything_else(self, event: Event, number: int) -> None:
        self.happens(event, number)

    @rule(seconds=st.sampled_from([1, 5, 20, 60]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(number=st.sampled_from([0, 1]))
    def time_passes_until_the_alarm(self, number: int) -> None:
        alarm = alarm_at(self.record)
        if alarm is not None:
            self.now = max(self.now, alarm - self.skews[number])

    @invariant()
    def final_is_final(self) -> None:
        if not hasattr(self, "record") or not self.record.is_final:
            return
        end = (*the_end(self.record.invocation), self.record.ended_by, self.record.reported)
        self.end = self.end or end
        assert end == self.end

    @invariant()
    def somebody_is_called_for_whatever_is_left_to_do(self) -> None:
        if not hasattr(self, "record"):
            return
        record = self.record
        is_theirs = record.waits_for_callback and record.invocation.attempts > 0
        assert (alarm_at(record) is None) == (record.is_final or is_theirs)

    @invariant()
    def requests_are_bounded(self) -> None:
        if not hasattr(self, "record") or self.record.work is None:
            return
        work = self.record.work
        assert work.interruptions <= MOST_INTERRUPTIONS
        assert self.record.invocation.attempts <= 1 + work.retries + work.interruptions


def test_any_order_of_events_keeps_what_is_promised() -> None:
    run_state_machine_as_test(
        TwoProcesses, settings=settings(max_examples=300, stateful_step_count=40, deadline=None)
    )


def test_of_a_try_that_is_under_way_when_it_is_canceled_the_effect_is_unknown() -> None:
    waits = advance(running(waiting(retries=1)), reported(BAD_STATUS), at(1))
    again = advance(waits, begun("run-2"), at(4))

    canceled = advance(waits, Canceled(), at(2)).invocation.reason
    interrupted = advance(again, Canceled(), at(5)).invocation.reason

    assert canceled is not None
    assert canceled.effect is Effect.ANSWERED
    assert interrupted is not None
    assert interrupted.effect is Effect.UNKNOWN
