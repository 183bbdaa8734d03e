"""Runs by alarm: each request is sent by one process, whenever and however often it is called."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from invoke_core.alarms import Alarm, DueIndex
from invoke_core.connections import Limits
from invoke_core.drafts import hash_token
from invoke_core.errors import SealError, StoreUnavailableError
from invoke_core.events import Begun, Canceled, Seen, TaskCompleted
from invoke_core.journal import LogEntry
from invoke_core.model import Effect, Method, ReasonCode, Result, State
from invoke_core.ports import Put
from invoke_core.records import MOST_INTERRUPTIONS, Ending
from invoke_core.resting import RestingStep, encode_step
from tests.api.target import Reply
from tests.state.parts import (
    LOOPBACK,
    START,
    Around,
    Clock,
    LosingStore,
    alarms_of,
    all_rows,
    call,
    later,
    log_of,
    make_service,
    new_id,
    ring_all,
    ring_next,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.model import Invocation
    from invoke_core.ports import Change, EntityStore
    from invoke_core.records import Record
    from invoke_core.service import InvokeService
    from tests.api.target import Received, Target
    from tests.conftest import OpenStore

LEASE = timedelta(seconds=60)
GET = call(method="GET")
POST = call(method="POST")
LOST = Begun(holder="lost", lease=LEASE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(store: EntityStore, target: Target, clock: Clock) -> InvokeService:
    return make_service(store, url=target.url, now=clock)


def at(**duration: float) -> datetime:
    return START + timedelta(**duration)


def alarm_for(plan_id: str, moment: datetime = START, *, set_at: datetime = START) -> Alarm:
    return Alarm(plan_id=plan_id, at=moment, set_at=set_at)


def record_of(service: InvokeService, plan_id: str) -> Record:
    loaded = service.journal.load(plan_id)
    assert loaded is not None
    return loaded.record


def read(service: InvokeService, plan_id: str) -> Invocation:
    return service.read(plan_id)[0].invocation


def warnings(invocation: Invocation) -> list[str]:
    return [issue.message for issue in invocation.issues if issue.type == "warning"]


def test_a_task_that_is_not_waited_for_is_stored_with_an_alarm_and_sent_by_it(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    begun = service.run(later(GET)).invocation
    assert (begun.state, begun.attempts, begun.started_at) == (State.PENDING, 0, None)
    assert target.received == []
    assert alarms_of(store) == [alarm_for(begun.id)]

    clock.go_on(seconds=2)
    assert ring_all(store, service, clock) == 1

    ended = read(service, begun.id)
    assert ended.result is Result.SUCCEEDED
    assert ended.started_at == at(seconds=2)
    assert len(target.received) == 1
    assert log_of(service.journal, begun.id)[-1].endswith("Finished: succeeded")


def test_an_end_leaves_no_alarm_and_no_step(
    store: EntityStore, service: InvokeService, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    assert service.journal.step(plan_id)

    ring_all(store, service, clock)

    assert service.journal.step(plan_id) == b""
    keys = [key for key, _ in all_rows(store)]
    assert not [key for key in keys if key.startswith(("due-", "open-"))]


def test_an_alarm_that_comes_again_sends_nothing_more(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(POST)).invocation.id
    ring_all(store, service, clock)
    ended = read(service, plan_id)

    for _ in range(3):
        service.runs.ring(alarm_for(plan_id))
        clock.go_on(hours=1)

    assert read(service, plan_id) == ended
    assert len(target.received) == 1
    assert alarms_of(store) == []


def test_an_alarm_that_comes_hours_late_is_as_good(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET, timeoutInMinutes="600")).invocation.id
    clock.go_on(hours=9)

    ring_all(store, service, clock)

    assert read(service, plan_id).result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_an_alarm_after_the_time_of_the_task_sends_nothing(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    clock.go_on(hours=1)

    ring_all(store, service, clock)

    ended = read(service, plan_id)
    assert ended.reason is not None
    assert (ended.reason.code, ended.reason.effect) == (ReasonCode.TIMED_OUT, Effect.NONE)
    assert ended.finished_at == at(hours=1)
    assert target.received == []


def test_an_alarm_that_comes_early_is_set_again_for_its_time(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    target.reply = lambda _: Reply(status=503, headers={"Retry-After": "300"})
    plan_id = service.run(later(GET, retries=1)).invocation.id
    ring_next(store, service, clock)
    (alarm,) = alarms_of(store)
    DueIndex(store).remove([(plan_id, alarm.at)])

    clock.go_on(seconds=290)
    service.runs.ring(alarm)

    assert len(target.received) == 1
    assert alarms_of(store) == [alarm]
    assert alarm.at == at(seconds=300)


def test_a_retry_is_sent_by_an_alarm_of_its_own(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    left = [500, 503]
    target.reply = lambda _: Reply(status=left.pop(0) if left else 200)
    plan_id = service.run(later(POST, retries=3)).invocation.id

    assert ring_all(store, service, clock) == 3

    ended = read(service, plan_id)
    assert (ended.result, ended.attempts) == (Result.SUCCEEDED, 3)
    assert len(warnings(ended)) == 2
    assert clock.at == at(seconds=3)
    assert len({request.body for request in target.received}) == 1


def test_an_alarm_for_what_was_forgotten_is_over(
    store: EntityStore, service: InvokeService, clock: Clock
) -> None:
    clock.go_on(days=40)

    service.runs.ring(alarm_for(new_id()))
    service.runs.give_up(alarm_for(new_id()))

    assert all_rows(store) == []


def test_an_alarm_whose_record_never_comes_is_given_up_after_a_while(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    service.alarms.set(new_id(), START)

    rung = ring_all(store, service, clock)

    assert timedelta(seconds=80) < clock.at - START < timedelta(seconds=110)
    assert rung < 50
    assert target.received == []


@pytest.mark.parametrize("skew_s", [-30, 0, 30])
def test_an_alarm_before_its_record_is_written_is_not_lost(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock, skew_s: int
) -> None:
    """Whoever is called may have a clock half a minute before or after that of who set it."""
    there = Clock(at(seconds=100))
    clock.at = there.at + timedelta(seconds=skew_s)
    draft = service.drafts.draft(later(GET), there.at)
    plan_id = draft.record.invocation.id
    make_service(store, url=target.url, now=there).alarms.set(plan_id, there.at)

    for _ in range(4):
        ring_next(store, service, clock)
    service.journal.add(draft.record, [LogEntry(text="x")], step=draft.step)
    ring_all(store, service, clock)

    assert read(service, plan_id).result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_a_message_before_its_record_is_not_lost_by_a_clock_behind(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    """A queue gives a message at once, whatever the clocks say."""
    there = Clock(at(seconds=124))
    clock.at = at(seconds=100)
    draft = service.drafts.draft(later(GET), there.at)
    plan_id = draft.record.invocation.id

    service.runs.ring(alarm_for(plan_id, there.at, set_at=there.at))
    (again,) = alarms_of(store)
    service.journal.add(draft.record, [LogEntry(text="x")], step=draft.step)
    service.runs.ring(again)

    assert there.at in [alarm.at for alarm in alarms_of(store)]
    assert target.received == []


def test_an_alarm_before_its_record_is_changed_is_not_lost(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    service.transitions.apply(plan_id, replace(LOST, lease=timedelta(hours=1)))
    early = replace(alarm_for(plan_id, at(seconds=1), set_at=START), turn=2)
    clock.go_on(seconds=1)

    service.runs.ring(early)

    assert target.received == []
    again = alarms_of(store)[0]
    assert again == replace(early, at=at(seconds=1.5))


def test_a_needless_alarm_does_not_become_another_one(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    target.reply = lambda _: Reply(status=503, headers={"Retry-After": "600"})
    plan_id = service.run(later(GET, retries=1)).invocation.id
    ring_next(store, service, clock)
    standing = alarms_of(store)
    clock.go_on(seconds=120)

    for _ in range(5):
        service.runs.ring(alarm_for(plan_id, at(seconds=60)))

    assert alarms_of(store) == standing
    assert [alarm.at for alarm in standing] == [at(seconds=600)]


@pytest.mark.parametrize("count", [1, 2], ids=["one instance", "two instances"])
def test_of_twenty_that_are_called_at_once_one_sends(
    open_store: OpenStore, target: Target, clock: Clock, count: int
) -> None:
    services = [make_service(open_store(), url=target.url, now=clock) for _ in range(count)]
    plan_id = services[0].run(later(POST)).invocation.id
    barrier = Barrier(20)

    def ring(number: int) -> None:
        barrier.wait()
        services[number % count].runs.ring(alarm_for(plan_id))

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(ring, range(20)))

    assert len(target.received) == 1
    ended = read(services[0], plan_id)
    assert (ended.result, ended.attempts, ended.issues) == (Result.SUCCEEDED, 1, ())
    # Those who found the run of another set alarms that find nothing to do.
    ring_all(open_store(), services[0], clock)
    assert len(target.received) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_lost_run_is_taken_over(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock, method: str
) -> None:
    plan_id = service.run(later(call(method=method))).invocation.id
    service.transitions.apply(plan_id, LOST)

    ring_all(store, service, clock)

    ended = read(service, plan_id)
    assert (ended.result, ended.attempts) == (Result.SUCCEEDED, 2)
    assert warnings(ended) == ["The process that sent request 1 was lost; it is sent again."]
    assert [request.method for request in target.received] == [method]
    assert ended.finished_at == START + LEASE


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_lost_run_that_may_have_had_its_effect_is_interrupted(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock, method: str
) -> None:
    plan_id = service.run(later(call(method=method), retries=5)).invocation.id
    service.transitions.apply(plan_id, LOST)

    ring_all(store, service, clock)

    record = record_of(service, plan_id)
    assert record.ended_by is Ending.INTERRUPTION
    assert record.invocation.finished_at == START + LEASE
    assert target.received == []


def test_a_task_that_is_lost_again_and_again_is_given_up(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    for number in range(MOST_INTERRUPTIONS + 1):
        service.transitions.apply(plan_id, replace(LOST, holder=f"lost-{number}"))
        clock.go_on(seconds=60)

    ring_all(store, service, clock)

    assert record_of(service, plan_id).ended_by is Ending.INTERRUPTION
    assert target.received == []


def test_a_run_whose_place_was_taken_writes_nothing(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    """A process stands still in its exchange for longer than its lease."""
    other = make_service(store, url=target.url, now=clock)
    plan_id = service.run(later(GET)).invocation.id

    def reply(_: Received) -> Reply:
        if len(target.received) > 1:
            return Reply(body=b'"second"')
        clock.go_on(seconds=61)
        other.runs.ring(alarm_for(plan_id, at(seconds=60)))
        return Reply(status=500, body=b'"first"')

    target.reply = reply
    service.runs.ring(alarm_for(plan_id))

    ended = read(service, plan_id)
    assert len(target.received) == 2
    assert ended.result is Result.SUCCEEDED
    assert ended.response is not None
    assert ended.response.body == "second"


def test_a_connection_that_is_gone_fails_the_task_without_effect(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id

    elsewhere = make_service(store, url=target.url, now=clock, names=["other"])
    ring_all(store, elsewhere, clock)

    reason = read(service, plan_id).reason
    assert reason is not None
    assert (reason.code, reason.effect) == (ReasonCode.CONNECTION_FAILED, Effect.NONE)
    assert "demo" in reason.message
    assert target.received == []


def test_a_connection_that_is_back_for_the_next_try_is_used(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(POST, retries=1)).invocation.id
    ring_next(store, make_service(store, url=target.url, now=clock, names=[]), clock)

    ring_all(store, service, clock)

    ended = read(service, plan_id)
    assert (ended.result, ended.attempts) == (Result.SUCCEEDED, 2)


def test_a_grant_that_was_taken_back_meanwhile_is_not_used(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(POST)).invocation.id
    only_get = replace(LOOPBACK, methods=frozenset({Method.GET}))

    stricter = make_service(store, url=target.url, now=clock, allow=only_get)
    ring_all(store, stricter, clock)

    reason = read(service, plan_id).reason
    assert reason is not None
    assert reason.effect is Effect.NONE
    assert "POST" in reason.message
    assert target.received == []


def test_a_step_that_cannot_be_opened_is_left_to_an_instance_with_the_key(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    before = record_of(service, plan_id)
    stranger = make_service(store, url=target.url, now=clock, state_key=b"k" * 32)

    with pytest.raises(SealError):
        stranger.runs.ring(alarm_for(plan_id))

    assert record_of(service, plan_id) == before
    ring_all(store, service, clock)
    assert read(service, plan_id).result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_a_step_that_was_put_into_the_store_unsealed_is_not_sent(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    """Whoever may write to the store would have requests of his own sent, in anybody's name."""
    plan_id = service.run(later(GET)).invocation.id
    forged = RestingStep(document=POST.document, caller="key:0123456789abcdef", trace={})
    store.write(plan_id, [Put("s.step", b"p" + encode_step(forged))])

    with pytest.raises(SealError, match="not sealed"):
        ring_all(store, service, clock)

    assert target.received == []


