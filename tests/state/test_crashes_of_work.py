"""A process that dies at any write of a task that outlives its call, and the alarms it leaves.

The promises are those of the table of write paths in ``docs/architecture.md``. What comes after is
another process that has nothing but the alarms, as far as they were written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import OutcomeUnknownError, StoreUnavailableError
from invoke_core.model import Result, State
from invoke_core.records import Ending
from tests.api.target import Reply
from tests.state.crashes import Crash, crashes, listed, plans
from tests.state.parts import (
    START,
    Around,
    Clock,
    DiedError,
    DyingStore,
    Instance,
    alarms_of,
    all_rows,
    call,
    later,
    make_service,
    ring_all,
    ring_next,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.ports import Change, EntityStore
    from invoke_core.records import Record
    from invoke_core.service import InvokeService
    from tests.api.target import Target

METHODS = pytest.mark.parametrize("method", ["GET", "POST"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fresh(store: EntityStore, target: Target, clock: Clock) -> InvokeService:
    """The process that comes after."""
    return make_service(store, url=target.url, now=clock)


@pytest.fixture
def dying(store: EntityStore, target: Target, clock: Clock) -> Callable[[Crash], InvokeService]:
    """Makes a process that dies."""

    def make(crash: Crash) -> InvokeService:
        over = DyingStore(store, at_write=crash.at_write, done=crash.done)
        return make_service(over, url=target.url, now=clock)

    return make


def the_record(store: EntityStore, service: InvokeService) -> Record:
    (plan_id,) = plans(store)
    loaded = service.journal.load(plan_id)
    assert loaded is not None
    return loaded.record


def assert_all_is_over(store: EntityStore, clock: Clock, *, results: list[str]) -> None:
    """No alarm, no step, no open row is left, and the list shows what is so."""
    assert alarms_of(store) == []
    instance = Instance(store, clock)
    clock.go_on(minutes=5, milliseconds=1)
    assert [result for _, result in listed(instance)] == results
    assert listed(instance, State.IN_PROGRESS) == listed(instance, State.PENDING) == []
    left = {row.row_key[0] for _, row in all_rows(store) if not row.row_key[0].isdigit()}
    assert left <= {"a", "c"}


# 1 the alarm of the lease, 2 list, 3 open, 4 the record; the request; 5 the record, 6 list,
# 7 open, 8 the alarm gone.
@METHODS
@crashes(8)
def test_a_call_with_retries_whose_process_dies(
    store: EntityStore,
    fresh: InvokeService,
    clock: Clock,
    target: Target,
    dying: Callable[[Crash], InvokeService],
    crash: Crash,
    method: str,
) -> None:
    with pytest.raises(DiedError):
        dying(crash).run(with_options(call(method=method), retries=2))
    was_sent = crash.at_write >= 5
    assert len(target.received) == int(was_sent)

    ring_all(store, fresh, clock)

    if crash.writes < 4:
        assert plans(store) == []
        assert target.received == []
        assert_all_is_over(store, clock, results=[])
        return
    record = the_record(store, fresh)
    if crash.writes >= 5:
        assert record.invocation.result is Result.SUCCEEDED
        assert len(target.received) == 1
    elif method == "GET":
        assert record.invocation.result is Result.SUCCEEDED
        assert record.invocation.attempts == 2
        assert record.invocation.finished_at == START + timedelta(seconds=60)
        assert len(target.received) == 1 + was_sent
    else:
        assert record.ended_by is Ending.INTERRUPTION
        assert len(target.received) == int(was_sent)
    assert_all_is_over(store, clock, results=[str(record.invocation.result)])


# 1 the alarm, 2 list, 3 open, 4 the record and its step.
@crashes(4)
def test_a_call_that_is_not_waited_for_and_whose_process_dies(
    store: EntityStore,
    fresh: InvokeService,
    clock: Clock,
    target: Target,
    dying: Callable[[Crash], InvokeService],
    crash: Crash,
) -> None:
    with pytest.raises(DiedError):
        dying(crash).run(later(call(method="POST")))

    ring_all(store, fresh, clock)

    is_stored = crash.writes == 4
    assert len(target.received) == int(is_stored)
    assert_all_is_over(store, clock, results=["succeeded"] if is_stored else [])


# 1 the alarm of the lease, 2 the record, 3 the alarm that rang gone; the request; 4 the record,
# 5 list, 6 open, 7 the alarm of the lease gone.
@METHODS
@crashes(7)
def test_a_run_whose_process_dies(
    store: EntityStore,
    fresh: InvokeService,
    clock: Clock,
    target: Target,
    dying: Callable[[Crash], InvokeService],
    crash: Crash,
    method: str,
) -> None:
    fresh.run(later(call(method=method)))
    with pytest.raises(DiedError):
        ring_next(store, dying(crash), clock)
    was_sent = crash.at_write >= 4
    assert len(target.received) == int(was_sent)

    ring_all(store, fresh, clock)

    record = the_record(store, fresh)
    if crash.writes < 2 or crash.writes >= 4:
        assert record.invocation.result is Result.SUCCEEDED
        assert record.invocation.attempts == len(target.received) == 1
    elif method == "GET":
        assert record.invocation.result is Result.SUCCEEDED
        assert record.invocation.attempts == 2
        assert len(target.received) == 1 + was_sent
    else:
        assert record.ended_by is Ending.INTERRUPTION
        assert len(target.received) == int(was_sent)
    assert_all_is_over(store, clock, results=[str(record.invocation.result)])


# 1 to 3 as above; the request; 4 the alarm of the next try, 5 the record, 6 the alarm of the lease
# gone.
@METHODS
@crashes(6)
def test_a_run_that_failed_and_whose_process_dies(
    store: EntityStore,
    fresh: InvokeService,
    clock: Clock,
    target: Target,
    dying: Callable[[Crash], InvokeService],
    crash: Crash,
    method: str,
) -> None:
    target.reply = lambda _: Reply(status=500 if len(target.received) == 1 else 200)
    fresh.run(later(call(method=method), retries=1))
    with pytest.raises(DiedError):
        ring_next(store, dying(crash), clock)
    was_sent = crash.at_write >= 4

    ring_all(store, fresh, clock)

    record = the_record(store, fresh)
    is_known = crash.writes < 2 or crash.writes >= 5
    if is_known or method == "GET":
        assert record.invocation.result is Result.SUCCEEDED
        assert len(target.received) == 2
    else:
        # Nobody knows of the answer, so it is not sent again.
        assert record.ended_by is Ending.INTERRUPTION
        assert len(target.received) == int(was_sent)
    if crash.writes >= 5:
        assert record.invocation.finished_at == START + timedelta(seconds=1)
    assert_all_is_over(store, clock, results=[str(record.invocation.result)])


# 1 the record, 2 list, 3 open, 4 the alarm gone.
@crashes(4)
def test_a_cancel_of_what_waits_whose_process_dies(
    store: EntityStore,
    fresh: InvokeService,
    clock: Clock,
    target: Target,
    dying: Callable[[Crash], InvokeService],
    crash: Crash,
) -> None:
    plan_id = fresh.run(later(call(method="POST"))).invocation.id
    with pytest.raises(DiedError):
        dying(crash).cancel(plan_id)

    ring_all(store, fresh, clock)

    is_canceled = crash.writes >= 1
    assert len(target.received) == int(not is_canceled)
    assert_all_is_over(store, clock, results=["canceled" if is_canceled else "succeeded"])


class Out(Around):
    """A store that does not answer to writes of some partitions."""

    def __init__(self, store: EntityStore, *, out: Callable[[str], bool]) -> None:
        super().__init__(store)
        self._out = out

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        if self._out(partition_key):
            raise StoreUnavailableError("InvokeStorage", "it does not answer")
        return self.inner.write(partition_key, changes)


def test_where_not_even_the_alarm_can_be_set_nothing_is_left_open(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    out = Out(store, out=lambda key: key.startswith("due-"))

    with pytest.raises(StoreUnavailableError):
        make_service(out, url=target.url, now=clock).run(later(call(method="GET")))

    assert all_rows(store) == []
    assert target.received == []


def test_where_the_record_is_perhaps_not_written_it_is_left_open_what_comes_of_it(
    store: EntityStore, fresh: InvokeService, target: Target, clock: Clock
) -> None:
    out = Out(store, out=lambda key: not key.startswith(("due-", "list-", "open-")))

    with pytest.raises(OutcomeUnknownError, match="Idempotency-Key"):
        make_service(out, url=target.url, now=clock).run(later(call(method="GET")))

    ring_all(store, fresh, clock)
    assert target.received == []
    assert_all_is_over(store, clock, results=[])
