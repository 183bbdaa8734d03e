"""The one state machine: each transition, then any order of them over real stores."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.adapters.tables import TablesStore
from invoke_core.errors import StoreUnavailableError
from invoke_core.events import Canceled, Exchanged, Seen, TaskCompleted
from invoke_core.lifecycle import advance
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    Result,
    Secret,
    State,
    StorageAccount,
)
from invoke_core.records import CALLBACKS_AFTER_END, Ending, end_of, over_at, shown, takes_callbacks
from tests.state.parts import (
    BAD_STATUS,
    GRACE_S,
    NO_ANSWER,
    START,
    SUCCEEDED,
    VALID,
    Instance,
    LosingStore,
    log_of,
    new_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from invoke_core.events import Event
    from invoke_core.journal import Loaded
    from invoke_core.model import Invocation
    from invoke_core.ports import EntityStore
    from invoke_core.records import Record

CALLBACK = new_record(plan_id="plan-1")
API_RESPONSE = new_record(plan_id="plan-1", mode=CompletionEvent.API_RESPONSE)
SOON = START + timedelta(seconds=3)
DEADLINE = START + timedelta(minutes=60)
GOOD = (Result.SUCCEEDED, Result.SUCCEEDED_WITH_ISSUES, Result.SKIPPED)
BAD = (Result.FAILED, Result.CANCELED, Result.ABANDONED)


def after(*events: Event, record: Record = CALLBACK, at: datetime = SOON) -> Record:
    for event in events:
        record = advance(record, event, at)
    return record


def test_a_valid_answer_leaves_a_callback_waiting() -> None:
    record = after(VALID)

    assert record.invocation == replace(CALLBACK.invocation, response=VALID.response)
    assert record.report_by is None
    assert record.ended_by is None


@pytest.mark.parametrize("outcome", [BAD_STATUS, NO_ANSWER])
def test_any_other_outcome_ends_a_callback_at_once(outcome: Exchanged) -> None:
    record = after(outcome)

    assert outcome.reason is not None
    assert record.ended_by is Ending.EXCHANGE
    assert record.invocation == replace(
        CALLBACK.invocation,
        state=State.COMPLETED,
        result=Result.FAILED,
        reason=outcome.reason,
        response=outcome.response,
        finished_at=SOON,
        issues=(Issue(IssueType.ERROR, outcome.reason.message),),
    )


def test_a_valid_answer_ends_an_api_response() -> None:
    record = after(SUCCEEDED, record=API_RESPONSE)

    assert record.ended_by is Ending.EXCHANGE
    assert record.invocation.result is Result.SUCCEEDED
    assert record.invocation.finished_at == SOON
    assert record.invocation.reason is None


@pytest.mark.parametrize("result", GOOD)
def test_a_good_event_ends_a_callback_with_its_result(result: Result) -> None:
    record = after(VALID, TaskCompleted(result))

    assert record.ended_by is Ending.EVENT
    assert record.invocation.result is result
    assert record.invocation.reason is None
    assert record.invocation.finished_at == SOON


@pytest.mark.parametrize("result", BAD)
def test_a_bad_event_ends_a_callback_and_says_who_said_so(result: Result) -> None:
    record = after(VALID, TaskCompleted(result))

    message = f"The external service completed the task with the result '{result}'."
    assert record.invocation.result is result
    assert record.invocation.reason == Reason(ReasonCode.CALLBACK_FAILED, message, Effect.ANSWERED)
    assert record.invocation.issues == (Issue(IssueType.ERROR, message),)


def test_an_event_may_come_before_the_answer_and_the_answer_is_kept() -> None:
    record = after(TaskCompleted(Result.SUCCEEDED), VALID)

    assert record.ended_by is Ending.EVENT
    assert record.invocation.result is Result.SUCCEEDED
    assert record.invocation.response == VALID.response
    assert record.report_by is None


def test_a_failure_after_the_end_is_a_remark_and_no_end() -> None:
    record = after(TaskCompleted(Result.SUCCEEDED), NO_ANSWER)

    message = "The task had ended when its request did. The target hung up."
    assert record.invocation.result is Result.SUCCEEDED
    assert record.invocation.reason is None
    assert record.invocation.issues == (Issue(IssueType.WARNING, message),)


def test_an_exchange_is_reported_once() -> None:
    record = after(VALID)

    assert after(NO_ANSWER, record=record) is record


def test_nobody_completes_an_api_response_by_an_event() -> None:
    assert after(TaskCompleted(Result.SUCCEEDED), record=API_RESPONSE) is API_RESPONSE


@pytest.mark.parametrize("record", [CALLBACK, API_RESPONSE])
def test_cancel_ends_what_runs(record: Record) -> None:
    canceled = after(Canceled(), record=record)

    assert canceled.ended_by is Ending.CANCEL
    assert canceled.invocation.result is Result.CANCELED
    assert canceled.invocation.reason == Reason(
        ReasonCode.CANCELED, "A caller canceled the task.", Effect.UNKNOWN
    )


def test_cancel_after_the_answer_knows_that_the_target_answered() -> None:
    reason = after(VALID, Canceled()).invocation.reason

    assert reason is not None
    assert reason.effect is Effect.ANSWERED


ENDS: list[tuple[str, Record]] = [
    ("answer", after(BAD_STATUS)),
    ("event", after(TaskCompleted(Result.SUCCEEDED))),
    ("cancel", after(Canceled())),
    ("deadline", after(Seen(), at=DEADLINE)),
    ("interruption", after(Seen(), record=API_RESPONSE, at=DEADLINE)),
]
EVENTS: list[Event] = [
    Seen(),
    Canceled(),
    *(TaskCompleted(result) for result in Result),
]


@pytest.mark.parametrize("event", EVENTS, ids=repr)
@pytest.mark.parametrize("record", [record for _, record in ENDS], ids=[name for name, _ in ENDS])
def test_what_has_ended_is_the_very_same_after_any_event(record: Record, event: Event) -> None:
    assert advance(record, event, START + timedelta(days=60)) is record


@pytest.mark.parametrize("outcome", [VALID, SUCCEEDED, BAD_STATUS, NO_ANSWER])
@pytest.mark.parametrize("record", [record for _, record in ENDS], ids=[name for name, _ in ENDS])
def test_a_late_answer_changes_no_end(record: Record, outcome: Exchanged) -> None:
    late = advance(record, outcome, DEADLINE)

    assert the_end(late.invocation) == the_end(record.invocation)
    assert late.ended_by is record.ended_by


def test_a_callback_ends_at_its_deadline_and_not_when_somebody_looks() -> None:
    record = after(VALID)

    assert advance(record, Seen(), DEADLINE - timedelta(milliseconds=1)) is record
    late = advance(record, Seen(), DEADLINE + timedelta(hours=5))
    assert late.ended_by is Ending.DEADLINE
    assert late.invocation.finished_at == DEADLINE
    assert late.invocation.result is Result.FAILED
    assert late.invocation.reason == Reason(
        ReasonCode.CALLBACK_TIMED_OUT,
        "No TaskCompleted event came within 60 minutes (timeoutInMinutes).",
        Effect.ANSWERED,
    )


@pytest.mark.parametrize("event", [TaskCompleted(Result.SUCCEEDED), Canceled(), Seen()])
def test_the_deadline_comes_before_whatever_else_happens(event: Event) -> None:
    record = after(VALID)

    assert advance(record, event, DEADLINE) == advance(record, Seen(), DEADLINE)


def test_two_instances_give_a_passed_deadline_the_same_end() -> None:
    early = advance(CALLBACK, Seen(), DEADLINE)
    late = advance(CALLBACK, Seen(), DEADLINE + timedelta(seconds=30))

    assert early == late


def test_an_api_response_whose_process_is_gone_is_interrupted_once_its_time_is_over() -> None:
    over = START + timedelta(seconds=20 + GRACE_S)

    assert over_at(API_RESPONSE) == over
    assert advance(API_RESPONSE, Seen(), over - timedelta(milliseconds=1)) is API_RESPONSE
    record = advance(API_RESPONSE, Seen(), over)
    assert record.ended_by is Ending.INTERRUPTION
    assert record.invocation.result is Result.FAILED
    assert record.invocation.finished_at == over
    assert record.invocation.reason is not None
    assert record.invocation.reason.code is ReasonCode.INTERRUPTED
    assert record.invocation.reason.effect is Effect.UNKNOWN


def test_a_short_timeout_is_the_time_of_an_api_response() -> None:
    record = new_record(mode=CompletionEvent.API_RESPONSE, minutes=0.05)

    assert over_at(record) == record.invocation.deadline + timedelta(seconds=2)


def test_a_callback_whose_process_died_around_the_send_waits_on_with_a_warning() -> None:
    report_by = START + timedelta(seconds=20 + GRACE_S)

    before = shown(CALLBACK, report_by - timedelta(milliseconds=1))
    since = shown(CALLBACK, report_by)

    assert before is CALLBACK.invocation
    assert since.state is State.IN_PROGRESS
    assert [issue.type for issue in since.issues] == [IssueType.WARNING]
    assert shown(after(VALID), report_by).issues == ()
    assert shown(after(Canceled()), report_by) == after(Canceled()).invocation


def test_an_end_is_never_before_the_beginning() -> None:
    record = advance(CALLBACK, Canceled(), START - timedelta(seconds=30))

    assert record.invocation.finished_at == START


def test_a_plan_takes_callbacks_until_a_day_after_its_end() -> None:
    record = after(TaskCompleted(Result.SUCCEEDED))
    closes_at = SOON + CALLBACKS_AFTER_END

    assert takes_callbacks(CALLBACK, DEADLINE)
    assert takes_callbacks(record, closes_at - timedelta(milliseconds=1))
    assert not takes_callbacks(record, closes_at)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("answer", "by the answer to its request, with the result 'failed'"),
        ("event", "by an earlier TaskCompleted event, with the result 'succeeded'"),
        ("cancel", "by a cancel request, with the result 'canceled'"),
        ("deadline", "by its deadline, with the result 'failed'"),
        ("interruption", "because the process that ran it was gone, with the result 'failed'"),
    ],
)
def test_who_comes_too_late_is_told_what_ended_it(name: str, by: str) -> None:
    assert end_of(dict(ENDS)[name]) == f"The task ended {by}."


def the_end(invocation: Invocation) -> tuple[object, ...]:
    return invocation.state, invocation.result, invocation.reason, invocation.finished_at


@dataclass
class Plan:
    """What the machine knows of one invocation.

    Attributes:
        created: As its own process has it in memory.
        home: The instance that runs it.
        over_at: When it is over by itself, by this test's own reckoning.
        is_reported: Whether its exchange has been reported.
        told: What anybody was told of its end, ever.
        end: The first end anybody was told; None before.
        kept: Readings that were made earlier, to be used late.
    """

    created: Loaded
    home: int
    over_at: datetime
    is_reported: bool = False
    told: list[tuple[object, ...]] = field(default_factory=list)
    end: tuple[object, ...] | None = None
    kept: list[Loaded] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.created.plan_id

    @property
    def is_callback(self) -> bool:
        return self.created.record.invocation.completion_event is CompletionEvent.CALLBACK


INSTANCES = st.sampled_from([0, 1])
RESULTS = st.sampled_from(list(Result))
PLANS = st.integers(min_value=0, max_value=2)
MODES = st.sampled_from([CompletionEvent.CALLBACK, CompletionEvent.API_RESPONSE])
SECONDS = st.sampled_from([1, 5, 15, 30, 60, 3600])


class TwoInstances(RuleBasedStateMachine):
    """Two processes with clocks apart, one store, and everything that can happen to it.

    ``open_store`` is set by the test that runs it.
    """

    open_store: Callable[[], EntityStore]

    @initialize(skew_s=st.sampled_from([-30, 0, 30]))
    def begin(self, skew_s: int) -> None:
        self.now = START
        self.skews = [timedelta(0), timedelta(seconds=skew_s)]
        self.stores = [LosingStore(type(self).open_store()) for _ in self.skews]
        self.instances = [self.started(number) for number in range(2)]
        self.plans: list[Plan] = []

    def started(self, number: int) -> Instance:
        return Instance(self.stores[number], lambda: self.now + self.skews[number])

    def clock(self, number: int) -> datetime:
        return self.now + self.skews[number]

    @precondition(lambda self: len(self.plans) < 3)
    @rule(number=INSTANCES, mode=MODES, minutes=st.sampled_from([0.1, 1, 60]))
    def create(self, number: int, mode: CompletionEvent, minutes: float) -> None:
        record = new_record(mode=mode, minutes=minutes, created_at=self.clock(number))
        self.stores[number].lose.clear()
        created = self.instances[number].journal.add(record, [])
        over = record.invocation.deadline
        if mode is CompletionEvent.API_RESPONSE:
            exchange = timedelta(seconds=min(20, minutes * 60) + GRACE_S)
            over = min(over + timedelta(seconds=2), record.invocation.created_at + exchange)
        self.plans.append(Plan(created, number, over))

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, outcome=st.sampled_from([VALID, BAD_STATUS, NO_ANSWER]))
    def exchange_ends(self, which: int, outcome: Exchanged) -> None:
        plan = self.plans[which % len(self.plans)]
        if not plan.is_callback and outcome is VALID:
            outcome = SUCCEEDED
        loaded = None if plan.is_reported else plan.created
        plan.is_reported = True
        self.happens(plan, outcome, plan.home, loaded)

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, result=RESULTS, number=INSTANCES, times=st.integers(1, 2))
    def task_completed(self, which: int, result: Result, number: int, times: int) -> None:
        for _ in range(times):
            self.happens(self.plans[which % len(self.plans)], TaskCompleted(result), number)

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, number=INSTANCES)
    def cancel(self, which: int, number: int) -> None:
        self.happens(self.plans[which % len(self.plans)], Canceled(), number)

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, number=INSTANCES)
    def read(self, which: int, number: int) -> None:
        self.happens(self.plans[which % len(self.plans)], Seen(), number)

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, number=INSTANCES)
    def keep_a_reading(self, which: int, number: int) -> None:
        plan = self.plans[which % len(self.plans)]
        loaded = self.instances[number].journal.load(plan.id)
        assert loaded is not None
        plan.kept.append(loaded)

    @precondition(lambda self: any(plan.kept for plan in self.plans))
    @rule(number=INSTANCES, result=RESULTS, canceled=st.booleans())
    def stale_write(self, *, number: int, result: Result, canceled: bool) -> None:
        plan = next(plan for plan in self.plans if plan.kept)
        event = Canceled() if canceled else TaskCompleted(result)
        self.happens(plan, event, number, plan.kept.pop(0))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.plans)
    @rule(which=PLANS, by_s=st.sampled_from([-30, -1, 0, 1, 30]))
    def time_passes_until_about_the_end(self, which: int, by_s: int) -> None:
        plan = self.plans[which % len(self.plans)]
        self.now = max(self.now, plan.over_at + timedelta(seconds=by_s))

    @rule(number=INSTANCES)
    def restart(self, number: int) -> None:
        self.stores[number] = LosingStore(type(self).open_store())
        self.instances[number] = self.started(number)

    @rule(number=INSTANCES, takes_place=st.booleans())
    def an_answer_will_be_lost(self, *, number: int, takes_place: bool) -> None:
        self.stores[number].lose = [takes_place]

    def happens(self, plan: Plan, event: Event, number: int, loaded: Loaded | None = None) -> None:
        """Let an event happen, and note what whoever caused it was told."""
        stood = self.stored(plan)
        now = self.clock(number)
        try:
            told = self.instances[number].transitions.apply(plan.id, event, loaded=loaded).record
        except StoreUnavailableError:
            return
        stands = self.stored(plan)
        # An old reading of what had ended by then may lack an answer that came later.
        is_old = loaded is not None and loaded.record.is_final
        assert is_old or stands == told, "told means stored"
        assert the_end(stands.invocation) == the_end(told.invocation), "told means stored"
        assert stands.ended_by is told.ended_by
        if told.is_final:
            plan.told.append((*the_end(told.invocation), told.ended_by))
            if plan.end is None:
                plan.end = plan.told[0]
        else:
            assert now < plan.over_at, "no reader past the deadline is told inProgress"
        if stood.is_final or now >= plan.over_at:
            return
        # Nobody was first, so this event is the end, if it is one at all.
        match event:
            case TaskCompleted(result) if plan.is_callback:
                assert (told.ended_by, told.invocation.result) == (Ending.EVENT, result)
            case Canceled():
                assert told.ended_by is Ending.CANCEL
            case Exchanged(result=Result()) if stood.report_by is not None:
                assert (told.ended_by, told.invocation.result) == (Ending.EXCHANGE, event.result)
            case _:
                assert not told.is_final

    def stored(self, plan: Plan) -> Record:
        journal = Instance(self.stores[0].inner, lambda: self.now).journal
        loaded = journal.load(plan.id)
        assert loaded is not None
        return loaded.record

    @invariant()
    def final_means_final(self) -> None:
        for plan in getattr(self, "plans", []):
            record = self.stored(plan)
            if plan.end is not None:
                assert (*the_end(record.invocation), record.ended_by) == plan.end

    @invariant()
    def nobody_was_ever_told_another_result(self) -> None:
        for plan in getattr(self, "plans", []):
            assert all(told == plan.end for told in plan.told)

    @invariant()
    def there_is_one_end(self) -> None:
        for plan in getattr(self, "plans", []):
            lines = log_of(self.instances[0].journal, plan.id)
            ends = [line for line in lines if " Finished: " in line]
            assert len(ends) == int(self.stored(plan).is_final)


def test_any_order_of_events_leads_to_one_end_in_sqlite() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores: list[SqliteStore] = []

        def open_store() -> EntityStore:
            stores.append(SqliteStore(Path(folder) / "invoke.db"))
            return stores[-1]

        class InSqlite(TwoInstances):
            def teardown(self) -> None:
                while stores:
                    stores.pop().close()

        InSqlite.open_store = staticmethod(open_store)
        run_state_machine_as_test(
            InSqlite,
            settings=settings(
                max_examples=150,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_any_order_of_events_leads_to_one_end_in_tables(azurite_connection: str) -> None:
    account = StorageAccount("InvokeStorage", Secret(azurite_connection))
    table = f"t{uuid4().hex}"
    stores: list[TablesStore] = []

    def open_store() -> EntityStore:
        stores.append(TablesStore(account, threads=2, new_id=lambda: uuid4().hex, table=table))
        return stores[-1]

    class InTables(TwoInstances):
        def teardown(self) -> None:
            while stores:
                stores.pop().close()

    InTables.open_store = staticmethod(open_store)
    run_state_machine_as_test(
        InTables,
        settings=settings(
            max_examples=8,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