def test_what_fails_again_and_again_is_remarked_once_and_tried_much_later(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    DueIndex(store).remove([(plan_id, START)])

    service.runs.give_up(alarm_for(plan_id))
    service.runs.give_up(alarm_for(plan_id))

    assert [alarm.at for alarm in alarms_of(store)] == [at(minutes=10)]
    (warning,) = warnings(read(service, plan_id))
    assert warning.startswith("What was due could not be done")
    assert log_of(service.journal, plan_id).count(warning) == 1
    ring_all(store, service, clock)
    assert read(service, plan_id).result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_nothing_is_given_up_of_what_has_ended(
    store: EntityStore, service: InvokeService, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    ring_all(store, service, clock)

    service.runs.give_up(alarm_for(plan_id))

    assert read(service, plan_id).issues == ()
    assert alarms_of(store) == []


def test_a_connection_that_is_used_as_much_as_it_may_be_postpones_the_task(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    limited = make_service(store, url=target.url, now=clock, limits=Limits(per_minute=1))
    first = limited.run(later(GET)).invocation.id
    second = limited.run(later(GET)).invocation.id
    limited.runs.ring(alarm_for(first))

    limited.runs.ring(alarm_for(second))

    assert len(target.received) == 1
    assert read(limited, second).state is State.PENDING
    postponed = [alarm for alarm in alarms_of(store) if alarm.at > START]
    assert [alarm.plan_id for alarm in postponed] == [second]
    assert at(seconds=1) <= postponed[0].at <= at(seconds=60)
    ring_all(store, make_service(store, url=target.url, now=clock), clock)
    assert read(limited, second).result is Result.SUCCEEDED
    assert len(target.received) == 2


def test_what_is_postponed_keeps_its_turn_for_whoever_has_a_clock_behind(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    target.reply = lambda _: Reply(status=503)
    plan_id = service.run(later(GET, retries=1)).invocation.id
    ring_next(store, service, clock)
    (due,) = alarms_of(store)
    clock.at = due.at
    limited = make_service(store, url=target.url, now=clock, limits=Limits(per_minute=1))
    limited.runs.ring(alarm_for(limited.run(later(GET)).invocation.id))

    limited.runs.ring(due)

    postponed = [one for one in alarms_of(store) if one.plan_id == plan_id and one.at > clock.at]
    assert [one.turn for one in postponed] == [due.turn]
    assert due.turn > 0


def test_a_request_that_another_process_sends_is_no_use_of_the_connection(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    limited = make_service(store, url=target.url, now=clock, limits=Limits(per_minute=1))
    first = service.run(later(GET)).invocation.id
    second = service.run(later(GET)).invocation.id
    stale = service.journal.load(first)
    assert stale is not None
    service.transitions.apply(first, LOST)

    limited.runs.go_on(stale)
    limited.runs.ring(alarm_for(second))

    assert read(service, second).result is Result.SUCCEEDED


def test_a_process_full_of_held_calls_does_what_they_wait_for(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id
    full = make_service(store, url=target.url, now=clock, places_count=0)

    ring_next(store, full, clock)

    assert read(service, plan_id).result is Result.SUCCEEDED


def test_an_alarm_the_record_has_gone_past_is_let_go(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    """As the alarm of a lease is that became a message before its run was over."""
    target.reply = lambda _: Reply(status=503, headers={"Retry-After": "600"})
    plan_id = service.run(later(GET, retries=1)).invocation.id
    ring_next(store, service, clock)
    standing = alarms_of(store)
    clock.go_on(seconds=50)

    service.runs.ring(alarm_for(plan_id, at(seconds=60), set_at=START))

    assert alarms_of(store) == standing


def test_canceled_while_it_waits_a_task_is_never_sent(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET)).invocation.id

    service.cancel(plan_id)
    assert alarms_of(store) == []
    service.runs.ring(alarm_for(plan_id))

    assert target.received == []
    reason = read(service, plan_id).reason
    assert reason is not None
    assert (reason.code, reason.effect) == (ReasonCode.CANCELED, Effect.NONE)
    clock.go_on(hours=2)
    assert read(service, plan_id).result is Result.CANCELED


def test_canceled_during_its_request_a_task_is_not_tried_again(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(GET, retries=5)).invocation.id

    def reply(_: Received) -> Reply:
        service.transitions.apply(plan_id, Canceled())
        return Reply(status=500)

    target.reply = reply
    ring_all(store, service, clock)

    ended = read(service, plan_id)
    assert ended.result is Result.CANCELED
    assert ended.response is not None
    assert len(target.received) == 1


def test_a_callback_in_the_background_has_the_token_that_it_sent(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    target.reply = lambda _: Reply(status=202)
    plan_id = service.run(later(call(waitForCompletion="true"))).invocation.id
    promised = record_of(service, plan_id).token_hash

    ring_all(store, service, clock)

    record = record_of(service, plan_id)
    token = target.received[0].header("AuthToken")
    assert token
    assert record.token_hash == hash_token(token) != promised
    assert record.invocation.state is State.IN_PROGRESS
    service.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED))
    assert read(service, plan_id).result is Result.SUCCEEDED


def test_a_callback_whose_run_was_lost_waits_for_its_event(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    plan_id = service.run(later(call(waitForCompletion="true"))).invocation.id
    service.transitions.apply(plan_id, LOST)

    ring_all(store, service, clock)

    assert target.received == []
    clock.go_on(minutes=2)
    waiting = read(service, plan_id)
    assert waiting.state is State.IN_PROGRESS
    assert [text.startswith("The process that sent") for text in warnings(waiting)] == [True]


@pytest.mark.parametrize("took_place", [False, True])
def test_a_run_whose_claim_may_not_be_written_sends_nothing(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock, *, took_place: bool
) -> None:
    plan_id = service.run(later(GET)).invocation.id

    class LosingTheClaim(Around):
        def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
            if partition_key != plan_id:
                return self.inner.write(partition_key, changes)
            if took_place:
                self.inner.write(partition_key, changes)
            raise StoreUnavailableError("InvokeStorage", "its answer was lost")

    losing = make_service(LosingTheClaim(store), url=target.url, now=clock)
    with pytest.raises(StoreUnavailableError):
        losing.runs.ring(alarm_for(plan_id))

    assert target.received == []
    assert record_of(service, plan_id).invocation.attempts == int(took_place)
    ring_all(store, service, clock)
    ended = read(service, plan_id)
    assert ended.result is Result.SUCCEEDED
    assert ended.finished_at == START + (LEASE if took_place else timedelta())
    assert len(target.received) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_came_of_a_request_and_was_not_written_is_found_out_by_the_lease(
    store: EntityStore, target: Target, clock: Clock, method: str
) -> None:
    losing = LosingStore(store)
    service = make_service(losing, url=target.url, now=clock)
    plan_id = service.run(later(call(method=method))).invocation.id

    def reply(_: Received) -> Reply:
        if len(target.received) == 1:
            losing.lose = [False]
        return Reply()

    target.reply = reply
    with pytest.raises(StoreUnavailableError):
        service.runs.ring(alarm_for(plan_id))
    ring_all(store, service, clock)

    record = record_of(service, plan_id)
    if method == "GET":
        assert record.invocation.result is Result.SUCCEEDED
        assert len(target.received) == 2
    else:
        assert record.ended_by is Ending.INTERRUPTION
        assert len(target.received) == 1


def test_a_task_without_its_step_ends_rather_than_being_sent(
    service: InvokeService, target: Target
) -> None:
    draft = service.drafts.draft(later(GET), START)
    plan_id = service.journal.add(draft.record, []).plan_id

    service.runs.ring(alarm_for(plan_id))

    assert service.transitions.apply(plan_id, Seen()).record.is_final
    assert target.received == []


def test_a_call_whose_connection_stays_busy_is_answered_in_time(
    store: EntityStore, target: Target
) -> None:
    class Hurrying(Clock):
        """Once the first request is there, 25 seconds pass whenever somebody looks."""

        def __call__(self) -> datetime:
            self.go_on(seconds=25 if target.received else 0)
            return self.at

    target.reply = lambda _: Reply(status=500)
    limited = make_service(store, url=target.url, now=Hurrying(), limits=Limits(per_minute=1))
    step: JsonValue = {"inputs": {"serviceConnection": "demo"}, "retryCountOnTaskFailure": "1"}

    begun = limited.run(replace(POST, document=step)).invocation

    assert (begun.state, begun.attempts) == (State.IN_PROGRESS, 1)
    assert len(target.received) == 1
    assert [alarm.plan_id for alarm in alarms_of(store)] == [begun.id]
