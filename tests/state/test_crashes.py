"""A process that dies before or after any of its writes, and what the next one finds.

The promises are those of the table of write paths in ``docs/architecture.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from invoke_core.events import Canceled, Event, Seen, TaskCompleted
from invoke_core.model import IssueType, ReasonCode, Result, State
from invoke_core.records import Ending
from tests.api.target import Reply
from tests.state.crashes import Crash, crashes, indexes, listed, plans
from tests.state.parts import (
    EXCHANGE_S,
    GRACE_S,
    START,
    Clock,
    DiedError,
    DyingStore,
    Instance,
    all_rows,
    call,
    log_of,
    make_service,
    new_record,
)

if TYPE_CHECKING:
    from invoke_core.drafts import Call
    from invoke_core.ports import EntityStore
    from tests.api.target import Target

DEADLINE = START + timedelta(minutes=60)
REPORT_BY = START + timedelta(seconds=EXCHANGE_S + GRACE_S)
KEY = "key-4711"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fresh(store: EntityStore, clock: Clock) -> Instance:
    """The process that comes after."""
    return Instance(store, clock)


Die = Callable[["Call", Crash], None]


@pytest.fixture
def die(store: EntityStore, target: Target, clock: Clock) -> Die:
    """Runs a call in a process that dies."""

    def run(what: Call, crash: Crash) -> None:
        dying = DyingStore(store, at_write=crash.at_write, done=crash.done)
        with pytest.raises(DiedError):
            make_service(dying, url=target.url, now=clock).run(what)

    return run


def assert_nothing_is_left(store: EntityStore, fresh: Instance, clock: Clock) -> None:
    """Nothing is shown of what never was, and its index rows go."""
    assert plans(store) == []
    assert listed(fresh) == listed(fresh, State.IN_PROGRESS) == []
    clock.go_on(minutes=5, milliseconds=1)
    assert listed(fresh) == listed(fresh, State.IN_PROGRESS) == []
    assert indexes(store) == []


@crashes(4)
def test_a_callback_whose_process_dies_while_it_begins(
    store: EntityStore, fresh: Instance, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    target.reply = lambda _: Reply(status=202, body=b"")

    die(call(waitForCompletion="true"), crash)

    if crash.writes < 3:
        assert target.received == []
        assert_nothing_is_left(store, fresh, clock)
        return
    was_sent = crash.at_write == 4
    is_reported = crash.writes == 4
    assert len(target.received) == int(was_sent)
    (plan_id,) = plans(store)
    service = make_service(store, url=target.url, now=clock)
    clock.at = REPORT_BY
    waiting = service.read(plan_id)[0].invocation
    assert waiting.state is State.IN_PROGRESS
    warnings = [issue for issue in waiting.issues if issue.message.startswith("The process that")]
    assert [issue.type for issue in warnings] == ([] if is_reported else [IssueType.WARNING])
    assert (waiting.response is not None) == is_reported
    assert listed(fresh) == listed(fresh, State.IN_PROGRESS) == [(plan_id, None)]
    clock.at = DEADLINE
    over = service.read(plan_id)[0].invocation
    assert over.reason is not None
    assert over.reason.code is ReasonCode.CALLBACK_TIMED_OUT
    assert over.finished_at == DEADLINE
    assert listed(fresh) == [(plan_id, "failed")]
    assert len(target.received) == int(was_sent)


@pytest.mark.parametrize("writes_before", [3, 4])
def test_a_callback_whose_process_died_is_completed_by_its_external_service(
    store: EntityStore, fresh: Instance, target: Target, die: Die, writes_before: int
) -> None:
    die(call(waitForCompletion="true"), Crash(writes_before, done=True))
    (plan_id,) = plans(store)

    fresh.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED))

    invocation = make_service(store, url=target.url, now=fresh.now).read(plan_id)[0].invocation
    assert invocation.result is Result.SUCCEEDED
    assert invocation.issues == ()


@crashes(6)
def test_a_callback_that_fails_at_once_and_whose_process_dies(
    store: EntityStore, fresh: Instance, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    target.reply = lambda _: Reply(status=500)

    die(call(waitForCompletion="true"), crash)

    if crash.writes < 3:
        assert_nothing_is_left(store, fresh, clock)
        return
    (plan_id,) = plans(store)
    clock.at = REPORT_BY
    record = fresh.transitions.apply(plan_id, Seen()).record
    # Nobody was told of the answer before it was stored.
    result = "failed" if crash.writes >= 4 else None
    assert record.invocation.result == result
    assert record.ended_by is (Ending.EXCHANGE if result else None)
    assert listed(fresh) == [(plan_id, result)]
    assert listed(fresh, State.IN_PROGRESS) == ([] if result else [(plan_id, None)])
    assert sorted(indexes(store)) == (["list"] if result else ["list", "open"])


@pytest.mark.parametrize(
    ("event", "ended_by", "result"),
    [
        (TaskCompleted(Result.SKIPPED), Ending.EVENT, Result.SKIPPED),
        (Canceled(), Ending.CANCEL, Result.CANCELED),
    ],
    ids=["TaskCompleted", "cancel"],
)
@crashes(3)
def test_an_end_whose_process_dies_is_there_whole_or_happens_again(
    store: EntityStore,
    fresh: Instance,
    clock: Clock,
    crash: Crash,
    event: Event,
    ended_by: Ending,
    result: Result,
) -> None:
    plan_id = fresh.journal.add(new_record(), []).plan_id
    dying = Instance(DyingStore(store, at_write=crash.at_write, done=crash.done), clock)
    with pytest.raises(DiedError):
        dying.transitions.apply(plan_id, event)

    found = fresh.transitions.apply(plan_id, Seen()).record
    clock.go_on(seconds=5)
    again = fresh.transitions.apply(plan_id, event).record

    if crash.writes:
        assert (found.ended_by, found.invocation.result) == (ended_by, result)
        assert found.invocation.finished_at == START
        assert again == found
    else:
        assert not found.is_final
        assert (again.ended_by, again.invocation.result) == (ended_by, result)
        assert again.invocation.finished_at == clock.at
    assert [line for line in log_of(fresh.journal, plan_id) if "Finished" in line] == [
        f"2026-05-17T12:00:0{'0' if crash.writes else '5'}.000Z Finished: {result}"
    ]
    assert listed(fresh) == [(plan_id, result)]
    assert listed(fresh, State.IN_PROGRESS) == []
    assert indexes(store) == ["list"]


@crashes(3)
def test_a_deadline_whose_writer_dies_is_the_same_for_the_next(
    store: EntityStore, fresh: Instance, clock: Clock, crash: Crash
) -> None:
    plan_id = fresh.journal.add(new_record(), []).plan_id
    clock.at = DEADLINE
    dying = Instance(DyingStore(store, at_write=crash.at_write, done=crash.done), clock)
    with pytest.raises(DiedError):
        dying.transitions.apply(plan_id, Seen())
    clock.go_on(hours=3)

    record = fresh.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED)).record

    assert record.ended_by is Ending.DEADLINE
    assert record.invocation.finished_at == DEADLINE
    assert listed(fresh) == [(plan_id, "failed")]
    assert listed(fresh, State.IN_PROGRESS) == []


@crashes(7)
def test_a_call_with_a_key_whose_process_dies_never_sends_twice(
    store: EntityStore, fresh: Instance, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    die(call(KEY), crash)
    was_sent = crash.at_write >= 5
    assert len(target.received) == int(was_sent)
    clock.go_on(seconds=1)

    service = make_service(store, url=target.url, now=clock)
    first = service.run(call(KEY))
    clock.at = REPORT_BY
    later = service.run(call(KEY))

    (plan_id,) = plans(store)
    assert first.invocation.id == later.invocation.id == plan_id
    assert first.is_replay == (crash.writes >= 4)
    assert later.is_replay
    assert later.invocation.state is State.COMPLETED
    if crash.writes == 4:
        # Stored, and nobody can tell whether it was sent.
        assert first.invocation.state is State.IN_PROGRESS
        assert later.invocation.reason is not None
        assert later.invocation.reason.code is ReasonCode.INTERRUPTED
        assert later.invocation.finished_at == REPORT_BY
        assert len(target.received) == int(was_sent)
    else:
        assert first.invocation == later.invocation
        assert first.invocation.result is Result.SUCCEEDED
        assert len(target.received) == 1
    clock.go_on(minutes=10)
    assert listed(fresh) == [(plan_id, later.invocation.result)]
    assert listed(fresh, State.IN_PROGRESS) == []
    assert indexes(store) == ["list"]


@crashes(5)
def test_a_callback_with_a_key_whose_process_dies_never_sends_twice(
    store: EntityStore, fresh: Instance, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    waits = call(KEY, waitForCompletion="true")
    die(waits, crash)
    clock.go_on(seconds=1)

    view = make_service(store, url=target.url, now=clock).run(waits)

    assert plans(store) == [view.invocation.id]
    assert view.invocation.state is State.IN_PROGRESS
    assert view.is_replay == (crash.writes >= 4)
    # One that died between storing and sending leaves nothing sent, and a warning.
    assert len(target.received) == int(crash != Crash(4, done=True))
    clock.go_on(minutes=10)
    assert listed(fresh) == listed(fresh, State.IN_PROGRESS) == [(view.invocation.id, None)]


@crashes(2)
def test_a_plain_call_whose_process_dies_is_stored_or_was_never_told(
    store: EntityStore, fresh: Instance, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    die(call(), crash)

    assert len(target.received) == 1
    if crash.writes == 2:
        (plan_id,) = plans(store)
        invocation = fresh.transitions.apply(plan_id, Seen()).record.invocation
        assert invocation.result is Result.SUCCEEDED
        assert listed(fresh) == [(plan_id, "succeeded")]
        return
    # A row in the list may be there, but nobody is shown what cannot be read.
    assert plans(store) == []
    assert listed(fresh) == []
    clock.go_on(minutes=6)
    assert listed(fresh) == []
    assert all_rows(store) == []


# The first write finds the key claimed, the second takes it over, the fifth is the record.
@crashes(5)
def test_a_takeover_whose_process_dies_is_taken_over_again(
    store: EntityStore, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    die(call(KEY), Crash(1, done=True))
    ((_, claim),) = all_rows(store)
    clock.go_on(seconds=1)

    die(call(KEY), crash)
    clock.go_on(seconds=1)
    view = make_service(store, url=target.url, now=clock).run(call(KEY))

    assert plans(store) == [view.invocation.id]
    assert view.invocation.id.encode() in claim.value
    assert len(target.received) == int(crash.writes < 5)


@crashes(4)
def test_an_expired_key_whose_new_owner_dies_is_taken_over_again(
    store: EntityStore, clock: Clock, target: Target, die: Die, crash: Crash
) -> None:
    service = make_service(store, url=target.url, now=clock)
    first = service.run(call(KEY))
    clock.go_on(hours=25)

    die(call(KEY), crash)
    clock.go_on(seconds=1)
    second = service.run(call(KEY))
    third = service.run(call(KEY))

    assert second.invocation.id == third.invocation.id != first.invocation.id
    assert not second.is_replay
    assert third.is_replay
    assert sorted(plans(store)) == sorted([first.invocation.id, second.invocation.id])
    assert len(target.received) == 2


@crashes(2)
def test_a_list_whose_mending_dies_is_mended_by_the_next(
    store: EntityStore, fresh: Instance, clock: Clock, crash: Crash
) -> None:
    plan_id = fresh.journal.add(new_record(), []).plan_id
    with pytest.raises(DiedError):
        Instance(DyingStore(store, at_write=1, done=True), clock).transitions.apply(
            plan_id, Canceled()
        )
    dying = Instance(DyingStore(store, at_write=crash.at_write, done=crash.done), clock)
    with pytest.raises(DiedError):
        listed(dying, State.IN_PROGRESS)

    assert listed(fresh) == [(plan_id, "canceled")]
    assert listed(fresh, State.IN_PROGRESS) == []
    assert indexes(store) == ["list"]
